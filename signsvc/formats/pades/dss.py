"""Document security stores of all revisions (ETSI EN 319 142-1 §5.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from signsvc.formats.pdf import Document, LimitError, PdfDict, PdfError, PdfObject, Ref, Revision, Stream
from signsvc.types import EvidenceItem, EvidenceKind, Origin

_KEYS = (("Certs", EvidenceKind.CERTIFICATE), ("CRLs", EvidenceKind.CRL), ("OCSPs", EvidenceKind.OCSP))
_VRI_KEYS = (("Cert", EvidenceKind.CERTIFICATE), ("CRL", EvidenceKind.CRL), ("OCSP", EvidenceKind.OCSP))
_MAX_VALUE = 32 << 20  # octets of one value: a CRL with 700,000 entries
_MAX_VISITS = 2_000_000  # entries looked at over all revisions: 1,000 stores that each list 1,000 values twice

_T = TypeVar("_T")


def read(document: Document) -> tuple[tuple[EvidenceItem, ...], bool]:
    """All values with the revision that first lists each, and whether something could not be read.

    A value that a later store leaves out stays: its own revision proves it.  VRI entries are data like the others.
    Raises LimitError.
    """
    found: dict[str, EvidenceItem] = {}
    seen: set[tuple[EvidenceKind, int]] = set()
    # references to objects that only one revision writes: what they name was seen once and stays the same
    settled: set[tuple[EvidenceKind, Ref]] = set()
    broken = False
    visits = _MAX_VISITS
    for revision in document.revisions:
        store = _guard(lambda: revision.dictionary(revision.catalog.get("DSS")))  # noqa: B023 - called at once
        if store is None:
            continue
        listed: set[tuple[EvidenceKind, Ref]] = set()
        for kind, value in _values(revision, store):
            visits -= 1
            if visits < 0:
                raise LimitError("evidence")
            if isinstance(value, Ref):
                if (kind, value) in settled or (kind, value) in listed:
                    continue
                listed.add((kind, value))
            stream = _guard(lambda: revision.resolve(value))  # noqa: B023
            if isinstance(value, Ref) and len(document.history(value.num)) <= (1 if isinstance(stream, Stream) else 0):
                settled.add((kind, value))
            if not isinstance(stream, Stream):
                broken = True
                continue
            if (kind, stream.start) in seen:
                continue
            seen.add((kind, stream.start))
            octets = _guard(lambda: stream.decode(_MAX_VALUE))  # noqa: B023
            if octets is None:
                broken = True
                continue
            item = EvidenceItem(kind, octets, Origin.DSS, revision.number)
            found.setdefault(item.id, item)
            if len(found) > document.limits.evidence:
                raise LimitError("evidence")
    return tuple(found.values()), broken


def written(document: Document) -> int | None:
    """The number of the newest revision that writes the store; None where that is not told by its object."""
    listed = _guard(lambda: document.last.catalog.get("DSS"))
    if not isinstance(listed, Ref):
        return None
    history = document.history(listed.num)
    return document.revisions[max(index for index, _ in history)].number if history else None


def _values(revision: Revision, store: PdfDict) -> Iterator[tuple[EvidenceKind, PdfObject]]:
    yield from _lists(revision, store, _KEYS)
    index = _guard(lambda: revision.dictionary(store.get("VRI"))) or {}
    for entry in index.values():
        parts = _guard(lambda: revision.dictionary(entry))  # noqa: B023
        if parts is not None:
            yield from _lists(revision, parts, _VRI_KEYS)


def _lists(
    revision: Revision, holder: PdfDict, keys: tuple[tuple[str, EvidenceKind], ...]
) -> Iterator[tuple[EvidenceKind, PdfObject]]:
    for key, kind in keys:
        if key in holder:
            for value in _guard(lambda: revision.array(holder.get(key))) or ():  # noqa: B023
                yield kind, value


def _guard(call: Callable[[], _T]) -> _T | None:
    """What `call` gives; None where the file breaks a rule there.  Raises LimitError."""
    try:
        return call()
    except LimitError:
        raise
    except PdfError:
        return None


__all__ = ["read", "written"]
