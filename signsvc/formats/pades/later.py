"""What happened to a file after a signed revision."""

from __future__ import annotations

from signsvc.formats.pdf import Document, LimitError, PdfError, Revision
from signsvc.formats.pdf.changes import compare
from signsvc.types import Change, Grade


def changes_after(document: Document, revision: Revision, *, removed: bool) -> tuple[Change, ...]:
    """The graded changes of each later revision, and of octets that belong to none.  Raises LimitError.

    `removed` says that the signature of `revision` is in no field of the newest one.
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
    if removed:
        found.append(Change(number, Grade.UNDEFINED, reasons=("signature_removed",)))
    if document.trailing is not None:
        found.append(Change(number + 1, Grade.UNDEFINED, reasons=("document_octets_after_end",)))
    return tuple(found)


__all__ = ["changes_after"]
