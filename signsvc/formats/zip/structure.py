"""The structure of a ZIP file: its directory, its local headers, and whether both say the same (APPNOTE §4.3)."""

from __future__ import annotations

import mmap
import stat
import struct
from dataclasses import dataclass

from signsvc.errors import DocumentError
from signsvc.formats.zip import names
from signsvc.formats.zip.limits import DEFLATED, STORED, Entry, ZipLimits, ambiguous, malformed

Buffer = bytes | mmap.mmap

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
LOCAL_MARK, CENTRAL_MARK, END_MARK = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END64_MARK, _LOCATOR_MARK, _DESCRIPTOR_MARK = b"PK\6\6", b"PK\6\7", b"PK\7\x08"
_ZIP64 = 1
_ENCRYPTED, _DESCRIPTOR, _PATCHED, _UTF8 = 0x0001, 0x0008, 0x0020, 0x0800
_STRONG = 0x2040  # strong encryption, and headers masked by it
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_TAIL = END.size + _FULL16


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory stands: its octets, how many records, what all offsets in it are shifted by."""

    start: int
    end: int
    count: int
    shift: int
    comment: int  # octets of the comment of the file


def directory(data: Buffer, limits: ZipLimits) -> Directory:
    """Find the central directory.  Raises `DocumentError`."""
    at = _end_record(data)
    _, disk, first_disk, here, count, size, offset, comment = END.unpack_from(data, at)
    before = at
    pointed: int | None = None
    locator = at - _LOCATOR.size
    if locator >= 0 and data[locator : locator + 4] == _LOCATOR_MARK:
        before, pointed, (disk64, first64, here64, count64, size64, offset64) = _end64(data, locator)
        for small, full, large in (
            (disk, _FULL16, disk64),
            (first_disk, _FULL16, first64),
            (here, _FULL16, here64),
            (count, _FULL16, count64),
            (size, _FULL32, size64),
            (offset, _FULL32, offset64),
        ):
            if small not in (full, large):
                raise ambiguous("zip64")
        disk, first_disk, here, count, size, offset = disk64, first64, here64, count64, size64, offset64
    if disk or first_disk or here != count:
        raise malformed("volumes")
    if count > limits.entries:
        raise DocumentError("document_too_complex", limit="entries")
    if size > limits.directory:
        raise DocumentError("document_too_complex", limit="directory")
    shift = before - size - offset
    if shift < 0:
        raise malformed("directory")
    if pointed is not None and pointed + shift != before:
        raise ambiguous("zip64")
    return Directory(before - size, before, count, shift, comment)


def _end_record(data: Buffer) -> int:
    """The one end record whose comment ends with the file; two candidates are read differently by programs."""
    tail = bytes(data[max(0, len(data) - _TAIL) :])
    base = len(data) - len(tail)
    found = []
    at = tail.rfind(END_MARK)
    while at >= 0:
        if at + END.size <= len(tail) and END.unpack_from(tail, at)[7] == len(tail) - at - END.size:
            found.append(base + at)
        at = tail.rfind(END_MARK, 0, at) if at else -1
    if not found:
        raise malformed("end")
    if END_MARK in tail[found[0] - base + 4 :] or (len(found) > 1 and not _stands_inside(found[1:], found[0], data)):
        raise ambiguous("end")
    return found[0]


def _stands_inside(others: list[int], chosen: int, data: Buffer) -> bool:
    """Whether further marks lie before the central directory, in what an entry holds."""
    size, offset = END.unpack_from(data, chosen)[5:7]
    return all(other < chosen - size for other in others) and offset != _FULL32


def _end64(data: Buffer, locator: int) -> tuple[int, int, tuple[int, ...]]:
    """The place of the ZIP64 end record right before its locator, where the locator says it is, and what it says."""
    _, disk, offset, disks = _LOCATOR.unpack_from(data, locator)
    at = locator - _END64.size
    if at < 0 or bytes(data[at : at + 4]) != _END64_MARK or disk or disks > 1 or offset > at:
        raise malformed("zip64")
    found = _END64.unpack_from(data, at)
    if found[1] != _END64.size - 12:
        raise malformed("zip64")
    return at, offset, found[4:]


def entries(data: Buffer, where: Directory, limits: ZipLimits) -> list[Entry]:
    """The entries in the order of their octets.  Raises `DocumentError`."""
    found = []
    at = where.start
    total = 0
    for _ in range(where.count):
        entry, at = _central(data, at, where, limits)
        total += entry.size
        if total > limits.total:
            raise DocumentError("document_too_complex", limit="contents")
        found.append(entry)
    if at != where.end:
        raise malformed("directory")
    if total > limits.ratio_from and total > limits.ratio * len(data):
        raise DocumentError("document_too_complex", limit="ratio")
    return sorted(found, key=lambda entry: entry.start)


def _central(data: Buffer, at: int, where: Directory, limits: ZipLimits) -> tuple[Entry, int]:
    if at + CENTRAL.size > where.end:
        raise malformed("directory")
    (mark, _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment_size, disk, _, attributes,
     offset) = CENTRAL.unpack_from(data, at)  # fmt: skip
    end = at + CENTRAL.size + name_size + extra_size + comment_size
    if mark != CENTRAL_MARK or end > where.end:
        raise malformed("directory")
    if name_size > limits.name:
        raise DocumentError("document_too_complex", limit="name")
    raw = bytes(data[at + CENTRAL.size : at + CENTRAL.size + name_size])
    extra = _extra(bytes(data[at + CENTRAL.size + name_size : end - comment_size]))
    size, packed, offset, disk = _large(extra, [(size, 8), (packed, 8), (offset, 8), (disk, 4)])
    if flags & (_ENCRYPTED | _STRONG) or method == 99:
        raise DocumentError("container_encrypted")
    if method not in (STORED, DEFLATED) or flags & _PATCHED:
        raise DocumentError("container_method")
    if disk:
        raise malformed("volumes")
    # Links alone: writers put all bits, or the pipe that they read from, in the attributes of plain files.
    if stat.S_IFMT(attributes >> 16) == stat.S_IFLNK:
        raise DocumentError("container_name_unsafe")
    name, others = names.decoded(raw, utf8=bool(flags & _UTF8), extra=extra)
    for one in (name, *others):
        names.check(one, limits.depth)
    if size > limits.entry:
        raise DocumentError("document_too_complex", limit="entry")
    if (method == STORED and size != packed) or (name.endswith("/") and size):
        raise ambiguous("size")
    start = offset + where.shift
    local_extra, first = _local(data, start, where, (flags, method, crc, packed, size, raw))
    last = first + packed
    if last > where.start:
        raise malformed("truncated")
    if flags & _DESCRIPTOR:
        last = _descriptor(data, last, where, (crc, packed, size))
    entry = Entry(
        name, raw, method, crc, packed, size, start, first, last, (at, end), extra=local_extra, other_names=others
    )
    return entry, end


def _local(data: Buffer, at: int, where: Directory, said: tuple[int, int, int, int, int, bytes]) -> tuple[bool, int]:
    """Hold the local header to what the directory said; whether it has an extra field, and where the data begins."""
    flags, method, crc, packed, size, raw = said
    if at + LOCAL.size > where.start or bytes(data[at : at + 4]) != LOCAL_MARK:
        raise malformed("local-header")
    _, _, own_flags, own_method, _, _, own_crc, own_packed, own_size, name_size, extra_size = LOCAL.unpack_from(
        data, at
    )
    first = at + LOCAL.size + name_size + extra_size
    if first > where.start:
        raise malformed("truncated")
    name = bytes(data[at + LOCAL.size : at + LOCAL.size + name_size])
    checked = _ENCRYPTED | _DESCRIPTOR | _UTF8
    if name != raw or own_method != method or (own_flags ^ flags) & checked:
        raise ambiguous("headers")
    extra = _extra(bytes(data[at + LOCAL.size + name_size : first]))
    own_size, own_packed = _large(extra, [(own_size, 8), (own_packed, 8)])
    open_ones = (0,) if flags & _DESCRIPTOR else ()
    if any(
        own != theirs and own not in open_ones
        for own, theirs in ((own_crc, crc), (own_packed, packed), (own_size, size))
    ):
        raise ambiguous("headers")
    return bool(extra_size), first


def _descriptor(data: Buffer, at: int, where: Directory, said: tuple[int, int, int]) -> int:
    """The end of a data descriptor; it has four shapes: with or without its mark, with short or long sizes."""
    for layout in ("<3L", "<L2Q"):
        wanted = struct.pack(layout, *said) if layout != "<3L" or max(said) <= _FULL32 else b""
        for shape in (_DESCRIPTOR_MARK + wanted, wanted):
            end = at + len(shape)
            if wanted and end <= where.start and bytes(data[at:end]) == shape:
                return end
    raise ambiguous("descriptor")


def _extra(octets: bytes) -> dict[int, bytes]:
    """Extra fields by their number; up to three octets of padding may follow."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(octets):
        kind, size = struct.unpack_from("<2H", octets, at)
        at += 4 + size
        if at > len(octets):
            raise malformed("extra")
        if kind in found and kind == _ZIP64:
            raise ambiguous("zip64")
        found.setdefault(kind, octets[at - size : at])
    return found


def _large(extra: dict[int, bytes], fields: list[tuple[int, int]]) -> list[int]:
    """Sizes and offsets with those that did not fit taken from the ZIP64 field (APPNOTE §4.5.3)."""
    field = extra.get(_ZIP64, b"")
    at = 0
    found = []
    for value, width in fields:
        if value == (_FULL32 if width == 8 else _FULL16) and _ZIP64 in extra:
            if at + width > len(field):
                raise malformed("zip64")
            value = int.from_bytes(field[at : at + width], "little")
            at += width
        found.append(value)
    return found


__all__ = ["CENTRAL", "END", "LOCAL", "Buffer", "Directory", "directory", "entries"]
