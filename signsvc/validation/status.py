"""The revocation status of one certificate at a proven time (EN 319 102-1 §5.2.5, §5.2.6.4).

Data counts only where it can know the certificate: not older than it, not from after its expiry unless the CA keeps
expired certificates listed, from an issuer valid when it was produced, and old enough where that issuer has since
expired or been revoked.  Data that revokes always counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signsvc.types import Certificate, CertificateStatus, ChainEntry, Finding
from signsvc.validation.algorithms_check import Strength, resolved
from signsvc.validation.context import Context
from signsvc.validation.moments import shift, shown
from signsvc.validation.policy import Role
from signsvc.validation.revocation import Fact, FactStatus


@dataclass(frozen=True, slots=True)
class Limit:
    """Until when (inclusive) an object must be proven to have existed, and what it means where it is not."""

    time: datetime
    code: str  # for the signature (or token) itself
    evidence_code: str  # for revocation data that has no such proof

    def earlier(self, other: Limit) -> Limit:
        return other if other.time < self.time else self


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a certificate; `ends` is set where it was revoked or suspended after the proven time."""

    entry: ChainEntry
    findings: tuple[Finding, ...] = ()
    ends: datetime | None = None
    fact: Fact | None = None


_JUST_BEFORE = timedelta(microseconds=1)


def status_of(
    context: Context,
    certificate: Certificate,
    issuer: Certificate,
    *,
    proven: datetime,
    fresh_at: datetime,
    limit: Limit | None,
    depth: int,
) -> Status:
    """Judge the status of `certificate` for something proven to exist at `proven`.

    `limit` comes from the certificates above; `fresh_at` is the instant for which data must be fresh; `depth` is 0
    for the end certificate.
    """
    subject = certificate.sha256.hex()
    name = certificate.common_name
    facts = context.facts(certificate, issuer)
    revoked = min((f for f in facts if f.status is FactStatus.REVOKED and f.revoked_at), key=_when, default=None)
    if revoked is not None and revoked.revoked_at is not None:
        since = _suspended_since(context, certificate, issuer, facts, revoked) or revoked.revoked_at
        return _revoked(certificate, revoked, since, proven, depth)
    notes: list[Finding] = []
    # What cannot know the certificate does not say that a suspension was lifted.
    knowing = (
        f
        for f in facts
        if f.status is FactStatus.ON_HOLD
        or (f.status is FactStatus.GOOD and not _unfit(context, certificate, issuer, f, None))
    )
    newest = max(knowing, key=lambda f: f.this_update, default=None)
    if newest is not None and newest.status is FactStatus.ON_HOLD and newest.revoked_at is not None:
        entry = _entry(certificate, CertificateStatus.ON_HOLD, newest)
        if proven < newest.revoked_at:
            note = Finding.of("certificate_on_hold_later", subject=subject, name=name, since=shown(newest.revoked_at))
            return Status(entry, (note,), shift(newest.revoked_at, -_JUST_BEFORE), newest)
        hold = Finding.of("certificate_on_hold", subject=subject, name=name, since=shown(newest.revoked_at))
        return Status(entry, (hold,), None, newest)
    # RFC 9608 §4: never of an authority.
    if certificate.no_revocation_available and not certificate.is_ca:
        entry = ChainEntry(certificate, CertificateStatus.NOT_CHECKED)
        return Status(entry, (Finding.of("revocation_not_needed", subject=subject, name=name),))
    reasons: list[str] = []
    good: list[Fact] = []
    for fact in facts:
        if fact.status is FactStatus.UNKNOWN:
            notes.append(Finding.of("revocation_answer_unknown", subject=subject, name=name))
            continue
        reason = _unfit(context, certificate, issuer, fact, limit) or _stale(context, certificate, fact, fresh_at)
        if reason:
            reasons.append(reason)
        else:
            good.append(fact)
    if good:
        best = _best(context, good, issuer)
        if depth == 0 and best.this_update < proven < context.present:
            notes.append(Finding.of("revocation_data_before_signing", subject=subject, name=name))
        if not best.signer_checked:
            notes.append(Finding.of("ocsp_responder_not_checked", subject=subject, name=name))
        if best.item.stale and best.item.obtained_at is not None:
            hours = int((context.latest - best.item.obtained_at).total_seconds() // 3600)
            notes.append(Finding.of("revocation_data_kept", subject=subject, name=name, hours=max(hours, 0)))
        return Status(_entry(certificate, CertificateStatus.GOOD, best), tuple(notes), None, best)
    failing = _missing(context, certificate, limit, reasons)
    entry = ChainEntry(certificate, CertificateStatus.UNKNOWN)
    return Status(entry, (*notes, Finding.of(failing, subject=subject, name=name, reason=_main(reasons))))


def _best(context: Context, good: list[Fact], issuer: Certificate) -> Fact:
    """The newest whose algorithms count: weak data spoils no other."""
    newest = sorted(good, key=lambda f: f.this_update, reverse=True)
    for fact in newest if len(newest) > 1 else ():
        strength = Strength(context.policy)
        judge_fact(context, strength, fact, issuer)
        if not strength.findings:
            return fact
    return newest[0]


def judge_fact(context: Context, strength: Strength, fact: Fact, issuer: Certificate) -> None:
    """Judge the algorithms of revocation data about what `issuer` issued, and of the certificate of another signer."""
    proven = context.proofs.time(fact.item.id)
    algorithm = resolved(fact.algorithm_oid, fact.algorithm_parameters)
    strength.signature(
        Role.REVOCATION, algorithm, fact.signer, proven, subject=fact.item.id, not_before=fact.produced_at
    )
    if fact.signer == issuer:
        return
    # A responder's certificate travels inside its answer: what proves the one proves the other.
    paths = ((fact.signer, issuer),) if fact.source == "ocsp" else context.paths(fact.signer)
    if paths and len(paths[0]) > 1:
        strength.certificate(fact.signer, paths[0][1], min(proven, context.exists_since(fact.signer)))


def known_after_expiry(context: Context, certificate: Certificate, issuer: Certificate) -> bool:
    """Whether data from the end of the certificate's validity or later says that it was never revoked."""
    return any(
        fact.status is FactStatus.GOOD
        and fact.this_update >= certificate.not_after
        and not _unfit(context, certificate, issuer, fact, None)
        for fact in context.facts(certificate, issuer)
    )


def _when(fact: Fact) -> datetime:
    assert fact.revoked_at is not None
    return fact.revoked_at


def _suspended_since(
    context: Context, certificate: Certificate, issuer: Certificate, facts: Sequence[Fact], revoked: Fact
) -> datetime | None:
    """Since when the certificate was on hold without a break until it was revoked: what was signed meanwhile was never
    cleared, although a CA may date the revocation later (RFC 5280 §5.3.1)."""
    at = _when(revoked)
    holds = [f for f in facts if f.status is FactStatus.ON_HOLD and _when(f) < at]
    if not holds:
        return None
    lifted = [
        f.this_update
        for f in facts
        if f.status is FactStatus.GOOD and f.this_update < at and not _unfit(context, certificate, issuer, f, None)
    ]
    unbroken = (f for f in holds if all(moment <= f.this_update for moment in lifted))
    return min(map(_when, unbroken), default=None)


def _revoked(certificate: Certificate, fact: Fact, at: datetime, proven: datetime, depth: int) -> Status:
    entry = _entry(certificate, CertificateStatus.REVOKED, fact)
    subject, ends = certificate.sha256.hex(), shift(at, -_JUST_BEFORE)
    code = "certificate_revoked_later" if proven < at else "certificate_revoked" if depth == 0 else "ca_revoked"
    notes = [Finding.of(code, subject=subject, name=certificate.common_name, since=shown(at))]
    if fact.invalidity_date is not None:
        since = shown(fact.invalidity_date)
        notes.append(Finding.of("key_suspected_since", subject=subject, name=certificate.common_name, since=since))
    return Status(entry, tuple(notes), ends, fact)


def _unfit(
    context: Context, certificate: Certificate, issuer: Certificate, fact: Fact, limit: Limit | None
) -> str | None:
    """Why data cannot speak for the certificate, or None."""
    for other in fact.others:
        if reason := _unfit(context, certificate, issuer, other, limit):
            return reason
    if fact.this_update > shift(context.latest, context.policy.tolerance):
        return "from_future"
    if fact.this_update < certificate.not_before:
        return "before_certificate"
    if fact.this_update > certificate.not_after and not _knows_expired(context, certificate, issuer, fact):
        return "after_expiry"
    signer = fact.signer
    if not shift(signer.not_before, -context.policy.tolerance) <= fact.produced_at <= signer.not_after:
        return "issuer_not_valid_then"
    proven = context.proofs.time(fact.item.id)
    if signer != issuer and proven > signer.not_after:
        return "issuer_expired"
    if signer != issuer and fact.signer_revoked_at is not None and proven >= fact.signer_revoked_at:
        return "issuer_revoked"
    if limit is not None and proven > limit.time:
        return "limit"
    return None


def _knows_expired(context: Context, certificate: Certificate, issuer: Certificate, fact: Fact) -> bool:
    if fact.proves_certificate:
        return True
    since = [t for t in (fact.keeps_expired_since,) if t is not None]
    if fact.source == "crl":
        kept = context.keeps_expired_since(issuer)
        since += [kept] if kept is not None else []
    return any(t <= certificate.not_after for t in since)


def _stale(context: Context, certificate: Certificate, fact: Fact, fresh_at: datetime) -> str | None:
    rule = context.policy.freshness
    moment = fresh_at
    if rule.at == "now" and certificate.not_after >= context.present:
        moment = context.present
    if fact.this_update >= moment:
        return None
    age = (moment - fact.this_update).total_seconds()
    longest = rule.ocsp_max_age if fact.source == "ocsp" else rule.crl_max_age
    if longest is not None and age > longest:
        return "stale"
    if fact.next_update is None:
        return "stale" if age > rule.without_next_update + rule.grace else None
    return "stale" if moment > shift(fact.next_update, timedelta(seconds=rule.grace)) else None


def _missing(context: Context, certificate: Certificate, limit: Limit | None, reasons: list[str]) -> str:
    if "issuer_expired" in reasons:
        return "revocation_issuer_expired"
    if "limit" in reasons and limit is not None:
        return limit.evidence_code
    if certificate.not_after < context.present:
        return "revocation_no_longer_known"
    return "revocation_unknown"


def _main(reasons: list[str]) -> str:
    order = ("issuer_expired", "limit", "issuer_revoked", "stale", "after_expiry", "before_certificate")
    return next((r for r in order if r in reasons), reasons[0] if reasons else "no_data")


def _entry(certificate: Certificate, status: CertificateStatus, fact: Fact) -> ChainEntry:
    return ChainEntry(
        certificate,
        status,
        fact.source,
        str(fact.item.origin),
        fact.produced_at,
        fact.next_update,
        fact.revoked_at,
        fact.reason,
        evidence=fact.item.id,
    )
