"""Keys from PKCS#12 files (RFC 7292): for trials.  Such a key is in this process's memory and on its disk."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.asn1 import der
from signsvc.errors import ConfigError, CredentialError, RequestError, TokenError
from signsvc.keys.config import Pkcs12Config
from signsvc.keys.pins import PinSource, Secret, resolve
from signsvc.keys.signer import check_request, check_value, order_chain
from signsvc.types import Certificate

log = logging.getLogger("signsvc.keys")

_MAX_FILE = 1024 * 1024


class SoftwareKeyWarning(UserWarning):
    """A software key is used outside trial mode: the law asks for a device that keeps the key (Decree 68/2024)."""


class Pkcs12Signer:
    """A `Signer` on a key of a PKCS#12 file."""

    def __init__(self, key: Any, chain: tuple[Certificate, ...]) -> None:
        self._key = key
        self._chain = chain

    @property
    def certificate(self) -> Certificate:
        return self._chain[0]

    @property
    def certificate_chain(self) -> tuple[Certificate, ...]:
        return self._chain

    def __repr__(self) -> str:
        return f"<Pkcs12Signer {self.certificate!r}>"

    def sign(self, digest: bytes, algorithm: SignatureAlgorithm, *, deadline: float | None = None) -> bytes:  # noqa: ARG002
        """See `Signer.sign`; a software key needs no deadline."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        check_request(self.certificate, digest, algorithm)

        def hash_named(name: str | None) -> hashes.HashAlgorithm:
            kind = getattr(hashes, (name or "").upper(), None)
            if kind is None:
                raise RequestError(reason="unknown digest algorithm")
            made: hashes.HashAlgorithm = kind()
            return made

        made = Prehashed(hash_named(algorithm.digest))
        if algorithm.scheme is SignatureScheme.ECDSA:
            value = self._key.sign(digest, ec.ECDSA(made))
        elif algorithm.scheme is SignatureScheme.RSA_PSS:
            mask = padding.MGF1(hash_named(algorithm.mgf_digest or algorithm.digest))
            salt = len(digest) if algorithm.salt_length is None else algorithm.salt_length
            value = self._key.sign(digest, padding.PSS(mask, salt), made)
        else:
            value = self._key.sign(digest, padding.PKCS1v15(), made)
        check_value(self.certificate, digest, algorithm, value)
        return bytes(value)


def load(config: Pkcs12Config, *, mode: str, allow_software_keys: bool = False) -> Pkcs12Signer:
    """Open the file.

    Outside trial mode a software key is refused (`ConfigError`) unless `allow_software_keys`, and then loudly:
    `SoftwareKeyWarning` and a log entry.  Raises `CredentialError` ``credential_disabled``, `TokenError`
    ``pin_required`` or ``pin_incorrect``, `ConfigError` where the file cannot be read.
    """
    if not config.enabled:
        raise CredentialError("credential_disabled")
    if mode != "trial":
        if not allow_software_keys:
            reason = f"the software key {config.name} is for trial mode only (mode = trial, or allow_software_keys)"
            raise ConfigError(reason=reason)
        text = f"credential {config.name} is a software key outside trial mode: its signatures may not be lawful"
        log.warning(text)
        warnings.warn(text, SoftwareKeyWarning, stacklevel=2)
    password: Secret | None = None
    if config.password_source is not None:
        resolved = resolve(PinSource.parse(config.password_source))
        password = resolved.secret
        for code in resolved.warnings:
            log.warning("credential %s: %s", config.name, code)
    try:
        with config.path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError:
        raise ConfigError(reason=f"the PKCS#12 file {config.path} cannot be read") from None
    return parse(data, password)


def parse(data: bytes, password: Secret | None) -> Pkcs12Signer:
    """The signer of PKCS#12 octets.  Raises `TokenError` ``pin_incorrect`` / ``pin_required``, or `ConfigError`."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    if len(data) > _MAX_FILE:
        raise ConfigError(reason="the PKCS#12 file is too large")
    try:
        # An empty outline check first: what remains wrong afterwards is the password.
        der.read(data, 0, len(data), tag=der.SEQUENCE)
        key, leaf, others = load_key_and_certificates(data, password.reveal().encode() if password else None)
    except der.DerError:
        raise ConfigError(reason="the file is not PKCS#12") from None
    except (ValueError, TypeError):
        if password is None:
            raise TokenError("pin_required", hint="password_source") from None
        raise TokenError("pin_incorrect", tries_left="many") from None
    # OpenSSL does not pair an RSA key with a certificate whose key is declared id-RSASSA-PSS; the numbers tell.
    leaf = leaf or next((c for c in others if key is not None and _pairs(key, c)), None)
    if key is None or leaf is None:
        raise ConfigError(reason="the PKCS#12 file holds no key with its certificate")
    try:
        own = Certificate.from_der(leaf.public_bytes(Encoding.DER))
        rest = tuple(Certificate.from_der(c.public_bytes(Encoding.DER)) for c in others if c != leaf)
    except der.DerError:
        raise ConfigError(reason="the PKCS#12 file holds a malformed certificate") from None
    return Pkcs12Signer(key, order_chain(own, rest))


def _pairs(key: Any, certificate: Any) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return bool(key.public_key().public_numbers() == certificate.public_key().public_numbers())
    except (ValueError, AttributeError, UnsupportedAlgorithm):
        return False
