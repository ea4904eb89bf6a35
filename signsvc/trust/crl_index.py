"""An index of one revocation list on disk, shared between processes: where the entries of a serial number stand.

A file belongs to the octets of exactly one list, by their SHA-256, and is made from them alone by a process that saw
nothing else; it carries a checksum of its own.  Readers map it and trust it for what it leaves out; what it points at
they compare with the list.

Layout, big-endian: magic, SHA-256 of the list (32), flags (4), records (4); then per entry, sorted: digest of the
encoded serial number (8), where the entry stands (4), where the one stands that names its issuer (4; RFC 5280
§5.3.3); SHA-256 of all before.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"SVCRLX01"
_HEAD = struct.Struct(">8s32sII")
_RECORD = struct.Struct(">8sII")
_SUM = 32
OWN = 0xFFFFFFFF  # in place of an issuer: the list's own
NAMES_ISSUERS = 1
UNKNOWN_CRITICAL = 2
# Lists with fewer octets are searched as fast as an index of theirs is found.
WORTHWHILE = 64 * 1024
MAX_FACTOR = 2  # an index is never larger than this many times its list: an entry has 17 octets or more

_places: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one entry stands in the list, and where the one that names its issuer (`OWN`: none does)."""

    at: int
    issuer_at: int = OWN


def key(serial: bytes) -> bytes:
    """What an encoded serial number is sorted by."""
    return hashlib.sha256(serial).digest()[:8]


def look_in(*directories: Path) -> None:
    """Where this process finds indexes; they must be written by trusted processes alone."""
    global _places  # one for the process, like the memory of parsed lists
    _places = directories


def path_in(directory: Path, sha256: bytes) -> Path:
    """The file for the list with this digest."""
    return directory / f"{sha256.hex()}.crlx"


def find(sha256: bytes) -> Index | None:
    """The index of the list with this digest, or None: there is none that is whole."""
    for directory in _places:
        found = Index.open(path_in(directory, sha256), sha256)
        if found is not None:
            return found
    return None


def encode(sha256: bytes, entries: Iterable[tuple[bytes, int, int]], flags: int) -> bytes:
    """An index file from (encoded serial number, place, place of the issuer's entry or `OWN`)."""
    pack = _RECORD.pack
    records = sorted([pack(key(serial), at, issuer_at) for serial, at, issuer_at in entries])
    body = _HEAD.pack(_MAGIC, sha256, flags, len(records)) + b"".join(records)
    return body + hashlib.sha256(body).digest()


def whole(octets: bytes | mmap.mmap, sha256: bytes) -> bool:
    """Whether these octets are a complete index of the list with this digest."""
    if len(octets) < _HEAD.size + _SUM:
        return False
    magic, of, _, count = _HEAD.unpack_from(octets)
    if magic != _MAGIC or of != sha256 or len(octets) != _HEAD.size + count * _RECORD.size + _SUM:
        return False
    with memoryview(octets) as view, view[:-_SUM] as body:
        return hashlib.sha256(body).digest() == octets[-_SUM:]


class Index:
    """One mapped index file.  Thread-safe."""

    def __init__(self, octets: mmap.mmap) -> None:
        self._octets = octets
        _, _, flags, self.count = _HEAD.unpack_from(octets)
        self.names_issuers = bool(flags & NAMES_ISSUERS)
        self.unknown_critical = bool(flags & UNKNOWN_CRITICAL)

    @classmethod
    def open(cls, path: Path, sha256: bytes) -> Index | None:
        """The file at `path` where it is a whole index of that list, else None.  Never raises."""
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < _HEAD.size + _SUM:
                    return None
                octets = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return None
        return cls(octets) if whole(octets, sha256) else None

    def entries(self, serial: bytes) -> Iterator[Entry]:
        """Entries that may have this encoded serial number, in the order of the list."""
        wanted, octets, size = key(serial), self._octets, _RECORD.size
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            at = _HEAD.size + middle * size
            if octets[at : at + 8] < wanted:
                low = middle + 1
            else:
                high = middle
        while low < self.count:
            found, entry, issuer = _RECORD.unpack_from(octets, _HEAD.size + low * size)
            if found != wanted:
                return
            yield Entry(entry, issuer)
            low += 1
