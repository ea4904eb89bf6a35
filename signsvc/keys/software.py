"""Software keys, for trials: what all of them share, wherever the file of the key comes from."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import ConfigError, CredentialError, RequestError
from signsvc.keys.pins import PinSource, Secret, resolve
from signsvc.keys.signer import check_request, check_value
from signsvc.types import Certificate

log = logging.getLogger("signsvc.keys")

_MAX_FILE = 1024 * 1024


class SoftwareKeyWarning(UserWarning):
    """A software key is used outside trial mode: the law asks for a device that keeps the key (Decree 68/2024)."""


class SoftwareSigner:
    """A `Signer` on a private key in this process, of a file."""

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
        return f"<SoftwareSigner {self.certificate!r}>"

    def sign(self, digest: bytes, algorithm: SignatureAlgorithm, *, deadline: float | None = None) -> bytes:  # noqa: ARG002
        """See `Signer.sign`; a software key needs no deadline."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        check_request(self.certificate, digest, algorithm, plain=True)

        def hash_named(name: str | None) -> hashes.HashAlgorithm:
            kind = getattr(hashes, (name or "").upper(), None)
            if kind is None:
                raise RequestError(reason="unknown digest algorithm")
            made: hashes.HashAlgorithm = kind()
            return made

        if algorithm.digest is None:
            value = self._key.sign(digest)
            check_value(self.certificate, digest, algorithm, value)
            return bytes(value)
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


def permit(name: str, *, enabled: bool, mode: str, allowed: bool) -> None:
    """Outside trial mode a software key is refused (`ConfigError`) unless `allowed`, and then loudly:
    `SoftwareKeyWarning` and a log entry.  Raises `CredentialError` ``credential_disabled`` too."""
    if not enabled:
        raise CredentialError("credential_disabled")
    if mode == "trial":
        return
    if not allowed:
        reason = f"the software key {name} is for trial mode only (mode = trial, or allow_software_keys)"
        raise ConfigError(reason=reason)
    text = f"credential {name} is a software key outside trial mode: its signatures may not be lawful"
    log.warning(text)
    warnings.warn(text, SoftwareKeyWarning, stacklevel=3)


def password(name: str, source: str | None) -> Secret | None:
    """The password of a key's file, None where no source is named.  Raises `TokenError` ``pin_required``."""
    if source is None:
        return None
    resolved = resolve(PinSource.parse(source))
    for code in resolved.warnings:
        log.warning("credential %s: %s", name, code)
    return resolved.secret


def file_octets(path: Path, what: str) -> bytes:
    """The octets of a key's file.  Raises `ConfigError` where it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError:
        raise ConfigError(reason=f"the {what} {path} cannot be read") from None
    if len(data) > _MAX_FILE:
        raise ConfigError(reason=f"the {what} is too large")
    return data
