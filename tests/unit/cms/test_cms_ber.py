"""BER: read on its own layer, with digests and signatures over the original octets (shape 26)."""

from __future__ import annotations

import hashlib

import pytest

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.asn1 import DerError, ber
from signsvc.formats import cms
from signsvc.formats.cms import read_timestamp, signing_certificate
from signsvc.trust.crl import Crl
from signsvc.types import Certificate
from test_pki import der
from test_pki.timestamps import attribute
from tests.unit.cms.cms_builder import DOCUMENT, Signer, codes, digest_of
from tests.unit.cms.cms_builder import cms as build


def loosen(data: bytes, depth: int, *, pieces: bool = False) -> bytes:
    """Indefinite lengths for everything constructed down to *depth*, octet strings in pieces if asked."""
    tag, start, end = der.split(data)
    content = data[start:end]
    if tag == 0x04 and pieces and len(content) > 3:
        parts = [der.octets(content[:3]), der.octets(content[3:])]
        return b"\x24\x80" + b"".join(parts) + b"\0\0"
    if not tag & 0x20 or depth == 0:
        return data
    return bytes((tag, 0x80)) + b"".join(loosen(c, depth - 1, pieces=pieces) for c in der.children(data)) + b"\0\0"


def test_reencoding_gives_the_der_back(pki: test_pki.Pki) -> None:
    encoded = pki.timestamp(b"x" * 32)
    for depth in (1, 3, 30):
        loose = loosen(encoded, depth, pieces=True)
        lenient = ber.to_der(loose + bytes(30))
        assert lenient.der == encoded
        assert lenient.end == len(loose)
        assert lenient.original(0, len(encoded)) == loose


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x80\x00",
        b"\x04\x80\x00\x00",
        b"\x30\x03\x02\x05\x01",
        b"\x24\x80\x02\x01\x05\x00\x00",
        b"\x30\x80" * 100,
        b"\x1f\x01\x00",
        b"\x00\x00",
        b"\x30\x89" + bytes(9),
        b"\x23\x06\x03\x01\x00\x03\x01\x04",
        b"\x30\x02\x30\x80\x00\x00",
    ],
)
def test_what_is_no_ber(octets: bytes) -> None:
    with pytest.raises(DerError):
        ber.to_der(octets)


def test_many_elements_are_refused() -> None:
    with pytest.raises(DerError, match="too many"):
        ber.to_der(b"\x30\x80" + b"\x05\x00" * 300_000 + b"\0\0")


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_ber_around_a_signature(pki: test_pki.Pki, depth: int) -> None:
    view = cms.read(loosen(build(Signer(pki)), depth) + bytes(99), subject="S", digest=digest_of())
    assert codes(view.findings) == ["cms_ber"]
    signer = view.signers[0]
    assert signer.digest_matches is True
    assert [c.der for c in view.certificates] == pki.chain("person")
    certificate, _ = signing_certificate(signer)
    assert certificate is not None
    algorithm = resolve(signer.value.algorithm_oid, signer.value.parameters, signer.value.digest_oid)
    check = verify_value(certificate, algorithm, signer.value.value, message=signer.value.message)
    assert check is SignatureCheck.VALID


def test_ber_token(pki: test_pki.Pki) -> None:
    token = loosen(pki.timestamp(hashlib.sha256(DOCUMENT).digest()), 3, pieces=True)
    view = read_timestamp(token + bytes(7), id="T", kind="document", digest=digest_of())
    assert codes(view.findings) == ["cms_ber"]
    assert view.imprint_matches is True
    assert view.token == token
    assert view.signer is not None
    assert view.signer.digest_matches is True


def test_ber_token_inside_a_der_signature(pki: test_pki.Pki) -> None:
    plain = Signer(pki)
    plain.encoded()
    token = loosen(pki.timestamp(hashlib.sha256(plain.value).digest()), 4, pieces=True)
    # A set holds it as it is: the structure around counts its octets.
    unsigned = (attribute("1.2.840.113549.1.9.16.2.14", token),)
    view = cms.read(build(Signer(pki, signature=plain.value, unsigned=unsigned)), subject="S", digest=digest_of())
    stamp = view.signers[0].timestamps[0]
    assert stamp.token == token
    assert stamp.imprint_matches is True


def test_ber_list_keeps_its_signature(pki: test_pki.Pki) -> None:
    original = pki.crl("sub-g2-state")
    loose = Crl.parse(loosen(original, 1))
    assert loose.verify(Certificate.from_der(pki.cert("sub-g2-state"))) is SignatureCheck.VALID
    assert loose.lookup(Certificate.from_der(pki.cert("revoked")).serial_number) is not None
    # What is signed is the octets: the same list with a re-encoded inside is another one.
    inner = Crl.parse(loosen(original, 2))
    assert inner.verify(Certificate.from_der(pki.cert("sub-g2-state"))) is SignatureCheck.INVALID


def test_ber_signed_attributes_are_checked_as_der(pki: test_pki.Pki) -> None:
    """RFC 5652 §5.4: what is signed is their DER encoding."""
    fields = der.children(Signer(pki).encoded())
    fields[3] = b"\xa0\x80" + der.content(fields[3]) + b"\0\0"
    view = cms.read(build(der.seq(*fields), certs=pki.chain("person")), subject="S", digest=digest_of())
    signer = view.signers[0]
    assert codes(signer.findings) == ["cms_signed_attributes_ber"]
    certificate, _ = signing_certificate(signer)
    assert certificate is not None
    algorithm = resolve(signer.value.algorithm_oid, signer.value.parameters, signer.value.digest_oid)
    check = verify_value(certificate, algorithm, signer.value.value, message=signer.value.message)
    assert check is SignatureCheck.VALID
