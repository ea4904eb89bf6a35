"""Raw signatures and their AlgorithmIdentifiers; deterministic wherever the scheme allows it."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from test_pki import der

# Keys that sign the message itself.
Plain: TypeAlias = (
    ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
AnyKey: TypeAlias = PrivateKey | Plain

_PLAIN: dict[type, str] = {
    ed25519.Ed25519PrivateKey: "1.3.101.112",
    ed448.Ed448PrivateKey: "1.3.101.113",
    mldsa.MLDSA44PrivateKey: "2.16.840.1.101.3.4.3.17",
    mldsa.MLDSA65PrivateKey: "2.16.840.1.101.3.4.3.18",
    mldsa.MLDSA87PrivateKey: "2.16.840.1.101.3.4.3.19",
}

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_RSA = {"sha1": 5, "sha224": 14, "sha256": 11, "sha384": 12, "sha512": 13}
_ECDSA = {
    "sha1": "1.2.840.10045.4.1",
    "sha224": "1.2.840.10045.4.3.1",
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}


def digest(data: bytes, algorithm: str = "sha256") -> bytes:
    """Digest of *data* under a name of hashlib with or without a dash, or 512 bits of ``shake256``."""
    if algorithm == "shake256":
        return hashlib.shake_256(data).digest(64)
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


def digest_algorithm(algorithm: str) -> bytes:
    """AlgorithmIdentifier of a digest, parameters absent (RFC 5754 §2)."""
    return der.seq(der.oid(algorithm))


def signature_algorithm(key: AnyKey, algorithm: str, pss: bool = False) -> bytes:
    """AlgorithmIdentifier of a signature by *key* (RFC 4055 §2-5, RFC 5758 §3.2, RFC 8410 §3, RFC 9881 §2)."""
    plain = next((oid for kind, oid in _PLAIN.items() if isinstance(key, kind)), None)
    if plain is not None:
        return der.seq(der.oid(plain))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return der.seq(der.oid(_ECDSA[algorithm]))
    if not pss:
        return der.seq(der.oid(f"1.2.840.113549.1.1.{_RSA[algorithm]}"), der.null())
    inner = der.seq(der.oid(algorithm), der.null())
    mgf = der.seq(der.oid("1.2.840.113549.1.1.8"), inner)
    parameters = der.seq(
        der.explicit(0, inner), der.explicit(1, mgf), der.explicit(2, der.integer(_HASHES[algorithm].digest_size))
    )
    return der.seq(der.oid("1.2.840.113549.1.1.10"), parameters)


def sign(key: AnyKey, data: bytes, algorithm: str = "sha256", pss: bool = False) -> bytes:
    """Signature over *data*: PKCS#1 v1.5, PSS (salt as long as the digest), ECDSA as DER (RFC 6979), EdDSA, ML-DSA."""
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return key.sign(data)
    chosen = _HASHES[algorithm]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(chosen, deterministic_signing=True))
    if pss:
        return key.sign(data, padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen)
    return key.sign(data, padding.PKCS1v15(), chosen)


def public_info(key: AnyKey, pss_only: bool = False) -> bytes:
    """SubjectPublicKeyInfo; *pss_only* writes it under id-RSASSA-PSS without parameters (RFC 4055 §1.2)."""
    info = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if not pss_only:
        return info
    return der.seq(der.seq(der.oid("1.2.840.113549.1.1.10")), der.children(info)[1])


def key_identifier(info: bytes) -> bytes:
    """SHA-1 over the bits of the public key, method 1 of RFC 5280 §4.2.1.2."""
    return digest(der.content(der.children(info)[1])[1:], "sha1")
