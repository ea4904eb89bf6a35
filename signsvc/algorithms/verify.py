"""Checking one signature value against a public key (EN 319 102-1 §5.2.7, cryptographic verification)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from signsvc.algorithms.tables import SignatureAlgorithm, SignatureScheme, key_restriction

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    from signsvc.types.certificate import Certificate


class SignatureCheck(StrEnum):
    VALID = "valid"
    INVALID = "invalid"
    UNSUPPORTED = "unsupported"  # the key cannot be loaded, or the scheme does not go with it


_MATCHING = {
    SignatureScheme.RSA_PKCS1: ("rsa",),
    SignatureScheme.RSA_PSS: ("rsa", "rsa-pss"),
    SignatureScheme.ECDSA: ("ec",),
    SignatureScheme.DSA: ("dsa",),
    SignatureScheme.ED25519: ("ed25519",),
    SignatureScheme.ED448: ("ed448",),
    SignatureScheme.ML_DSA_44: ("ml-dsa-44",),
    SignatureScheme.ML_DSA_65: ("ml-dsa-65",),
    SignatureScheme.ML_DSA_87: ("ml-dsa-87",),
}


def verify_value(
    certificate: Certificate,
    algorithm: SignatureAlgorithm | None,
    value: bytes,
    *,
    message: bytes | None = None,
    digest: bytes | None = None,
) -> SignatureCheck:
    """Check `value` over `message`, or over a `digest` computed already, with the certificate's key.

    Never raises: a malformed value is INVALID, an unknown algorithm or key UNSUPPORTED.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    try:
        if algorithm is None or certificate.key_type not in _MATCHING[algorithm.scheme]:
            return SignatureCheck.UNSUPPORTED
        if certificate.key_type == "rsa-pss" and not _allowed(certificate, algorithm):
            return SignatureCheck.INVALID
        key = certificate.public_key
    except (ValueError, IndexError):  # also a malformed public key information
        return SignatureCheck.UNSUPPORTED
    data = message if message is not None else digest
    if data is None:
        return SignatureCheck.UNSUPPORTED
    try:
        if algorithm.digest is None:
            if message is None:
                return SignatureCheck.UNSUPPORTED
            key.verify(value, message)
            return SignatureCheck.VALID
        made = _hash(algorithm.digest)
        if made is None or (message is None and len(data) != made.digest_size):
            return SignatureCheck.UNSUPPORTED
        how = made if message is not None else Prehashed(made)
        if algorithm.scheme is SignatureScheme.RSA_PKCS1:
            key.verify(value, data, padding.PKCS1v15(), how)
        elif algorithm.scheme is SignatureScheme.RSA_PSS:
            mgf = _hash(algorithm.mgf_digest or algorithm.digest)
            if mgf is None:
                return SignatureCheck.UNSUPPORTED
            key.verify(value, data, padding.PSS(padding.MGF1(mgf), algorithm.salt_length or 0), how)
        elif algorithm.scheme is SignatureScheme.ECDSA:
            key.verify(value, data, ec.ECDSA(how))
        else:
            key.verify(value, data, how)
    except InvalidSignature:
        return SignatureCheck.INVALID
    except (UnsupportedAlgorithm, TypeError):
        return SignatureCheck.UNSUPPORTED
    except ValueError:
        return SignatureCheck.INVALID
    else:
        return SignatureCheck.VALID


def _allowed(certificate: Certificate, algorithm: SignatureAlgorithm) -> bool:
    """Whether an id-RSASSA-PSS key may be used so (RFC 4055 §3.3).  Raises `ValueError` for malformed parameters."""
    restriction = key_restriction(certificate.key_parameters)
    if restriction is None:
        return True
    same = (algorithm.digest, algorithm.mgf_digest) == (restriction.digest, restriction.mgf_digest)
    return same and (algorithm.salt_length or 0) >= (restriction.salt_length or 0)


def _hash(name: str) -> HashAlgorithm | None:
    from cryptography.hazmat.primitives import hashes

    kinds: dict[str, Callable[[], HashAlgorithm]] = {
        "md5": hashes.MD5,
        "sha1": hashes.SHA1,
        "sha224": hashes.SHA224,
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
        "sha512_224": hashes.SHA512_224,
        "sha512_256": hashes.SHA512_256,
        "sha3_224": hashes.SHA3_224,
        "sha3_256": hashes.SHA3_256,
        "sha3_384": hashes.SHA3_384,
        "sha3_512": hashes.SHA3_512,
    }
    made = kinds.get(name)
    return made() if made else None
