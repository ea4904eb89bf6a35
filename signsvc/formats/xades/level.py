"""The level of what is there (EN 319 132-1 §6.3): named from the structure, not from its validity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from signsvc.asn1 import DerError
from signsvc.formats import xmlsig
from signsvc.formats.xades import nodes
from signsvc.formats.xades.names import SIGNED_PROPERTIES_TYPE, XADES, XADES141
from signsvc.formats.xades.properties import Properties
from signsvc.trust.crl import Crl
from signsvc.trust.ocsp import OcspResponse
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, TimestampView

NOT_ETSI = "XML-NOT-ETSI"


def departures(
    holder: Any,
    said: Properties,
    unsigned: Sequence[Any],
    references: Iterable[xmlsig.Reference],
    signed: xmlsig.Reference,
    *,
    certificate_in_key_info: bool,
    counter: bool,
) -> list[str]:
    """What keeps a XAdES signature from being a baseline one, by the names of the elements; empty where it is one.

    `holder` is the QualifyingProperties element, `signed` the reference to its SignedProperties.
    """
    reasons: list[str] = []
    if nodes.namespace(holder) != XADES:
        reasons.append("namespace")
    reasons += [name for name in ("SigningTime", "SigningCertificateV2") if said.names.count(name) != 1]
    reasons += [
        name
        for name in ("SigningCertificate", "SignerRole", "SignatureProductionPlace")
        if name in said.names
    ]  # fmt: skip
    if not certificate_in_key_info:
        reasons.append("KeyInfo")
    if signed.type != SIGNED_PROPERTIES_TYPE:
        reasons.append("Type")
    if not counter and any(r is not signed and (not r.id or r.id not in said.media_types) for r in references):
        reasons.append("DataObjectFormat")
    stamps = [prop for prop in unsigned if nodes.local(prop) == "SignatureTimeStamp"]
    if any(sum(1 for _ in nodes.named(prop, "EncapsulatedTimeStamp")) != 1 for prop in stamps):
        reasons.append("SignatureTimeStamp")
    if any(nodes.local(p) == "ArchiveTimeStamp" and nodes.namespace(p) != XADES141 for p in unsigned):
        reasons.append("ArchiveTimeStamp")
    return reasons


def name(
    said: Properties,
    *,
    baseline: bool,
    stamps: Iterable[TimestampView],
    evidence: Iterable[EvidenceItem],
    certificate: Certificate | None,
) -> str:
    """The level; `evidence` is what the unsigned properties hold about anybody."""
    kinds = {stamp.kind for stamp in stamps if stamp.imprint_matches}
    suffix = "B"
    if kinds & {"signature", "archive"}:
        suffix = "T"
        if speaks_of(certificate, evidence):
            suffix = "LTA" if "archive" in kinds else "LT"
    if baseline and (suffix == "B" or "signature" in kinds):
        return f"B-{suffix}"
    return suffix if suffix != "B" else "EPES" if "SignaturePolicyIdentifier" in said.names else "BES"


def speaks_of(certificate: Certificate | None, evidence: Iterable[EvidenceItem]) -> bool:
    """Whether a revocation value is about the certificate; any value where the certificate is not known."""
    for item in evidence:
        try:
            if item.kind is EvidenceKind.OCSP:
                about = certificate is None or any(
                    single.serial_number == certificate.serial_number for single in OcspResponse.parse(item.der).singles
                )
            elif item.kind is EvidenceKind.CRL:
                about = certificate is None or Crl.of(item).issuer_der == certificate.issuer_der
            else:
                about = False
        except DerError:
            continue
        if about:
            return True
    return False


__all__ = ["NOT_ETSI", "departures", "name", "speaks_of"]
