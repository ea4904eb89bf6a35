"""Certificate policies along a path (RFC 5280 §6.1, RFC 9618): whether the demands of a path and its user are met.

Only one question is asked: does a valid policy, and one that the user accepts, exist at every depth from where one is
demanded?  Sets per depth answer it without the tree, whose size an attacker could choose: of each policy that is valid
at a depth it is enough to know whether it stems from one that the user accepts.
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
class PolicyInputs:
    """What the user of a path asks of its certificate policies (RFC 5280 §6.1.1 (c), (e) to (g))."""

    accepted: frozenset[str] | None = None  # OIDs; None: any
    required: bool = False  # a path must have a policy that is valid at each depth, and an accepted one
    inhibit_mapping: bool = False  # policies of other authorities count for nothing
    inhibit_any: bool = False  # anyPolicy counts for nothing


@dataclass(frozen=True, slots=True)
class _Demand:
    require_explicit: int | None
    inhibit_mapping: int | None


def constrained(path: Sequence[Certificate], inputs: PolicyInputs) -> bool:
    """Whether the user or any certificate below the anchor (last of `path`) asks for policy processing at all."""
    return inputs.required or any(certificate.extension(POLICY_CONSTRAINTS) is not None for certificate in path[:-1])


def satisfied(path: Sequence[Certificate], inputs: PolicyInputs) -> bool:
    """Whether the policy demands on a path (leaf first, anchor last) are met.  Raises `DerError` for malformed ones."""
    below = list(reversed(path[:-1]))
    count = len(below)
    explicit = 0 if inputs.required else count + 1
    inhibit_any = 0 if inputs.inhibit_any else count + 1
    inhibit_mapping = 0 if inputs.inhibit_mapping else count + 1
    expected: dict[str, bool] = {_ANY: True}  # policy -> whether the user accepts what it stems from
    for position, certificate in enumerate(below, 1):
        last = position == count
        may_be_any = inhibit_any > 0 or (not last and certificate.self_issued)
        valid = _valid(certificate, expected, may_be_any, inputs)
        if explicit == 0 and not valid:
            return False
        demand = _constraints(certificate)
        if last:
            explicit = 0 if demand.require_explicit == 0 else max(explicit - 1, 0)
            return explicit > 0 or any(valid.values())
        expected = _mapped(valid, _mappings(certificate), inhibit_mapping > 0, inputs)
        if not certificate.self_issued:
            explicit, inhibit_mapping, inhibit_any = (max(n - 1, 0) for n in (explicit, inhibit_mapping, inhibit_any))
        if demand.require_explicit is not None:
            explicit = min(explicit, demand.require_explicit)
        if demand.inhibit_mapping is not None:
            inhibit_mapping = min(inhibit_mapping, demand.inhibit_mapping)
        raw = certificate.extension(INHIBIT_ANY_POLICY)
        if raw is not None:
            inhibit_any = min(inhibit_any, _count(raw, der.read_all(raw, tag=der.INTEGER)))
    return True


def _accepts(policy: str, inputs: PolicyInputs) -> bool:
    return inputs.accepted is None or policy in inputs.accepted


def _valid(
    certificate: Certificate, expected: dict[str, bool], may_be_any: bool, inputs: PolicyInputs
) -> dict[str, bool]:
    """The policies valid at this depth (§6.1.3 (d))."""
    stated = set(certificate.policies)
    if len(stated) > MAX_POLICIES:
        raise DerError("too many policies")
    found: dict[str, bool] = {}
    for policy in stated - {_ANY}:
        if policy in expected:
            found[policy] = expected[policy]
        elif _ANY in expected:
            found[policy] = _accepts(policy, inputs)
    if _ANY in stated and may_be_any:
        found = {**expected, **found}
    return found


def _mapped(
    valid: dict[str, bool], mappings: list[tuple[str, str]], allowed: bool, inputs: PolicyInputs
) -> dict[str, bool]:
    """The policies expected at the next depth (§6.1.4 (b))."""
    if not mappings:
        return valid
    sources = {issuer for issuer, _ in mappings}
    found = {policy: accepted for policy, accepted in valid.items() if policy not in sources}
    if allowed:
        for issuer, subject in mappings:
            if issuer in valid:
                found[subject] = found.get(subject, False) or valid[issuer]
            elif _ANY in valid:
                found[subject] = found.get(subject, False) or _accepts(issuer, inputs)
    return found


def check_mappings(certificate: Certificate) -> None:
    """Raises `DerError` for mappings that no certificate may hold (§6.1.4 (a))."""
    _mappings(certificate)


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
        values[part.tag] = _count(raw, part)
    return _Demand(values.get(0x80), values.get(0x81))


def _count(raw: bytes, element: der.Tlv) -> int:
    value = der.decode_integer(raw, element)
    if value < 0:
        raise DerError("negative number of certificates")
    return value
