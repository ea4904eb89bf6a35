"""Signed and unsigned attributes (RFC 5652 §11, RFC 5035, RFC 6211, EN 319 122-1 §5)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import datetime

from signsvc.algorithms import SHAKE256
from signsvc.asn1 import der
from signsvc.asn1.der import DerError, Tlv
from signsvc.formats.cms import evidence
from signsvc.formats.cms.view import MAX_ATTRIBUTE_VALUES, MAX_ATTRIBUTES, Reading
from signsvc.types import CertificateRef, Finding

CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
COUNTER_SIGNATURE = "1.2.840.113549.1.9.6"
ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
SIGNATURE_TIMESTAMP = "1.2.840.113549.1.9.16.2.14"
SIGNATURE_POLICY = "1.2.840.113549.1.9.16.2.15"
COMMITMENT_TYPE = "1.2.840.113549.1.9.16.2.16"
SIGNER_LOCATION = "1.2.840.113549.1.9.16.2.17"
SIGNER_ATTRIBUTES = "1.2.840.113549.1.9.16.2.18"
CONTENT_TIMESTAMP = "1.2.840.113549.1.9.16.2.20"
CERTIFICATE_VALUES = "1.2.840.113549.1.9.16.2.23"
REVOCATION_VALUES = "1.2.840.113549.1.9.16.2.24"
ARCHIVE_TIMESTAMP_V1 = "1.2.840.113549.1.9.16.2.27"
ARCHIVE_TIMESTAMP_V2 = "1.2.840.113549.1.9.16.2.48"
ARCHIVE_TIMESTAMP_V3 = "0.4.0.1733.2.4"
MIME_TYPE = "0.4.0.1733.2.1"
SIGNER_ATTRIBUTES_V2 = "0.4.0.19122.1.1"
REVOCATION_ARCHIVAL = "1.2.840.113583.1.1.8"

_NAMES = {
    CONTENT_TYPE: "content-type",
    MESSAGE_DIGEST: "message-digest",
    SIGNING_TIME: "signing-time",
    COUNTER_SIGNATURE: "counter-signature",
    ALGORITHM_PROTECTION: "cms-algorithm-protection",
    SIGNING_CERTIFICATE: "signing-certificate",
    SIGNING_CERTIFICATE_V2: "signing-certificate-v2",
    SIGNATURE_TIMESTAMP: "signature-time-stamp",
    SIGNATURE_POLICY: "signature-policy-identifier",
    COMMITMENT_TYPE: "commitment-type-indication",
    SIGNER_LOCATION: "signer-location",
    SIGNER_ATTRIBUTES: "signer-attributes",
    CONTENT_TIMESTAMP: "content-time-stamp",
    CERTIFICATE_VALUES: "certificate-values",
    REVOCATION_VALUES: "revocation-values",
    ARCHIVE_TIMESTAMP_V1: "archive-time-stamp",
    ARCHIVE_TIMESTAMP_V2: "archive-time-stamp-v2",
    ARCHIVE_TIMESTAMP_V3: "archive-time-stamp-v3",
    MIME_TYPE: "mime-type",
    SIGNER_ATTRIBUTES_V2: "signer-attributes-v2",
    REVOCATION_ARCHIVAL: "revocation-info-archival",
    "1.2.840.113549.1.9.16.2.21": "complete-certificate-references",
    "1.2.840.113549.1.9.16.2.22": "complete-revocation-references",
    "1.2.840.113549.1.9.16.2.44": "attribute-certificate-references",
    "1.2.840.113549.1.9.16.2.45": "attribute-revocation-references",
    "0.4.0.19122.1.2": "complete-certificate-references-v2",
    "0.4.0.19122.1.3": "attribute-certificate-references-v2",
    "1.2.840.113549.1.9.16.2.25": "cades-c-time-stamp",
    "1.2.840.113549.1.9.16.2.26": "cert-crl-time-stamp",
    "0.4.0.1733.2.2": "long-term-validation",
}

# Complete references name values without holding them, and these timestamps are over the references: what is needed
# stands in the values or is obtained, so none of them is used (EN 319 122-1 annex A).
REFERENCES = frozenset(
    (
        "1.2.840.113549.1.9.16.2.21",
        "1.2.840.113549.1.9.16.2.22",
        "1.2.840.113549.1.9.16.2.44",
        "1.2.840.113549.1.9.16.2.45",
        "0.4.0.19122.1.2",
        "0.4.0.19122.1.3",
        "1.2.840.113549.1.9.16.2.25",
        "1.2.840.113549.1.9.16.2.26",
        "0.4.0.1733.2.2",
    )
)

# These may stand several times or hold several values (EN 319 122-1 §5.2.3, §5.2.6, §5.2.8); nothing else may.
_SEVERAL = frozenset((COMMITMENT_TYPE, CONTENT_TIMESTAMP, SIGNER_ATTRIBUTES, SIGNER_ATTRIBUTES_V2))

# These belong among the unsigned attributes only.
_UNSIGNED_ONLY = frozenset(
    (
        COUNTER_SIGNATURE,
        SIGNATURE_TIMESTAMP,
        CERTIFICATE_VALUES,
        REVOCATION_VALUES,
        ARCHIVE_TIMESTAMP_V1,
        ARCHIVE_TIMESTAMP_V2,
        ARCHIVE_TIMESTAMP_V3,
    )
)
# ... and these among the signed ones only: anyone could add them to the others.
_SIGNED_ONLY = frozenset(
    (
        CONTENT_TYPE,
        MESSAGE_DIGEST,
        SIGNING_TIME,
        ALGORITHM_PROTECTION,
        SIGNING_CERTIFICATE,
        SIGNING_CERTIFICATE_V2,
        SIGNATURE_POLICY,
        COMMITMENT_TYPE,
        SIGNER_LOCATION,
        SIGNER_ATTRIBUTES,
        SIGNER_ATTRIBUTES_V2,
        CONTENT_TIMESTAMP,
        MIME_TYPE,
    )
)

_SHA256 = "2.16.840.1.101.3.4.2.1"
_SHA1 = "1.3.14.3.2.26"
# id-shake256-len with the length that the plain identifier stands for (RFC 8419 §2.2).
_SHAKE256_512 = ("2.16.840.1.101.3.4.2.18", b"\x02\x02\x02\x00")
_STRINGS = {0x0C: "utf-8", 0x13: "latin-1", 0x14: "latin-1", 0x16: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
_MAX_TEXT = 1024
_MAX_ROLES = 20
_MAX_NESTED = 5
_MAX_ALGORITHM = 1024  # octets
_MAX_REFERENCE = 8 * 1024  # octets


def label(oid: str) -> str:
    """The name of an attribute type for findings."""
    return _NAMES.get(oid, oid)


@dataclass(slots=True)
class SignedAttributes:
    """What the signed attributes say, with what is wrong about them."""

    message_digest: bytes | None = None
    content_type: str | None = None
    signing_time: datetime | None = None
    references: list[CertificateRef] = field(default_factory=list)
    policy_oid: str | None = None
    policy_digest: tuple[str, bytes] | None = None
    commitments: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    place: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    role_values: int = 0  # attribute values that roles were sought in
    content_timestamps: list[Tlv] = field(default_factory=list)
    protection: tuple[str, str | None, bytes | None] | None = None  # digest OID, signature OID, its parameters
    findings: list[Finding] = field(default_factory=list)


def attribute(buf: bytes, element: Tlv) -> tuple[str, list[Tlv]]:
    """(type, values) of one Attribute.  Raises `DerError`."""
    if element.tag != der.SEQUENCE:
        raise DerError("attribute is a sequence")
    parts = der.children(buf, element, limit=2)
    if len(parts) != 2 or parts[1].tag != der.SET:
        raise DerError("attribute has a type and a set of values")
    return der.decode_oid(buf, parts[0]), der.children(buf, parts[1], limit=MAX_ATTRIBUTE_VALUES)


def signed(buf: bytes, element: Tlv, reading: Reading) -> SignedAttributes:
    """Read SignedAttributes: DER order, each type once, one value each (RFC 5652 §5.3, §11)."""
    view = SignedAttributes()
    seen: set[str] = set()
    before = b""
    for item in der.children(buf, element, limit=MAX_ATTRIBUTES):
        encoded = buf[item.start : item.end]
        if encoded < before:
            _disordered(view, reading)
        before = encoded
        try:
            oid, values = attribute(buf, item)
        except DerError:
            reading.malformed = True
            view.findings.append(reading.note("cms_signed_attribute_malformed", attribute="?"))
            continue
        view.types.append(oid)
        if len(values) > 1 and not _ordered(buf, values):
            _disordered(view, reading)
        if oid not in _SEVERAL:
            if oid in seen:
                view.findings.append(reading.note("cms_signed_attribute_repeated", attribute=label(oid)))
                continue
            if len(values) != 1 and (oid in _NAMES or not values):
                view.findings.append(
                    reading.note("cms_signed_attribute_values", attribute=label(oid), count=len(values))
                )
                continue
        seen.add(oid)
        if oid in _UNSIGNED_ONLY:
            view.findings.append(reading.note("cms_attribute_misplaced", attribute=label(oid)))
            continue
        if oid in (SIGNER_ATTRIBUTES, SIGNER_ATTRIBUTES_V2):
            values = values[: max(0, _MAX_ROLES - view.role_values)]
            view.role_values += len(values)
        for value in values:
            try:
                _take(buf, oid, value, view, reading)
            except DerError:
                reading.malformed = True
                view.findings.append(reading.note("cms_signed_attribute_malformed", attribute=label(oid)))
    return view


def _disordered(view: SignedAttributes, reading: Reading) -> None:
    if not any(f.code == "cms_signed_attributes_order" for f in view.findings):
        view.findings.append(reading.note("cms_signed_attributes_order"))


def _ordered(buf: bytes, values: list[Tlv]) -> bool:
    """Whether the values of one attribute stand in DER order (X.690 §11.6)."""
    encoded = [value.full(buf) for value in values]
    return encoded == sorted(encoded)


def misplaced(oid: str) -> bool:
    """Whether this type may not stand among the unsigned attributes."""
    return oid in _SIGNED_ONLY


def _take(buf: bytes, oid: str, value: Tlv, view: SignedAttributes, reading: Reading) -> None:
    if oid == MESSAGE_DIGEST:
        view.message_digest = der.read(buf, value.start, value.end, tag=der.OCTET_STRING).value(buf)
    elif oid == CONTENT_TYPE:
        view.content_type = der.decode_oid(buf, value)
    elif oid == SIGNING_TIME:
        view.signing_time = der.decode_time(buf, value)
    elif oid == SIGNING_CERTIFICATE:
        view.references.append(_reference(value.full(buf), _SHA1))
    elif oid == SIGNING_CERTIFICATE_V2:
        view.references.append(_reference(value.full(buf), None))
    elif oid == ALGORITHM_PROTECTION:
        view.protection = _protection(buf, value)
    elif oid == REVOCATION_ARCHIVAL:
        evidence.revocation_values(buf, value, reading)
    elif oid == SIGNATURE_POLICY:
        view.policy_oid, view.policy_digest = _policy(buf, value)
    elif oid == COMMITMENT_TYPE:
        parts = _sequence(buf, value)
        if not parts:
            raise DerError("commitment without a type")
        view.commitments.append(der.decode_oid(buf, parts[0]))
    elif oid in (SIGNER_ATTRIBUTES, SIGNER_ATTRIBUTES_V2):
        view.roles += _roles(buf, value)[: _MAX_ROLES - len(view.roles)]
    elif oid == SIGNER_LOCATION:
        view.place = [text for part in _sequence(buf, value)[:3] for text in _texts(buf, part)]
    elif oid == CONTENT_TIMESTAMP:
        view.content_timestamps.append(value)


def _sequence(buf: bytes, element: Tlv) -> list[Tlv]:
    if element.tag != der.SEQUENCE:
        raise DerError("expected a sequence")
    return der.children(buf, element)


def algorithm(buf: bytes, element: Tlv) -> tuple[str, bytes | None]:
    """(OID, parameters DER) of an AlgorithmIdentifier, whatever tag it is under.  Raises `DerError`."""
    return _algorithm(buf[element.content : element.end])


@functools.lru_cache(maxsize=1024)
def _algorithm(content: bytes) -> tuple[str, bytes | None]:
    if len(content) > _MAX_ALGORITHM:
        raise DerError("algorithm identifier too long")
    parts = der.children(content, Tlv(der.SEQUENCE, 0, 0, len(content)), limit=2)
    if not parts:
        raise DerError("algorithm identifier without an algorithm")
    oid, parameters = der.decode_oid(content, parts[0]), parts[1].full(content) if len(parts) == 2 else None
    if (oid, parameters) == _SHAKE256_512:
        return SHAKE256.oid, None
    return oid, parameters


def _reference(encoded: bytes, digest_oid: str | None) -> CertificateRef:
    """The first ESSCertID (`digest_oid` SHA-1) or ESSCertIDv2 (None: written, SHA-256 by default); RFC 5035 §4, §5."""
    if len(encoded) > _MAX_REFERENCE:
        raise DerError("certificate references too long")
    return _parsed_reference(encoded, digest_oid)


@functools.lru_cache(maxsize=512)
def _parsed_reference(buf: bytes, digest_oid: str | None) -> CertificateRef:
    """One signer writes the same reference into every signature."""
    outer = _sequence(buf, der.read_all(buf))
    identifiers = _sequence(buf, outer[0]) if outer else []
    if not identifiers:
        raise DerError("no certificate identifier")
    parts = _sequence(buf, identifiers[0])
    if digest_oid is None:
        digest_oid = _SHA256
        if parts and parts[0].tag == der.SEQUENCE:
            digest_oid, _ = algorithm(buf, parts[0])
            parts = parts[1:]
    if not 1 <= len(parts) <= 2 or parts[0].tag != der.OCTET_STRING:
        raise DerError("malformed certificate identifier")
    issuer = None
    serial = None
    if len(parts) == 2:
        fields = _sequence(buf, parts[1])
        if len(fields) != 2:
            raise DerError("malformed issuer and serial number")
        serial = der.decode_integer(buf, fields[1])
        names = [n for n in _sequence(buf, fields[0]) if n.tag == 0xA4]
        if len(names) == 1:
            issuer = der.read(buf, names[0].content, names[0].end, tag=der.SEQUENCE).full(buf)
    return CertificateRef(digest_oid, parts[0].value(buf), issuer, serial)


def _protection(buf: bytes, value: Tlv) -> tuple[str, str | None, bytes | None]:
    parts = _sequence(buf, value)
    if len(parts) != 2 or parts[0].tag != der.SEQUENCE or parts[1].tag not in (0xA1, 0xA2):
        raise DerError("malformed algorithm protection")
    digest_oid, _ = algorithm(buf, parts[0])
    if parts[1].tag != 0xA1:
        return digest_oid, None, None
    return digest_oid, *algorithm(buf, parts[1])


def _policy(buf: bytes, value: Tlv) -> tuple[str | None, tuple[str, bytes] | None]:
    if value.tag == der.NULL:
        return None, None  # SignaturePolicyImplied
    parts = _sequence(buf, value)
    if not parts:
        raise DerError("signature policy without an identifier")
    oid = der.decode_oid(buf, parts[0])
    if len(parts) < 2 or parts[1].tag != der.SEQUENCE:
        return oid, None
    fields = der.children(buf, parts[1])
    if len(fields) == 2 and fields[0].tag == der.SEQUENCE and fields[1].tag == der.OCTET_STRING:
        return oid, (algorithm(buf, fields[0])[0], fields[1].value(buf))
    return oid, None


def _roles(buf: bytes, value: Tlv) -> list[str]:
    """Texts of the claimed attributes; certified ones are not roles that the signer claims."""
    found: list[str] = []
    for part in _sequence(buf, value):
        if part.tag != 0xA0:
            continue
        claimed = der.children(buf, part, limit=_MAX_ROLES)
        if len(claimed) == 1 and claimed[0].tag == der.SEQUENCE:
            inner = der.children(buf, claimed[0], limit=_MAX_ROLES)
            if inner and inner[0].tag == der.SEQUENCE:
                claimed = inner  # explicit tag
        for item in claimed:
            _, values = attribute(buf, item)
            found += [text for v in values[:_MAX_ROLES] for text in _texts(buf, v)]
    return found


def _texts(buf: bytes, element: Tlv, depth: int = 2) -> list[str]:
    codec = _STRINGS.get(element.tag)
    if codec is not None or element.tag & 0xE0 == 0x80:
        return [element.value(buf)[:_MAX_TEXT].decode(codec or "utf-8", "replace")]
    if element.tag & 0x20 and depth:
        return [t for child in der.children(buf, element, limit=_MAX_NESTED) for t in _texts(buf, child, depth - 1)]
    return []
