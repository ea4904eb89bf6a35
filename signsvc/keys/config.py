"""What a keyring is made of: modules with their tokens, credentials, PKCS#12 files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# How the URL of a remote signing service ends.
CSC_VERSION = re.compile(r"/csc/v(1|2)(?:\.\d+)*/?\Z")

# SoftHSM and OpenSC as Debian and Ubuntu install them, then the tokens that agencies carry (bit4id, SafeNet, YubiKey).
_MODULE_FILES = (
    "softhsm/libsofthsm2.so",
    "opensc-pkcs11.so",
    "libbit4xpki.so",
    "bit4id/libbit4xpki.so",
    "libeTPkcs11.so",
    "libykcs11.so.2",
)
_MODULE_DIRECTORIES = (
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib",
)
DEFAULT_MODULES: tuple[str, ...] = tuple(f"{d}/{f}" for f in _MODULE_FILES for d in _MODULE_DIRECTORIES)


@dataclass(frozen=True, slots=True)
class ModuleConfig:
    """A PKCS#11 module, or one token in it.

    Several entries may name the same module: they share its process, and each says where the PIN of its `token`
    (by label; None: every token not named elsewhere) comes from.
    """

    path: str
    token: str | None = None
    pin_source: str | None = None
    timeout: float = 30.0  # seconds one call into the module may take before its process counts as stuck
    login_timeout: float = 90.0  # the same for a login, which may wait for a person at a PIN pad


@dataclass(frozen=True, slots=True)
class CredentialConfig:
    """A signing key by name.  Every selector given must fit; exactly one certificate may be left.

    `key_id` is CKA_ID in hex, `serial` the certificate's serial number in hex or decimal, `subject` a whole
    distinguished name or a part of one.  `certificate` names a file where the token holds a key without certificate;
    `chain` further certificates to send along.
    """

    id: str
    module: str | None = None
    token: str | None = None
    key_id: str | None = None
    label: str | None = None
    serial: str | None = None
    subject: str | None = None
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Pkcs12Config:
    """A PKCS#12 file (RFC 7292) for trials; `password_source` as for PINs, None for a file without password."""

    path: Path
    id: str = ""
    password_source: str | None = None
    enabled: bool = True

    @property
    def name(self) -> str:
        return self.id or self.path.stem


@dataclass(frozen=True, slots=True)
class KeyFileConfig:
    """A private key file (PKCS#8) with the file of its certificate, for trials; the rest as in `Pkcs12Config`."""

    path: Path
    certificate: Path
    id: str = ""
    chain: tuple[Path, ...] = ()
    password_source: str | None = None
    enabled: bool = True

    @property
    def name(self) -> str:
        return self.id or self.path.stem


def present_modules(candidates: tuple[str, ...] = DEFAULT_MODULES) -> tuple[ModuleConfig, ...]:
    """The usual modules that are installed here, each file once."""
    seen: dict[Path, str] = {}
    for name in candidates:
        path = Path(name)
        if path.is_file():
            seen.setdefault(path.resolve(), name)
    return tuple(ModuleConfig(name) for name in seen.values())
