"""Files that come with the house, and those a site adds: ``<id>.toml`` in directories of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from signsvc.errors import ConfigError, RequestError
from signsvc.toml_files import Lookup

_KEPT_MOST = 64
_Mark = tuple[int, int, int]


class _Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Named)


class Shelf(Generic[T]):
    """Parsed files by id; a site's file is read again when it, or what it extends, has changed."""

    def __init__(self, folder: Path, parse: Callable[[bytes, str, Lookup], T], missing: str) -> None:
        """`folder` has the built-in files; `missing` is the problem code for an unknown id."""
        self._folder = folder
        self._parse = parse
        self._missing = missing
        self._packaged: dict[str, T] = {}
        self._kept: dict[tuple[Path, ...], tuple[tuple[tuple[Path, _Mark], ...], T]] = {}

    def builtin(self) -> Mapping[str, T]:
        """The built-in ones by id."""
        names = sorted(path.name for path in self._folder.glob("*.toml"))
        return {found.id: found for found in map(self._own, names)}

    def load(self, name: str, directories: Iterable[Path] = ()) -> T:
        """The one with this id; ``<id>.toml`` of the first of `directories` that has it goes before a built-in one.

        Raises `RequestError`, or `ConfigError` for a site's file that is wrong.
        """
        places = tuple(directories)
        path = self._place(name, places)
        return self._own(path.name) if path.parent == self._folder else self._site(path, places)

    def load_all(self, directories: Iterable[Path] = ()) -> Mapping[str, T]:
        """Every one by id, a site's own before the built-in ones.  Raises `ConfigError` for a file that is wrong."""
        places = tuple(directories)
        found = dict(self.builtin())
        for directory in reversed(places):
            for path in sorted(directory.glob("*.toml")):
                found[path.stem] = self._site(path, places)
        return found

    def check(self, path: Path, directories: Iterable[Path] = ()) -> T:
        """The one in a file anywhere; what it extends is looked for beside it, then as `load` does.

        Raises `ConfigError` for a file that is wrong, `OSError` for one that cannot be read.
        """
        return self._parse(path.read_bytes(), path.name, self._finder((path.parent, *directories), []))

    def _own(self, name: str) -> T:
        found = self._packaged.get(name)
        if found is None:
            found = self._parse((self._folder / name).read_bytes(), name, self._finder((), []))
            self._packaged[name] = found
        return found

    def _place(self, name: str, directories: tuple[Path, ...]) -> Path:
        if not name or len(name) > 64 or not name.replace("-", "").replace("_", "").isalnum():
            raise RequestError(self._missing)
        for directory in (*directories, self._folder):
            path = directory / f"{name}.toml"
            if path.is_file():
                return path
        raise RequestError(self._missing)

    def _finder(self, directories: tuple[Path, ...], used: list[tuple[Path, _Mark]]) -> Lookup:
        """Finds what files extend; notes them in `used`, as they were before."""

        def lookup(name: str, by: str) -> tuple[str, bytes]:
            # A file that extends its own id changes the built-in one of that name.
            found = self._place(name, () if name == by else directories)
            used.append((found, _mark(found)))
            where = found.name if found.parent != self._folder else f"built-in {found.name}"
            return where, found.read_bytes()

        return lookup

    def _site(self, path: Path, directories: tuple[Path, ...]) -> T:
        key = (path, *directories)
        kept = self._kept.get(key)
        if kept is not None and all(_mark(file) == mark for file, mark in kept[0]):
            return kept[1]
        used = [(found, _mark(found)) for found in (path, *directories)]
        try:
            parsed = self._parse(path.read_bytes(), path.name, self._finder(directories, used))
        except OSError as error:
            raise ConfigError(reason=f"{path.name}: {error.strerror}") from None
        if parsed.id != path.stem:
            raise ConfigError(reason=f"{path.name}: the id is {parsed.id}")
        if len(self._kept) >= _KEPT_MOST:
            self._kept.clear()
        self._kept[key] = (tuple(used), parsed)
        return parsed


def _mark(path: Path) -> _Mark:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_mtime_ns, status.st_size, status.st_ino
