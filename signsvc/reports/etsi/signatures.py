"""One SignatureValidationReport (TS 119 102-2, 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signsvc.reports.etsi.attributes import attributes
from signsvc.reports.etsi.base import DOCUMENT, DS, OWN, URN, Page
from signsvc.reports.etsi.constraints import constraints

_PROCESSES = {"B-T": "LTVM", "B-LT": "LTVM", "B-LTA": "LTA"}
_DIGESTS = {
    "sha1": "http://www.w3.org/2000/09/xmldsig#sha1",
    "sha224": "http://www.w3.org/2001/04/xmldsig-more#sha224",
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
    "sha3-256": "http://www.w3.org/2007/05/xmldsig-more#sha3-256",
    "sha3-384": "http://www.w3.org/2007/05/xmldsig-more#sha3-384",
    "sha3-512": "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
    "md5": "http://www.w3.org/2001/04/xmldsig-more#md5",
}


def signature(page: Page, parent: Any, one: Mapping[str, Any]) -> None:
    """Write the report of one signature."""
    made = page.add(parent, "SignatureValidationReport")
    bound = one.get("binding")
    known = page.add(made, "SignatureIdentifier")
    if bound:
        if bound["signed_bytes_sha256"]:
            page.digest(known, bound["signed_bytes_sha256"])
        page.add(known, "SignatureValue", bound["signature_value"], DS)
    _identified(page, known, one.get("id"))
    constraints(page, made, one)
    times = page.add(made, "ValidationTimeInfo")
    page.add(times, "ValidationTime", page.report["validation_time"])
    proven = one["best_signature_time"] if one["time_source"] == "timestamp" else None
    by = None
    if proven:
        # A timestamp of the signature itself comes before one of the whole document.
        own = [*one["timestamps"], *page.report["timestamps"]]
        by = next((page.stamp(stamp["id"]) for stamp in own if stamp["time"] == proven), None)
    page.poe(times, "BestSignatureTime", proven or page.report["validation_time"], by)
    _document(page, made, bound)
    attributes(page, made, one)
    _signer(page, made, one)
    process = next((v for k, v in _PROCESSES.items() if str(one["level"]).endswith(k)), "Basic")
    _process(page, made, process)
    status(page, made, one)


def unsigned(page: Page, parent: Any) -> None:
    """A document without signatures has a report too, which says of which file it is."""
    made = page.add(parent, "SignatureValidationReport")
    _identified(page, page.add(made, "SignatureIdentifier"), None)
    constraints(page, made, None)
    times = page.add(made, "ValidationTimeInfo")
    page.add(times, "ValidationTime", page.report["validation_time"])
    page.poe(times, "BestSignatureTime", page.report["validation_time"], None)
    _document(page, made, None)
    status(page, made, page.report)


def timestamp(page: Page, parent: Any, one: Mapping[str, Any]) -> None:
    """The report of a timestamp, as part of its object."""
    made = page.add(parent, "ValidationReport")
    _identified(page, page.add(made, "SignatureIdentifier"), one["id"])
    constraints(page, made, one, policy=False)
    times = page.add(made, "ValidationTimeInfo")
    page.add(times, "ValidationTime", page.report["validation_time"])
    page.poe(times, "BestSignatureTime", page.report["validation_time"], None)
    _signer(page, made, one)
    _process(page, made, "Basic")
    word = {"TOTAL-PASSED": "passed", "TOTAL-FAILED": "failed"}.get(one["indication"])
    status(page, made, one, word)


def status(page: Page, parent: Any, one: Mapping[str, Any], word: str | None = None) -> None:
    """A ValidationStatusType with path, revocation, algorithms and what was found."""
    made = page.add(parent, "SignatureValidationStatus")
    page.add(made, "MainIndication", f"{URN}mainindication:{word or one['indication'].lower()}")
    if one["sub_indication"]:
        page.add(made, "SubIndication", f"{URN}subindication:{one['sub_indication']}")
    chain = one.get("chain") or ()
    found = one.get("messages") or ()
    algorithm = _DIGESTS.get(str(one.get("digest_algorithm") or "").lower())
    if not chain and not found:
        return
    data = page.add(made, "AssociatedValidationReportData")
    if chain:
        if chain[-1]["trust_anchor"]:
            page.refer(data, "TrustAnchor", f"CERT-{chain[-1]['sha256']}")
        path = page.add(data, "CertificateChain")
        page.refer(path, "SigningCertificate", f"CERT-{chain[0]['sha256']}")
        for entry in chain[1:]:
            name = "TrustAnchor" if entry["trust_anchor"] else "IntermediateCertificate"
            page.refer(path, name, f"CERT-{entry['sha256']}")
        related = [f"REV-{e['evidence_sha256']}" for e in chain if e.get("evidence_sha256")]
        related += [stamp for t in one.get("timestamps", ()) if (stamp := page.stamp(t["id"]))]
        for target in dict.fromkeys(related):
            page.refer(data, "RelatedValidationObject", target)
        _revoked(page, data, chain)
        if algorithm:
            strong = next((c["result"] for c in one.get("checks", ()) if c["id"] == "crypto_strength"), None)
            crypto = page.add(data, "CryptoInformation")
            page.refer(crypto, "ValidationObjectId", f"CERT-{chain[0]['sha256']}")
            page.add(crypto, "Algorithm", algorithm)
            weak = strong == "failed" or "CRYPTO_CONSTRAINTS_FAILURE" in str(one["sub_indication"])
            page.add(crypto, "SecureAlgorithm", "false" if weak else "true")
    if found:
        said = page.add(data, "AdditionalValidationReportData")
        for message in found:
            page.typed(said, "ReportData", f"{OWN}{message['level']}:{message['code']}", message["text"])


def _revoked(page: Page, data: Any, chain: Any) -> None:
    gone = next((entry for entry in chain if entry.get("revoked_at")), None)
    if gone is None:
        return
    made = page.add(data, "RevocationStatusInformation")
    page.refer(made, "ValidationObjectId", f"CERT-{gone['sha256']}")
    page.add(made, "RevocationTime", gone["revoked_at"])
    if gone.get("reason"):
        page.add(made, "RevocationReason", f"{URN}revocationReason:{gone['reason']}")
    if gone.get("evidence_sha256"):
        page.refer(made, "RevocationObject", f"REV-{gone['evidence_sha256']}")


def _identified(page: Page, parent: Any, identifier: str | None) -> None:
    page.add(parent, "HashOnly", "false")
    page.add(parent, "DocHashOnly", "false")
    name = f"{OWN}{page.report['id']}" if page.report.get("id") else OWN
    page.add(parent, "DAIdentifier", f"{name}:{identifier}" if identifier else name)


def _document(page: Page, parent: Any, bound: Mapping[str, Any] | None) -> None:
    """What was signed by its digest, and the file it stands in."""
    whole = (page.report.get("document") or {}).get("sha256")
    data = [one["sha256"] for one in (bound or {}).get("data", ()) if one["sha256"]]
    digest = data[0] if len(data) == 1 else whole
    if digest:
        made = page.add(parent, "SignersDocument")
        page.digest(made, digest)
        if whole:
            page.refer(made, "SignersDocumentRef", DOCUMENT)


def _signer(page: Page, parent: Any, one: Mapping[str, Any]) -> None:
    leaf = (one.get("certificate") or (one["chain"][0] if one["chain"] else {})).get("sha256")
    if leaf in page.chain:
        signer = page.add(parent, "SignerInformation")
        page.refer(signer, "SignerCertificate", f"CERT-{leaf}")
        if name := one.get("signed_by") or one.get("tsa"):
            page.add(signer, "Signer", name)


def _process(page: Page, parent: Any, process: str) -> None:
    made = page.add(parent, "SignatureValidationProcess")
    page.add(made, "SignatureValidationProcessID", f"{URN}validationprocess:{process}")


__all__ = ["signature", "status", "timestamp", "unsigned"]
