"""Signed properties (EN 319 132-1 §5.2): what the signer says under the signature."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from signsvc.asn1 import DerError, der
from signsvc.formats.xades import nodes
from signsvc.formats.xades.names import MAIN, object_identifier
from signsvc.types import CertificateRef

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_ITEMS = 200  # of one kind that are kept
_MAX_TEXT = 1024  # characters of a role or place that are kept
_PLACE = ("CountryName", "City", "StateOrProvince", "PostalCode", "StreetAddress")


@dataclass(frozen=True, slots=True)
class Properties:
    """The signed properties of one signature; `names` are their local names in the order written."""

    names: tuple[str, ...] = ()
    references: tuple[CertificateRef, ...] = ()  # the first of SigningCertificateV2 and of SigningCertificate
    claimed_time: datetime | None = None
    policy_oid: str | None = None
    policy_digest: tuple[str, bytes] | None = None
    commitment_oids: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    place: tuple[str, ...] = ()
    media_types: dict[str, str] = field(default_factory=dict)  # by Id of the ds:Reference
    stamps: tuple[Any, ...] = ()  # elements of content timestamps
    problems: tuple[tuple[str, str], ...] = ()  # finding code, property


def qualifying(signature: Any) -> list[Any]:
    """QualifyingProperties that stand where they may: directly in an Object of this very Signature."""
    return [
        child
        for holder in nodes.named(signature, "Object")
        if nodes.namespace(holder) == nodes.DS
        for child in nodes.named(holder, "QualifyingProperties")
        if nodes.namespace(child) in MAIN
    ]


def signed_properties(properties: Any) -> Any:
    """The SignedProperties element of QualifyingProperties; None where there is none or more than one."""
    found = list(nodes.named(properties, "SignedProperties"))
    return found[0] if len(found) == 1 else None


def unsigned_properties(properties: Any) -> list[Any]:
    """The unsigned signature properties in document order, those of several containers included."""
    return [
        child
        for holder in nodes.named(properties, "UnsignedProperties")
        for inner in nodes.named(holder, "UnsignedSignatureProperties")
        for child in inner
        if isinstance(child.tag, str)
    ]


def read(element: Any) -> Properties:
    """What SignedProperties says.  Malformed properties count as absent and are named in `problems`."""
    problems: list[tuple[str, str]] = []
    items = [
        child
        for name in ("SignedSignatureProperties", "SignedDataObjectProperties")
        for holder in nodes.named(element, name)
        for child in holder
        if isinstance(child.tag, str)
    ]
    by_name: dict[str, list[Any]] = {}
    for item in items:
        by_name.setdefault(nodes.local(item) or "?", []).append(item)

    def one(name: str) -> Any:
        found = by_name.get(name, [])
        if len(found) > 1:
            problems.append(("xades_property_repeated", name))
        return found[0] if found else None

    claimed = one("SigningTime")
    time = nodes.moment(nodes.text(claimed)) if claimed is not None else None
    if claimed is not None and time is None:
        problems.append(("xades_property_malformed", "SigningTime"))
    references = []
    for name in ("SigningCertificateV2", "SigningCertificate"):
        holder = one(name)
        if holder is None:
            continue
        reference = _reference(nodes.first(holder, "Cert"))
        if reference is None:
            problems.append(("xades_property_malformed", name))
        else:
            references.append(reference)
    policy_oid, policy_digest = _policy(one("SignaturePolicyIdentifier"), problems)
    role = [one("SignerRoleV2"), one("SignerRole")]
    place = [one("SignatureProductionPlaceV2"), one("SignatureProductionPlace")]
    return Properties(
        names=tuple(nodes.local(item) or "?" for item in items[:_MAX_ITEMS]),
        references=tuple(references),
        claimed_time=time,
        policy_oid=policy_oid,
        policy_digest=policy_digest,
        commitment_oids=tuple(
            object_identifier(nodes.text(found))
            for item in by_name.get("CommitmentTypeIndication", [])[:_MAX_ITEMS]
            if (found := nodes.first(item, "CommitmentTypeId", "Identifier")) is not None
        ),
        roles=tuple(_roles(role)),
        place=tuple(_shortened(nodes.text(nodes.first(p, name)) for p in place if p is not None for name in _PLACE)),
        media_types=_media_types(by_name.get("DataObjectFormat", [])),
        stamps=tuple(
            item for item in items if nodes.local(item) in ("AllDataObjectsTimeStamp", "IndividualDataObjectsTimeStamp")
        ),
        problems=tuple(problems),
    )


def _reference(cert: Any) -> CertificateRef | None:
    """One CertID.  The issuer is taken from IssuerSerialV2 alone: names written as text are never compared."""
    if cert is None:
        return None
    found = nodes.digest(nodes.first(cert, "CertDigest"))
    if found is None:
        return None
    issuer: bytes | None = None
    serial: int | None = None
    encoded = nodes.octets(nodes.first(cert, "IssuerSerialV2"))
    if encoded is not None:
        try:
            issuer, serial = _issuer_serial(encoded)
        except (DerError, IndexError):
            pass
    else:
        written = nodes.text(nodes.first(cert, "IssuerSerial", "X509SerialNumber"))
        if written.isascii() and written.isdigit() and len(written) <= 80:
            serial = int(written)
    return CertificateRef(*found, issuer_der=issuer, serial_number=serial)


def _issuer_serial(encoded: bytes) -> tuple[bytes | None, int]:
    """IssuerSerial (RFC 5035 §5.4.1): GeneralNames with one directory name, and the number.  Raises `DerError`."""
    names, number, *_ = der.children(encoded, der.read_all(encoded, tag=der.SEQUENCE), limit=3)
    general = der.children(encoded, names, limit=2)
    issuer = None
    if len(general) == 1 and general[0].tag == 0xA4:
        issuer = der.read(encoded, general[0].content, general[0].end, tag=der.SEQUENCE).full(encoded)
    if number.tag != der.INTEGER:
        raise DerError("malformed serial number")
    return issuer, der.decode_integer(encoded, number)


def _policy(element: Any, problems: list[tuple[str, str]]) -> tuple[str | None, tuple[str, bytes] | None]:
    if element is None or nodes.first(element, "SignaturePolicyImplied") is not None:
        return None, None
    holder = nodes.first(element, "SignaturePolicyId")
    name = nodes.first(holder, "SigPolicyId", "Identifier") if holder is not None else None
    if name is None:
        problems.append(("xades_property_malformed", "SignaturePolicyIdentifier"))
        return None, None
    return object_identifier(nodes.text(name)), nodes.digest(nodes.first(holder, "SigPolicyHash"))


def _roles(holders: Iterable[Any]) -> Iterable[str]:
    for holder in holders:
        claimed = nodes.first(holder, "ClaimedRoles") if holder is not None else None
        if claimed is not None:
            yield from _shortened(nodes.text(role) for role in list(nodes.named(claimed, "ClaimedRole"))[:_MAX_ITEMS])


def _shortened(texts: Iterable[str]) -> Iterable[str]:
    return (written[:_MAX_TEXT] for written in texts if written)


def _media_types(items: Iterable[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        target = item.get("ObjectReference", "")
        media_type = nodes.text(nodes.first(item, "MimeType"))
        if target[:1] == "#" and media_type:
            found.setdefault(target[1:], media_type[:200])
    return found


__all__ = ["Properties", "qualifying", "read", "signed_properties", "unsigned_properties"]
