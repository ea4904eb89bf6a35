"""Certificates and revocation values carried by a CMS (RFC 5652 §10.2, RFC 5940, EN 319 122-1 §5.4, Adobe)."""

from __future__ import annotations

from signsvc.asn1 import der
from signsvc.asn1.der import DerError, Tlv
from signsvc.formats.cms.view import MAX_CERTIFICATES, MAX_ELEMENTS, MAX_REVOCATION_VALUES, Reading
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin

_OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2"  # id-ri-ocsp-response
_OCSP_BASIC = "1.3.6.1.5.5.7.48.1.1"

# PKCS#6 extended certificates, attribute certificates of version 1 and 2, other formats (RFC 5652 §10.2.2).
_OTHER_CERTIFICATES = frozenset((0xA0, 0xA1, 0xA2, 0xA3))


def certificate_set(buf: bytes, element: Tlv, reading: Reading) -> tuple[Certificate, ...]:
    """CertificateSet or SEQUENCE OF Certificate: those that can be read, in the order written."""
    found: list[Certificate] = []
    for count, choice in enumerate(der.children(buf, element, limit=MAX_ELEMENTS)):
        if count >= MAX_CERTIFICATES or len(reading.certificates) >= MAX_CERTIFICATES:
            reading.once("cms_too_many", what="certificates", limit=MAX_CERTIFICATES)
            break
        if choice.tag in _OTHER_CERTIFICATES:
            reading.once("cms_certificate_choice_ignored")
            continue
        try:
            if choice.tag != der.SEQUENCE:
                raise DerError("no certificate")
            certificate = Certificate.from_der(reading.source(choice.start, choice.end))
        except (DerError, IndexError):
            reading.once("cms_certificate_unreadable")
            continue
        if certificate.sha256 not in reading.certificates:
            reading.certificates[certificate.sha256] = certificate
            _keep(EvidenceKind.CERTIFICATE, certificate.der, reading.origin, reading, certificate.sha256.hex())
        if certificate not in found:
            found.append(certificate)
    return tuple(found)


def revocation_set(buf: bytes, element: Tlv, reading: Reading) -> None:
    """RevocationInfoChoices of SignedData (RFC 5652 §10.2.1)."""
    for choice in der.children(buf, element, limit=MAX_ELEMENTS):
        if choice.tag == der.SEQUENCE:
            _keep(EvidenceKind.CRL, reading.source(choice.start, choice.end), reading.origin, reading)
            continue
        if choice.tag == 0xA1:
            parts = der.children(buf, choice)
            kind = der.decode_oid(buf, parts[0]) if len(parts) == 2 else ""
            if kind in (_OCSP_RESPONSE, _OCSP_BASIC):
                value = reading.source(parts[1].start, parts[1].end)
                _keep(EvidenceKind.OCSP, value, reading.origin, reading)
                continue
        reading.once("cms_revocation_choice_ignored")


def revocation_values(buf: bytes, element: Tlv, reading: Reading) -> None:
    """RevocationValues (EN 319 122-1 §5.4.2.2) and Adobe's RevocationInfoArchival: the same shape.

    Raises `DerError` where the value has another shape.
    """
    origin = Origin.TIMESTAMP if reading.origin is Origin.TIMESTAMP else Origin.REVINFO
    if element.tag != der.SEQUENCE:
        raise DerError("revocation values are a sequence")
    for part in der.children(buf, element, limit=3):
        if part.tag not in (0xA0, 0xA1):
            reading.once("cms_revocation_choice_ignored")
            continue
        kind = EvidenceKind.CRL if part.tag == 0xA0 else EvidenceKind.OCSP
        inner = der.read(buf, part.content, part.end, tag=der.SEQUENCE)
        for value in der.children(buf, inner, limit=MAX_REVOCATION_VALUES):
            if value.tag != der.SEQUENCE:
                raise DerError("revocation value is a sequence")
            _keep(kind, reading.source(value.start, value.end), origin, reading)


def _keep(kind: EvidenceKind, value: bytes, origin: Origin, reading: Reading, digest: str = "") -> None:
    key = (kind.value, value)
    if key in reading.evidence:
        return
    if len(reading.evidence) >= MAX_CERTIFICATES + MAX_REVOCATION_VALUES:
        reading.once("cms_too_many", what="revocation values", limit=MAX_REVOCATION_VALUES)
        return
    reading.evidence[key] = EvidenceItem(kind, value, origin, id=f"{kind}:{digest}" if digest else "")
