"""The hierarchy's keys in SoftHSM2 tokens (PKCS#11 v2.40)."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from test_pki import export
from test_pki.pki import Pki

# Neither label starts with the other: pkcs11-tool matches by prefix.
LABEL, LABEL2 = "signsvc-test", "signsvc-second"
PIN, SO_PIN = "12345678", "87654321"
# Token -> certificate labels; the object id of each is given here so that configurations can name it.
KEYS = {
    LABEL: {"person": b"\x01", "agency": b"\x02", "ec": b"\x03", "rsa3072": b"\x04", "g1-person": b"\x05"},
    LABEL2: {"person2": b"\x01", "expired": b"\x02", "revoked": b"\x03"},
}
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


@dataclass(frozen=True, slots=True)
class Token:
    """Where the tokens are. The PINs are public: they guard public test keys."""

    module: Path
    conf: Path  # for SOFTHSM2_CONF
    label: str = LABEL
    label2: str = LABEL2
    pin: str = PIN
    so_pin: str = SO_PIN

    @property
    def environment(self) -> dict[str, str]:
        """What a process that loads the module needs in its environment."""
        return {"SOFTHSM2_CONF": str(self.conf)}


def find_module() -> Path:
    """The SoftHSM2 module in its usual places, or where SOFTHSM2_MODULE says; FileNotFoundError with the remedy."""
    for place in (os.environ.get("SOFTHSM2_MODULE", ""), *MODULES):
        if place and Path(place).is_file():
            return Path(place)
    raise FileNotFoundError("libsofthsm2.so not found: apt-get install softhsm2")


def create(pki: Pki, directory: Path, module: Path | None = None) -> Token:
    """Make (or complete) tokens under *directory*: private and public keys and certificates, CA certificates too.

    Idempotent: objects already there with the same certificate stay; a token made from another epoch gets the new
    certificates. CalledProcessError when the module refuses; its output is on standard error.
    """
    token = Token(module or find_module(), directory.resolve() / "softhsm2.conf")
    tokens = directory.resolve() / "tokens"
    tokens.mkdir(parents=True, exist_ok=True)
    text = f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
    export.write(token.conf, text.encode())
    # In a child process: the module reads SOFTHSM2_CONF once, and no test process should have it loaded twice.
    environment = {**os.environ, **token.environment}
    command = [sys.executable, "-m", "test_pki.softhsm_load", str(token.module), str(pki.out_dir), str(pki.epoch)]
    subprocess.run(command, env=environment, check=True, cwd=Path(__file__).resolve().parent.parent)
    return token
