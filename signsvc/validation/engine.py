"""The whole validation of a document, and of a certificate before it signs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from signsvc.formats.cms import signing_certificate
from signsvc.trust.material import TrustMaterial
from signsvc.types import (
    Certificate,
    CertificateStatus,
    ChainEntry,
    DocumentVerdict,
    DocumentView,
    EvidenceItem,
    Finding,
    Indication,
    Level,
    SignatureVerdict,
    Sub,
)
from signsvc.validation.chain import validate_chain
from signsvc.validation.changes import is_agency
from signsvc.validation.conclude import conclude, judged, worst
from signsvc.validation.constraints import check_purpose
from signsvc.validation.context import Context, embedded_certificates, embedded_evidence, signers_of
from signsvc.validation.inventory import Inventory
from signsvc.validation.moments import shown
from signsvc.validation.policy import Policy
from signsvc.validation.signature import validate_signature
from signsvc.validation.timestamps import newest_first, validate_timestamp


def validate(
    document: DocumentView,
    *,
    material: TrustMaterial,
    evidence: Sequence[EvidenceItem],
    policy: Policy,
    now: datetime,
    at: datetime | None = None,
) -> DocumentVerdict:
    """The verdict on a document by EN 319 102-1 under `policy`.  Pure, and never raises for what a document holds.

    `evidence` adds to what the document carries (which counts without being repeated); `at` (aware UTC) is the
    validation time where another than `now` is asked for: everything at hand is then taken to have existed at it.
    """
    context = Context.of(
        policy,
        material,
        at or now,
        (*evidence, *embedded_evidence(document)),
        embedded_certificates(document),
        now=now,
    )
    inventory = Inventory(document)
    judged_tokens = {
        view.id: validate_timestamp(context, inventory, view) for view in newest_first(document.timestamps)
    }
    tokens = tuple(judged_tokens[view.id] for view in document.timestamps)
    signatures = tuple(validate_signature(context, inventory, view, tokens) for view in document.signatures)
    sealed = _sealed(signatures)
    signatures = tuple(
        validate_signature(context, inventory, view, tokens, sealed)
        if any(change.stamps and change.revision in sealed for change in view.scope.changes_after)
        else verdict
        for view, verdict in zip(document.signatures, signatures, strict=True)
    )
    findings = list(document.findings)
    if at is not None and at < now:
        findings.append(Finding.of("validation_time_given", time=shown(at)))
    if context.data.unreadable:
        findings.append(Finding.of("evidence_unreadable", count=len(context.data.unreadable)))
    findings += [
        Finding.of("timestamp_not_valid", subject=token.view.id, id=token.view.field or token.view.id)
        for token in tokens
        if not token.passed
    ]
    kept = judged(policy, findings)
    if signatures:
        results = [(s.indication, s.sub_indication) for s in signatures]
        indication, sub = worst([*results, conclude(kept)])
    else:
        indication, sub = Indication.NO_SIGNATURE, None
    return DocumentVerdict(
        indication=indication,
        sub_indication=sub,
        signatures=signatures,
        timestamps=tuple(token.verdict for token in tokens),
        findings=kept,
        validation_time=context.present,
        policy_id=policy.id,
        policy_version=policy.version,
        policy_sha256=policy.sha256,
    )


def _sealed(signatures: Iterable[SignatureVerdict]) -> frozenset[int]:
    """The revisions in which an agency signed, as far as its signature holds."""
    return frozenset(
        s.scope.revision
        for s in signatures
        if s.scope.revision is not None
        and s.as_signed_indication is Indication.TOTAL_PASSED
        and is_agency(s.certificate)
    )


def wanted(document: DocumentView) -> tuple[Certificate, ...]:
    """The certificates whose paths and status a validation needs: signers', counter-signers' and authorities'."""
    pool = tuple(dict.fromkeys(embedded_certificates(document)))
    found = (signing_certificate(signer, pool)[0] for signer in signers_of(document))
    return tuple(dict.fromkeys(certificate for certificate in found if certificate is not None))


@dataclass(frozen=True, slots=True)
class CertificateVerdict:
    """Whether a certificate may sign now; `code` is the problem code where not, `data` fills its text."""

    ok: bool
    code: str | None
    chain: tuple[Certificate, ...]
    entries: tuple[ChainEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    data: Mapping[str, object] = field(default_factory=dict)


def check_certificate(
    certificate: Certificate,
    *,
    pool: Iterable[Certificate],
    material: TrustMaterial,
    evidence: Sequence[EvidenceItem],
    policy: Policy,
    now: datetime,
) -> CertificateVerdict:
    """Check a certificate before it signs (Decree 68/2024 art. 29, 31, 32): validity, purpose, path, status at `now`.

    Codes, the first that applies: ``certificate_expired``, ``certificate_not_yet_valid``, ``certificate_revoked``
    (also where a CA above is), ``certificate_suspended``, ``certificate_not_for_signing``,
    ``certificate_path_unknown``, ``certificate_status_unknown``.
    Never raises.
    """
    context = Context.of(policy, material, now, evidence, (certificate, *pool))
    chain = validate_chain(context, certificate, proven=now, policies=policy.certificate_policies, signing=True)
    purpose = judged(policy, check_purpose(policy, certificate))
    findings = judged(policy, (*chain.findings, *purpose))
    failing = [f for f in findings if f.level is Level.FAIL]
    subs = {Sub(f.sub) for f in failing if f.sub}
    entry = chain.entries[0] if chain.entries else None
    code: str | None = None
    data: dict[str, object] = {}
    if now > certificate.not_after:
        code, data = "certificate_expired", {"not_after": shown(certificate.not_after)}
    elif now < certificate.not_before:
        code, data = "certificate_not_yet_valid", {"not_before": shown(certificate.not_before)}
    elif entry is not None and entry.status is CertificateStatus.REVOKED:
        code, data = "certificate_revoked", _revocation(entry)
    elif entry is not None and entry.status is CertificateStatus.ON_HOLD:
        code, data = "certificate_suspended", _revocation(entry)
    elif any(e.status is CertificateStatus.REVOKED for e in chain.entries):
        code, data = "certificate_revoked", _revocation(next(e for e in chain.entries if e.revoked_at is not None))
    elif any(f.level is Level.FAIL for f in purpose):
        code = "certificate_not_for_signing"
    elif subs - {Sub.TRY_LATER}:
        code = "certificate_path_unknown"
    elif subs:
        code = "certificate_status_unknown"
    path = chain.path or (certificate,)
    return CertificateVerdict(code is None, code, path, chain.entries, findings, data)


def _revocation(entry: ChainEntry) -> dict[str, object]:
    return {
        "revoked_at": shown(entry.revoked_at) if entry.revoked_at else "?",
        "reason": entry.reason or "",
        "name": entry.certificate.common_name,
    }
