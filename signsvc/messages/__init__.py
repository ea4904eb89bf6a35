"""Texts by code: findings, problems and labels, Vietnamese first, English second.

Each ``*.toml`` file of this folder holds tables named by code.  A finding's table carries its default ``level``
(``fail | warn | info``), the ``block`` of EN 319 102-1 that reports it and, where it fails, the sub-indication ``sub``
it leads to; every table carries ``vi`` and ``en``, which may hold ``{name}`` places filled from the finding's data.
Codes are unique over all files; a test proves it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent
# The part of TOML that these files keep to; reading all of TOML would take longer than a verification.
_LINE = re.compile(r'\[(?P<code>[a-z0-9_.]+)\]|(?P<key>[a-z_]+) = "(?P<value>[^"\\]*)"|(?:#.*)?')


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


class Message(NamedTuple):
    """What is known of one code."""

    code: str
    vi: str
    en: str
    level: str = "info"
    block: str = ""
    sub: str = ""


@functools.cache
def catalogue() -> Mapping[str, Message]:
    """All finding and label messages by code (everything except ``problems.toml``)."""
    found: dict[str, Message] = {}
    for path in _FOLDER.glob("*.toml"):
        if path.name != "problems.toml":
            for code, table in tables(path).items():
                if code in found:
                    raise ValueError(f"message code defined twice: {code}")
                found[code] = Message(code=code, **table)
    return found


@functools.cache
def problems() -> Mapping[str, Mapping[str, str]]:
    """The problem texts (``title`` and ``detail`` in vi and en) by problem code."""
    return tables(_FOLDER / "problems.toml")


def tables(path: Path) -> dict[str, dict[str, str]]:
    """The tables of a message file: TOML of nothing but ``[code]`` and ``key = "text"``, one a line, without escapes.

    Raises `ValueError` for anything else.
    """
    found: dict[str, dict[str, str]] = {}
    table: dict[str, str] | None = None
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        match = _LINE.fullmatch(line)
        code, key, value = match.groups() if match else (None, None, None)
        if code is not None and code not in found:
            table = found[code] = {}
        elif key is not None and value is not None and table is not None and key not in table:
            table[key] = value
        elif match is None or code or key:
            raise ValueError(f'{path.name}, line {number}: not a new [code] or key = "text"')
    return found


class _Blank(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


def text(code: str, lang: str = "vi", data: Mapping[str, object] | None = None) -> str:
    """The message for `code` in `lang` (``vi`` or ``en``), its places filled from `data`."""
    message = catalogue().get(code)
    if message is None:
        return code
    template = message.en if lang == "en" else message.vi
    return filled(template, data or {}, lang) if "{" in template else template


def filled(template: str, data: Mapping[str, object], lang: str) -> str:
    """`template` with its places filled; in Vietnamese, times are Vietnam's and written as people there do."""
    shown = {key: _local(value) for key, value in data.items()} if lang == "vi" else dict(data)
    if isinstance(reason := data.get("reason"), str):
        shown["reason"] = reason_text(reason, lang)
    return template.format_map(_Blank(shown))


def _local(value: object) -> object:
    """``28/12/2025 07:00:00 +07:00`` for an RFC 3339 time in UTC; other values as they are."""
    if not (isinstance(value, str) and _TIME.fullmatch(value)):
        return value
    from datetime import datetime, timedelta, timezone

    moment = datetime.fromisoformat(value)
    try:
        return moment.astimezone(timezone(timedelta(hours=7))).strftime("%d/%m/%Y %H:%M:%S +07:00")
    except OverflowError:  # the last hours of year 9999
        return value


def reason_text(reason: str, lang: str = "vi") -> str:
    """The reason of a problem in `lang`: a short word (``timeout``), a phrase in English, or several of them after
    names (``tsa1: timeout; tsa2: nonce``).  What the catalogue does not know stays as it is.
    """
    if (known := _known(reason, lang)) is not None:
        return known
    name, colon, rest = reason.partition(": ")
    if colon and (known := _known(rest, lang)) is not None:
        return f"{name}: {known}"
    one, semicolon, more = reason.partition("; ")
    if semicolon:
        return f"{reason_text(one, lang)}; {reason_text(more, lang)}"
    return f"{name}: {reason_text(rest, lang)}" if colon else reason.replace("http_", "HTTP ")


def _known(reason: str, lang: str) -> str | None:
    label = "reason_" + reason.replace("-", "_")
    if label in catalogue():
        return text(label, lang)
    if lang != "en":
        for pattern, code in _phrases():
            if found := pattern.fullmatch(reason):
                return text(code, lang, found.groupdict())
    return None


@functools.cache
def _phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Patterns of the English reasons, the most exact first; an ellipsis stands for anything."""
    found = []
    for code, message in catalogue().items():
        if code.startswith("reason_"):
            parts = re.split(r"\{(\w+)\}|(…)", message.en)
            groups = [f"(?P<{name}>.*)" if name else ".*" for name in parts[1::3]]
            fixed = [re.escape(part) for part in parts[::3]]
            pattern = "".join(a + b for a, b in zip(fixed, [*groups, ""], strict=True))
            found.append((len(groups), -len(message.en), re.compile(pattern, re.DOTALL), code))
    return tuple(entry[2:] for entry in sorted(found, key=lambda entry: entry[:2]))


__all__ = ["Message", "catalogue", "filled", "problems", "reason_text", "text"]
