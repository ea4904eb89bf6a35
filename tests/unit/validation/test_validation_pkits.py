"""NIST PKITS: every end entity certificate through path search, path rules and revocation lists.

The names of the files say what is expected; where they do not, the table below does (PKITS §4.8 and §4.12, the
subtest with the default settings: any policy is acceptable and none is demanded).
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

MOMENT = datetime(2015, 1, 1, tzinfo=UTC)

# Without "Valid" or "Invalid" in the name, these fail; the rest of them pass.
FAILING = {f"DifferentPoliciesTest{n}EE" for n in (4, 5, 7, 8, 9, 12)}

# Where we are stricter on purpose, and why.
STRICTER = {
    "ValidDSAParameterInheritanceTest5EE": "keys without their own parameters are not loaded",
}

# Refused when they are read: the signature's bit string has unused bits.
UNREADABLE = {"BadSignedCACert", "InvalidDSASignatureTest6EE"}


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


def _names() -> list[str]:
    names = {path.stem for path in (_root() / "certs").glob("*EE.crt")} - UNREADABLE
    assert len(names) > 220
    return sorted(names)


@pytest.mark.parametrize("name", _names())
def test_pkits(name: str, certificates: dict[str, Certificate], lists: list[EvidenceItem], policy: Policy) -> None:
    anchor = TrustAnchor(certificates["TrustAnchorRootCertificate"], "PKITS")
    material = TrustMaterial(("pkits",), (anchor,))
    context = Context.of(policy, material, MOMENT, lists, certificates.values(), now=datetime(2026, 1, 1, tzinfo=UTC))
    result = validate_chain(context, certificates[name], proven=MOMENT)
    failing = sorted({f.code for f in result.findings if f.level is Level.FAIL})
    expected = name in FAILING or name.startswith("Invalid") or name in STRICTER
    assert bool(failing) is expected, failing
