"""Whether a comment may hide what its page shows (ISO 32000-2 §12.5.5, §12.5.6)."""

from __future__ import annotations

import re

from signsvc.formats.pdf.change_form import covers, rectangle
from signsvc.formats.pdf.change_step import Step, dictionary, items
from signsvc.formats.pdf.limits import PdfError
from signsvc.formats.pdf.objects import PdfDict, PdfObject
from signsvc.formats.pdf.stream import Stream
from signsvc.types import Grade

CONTENT, PAGE = "annotation_covers_content", "annotation_covers_page"
COVERING = (CONTENT, PAGE)
_MAX_DRAWN = 1 << 16  # octets of an appearance that are read; longer ones count as painted
_MAX_PLACES = 5  # rectangles named for one revision
_MAX_STATES = 20
_THICK = 10.0  # points: lines from here on may hide a line of text
# What paints an area or brings another picture; strokes and text alone leave what lies below to be seen.
_PAINTS = re.compile(rb"(?<![^\x00\t\n\x0c\r \])>])(?:f\*?|F|B\*?|b\*?|sh|Do|BI)(?![^\x00\t\n\x0c\r %])")
_FILL = {"FreeText": "C", "Square": "IC", "Circle": "IC", "Polygon": "IC"}  # the entry with the colour of the area
_LINES = frozenset({"Ink", "Line", "PolyLine"})


def cover(step: Step, kind: str, value: PdfDict, page: PdfDict, place: int | None) -> None:
    """Note what a comment that came later may hide: on a page with content, or the page as a whole.

    What it looks like is told from its appearance, or without one from its entries; where neither tells, it hides.
    """
    box = rectangle(step, value)
    if box is None or box[0] >= box[2] or box[1] >= box[3] or not _has_content(step, page.get("Contents")):
        return
    if not _hides(step, kind, value):
        return
    if covers(step, value, page):
        step.refuse(PAGE, page=place)
    else:
        step.note(Grade.ANNOTATION, CONTENT, page=place)
    if len(step.notes.covered) < _MAX_PLACES:
        corners = " ".join(f"{round(max(-1e6, min(1e6, corner)))}" for corner in box)
        step.notes.covered.append(f"tr./p. {place or '?'} [{corners}]")


def _has_content(step: Step, contents: PdfObject) -> bool:
    """Whether a page has any content."""
    return isinstance(step.after(contents), Stream) or bool(items(step.new, contents))


def _hides(step: Step, kind: str, value: PdfDict) -> bool:
    if step.after(value.get("AP")) is not None:
        return _painted(step, value.get("AP"))
    if kind in _FILL:
        return bool(items(step.new, value.get(_FILL[kind])))
    if kind in _LINES:
        width = step.after((dictionary(step.new, value.get("BS")) or {}).get("W"))
        return isinstance(width, int | float) and width >= _THICK
    return True


def _painted(step: Step, value: PdfObject) -> bool:
    appearances = dictionary(step.new, value)
    shown = step.after(appearances.get("N")) if appearances else None
    states = list(shown.values()) if isinstance(shown, dict) else [shown]
    return len(states) > _MAX_STATES or any(_paints(step.after(state)) for state in states)


def _paints(stream: PdfObject) -> bool:
    if not isinstance(stream, Stream):
        return stream is not None
    try:
        return _PAINTS.search(stream.decode(_MAX_DRAWN)) is not None
    except PdfError:
        return True


__all__ = ["CONTENT", "COVERING", "PAGE", "cover"]
