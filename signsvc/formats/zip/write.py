"""ZIP files out: the same octets for the same files, and entries of others kept as they stand."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from signsvc.errors import DocumentError
from signsvc.formats.zip import names
from signsvc.formats.zip.container import Container
from signsvc.formats.zip.limits import DEFLATED, STORED, Entry, ZipLimits
from signsvc.formats.zip.structure import CENTRAL, END, LOCAL, Buffer

_MADE_BY_UNIX = 3 << 8 | 20
_DATE = 0x21  # 1 January 1980: the first day there is, so that the same files give the same octets
_UTF8 = 0x0800
_PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class File:
    """A file to be written; `stored` keeps it as it is, as the first entry of a container asks."""

    name: str
    data: Buffer
    stored: bool = False


def build(files: Iterable[File], limits: ZipLimits | None = None) -> bytes:
    """A ZIP file of `files`, in their order, without dates, extra fields or comments.

    Raises `DocumentError`: ``container_name_unsafe``, ``container_ambiguous``, ``document_too_complex``.
    """
    return _written([], None, list(files), limits or ZipLimits())


def rewritten(container: Container, replaced: Mapping[str, bytes], added: Iterable[File] = ()) -> bytes:
    """The container with some entries replaced in their places and files added at its end; every other entry keeps
    its octets.  What stood around the entries, and the comment, go.

    Raises `DocumentError` as `build`.
    """
    kept: list[Entry | File] = [
        File(entry.name, replaced[entry.name]) if entry.name in replaced else entry for entry in container.entries
    ]
    return _written(kept, container, list(added), container.limits)


def _written(kept: list[Entry | File], source: Container | None, added: list[File], limits: ZipLimits) -> bytes:
    items: list[Entry | File] = [*kept, *added]
    if len(items) > min(limits.entries, 0xFFFE):
        raise DocumentError("document_too_complex", limit="entries")
    names.alike([item.name for item in items])
    body: list[bytes] = []
    records: list[bytes] = []
    at = total = 0
    for item in items:
        total += len(item.data) if isinstance(item, File) else item.size
        if total > limits.total or at > 0xFFFFFFFE - limits.entry:
            raise DocumentError("document_too_complex", limit="contents")
        if isinstance(item, File):
            local, record = _file(item, at, limits)
        else:
            assert source is not None
            local, record = _entry(item, source, at)
        body.append(local)
        records.append(record)
        at += len(local)
    directory = b"".join(records)
    end = END.pack(b"PK\5\6", 0, 0, len(items), len(items), len(directory), at, 0)
    return b"".join((*body, directory, end))


def _file(item: File, at: int, limits: ZipLimits) -> tuple[bytes, bytes]:
    """Local header with data, and the record in the directory."""
    names.check(item.name, limits.depth)
    raw = item.name.encode()
    if len(raw) > limits.name:
        raise DocumentError("document_too_complex", limit="name")
    if len(item.data) > limits.entry:
        raise DocumentError("document_too_complex", limit="entry")
    data = bytes(item.data)
    method, packed = STORED, data
    if not item.stored:
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        smaller = deflate.compress(data) + deflate.flush()
        # What shrinks a hundredfold and more looks like a bomb to those who open it.
        if len(smaller) < len(data) and len(smaller) * 50 > len(data):
            method, packed = DEFLATED, smaller
    flags = 0 if raw.isascii() else _UTF8
    shared = (flags, method, 0, _DATE, zlib.crc32(data), len(packed), len(data), len(raw), 0)
    local = LOCAL.pack(b"PK\3\4", 20, *shared) + raw + packed
    record = CENTRAL.pack(b"PK\1\2", _MADE_BY_UNIX, 20, *shared, 0, 0, 0, _PLAIN_FILE, at) + raw
    return local, record


def _entry(entry: Entry, source: Container, at: int) -> tuple[bytes, bytes]:
    """The octets of an entry as they stand, and its record with the new place."""
    local = bytes(source.data[entry.start : entry.end])
    record = bytearray(source.data[entry.header[0] : entry.header[1]])
    if struct.unpack_from("<L", record, CENTRAL.size - 4)[0] == 0xFFFFFFFF:
        raise DocumentError("document_too_complex", limit="contents")
    struct.pack_into("<L", record, CENTRAL.size - 4, at)
    return local, bytes(record)


__all__ = ["File", "build", "rewritten"]
