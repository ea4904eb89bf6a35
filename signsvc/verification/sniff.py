"""What kind of document the first octets say it is.  A declared type or a file name never decides."""

from __future__ import annotations

import base64
import binascii
import codecs
import re

from signsvc.errors import DocumentError

PDF = "application/pdf"
XML = "application/xml"
ZIP = "application/zip"
CMS = "application/cms"
# ISO 32000-1 Annex H.3: readers accept the header within the first 1024 octets.
_HEAD = 1024
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")  # OID of SignedData (RFC 5652 §5.1)
_PEM = re.compile(rb"\s*-----BEGIN (?:PKCS7|CMS|PKCS #7 SIGNED DATA)-----")
_BASE64 = re.compile(rb"\s*([A-Za-z0-9+/\r\n]{64,})")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What systems put before the prolog of a packet; QCVN 102 files have been seen with digits there.
_BEFORE_PROLOG = 64


def media_type(head: bytes, size: int) -> str:
    """The media type for a document that begins with `head`.

    Raises `DocumentError`: ``empty_document``, ``unsupported_format``.
    """
    if size == 0:
        raise DocumentError("empty_document")
    if head.startswith(b"PK\x03\x04"):
        return ZIP
    if _is_xml(head):
        return XML
    if _is_cms(head):
        return CMS
    if b"%PDF-" in head[:_HEAD]:
        return PDF
    raise DocumentError("unsupported_format")


def _is_xml(head: bytes) -> bool:
    for mark in _MARKS:
        if head.startswith(mark):
            head = head[len(mark) :]
            break
    start = head.lstrip(b" \t\r\n\x00")[:2].replace(b"\x00", b"")
    return (start[:1] == b"<" and not start[1:2].isspace()) or b"<?xml" in head[:_BEFORE_PROLOG]


def _is_cms(head: bytes) -> bool:
    if head[:1] == b"\x30":
        return _SIGNED_DATA in head[:32]
    if _PEM.match(head):
        return True
    found = _BASE64.match(head)
    if found is None or not found[1].startswith(b"MI"):
        return False
    try:
        return _SIGNED_DATA in base64.b64decode(b"".join(found[1].split())[:64])[:32]
    except (binascii.Error, ValueError):
        return False
