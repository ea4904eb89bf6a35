"""Keys: PKCS#11 tokens behind processes of their own, PKCS#12 files for trials, all as one `Signer`.

    with Keyring([ModuleConfig("/usr/lib/softhsm/libsofthsm2.so", pin_source="file:/run/secrets/pin")]) as keyring:
        signer = keyring.get("signsvc-test:01")
        value = signer.sign(digest, default_algorithm(signer.certificate))

Nothing but a token process loads a PKCS#11 library, holds a PIN or a login.
"""

from signsvc.keys.client import TokenClient
from signsvc.keys.config import (
    DEFAULT_MODULES,
    CredentialConfig,
    ModuleConfig,
    Pkcs12Config,
    present_modules,
)
from signsvc.keys.keyring import Keyring
from signsvc.keys.launch import TokenServer
from signsvc.keys.pins import PinSource, Secret, prompt
from signsvc.keys.pkcs12 import Pkcs12Signer, SoftwareKeyWarning
from signsvc.keys.signer import CredentialInfo, Signer, default_algorithm, offered_algorithms
from signsvc.keys.token_signer import TokenSigner

__all__ = [
    "DEFAULT_MODULES",
    "CredentialConfig",
    "CredentialInfo",
    "Keyring",
    "ModuleConfig",
    "PinSource",
    "Pkcs12Config",
    "Pkcs12Signer",
    "Secret",
    "Signer",
    "SoftwareKeyWarning",
    "TokenClient",
    "TokenServer",
    "TokenSigner",
    "default_algorithm",
    "offered_algorithms",
    "present_modules",
    "prompt",
]
