"""Schemes that take the message itself: Ed25519 and Ed448 (RFC 8419), ML-DSA (RFC 9881, RFC 9882)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import test_pki
from signsvc.algorithms import (
    SHAKE256,
    SignatureAlgorithm,
    SignatureCheck,
    SignatureScheme,
    digest_name,
    new_hash,
    resolve,
    verify_value,
)
from signsvc.formats import cms, pades
from signsvc.formats.cms import signing_certificate
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, EvidenceKind, Origin
from signsvc.validation import Policy, policies, validate
from test_pki import certificates, der, revocation, signatures, timestamps
from test_pki.pki import now as pki_now
from test_pki.signatures import AnyKey
from tests.attacks.court import told
from tests.pdf_writer import PdfWriter
from tests.unit.cms.cms_builder import DATA, DOCUMENT, codes, digest_of

KEYS: dict[str, Callable[[], AnyKey]] = {
    "ed25519": lambda: ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
    "ed448": lambda: ed448.Ed448PrivateKey.from_private_bytes(bytes(57)),
    "ml-dsa-44": lambda: mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(32)),
    "ml-dsa-65": lambda: mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(32)),
    "ml-dsa-87": lambda: mldsa.MLDSA87PrivateKey.from_seed_bytes(bytes(32)),
}


class Chain:
    """A root and a signer of one kind of key, with a list of what is revoked."""

    def __init__(self, pki: test_pki.Pki, kind: str) -> None:
        self.pki, self.key = pki, KEYS[kind]()
        name = (("C", "VN"), ("CN", f"Test root {kind}"))
        root = replace(pki.spec("root-g2"), subject=name, digest="sha256")
        self.root = certificates.build("root", root, pki.epoch, self.key, self.key, None)
        leaf = replace(pki.spec("person"), ocsp_urls=(), crl_urls=(), aia_urls=())
        self.leaf = certificates.build("leaf", leaf, pki.epoch, self.key, self.key, self.root)

    def cms(self, document: bytes, digest: str = "sha512", flip: bool = False) -> bytes:
        return timestamps.signed_data(
            None,
            signatures.digest(document, digest),
            self.key,
            self.leaf,
            attributes=[timestamps.signing_certificate(self.leaf)],
            include=[self.leaf],
            digest=digest,
            flip=flip,
        )

    def bare(self, content: bytes | None, signed: bytes) -> bytes:
        """Without signed attributes."""
        algorithm = signatures.signature_algorithm(self.key, "sha512")
        info = der.seq(
            der.integer(1),
            der.seq(certificates.field(self.leaf, "issuer"), certificates.field(self.leaf, "serial")),
            signatures.digest_algorithm("sha512"),
            algorithm,
            der.octets(signatures.sign(self.key, signed)),
        )
        inner = der.explicit(0, der.octets(content)) if content is not None else b""
        return der.seq(
            der.oid("1.2.840.113549.1.7.2"),
            der.explicit(
                0,
                der.seq(
                    der.integer(1),
                    der.set_of(signatures.digest_algorithm("sha512")),
                    der.seq(der.oid(DATA), inner),
                    der.explicit(0, self.leaf),
                    der.set_of(info),
                ),
            ),
        )

    def verdict(self, data: bytes, policy: Policy) -> DocumentVerdict:
        now = pki_now()
        crl = revocation.crl(self.root, self.key, [], this_update=now, next_update=now + timedelta(days=7), number=1)
        material = TrustMaterial(("test",), (TrustAnchor(Certificate.from_der(self.root), "root"),), ())
        evidence = [EvidenceItem(EvidenceKind.CRL, crl, Origin.NETWORK)]
        return validate(pades.read(data), material=material, evidence=evidence, policy=policy, now=now)


@pytest.fixture(scope="module", params=KEYS)
def chain(request: pytest.FixtureRequest, pki: test_pki.Pki) -> Chain:
    return Chain(pki, request.param)


def checked(encoded: bytes, document: bytes | None = DOCUMENT) -> tuple[bool | None, SignatureCheck, list[str]]:
    digest = digest_of(document) if document is not None else None
    signer = cms.read(encoded, subject="S", digest=digest).signers[0]
    certificate, _ = signing_certificate(signer)
    assert certificate is not None
    value = signer.value
    algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
    check = verify_value(certificate, algorithm, value.value, message=value.message, digest=value.digest)
    return signer.digest_matches, check, codes(signer.findings)


def test_every_scheme_verifies(chain: Chain) -> None:
    digest = "shake256" if isinstance(chain.key, ed448.Ed448PrivateKey) else "sha512"
    assert checked(chain.cms(DOCUMENT, digest)) == (True, SignatureCheck.VALID, [])
    assert checked(chain.cms(DOCUMENT, digest, flip=True))[1] is SignatureCheck.INVALID
    assert checked(chain.cms(DOCUMENT, digest), b"another")[0] is False


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512", "shake256"])
def test_digests_that_do_not_go_with_the_scheme_are_told(chain: Chain, digest: str) -> None:
    scheme = Certificate.from_der(chain.leaf).key_type
    suited = {
        "ed25519": {"sha512"},
        "ed448": {"shake256"},
        "ml-dsa-44": {"sha256", "sha384", "sha512", "shake256"},
        "ml-dsa-65": {"sha384", "sha512", "shake256"},
        "ml-dsa-87": {"sha512", "shake256"},
    }[scheme]
    matches, check, found = checked(chain.cms(DOCUMENT, digest))
    assert (matches, check) == (True, SignatureCheck.VALID)
    assert found == ([] if digest in suited else ["cms_digest_unsuited"])


def test_without_signed_attributes_the_content_itself_is_needed(chain: Chain) -> None:
    assert checked(chain.bare(DOCUMENT, DOCUMENT), None)[:2] == (True, SignatureCheck.VALID)
    assert checked(chain.bare(DOCUMENT, b"another"), None)[1] is SignatureCheck.INVALID
    # Only a digest is at hand of what a PDF signature covers: such a signature cannot be checked, and is not passed.
    assert checked(chain.bare(None, DOCUMENT))[1] is SignatureCheck.UNSUPPORTED


def test_parameters_are_told(chain: Chain) -> None:
    signed = chain.cms(DOCUMENT)
    plain = signatures.signature_algorithm(chain.key, "sha512")
    odd = der.seq(der.children(plain)[0], der.null())
    body = der.children(der.children(der.children(signed)[1])[0])
    info = der.children(der.children(body[-1])[0])
    changed = der.seq(*info[:4], odd, *info[5:])
    rebuilt = der.seq(der.children(signed)[0], der.explicit(0, der.seq(*body[:-1], der.set_of(changed))))
    assert "cms_algorithm_parameters" in checked(rebuilt)[2]


def test_a_whole_verdict(chain: Chain) -> None:
    """EdDSA passes; ML-DSA passes where the policy takes experimental algorithms, and is open where it does not."""
    policy = policies.load("hon-hop")
    pdf = PdfWriter()
    pdf.sign(chain.pki, room=60_000, cms=chain.cms)
    experimental = Certificate.from_der(chain.leaf).key_type.startswith("ml-dsa")
    outcome, found = told(chain.verdict(pdf.data, policy))
    if experimental:
        assert outcome == "INDETERMINATE/CRYPTO_CONSTRAINTS_FAILURE"
        assert "algorithm_experimental" in found
    else:
        assert outcome == "TOTAL-PASSED", found
    assert told(chain.verdict(pdf.data, replace(policy, experimental=True)))[0] == "TOTAL-PASSED"
    # A wrong value fails whatever the policy thinks of the algorithm.
    forged = PdfWriter()
    forged.sign(chain.pki, room=60_000, cms=lambda covered: chain.cms(covered, flip=True))
    for chosen in (policy, replace(policy, experimental=True)):
        assert told(chain.verdict(forged.data, chosen))[0] == "TOTAL-FAILED/SIG_CRYPTO_FAILURE"


def test_another_parameter_set_is_another_scheme(pki: test_pki.Pki) -> None:
    """A value by one parameter set never stands for another."""
    chain = Chain(pki, "ml-dsa-65")
    leaf = Certificate.from_der(chain.leaf)
    value = signatures.sign(chain.key, b"message")
    for scheme in SignatureScheme:
        found = verify_value(leaf, SignatureAlgorithm(scheme, None), value, message=b"message")
        expected = SignatureCheck.VALID if scheme is SignatureScheme.ML_DSA_65 else SignatureCheck.UNSUPPORTED
        assert found is expected, scheme


@pytest.mark.parametrize(("size", "arc"), [("44", 17), ("65", 18), ("87", 19)])
def test_known_answers_of_ml_dsa(pki: test_pki.Pki, size: str, arc: int) -> None:
    """Published keys are loaded from certificates; their values, made for a context, are no plain signatures."""
    path = Path(cryptography_vectors.__file__).parent / "asymmetric" / "MLDSA" / f"kat_MLDSA_{size}_det_pure.rsp"
    texts = path.read_text().split("\ncount")
    blocks = [dict(re.findall(r"^(\w+) = (\w*)$", text, re.MULTILINE)) for text in texts]
    algorithm = der.seq(der.oid(f"2.16.840.1.101.3.4.3.{arc}"))
    for block in blocks[:5]:
        base = der.children(pki.cert("person"))
        parts = der.children(base[0])
        info = der.seq(algorithm, der.bits(bytes.fromhex(block["pk"])))
        holder = Certificate(der.seq(der.seq(*parts[:6], info, *parts[7:]), *base[1:]))
        message, signed = bytes.fromhex(block["msg"]), bytes.fromhex(block["sm"])
        value = signed[: len(signed) - len(message)]
        holder.public_key.verify(value, message, bytes.fromhex(block["ctx"]))
        found = verify_value(holder, resolve(f"2.16.840.1.101.3.4.3.{arc}"), value, message=message)
        assert found is SignatureCheck.INVALID


def test_shake_has_the_interface_of_a_hash() -> None:
    state = new_hash(SHAKE256.oid)
    state.update(b"ab")
    other = state.copy()
    other.update(b"c")
    assert state.digest() == hashlib.shake_256(b"ab").digest(64)
    assert other.digest() == hashlib.shake_256(b"abc").digest(64)
    assert digest_name(SHAKE256.oid) == "shake256"


def test_keys_restricted_to_pss(pki: test_pki.Pki) -> None:
    """RFC 4055 §3.3: what the key's parameters say binds its signatures."""
    key = pki.key("pss")
    assert isinstance(key, rsa.RSAPrivateKey)
    plain = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    base = der.children(pki.cert("person"))
    parts = der.children(base[0])

    def check(restricted: str | None, used: str) -> SignatureCheck:
        parameters = (
            b"" if restricted is None else der.children(signatures.signature_algorithm(key, restricted, True))[1]
        )
        info = der.seq(der.seq(der.oid("1.2.840.113549.1.1.10"), parameters), der.children(plain)[1])
        holder = Certificate(der.seq(der.seq(*parts[:6], info, *parts[7:]), *base[1:]))
        oid, given = "1.2.840.113549.1.1.10", der.children(signatures.signature_algorithm(key, used, True))[1]
        return verify_value(holder, resolve(oid, given), signatures.sign(key, b"m", used, True), message=b"m")

    assert check(None, "sha256") is SignatureCheck.VALID
    assert check("sha256", "sha256") is SignatureCheck.VALID
    assert check("sha512", "sha512") is SignatureCheck.VALID
    assert check("sha512", "sha256") is SignatureCheck.INVALID
    assert check("sha256", "sha512") is SignatureCheck.INVALID
