"""Signatures without CMS: `adbe.x509.rsa_sha1` (ISO 32000-2 table 255)."""

from __future__ import annotations

from signsvc.asn1 import DerError, der
from signsvc.formats.pades.byterange import SHA1
from signsvc.formats.pdf import LimitError, PdfDict, PdfError, PdfString, Revision
from signsvc.types import Certificate, SignatureValue, SignerView

_SHA1_WITH_RSA = "1.2.840.113549.1.1.5"
_MAX_CERTIFICATES = 20


def raw_signer(
    dictionary: PdfDict, revision: Revision | None, contents: bytes, digest: bytes | None
) -> SignerView | None:
    """The signer: a PKCS#1 value in an OCTET STRING over the SHA-1 `digest`, certificates in /Cert, leaf first."""
    try:
        element = der.read(contents, 0, tag=der.OCTET_STRING)
    except DerError:
        return None
    certificates = []
    for value in _listed(dictionary, revision)[:_MAX_CERTIFICATES]:
        if isinstance(value, PdfString):
            try:
                certificates.append(Certificate.from_der(bytes(value)))
            except DerError:
                continue
    leaf = certificates[0] if certificates else None
    return SignerView(
        value=SignatureValue(_SHA1_WITH_RSA, None, SHA1, element.value(contents), None, digest),
        digest_oid=SHA1,
        # without signed attributes nothing but the signature value speaks of the content
        digest_matches=None if digest is None else True,
        issuer_der=leaf.issuer_der if leaf else None,
        serial_number=leaf.serial_number if leaf else None,
        certificates=tuple(certificates),
    )


def _listed(dictionary: PdfDict, revision: Revision | None) -> list[object]:
    value = dictionary.get("Cert")
    try:
        value = revision.resolve(value) if revision else value
        if isinstance(value, list):
            return [revision.resolve(item) if revision else item for item in value]
    except LimitError:
        raise
    except PdfError:
        return []
    return [value]


__all__ = ["raw_signer"]
