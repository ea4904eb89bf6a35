"""RFC 3161 timestamp tokens: TSTInfo and the signature over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from signsvc.algorithms import digest_by_oid
from signsvc.asn1 import ber, der
from signsvc.asn1.der import DerError, Tlv
from signsvc.formats.cms.attributes import algorithm
from signsvc.formats.cms.signed_data import read
from signsvc.formats.cms.view import AbsentDigestError, Digest
from signsvc.types import Finding, Origin, Scope, TimestampView

_MAX_INSIDE = 20_000

TST_INFO = "1.2.840.113549.1.9.16.1.4"


@dataclass(frozen=True, slots=True)
class TstInfo:
    """TSTInfo (RFC 3161 §2.4.2)."""

    policy_oid: str
    imprint_oid: str
    imprint: bytes
    serial_number: int
    gen_time: datetime
    accuracy: float | None
    ordering: bool
    nonce: int | None
    tsa_name_der: bytes | None
    critical_extensions: tuple[str, ...]


def read_timestamp(
    token: bytes,
    *,
    id: str,  # noqa: A002 - the view's own name
    kind: str,
    digest: Digest | None,
    proves: tuple[str, ...] = (),
    field: str | None = None,
    scope: Scope | None = None,
    inside: bool = False,
) -> TimestampView:
    """Read a TimeStampToken; zero octets may follow it.

    `digest` gives the digest of what the token is to prove, by digest OID; None leaves `imprint_matches` None.
    `inside`: one of many in another structure, with less room for lenient reading.  Never raises for bad input:
    `signer` is None where the token cannot be read, and findings say why.
    """
    token = bytes(token)
    limit = _MAX_INSIDE if inside else ber.MAX_ELEMENTS
    cms = read(token, subject=id, digest=None, origin=Origin.TIMESTAMP, nested=False, elements=limit)
    findings = list(cms.findings)
    whole = token[: cms.end] if cms.end else token

    def unread() -> TimestampView:
        return TimestampView(
            id, kind, whole, None, proves=proves, field=field, scope=scope, evidence=cms.evidence,
            findings=tuple(findings),
        )  # fmt: skip

    def noted(code: str, **data: object) -> None:
        findings.append(Finding.of(code, subject=id, level=None, **data))

    if not cms.signers:
        return unread()
    if len(cms.signers) != 1:
        noted("timestamp_signers", count=len(cms.signers))
    signer = cms.signers[0]
    if cms.content_type_oid != TST_INFO or cms.encapsulated is None:
        noted("timestamp_content_type")
        return unread()
    try:
        info = tst_info(cms.encapsulated)
    except (DerError, IndexError):
        noted("timestamp_info_malformed")
        return unread()
    if not signer.references:
        noted("timestamp_reference_missing")
    for oid in info.critical_extensions:
        noted("timestamp_critical_extension", oid=oid)
    matches: bool | None = None
    known = digest_by_oid(info.imprint_oid)
    if known is None or known.size != len(info.imprint):
        noted("timestamp_imprint_malformed", oid=info.imprint_oid)
        matches = False
    elif digest is not None:
        try:
            matches = digest(info.imprint_oid) == info.imprint
        except AbsentDigestError:
            matches = None
        except ValueError:
            noted("timestamp_imprint_malformed", oid=info.imprint_oid)
            matches = False
    return TimestampView(
        id=id,
        kind=kind,
        token=whole,
        signer=signer,
        gen_time=info.gen_time,
        accuracy=info.accuracy,
        ordering=info.ordering,
        serial_number=info.serial_number,
        policy_oid=info.policy_oid,
        nonce=info.nonce,
        tsa_name_der=info.tsa_name_der,
        imprint_oid=info.imprint_oid,
        imprint=info.imprint,
        imprint_matches=matches,
        proves=proves,
        field=field,
        scope=scope,
        evidence=cms.evidence,
        findings=tuple(findings),
    )


def tst_info(encoded: bytes) -> TstInfo:
    """Decode TSTInfo.  Raises `DerError` (or `IndexError`) where it is not one, or not version 1."""
    parts = der.children(encoded, der.read_all(encoded, tag=der.SEQUENCE), limit=12)
    if len(parts) < 5 or parts[0].tag != der.INTEGER or der.decode_integer(encoded, parts[0]) != 1:
        raise DerError("malformed TSTInfo")
    policy = der.decode_oid(encoded, parts[1])
    if parts[2].tag != der.SEQUENCE or parts[3].tag != der.INTEGER or parts[4].tag != der.GENERALIZED_TIME:
        raise DerError("malformed TSTInfo")
    imprint = der.children(encoded, parts[2], limit=2)
    if len(imprint) != 2 or imprint[0].tag != der.SEQUENCE or imprint[1].tag != der.OCTET_STRING:
        raise DerError("malformed message imprint")
    accuracy: float | None = None
    ordering = False
    nonce: int | None = None
    tsa: bytes | None = None
    critical: tuple[str, ...] = ()
    order = (der.SEQUENCE, der.BOOLEAN, der.INTEGER, 0xA0, 0xA1)
    last = -1
    for part in parts[5:]:
        if part.tag not in order or order.index(part.tag) <= last:
            raise DerError("malformed TSTInfo")
        last = order.index(part.tag)
        if part.tag == der.SEQUENCE:
            accuracy = _accuracy(encoded, part)
        elif part.tag == der.BOOLEAN:
            if part.end - part.content != 1:
                raise DerError("malformed boolean")
            ordering = encoded[part.content] != 0
        elif part.tag == der.INTEGER:
            nonce = der.decode_integer(encoded, part)
        elif part.tag == 0xA0:
            name = der.read(encoded, part.content, part.end)
            if name.end != part.end:
                raise DerError("malformed TSA name")
            tsa = name.full(encoded)
        else:
            critical = _critical(encoded, part)
    return TstInfo(
        policy,
        algorithm(encoded, imprint[0])[0],
        imprint[1].value(encoded),
        der.decode_integer(encoded, parts[3]),
        der.decode_time(encoded, parts[4]),
        accuracy,
        ordering,
        nonce,
        tsa,
        critical,
    )


def _accuracy(buf: bytes, element: Tlv) -> float:
    """Accuracy in seconds; millis and micros are 1 to 999."""
    total = 0.0
    last = 0
    for part in der.children(buf, element, limit=3):
        value = der.decode_integer(buf, part)
        if part.tag not in (der.INTEGER, 0x80, 0x81) or (last and part.tag <= last) or value < 0:
            raise DerError("malformed accuracy")
        if part.tag != der.INTEGER and value > 999:
            raise DerError("malformed accuracy")
        if value > 10**9:
            raise DerError("accuracy out of range")
        last = part.tag
        total += value / {der.INTEGER: 1, 0x80: 1_000, 0x81: 1_000_000}[part.tag]
    return total


def _critical(buf: bytes, element: Tlv) -> tuple[str, ...]:
    found: list[str] = []
    for extension in der.children(buf, element, limit=50):
        parts = der.children(buf, extension, limit=3)
        if len(parts) == 3 and parts[1].value(buf) != b"\0":
            found.append(der.decode_oid(buf, parts[0]))
    return tuple(found)
