"""A path that fails hides none that passes: dates, revocation, names and policies, behind more failing paths than are
looked at at once; and judging them stays within bounds."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.trust.paths import PathLimits
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Finding, Level, Origin
from signsvc.validation import Policy, policies
from signsvc.validation.chain import ChainResult, validate_chain
from signsvc.validation.context import Context
from signsvc.validation.path_checks import ANY_POLICY, check_path
from signsvc.validation.policy_tree import PolicyInputs

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=400)
MANY = PathLimits().paths + 20
_serials = itertools.count(1)
Key = ec.EllipticCurvePrivateKey
Extension = tuple[x509.ExtensionType, bool]
NEVER_REVOKED = (x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.56"), b"\x05\x00"), False)


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(
    subject: str,
    key: Key,
    issuer: str,
    by: Key,
    *extensions: Extension,
    ca: bool = True,
    days: int = 3650,
) -> Certificate:
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(next(_serials))
    builder = builder.not_valid_before(START).not_valid_after(START + timedelta(days=days))
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    for extension, critical in (*extensions, *(() if ca else (NEVER_REVOKED,))):
        builder = builder.add_extension(extension, critical)
    return Certificate(builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


ROOT, OTHER, SUB, MIDDLE = (new_key() for _ in range(4))
ANCHOR = make("R", ROOT, "R", ROOT)
LEAF = make("leaf", new_key(), "S", SUB, ca=False)
# The way that passes is the longer one: S by Other by Root.
WAY_OUT = [make("S", SUB, "O", OTHER), make("O", OTHER, "R", ROOT)]


@pytest.fixture(scope="module")
def policy() -> Policy:
    found = policies.load("hon-hop")
    rows = {role: tuple(replace(row, not_after=None) for row in rows) for role, rows in found.algorithms.items()}
    return replace(found, algorithms=rows)


def revoking(*certificates: Certificate, issuer: str = "R", by: Key = ROOT) -> EvidenceItem:
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer))
    builder = builder.last_update(NOW - timedelta(days=1)).next_update(NOW + timedelta(days=1))
    for certificate in certificates:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(START + timedelta(days=9)).build())
    octets = builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    return EvidenceItem(EvidenceKind.CRL, octets, Origin.SUPPLIED)


# Of everybody who issues authorities here.
LISTS = (revoking(), revoking(issuer="O", by=OTHER), revoking(issuer="M", by=MIDDLE))


def judge(
    policy: Policy,
    pool: Sequence[Certificate],
    lists: Sequence[EvidenceItem] = (),
    *,
    leaf: Certificate = LEAF,
    asked: PolicyInputs = ANY_POLICY,
) -> tuple[ChainResult, list[Finding]]:
    material = TrustMaterial(("test",), (TrustAnchor(ANCHOR, "R"),))
    context = Context.of(policy, material, NOW, (*lists, *LISTS), pool)
    result = validate_chain(context, leaf, proven=NOW, policies=asked)
    return result, [finding for finding in result.findings if finding.level is Level.FAIL]


def shuffled(*certificates: Certificate) -> list[Certificate]:
    found = list(certificates)
    random.Random(7).shuffle(found)
    return found


def test_expired_twins_hide_no_lasting_issuer(policy: Policy) -> None:
    twins = [make("S", SUB, "R", ROOT, days=300) for _ in range(MANY)]
    assert "ca_expired" in {f.code for f in judge(policy, twins)[1]}
    result, failing = judge(policy, shuffled(*twins, *WAY_OUT))
    assert (failing, [c.common_name for c in result.path]) == ([], ["leaf", "S", "O", "R"])


def test_paths_through_an_expired_authority_hide_no_other(policy: Policy) -> None:
    """Every one of them shares the certificate above the issuer; the issuer's own is good on both ways."""
    middle = [make("M", MIDDLE, "R", ROOT, days=300), make("S", SUB, "M", MIDDLE)]
    twins = [make("S", SUB, "M", MIDDLE) for _ in range(MANY)]
    assert "ca_expired" in {f.code for f in judge(policy, [*middle, *twins])[1]}
    renewed = [make("M", MIDDLE, "O", OTHER), WAY_OUT[1]]
    result, failing = judge(policy, shuffled(*middle, *twins, *renewed))
    assert (failing, [c.common_name for c in result.path]) == ([], ["leaf", "S", "M", "O", "R"])


def test_paths_through_a_revoked_authority_hide_no_other(policy: Policy) -> None:
    middle = make("M", MIDDLE, "R", ROOT)
    twins = [make("S", SUB, "M", MIDDLE) for _ in range(MANY)]
    lists = [revoking(middle)]
    assert "ca_revoked" in {f.code for f in judge(policy, [middle, *twins], lists)[1]}
    result, failing = judge(policy, shuffled(middle, *twins, *WAY_OUT), lists)
    assert (failing, [c.common_name for c in result.path]) == ([], ["leaf", "S", "O", "R"])
    # Each of the issuer's own certificates revoked but the last one.
    twins = [make("S", SUB, "R", ROOT) for _ in range(MANY)]
    result, failing = judge(policy, shuffled(*twins), [revoking(*twins[1:])])
    assert (failing, result.path[1]) == ([], twins[0])


def constrained(*, permitted: str) -> Extension:
    return x509.NameConstraints([x509.DirectoryName(name(permitted))], None), True


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (lambda: make("S", SUB, "R", ROOT, constrained(permitted="somebody else")), "name_constraint_violated"),
        (lambda: make("S", SUB, "R", ROOT, ca=False), "issuer_is_no_ca"),
        (
            lambda: make("S", SUB, "R", ROOT, (x509.PolicyConstraints(0, None), True)),
            "certificate_policy_missing",
        ),
        (
            lambda: make(
                "S", SUB, "R", ROOT, (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
            ),
            "critical_extension_unknown",
        ),
    ],
)
def test_paths_that_break_a_rule_hide_no_other(policy: Policy, broken, code: str) -> None:  # type: ignore[no-untyped-def]
    twins = [broken() for _ in range(MANY)]
    assert [f.code for f in judge(policy, twins)[1]] == [code]
    result, failing = judge(policy, shuffled(*twins, *WAY_OUT))
    assert (failing, [c.common_name for c in result.path]) == ([], ["leaf", "S", "O", "R"])


def policy_of(oid: str) -> Extension:
    return x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier(oid), None)]), False


def test_the_path_with_the_policy_that_is_asked_for_is_found(policy: Policy) -> None:
    leaf = make("leaf", new_key(), "S", SUB, policy_of("1.2.3.1"), ca=False)
    short = make("S", SUB, "R", ROOT, policy_of("1.2.3.2"))
    long = [make("S", SUB, "O", OTHER, policy_of("1.2.3.1")), make("O", OTHER, "R", ROOT, policy_of("2.5.29.32.0"))]
    pool = [short, *long]
    assert judge(policy, pool, leaf=leaf)[0].path[1] == short
    result, failing = judge(policy, pool, leaf=leaf, asked=PolicyInputs(frozenset(("1.2.3.1",)), required=True))
    assert (failing, result.path[1]) == ([], long[0])
    for asked in (PolicyInputs(frozenset(("1.2.3.2",)), required=True), PolicyInputs(required=True, inhibit_any=True)):
        assert [f.code for f in judge(policy, pool, leaf=leaf, asked=asked)[1]] == ["certificate_policy_missing"]


def test_the_verdict_does_not_depend_on_the_order_of_arrival(policy: Policy) -> None:
    middle = make("M", MIDDLE, "R", ROOT)
    pool = [middle, make("S", SUB, "R", ROOT, days=300), make("S", SUB, "M", MIDDLE), *WAY_OUT]
    pool += [make("S", SUB, "R", ROOT, constrained(permitted="x")), make("S", new_key(), "R", ROOT)]
    for without in (None, *pool):
        bag = [certificate for certificate in pool if certificate != without]
        lists = [revoking(middle)]
        expected = judge(policy, bag, lists)
        for seed in range(8):
            random.Random(seed).shuffle(bag)
            assert judge(policy, bag, lists) == expected


def test_many_failing_paths_cost_less_than_a_second(policy: Policy) -> None:
    """Eight layers of six authorities, all certified crosswise, none of them good any more."""
    keys = [[new_key() for _ in range(6)] for _ in range(7)]
    pool = [
        make(f"L{i}.{a}", keys[i][a], f"L{i + 1}.{b}", keys[i + 1][b], days=300)
        for i in range(6)
        for a, b in itertools.product(range(6), repeat=2)
    ]
    pool += [make(f"L6.{a}", keys[6][a], "R", ROOT, days=300) for a in range(6)]
    leaf = make("leaf", new_key(), "L0.0", keys[0][0], ca=False)
    started = time.process_time()
    _, failing = judge(policy, pool, leaf=leaf)
    assert time.process_time() - started < 1
    assert "ca_expired" in {f.code for f in failing}


def test_numbers_below_nothing_are_malformed() -> None:
    bad = make(
        "S", SUB, "R", ROOT, (x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.36"), b"\x30\x03\x80\x01\xff"), True)
    )
    assert [f.code for f in check_path((LEAF, bad, ANCHOR))] == ["certificate_malformed"]
    length = make(
        "S",
        SUB,
        "R",
        ROOT,
        (x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.19"), b"\x30\x06\x01\x01\xff\x02\x01\xff"), True),
        ca=False,
    )
    assert [f.code for f in check_path((LEAF, length, ANCHOR))] == ["certificate_malformed"]
