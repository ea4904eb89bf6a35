"""Signing profiles: versioned TOML documents that say what to produce.

    format, level, digest, scheme     what kind of signature
    require_path                      refuse where the certificate's path or status cannot be established
    policy                            the validation policy that the result must not fail
    appearance                        template of a visible signature where the caller names none

A directory of an installation may add profiles; a file there with a built-in id takes its place.
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from signsvc.errors import ConfigError, RequestError

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
SCHEMES = ("pkcs1v15", "pss")
DIGESTS = ("sha256", "sha384", "sha512")
FORMATS = ("pades",)
_KEYS = frozenset(
    (
        "id",
        "version",
        "title_vi",
        "title_en",
        "format",
        "level",
        "digest",
        "scheme",
        "require_path",
        "policy",
        "appearance",
    )
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What to produce.  `sha256` is the hash of the file the profile was read from."""

    id: str
    version: str
    level: str  # B-B, B-T, B-LT, B-LTA
    title_vi: str = ""
    title_en: str = ""
    format: str = "pades"
    digest: str = "sha256"
    scheme: str = "pkcs1v15"
    require_path: bool = False
    policy: str = "hon-hop"
    appearance: str = "simple"
    sha256: str = ""

    @property
    def rank(self) -> int:
        """Position of the level: 0 for B-B to 3 for B-LTA."""
        return LEVELS.index(self.level)

    def to_json(self) -> dict[str, Any]:
        """For people and API callers."""
        return {
            "id": self.id,
            "version": self.version,
            "title": {"vi": self.title_vi, "en": self.title_en},
            "format": self.format,
            "level": self.level,
            "digest": self.digest,
            "scheme": self.scheme,
            "require_path": self.require_path,
            "policy": self.policy,
            "appearance": self.appearance,
            "sha256": self.sha256,
        }


def parse(data: bytes, where: str) -> Profile:
    """The profile in TOML octets; `where` names the file in errors.  Raises `ConfigError`."""
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except ValueError:
        raise ConfigError("configuration_invalid", reason=f"{where}: not TOML") from None
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise ConfigError("configuration_invalid", reason=f"{where}: unknown key {unknown[0]}")
    try:
        profile = Profile(**table, sha256=hashlib.sha256(data).hexdigest())
    except TypeError:
        raise ConfigError("configuration_invalid", reason=f"{where}: id, version and level are needed") from None
    for key, allowed in (("format", FORMATS), ("level", LEVELS), ("digest", DIGESTS), ("scheme", SCHEMES)):
        if getattr(profile, key) not in allowed:
            raise ConfigError("configuration_invalid", reason=f"{where}: {key} is one of {', '.join(allowed)}")
    if not isinstance(profile.require_path, bool):
        raise ConfigError("configuration_invalid", reason=f"{where}: require_path is true or false")
    texts = (profile.id, profile.version, profile.title_vi, profile.title_en, profile.policy, profile.appearance)
    if not all(isinstance(value, str) for value in texts) or not profile.id:
        raise ConfigError("configuration_invalid", reason=f"{where}: a text is missing or no text")
    return profile


@functools.cache
def builtin() -> Mapping[str, Profile]:
    """The profiles shipped with the package, by id."""
    found = [
        parse(entry.read_bytes(), entry.name)
        for entry in resources.files(__name__).iterdir()
        if entry.name.endswith(".toml")
    ]
    return {profile.id: profile for profile in sorted(found, key=lambda p: (p.id.rpartition("-b-")[0], p.rank))}


def available(directories: Iterable[Path] = ()) -> Mapping[str, Profile]:
    """Built-in profiles and those of `directories`, later ones first in right.  Raises `ConfigError`."""
    found = dict(builtin())
    for directory in directories:
        for path in sorted(directory.glob("*.toml")):
            profile = parse(path.read_bytes(), path.name)
            found[profile.id] = profile
    return found


def load(profile_id: str, directories: Iterable[Path] = ()) -> Profile:
    """The profile with this id.  Raises `RequestError` (``profile_not_found``), `ConfigError`."""
    found = available(directories).get(profile_id)
    if found is None:
        raise RequestError("profile_not_found")
    return found


__all__ = ["LEVELS", "Profile", "available", "builtin", "load", "parse"]
