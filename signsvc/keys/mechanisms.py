"""How a digest becomes what a PKCS#11 module signs, and how its answer becomes a signature value.

Digests are always made here, never by the module: some modules lack CKM_SHA256_RSA_PKCS and its kin.
"""

from __future__ import annotations

from typing import Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme, digest_by_name
from signsvc.asn1 import der
from signsvc.asn1.encode import encode, encode_integer, encode_oid
from signsvc.errors import RequestError, TokenError
from signsvc.types import Certificate

_NULL = b"\x05\x00"
_HASHES = {
    "sha1": "SHA_1",
    "sha224": "SHA224",
    "sha256": "SHA256",
    "sha384": "SHA384",
    "sha512": "SHA512",
    "sha3_224": "SHA3_224",
    "sha3_256": "SHA3_256",
    "sha3_384": "SHA3_384",
    "sha3_512": "SHA3_512",
}
_MGFS = {name: constant.replace("SHA_1", "SHA1") for name, constant in _HASHES.items()}


def digest_info(digest_name: str, digest: bytes) -> bytes:
    """DigestInfo of RFC 8017 §9.2, what CKM_RSA_PKCS signs.  Raises `RequestError` for an unknown digest."""
    known = digest_by_name(digest_name)
    if known is None or len(digest) != known.size:
        raise RequestError(reason="unknown digest algorithm")
    algorithm = encode(der.SEQUENCE, encode_oid(known.oid), _NULL)
    return encode(der.SEQUENCE, algorithm, encode(der.OCTET_STRING, digest))


def to_be_signed(certificate: Certificate, algorithm: SignatureAlgorithm, digest: bytes) -> bytes:
    """The octets that the module gets.  For ECDSA the leftmost octets that the curve takes (FIPS 186-5 §6.4.1)."""
    if algorithm.scheme is SignatureScheme.RSA_PKCS1:
        return digest_info(algorithm.digest or "", digest)
    if algorithm.scheme is SignatureScheme.ECDSA:
        return digest[: ((certificate.key_bits or 0) + 7) // 8 or len(digest)]
    return digest


def mechanism(pkcs11: Any, scheme: str, digest: str, mgf: str, salt: int) -> tuple[Any, Any]:
    """python-pkcs11's mechanism and parameter.  Raises `RequestError` for what PKCS#11 has no name for."""
    names = pkcs11.Mechanism
    if scheme == SignatureScheme.RSA_PKCS1:
        return names.RSA_PKCS, None
    if scheme == SignatureScheme.ECDSA:
        return names.ECDSA, None
    if scheme == SignatureScheme.RSA_PSS and digest in _HASHES and mgf in _MGFS and 0 <= salt <= 512:
        return names.RSA_PKCS_PSS, (names[_HASHES[digest]], pkcs11.MGF[_MGFS[mgf]], salt)
    raise RequestError(reason="the signature algorithm is not known to PKCS#11")


def signature_value(algorithm: SignatureAlgorithm, raw: bytes) -> bytes:
    """The value as certificates and CMS write it.  Raises `TokenError` where the module's answer has no such form."""
    if algorithm.scheme is not SignatureScheme.ECDSA:
        return raw
    if not raw or len(raw) % 2:
        raise TokenError("token_error", reason="malformed ECDSA value")
    half = len(raw) // 2
    return encode(
        der.SEQUENCE,
        encode_integer(int.from_bytes(raw[:half], "big")),
        encode_integer(int.from_bytes(raw[half:], "big")),
    )
