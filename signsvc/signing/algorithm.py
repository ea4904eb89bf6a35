"""Which algorithm a key signs with under a profile (Circular 15/2025/TT-BKHCN App. I: RSA ≥ 2048, ECDSA ≥ 256)."""

from __future__ import annotations

from signsvc.algorithms import EXPERIMENTAL, SignatureAlgorithm, SignatureScheme, digest_by_name, may_sign
from signsvc.errors import CredentialError
from signsvc.signing.profiles import Profile
from signsvc.types import Certificate


def choose(profile: Profile, certificate: Certificate) -> SignatureAlgorithm:
    """The profile's scheme for RSA keys, PSS for keys bound to it, ECDSA for EC keys; ML-DSA where the profile takes
    experimental algorithms.

    Raises `CredentialError` (``key_not_acceptable``) for other keys and those too short for new signatures,
    ``key_experimental`` for ML-DSA under other profiles.
    """
    plain = next((scheme for scheme in EXPERIMENTAL if scheme == certificate.key_type), None)
    if plain is not None:
        if not profile.experimental:
            raise CredentialError("key_experimental", type=certificate.key_type)
        return SignatureAlgorithm(plain, None)
    algorithm = _algorithm(profile, certificate.key_type)
    if algorithm is None or not may_sign(algorithm, certificate.key_bits):
        raise CredentialError("key_not_acceptable", type=certificate.key_type, bits=certificate.key_bits or 0)
    return algorithm


def _algorithm(profile: Profile, key_type: str) -> SignatureAlgorithm | None:
    digest = digest_by_name(profile.digest)
    if digest is None:
        return None
    if key_type == "rsa" and profile.scheme == "pkcs1v15":
        return SignatureAlgorithm(SignatureScheme.RSA_PKCS1, digest.name)
    if key_type in ("rsa", "rsa-pss"):
        return SignatureAlgorithm(SignatureScheme.RSA_PSS, digest.name, digest.size, digest.name)
    if key_type == "ec":
        return SignatureAlgorithm(SignatureScheme.ECDSA, digest.name)
    return None
