"""Signature acceptance: what the policy asks beside cryptography and chain (EN 319 102-1 §5.2.4, §5.2.8)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from signsvc.asn1 import DerError
from signsvc.types import Certificate, Finding, SignerView
from signsvc.validation.moments import shift
from signsvc.validation.policy import SIGNATURE_LEVELS, Policy

_QUIRK_SLACK = timedelta(minutes=30)
_SHA256 = "2.16.840.1.101.3.4.2.1"


def check_purpose(policy: Policy, certificate: Certificate) -> Iterator[Finding]:
    """Key usage by the policy's rule (one of several is enough; absent allows all), and the extended key usage."""
    name = certificate.common_name
    subject = certificate.sha256.hex()
    try:
        usage, purposes = certificate.key_usage, certificate.extended_key_usage
    except (DerError, IndexError):
        yield Finding.of("certificate_malformed", subject=subject)
        return
    if usage is not None and not usage & policy.key_usage:
        yield Finding.of("certificate_not_for_signing", subject=subject, name=name)
    if purposes is not None and not set(purposes) & policy.extended_key_usage:
        yield Finding.of("certificate_purpose_unusual", subject=subject, name=name)


def check_signature_policy(policy: Policy, signer: SignerView, subject: str) -> Iterator[Finding]:
    """An explicit signature policy (EPES) must be known and unchanged (§5.2.4.4)."""
    if signer.policy_oid is None:
        return
    known = policy.signature_policies.get(signer.policy_oid)
    if known is None:
        yield Finding.of("signature_policy_unavailable", subject=subject, oid=signer.policy_oid)
    elif signer.policy_digest is None or signer.policy_digest != (_SHA256, bytes.fromhex(known)):
        yield Finding.of("signature_policy_differs", subject=subject, oid=signer.policy_oid)


def check_claimed_time(
    policy: Policy,
    certificate: Certificate | None,
    claimed: datetime | None,
    proven: datetime | None,
    present: datetime,
) -> Iterator[Finding]:
    """The signing time that the signer claims, against what is proven; known quirks of tools are named, not counted."""
    if claimed is None:
        return
    ahead = claimed - (proven or present)
    for offset in policy.claimed_time_offsets:
        if abs(ahead - timedelta(seconds=offset)) <= _QUIRK_SLACK:
            yield Finding.of("claimed_time_local_as_utc", hours=round(offset / 3600))
            claimed = shift(claimed, -timedelta(seconds=offset))
            ahead = claimed - (proven or present)
            break
    if ahead > policy.tolerance:
        yield Finding.of("claimed_time_after_proof" if proven else "claimed_time_in_future")
    if (
        certificate is not None
        and not shift(certificate.not_before, -policy.tolerance) <= claimed <= certificate.not_after
    ):
        yield Finding.of("claimed_time_outside_certificate")
    if proven is not None and policy.timestamp_delay is not None:
        delay = (proven - claimed).total_seconds()
        if delay > policy.timestamp_delay:
            yield Finding.of("timestamp_delayed", seconds=round(delay))


def check_level(policy: Policy, level: str) -> Iterator[Finding]:
    """The level that the policy demands."""
    if policy.required_level is None:
        return
    wanted = SIGNATURE_LEVELS.index(policy.required_level)
    if level not in SIGNATURE_LEVELS or SIGNATURE_LEVELS.index(level) < wanted:
        yield Finding.of("level_too_low", found=level, required=policy.required_level)


def check_timestamp_demand(policy: Policy, proven: bool, present: bool) -> Iterator[Finding]:
    """Whether a valid timestamp is demanded; without any, the claimed time is only that."""
    if not present and policy.timestamp != "optional":
        yield Finding.of("timestamp_absent")
    if not proven and policy.timestamp == "required":
        yield Finding.of("timestamp_demanded")


def check_tax_code(certificate: Certificate | None, wanted: str | None, subject: str) -> Iterator[Finding]:
    """Whether the signer has the tax code that the document names (Decree 123/2020 art. 10: the seller signs)."""
    if wanted is None or certificate is None:
        return
    values = (*certificate.subject_values("UID"), *certificate.subject_values("serialNumber"))
    codes = [value[4:].strip() for value in values if value.upper().startswith("MST:")]
    if not codes:
        yield Finding.of("signer_tax_code_unknown", subject=subject, wanted=wanted)
    elif wanted.replace("-", "") not in {code.replace("-", "") for code in codes}:
        yield Finding.of("signer_tax_code_differs", subject=subject, found=codes[0][:40], wanted=wanted)
