"""Originals: the files that detached signatures speak of."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field

from signsvc.algorithms import new_hash


@dataclass(frozen=True, slots=True)
class Original:
    """The content of a detached signature: its octets, or only digests of it where it stays with the caller.

    `digests` holds digests (octets) by digest OID; where there is `data` they are computed from it and kept.
    """

    name: str
    data: bytes | mmap.mmap | None = None
    digests: Mapping[str, bytes] = field(default_factory=dict)
    _known: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> int | None:
        return None if self.data is None else len(self.data)

    def digest(self, oid: str) -> bytes | None:
        """The digest under the algorithm `oid`; None where the algorithm is unknown or this digest was not given."""
        if self.data is None:
            return self.digests.get(oid)
        found = self._known.get(oid)
        if found is None:
            try:
                hashed = new_hash(oid)
            except ValueError:
                return None
            hashed.update(self.data)
            found = self._known[oid] = bytes(hashed.digest())
        return found


__all__ = ["Original"]
