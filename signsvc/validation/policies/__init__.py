"""The policies that come with the house, and those a site adds: ``<id>.toml`` in a directory of its own."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from signsvc.errors import ConfigError, RequestError
from signsvc.validation.policy import Policy
from signsvc.validation.policy_file import Lookup, parse

DEFAULT = "hon-hop"
_FOLDER = Path(__file__).parent
_KEPT_MOST = 64

_Mark = tuple[int, int, int]
_kept: dict[tuple[Path, ...], tuple[tuple[tuple[Path, _Mark], ...], Policy]] = {}


@functools.cache
def _packaged(name: str) -> Policy:
    return parse((_FOLDER / name).read_bytes(), name)


def builtin() -> Mapping[str, Policy]:
    """The built-in policies by id."""
    names = sorted(path.name for path in _FOLDER.glob("*.toml"))
    return {policy.id: policy for policy in map(_packaged, names)}


def load(policy_id: str = DEFAULT, directories: Iterable[Path] = ()) -> Policy:
    """The policy named `policy_id`; ``<id>.toml`` of the first of `directories` that has it goes before a built-in one.

    A site's file is read again when it, or what it extends, has changed.  Raises `RequestError`
    (``policy_not_found``), or `ConfigError` for a site's file that is wrong.
    """
    places = tuple(directories)
    path = _place(policy_id, places)
    return _packaged(path.name) if path.parent == _FOLDER else _site(path, places)


def load_all(directories: Iterable[Path] = ()) -> Mapping[str, Policy]:
    """Every policy by id, a site's own before the built-in ones.  Raises `ConfigError` for a file that is wrong."""
    places = tuple(directories)
    found = dict(builtin())
    for directory in reversed(places):
        for path in sorted(directory.glob("*.toml")):
            found[path.stem] = _site(path, places)
    return found


def check(path: Path, directories: Iterable[Path] = ()) -> Policy:
    """The policy in a file anywhere; what it extends is looked for beside it, then as `load` does.

    Raises `ConfigError` for a file that is wrong, `OSError` for one that cannot be read.
    """
    return parse(path.read_bytes(), path.name, _finder((path.parent, *directories), []))


def _place(policy_id: str, directories: tuple[Path, ...]) -> Path:
    if not policy_id or len(policy_id) > 64 or not policy_id.replace("-", "").replace("_", "").isalnum():
        raise RequestError("policy_not_found")
    for directory in (*directories, _FOLDER):
        path = directory / f"{policy_id}.toml"
        if path.is_file():
            return path
    raise RequestError("policy_not_found")


def _finder(directories: tuple[Path, ...], used: list[tuple[Path, _Mark]]) -> Lookup:
    """Finds what policies extend; notes the files in `used`, as they were before."""

    def lookup(policy_id: str, by: str) -> tuple[str, bytes]:
        # A policy that extends its own id changes the built-in one of that name.
        found = _place(policy_id, () if policy_id == by else directories)
        used.append((found, _mark(found)))
        name = found.name if found.parent != _FOLDER else f"built-in {found.name}"
        return name, found.read_bytes()

    return lookup


def _site(path: Path, directories: tuple[Path, ...]) -> Policy:
    key = (path, *directories)
    kept = _kept.get(key)
    if kept is not None and all(_mark(file) == mark for file, mark in kept[0]):
        return kept[1]
    used = [(found, _mark(found)) for found in (path, *directories)]
    try:
        policy = parse(path.read_bytes(), path.name, _finder(directories, used))
    except OSError as error:
        raise ConfigError(reason=f"{path.name}: {error.strerror}") from None
    if policy.id != path.stem:
        raise ConfigError(reason=f"{path.name}: the id is {policy.id}")
    if len(_kept) >= _KEPT_MOST:
        _kept.clear()
    _kept[key] = (tuple(used), policy)
    return policy


def _mark(path: Path) -> _Mark:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_mtime_ns, status.st_size, status.st_ino
