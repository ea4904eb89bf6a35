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
        raise DocumentError("unsupported_format")
    else:
        from signsvc.formats import cades

        view = cades.read(data, originals=originals, name=name)
    if originals and kind in (sniff.PDF, sniff.ZIP):
        unused = Finding.of("originals_unused", count=len(originals))
        view = replace(view, findings=(*view.findings, unused))
    return view


def _xml(data: Octets, originals: Sequence[Original], must_cover: Sequence[str]) -> DocumentView:
    import hashlib

    from signsvc.formats import xades, xmlforms, xmlsig

    document = xmlsig.parse(data)
    view = DocumentView(
        media_type=xades.MEDIA_TYPE,
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
        signatures=tuple(xades.views(document, originals=originals)),
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
