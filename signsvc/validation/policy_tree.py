"""Certificate policies along a path (RFC 5280 §6.1, RFC 9618): whether an explicit policy demand is met.

The caller accepts any policy, so only one question is left: does a valid policy exist at every depth from where a
certificate demands one?  Sets per depth answer it without the tree, whose size an attacker could choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from signsvc.asn1 import DerError, der
from signsvc.types import Certificate

POLICY_CONSTRAINTS = "2.5.29.36"
INHIBIT_ANY_POLICY = "2.5.29.54"
POLICY_MAPPINGS = "2.5.29.33"
_ANY = "2.5.29.32.0"
MAX_POLICIES = 500


@dataclass(frozen=True, slots=True)
class _Demand:
    require_explicit: int | None
    inhibit_mapping: int | None


def constrained(path: Sequence[Certificate]) -> bool:
    """Whether any certificate below the anchor (last of `path`) asks for policy processing at all."""
    return any(certificate.extension(POLICY_CONSTRAINTS) is not None for certificate in path[:-1])


def satisfied(path: Sequence[Certificate]) -> bool:
    """Whether the policy demands of a path (leaf first, anchor last) are met.  Raises `DerError` for malformed ones."""
    below = list(reversed(path[:-1]))
    count = len(below)
    explicit = inhibit_any = inhibit_mapping = count + 1
    expected: set[str] = {_ANY}
    for position, certificate in enumerate(below, 1):
        last = position == count
        stated = set(certificate.policies)
        if len(stated) > MAX_POLICIES:
            raise DerError("too many policies")
        may_be_any = inhibit_any > 0 or (not last and certificate.self_issued)
        if _ANY in stated and may_be_any:
            valid = expected | (stated - {_ANY}) if _ANY in expected else set(expected)
        else:
            valid = stated - {_ANY} if _ANY in expected else expected & stated
        if explicit == 0 and not valid:
            return False
        if last:
            if explicit:
                explicit -= 1
            if _constraints(certificate).require_explicit == 0:
                explicit = 0
            return explicit > 0 or bool(valid)
        expected = _mapped(valid, _mappings(certificate), inhibit_mapping > 0)
        if not certificate.self_issued:
            explicit, inhibit_mapping, inhibit_any = (max(n - 1, 0) for n in (explicit, inhibit_mapping, inhibit_any))
        demand = _constraints(certificate)
        if demand.require_explicit is not None:
            explicit = min(explicit, demand.require_explicit)
        if demand.inhibit_mapping is not None:
            inhibit_mapping = min(inhibit_mapping, demand.inhibit_mapping)
        raw = certificate.extension(INHIBIT_ANY_POLICY)
        if raw is not None:
            inhibit_any = min(inhibit_any, der.decode_integer(raw, der.read_all(raw, tag=der.INTEGER)))
    return True


def _mapped(valid: set[str], mappings: list[tuple[str, str]], allowed: bool) -> set[str]:
    if not mappings:
        return valid
    sources = {issuer for issuer, _ in mappings}
    kept = {policy for policy in valid if policy not in sources}
    if not allowed:
        return kept
    return kept | {subject for issuer, subject in mappings if issuer in valid or _ANY in valid}


def _mappings(certificate: Certificate) -> list[tuple[str, str]]:
    raw = certificate.extension(POLICY_MAPPINGS)
    if raw is None:
        return []
    found = []
    for pair in der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=MAX_POLICIES):
        parts = der.children(raw, pair)
        if len(parts) != 2:
            raise DerError("malformed policy mapping")
        issuer, subject = (der.decode_oid(raw, part) for part in parts)
        if _ANY in (issuer, subject):
            raise DerError("policy mapping of anyPolicy")
        found.append((issuer, subject))
    return found


def _constraints(certificate: Certificate) -> _Demand:
    raw = certificate.extension(POLICY_CONSTRAINTS)
    if raw is None:
        return _Demand(None, None)
    values: dict[int, int] = {}
    for part in der.children(raw, der.read_all(raw, tag=der.SEQUENCE)):
        values[part.tag] = der.decode_integer(raw, part)
    return _Demand(values.get(0x80), values.get(0x81))
