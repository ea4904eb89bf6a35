"""Tables with dates, PSS parameters, and checking values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

import test_pki
from signsvc.algorithms import (
    TS_119_312,
    SignatureAlgorithm,
    SignatureCheck,
    SignatureScheme,
    may_sign,
    not_after,
    resolve,
    verify_value,
)
from signsvc.asn1 import DerError
from signsvc.types import Certificate


@pytest.mark.parametrize(
    ("algorithm", "bits", "year"),
    [
        ("sha1", None, 2012), ("md5", None, 2004), ("sha256", None, None), ("rsa-pkcs1v15", 2048, 2029),
        ("rsa-pkcs1v15", 4096, 2029), ("rsa-pss", 2048, 2029), ("rsa-pss", 3072, None), ("rsa-pkcs1v15", 1024, 2019),
        ("rsa-pkcs1v15", 512, 1970), ("ecdsa", 256, None), ("ecdsa", 224, 2021), ("whirlpool", None, 1970),
    ],
)  # fmt: skip
def test_dates_of_ts_119_312(algorithm: str, bits: int | None, year: int | None) -> None:
    found = not_after(TS_119_312, algorithm, bits)
    assert (found.year if found else None) == year


@pytest.mark.parametrize(
    ("algorithm", "bits", "allowed"),
    [
        (SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256"), 2048, True),
        (SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha1"), 2048, False),
        (SignatureAlgorithm(SignatureScheme.RSA_PSS, "sha256", 32, "sha256"), 1024, False),
        (SignatureAlgorithm(SignatureScheme.ECDSA, "sha384"), 384, True),
        (SignatureAlgorithm(SignatureScheme.ECDSA, "sha256"), 224, False),
        (SignatureAlgorithm(SignatureScheme.DSA, "sha256"), 3072, False),
    ],
)
def test_what_a_new_signature_may_use(algorithm: SignatureAlgorithm, bits: int, allowed: bool) -> None:
    assert may_sign(algorithm, bits) is allowed


def test_pss_defaults_and_explicit_parameters() -> None:
    assert resolve("1.2.840.113549.1.1.10", b"\x30\x00") == SignatureAlgorithm(
        SignatureScheme.RSA_PSS, "sha1", 20, "sha1"
    )
    explicit = bytes.fromhex(
        "3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
    )
    assert resolve("1.2.840.113549.1.1.10", explicit) == SignatureAlgorithm(
        SignatureScheme.RSA_PSS, "sha256", 32, "sha256"
    )
    with pytest.raises(DerError):
        resolve("1.2.840.113549.1.1.10", explicit[:-1])


def test_a_bare_key_algorithm_takes_the_digest_beside_it() -> None:
    found = resolve("1.2.840.113549.1.1.1", None, "2.16.840.1.101.3.4.2.3")
    assert found is not None
    assert found.name == "rsa-pkcs1v15-sha512"
    assert resolve("1.2.840.113549.1.1.1") is None


def test_values_by_message_and_by_digest(pki: test_pki.Pki) -> None:
    message = "Nghị quyết".encode()
    digest = hashes.Hash(hashes.SHA256())
    digest.update(message)
    hashed = digest.finalize()
    person, curve = Certificate.from_der(pki.cert("person")), Certificate.from_der(pki.cert("ec"))
    cases = [
        (person, SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256"),
         pki.key("person").sign(message, padding.PKCS1v15(), hashes.SHA256())),
        (person, SignatureAlgorithm(SignatureScheme.RSA_PSS, "sha256", 32, "sha256"),
         pki.key("person").sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())),
        (curve, SignatureAlgorithm(SignatureScheme.ECDSA, "sha256"),
         pki.key("ec").sign(message, ec.ECDSA(hashes.SHA256()))),
    ]  # fmt: skip
    for certificate, algorithm, value in cases:
        assert verify_value(certificate, algorithm, value, message=message) is SignatureCheck.VALID
        assert verify_value(certificate, algorithm, value, digest=hashed) is SignatureCheck.VALID
        assert verify_value(certificate, algorithm, value, message=message + b"x") is SignatureCheck.INVALID
        assert verify_value(certificate, algorithm, value[:-1], message=message) is SignatureCheck.INVALID
        assert verify_value(certificate, algorithm, b"", message=message) is SignatureCheck.INVALID
    assert verify_value(curve, cases[0][1], cases[0][2], message=message) is SignatureCheck.UNSUPPORTED
    assert verify_value(person, None, b"x", message=message) is SignatureCheck.UNSUPPORTED
    assert verify_value(person, cases[0][1], cases[0][2], digest=b"short") is SignatureCheck.UNSUPPORTED


def test_the_end_of_an_algorithm_is_in_utc() -> None:
    assert not_after(TS_119_312, "sha1") == datetime(2012, 8, 1, tzinfo=UTC)
