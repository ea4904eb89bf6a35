"""What every key looks like to the rest of the house, and the check that each signature value passes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from signsvc.algorithms import (
    DIGESTS,
    EXPERIMENTAL,
    SignatureAlgorithm,
    SignatureCheck,
    SignatureScheme,
    verify_value,
)
from signsvc.asn1 import der
from signsvc.errors import CredentialError, RequestError
from signsvc.types import Certificate


@runtime_checkable
class Signer(Protocol):
    """A private key with its certificate.  Safe to use from several threads."""

    @property
    def certificate(self) -> Certificate:
        """The signing certificate."""

    @property
    def certificate_chain(self) -> tuple[Certificate, ...]:
        """The signing certificate first, then what else the token holds of its chain, in order."""

    def sign(self, digest: bytes, algorithm: SignatureAlgorithm, *, deadline: float | None = None) -> bytes:
        """The signature value over `digest` (of `algorithm.digest`): for ECDSA the DER of (r, s), RFC 3279 §2.2.3.

        Where the algorithm has no digest `digest` is the message itself (ML-DSA, FIPS 204 §5.2, software keys alone).

        `deadline` is an instant of `time.monotonic()`.  The value has been verified with the certificate.
        Raises `TokenError` (pin_incorrect, pin_locked, pin_required, token_not_present, token_removed,
        token_timeout, token_error), `CredentialError` (signature_mismatch) or `RequestError` where the algorithm does
        not go with the key.
        """


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """A credential for people and API callers.

    `status` is ``ready`` or the problem code that `Keyring.get` would give (``token_not_present``,
    ``credential_ambiguous``, ``credential_disabled``, ``credential_not_found`` …); validity dates are not judged here.
    """

    id: str
    kind: str  # "pkcs11", "pkcs12", "file" or "csc"
    status: str
    token_label: str | None = None
    token_serial: str | None = None
    key_label: str | None = None
    key_id: str | None = None  # CKA_ID in hex
    subject: str | None = None
    serial_number: str | None = None  # hex
    not_before: datetime | None = None
    not_after: datetime | None = None
    key_type: str | None = None
    key_bits: int | None = None
    key_usage: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    certificate: Certificate | None = None


_SCHEMES: dict[str, tuple[SignatureScheme, ...]] = {
    "rsa": (SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS),
    "rsa-pss": (SignatureScheme.RSA_PSS,),
    "ec": (SignatureScheme.ECDSA,),
}
# Of software keys: they take the message itself, which no token and no remote service is asked to.
_PLAIN = {str(scheme): scheme for scheme in EXPERIMENTAL}
_OFFERED = ("sha256", "sha384", "sha512")
_SIZES = {d.name: d.size for d in DIGESTS}
# The signed attributes of a signature have below one kilobyte; with claimed roles a few.
MAX_MESSAGE = 64 * 1024


def offered_algorithms(certificate: Certificate, *, plain: bool = False) -> tuple[str, ...]:
    """Names of the algorithms that this key can be asked for, such as ``rsa-pss-sha256``; with `plain` also of those
    that take the message itself, such as ``ml-dsa-65``."""
    kind = certificate.key_type
    if plain and kind in _PLAIN:
        return (kind,)
    return tuple(f"{scheme}-{digest}" for scheme in _SCHEMES.get(kind, ()) for digest in _OFFERED)


def default_algorithm(certificate: Certificate, digest: str = "sha256") -> SignatureAlgorithm:
    """RSA PKCS#1 v1.5, PSS for keys restricted to it, or ECDSA; ML-DSA, which takes the message, for its keys.

    Raises `RequestError` for other keys.
    """
    if certificate.key_type in _PLAIN:
        return SignatureAlgorithm(_PLAIN[certificate.key_type], None)
    schemes = _SCHEMES.get(certificate.key_type)
    if not schemes:
        raise RequestError(reason="the key type cannot sign digests")
    if schemes[0] is SignatureScheme.RSA_PSS:
        return SignatureAlgorithm(schemes[0], digest, _SIZES[digest], digest)
    return SignatureAlgorithm(schemes[0], digest)


def check_request(
    certificate: Certificate, digest: bytes, algorithm: SignatureAlgorithm, *, plain: bool = False
) -> None:
    """Raises `RequestError` where `algorithm` does not fit the key or the digest's length; algorithms that take the
    message itself fit no key unless `plain`."""
    if plain and algorithm.digest is None and _PLAIN.get(certificate.key_type) is algorithm.scheme:
        if not 0 < len(digest) <= MAX_MESSAGE:
            raise RequestError(reason="the message to be signed is too long or empty")
        return
    if algorithm.digest is None or algorithm.scheme not in _SCHEMES.get(certificate.key_type, ()):
        raise RequestError(reason="the signature algorithm does not fit the key")
    if len(digest) != _SIZES.get(algorithm.digest):
        raise RequestError(reason="the digest has the wrong length for its algorithm")


def check_value(certificate: Certificate, digest: bytes, algorithm: SignatureAlgorithm, value: bytes) -> None:
    """Raises `CredentialError` ``signature_mismatch`` unless `value` verifies: a wrong one must never go out."""
    signed = {"digest" if algorithm.digest else "message": digest}
    if verify_value(certificate, algorithm, value, **signed) is not SignatureCheck.VALID:
        raise CredentialError("signature_mismatch")


def order_chain(leaf: Certificate, others: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """`leaf`, then its issuers by name as far as `others` go (signatures are checked where paths are built)."""
    chain = [leaf]
    rest = [c for c in dict.fromkeys(others) if c != leaf]
    while not chain[-1].self_issued:
        issuer = next((c for c in rest if c.subject_der == chain[-1].issuer_der and _may_issue(c, chain[-1])), None)
        if issuer is None:
            break
        chain.append(issuer)
        rest.remove(issuer)
    return tuple(chain)


def _may_issue(issuer: Certificate, subject: Certificate) -> bool:
    try:
        wanted, have = subject.authority_key_identifier, issuer.subject_key_identifier
    except der.DerError:
        return True
    return wanted is None or have is None or wanted == have


def describe(
    certificate: Certificate | None,
    *,
    name: str,
    kind: str,
    status: str = "ready",
    token_label: str | None = None,
    token_serial: str | None = None,
    key_label: str | None = None,
    key_id: str | None = None,
) -> CredentialInfo:
    """The `CredentialInfo` of a certificate; without one only the names are filled."""
    base = CredentialInfo(name, kind, status, token_label, token_serial, key_label, key_id)
    if certificate is None:
        return base
    from dataclasses import replace

    try:
        usage = tuple(sorted(certificate.key_usage or ()))
    except der.DerError:
        usage = ()
    return replace(
        base,
        subject=certificate.subject,
        serial_number=f"{certificate.serial_number:x}",
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        key_type=certificate.key_type,
        key_bits=certificate.key_bits,
        key_usage=usage,
        algorithms=offered_algorithms(certificate, plain=kind in ("pkcs12", "file")),
        certificate=certificate,
    )
