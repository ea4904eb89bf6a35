"""Values, keys and parameters that nobody honest writes, and what is said of each."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import test_pki
from signsvc.algorithms import SignatureCheck, parameters_fit, resolve, verify_value
from signsvc.asn1 import DerError
from signsvc.formats import cms
from signsvc.types import Certificate
from signsvc.validation.context import Context
from signsvc.validation.policies import load
from signsvc.validation.signer import check_signer
from test_pki import der, signatures
from test_pki.pki import now as pki_now
from tests.unit.cms.cms_builder import DOCUMENT, Signer, codes, digest_of
from tests.unit.cms.cms_builder import cms as build

RSA, EC, PSS, SHA256 = "1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.10", "2.16.840.1.101.3.4.2.1"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def holder(pki: test_pki.Pki, info: bytes, label: str = "person") -> Certificate:
    """The certificate of `label` about another key; whoever issued it is not asked here."""
    base = der.children(pki.cert(label))
    parts = der.children(base[0])
    return Certificate(der.seq(der.seq(*parts[:6], info, *parts[7:]), *base[1:]))


def said(pki: test_pki.Pki, certificate: Certificate, signer: cms.CmsView) -> tuple[bool | None, list[str]]:
    """Whether the value holds, and the codes beside, from the engine's own look at the signer."""
    from signsvc.trust import TrustMaterial

    now = pki_now()
    context = Context.of(load("hon-hop"), TrustMaterial(("t",), ()), now, (), [certificate], now=now)
    result = check_signer(context, signer.signers[0], "S")
    return result.valid, codes(result.findings)


def rsa_info(n: int, e: int, algorithm: str = "1.2.840.113549.1.1.1") -> bytes:
    return der.seq(der.seq(der.oid(algorithm), der.null()), der.bits(der.seq(der.integer(n), der.integer(e))))


def modulus(pki: test_pki.Pki, label: str = "person") -> int:
    key = pki.key(label)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.public_key().public_numbers().n


def view_for(pki: test_pki.Pki, certificate: Certificate, value: bytes, algorithm: bytes | None = None) -> cms.CmsView:
    """A CMS whose SignerInfo holds `value`, with `certificate` alone inside and no reference to it."""
    signer = Signer(pki, signature=value, algorithm=algorithm, without=("1.2.840.113549.1.9.16.2.47",))
    return cms.read(build(signer, certs=(certificate.der,)), subject="S", digest=digest_of())


# RSA


def cube_root(value: int, bits: int) -> int:
    low, high = 0, 1 << (bits // 3 + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < value else (low, middle)
    return low


def test_forgery_by_cube_root(pki: test_pki.Pki) -> None:
    """Bleichenbacher 2006: with exponent 3, room behind the digest is a forgery without the key."""
    message = b"never signed"
    n = modulus(pki)
    certificate = holder(pki, rsa_info(n, 3))
    size = (n.bit_length() + 7) // 8
    info = der.seq(der.seq(der.oid(SHA256), der.null()), der.octets(hashlib.sha256(message).digest()))
    head = b"\0\x01" + b"\xff" * 8 + b"\0" + info
    value = cube_root(int.from_bytes(head.ljust(size, b"\0"), "big"), size * 8)
    assert pow(value, 3, n).to_bytes(size, "big").startswith(head)
    assert certificate.public_key is not None
    found = verify_value(certificate, resolve(RSA), value.to_bytes(size, "big"), message=message)
    assert found is SignatureCheck.INVALID


@pytest.mark.parametrize(("e", "valid"), [(1, None), (2, None), (4, None), (0, None), (3, False), (65537, False)])
def test_exponents(pki: test_pki.Pki, e: int, valid: bool | None) -> None:
    """With exponent 1 the padded digest is its own signature."""
    n = modulus(pki)
    certificate = holder(pki, rsa_info(n, e))
    # The value is the encoded block itself: right for exponent 1 alone.
    signer = Signer(pki, without=("1.2.840.113549.1.9.16.2.47",))
    as_set = der.tlv(0x31, *sorted(signer.ordinary().values()))
    info = der.seq(der.seq(der.oid(SHA256), der.null()), der.octets(hashlib.sha256(as_set).digest()))
    size = (n.bit_length() + 7) // 8
    block = b"\0\x01" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    found, told = said(pki, certificate, view_for(pki, certificate, block))
    assert found is valid
    assert ("signing_key_unsound" if valid is None else "signature_value_wrong") in told


@pytest.mark.parametrize("bits", [64, 128, 256, 512])
def test_tiny_keys_prove_nothing(pki: test_pki.Pki, bits: int) -> None:
    """Whatever their arithmetic says: no such key is relied on in any policy, at any time."""
    policy = load("luu-tru")
    for role, rows in policy.algorithms.items():
        until = policy.reliable_until(role, "rsa-pkcs1v15", bits)
        assert rows
        assert until is not None
        assert until.year == 1970
    certificate = holder(pki, rsa_info((1 << bits) - 159, 65537))
    found = verify_value(certificate, resolve(RSA), bytes(bits // 8), message=b"x")
    assert found is not SignatureCheck.VALID


@pytest.mark.parametrize("value", [b"", b"\0", bytes(256), b"\xff" * 256, bytes(257), bytes(255), bytes(100_000)])
def test_values_of_odd_sizes(pki: test_pki.Pki, value: bytes) -> None:
    certificate = Certificate.from_der(pki.cert("person"))
    assert verify_value(certificate, resolve(RSA), value, message=b"x") is SignatureCheck.INVALID


def test_a_value_with_a_zero_before_it_is_another(pki: test_pki.Pki) -> None:
    certificate = Certificate.from_der(pki.cert("person"))
    value = signatures.sign(pki.key("person"), b"x")
    assert verify_value(certificate, resolve(RSA), value, message=b"x") is SignatureCheck.VALID
    assert verify_value(certificate, resolve(RSA), b"\0" + value, message=b"x") is SignatureCheck.INVALID
    plus = (int.from_bytes(value, "big") + modulus(pki)).to_bytes(257, "big")
    assert verify_value(certificate, resolve(RSA), plus, message=b"x") is SignatureCheck.INVALID


# ECDSA


def _ecdsa(pki: test_pki.Pki) -> tuple[bytes, int, int]:
    value = signatures.sign(pki.key("ec"), b"x")
    return value, *decode_dss_signature(value)


def _padded(value: int) -> bytes:
    return der.tlv(0x02, b"\0" + der.content(der.integer(value)))


@pytest.mark.parametrize(
    "shape",
    ["zero", "zero-r", "zero-s", "negative-r", "negative-s", "s-plus-order", "r-plus-order", "one-one", "order-order",
     "padded", "long-length", "indefinite", "after", "inside-after", "plain", "missing-s", "octets", "set"],
)  # fmt: skip
def test_malformed_pairs(pki: test_pki.Pki, shape: str) -> None:
    """(r, s) is DER, positive and below the order (RFC 3279 §2.2.3, SEC 1 §4.1.4)."""
    value, r, s = _ecdsa(pki)
    i = der.integer
    shaped = {
        "zero": der.seq(i(0), i(0)),
        "zero-r": der.seq(i(0), i(s)),
        "zero-s": der.seq(i(r), i(0)),
        "negative-r": der.seq(i(-r), i(s)),
        "negative-s": der.seq(i(r), i(-s)),
        "s-plus-order": der.seq(i(r), i(s + ORDER)),
        "r-plus-order": der.seq(i(r + ORDER), i(s)),
        "one-one": der.seq(i(1), i(1)),
        "order-order": der.seq(i(ORDER), i(ORDER)),
        "padded": der.seq(_padded(r), i(s)),
        "long-length": b"\x30\x81" + value[1:],
        "indefinite": b"\x30\x80" + value[2:] + b"\0\0",
        "after": value + b"\0",
        "inside-after": der.seq(i(r), i(s), der.null()),
        "plain": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "missing-s": der.seq(i(r)),
        "octets": der.seq(der.octets(r.to_bytes(32, "big")), der.octets(s.to_bytes(32, "big"))),
        "set": der.tlv(0x31, i(r), i(s)),
    }[shape]
    certificate = Certificate.from_der(pki.cert("ec"))
    assert verify_value(certificate, resolve(EC), value, message=b"x") is SignatureCheck.VALID
    assert verify_value(certificate, resolve(EC), shaped, message=b"x") is SignatureCheck.INVALID


def test_a_curve_that_is_written_out(pki: test_pki.Pki, tmp_path: Path) -> None:
    """RFC 5480 §2.1.1: parameters of a curve's own let anybody have the key of any point (as in CVE-2020-0601)."""
    common = ["openssl", "ec", "-outform", "DER", "-pubout", "-param_enc", "explicit"]
    key = pki.key("ec")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    plain = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    command = [*common, "-pubin", "-inform", "DER"]
    explicit = subprocess.run(command, input=plain, check=True, capture_output=True, timeout=60, cwd=tmp_path).stdout
    assert der.children(der.children(explicit)[0])[1][0] == 0x30
    value = signatures.sign(key, b"x")
    assert verify_value(holder(pki, plain, "ec"), resolve(EC), value, message=b"x") is SignatureCheck.VALID
    certificate = holder(pki, explicit, "ec")
    assert verify_value(certificate, resolve(EC), value, message=b"x") is SignatureCheck.UNSUPPORTED
    signer = Signer(pki, "ec", without=("1.2.840.113549.1.9.16.2.47",))
    view = cms.read(build(signer, certs=(certificate.der,)), subject="S", digest=digest_of())
    found, told = said(pki, certificate, view)
    assert found is None
    assert "signing_key_curve_explicit" in told
    for parameters in (b"", der.null(), der.seq()):  # inherited, implicit, none
        info = der.seq(der.seq(der.oid("1.2.840.10045.2.1"), parameters), der.children(plain)[1])
        assert said(pki, holder(pki, info, "ec"), view_for(pki, holder(pki, info, "ec"), value))[0] in (None, False)


def test_a_key_of_another_kind(pki: test_pki.Pki) -> None:
    """The algorithm is the signature's, the key the certificate's: they must go together."""
    person, curve = Certificate.from_der(pki.cert("person")), Certificate.from_der(pki.cert("ec"))
    value = signatures.sign(pki.key("person"), b"x")
    assert verify_value(curve, resolve(RSA), value, message=b"x") is SignatureCheck.UNSUPPORTED
    assert verify_value(person, resolve(EC), value, message=b"x") is SignatureCheck.UNSUPPORTED
    view = view_for(pki, curve, value)
    assert said(pki, curve, view)[0] is not True


# AlgorithmIdentifiers

SHA = der.seq(der.oid(SHA256), der.null())
MASK = der.seq(der.oid("1.2.840.113549.1.1.8"), SHA)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((der.explicit(0, SHA), der.explicit(1, MASK), der.explicit(2, der.integer(32))), ("sha256", "sha256", 32)),
        ((der.explicit(0, der.seq(der.oid(SHA256))), der.explicit(1, MASK)), ("sha256", "sha256", 20)),
        ((), ("sha1", "sha1", 20)),
        ((der.explicit(2, der.integer(0)), der.explicit(3, der.integer(1))), ("sha1", "sha1", 0)),
        ((der.explicit(0, SHA), der.explicit(0, SHA)), None),
        ((der.explicit(1, MASK), der.explicit(0, SHA)), None),
        ((der.explicit(0, SHA, SHA),), None),
        ((der.explicit(0, der.seq(der.oid(SHA256), der.integer(1))),), None),
        ((der.explicit(0, der.seq()),), None),
        ((der.explicit(0, der.oid(SHA256)),), None),
        ((der.explicit(1, der.seq(der.oid("1.2.840.113549.1.1.8"))),), None),
        ((der.explicit(2, der.integer(-1)),), None),
        ((der.explicit(2, der.integer(100_000)),), None),
        ((der.explicit(2, der.octets(b"\x20")),), None),
        ((der.explicit(3, der.integer(2)),), None),
        ((der.explicit(4, der.integer(1)),), None),
        ((der.null(),), None),
        ((der.explicit(0, der.seq(der.oid("1.2.3"))),), "unknown"),
        ((der.explicit(1, der.seq(der.oid("1.2.3"), SHA)),), "unknown"),
        ((der.explicit(1, der.seq(der.oid("1.2.840.113549.1.1.8"), der.seq(der.oid("1.2.3")))),), "unknown"),
    ],
)
def test_pss_parameters(parts: Sequence[bytes], expected: tuple[str, str, int] | str | None) -> None:
    """RFC 4055 §3.1: each once, in order, of its own kind."""
    encoded = der.seq(*parts)
    if expected is None:
        with pytest.raises(DerError):
            resolve(PSS, encoded)
        return
    found = resolve(PSS, encoded)
    if expected == "unknown":
        assert found is None
    else:
        assert found is not None
        assert (found.digest, found.mgf_digest, found.salt_length) == expected


@pytest.mark.parametrize("parameters", [None, b"\x05\x00", b"\x04\x00", b"", b"\x30\x80\0\0"])
def test_pss_without_parameters_is_malformed(pki: test_pki.Pki, parameters: bytes | None) -> None:
    with pytest.raises(DerError):
        resolve(PSS, parameters)
    algorithm = der.seq(der.oid(PSS), parameters or b"")
    view = cms.read(build(Signer(pki, "pss", pss=True, algorithm=algorithm)), subject="S", digest=digest_of())
    told = codes(view.signers[0].findings) if view.signers else codes(view.findings)
    # Read leniently, an empty list of an indefinite length is one of defaults: SHA-1, which is not the digest here.
    assert {"cms_signature_algorithm_malformed", "cms_signer_malformed", "cms_algorithms_differ"} & set(told)


@pytest.mark.parametrize(
    ("oid", "parameters", "fits"),
    [
        (SHA256, None, True), (SHA256, der.null(), True), (SHA256, der.octets(b"x"), False),
        (RSA, None, True), (RSA, der.null(), True), (RSA, der.seq(), False),
        ("1.2.840.113549.1.1.1", der.null(), True), ("1.2.840.113549.1.1.1", der.integer(1), False),
        (EC, None, True), (EC, der.null(), False),
        ("1.2.840.10045.2.1", der.oid("1.2.840.10045.3.1.7"), True),
        ("1.3.101.112", None, True), ("1.3.101.112", der.null(), False),
        ("2.16.840.1.101.3.4.3.18", der.null(), False), ("2.16.840.1.101.3.4.2.12", der.integer(512), False),
    ],
)  # fmt: skip
def test_parameters(pki: test_pki.Pki, oid: str, parameters: bytes | None, fits: bool) -> None:
    assert parameters_fit(oid, parameters) is fits


def test_odd_parameters_are_told(pki: test_pki.Pki) -> None:
    odd = der.octets(b"anything")
    signer = Signer(pki, digest_algorithm=der.seq(der.oid(SHA256), odd), algorithm=der.seq(der.oid(RSA), odd))
    found = cms.read(build(signer), subject="S", digest=digest_of()).signers[0]
    assert codes(found.findings) == ["cms_algorithm_parameters"] * 2
    assert found.digest_matches is True


def test_the_document_is_bound(pki: test_pki.Pki) -> None:
    """A message digest of another length than the algorithm's never matches."""
    from test_pki.timestamps import attribute

    for length in (0, 16, 31, 33, 64):
        digest = (hashlib.sha256(DOCUMENT).digest() * 2)[:length]
        signer = Signer(
            pki, extra=(attribute("1.2.840.113549.1.9.4", der.octets(digest)),), without=("1.2.840.113549.1.9.4",)
        )
        assert cms.read(build(signer), subject="S", digest=digest_of()).signers[0].digest_matches is False
