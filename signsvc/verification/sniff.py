"""What kind of document the first octets say it is.  A declared type or a file name never decides."""

from __future__ import annotations

from signsvc.errors import DocumentError

PDF = "application/pdf"
# ISO 32000-1 Annex H.3: readers accept the header within the first 1024 octets.
_HEAD = 1024


def media_type(head: bytes, size: int) -> str:
    """The media type for a document that begins with `head`.

    Raises `DocumentError`: ``empty_document``, ``unsupported_format``.
    """
    if size == 0:
        raise DocumentError("empty_document")
    if b"%PDF-" in head[:_HEAD]:
        return PDF
    raise DocumentError("unsupported_format")
