"""Lists that say together what none says alone: parts for some reasons, and a complete list with a delta to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signsvc.trust.crl import Crl
    from signsvc.validation.revocation import Fact

MAX_LISTS = 100


@dataclass(frozen=True, slots=True)
class Part:
    """A good fact by one list that by itself does not speak for every reason, or only of changes."""

    fact: Fact
    crl: Crl
    reasons: frozenset[int]


def for_all_reasons(parts: Sequence[Part]) -> Iterator[Fact]:
    """One fact from lists by one key whose reasons together are all there are (RFC 5280 §6.3.3 (d), (e))."""
    from signsvc.trust.crl import ALL_REASONS

    by_signer: dict[bytes, list[Part]] = {}
    for part in parts[:MAX_LISTS]:
        if not part.crl.is_delta:
            by_signer.setdefault(part.fact.signer.sha256, []).append(part)
    for group in by_signer.values():
        used: list[Part] = []
        covered: frozenset[int] = frozenset()
        for part in sorted(group, key=lambda p: p.fact.this_update, reverse=True):
            if not part.reasons <= covered:
                used.append(part)
                covered |= part.reasons
        if covered >= ALL_REASONS:
            yield _together(used)


def with_deltas(complete: Sequence[tuple[Fact, Crl]], parts: Sequence[Part]) -> Iterator[Fact]:
    """One fact from a complete list and the delta that continues it (RFC 5280 §5.2.4): as fresh as the delta."""
    for delta in (part for part in parts[:MAX_LISTS] if part.crl.is_delta):
        signer = delta.fact.signer
        bases = [f for f, crl in complete[:MAX_LISTS] if f.signer == signer and _continues(delta.crl, crl)]
        if bases:
            base = max(bases, key=lambda fact: fact.this_update)
            # What the list said holds until the delta, which may be the first that knows the certificate.
            until = replace(base, this_update=delta.fact.this_update)
            yield replace(delta.fact, stands_alone=True, others=(until,))


def _continues(delta: Crl, complete: Crl) -> bool:
    if delta.base_number is None or delta.number is None or complete.number is None:
        return False
    same = (delta.idp, delta.aki) == (complete.idp, complete.aki)
    return same and delta.base_number <= complete.number < delta.number


def _together(used: Sequence[Part]) -> Fact:
    """As old as the oldest of them, fresh for as long as each is."""
    facts = [part.fact for part in used]
    oldest = min(facts, key=lambda fact: fact.this_update)
    ends = [fact.next_update for fact in facts]
    return replace(
        oldest,
        stands_alone=True,
        next_update=None if None in ends else min(end for end in ends if end is not None),
        others=tuple(fact for fact in facts if fact is not oldest),
    )
