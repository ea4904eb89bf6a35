"""Whether revisions reach for octets that were added to the file after them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from signsvc.formats.pdf.change_scan import wheres
from signsvc.formats.pdf.document import Document, Revision
from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Ref
from signsvc.formats.pdf.xref import PLAIN

_GAP = rb"(?:[\x00\t\n\x0c\r ]|%[^\r\n]{0,256}+[\r\n])*+"
_LENGTH = re.compile(
    rb"/(?:L|#4[Cc])(?:e|#65)(?:n|#6[Ee])(?:g|#67)(?:t|#74)(?:h|#68)(?![^\x00\t\n\x0c\r %+0-9])" + _GAP
)
_STREAM = re.compile(_GAP + rb"stream\r?\n?")
_NUMBER = re.compile(rb"\+?(\d{1,10}+)(?:" + _GAP + rb"(\d{1,5}+)" + _GAP + rb"(R))?")


def rows_reach_out(document: Document) -> bool:
    """Whether cross-references of some revision lead to octets that were added to the file later."""
    return any(
        rows.lead_beyond(revision.end)
        for revision in document.revisions[:-1]
        for section in revision.sections
        for rows in (section.rows, section.hidden)
        if rows is not None
    )


def streams_reach_out(document: Document) -> bool:
    """Whether a stream of some revision ends, by its /Length, behind the revision's end.

    Where the octets there are no end of a stream, programs look for one; with others appended the same stream holds
    what somebody added.
    """
    return any(
        _ends_beyond(revision, starts, at)
        for revision in document.revisions[:-1]
        if (suspects := list(_suspects(revision)))
        for starts in (sorted(wheres(revision, PLAIN)),)
        for at in suspects
    )


def _suspects(revision: Revision) -> Iterator[int]:
    """Offsets of lengths that no stream of the revision can have there."""
    buffer = revision.document.buffer
    for found in _LENGTH.finditer(buffer, revision.start, revision.end):
        number = _NUMBER.match(buffer, found.end(), revision.end)
        if number is None:
            continue
        value: object = int(number[1])
        if number[3]:
            try:
                value = revision.resolve(Ref(int(number[1]), int(number[2])))
            except LimitError:
                raise
            except PdfError:
                continue
        if type(value) is int and found.start() + value > revision.end:
            yield found.start()


def _ends_beyond(revision: Revision, starts: list[int], at: int) -> bool:
    """Whether the object around offset `at` is a stream that ends behind the revision."""
    index = bisect_right(starts, at) - 1
    if index < 0:
        return False
    document = revision.document
    try:
        found = document.physical(starts[index])
        keyword = _STREAM.match(document.buffer, found.end, revision.end)
        if keyword is None or not isinstance(found.value, dict):
            return False
        length = revision.value(found.value, "Length")
    except LimitError:
        raise
    except PdfError:
        return False
    return type(length) is int and keyword.end() + length > revision.end


__all__ = ["rows_reach_out", "streams_reach_out"]
