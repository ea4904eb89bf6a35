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
    return template.format_map(_Blank(data or {})) if "{" in template else template


__all__ = ["Message", "catalogue", "problems", "text"]
