"""Keys from PKCS#12 files (RFC 7292): for trials.  Such a key is in this process's memory and on its disk."""

from __future__ import annotations

from typing import Any

from signsvc.asn1 import der
from signsvc.errors import ConfigError, TokenError
from signsvc.keys.config import Pkcs12Config
from signsvc.keys.pins import Secret
from signsvc.keys.signer import order_chain
from signsvc.keys.software import SoftwareSigner, file_octets, password, permit
from signsvc.types import Certificate


def load(config: Pkcs12Config, *, mode: str, allow_software_keys: bool = False) -> SoftwareSigner:
    """Open the file; outside trial mode see `software.permit`.

    Raises `CredentialError` ``credential_disabled``, `TokenError` ``pin_required`` or ``pin_incorrect``, `ConfigError`
    where the file cannot be read.
    """
    permit(config.name, enabled=config.enabled, mode=mode, allowed=allow_software_keys)
    return parse(file_octets(config.path, "PKCS#12 file"), password(config.name, config.password_source))


def parse(data: bytes, password: Secret | None) -> SoftwareSigner:
    """The signer of PKCS#12 octets.  Raises `TokenError` ``pin_incorrect`` / ``pin_required``, or `ConfigError`."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

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
    return SoftwareSigner(key, order_chain(own, rest))


def _pairs(key: Any, certificate: Any) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return bool(key.public_key().public_numbers() == certificate.public_key().public_numbers())
    except (ValueError, AttributeError, UnsupportedAlgorithm):
        return False
