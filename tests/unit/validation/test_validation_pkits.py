"""NIST PKITS: every test and subtest, by number, through path search, path rules, policies and revocation lists.

All certificates and all lists lie in one bag, so that each path has to be found among everybody else's.  The settings
are given as a validation policy gives them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signsvc.asn1 import DerError
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Level, Origin
from signsvc.validation import Policy, policies
from signsvc.validation.chain import validate_chain
from signsvc.validation.context import Context
from signsvc.validation.policy_tree import PolicyInputs
from tests.unit.validation.pkits_rows import ROWS

MOMENT = datetime(2015, 1, 1, tzinfo=UTC)
TESTS = (6, 8, 11, 21, 8, 17, 5, 20, 8, 14, 11, 10, 38, 35, 10, 2)  # of §4.1 to §4.16
SUBTESTS = 256

# Where we differ on purpose, and why: number -> (what we say instead, reason).
DEVIATIONS: dict[str, tuple[str, str]] = {
    "4.1.5": (
        "no_certificate_chain",
        "a DSA key that borrows its parameters from the certificate above is no key by itself; FIPS 186-5 withdrew DSA",
    ),
}

# Refused when they are read, as the tests want: the signature's bit string has unused bits.
UNREADABLE = {"BadSignedCACert", "InvalidDSASignatureTest6EE"}


def _rows() -> list[tuple[str, str, str, frozenset[str]]]:
    found = []
    for line in ROWS.split("\n"):
        if line:
            number, settings, name, *expected = line.split()
            found.append((number, settings, name + "EE", frozenset(expected) - {"+"}))
    return found


def _inputs(settings: str) -> PolicyInputs:
    accepted = frozenset(f"2.16.840.1.101.3.2.1.48.{digit}" for digit in settings if digit.isdigit())
    return PolicyInputs(accepted or None, "E" in settings, "M" in settings, "A" in settings)


@pytest.fixture(scope="module")
def certificates() -> dict[str, Certificate]:
    found, unreadable = {}, set()
    for path in sorted((_root() / "certs").glob("*.crt")):
        try:
            found[path.stem] = Certificate(path.read_bytes())
        except DerError:
            unreadable.add(path.stem)
    assert unreadable == UNREADABLE
    return found


@pytest.fixture(scope="module")
def lists() -> list[EvidenceItem]:
    return [
        EvidenceItem(EvidenceKind.CRL, path.read_bytes(), Origin.SUPPLIED)
        for path in sorted((_root() / "crls").glob("*.crl"))
    ]


@pytest.fixture(scope="module")
def policy() -> Policy:
    """PKITS is older than today's algorithms: no dates here."""
    found = policies.load("hon-hop")
    rows = {role: tuple(replace(row, not_after=None) for row in rows) for role, rows in found.algorithms.items()}
    return replace(found, algorithms=rows)


def _root() -> Path:
    import cryptography_vectors

    return Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"


def test_no_test_of_the_suite_is_missing() -> None:
    rows = _rows()
    wanted = {f"4.{section}.{n}" for section, count in enumerate(TESTS, 1) for n in range(1, count + 1)}
    assert {number for number, *_ in rows} == wanted
    assert len(wanted) == 224
    assert len({row[:2] for row in rows}) == len(rows) == SUBTESTS
    assert {name for _, _, name, _ in rows} == {path.stem for path in (_root() / "certs").glob("*EE.crt")}
    assert set(DEVIATIONS) <= wanted
    print(f"PKITS: {len(rows)} rows of {len(wanted)} tests, {len(DEVIATIONS)} deviations: {DEVIATIONS}")


@pytest.mark.parametrize(
    ("number", "settings", "name", "expected"), _rows(), ids=[f"{row[0]}-{row[1]}" for row in _rows()]
)
def test_pkits(
    number: str,
    settings: str,
    name: str,
    expected: frozenset[str],
    certificates: dict[str, Certificate],
    lists: list[EvidenceItem],
    policy: Policy,
) -> None:
    if number in DEVIATIONS:
        assert not expected, "a deviation that refuses what is refused anyway is none"
        expected = frozenset((DEVIATIONS[number][0],))
    if name in UNREADABLE:
        assert expected == {"unreadable"}
        return
    anchor = TrustAnchor(certificates["TrustAnchorRootCertificate"], "PKITS")
    material = TrustMaterial(("pkits",), (anchor,))
    context = Context.of(policy, material, MOMENT, lists, certificates.values(), now=datetime(2026, 1, 1, tzinfo=UTC))
    result = validate_chain(context, certificates[name], proven=MOMENT, policies=_inputs(settings))
    assert {f.code for f in result.findings if f.level is Level.FAIL} == expected
