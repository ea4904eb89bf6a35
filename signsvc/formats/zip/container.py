"""An opened container: entries that all programs find alike, read in pieces under limits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from signsvc.algorithms import new_hash
from signsvc.errors import DocumentError
from signsvc.formats.zip import names
from signsvc.formats.zip.limits import STORED, Entry, ZipLimits, ambiguous, malformed
from signsvc.formats.zip.structure import LOCAL_MARK, Buffer, Directory, directory, entries
from signsvc.types import Finding

_PIECE = 1 << 18


@dataclass(slots=True)
class Container:
    """The entries of a ZIP file, folders included, in the order of their octets, and what is odd about it."""

    data: Buffer
    entries: tuple[Entry, ...]
    directory: Directory
    findings: tuple[Finding, ...] = ()
    limits: ZipLimits = field(default_factory=ZipLimits)
    _names: dict[str, Entry] = field(default_factory=dict)
    _others: dict[str, list[Entry]] = field(default_factory=dict)
    _raw: dict[bytes, Entry] = field(default_factory=dict)
    _digests: dict[tuple[int, str], bytes] = field(default_factory=dict)
    _inflated: int = 0

    def __post_init__(self) -> None:
        self._names = {entry.name: entry for entry in self.entries}
        self._raw = {entry.raw_name: entry for entry in self.entries}
        for entry in self.entries:
            for name in entry.other_names:
                self._others.setdefault(name, []).append(entry)

    def find(self, name: str) -> Entry | None:
        """The entry of this name; by another reading of its octets where no name and one other reading fits."""
        found = self._names.get(name)
        if found is None and len(others := self._others.get(name, [])) == 1:
            found = others[0]
        return found

    def find_raw(self, name: bytes) -> Entry | None:
        """The entry whose name is written with these octets."""
        return self._raw.get(name)

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """The octets of an entry, piece by piece, never more than it says.

        Raises `DocumentError` ``container_malformed`` where they are not what size and checksum say, and
        ``document_too_complex`` where too much was inflated already.
        """
        self._inflated += entry.size
        if self._inflated > self.limits.digested:
            raise DocumentError("document_too_complex", limit="contents")
        crc = size = 0
        for piece in self._stored(entry) if entry.method == STORED else self._deflated(entry):
            size += len(piece)
            if size > entry.size:
                raise malformed("contents")
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != entry.size or crc != entry.crc:
            raise malformed("contents")

    def _stored(self, entry: Entry) -> Iterator[bytes]:
        for at in range(entry.data, entry.data + entry.packed, _PIECE):
            yield bytes(self.data[at : min(at + _PIECE, entry.data + entry.packed)])

    def _deflated(self, entry: Entry) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-15)
        try:
            for packed in self._stored(entry):
                rest = packed
                while rest or not inflate.eof:
                    piece = inflate.decompress(rest, _PIECE)
                    if inflate.eof and inflate.unused_data:
                        raise malformed("contents")
                    rest = inflate.unconsumed_tail
                    if piece:
                        yield piece
                    elif not rest:
                        break
        except zlib.error:
            raise malformed("contents") from None
        if not inflate.eof:
            raise malformed("contents")

    def read(self, entry: Entry, limit: int | None = None) -> bytes:
        """All octets of an entry.  Raises `DocumentError`: ``document_too_complex`` above `limit`, else as `pieces`."""
        if limit is not None and entry.size > limit:
            raise DocumentError("document_too_complex", limit="entry")
        return b"".join(self.pieces(entry))

    def digest(self, entry: Entry, oid: str) -> bytes:
        """The digest of an entry under the algorithm `oid`, computed once.

        Raises `ValueError` for an algorithm that is not known and `DocumentError` as `pieces`.
        """
        key = (entry.start, oid)
        if key not in self._digests:
            hashed = new_hash(oid)
            for piece in self.pieces(entry):
                hashed.update(piece)
            self._digests[key] = bytes(hashed.digest())
        return self._digests[key]


def open_container(data: Buffer, limits: ZipLimits | None = None) -> Container:
    """Open a ZIP file whose directory, local headers and octets say the same thing.

    Raises `DocumentError`: ``empty_document``, ``container_malformed``, ``container_ambiguous``,
    ``container_name_unsafe``, ``container_encrypted``, ``container_method``, ``document_too_complex``.
    """
    limits = limits or ZipLimits()
    if not len(data):
        raise DocumentError("empty_document")
    where = directory(data, limits)
    found = entries(data, where, limits)
    findings = []
    if count := names.alike([entry.name for entry in found]):
        findings.append(Finding.of("zip_names_alike", count=count))
    before, between = _gaps(data, found, where)
    if before:
        findings.append(Finding.of("zip_octets_before", count=before))
    if between:
        findings.append(Finding.of("zip_octets_between", count=between))
    if where.comment:
        findings.append(Finding.of("zip_comment", count=where.comment))
    return Container(data, tuple(found), where, tuple(findings), limits)


def _gaps(data: Buffer, found: list[Entry], where: Directory) -> tuple[int, int]:
    """How many octets stand before the first entry, and between entries.

    Entries must not overlap, and in the gaps there must be none that a program finds that reads from the start.
    """
    before = between = 0
    at = 0
    for start, end in (*((entry.start, entry.end) for entry in found), (where.start, where.end)):
        if start < at:
            raise ambiguous("overlap")
        if start > at:
            if data.find(LOCAL_MARK, at, start) >= 0:
                raise ambiguous("hidden")
            if at:
                between += start - at
            else:
                before = start
        at = end
    return before, between


__all__ = ["Container", "open_container"]
