"""The policies that come with the house, and those a site adds: ``<id>.toml`` in a directory of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from signsvc.toml_shelf import Shelf
from signsvc.validation.policy import Policy
from signsvc.validation.policy_file import parse

DEFAULT = "hon-hop"
_shelf: Shelf[Policy] = Shelf(Path(__file__).parent, parse, "policy_not_found")


def builtin() -> Mapping[str, Policy]:
    """The built-in policies by id."""
    return _shelf.builtin()


def load(policy_id: str = DEFAULT, directories: Iterable[Path] = ()) -> Policy:
    """The policy named `policy_id`; ``<id>.toml`` of the first of `directories` that has it goes before a built-in one.

    A site's file is read again when it, or what it extends, has changed.  Raises `RequestError`
    (``policy_not_found``), or `ConfigError` for a site's file that is wrong.
    """
    return _shelf.load(policy_id, directories)


def load_all(directories: Iterable[Path] = ()) -> Mapping[str, Policy]:
    """Every policy by id, a site's own before the built-in ones.  Raises `ConfigError` for a file that is wrong."""
    return _shelf.load_all(directories)


def check(path: Path, directories: Iterable[Path] = ()) -> Policy:
    """The policy in a file anywhere; what it extends is looked for beside it, then as `load` does.

    Raises `ConfigError` for a file that is wrong, `OSError` for one that cannot be read.
    """
    return _shelf.check(path, directories)
