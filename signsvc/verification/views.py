"""From octets to the view of a document, by its kind."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from signsvc.errors import DocumentError
from signsvc.types import DocumentView, Finding, Original
from signsvc.verification import sniff
from signsvc.verification.files import opened
from signsvc.verification.model import OriginalFile

Octets = bytes | mmap.mmap
_LONG = 200  # characters of a name that readers keep


def view_of(
    data: Octets, originals: Sequence[Original], *, name: str | None, must_cover: Sequence[str]
) -> DocumentView:
    """The view of the document in `data`, whose detached signatures are over `originals`.

    Raises `DocumentError` where it cannot be processed (``unsupported_format`` for kinds that are not known), and
    `RequestError` for a `must_cover` that names no elements.
    """
    kind = sniff.media_type(bytes(data[:1024]), len(data))
    if kind == sniff.PDF:
        from signsvc.formats import pades

        view = pades.read(data)
    elif kind == sniff.XML:
        view = _xml(data, originals, must_cover)
    elif kind == sniff.ZIP:
        from signsvc.formats import asic

        view = asic.read(data, name=name)
    else:
        from signsvc.formats import cades

        view = cades.read(data, originals=originals, name=name)
    return _noted(view, originals)


def _noted(view: DocumentView, originals: Sequence[Original]) -> DocumentView:
    """`view` with findings where originals are of no use, or digests of them do not do."""
    found = []
    used = {one.name for s in view.signatures for one in s.covered if one.kind in ("file", "object")}
    if view.media_type == sniff.PDF or view.media_type.endswith("+zip"):
        used = set()  # what they sign stands inside
    unused = sum(one.name[:_LONG] not in used for one in originals)
    if unused:
        found.append(Finding.of("originals_unused", count=unused))
    if any(one.data is None for one in originals):
        found += [
            Finding.of("archive_timestamp_needs_content", subject=signature.id)
            for signature in view.signatures
            if signature.signer is not None
            and any(t.kind == "archive" and t.imprint_matches is None for t in signature.signer.timestamps)
        ]
    return replace(view, findings=(*view.findings, *found)) if found else view


def _xml(data: Octets, originals: Sequence[Original], must_cover: Sequence[str]) -> DocumentView:
    import hashlib

    from signsvc.formats import edxml, xades, xmlforms, xmlsig

    document = xmlsig.parse(data)
    view = DocumentView(
        media_type=xades.MEDIA_TYPE,
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
        signatures=tuple(xades.views(document, originals=originals)),
        findings=(Finding.of("edxml_is_a_packet"),) if edxml.is_packet(document.root) else (),
    )
    return xmlforms.apply(document, view, must_cover)


@contextmanager
def opened_originals(files: Sequence[OriginalFile]) -> Iterator[tuple[Original, ...]]:
    """The originals as the readers take them.  Raises `DocumentError` (``not_found``) for a file that is not there."""
    with ExitStack() as stack:
        found = []
        for one in files:
            data: Octets | None = None
            if one.path is not None:
                try:
                    data = stack.enter_context(opened(one.path, empty=True))
                except OSError:
                    raise DocumentError("not_found") from None
            found.append(Original(one.name, data, dict(one.digests)))
        yield tuple(found)


__all__ = ["opened_originals", "view_of"]
