"""The six checks that every report shows, from facts and findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signsvc.types import Change, Check, Finding, Indication, Level, Sub

PASSED, FAILED, UNKNOWN, NOT_APPLICABLE = "passed", "failed", "unknown", "not_applicable"

_INTEGRITY = frozenset((Sub.HASH_FAILURE, Sub.SIG_CRYPTO_FAILURE, Sub.FORMAT_FAILURE))
_CHAIN = frozenset(
    (
        Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        Sub.CHAIN_CONSTRAINTS_FAILURE,
        Sub.NOT_YET_VALID,
        Sub.EXPIRED,
    )
)
_CHAIN_OPEN = frozenset(
    (
        Sub.NO_CERTIFICATE_CHAIN_FOUND,
        Sub.NO_CERTIFICATE_CHAIN_FOUND_NO_POE,
        Sub.NO_SIGNING_CERTIFICATE_FOUND,
        Sub.OUT_OF_BOUNDS_NO_POE,
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        Sub.NO_POE,
    )
)
_REVOKED = frozenset((Sub.REVOKED, Sub.REVOKED_NO_POE, Sub.REVOKED_CA_NO_POE))
_REVOCATION_OPEN = frozenset((Sub.TRY_LATER, Sub.REVOCATION_OUT_OF_BOUNDS_NO_POE))
_CRYPTO = frozenset((Sub.CRYPTO_CONSTRAINTS_FAILURE, Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE))


@dataclass(frozen=True, slots=True)
class Facts:
    """What the checks need beside the findings."""

    digest_matches: bool | None
    value_valid: bool | None
    path_found: bool
    revocation_known: bool
    timestamps: tuple[Indication, ...]
    changes: tuple[Change, ...]
    later_revisions: bool


def checks_of(facts: Facts, findings: Iterable[Finding], after: Iterable[Finding]) -> tuple[Check, ...]:
    """The results of integrity, chain, revocation, timestamp, crypto_strength and changes, in this order."""
    subs = {Sub(f.sub) for f in findings if f.level is Level.FAIL and f.sub}
    return (
        Check("integrity", _integrity(facts, subs)),
        Check("chain", _chain(facts, subs)),
        Check("revocation", _revocation(facts, subs)),
        Check("timestamp", _timestamp(facts)),
        Check("crypto_strength", FAILED if subs & _CRYPTO else PASSED if facts.value_valid is not None else UNKNOWN),
        Check("changes", _changes(facts, [f for f in after if f.level is Level.FAIL])),
    )


def _integrity(facts: Facts, subs: set[Sub]) -> str:
    if facts.digest_matches is False or facts.value_valid is False or subs & _INTEGRITY:
        return FAILED
    return PASSED if facts.digest_matches and facts.value_valid else UNKNOWN


def _chain(facts: Facts, subs: set[Sub]) -> str:
    if subs & _CHAIN:
        return FAILED
    return PASSED if facts.path_found and not subs & _CHAIN_OPEN else UNKNOWN


def _revocation(facts: Facts, subs: set[Sub]) -> str:
    if subs & _REVOKED:
        return FAILED
    if not facts.path_found:
        return UNKNOWN
    return PASSED if facts.revocation_known and not subs & _REVOCATION_OPEN else UNKNOWN


def _timestamp(facts: Facts) -> str:
    if not facts.timestamps:
        return NOT_APPLICABLE
    if Indication.TOTAL_PASSED in facts.timestamps:
        return PASSED
    return FAILED if all(t is Indication.TOTAL_FAILED for t in facts.timestamps) else UNKNOWN


def _changes(facts: Facts, failing: list[Finding]) -> str:
    if failing:
        return FAILED
    if not facts.changes:
        return NOT_APPLICABLE if not facts.later_revisions else PASSED
    return PASSED
