"""Signing profiles: versioned TOML documents that say what to produce.

    format, level, digest, scheme     what kind of signature
    require_path                      refuse where the certificate's path or status cannot be established
    experimental                      keys of algorithms that no list names yet (ML-DSA) may sign
    policy, result                    the validation policy, and what the result must be under it
    [appearance]                      template and place of a visible signature, whether it is shown unasked
    [metadata]                        reason, location, name, contact: defaults, fixed or required
    [credential]                      which keys and certificates may sign
    [certify], [field]                certification or approval, name of the field
    [pdfa]                            what happens to documents that are not PDF/A
    [signature]                       subfilter, chain (full: with the root), claims: capacity, role, commitment
    [timestamp]                       raise_to: answer at `level`, and have a job raise it to this one

A directory of an installation may add profiles, ``<id>.toml`` each; one with a built-in id takes its place.  See
`file` for how they are written and build on each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from signsvc.signing.profiles.file import parse
from signsvc.signing.profiles.model import LEVELS, CredentialRule, Profile, TextRule
from signsvc.toml_shelf import Shelf

_shelf: Shelf[Profile] = Shelf(Path(__file__).parent, parse, "profile_not_found")


def builtin() -> Mapping[str, Profile]:
    """The profiles shipped with the package, by id."""
    return _ordered(_shelf.builtin())


def available(directories: Iterable[Path] = ()) -> Mapping[str, Profile]:
    """Built-in profiles and those of `directories`, which go before.  Raises `ConfigError` for a file that is wrong."""
    return _ordered(_shelf.load_all(directories))


def load(profile_id: str, directories: Iterable[Path] = ()) -> Profile:
    """The profile with this id.  Raises `RequestError` (``profile_not_found``), `ConfigError`."""
    return _shelf.load(profile_id, directories)


def check(path: Path, directories: Iterable[Path] = ()) -> Profile:
    """The profile in a file anywhere; what it extends is looked for beside it, then as `load` does.

    Raises `ConfigError` for a file that is wrong, `OSError` for one that cannot be read.
    """
    return _shelf.check(path, directories)


def _ordered(found: Mapping[str, Profile]) -> Mapping[str, Profile]:
    """By family, then by level."""
    return {p.id: p for p in sorted(found.values(), key=lambda p: (p.id.rpartition("-b-")[0] or p.id, p.rank))}


__all__ = ["LEVELS", "CredentialRule", "Profile", "TextRule", "available", "builtin", "check", "load", "parse"]
