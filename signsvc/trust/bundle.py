"""Certificates out of the files that authorities publish: DER, PEM and PKCS#7 (RFC 5652 §5, certificates only)."""

from __future__ import annotations

import base64
import binascii
import re

from signsvc.asn1 import DerError, der
from signsvc.errors import RequestError
from signsvc.types import Certificate

MAX_FILE = 8 * 1024 * 1024
MAX_CERTIFICATES = 500
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE", b"PKCS7", b"CMS")


def read_certificates(data: bytes) -> tuple[Certificate, ...]:
    """Every certificate of a DER, PEM or PKCS#7 file, each once, in order.

    Raises `RequestError` (``invalid_request``) where there is none or one cannot be read.
    """
    if len(data) > MAX_FILE:
        raise RequestError(reason="certificate file too large")
    found: list[Certificate] = []
    try:
        blocks = [(label, base64.b64decode(body)) for label, body in _PEM.findall(data) if label in _LABELS]
        if not blocks and data.lstrip()[:1] not in (b"\x30", b""):
            blocks = [(b"", base64.b64decode(b"".join(data.split()), validate=True))]
        for _, block in blocks or [(b"", data)]:
            found += _block(block)
    except (DerError, binascii.Error, ValueError, IndexError):
        raise RequestError(reason="not a certificate file") from None
    if not found:
        raise RequestError(reason="the file holds no certificate")
    return tuple(dict.fromkeys(found))


def _block(block: bytes) -> list[Certificate]:
    outer = der.read_all(block, tag=der.SEQUENCE) if not _indefinite(block) else None
    if outer is None or der.children(block, outer)[0].tag == der.OID:
        return _pkcs7(block)
    return [Certificate.from_der(block)]


def _indefinite(block: bytes) -> bool:
    return block[:2] == b"\x30\x80"


def _pkcs7(block: bytes) -> list[Certificate]:
    if _indefinite(block):
        # Some authorities publish BER; OpenSSL behind `cryptography` reads it.
        from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

        return [Certificate.from_der(c.public_bytes(Encoding.DER)) for c in pkcs7.load_der_pkcs7_certificates(block)]
    kind, wrapper = der.children(block, der.read_all(block, tag=der.SEQUENCE))[:2]
    if der.decode_oid(block, kind) != _SIGNED_DATA:
        raise DerError("not signed data")
    signed = der.read(block, wrapper.content, wrapper.end, tag=der.SEQUENCE)
    for part in der.children(block, signed):
        if part.tag == 0xA0:
            elements = der.children(block, part, limit=MAX_CERTIFICATES)
            return [Certificate.from_der(e.full(block)) for e in elements if e.tag == der.SEQUENCE]
    return []
