"""The level of what is there (ETSI EN 319 142-1 §6.3): named from the structure, not from its validity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from signsvc.asn1 import DerError, encode_integer
from signsvc.formats import cms
from signsvc.formats.pdf import PdfDict
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Finding, Origin, SignerView, TimestampView

CADES = "ETSI.CAdES.detached"
PKCS7 = ("adbe.pkcs7.detached", "adbe.pkcs7.sha1")


def baseline(dictionary: PdfDict, signer: SignerView, subject: str) -> tuple[Finding, ...]:
    """What keeps a CAdES signature in a PDF from being a PAdES baseline one; nothing where it is one."""
    reasons = []
    if not signer.references:
        reasons.append("signing-certificate")
    if "M" not in dictionary:
        reasons.append("M")
    if signer.claimed_time is not None:
        reasons.append("signing-time")
    if not signer.certificates:
        reasons.append("certificates")
    if "Reason" in dictionary and signer.commitment_oids:
        reasons.append("Reason")
    if "Cert" in dictionary:
        reasons.append("Cert")
    return tuple(Finding.of("pades_not_baseline", subject=subject, reason=reason) for reason in reasons)


def name(
    sub_filter: str | None,
    signer: SignerView | None,
    is_baseline: bool,
    covering: Sequence[TimestampView],
    store: Sequence[EvidenceItem],
) -> str:
    """The level.  `covering` are the document timestamps over the signature's revision or a later one, in file order;
    `store` the values of all DSS dictionaries.
    """
    if signer is None or (sub_filter != CADES and sub_filter not in PKCS7):
        return "PDF-NOT-ETSI"
    if sub_filter == CADES and not is_baseline and not signer.references:
        return "PDF-NOT-ETSI"
    good = [stamp for stamp in covering if stamp.imprint_matches and stamp.scope is not None]
    timed = bool(good) or any(s.kind == "signature" and s.imprint_matches for s in signer.timestamps)
    values = list(store)
    if sub_filter in PKCS7:
        values += [item for item in signer.evidence if item.origin is Origin.REVINFO]
    status = relevant(signer, values)
    suffix = "B"
    if timed:
        suffix = "T"
        if status:
            first = min(item.revision or 0 for item in status)
            archived = any(stamp.scope and (stamp.scope.revision or 0) >= max(first, 1) for stamp in good)
            suffix = "LTA" if archived else "LT"
    if sub_filter in PKCS7:
        return f"PKCS7-{suffix}"
    if is_baseline:
        return f"B-{suffix}"
    return suffix if suffix != "B" else "EPES" if signer.policy_oid else "BES"


def relevant(signer: SignerView, values: Iterable[EvidenceItem]) -> list[EvidenceItem]:
    """Revocation values that speak of the signer's certificate, as far as a look at their octets tells."""
    items = [item for item in values if item.kind is not EvidenceKind.CERTIFICATE]
    if not items:
        return []
    certificate = cms.signing_certificate(signer, _certificates(values))[0]
    if certificate is None:
        return items
    serial = encode_integer(certificate.serial_number)
    return [
        item for item in items if (serial if item.kind is EvidenceKind.OCSP else certificate.issuer_der) in item.der
    ]


def _certificates(values: Iterable[EvidenceItem]) -> list[Certificate]:
    found = []
    for item in values:
        if item.kind is EvidenceKind.CERTIFICATE:
            try:
                found.append(Certificate.from_der(item.der))
            except DerError:
                continue
    return found


__all__ = ["CADES", "PKCS7", "baseline", "name", "relevant"]
