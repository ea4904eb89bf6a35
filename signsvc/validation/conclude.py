"""From findings to an indication (EN 319 102-1 §5.1.3, table 6): the order in which sub-indications count.

The standard's processes end at the first block that fails.  Here all blocks are run, so that a report names everything,
and of several failures the one is named that proves most, then the one of the earliest block.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from signsvc.types import Finding, Indication, Level, Sub
from signsvc.validation.policy import Policy

# What proves a signature wrong, whoever is trusted; the first that applies is named.
TOTAL_FAILED = (
    Sub.HASH_FAILURE,
    Sub.SIG_CRYPTO_FAILURE,
    Sub.FORMAT_FAILURE,
    Sub.NOT_YET_VALID,
    Sub.REVOKED,
    Sub.EXPIRED,
)

# What leaves it open, in the order of the building blocks.
INDETERMINATE = (
    Sub.SIGNED_DATA_NOT_FOUND,
    Sub.NO_SIGNING_CERTIFICATE_FOUND,
    Sub.SIGNATURE_POLICY_NOT_AVAILABLE,
    Sub.POLICY_PROCESSING_ERROR,
    Sub.NO_CERTIFICATE_CHAIN_FOUND,
    Sub.NO_CERTIFICATE_CHAIN_FOUND_NO_POE,
    Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE,
    Sub.CHAIN_CONSTRAINTS_FAILURE,
    Sub.REVOKED_NO_POE,
    Sub.REVOKED_CA_NO_POE,
    Sub.OUT_OF_BOUNDS_NO_POE,
    Sub.OUT_OF_BOUNDS_NOT_REVOKED,
    Sub.REVOCATION_OUT_OF_BOUNDS_NO_POE,
    Sub.CRYPTO_CONSTRAINTS_FAILURE,
    Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
    Sub.NO_POE,
    Sub.TRY_LATER,
    Sub.TIMESTAMP_ORDER_FAILURE,
    Sub.SIG_CONSTRAINTS_FAILURE,
    Sub.CUSTOM,
    Sub.GENERIC,
)

_RANK = {sub: rank for rank, sub in enumerate((*TOTAL_FAILED, *INDETERMINATE))}
_WORST = (Indication.TOTAL_FAILED, Indication.INDETERMINATE, Indication.TOTAL_PASSED, Indication.NO_SIGNATURE)

Result = tuple[Indication, Sub | None]


def sub_of(finding: Finding) -> Sub:
    """The sub-indication a failing finding leads to."""
    return Sub(finding.sub) if finding.sub else Sub.GENERIC


def conclude(findings: Iterable[Finding]) -> Result:
    """The indication that these findings, at the levels of the policy, come to."""
    subs = {sub_of(finding) for finding in findings if finding.level is Level.FAIL}
    if not subs:
        return Indication.TOTAL_PASSED, None
    first = min(subs, key=_RANK.__getitem__)
    return (Indication.TOTAL_FAILED if first in TOTAL_FAILED else Indication.INDETERMINATE), first


def worst(results: Iterable[Result]) -> Result:
    """The worst of several results; NO-SIGNATURE where there are none."""
    found = list(results)
    if not found:
        return Indication.NO_SIGNATURE, None
    return min(found, key=lambda r: (_WORST.index(r[0]), _RANK[r[1]] if r[1] else len(_RANK)))


def judged(policy: Policy, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings at the levels of the policy, each once, without those it ignores.

    What a policy raises to a failure where the standard has no sub-indication for it leads to CUSTOM.
    """
    kept: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        at_level = policy.judge(finding)
        if at_level is not None:
            if at_level.level is Level.FAIL and not finding.sub and finding.level is not Level.FAIL:
                at_level = replace(at_level, sub=Sub.CUSTOM)
            kept.setdefault((finding.code, finding.subject, repr(sorted(finding.data.items(), key=str))), at_level)
    return tuple(kept.values())
