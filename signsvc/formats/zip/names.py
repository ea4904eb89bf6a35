"""Names of entries: what they read as, and which are refused (ISO/IEC 21320-1 §4, APPNOTE §4.4.17, appendix D)."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable

from signsvc.errors import DocumentError
from signsvc.formats.zip.limits import ambiguous, malformed

_UNICODE_PATH = 0x7075
_DRIVE = re.compile(r"[A-Za-z]:")
_CODE_PAGES = ("cp437", "cp852", "cp1252")


def decoded(raw: bytes, *, utf8: bool, extra: dict[int, bytes]) -> tuple[str, tuple[str, ...]]:
    """The name and its other readings.  Raises `DocumentError`: ``container_malformed``."""
    if utf8 or raw.isascii():
        try:
            return raw.decode("utf-8"), ()
        except UnicodeDecodeError:
            raise malformed("name") from None
    readings: list[str] = []
    field = extra.get(_UNICODE_PATH, b"")
    if len(field) > 5 and field[0] == 1 and int.from_bytes(field[1:5], "little") == zlib.crc32(raw):
        readings.append(_attempt(field[5:], "utf-8"))
    readings += (_attempt(raw, code) for code in ("utf-8", *_CODE_PAGES))
    found = tuple(dict.fromkeys(reading for reading in readings if reading))
    return found[0], found[1:]


def _attempt(raw: bytes, code: str) -> str:
    try:
        return raw.decode(code)
    except UnicodeDecodeError:
        return ""


def check(name: str, depth: int) -> None:
    """Refuse a name that leads out of the container or that programs read differently.

    Raises `DocumentError`: ``container_name_unsafe`` or ``document_too_complex``.
    """
    folders = name.removesuffix("/").split("/")
    if (
        not name
        or any(part in ("", ".", "..") for part in folders)
        or "\\" in name
        or _DRIVE.match(name)
        or any(unicodedata.category(char) in ("Cc", "Cs") for char in name)
    ):
        raise DocumentError("container_name_unsafe")
    if len(folders) > depth:
        raise DocumentError("document_too_complex", limit="folders")


def alike(names: Iterable[str]) -> int:
    """How many names differ from an earlier one by case alone.

    Raises `DocumentError` ``container_ambiguous`` where two are the same, also by Unicode normalisation, where a file
    is a folder too, or where a name differs by case alone from those that give a container its meaning.
    """
    exact: set[str] = set()
    folded: set[str] = set()
    folders: set[str] = set()
    count = 0
    for name in names:
        plain = unicodedata.normalize("NFC", name.removesuffix("/"))
        if plain in exact:
            raise ambiguous("duplicate")
        exact.add(plain)
        parts = plain.split("/")
        folders.update("/".join(parts[:end]) for end in range(1, len(parts) + name.endswith("/")))
        low = plain.casefold()
        if (low == "mimetype" and plain != "mimetype") or (
            parts[0] != "META-INF" and parts[0].casefold() == "meta-inf"
        ):
            raise ambiguous("case")
        count += low in folded
        folded.add(low)
    if any(unicodedata.normalize("NFC", name) in folders for name in names):
        raise ambiguous("duplicate")
    return count


__all__ = ["alike", "check", "decoded"]
