"""The octets of a CMS file: DER or BER as they stand, PEM, or base64 text alone."""

from __future__ import annotations

import base64
import binascii
import mmap
import re

from signsvc.errors import DocumentError

MAX_OCTETS = 256 * 1024 * 1024

_SEQUENCE = 0x30  # no base64 of a sequence starts with this octet
_SPACE = b" \t\r\n\x0c\x0b"
_BOM = b"\xef\xbb\xbf"
_PEM = re.compile(
    rb"-----BEGIN (?P<label>PKCS ?#?7|PKCS #7 SIGNED DATA|CMS)-----(?P<body>[^-]*+)-----END (?P=label)-----"
)
_TEXT = re.compile(rb"[A-Za-z0-9+/\s]*+[=\s]*+")


def decode(data: bytes | mmap.mmap) -> bytes:
    """The encoded ContentInfo in `data`.

    PEM is taken with the labels PKCS7 and CMS (RFC 7468 §8, §9), the first block where there are several; base64
    without such lines too, since many programs hand a signature over that way.  Raises `DocumentError`:
    ``empty_document``, ``document_too_large``, ``document_unreadable``.
    """
    if not len(data):
        raise DocumentError("empty_document")
    if len(data) > MAX_OCTETS:
        raise DocumentError("document_too_large", limit=MAX_OCTETS)
    octets = bytes(data)
    if octets[0] == _SEQUENCE:
        return octets
    text = octets.removeprefix(_BOM)
    body: bytes | None = None
    if (found := _PEM.search(text)) is not None:
        body = found["body"]
    elif _TEXT.fullmatch(text):
        body = text
    if body is not None:
        try:
            decoded = base64.b64decode(body.translate(None, _SPACE), validate=True)
        except (ValueError, binascii.Error):
            raise DocumentError("document_unreadable") from None
        if decoded and decoded[0] == _SEQUENCE:
            return decoded
    raise DocumentError("document_unreadable")


__all__ = ["MAX_OCTETS", "decode"]
