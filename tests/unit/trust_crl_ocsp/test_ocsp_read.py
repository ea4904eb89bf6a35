"""OCSP: answers, who may answer, requests (RFC 6960)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp as reference

import test_pki
from signsvc.algorithms import SignatureCheck
from signsvc.asn1 import DerError
from signsvc.trust.ocsp import OcspResponse, OcspStatus, ocsp_request
from signsvc.types import Certificate
from test_pki import certificates, der, revocation, signatures

CA = "sub-g2-state"


def cert(pki: test_pki.Pki, label: str) -> Certificate:
    return Certificate.from_der(pki.cert(label))


def response_of(pki: test_pki.Pki, label: str, data: bytes, certs: tuple[bytes, ...] = ()) -> bytes:
    """A BasicOCSPResponse around response data, signed by *label*."""
    algorithm = signatures.signature_algorithm(pki.key(label), "sha256")
    sent = der.explicit(0, der.seq(*certs)) if certs else b""
    return der.seq(data, algorithm, der.bits(signatures.sign(pki.key(label), data)), sent)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_good(pki: test_pki.Pki, by_name: bool, hash_name: str) -> None:
    person, issuer = cert(pki, "person"), cert(pki, CA)
    response = OcspResponse.parse(pki.ocsp("person", "good", pki.epoch, by_name=by_name, hash=hash_name))
    assert response.response_status == 0
    assert response.produced_at == pki.epoch
    single = response.single(person, issuer)
    assert single is not None
    assert (single.status, single.this_update) == (OcspStatus.GOOD, pki.epoch)
    assert single.next_update == pki.epoch + timedelta(days=1)
    assert response.problem(single) is None
    responder = response.responder((), issuer, checked=person)
    assert responder == cert(pki, f"ocsp-{CA}")
    assert responder is not None
    assert response.verify(responder) is SignatureCheck.VALID
    assert (response.responder_name is not None) is by_name


def test_revoked_and_unknown(pki: test_pki.Pki) -> None:
    person, issuer = cert(pki, "person"), cert(pki, CA)
    revoked = OcspResponse.parse(
        pki.ocsp("person", "revoked", pki.epoch, revoked_at=pki.epoch - timedelta(days=4), reason="certificateHold")
    ).single(person, issuer)
    assert revoked is not None
    assert (revoked.status, revoked.reason) == (OcspStatus.REVOKED, "certificateHold")
    assert revoked.revoked_at == pki.epoch - timedelta(days=4)
    unknown = OcspResponse.parse(pki.ocsp("person", "unknown")).single(person, issuer)
    assert unknown is not None
    assert unknown.status is OcspStatus.UNKNOWN


def test_answers_about_others_are_none(pki: test_pki.Pki) -> None:
    response = OcspResponse.parse(pki.ocsp("person"))
    assert response.single(cert(pki, "person2"), cert(pki, CA)) is None
    # The same name with another key is another issuer.
    assert response.single(cert(pki, "person"), cert(pki, "sub-g2-state-rekeyed")) is None
    assert response.single(cert(pki, "person"), cert(pki, "sub-g2-party")) is None


def test_the_issuer_answers_itself(pki: test_pki.Pki) -> None:
    response = OcspResponse.parse(pki.ocsp("person", signer=CA))
    assert response.certificates == ()
    assert response.responder((), cert(pki, CA)) == cert(pki, CA)


def test_responder_known_elsewhere(pki: test_pki.Pki) -> None:
    """Shape 30: used if known elsewhere, else ignored."""
    response = OcspResponse.parse(pki.ocsp("person", include=()))
    assert response.responder((), cert(pki, CA)) is None
    assert response.responder((cert(pki, f"ocsp-{CA}"),), cert(pki, CA)) == cert(pki, f"ocsp-{CA}")


@pytest.mark.parametrize(
    "signer", ["ocsp-sub-g2-party", "sub-g2-party", "person2", "root-g2", "tsa1", "ocsp-ca-unknown"]
)
def test_who_may_not_answer(pki: test_pki.Pki, signer: str) -> None:
    response = OcspResponse.parse(pki.ocsp("person", signer=signer, include=(pki.cert(signer),)))
    assert response.verify(cert(pki, signer)) is SignatureCheck.VALID
    assert response.responder((cert(pki, signer),), cert(pki, CA)) is None


def test_a_certificate_never_answers_for_itself(pki: test_pki.Pki) -> None:
    own = f"ocsp-{CA}"
    response = OcspResponse.parse(pki.ocsp(own))
    assert response.responder((), cert(pki, CA), checked=cert(pki, own)) is None
    assert response.responder((), cert(pki, CA)) == cert(pki, own)
    root = OcspResponse.parse(pki.ocsp("root-g2", "good", issuer="root-g2", signer="root-g2"))
    assert root.responder((), cert(pki, "root-g2"), checked=cert(pki, "root-g2")) is None


def test_a_responder_that_only_says_it_is_of_the_issuer(pki: test_pki.Pki) -> None:
    """Right issuer name and purpose, but another key signed it."""
    forged = certificates.build(
        "forged", pki.spec(f"ocsp-{CA}"), pki.epoch, pki.key(f"ocsp-{CA}"), pki.key("sub-g2-party"), pki.cert(CA)
    )
    response = OcspResponse.parse(pki.ocsp("person", include=(forged,)))
    assert response.responder((), cert(pki, CA)) is None


def test_broken_signature(pki: test_pki.Pki) -> None:
    encoded = bytearray(pki.ocsp("person", include=()))
    encoded[-1] ^= 1
    response = OcspResponse.parse(bytes(encoded))
    assert response.responder((cert(pki, f"ocsp-{CA}"),), cert(pki, CA)) is None


def test_bare_basic_response(pki: test_pki.Pki) -> None:
    whole = pki.ocsp("person", at=pki.epoch)
    basic = der.content(der.children(der.children(der.children(whole)[1])[0])[1])
    bare, full = OcspResponse.parse(basic), OcspResponse.parse(whole)
    assert bare.singles == full.singles
    assert bare.responder((), cert(pki, CA)) == full.responder((), cert(pki, CA)) is not None


def test_errors_of_a_responder() -> None:
    for code in (1, 2, 3, 5, 6):
        response = OcspResponse.parse(revocation.ocsp_error(code))
        assert (response.response_status, response.singles) == (code, ())
    with pytest.raises(DerError):
        OcspResponse.parse(revocation.ocsp_error(0))


def test_several_answers(pki: test_pki.Pki) -> None:
    person, issuer = cert(pki, "person"), cert(pki, CA)

    def answers(*said: tuple[str, int]) -> OcspResponse:
        made = [
            pki.answer(CA, person.serial_number, s, this_update=pki.epoch - timedelta(days=d), revoked_at=pki.epoch)
            for s, d in said
        ]
        return OcspResponse.parse(pki.ocsp_response(CA, made, pki.epoch))

    newest = answers(("good", 3), ("unknown", 1), ("good", 2)).single(person, issuer)
    assert newest is not None
    assert newest.status is OcspStatus.UNKNOWN
    revoked = answers(("revoked", 3), ("good", 1)).single(person, issuer)
    assert revoked is not None
    assert revoked.status is OcspStatus.REVOKED


def test_what_strict_readers_refuse(pki: test_pki.Pki) -> None:
    """Fractions of a second and negative serial numbers."""
    issuer = cert(pki, CA)
    fraction = pki.epoch + timedelta(milliseconds=250)
    encoded = pki.ocsp("person", "good", fraction)
    single = OcspResponse.parse(encoded).single(cert(pki, "person"), issuer)
    assert single is not None
    assert single.this_update == fraction
    odd = Certificate.from_der(pki.issue("person", serial=-300))
    assert odd.serial_number == -300
    answer = pki.answer(CA, -300, "good", this_update=pki.epoch)
    negative = OcspResponse.parse(pki.ocsp_response(CA, [answer], pki.epoch))
    assert negative.single(odd, issuer) is not None
    assert b"\x02\x02\xfe\xd4" in ocsp_request(odd, issuer)


def test_nonce(pki: test_pki.Pki) -> None:
    response = OcspResponse.parse(pki.ocsp("person", nonce=b"12345678"))
    assert response.nonce_matches(b"12345678") is True
    assert response.nonce_matches(b"87654321") is False
    assert OcspResponse.parse(pki.ocsp("person")).nonce_matches(b"12345678") is None


def test_single_extensions(pki: test_pki.Pki) -> None:
    person, issuer = cert(pki, "person"), cert(pki, CA)

    def single(*extra: tuple[str, bool, bytes]) -> tuple[OcspResponse, object]:
        answer = replace(pki.answer(CA, person.serial_number, "good", this_update=pki.epoch), extra=extra)
        response = OcspResponse.parse(pki.ocsp_response(CA, [answer], pki.epoch))
        return response, response.single(person, issuer)

    def cert_hash(digest: bytes) -> tuple[str, bool, bytes]:
        return "1.3.36.8.3.13", False, der.seq(signatures.digest_algorithm("sha256"), der.octets(digest))

    cutoff = pki.epoch - timedelta(days=4000)
    response, found = single(("1.3.6.1.5.5.7.48.1.6", False, der.generalized_time(cutoff)), cert_hash(person.sha256))
    assert found.archive_cutoff == cutoff
    assert found.cert_hash_matches(person) is True
    assert found.cert_hash_matches(issuer) is False
    assert response.problem(found) is None
    _, plain = single()
    assert plain.cert_hash_matches(person) is None
    response, critical = single(("1.2.3", True, b"\x05\x00"))
    assert response.problem(critical) == "ocsp_critical_extension_unknown"


@pytest.mark.parametrize("nonce", [None, b"n" * 16])
@pytest.mark.parametrize(("name", "algorithm"), [("sha1", hashes.SHA1()), ("sha256", hashes.SHA256())])
def test_request(pki: test_pki.Pki, nonce: bytes | None, name: str, algorithm: hashes.HashAlgorithm) -> None:
    """What another implementation writes."""
    made = ocsp_request(cert(pki, "person"), cert(pki, CA), nonce, name)
    builder = reference.OCSPRequestBuilder().add_certificate(
        x509.load_der_x509_certificate(pki.cert("person")), x509.load_der_x509_certificate(pki.cert(CA)), algorithm
    )
    read = reference.load_der_ocsp_request(made)
    expected = builder.build()
    assert read.issuer_key_hash == expected.issuer_key_hash
    assert read.issuer_name_hash == expected.issuer_name_hash
    assert read.serial_number == expected.serial_number
    assert read.hash_algorithm.name == algorithm.name
    if nonce is not None:
        assert read.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    else:
        assert len(read.extensions) == 0
    with pytest.raises(ValueError, match="digest"):
        ocsp_request(cert(pki, "person"), cert(pki, CA), hash="sha17")


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"\x30\x03\x0a\x01\x00", b"\x30\x03\x02\x01\x05", b"junk" * 5])
def test_what_is_no_response(octets: bytes) -> None:
    with pytest.raises(DerError):
        OcspResponse.parse(octets)


def test_damage(pki: test_pki.Pki) -> None:
    """Whatever octet changes: DerError, or no responder, or the same answer."""
    person, issuer = cert(pki, "person"), cert(pki, CA)
    encoded = pki.ocsp("person", at=pki.epoch)
    whole = OcspResponse(encoded)
    rng = random.Random(3)
    mutants = []
    for place in range(len(encoded)):
        mutant = bytearray(encoded)
        mutant[place] ^= 0x01
        mutants.append(bytes(mutant))
    for _ in range(300):
        mutant = bytearray(encoded)
        at = rng.randrange(len(mutant))
        mutant[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
        mutants.append(bytes(mutant))
    for octets in mutants:
        try:
            response = OcspResponse(octets)
        except DerError:
            continue
        if response.responder((), issuer, checked=person) is not None:
            assert response.single(person, issuer) == whole.single(person, issuer)
            assert response.produced_at == whole.produced_at
