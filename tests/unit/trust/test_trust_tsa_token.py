"""Tokens that are properly signed and still wrong: made attribute by attribute."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import test_pki
from signsvc.asn1 import der as asn1
from signsvc.errors import UpstreamError
from signsvc.trust import TrustAnchor, TrustMaterial, TsaClient, TsaConfig, tsa_token
from signsvc.trust.tsa_token import TokenError
from signsvc.types import Certificate
from test_pki import certificates, der, hierarchy, signatures, timestamps

DIGEST = hashlib.sha256(b"document").digest()
NONCE = 0xDEADBEEFCAFEF00D


class Forge:
    """A token whose parts can be chosen; by default all of them are right."""

    def __init__(self, pki: test_pki.Pki, tsa: str = "tsa1", digest: str = "sha256") -> None:
        self.pki = pki
        self.tsa = tsa
        self.digest = digest
        self.certificate = pki.cert(tsa)
        self.content = timestamps.tst_info(
            DIGEST, at=pki.epoch, algorithm=der.OIDS["sha256"], policy="1.2.3", serial=1, nonce=NONCE
        )
        self.content_type = timestamps.TST_INFO
        self.attributes = [
            timestamps.attribute("1.2.840.113549.1.9.3", der.oid(timestamps.TST_INFO)),
            timestamps.attribute("1.2.840.113549.1.9.4", der.octets(signatures.digest(self.content, digest))),
            timestamps.signing_certificate(self.certificate, "sha256"),
        ]
        self.signers = 1

    def signer(self) -> bytes:
        as_set = der.set_of(*self.attributes)
        key = self.pki.key(self.tsa)
        return der.seq(
            der.integer(1),
            der.seq(certificates.field(self.certificate, "issuer"), certificates.field(self.certificate, "serial")),
            signatures.digest_algorithm(self.digest),
            b"\xa0" + as_set[1:],
            signatures.signature_algorithm(key, self.digest),
            der.octets(signatures.sign(key, as_set, self.digest)),
        )

    def token(self) -> bytes:
        signer = self.signer()
        body = der.seq(
            der.integer(3),
            der.set_of(signatures.digest_algorithm(self.digest)),
            der.seq(der.oid(self.content_type), der.explicit(0, der.octets(self.content))),
            der.explicit(0, self.certificate),
            der.tlv(0x31, *[signer] * self.signers),
        )
        return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, body))

    def reason(self) -> str:
        with pytest.raises(TokenError) as caught:
            tsa_token.check(self.token(), DIGEST, "sha256", nonce=NONCE)
        return caught.value.reason


@pytest.fixture
def forge(pki: test_pki.Pki) -> Forge:
    return Forge(pki)


def test_the_forge_makes_good_tokens(forge: Forge) -> None:
    found = tsa_token.check(forge.token(), DIGEST, "sha256", nonce=NONCE)
    assert (found.certificate.der, found.serial_number, found.policy_oid) == (forge.certificate, 1, "1.2.3")


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_signer(forge: Forge, count: int) -> None:
    forge.signers = count
    assert forge.reason() == "signers"


def test_each_attribute_once(forge: Forge) -> None:
    forge.attributes.append(timestamps.attribute("1.2.840.113549.1.9.3", der.oid(timestamps.DATA)))
    assert forge.reason() == "signed_attributes"


def test_each_attribute_with_one_value(forge: Forge) -> None:
    good = der.octets(signatures.digest(forge.content))
    forge.attributes[1] = timestamps.attribute("1.2.840.113549.1.9.4", good, der.octets(bytes(32)))
    assert forge.reason() == "signed_attributes"


def test_the_content_type_attribute(forge: Forge) -> None:
    forge.attributes[0] = timestamps.attribute("1.2.840.113549.1.9.3", der.oid(timestamps.DATA))
    assert forge.reason() == "content_type"
    del forge.attributes[0]
    assert forge.reason() == "content_type"


def test_the_content_is_a_timestamp(forge: Forge) -> None:
    forge.content_type = timestamps.DATA
    assert forge.reason() == "not_a_timestamp"


def test_the_message_digest(forge: Forge) -> None:
    forge.attributes[1] = timestamps.attribute("1.2.840.113549.1.9.4", der.octets(bytes(32)))
    assert forge.reason() == "message_digest"
    del forge.attributes[1]
    assert forge.reason() == "message_digest"


def test_a_reference_to_the_certificate_is_needed(forge: Forge) -> None:
    del forge.attributes[2]
    assert forge.reason() == "certificate_reference_missing"


def test_both_references_must_fit(forge: Forge) -> None:
    forge.attributes.append(timestamps.signing_certificate(forge.certificate, "sha1"))
    assert tsa_token.check(forge.token(), DIGEST, "sha256", nonce=NONCE)
    forge.attributes[3] = timestamps.signing_certificate(forge.pki.cert("tsa2"), "sha1")
    assert forge.reason() == "certificate_reference"


def test_a_token_signed_with_sha1_is_refused(pki: test_pki.Pki) -> None:
    assert Forge(pki, digest="sha1").reason() == "algorithm"


def test_a_short_key_is_refused(pki: test_pki.Pki) -> None:
    pki.add("tsa-short-key", "tsa1", key="rsa1024")
    assert Forge(pki, "tsa-short-key").reason() == "algorithm"


def test_an_elliptic_key_is_fine(pki: test_pki.Pki) -> None:
    pki.add("tsa-ec", "tsa1", key="ec")
    assert tsa_token.check(Forge(pki, "tsa-ec").token(), DIGEST, "sha256", nonce=NONCE)


# Answers of a server that can say anything ---------------------------------------------------------------------------


class Server:
    """Stands in for the HTTP client: each answer is made from the request's nonce."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def post(self, url: str, body: bytes, **more: object) -> SimpleNamespace:
        parts = asn1.children(body, asn1.read_all(body))
        nonce = next(asn1.decode_integer(body, part) for part in reversed(parts) if part.tag == asn1.INTEGER)
        return SimpleNamespace(
            status=200, media_type="application/timestamp-reply", body=timestamps.response(self.make(nonce))
        )


def told(pki: test_pki.Pki, make: Any, pool: Sequence[str] = (), **config: Any) -> list[tuple[str, str]]:
    material = TrustMaterial(
        anchors=(TrustAnchor(Certificate.from_der(pki.cert("root-g2")), "g2"),),
        intermediates=tuple(Certificate.from_der(pki.cert(label)) for label in pool),
    )
    client = TsaClient([TsaConfig("một", "http://tsa/", **config)], Server(make), material)  # type: ignore[arg-type]
    try:
        client.timestamp(DIGEST, "sha256", now=datetime.now(UTC))
    except UpstreamError as error:
        return list(error.data["tsas"])  # type: ignore[call-overload, no-any-return]
    return []


def test_the_policy_that_was_asked_for(pki: test_pki.Pki) -> None:
    make = lambda nonce: pki.timestamp(DIGEST, nonce=nonce)  # noqa: E731
    assert told(pki, make, policy_oid=hierarchy.TSA_POLICY) == []
    assert told(pki, make, policy_oid="1.2.3.4") == [("một", "policy")]


def test_a_chain_through_a_certificate_that_is_no_ca(pki: test_pki.Pki) -> None:
    pki.add("tsa-by-person", "tsa1", issuer="person")
    assert told(pki, lambda nonce: pki.timestamp(DIGEST, tsa="tsa-by-person", nonce=nonce)) == [("một", "chain")]


def test_a_chain_through_an_expired_ca(pki: test_pki.Pki) -> None:
    pki.add("ended-tsa-ca", "sub-g2-tsa", not_after=timedelta(days=1))
    pki.add("tsa-by-ended", "tsa1", issuer="ended-tsa-ca")
    make = lambda nonce: pki.timestamp(DIGEST, tsa="tsa-by-ended", nonce=nonce)  # noqa: E731
    assert told(pki, make) == [("một", "chain")]
    # Another certificate of the same authority that is still valid leads to the anchor.
    assert told(pki, make, pool=["sub-g2-tsa"]) == []


def test_an_answer_to_somebody_elses_question(pki: test_pki.Pki) -> None:
    old = pki.timestamp(DIGEST, nonce=1)
    assert told(pki, lambda nonce: old) == [("một", "nonce")]
