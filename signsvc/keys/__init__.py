"""Keys: PKCS#11 tokens behind processes of their own, files for trials, all as one `Signer`.

    with Keyring([ModuleConfig("/usr/lib/softhsm/libsofthsm2.so", pin_source="file:/run/secrets/pin")]) as keyring:
        signer = keyring.get("signsvc-test:01")
        value = signer.sign(digest, default_algorithm(signer.certificate))

Nothing but a token process loads a PKCS#11 library, holds a PIN or a login.
"""

from signsvc.keys.client import TokenClient
from signsvc.keys.config import (
    DEFAULT_MODULES,
    CredentialConfig,
    KeyFileConfig,
    ModuleConfig,
    Pkcs12Config,
    present_modules,
)
from signsvc.keys.keyring import Keyring
from signsvc.keys.launch import TokenServer
from signsvc.keys.pins import PinSource, Secret, prompt
from signsvc.keys.signer import CredentialInfo, Signer, default_algorithm, offered_algorithms
from signsvc.keys.software import SoftwareKeyWarning, SoftwareSigner
from signsvc.keys.token_signer import TokenSigner

__all__ = [
    "DEFAULT_MODULES",
    "CredentialConfig",
    "CredentialInfo",
    "KeyFileConfig",
    "Keyring",
    "ModuleConfig",
    "PinSource",
    "Pkcs12Config",
    "Secret",
    "Signer",
    "SoftwareKeyWarning",
    "SoftwareSigner",
    "TokenClient",
    "TokenServer",
    "TokenSigner",
    "default_algorithm",
    "offered_algorithms",
    "present_modules",
    "prompt",
]
