"""Private keys of their own files (PKCS#8, RFC 5958; PEM or DER) beside a certificate file: for trials.

The way for keys that PKCS#12 files are not written with everywhere, such as ML-DSA (RFC 9881 §6).
"""

from __future__ import annotations

from typing import Any

from signsvc.errors import ConfigError, TokenError
from signsvc.keys.config import KeyFileConfig
from signsvc.keys.pins import Secret
from signsvc.keys.signer import order_chain
from signsvc.keys.software import SoftwareSigner, file_octets, password, permit
from signsvc.keys.token_signer import certificate_file

_PEM = b"-----BEGIN "


def load(config: KeyFileConfig, *, mode: str, allow_software_keys: bool = False) -> SoftwareSigner:
    """Open the files; outside trial mode see `software.permit`.  Raises like `pkcs12.load`.

    That key and certificate belong together shows with the first signature, which is verified like every other.
    """
    permit(config.name, enabled=config.enabled, mode=mode, allowed=allow_software_keys)
    own = certificate_file(config.certificate)
    chain = tuple(certificate_file(path) for path in config.chain)
    key = parse(file_octets(config.path, "key file"), password(config.name, config.password_source))
    return SoftwareSigner(key, order_chain(own, chain))


def parse(data: bytes, secret: Secret | None) -> Any:
    """The private key in these octets.  Raises `TokenError` ``pin_incorrect`` / ``pin_required``, or `ConfigError`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

    read = load_pem_private_key if _PEM in data else load_der_private_key
    try:
        return read(data, None)
    except TypeError:  # the key is encrypted
        if secret is None:
            raise TokenError("pin_required", hint="password") from None
    except UnsupportedAlgorithm:
        raise ConfigError(reason="the kind of the key in the key file is not known") from None
    except ValueError:
        raise ConfigError(reason="the key file holds no PKCS#8 key") from None
    try:
        return read(data, secret.reveal().encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TokenError("pin_incorrect", tries_left="many") from None
