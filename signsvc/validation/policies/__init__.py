"""The policies that come with the house, and those a site adds."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from signsvc.errors import ConfigError, RequestError
from signsvc.validation.policy import Policy, parse

DEFAULT = "hon-hop"
_FOLDER = Path(__file__).parent


@functools.cache
def _packaged(name: str) -> Policy:
    return parse((_FOLDER / name).read_bytes(), name)


def builtin() -> Mapping[str, Policy]:
    """The built-in policies by id."""
    names = sorted(path.name for path in _FOLDER.glob("*.toml"))
    return {policy.id: policy for policy in map(_packaged, names)}


def load(policy_id: str = DEFAULT, directories: Iterable[Path] = ()) -> Policy:
    """The policy named `policy_id`; ``<id>.toml`` of the first of `directories` that has it goes before a built-in one.

    Raises `RequestError` (``policy_not_found``), or `ConfigError` for a site's file that is wrong.
    """
    if not policy_id or len(policy_id) > 64 or not policy_id.replace("-", "").replace("_", "").isalnum():
        raise RequestError("policy_not_found")
    for directory in directories:
        path = directory / f"{policy_id}.toml"
        if path.is_file():
            return _site(path)
    try:
        return _packaged(f"{policy_id}.toml")
    except FileNotFoundError:
        raise RequestError("policy_not_found") from None


def load_all(directories: Iterable[Path] = ()) -> Mapping[str, Policy]:
    """Every policy by id, a site's own before the built-in ones.  Raises `ConfigError` for a file that is wrong."""
    found = dict(builtin())
    for directory in reversed(list(directories)):
        for path in sorted(directory.glob("*.toml")):
            found[path.stem] = _site(path)
    return found


def _site(path: Path) -> Policy:
    policy = parse(path.read_bytes(), path.name)
    if policy.id != path.stem:
        raise ConfigError(reason=f"{path.name}: the id is {policy.id}")
    return policy
