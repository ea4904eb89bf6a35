"""Timestamp tokens: each is validated itself before it proves anything (EN 319 102-1 §5.4, §5.6.2.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signsvc.algorithms import digest_by_oid
from signsvc.asn1 import DerError, der
from signsvc.types import (
    Certificate,
    ChainEntry,
    Finding,
    Indication,
    Level,
    SignerView,
    TimestampVerdict,
    TimestampView,
    names,
)
from signsvc.validation.algorithms_check import Strength
from signsvc.validation.chain import ChainResult, validate_chain
from signsvc.validation.conclude import conclude, judged
from signsvc.validation.context import Context
from signsvc.validation.inventory import Inventory, timestamp_id
from signsvc.validation.moments import shift
from signsvc.validation.policy import Role
from signsvc.validation.signer import check_signer, check_strength

_TIMESTAMPING = "1.3.6.1.5.5.7.3.8"
_EXTENDED_KEY_USAGE = "2.5.29.37"
_SUBJECT_ALT_NAME = "2.5.29.17"
_DIRECTORY_NAME = 0xA4


@dataclass(frozen=True, slots=True)
class Token:
    """A judged token; `sound` where imprint and signature hold, whatever is known of its authority."""

    view: TimestampView
    verdict: TimestampVerdict
    sound: bool
    certificate: Certificate | None = None
    ends: datetime | None = None  # until when it can be checked without a newer timestamp over it

    @property
    def passed(self) -> bool:
        return self.verdict.indication is Indication.TOTAL_PASSED


def validate_timestamp(context: Context, inventory: Inventory, view: TimestampView) -> Token:
    """Judge one token at its own earliest proof of existence, and take over what it then proves.  Never raises."""
    if view.signer is None or view.gen_time is None:
        findings = judged(context.policy, (*view.findings, Finding.of("timestamp_unreadable", subject=view.id)))
        return Token(view, _verdict(view, findings, ()), sound=False)
    token = _judge(context, view, view.signer, view.gen_time)
    if token.passed:
        context.proofs.add(inventory.proven_by(view), view.gen_time, view.id)
    return token


def newest_first(views: Iterable[TimestampView]) -> list[TimestampView]:
    """Tokens in the order in which they must be judged: what covers others comes first."""

    def key(view: TimestampView) -> tuple[int, float]:
        revision = view.scope.revision if view.scope is not None and view.scope.revision is not None else 0
        return -revision, -(view.gen_time.timestamp() if view.gen_time else 0.0)

    return sorted(views, key=key)


def in_order(context: Context, tokens: Sequence[Token]) -> bool:
    """Whether passed tokens, given in the order in which they must have been made, name times in that order.

    Accuracy is allowed for; where a token states none, the clock tolerance of the policy; where one authority says
    that it orders its tokens, nothing (RFC 3161 §2.4.2).
    """
    timed = [(token, token.view.gen_time) for token in tokens if token.passed and token.view.gen_time is not None]
    for index, (later, later_time) in enumerate(timed):
        for earlier, earlier_time in timed[:index]:
            if later_time < shift(earlier_time, -_slack(context, earlier, later)):
                return False
    return True


def _slack(context: Context, first: Token, second: Token) -> timedelta:
    if first.view.ordering and second.view.ordering and first.certificate == second.certificate:
        return timedelta()
    return sum((_accuracy(context, token.view) for token in (first, second)), timedelta())


def _accuracy(context: Context, view: TimestampView) -> timedelta:
    return context.policy.tolerance if view.accuracy is None else timedelta(seconds=view.accuracy)


def _judge(context: Context, view: TimestampView, signer: SignerView, gen_time: datetime) -> Token:
    subject = view.id
    proven = context.proofs.time(timestamp_id(view.id))
    result = check_signer(context, signer, subject)
    findings = [*view.findings, *result.findings]
    if view.imprint_matches is not True:
        code = "timestamp_imprint_unknown" if view.imprint_matches is None else "timestamp_imprint_mismatch"
        findings.append(Finding.of(code, subject=subject))
    if gen_time > shift(context.present, context.policy.tolerance):
        findings.append(Finding.of("timestamp_in_future", subject=subject))
    strength = Strength(context.policy)
    check_strength(strength, signer, result, Role.TOKEN, proven, subject)
    if view.imprint_oid is not None:
        strength.digest(Role.IMPRINT, view.imprint_oid, proven, subject=subject, not_before=gen_time)
    findings += strength.findings
    chain: ChainResult | None = None
    if result.certificate is not None:
        chain = validate_chain(context, result.certificate, proven=proven, fresh_at=min(gen_time, proven))
        findings += chain.findings
        findings += _authority(view, result.certificate, gen_time)
    kept = judged(context.policy, findings)
    ends = [t for t in (strength.sunset, chain.ends if chain else None) if t is not None]
    if result.certificate is not None:
        ends.append(result.certificate.not_after)
    return Token(
        view,
        _verdict(view, kept, chain.entries if chain else (), result.certificate),
        sound=view.imprint_matches is True
        and result.valid is True
        and signer.digest_matches is True
        and not any(f.block == "VTS" and f.level is Level.FAIL for f in view.findings),
        certificate=result.certificate,
        ends=min(ends, default=None),
    )


def _authority(view: TimestampView, certificate: Certificate, gen_time: datetime) -> list[Finding]:
    """Purpose, validity and name of the authority's certificate (RFC 3161 §2.3)."""
    found: list[Finding] = []
    if not certificate.not_before <= gen_time <= certificate.not_after:
        found.append(Finding.of("timestamp_outside_certificate", subject=view.id))
    try:
        purposes = certificate.extended_key_usage
        if purposes is None or _TIMESTAMPING not in purposes:
            found.append(Finding.of("tsa_certificate_purpose", subject=view.id))
        elif len(purposes) > 1 or _EXTENDED_KEY_USAGE not in certificate.critical_extensions:
            found.append(Finding.of("tsa_certificate_purpose_shared", subject=view.id))
        usage = certificate.key_usage
        if usage is not None and not usage & {"digital_signature", "non_repudiation"}:
            found.append(Finding.of("tsa_certificate_purpose", subject=view.id))
        if view.tsa_name_der is not None and not _named(certificate, view.tsa_name_der):
            found.append(Finding.of("tsa_name_differs", subject=view.id))
    except (DerError, IndexError):
        found.append(Finding.of("certificate_malformed", subject=view.id))
    return found


def _named(certificate: Certificate, general_name: bytes) -> bool:
    element = der.read_all(general_name)
    if element.tag == _DIRECTORY_NAME:
        return names.same(element.value(general_name), certificate.subject_der)
    raw = certificate.extension(_SUBJECT_ALT_NAME)
    if raw is None:
        return False
    return any(e.full(raw) == general_name for e in der.children(raw, der.read_all(raw, tag=der.SEQUENCE)))


def _verdict(
    view: TimestampView,
    findings: tuple[Finding, ...],
    chain: tuple[ChainEntry, ...],
    certificate: Certificate | None = None,
) -> TimestampVerdict:
    indication, sub = conclude(findings)
    digest = digest_by_oid(view.imprint_oid) if view.imprint_oid else None
    return TimestampVerdict(
        id=view.id,
        kind=view.kind,
        indication=indication,
        sub_indication=sub,
        gen_time=view.gen_time,
        chain=chain,
        findings=findings,
        field=view.field,
        scope=view.scope,
        digest_algorithm=digest.name if digest else None,
        tsa=certificate.common_name if certificate else None,
    )
