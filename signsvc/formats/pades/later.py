"""What happened to a file after a signed revision."""

from __future__ import annotations

from importlib import import_module

from signsvc.formats.pdf import Document, Revision
from signsvc.types import Change, Grade


def changes_after(document: Document, revision: Revision, *, removed: bool) -> tuple[Change, ...]:
    """The graded changes of each later revision, and of octets that belong to none.  Raises LimitError.

    `removed` says that the signature of `revision` is in no field of the newest one.
    """
    found: list[Change] = []
    if revision is not document.last:
        try:
            compare = import_module("signsvc.formats.pdf.changes").compare
        except ModuleNotFoundError:
            found = [
                Change(later.number, Grade.UNDEFINED, reasons=("changes_not_compared",))
                for later in document.revisions[revision.index + 1 :]
            ]
        else:
            found = list(compare(document, revision.index))
    number = len(document.revisions)
    if removed:
        found.append(Change(number, Grade.UNDEFINED, reasons=("signature_removed",)))
    if document.trailing is not None:
        found.append(Change(number + 1, Grade.UNDEFINED, reasons=("document_octets_after_end",)))
    return tuple(found)


__all__ = ["changes_after"]
