"""The level of what is there (ETSI EN 319 142-1 §6.3): named from the structure, not from its validity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from signsvc.asn1 import DerError
from signsvc.formats import cms
from signsvc.formats.pdf import PdfDict
from signsvc.trust.crl import Crl
from signsvc.trust.ocsp import OcspResponse
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Finding, Origin, SignerView, TimestampView

CADES = "ETSI.CAdES.detached"
_DATA = "1.2.840.113549.1.7.1"
_MAX_CERTIFICATES = 2000  # of a store, searched for a signer whose CMS holds no certificate
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
    if signer.content_type_oid != _DATA:
        reasons.append("content-type")
    if "Reason" in dictionary and signer.commitment_oids:
        reasons.append("Reason")
    if "Cert" in dictionary:
        reasons.append("Cert")
    return tuple(Finding.of("pades_not_baseline", subject=subject, reason=reason) for reason in reasons)


class Store:
    """Validation data of a document, each value looked at once: which revocation values speak of which certificate."""

    def __init__(self, values: Iterable[EvidenceItem]) -> None:
        self._status: list[EvidenceItem] = []
        self._by_serial: dict[int, list[EvidenceItem]] = {}
        self._by_issuer: dict[bytes, list[EvidenceItem]] = {}
        self._certificates: list[Certificate] = []
        for item in values:
            try:
                self._add(item)
            except DerError:
                continue

    def _add(self, item: EvidenceItem) -> None:
        if item.kind is EvidenceKind.CERTIFICATE:
            if len(self._certificates) < _MAX_CERTIFICATES:
                self._certificates.append(Certificate.from_der(item.der))
            return
        if item.kind is EvidenceKind.OCSP:
            for single in OcspResponse.parse(item.der).singles:
                self._by_serial.setdefault(single.serial_number, []).append(item)
        else:
            self._by_issuer.setdefault(Crl.of(item).issuer_der, []).append(item)
        self._status.append(item)

    def status_of(self, signer: SignerView) -> list[EvidenceItem]:
        """Revocation values for the signer's certificate; all of them where that certificate is not at hand."""
        if not self._status:
            return []
        certificate = cms.signing_certificate(signer)[0] or cms.signing_certificate(signer, self._certificates)[0]
        if certificate is None:
            return self._status
        return self._by_serial.get(certificate.serial_number, []) + self._by_issuer.get(certificate.issuer_der, [])


def name(
    sub_filter: str | None,
    signer: SignerView | None,
    is_baseline: bool,
    covering: Sequence[TimestampView],
    store: Store,
) -> str:
    """The level.  `covering` are the document timestamps that prove the signature; `store` the DSS of all revisions."""
    if signer is None or (sub_filter != CADES and sub_filter not in PKCS7):
        return "PDF-NOT-ETSI"
    if sub_filter == CADES and not is_baseline and not signer.references:
        return "PDF-NOT-ETSI"
    good = [stamp.scope.revision or 0 for stamp in covering if stamp.imprint_matches and stamp.scope is not None]
    suffix = "B"
    if good or any(stamp.kind == "signature" and stamp.imprint_matches for stamp in signer.timestamps):
        suffix = "T"
        status = store.status_of(signer)
        if not status and sub_filter in PKCS7:  # Adobe's attribute stands inside the CMS, under the signature
            status = Store(item for item in signer.evidence if item.origin is Origin.REVINFO).status_of(signer)
        if status:
            first = min(item.revision or 0 for item in status)
            suffix = "LTA" if any(revision >= max(first, 1) for revision in good) else "LT"
    if sub_filter in PKCS7:
        return f"PKCS7-{suffix}"
    if is_baseline:
        return f"B-{suffix}"
    return suffix if suffix != "B" else "EPES" if signer.policy_oid else "BES"


__all__ = ["CADES", "PKCS7", "Store", "baseline", "name"]
