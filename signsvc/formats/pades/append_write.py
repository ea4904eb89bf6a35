"""Updates of our own put behind a document in a stream, and the digest over it all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, BinaryIO

from signsvc.errors import DocumentError
from signsvc.formats.pades.append_form import Form, Spec
from signsvc.formats.pades.append_update import NotCoveredError, Rendered
from signsvc.formats.pdf import Document, LimitError, PdfError
from signsvc.types import EvidenceItem

_CHUNK = 1 << 20
_KNOWN = frozenset(
    ("texts", "time", "field", "reason", "location", "name", "contact", "certify", "subfilter", "stamped")
)
# What says how a visible field looks is of no consequence for an invisible one.
_LOOKS = frozenset(("page", "rect", "appearance", "lines", "font"))


@dataclass(frozen=True, slots=True)
class Appended:
    """An update in the file: the octets `start:end` of ``<zeros>`` (0 where there is no signature), the size of the
    file, the digest over all other octets."""

    start: int
    end: int
    size: int
    digest: bytes


def append_signature(
    stream: BinaryIO,
    document: Document,
    spec: Spec,
    name: str,
    signer: str,
    room: int,
    digest_name: str,
    *,
    existing: bool,
    state: Any = None,
) -> Appended | None:
    """Append a signature that waits for its CMS; None (and nothing written) where that is left to pyHanko.

    `document` is what `stream` holds, `state` that of a SHA-256 over it where that is known.  Raises `DocumentError`
    (``document_unreadable``, ``document_too_complex``) and `RequestError` for a place that is none.
    """
    if not _covered(spec):
        return None

    def fill(form: Form) -> bool:
        form.sign(spec, name, signer, room, existing=existing)
        return True

    return _appended(stream, document, fill, digest_name, state)


def append_extension(
    stream: BinaryIO,
    document: Document,
    evidence: Iterable[EvidenceItem],
    name: str,
    room: int | None,
    digest_name: str,
    *,
    again: bool = False,
) -> Appended | None:
    """Append validation data that the document lacks and, with `room`, a document timestamp in field `name` that waits
    for its token; see `append_signature`.  Nothing is written where nothing is new, but the store with `again`."""

    def fill(form: Form) -> bool:
        changed = form.supply(evidence, again=again)
        if room is not None:
            form.stamp(name, room)
        return changed or room is not None

    return _appended(stream, document, fill, digest_name)


def _covered(spec: Any) -> bool:
    """Whether all that `spec` asks for is written here."""
    return all(
        entry.name in _KNOWN or entry.name in _LOOKS or getattr(spec, entry.name) == entry.default
        for entry in fields(spec)
    )


def _appended(stream: BinaryIO, document: Document, fill: Any, digest_name: str, state: Any = None) -> Appended | None:
    if stream.seek(0, 2) != document.size:
        raise DocumentError("document_unreadable")
    try:
        form = Form(document)
        if not fill(form):
            return Appended(0, 0, document.size, b"")
        form.finish()
        rendered = form.update.render()
    except NotCoveredError:
        return None
    except LimitError as error:
        raise DocumentError("document_too_complex", limit=error.limit) from None
    except (PdfError, ValueError, RecursionError):  # nested deeper than anything that is written
        raise DocumentError("document_unreadable") from None
    known = state if digest_name == "sha256" else None
    digest = _digest(stream, document.size, rendered, digest_name, known) if rendered.end else b""
    stream.seek(document.size)
    stream.write(rendered.data)
    return Appended(rendered.start, rendered.end, document.size + len(rendered.data), digest)


def _digest(stream: BinaryIO, base: int, rendered: Rendered, name: str, known: Any) -> bytes:
    state = hashlib.new(name) if known is None else known.copy()
    stream.seek(0)
    left = base if known is None else 0
    while left and (chunk := stream.read(min(_CHUNK, left))):
        state.update(chunk)
        left -= len(chunk)
    with memoryview(rendered.data) as data:
        state.update(data[: rendered.start - base])
        state.update(data[rendered.end - base :])
    return state.digest()


__all__ = ["Appended", "append_extension", "append_signature"]
