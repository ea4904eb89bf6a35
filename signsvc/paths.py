"""Where signsvc keeps what it installs and caches, and the few settings a plain `verify` needs.

This module reads them without the settings model, whose import alone costs more than a verification.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signsvc.errors import ConfigError


def data_dir() -> Path:
    """The data directory: ``SIGNSVC_DATA_DIR``, else ``/var/lib/signsvc`` where it exists and is writable, else
    ``$XDG_DATA_HOME/signsvc`` (``~/.local/share/signsvc``).  The directory may not exist yet.
    """
    given = os.environ.get("SIGNSVC_DATA_DIR")
    if given:
        return Path(given)
    system = Path("/var/lib/signsvc")
    if system.is_dir() and os.access(system, os.W_OK):
        return system
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "signsvc"


def config_file() -> Path | None:
    """The TOML file in force, or None: ``SIGNSVC_CONFIG``, ``./signsvc.toml``, ``/etc/signsvc/signsvc.toml``.

    Raises `ConfigError` where ``SIGNSVC_CONFIG`` names no file: a wrong name is an error and not a silent default.
    """
    if given := os.environ.get("SIGNSVC_CONFIG"):
        if not Path(given).is_file():
            raise ConfigError(reason=f"SIGNSVC_CONFIG names no file: {given}")
        return Path(given)
    for candidate in (Path("signsvc.toml"), Path("/etc/signsvc/signsvc.toml")):
        if candidate.is_file():
            return candidate
    return None


@dataclass(frozen=True, slots=True)
class Basics:
    """The settings that decide what a verification trusts; the same values as in `signsvc.settings.Settings`."""

    data_dir: Path
    policy: str
    trust_profiles: tuple[str, ...]

    @property
    def trust_dir(self) -> Path:
        return self.data_dir / "trust"

    @property
    def policy_dir(self) -> Path:
        """Where a site's own policies are."""
        return self.data_dir / "policies"

    @property
    def index_dir(self) -> Path:
        return self.data_dir / "cache" / "crl-index"


def basics() -> Basics:
    """Read them from the environment, else from the TOML file, else their defaults.  Raises `ConfigError`."""
    values: dict[str, Any] = {}
    if (file := config_file()) is not None:
        import tomllib

        try:
            values = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(reason=f"{file}: {error}") from None
    directory = data_dir()
    if "SIGNSVC_DATA_DIR" not in os.environ and "data_dir" in values:
        directory = Path(values["data_dir"])
    profiles = values.get("trust_profiles", [])
    if given := os.environ.get("SIGNSVC_TRUST_PROFILES"):
        try:
            profiles = json.loads(given)
        except ValueError:
            raise ConfigError(reason="trust_profiles: not a JSON list") from None
    if not isinstance(profiles, list) or not all(isinstance(p, str) for p in profiles):
        raise ConfigError(reason="trust_profiles: not a list of names")
    policy = os.environ.get("SIGNSVC_POLICY") or values.get("policy", "hon-hop")
    return Basics(directory, str(policy), tuple(profiles))
