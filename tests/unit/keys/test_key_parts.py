"""Frames, mechanisms, selection by people's words."""

from __future__ import annotations

import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import PROBLEMS, CredentialError, RequestError, SignsvcError, TokenError
from signsvc.keys import CredentialConfig, mechanisms, selection
from signsvc.keys.framing import FrameBuffer, FramingError, encode, error_from_wire, error_to_wire
from signsvc.keys.selection import TokenCertificate
from signsvc.keys.signer import order_chain
from signsvc.types import Certificate
from test_pki import Pki

ECDSA = SignatureAlgorithm(SignatureScheme.ECDSA, "sha256")


# frames --------------------------------------------------------------------------------------------------------
@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9)), max_size=5), st.integers(1, 9)
)
def test_frames_survive_any_cutting(messages: list[dict[str, object]], step: int) -> None:
    data = b"".join(encode(m) for m in messages)
    buffer = FrameBuffer()
    assert [m for i in range(0, len(data), step) for m in buffer.feed(data[i : i + step])] == messages


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", struct.pack(">I", 2) + b"[]", struct.pack(">I", 1) + b"x"])
def test_junk_ends_the_connection(data: bytes) -> None:
    with pytest.raises(FramingError):
        list(FrameBuffer().feed(data))


def test_errors_keep_code_and_facts() -> None:
    for code in PROBLEMS:
        error = SignsvcError(code, tries_left="few")
        back = error_from_wire(error_to_wire(error))
        assert (back.code, back.data) == (code, {"tries_left": "few"})
    assert isinstance(error_from_wire({"code": "pin_locked"}), TokenError)
    assert isinstance(error_from_wire({"code": "credential_ambiguous"}), CredentialError)
    for junk in (None, [], {}, {"code": "no_such"}, {"code": 3}):
        assert error_from_wire(junk).code == "internal_error"


# mechanisms ----------------------------------------------------------------------------------------------------
def test_digest_info_is_that_of_rfc_8017() -> None:
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017 §9.2 note 1, SHA-256
    assert mechanisms.digest_info("sha256", bytes(32)) == prefix + bytes(32)
    for name, size in (("sha256", 31), ("sha999", 32)):
        with pytest.raises(RequestError):
            mechanisms.digest_info(name, bytes(size))


def test_ecdsa_takes_the_leftmost_octets(pki: Pki) -> None:
    certificate = Certificate.from_der(pki.cert("ec"))
    digest = bytes(range(64))
    algorithm = SignatureAlgorithm(SignatureScheme.ECDSA, "sha512")
    assert mechanisms.to_be_signed(certificate, algorithm, digest) == digest[:32]


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_ecdsa_value_as_der(r: int, s: int) -> None:
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert decode_dss_signature(mechanisms.signature_value(ECDSA, raw)) == (r, s)


@pytest.mark.parametrize("raw", [b"", b"123"])
def test_malformed_ecdsa_value(raw: bytes) -> None:
    with pytest.raises(TokenError):
        mechanisms.signature_value(ECDSA, raw)


# selection -----------------------------------------------------------------------------------------------------
def _item(pki: Pki, name: str, key_id: str = "01", token: str = "Văn thư 1", serial: str = "s1") -> TokenCertificate:
    return TokenCertificate("/m.so", token, serial, 0, key_id, name, Certificate.from_der(pki.cert(name)))


def test_identifiers_fit_an_address_and_are_unique(pki: Pki) -> None:
    items = [_item(pki, "person"), _item(pki, "agency", "02"), _item(pki, "person2", serial="s2")]
    found = selection.identified([*items, _item(pki, "root-g2", "aa")])
    assert sorted(i.label for i in found.values()) == ["agency", "person", "person2"]
    assert "V-n-th-1:02" in found
    assert all(name.isascii() and " " not in name and "/" not in name for name in found)


def test_serial_numbers_as_people_write_them() -> None:
    assert selection.serial_numbers("0A:1b 2C") == {0x0A1B2C}
    assert selection.serial_numbers("0x10") == {16}
    assert selection.serial_numbers("10") == {10, 16}
    assert selection.serial_numbers("không") == frozenset()


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ({"key_id": "01"}, True),
        ({"key_id": "0x01"}, True),
        ({"key_id": "02"}, False),
        ({"label": "person"}, True),
        ({"label": "Person"}, False),
        ({"subject": "nguyễn văn an"}, True),
        ({"subject": "CN=Nguyễn Văn An"}, True),
        ({"subject": "an"}, False),  # too short to mean anything
        ({"token": "Văn thư 1", "key_id": "01"}, True),
        ({"token": "khác", "key_id": "01"}, False),
        ({"module": "/other.so"}, False),
    ],
)
def test_selectors_must_all_fit(pki: Pki, selector: dict[str, str], fits: bool) -> None:
    assert selection.fits(_item(pki, "person"), CredentialConfig("x", **selector)) is fits  # type: ignore[arg-type]


def test_one_means_one(pki: Pki) -> None:
    person, agency = _item(pki, "person"), _item(pki, "agency")
    assert selection.one([person, _item(pki, "root-g2")]) is person
    for items, code in (([], "credential_not_found"), ([person, agency], "credential_ambiguous")):
        with pytest.raises(CredentialError) as caught:
            selection.one(items)
        assert caught.value.code == code


def test_chain_in_order_without_strangers(pki: Pki) -> None:
    chain = tuple(Certificate.from_der(c) for c in pki.chain("person"))
    strangers = tuple(Certificate.from_der(pki.cert(n)) for n in ("agency", "root-g1"))
    assert order_chain(chain[0], (*strangers, *reversed(chain), chain[1])) == chain
    assert order_chain(chain[0], strangers) == chain[:1]
