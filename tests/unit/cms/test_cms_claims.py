"""What a signer claims: written as the standard says and read back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

import test_pki
from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.asn1 import encode, encode_oid
from signsvc.formats import cms
from signsvc.formats.cms import claims
from signsvc.formats.cms.write import CmsPlan, room_for, signed_attributes, signed_data
from signsvc.types import Certificate


@pytest.fixture
def plan(pki: test_pki.Pki) -> Callable[..., CmsPlan]:
    def make(*attributes: bytes) -> CmsPlan:
        certificate = Certificate.from_der(pki.cert("person"))
        return CmsPlan(certificate, SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256"), (), attributes)

    return make


def _structure(plan: CmsPlan) -> bytes:
    return signed_data(plan, signed_attributes(plan, bytes(32)), bytes(256))


def test_roles_and_commitment_are_read_back(plan: Callable[..., CmsPlan]) -> None:
    made = _structure(
        plan(
            claims.claimed_roles(["TM. ỦY BAN NHÂN DÂN", "KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"]),
            claims.commitment_type("approval"),
        )
    )
    (signer,) = cms.read(made, subject="S", digest=None).signers
    assert signer.claimed_roles == ("TM. ỦY BAN NHÂN DÂN", "KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH")
    assert [claims.commitment_name(oid) for oid in signer.commitment_oids] == ["approval"]
    assert not [f for f in signer.findings if f.level == "fail"]


def test_no_claims_no_attributes(plan: Callable[..., CmsPlan]) -> None:
    """The plain signature is what it was: three attributes."""
    (signer,) = cms.read(_structure(plan()), subject="S", digest=None).signers
    assert len(signer.signed_attributes) == 3


def test_the_structure_of_claimed_roles() -> None:
    """SignerAttributeV2 ::= SEQUENCE { [0] EXPLICIT SEQUENCE OF Attribute } (EN 319 122-1 annex D)."""
    title = encode(0x30, encode_oid("2.5.4.12"), encode(0x31, encode(0x0C, "CHỦ TỊCH".encode())))
    value = encode(0x30, encode(0xA0, encode(0x30, title)))
    assert claims.claimed_roles(["CHỦ TỊCH"]) == encode(0x30, encode_oid("0.4.0.19122.1.1"), encode(0x31, value))


def test_nothing_to_claim() -> None:
    with pytest.raises(ValueError, match="no role"):
        claims.claimed_roles([])
    with pytest.raises(ValueError, match="unknown"):
        claims.commitment_type("phê duyệt")
    assert claims.commitment_name("1.2.3") is None


@pytest.mark.parametrize(("year", "tag"), [(2026, 0x17), (2049, 0x17), (2050, 0x18)])
def test_signing_time_changes_its_type_in_2050(year: int, tag: int, plan: Callable[..., CmsPlan]) -> None:
    moment = datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC)
    attribute = claims.signing_time(moment)
    (signer,) = cms.read(_structure(plan(attribute)), subject="S", digest=None).signers
    assert signer.claimed_time == moment
    assert tag in attribute


def test_the_room_grows_with_the_claims(plan: Callable[..., CmsPlan]) -> None:
    roles = claims.claimed_roles(["x" * 400])
    assert room_for(plan(roles)) - room_for(plan()) >= len(roles)
