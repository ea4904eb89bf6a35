"""Texts by code: findings, problems and labels, Vietnamese first, English second.

Each ``*.toml`` file of this folder holds tables named by code.  A finding's table carries its default ``level``
(``fail | warn | info``), the ``block`` of EN 319 102-1 that reports it and, where it fails, the sub-indication ``sub``
it leads to; every table carries ``vi`` and ``en``, which may hold ``{name}`` places filled from the finding's data.
Codes are unique over all files; a test proves it.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple


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
    for entry in resources.files(__name__).iterdir():
        if entry.name.endswith(".toml") and entry.name != "problems.toml":
            for code, table in tomllib.loads(entry.read_text("utf-8")).items():
                if code in found:
                    raise ValueError(f"message code defined twice: {code}")
                found[code] = Message(code=code, **table)
    return found


@functools.cache
def problems() -> Mapping[str, Mapping[str, Any]]:
    """The problem texts (``title`` and ``detail`` in vi and en) by problem code."""
    return tomllib.loads((resources.files(__name__) / "problems.toml").read_text("utf-8"))


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
