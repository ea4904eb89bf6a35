"""A whole installation in a temporary directory: trust, configuration, keys on SoftHSM2, loopback responders."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import test_pki
from signsvc.settings import Settings
from signsvc.trust import TrustStore
from test_pki import softhsm
from test_pki.responders import Responders

INSTALLED = ("root-g1", "root-g2", "sub-g1", "sub-g2-state", "sub-g2-party", "sub-g2-software", "sub-g2-tsa")
PKCS12 = ("person", "agency", "ec", "rsa3072", "pss-only", "expired", "revoked", "wrong-usage", "not-yet-valid")
TOKEN_KEYS = ("person", "agency", "ec", "rsa3072")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where things are; `settings` is what the configuration file says."""

    directory: Path
    config: Path
    environment: dict[str, str]

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def settings(self) -> Settings:
        import tomllib

        return Settings(**tomllib.loads(self.config.read_text("utf-8")))


def install(
    directory: Path,
    pki: test_pki.Pki,
    responders: Responders,
    token: softhsm.Token | None = None,
    *,
    trusted: Sequence[str] = INSTALLED,
    server: str = "",
) -> Installation:
    """Write everything under `directory`: credentials ``p12-<label>`` and, with a token, ``<label>``."""
    store = TrustStore(directory / "data" / "trust")
    for label in trusted:
        encoded = pki.cert(label)
        store.install("test", encoded, confirm=(hashlib.sha256(encoded).hexdigest(),))
    password = directory / "password"
    password.touch(mode=0o600)
    password.write_bytes(test_pki.PASSWORD)
    lines = [
        'mode = "trial"',
        f'data_dir = "{directory / "data"}"',
        'trust_profiles = ["test"]',
        "[server]",
        server or 'bind = "127.0.0.1:0"',
        "[net]",
        f'allow = ["{responders.address}"]',
        "[net.host_map]",
        *(f'"{name}" = "{target}"' for name, target in responders.host_map.items()),
    ]
    for number, url in enumerate(test_pki.TSA_URLS, start=1):
        lines += ["[[tsa]]", f'name = "tsa{number}"', f'url = "{url}"', "timeout_seconds = 5"]
    for label in PKCS12:
        lines += ["[[credentials]]", f'id = "p12-{label}"', f'pkcs12 = "{pki.p12(label)}"']
        lines += [f'password = "file:{password}"']
    environment = {"SIGNSVC_CONFIG": str(directory / "signsvc.toml")}
    if token is not None:
        pin = directory / "pin"
        pin.touch(mode=0o600)
        pin.write_text(token.pin)
        lines += ["[[tokens]]", f'module = "{token.module}"', f'token = "{token.label}"', f'pin = "file:{pin}"']
        for label in TOKEN_KEYS:
            lines += ["[[credentials]]", f'id = "{label}"', f'module = "{token.module}"']
            lines += [f'token = "{token.label}"', f'label = "{label}"']
        environment |= token.environment
    config = directory / "signsvc.toml"
    config.write_text("\n".join(lines) + "\n", "utf-8")
    return Installation(directory, config, environment)
