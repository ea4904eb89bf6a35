"""The level of what is there (EN 319 122-1 §6.3): named from the structure, not from its validity.

`B-B` to `B-LTA` are the baseline levels; a signature that names its certificate but misses a rule of the baseline is
`BES`, `EPES`, `T`, `LT` or `LTA`.  One that does not name its certificate under the signature is no CAdES signature at
all: format `CMS`, level `CMS-NOT-ETSI`.
"""

from __future__ import annotations

from collections.abc import Iterable

from signsvc.asn1 import DerError
from signsvc.formats.cms import attributes, signing_certificate
from signsvc.trust.crl import Crl
from signsvc.trust.ocsp import OcspResponse
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, SignerView

NOT_ETSI = "CMS-NOT-ETSI"
_DATA = "1.2.840.113549.1.7.1"
# Validation data of baseline signatures stands in SignedData, their archive timestamps are of version 3.
_NOT_IN_BASELINE = frozenset(
    (
        attributes.CERTIFICATE_VALUES,
        attributes.REVOCATION_VALUES,
        attributes.ARCHIVE_TIMESTAMP_V1,
        attributes.ARCHIVE_TIMESTAMP_V2,
        *attributes.REFERENCES,
    )
)


def departures(signer: SignerView) -> list[str]:
    """What keeps a CAdES signature from being a baseline one; empty where it is one."""
    reasons = []
    if signer.signed_attributes.count(attributes.SIGNING_TIME) != 1 or signer.claimed_time is None:
        reasons.append("signing-time")
    if signer.content_type_oid != _DATA:
        reasons.append("content-type")
    if signing_certificate(signer)[0] is None:
        reasons.append("certificates")
    present = sorted(_NOT_IN_BASELINE.intersection(signer.unsigned_attributes))
    return reasons + [attributes.label(oid) for oid in present]


def name(signer: SignerView, *, baseline: bool) -> str:
    """The level of a signature that names its certificate."""
    kinds = {stamp.kind for stamp in signer.timestamps if stamp.imprint_matches}
    suffix = "B"
    if kinds & {"signature", "archive"}:
        suffix = "T"
        if _speaks_of(signing_certificate(signer)[0], signer.evidence):
            suffix = "LTA" if "archive" in kinds else "LT"
    if baseline and (suffix == "B" or "signature" in kinds):
        return f"B-{suffix}"
    return suffix if suffix != "B" else "EPES" if signer.policy_oid else "BES"


def _speaks_of(certificate: Certificate | None, evidence: Iterable[EvidenceItem]) -> bool:
    """Whether a revocation value is about the certificate; any value where the certificate is not known."""
    for item in evidence:
        try:
            if item.kind is EvidenceKind.OCSP:
                about = certificate is None or any(
                    single.serial_number == certificate.serial_number for single in OcspResponse.parse(item.der).singles
                )
            else:
                about = item.kind is EvidenceKind.CRL and (
                    certificate is None or Crl.of(item).issuer_der == certificate.issuer_der
                )
        except DerError:
            continue
        if about:
            return True
    return False


__all__ = ["NOT_ETSI", "departures", "name"]
