"""Entries of a container as the files that signatures speak of."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote, unquote_to_bytes

from signsvc.formats.zip import Container, Entry
from signsvc.types import Original


class EntryFile(Original):
    """An entry, read when it is asked for and never kept: containers hold more than memory should."""

    __slots__ = ("_container", "_entry")

    _container: Container
    _entry: Entry

    def __init__(self, container: Container, entry: Entry) -> None:
        object.__setattr__(self, "name", entry.name)
        object.__setattr__(self, "digests", {})
        object.__setattr__(self, "_known", {})
        object.__setattr__(self, "_container", container)
        object.__setattr__(self, "_entry", entry)

    @property
    def data(self) -> bytes:
        return self._container.read(self._entry)

    @property
    def size(self) -> int:
        return self._entry.size

    def digest(self, oid: str) -> bytes | None:
        try:
            return self._container.digest(self._entry, oid)
        except ValueError:
            return None


def entry_of(container: Container, uri: str) -> Entry | None:
    """The entry that a URI in a signature or manifest names: relative to the container, percent-decoded once.

    A plus sign is itself.  Octets that are no UTF-8 name the entry whose name has these octets; a URI that was never
    encoded names the entry called so.
    """
    uri = uri.removeprefix("./")
    found = None
    try:
        found = container.find(unquote(uri, errors="strict"))
    except UnicodeDecodeError:
        found = container.find_raw(unquote_to_bytes(uri))
    found = found or container.find(uri)
    return None if found is None or found.is_folder else found


def resolver(container: Container) -> Callable[[str], Original | None]:
    """What finds the files that references name."""

    def find(uri: str) -> Original | None:
        entry = entry_of(container, uri)
        return None if entry is None else EntryFile(container, entry)

    return find


__all__ = ["EntryFile", "entry_of", "resolver"]
