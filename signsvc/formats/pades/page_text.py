"""Where words stand on the pages of a document, found by PDFium: for stamps that go by a line of the text.

Foreign octets: called in the process that may be lost.  Text in fonts without Unicode values (TCVN3, VNI) shows other
characters than it looks like and is not found.
"""

from __future__ import annotations

import ctypes
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signsvc.formats.pades.pages import Rect

MOST_PAGES = 2000
_MOST_CHARACTERS = 100_000  # of one page
_MOST_FOUND = 200

# PDFium is not made for several threads.
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Found:
    """Words on page `page` (from 0), within `box` in default user space."""

    page: int
    box: Rect


def find(path: Path, wanted: Sequence[str], pages: Iterable[int]) -> list[list[Found]]:
    """Where each text of `wanted` stands on `pages` (from 0), in reading order.

    White space and the form of accents do not count; a match in the same case goes before one in another.  A document
    that PDFium cannot open has no text.
    """
    import pypdfium2

    found: list[list[Found]] = [[] for _ in wanted]
    loose: list[list[Found]] = [[] for _ in wanted]
    with _lock:
        try:
            document: Any = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError:
            return found
        try:
            for index in list(pages)[:MOST_PAGES]:
                if 0 <= index < len(document):
                    _search(document, index, wanted, found, loose)
        finally:
            document.close()
    return [exact or other for exact, other in zip(found, loose, strict=True)]


def _search(
    document: Any, index: int, wanted: Sequence[str], found: list[list[Found]], loose: list[list[Found]]
) -> None:
    import pypdfium2

    try:
        page = document[index]
        text = page.get_textpage()
    except pypdfium2.PdfiumError:
        return
    try:
        whole = _folded(text.get_text_range())
        if not any(_folded(one) in whole for one in wanted):
            return
        characters = _characters(text)
        for number, one in enumerate(wanted):
            for into, fold in ((found[number], False), (loose[number], True)):
                for first, last in _matches(characters, one, fold):
                    box = _box(text, first, last)
                    if box is not None and len(into) < _MOST_FOUND:
                        into.append(Found(index, box))
    finally:
        text.close()
        page.close()


def _folded(text: str, fold: bool = True) -> str:
    plain = unicodedata.normalize("NFD", text)
    return "".join((plain.casefold() if fold else plain).split())


def _characters(text: Any) -> list[str]:
    from pypdfium2 import raw

    count = min(text.count_chars(), _MOST_CHARACTERS)
    codes = (raw.FPDFText_GetUnicode(text, place) for place in range(count))
    return [chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd" for code in codes]


def _matches(characters: list[str], wanted: str, fold: bool) -> list[tuple[int, int]]:
    """First and last character of every match that is no part of a longer word."""
    target = _folded(wanted, fold)
    letters: list[tuple[str, int]] = []
    pending: list[tuple[int, str, int]] = []  # marks behind one letter, to be put in their canonical order

    def flush() -> None:
        letters.extend((mark, place) for _, mark, place in sorted(pending, key=lambda entry: entry[0]))
        pending.clear()

    for place, character in enumerate(characters):
        plain = unicodedata.normalize("NFD", character)
        for one in plain.casefold() if fold else plain:
            rank = unicodedata.combining(one)
            if rank:
                pending.append((rank, one, place))
                continue
            flush()
            if not one.isspace() and one not in "\x00\u00ad\ufffe\u200b":
                letters.append((one, place))
    flush()
    line = "".join(letter for letter, _ in letters)
    result: list[tuple[int, int]] = []
    at = line.find(target) if target else -1
    while at >= 0 and len(result) < _MOST_FOUND:
        first, last = letters[at][1], letters[at + len(target) - 1][1]
        if not _goes_on(characters, first, -1) and not _goes_on(characters, last, 1):
            result.append((first, last))
        at = line.find(target, at + 1)
    return result


def _goes_on(characters: list[str], place: int, step: int) -> bool:
    beside = place + step
    if not 0 <= beside < len(characters):
        return False
    return characters[place].isalnum() and (
        characters[beside].isalnum() or unicodedata.combining(characters[beside]) > 0
    )


def _box(text: Any, first: int, last: int) -> Rect | None:
    from pypdfium2 import raw

    boxes = []
    area = raw.FS_RECTF()
    for place in range(first, last + 1):
        if raw.FPDFText_IsGenerated(text, place) == 1:
            continue
        if raw.FPDFText_GetLooseCharBox(text, place, ctypes.byref(area)) and area.right > area.left:
            boxes.append((area.left, area.bottom, area.right, area.top))
    if not boxes:
        return None
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


__all__ = ["MOST_PAGES", "Found", "find"]
