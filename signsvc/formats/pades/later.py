"""What happened to a file after a signed revision."""

from __future__ import annotations

import re

from signsvc.formats.pdf import Document, LimitError, PdfError, Revision
from signsvc.formats.pdf.changes import compare
from signsvc.formats.pdf.parser import SPACE
from signsvc.types import Change, Grade

_TAIL = 1024  # octets of the end that are searched for startxref (ISO 32000-2 Annex I)
_SECTION = re.compile(rb"[\x00\t\n\x0c\r ]*+(?:xref|\d{1,10}+[\x00\t\n\x0c\r ]++\d{1,5}+[\x00\t\n\x0c\r ]++obj)")


def displaced(document: Document, end: int) -> bool:
    """Whether what was added from octet `end` on leaves ``startxref`` outside the stretch where programs look for it.

    They then gather the objects of the file by themselves, and may show others.
    """
    size = document.size
    return end < size and size - document.buffer.rfind(b"startxref") > _TAIL


def changes_after(document: Document, revision: Revision, end: int, *, removed: bool) -> tuple[Change, ...]:
    """The graded changes of each later revision, and of octets that belong to none.  Raises LimitError.

    `end` is the first octet that the signature of `revision` does not cover; `removed` says that the signature is in no
    field of the newest revision.
    """
    found: list[Change] = []
    if revision is not document.last:
        try:
            found.extend(compare(document, revision.index))
        except LimitError:
            raise
        except PdfError:
            # what cannot be read cannot be called harmless
            found = [
                Change(later.number, Grade.UNDEFINED, reasons=("changes_not_compared",))
                for later in document.revisions[revision.index + 1 :]
            ]
    number = len(document.revisions)
    if found and _ambiguous(document):
        found.append(Change(number, Grade.UNDEFINED, reasons=("changes_not_compared",)))
    if document.trailing is None and displaced(document, end):
        found.append(Change(number, Grade.UNDEFINED, reasons=("document_end_displaced",)))
    if removed:
        found.append(Change(number, Grade.UNDEFINED, reasons=("signature_removed",)))
    if document.trailing is not None:
        reason = "document_octets_after_end"
        count = document.size - document.trailing
        found.append(Change(number + 1, Grade.UNDEFINED, reasons=(reason,), details=((reason, "count", count),)))
    return tuple(found)


def _ambiguous(document: Document) -> bool:
    """Whether readers that count offsets from the header, not from the first octet, find other cross-references."""
    pointer = document.last.sections[0].pointer
    if not document.header_offset or pointer is None:
        return False
    gap = SPACE.match(document.buffer, pointer + document.header_offset)
    return gap is not None and _SECTION.match(document.buffer, gap.end()) is not None


__all__ = ["changes_after", "displaced"]
