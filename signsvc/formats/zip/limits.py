"""What a container may cost, and what one entry of it is."""

from __future__ import annotations

from dataclasses import dataclass

from signsvc.errors import DocumentError

STORED = 0
DEFLATED = 8


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """Limits of one container; `ratio` is of all octets inside to those of the file, from `ratio_from` octets on."""

    entries: int = 5_000
    name: int = 1_024  # octets of one name
    depth: int = 64  # folders of one name
    entry: int = 512 << 20  # octets of one entry
    total: int = 1 << 30  # octets of all entries
    ratio: int = 100
    ratio_from: int = 8 << 20
    directory: int = 8 << 20  # octets of the central directory
    digested: int = 4 << 30  # octets inflated in all, for digests under several algorithms


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.  `name` is as most programs read it; `other_names` are further readings of the same octets, where
    they are neither ASCII nor marked as UTF-8 (APPNOTE appendix D).

    `start` to `end` are the octets of its local header, data and descriptor, `data` is where the data begins; all
    offsets are into the file.
    """

    name: str
    raw_name: bytes
    method: int
    crc: int
    packed: int
    size: int
    start: int
    data: int
    end: int
    header: tuple[int, int]  # offset and end of the record in the central directory
    extra: bool = False  # whether the local header has an extra field
    other_names: tuple[str, ...] = ()

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


def malformed(reason: str) -> DocumentError:
    """A container that breaks a rule."""
    return DocumentError("container_malformed", reason=f"zip-{reason}")


def ambiguous(reason: str) -> DocumentError:
    """A container that programs read differently."""
    return DocumentError("container_ambiguous", reason=f"zip-{reason}")


__all__ = ["DEFLATED", "STORED", "Entry", "ZipLimits", "ambiguous", "malformed"]
