"""RFC 5280 §6.1 for one given path, without times and revocation: those depend on proofs of existence.

Signatures are checked where paths are found (`signsvc.trust.paths`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from signsvc.asn1 import DerError
from signsvc.types import Certificate, Finding, names
from signsvc.validation import policy_tree
from signsvc.validation.name_constraints import NAME_CONSTRAINTS, Constraints

BASIC_CONSTRAINTS = "2.5.29.19"

# Extensions that are processed here or by the caller; an unknown critical one makes a certificate unusable.
PROCESSED = frozenset(
    (
        "2.5.29.15",  # keyUsage
        "2.5.29.17",  # subjectAltName
        "2.5.29.18",  # issuerAltName
        BASIC_CONSTRAINTS,
        NAME_CONSTRAINTS,
        "2.5.29.31",  # cRLDistributionPoints
        "2.5.29.32",  # certificatePolicies
        policy_tree.POLICY_MAPPINGS,
        policy_tree.POLICY_CONSTRAINTS,
        policy_tree.INHIBIT_ANY_POLICY,
        "2.5.29.37",  # extKeyUsage
        "1.3.6.1.5.5.7.1.3",  # qcStatements
        "1.3.6.1.5.5.7.48.1.5",  # id-pkix-ocsp-nocheck
        "2.5.29.56",  # noRevAvail
    )
)


ANY_POLICY = policy_tree.PolicyInputs()


def check_path(path: Sequence[Certificate], policies: policy_tree.PolicyInputs = ANY_POLICY) -> tuple[Finding, ...]:
    """What breaks the rules in a path, leaf first and anchor last; empty where nothing does.  Never raises.

    `policies` says which certificate policies its user asks for.

    Of the anchor name and key count, its constraints (RFC 5937), and whether it says itself that it issues nothing: a
    trusted end certificate speaks for itself alone.
    """
    try:
        return tuple(_check(path, policies))
    except (DerError, IndexError):
        return (Finding.of("certificate_malformed"),)


def _check(path: Sequence[Certificate], policies: policy_tree.PolicyInputs) -> Iterator[Finding]:
    constraints = Constraints()
    if len(path) > 1:
        constraints.add(path[-1])
        yield from _issuing(path[-1], anchor=True)
    room: int | None = path[-1].basic_constraints[1] if len(path) > 1 else None
    for depth in range(len(path) - 2, -1, -1):
        certificate, issuer = path[depth], path[depth + 1]
        subject = certificate.sha256.hex()
        if not names.same(certificate.issuer_der, issuer.subject_der):
            yield Finding.of("path_names_do_not_chain", subject=subject)
        if certificate.critical_extensions - PROCESSED:
            yield Finding.of("critical_extension_unknown", subject=subject, name=certificate.common_name)
        # Self-issued certificates in the middle of a path are not bound by the constraints above them (§6.1.3 (b)).
        if (depth == 0 or not certificate.self_issued) and not constraints.allow(certificate):
            yield Finding.of("name_constraint_violated", subject=subject, name=certificate.common_name)
        if depth == 0:
            break
        yield from _issuing(certificate)
        _, length = certificate.basic_constraints
        if length is not None and length < 0:
            raise DerError("negative path length")
        policy_tree.check_mappings(certificate)
        if not certificate.self_issued:
            if room == 0:
                yield Finding.of("path_length_exceeded", subject=subject, name=certificate.common_name)
            room = room - 1 if room else room
        if length is not None:
            room = length if room is None else min(room, length)
        constraints.add(certificate)
    if policy_tree.constrained(path, policies) and not policy_tree.satisfied(path, policies):
        yield Finding.of("certificate_policy_missing")


def _issuing(certificate: Certificate, *, anchor: bool = False) -> Iterator[Finding]:
    """Whether a certificate may issue others; an anchor may be one of the first version, which cannot say so."""
    subject = certificate.sha256.hex()
    said = not anchor or certificate.extension(BASIC_CONSTRAINTS) is not None
    if said and not certificate.is_ca:
        yield Finding.of("issuer_is_no_ca", subject=subject, name=certificate.common_name)
    usage = certificate.key_usage
    if usage is not None and "key_cert_sign" not in usage:
        yield Finding.of("issuer_may_not_issue", subject=subject, name=certificate.common_name)
