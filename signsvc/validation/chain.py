"""Certificate validation at a proven time (EN 319 102-1 §5.2.6, §5.6.2.1, §5.6.2.2).

One walk serves the basic, the with-time and the past validation: from the anchor down, every certificate that has
expired, been revoked or (an anchor) passed its sunset sets a limit before which everything below it must be proven to
have existed.  Without any proof "proven" is the validation time, and the walk is the basic validation; with proofs it
is validation-time sliding.

Of §5.6.2.2 one step is left out on purpose.  Where the status of a CA was fresh at the proven time and is not fresh
today, the standard lets the validation time slide back to the issue of that status, so that everything below must be
proven to be older: a file with all data inside and no archive timestamp, whose CA nobody ever revoked, then ends as
NO_POE within days.  Here the validation time slides for what is known to have ended (expiry, revocation, sunset,
algorithms); that a CA was not revoked since is asked of whoever obtains data of today.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from signsvc.asn1 import DerError, departures
from signsvc.trust.paths import Path
from signsvc.types import Certificate, CertificateStatus, ChainEntry, EvidenceKind, Finding, Level
from signsvc.validation.algorithms_check import Strength
from signsvc.validation.anchors import check_anchor
from signsvc.validation.conclude import INDETERMINATE, conclude, judged
from signsvc.validation.context import Context
from signsvc.validation.moments import shown
from signsvc.validation.path_checks import ANY_POLICY
from signsvc.validation.poe import certificate_id
from signsvc.validation.policy_tree import PolicyInputs
from signsvc.validation.status import Limit, Status, judge_fact, known_after_expiry, status_of

# Departures from DER and the profiles that are read all the same.
_ODD_CERTIFICATE = {
    "version": "certificate_version_odd",
    "serial": "certificate_serial_odd",
    "time": "certificate_time_odd",
    "boolean": "certificate_boolean_odd",
}
_ODD_REVOCATION = {
    "version": "revocation_version_odd",
    "time": "revocation_time_odd",
    "boolean": "revocation_boolean_odd",
}


@dataclass(frozen=True, slots=True)
class ChainResult:
    """What became of the best path; `ends` is when it stops being checkable (`extend_before`)."""

    path: Path
    entries: tuple[ChainEntry, ...]
    findings: tuple[Finding, ...]
    ends: datetime | None = None
    evidence_ends: datetime | None = None  # when the issuers of the revocation data expire

    @property
    def revocation_known(self) -> bool:
        return bool(self.entries) and all(e.status is not CertificateStatus.UNKNOWN for e in self.entries)


@dataclass
class _Walk:
    context: Context
    path: Path
    proven: datetime
    fresh_at: datetime
    exists: datetime
    policies: PolicyInputs
    signing: bool
    findings: list[Finding] = field(default_factory=list)
    entries: list[ChainEntry] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)
    evidence_ends: list[datetime] = field(default_factory=list)


def validate_chain(
    context: Context,
    certificate: Certificate,
    *,
    proven: datetime,
    fresh_at: datetime | None = None,
    exists: datetime | None = None,
    policies: PolicyInputs = ANY_POLICY,
    signing: bool = False,
) -> ChainResult:
    """Judge the paths of `certificate` for something proven to exist at `proven`: the first that passes, or the best.

    `fresh_at` (default `proven`) is the instant for which revocation data must be fresh; `exists` (default `proven`)
    since when the certificate itself is known, where what it signed does not name it; `policies` says which
    certificate policies are asked for; `signing` that the certificate signs documents.  Never raises.
    """
    best: ChainResult | None = None
    rank = -1
    tried: set[Path] = set()
    spoiled: set[Certificate] = set()  # authorities by which paths fail
    paths = context.paths(certificate, policies)
    while paths:
        for path in paths:
            tried.add(path)
            result = _judge(_Walk(context, path, proven, fresh_at or proven, exists or proven, policies, signing))
            failing = [f for f in judged(context.policy, result.findings) if f.level is Level.FAIL]
            if not failing:
                return result
            points = _points(failing)
            if points > rank:
                best, rank = result, points
            spoiled |= _spoiling(context, result, failing)
            if not context.may_retry():
                return best or result
        paths = context.other_paths(certificate, policies, tried, spoiled)
    return best or ChainResult((), (), (Finding.of("no_certificate_chain", name=certificate.common_name),))


def _spoiling(context: Context, result: ChainResult, failing: list[Finding]) -> set[Certificate]:
    """The authorities on a failing path that would spoil another one as well."""
    members = set(result.path[1:-1])
    gone = (CertificateStatus.REVOKED, CertificateStatus.ON_HOLD)
    spoiling = {entry.certificate for entry in result.entries if entry.status in gone} & members
    spoiling |= {member for member in members if member.not_after < context.present}
    # What one of these means is told of the certificate next to the end; without them, each is told of its own.
    subjects = {finding.subject for finding in failing}
    return spoiling or {member for member in members if member.sha256.hex() in subjects}


def _points(failing: list[Finding]) -> int:
    """How near a failing path comes to passing: temporary gaps are nearer than broken rules."""
    _, sub = conclude(failing)
    return INDETERMINATE.index(sub) if sub in INDETERMINATE else 0


def _known(context: Context, entry: ChainEntry) -> ChainEntry:
    own = context.proofs.of(certificate_id(entry.certificate))
    value = context.proofs.of(entry.evidence) if entry.evidence else None
    return replace(
        entry,
        known_since=own.time if own.by else None,
        known_by=own.by,
        evidence_since=value.time if value and value.by else None,
        evidence_by=value.by if value else None,
    )


def _judge(walk: _Walk) -> ChainResult:
    path = walk.path
    walk.findings += walk.context.broken(path, walk.policies)
    made = min(walk.proven, walk.fresh_at)  # a token is as old as it says, proven or not
    anchor = walk.context.anchor(path[-1])
    walk.findings += check_anchor(anchor, path[0], made, walk.context.present, signing=walk.signing)
    strength = Strength(walk.context.policy)
    try:
        _walk(walk, strength)
    except (DerError, IndexError):
        walk.findings.append(Finding.of("certificate_malformed"))
    walk.findings += strength.findings
    if strength.sunset is not None:
        walk.ends.append(strength.sunset)
    walk.entries.append(ChainEntry(path[-1], CertificateStatus.NOT_CHECKED, trust_anchor=True))
    return ChainResult(
        path,
        tuple(_known(walk.context, entry) for entry in walk.entries),
        tuple(walk.findings),
        min(walk.ends, default=None),
        min(walk.evidence_ends, default=None),
    )


def _walk(walk: _Walk, strength: Strength) -> None:
    context, path = walk.context, walk.path
    limit: Limit | None = None
    sunset = context.sunset(path[-1])
    if sunset is not None:
        walk.ends.append(sunset)
        if sunset <= context.present:
            limit = Limit(sunset, "trust_anchor_sunset", "trust_anchor_sunset")
            if len(path) == 1 and walk.proven > sunset:
                walk.findings.append(_about("trust_anchor_sunset", path[-1], since=shown(sunset)))
    for depth in range(len(path) - 2, -1, -1):
        certificate, issuer = path[depth], path[depth + 1]
        for name in departures.of_certificate(certificate.der):
            walk.findings.append(_about(_ODD_CERTIFICATE[name], certificate))
        exists = walk.proven if depth == 0 else context.exists_since(certificate)
        known = exists if depth else walk.exists
        if limit is not None and known > limit.time and (depth or known > walk.proven):
            walk.findings.append(_about("certificate_without_proof", certificate))
        strength.certificate(certificate, issuer, exists)
        status = status_of(
            context,
            certificate,
            issuer,
            proven=walk.proven,
            fresh_at=walk.fresh_at,
            limit=limit,
            depth=depth,
        )
        walk.entries.insert(0, status.entry)
        _collect(walk, strength, status, issuer)
        if depth:
            walk.ends.append(certificate.not_after)
            limit = _below(walk, certificate, status, limit)
        else:
            _end(walk, certificate, issuer, limit, status)


def _collect(walk: _Walk, strength: Strength, status: Status, issuer: Certificate) -> None:
    walk.findings += status.findings
    fact = status.fact
    if fact is None:
        return
    odd = departures.of_list if fact.item.kind is EvidenceKind.CRL else departures.of_answer
    for name in odd(fact.item.der):
        walk.findings.append(Finding.of(_ODD_REVOCATION[name], subject=fact.item.id))
    judge_fact(walk.context, strength, fact, issuer)
    walk.evidence_ends.append(fact.signer.not_after)


def _below(walk: _Walk, certificate: Certificate, status: Status, limit: Limit | None) -> Limit | None:
    """The limit that a CA certificate sets for what it signed."""
    context = walk.context
    if context.present < certificate.not_before:
        # Issued anew after the signing time is one thing, not valid to this day another.
        walk.findings.append(_about("ca_not_yet_valid", certificate, since=shown(certificate.not_before)))
    elif walk.proven < certificate.not_before:
        walk.findings.append(_about("ca_newer_than_signature", certificate))
    found = [limit] if limit is not None else []
    if certificate.not_after < context.present:
        found.append(Limit(certificate.not_after, "ca_expired", "revocation_issuer_expired"))
    if status.ends is not None:
        found.append(Limit(status.ends, "ca_revoked", "ca_revoked"))
    return min(found, key=lambda item: item.time, default=None)


def _end(walk: _Walk, certificate: Certificate, issuer: Certificate, limit: Limit | None, status: Status) -> None:
    """The end certificate's own validity, and the limits of those above, against the proven time."""
    context, proven = walk.context, walk.proven
    dates = {"not_before": shown(certificate.not_before), "not_after": shown(certificate.not_after)}
    if proven < certificate.not_before:
        walk.findings.append(_about("certificate_not_yet_valid", certificate, **dates))
    if proven > certificate.not_after:
        if proven < context.present:
            code = "signed_after_expiry"
        elif status.entry.status is CertificateStatus.GOOD and known_after_expiry(context, certificate, issuer):
            code = "certificate_expired_not_revoked"
        else:
            code = "certificate_expired"
        walk.findings.append(_about(code, certificate, **dates))
    if limit is not None and proven > limit.time and all(f.code != limit.code for f in walk.findings):
        walk.findings.append(_about(limit.code, walk.path[1], since=shown(limit.time)))


def _about(code: str, certificate: Certificate, **data: str) -> Finding:
    return Finding.of(code, subject=certificate.sha256.hex(), level=None, name=certificate.common_name, **data)
