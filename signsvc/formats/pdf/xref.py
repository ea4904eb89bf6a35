"""Cross-reference sections (ISO 32000-2 §7.5.4, §7.5.8): entries are looked up where they stand, on demand."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Buffer, PdfDict

FREE, PLAIN, PACKED = 0, 1, 2

# Object numbers above this are no real ones (Annex C names 8,388,607); arithmetic stays small.
MAX_NUMBER = 8_388_607


class Entry(NamedTuple):
    """One row.  FREE: next free number, generation.  PLAIN: offset, generation.  PACKED: object stream, index in it."""

    kind: int
    where: int
    extra: int


class Block(NamedTuple):
    """Consecutive numbers: the first one, how many, and where their rows begin."""

    first: int
    size: int
    at: int


_HEAD = re.compile(rb"[\x00\t\n\x0c\r ]*+(\d{1,10}+)[\x00\t\n\x0c\r ]++(\d{1,10}+)[\x00\t\n\x0c\r ]*+(?=[0-9t])")
_TRAILER = re.compile(rb"[\x00\t\n\x0c\r ]*+trailer")
_ROW = re.compile(rb"(\d{10}) (\d{5}) ([nf])[ \r\n][\r\n]")
_ROWS = re.compile(rb"(?:\d{10} \d{5} [nf][ \r\n][\r\n])*+")
_KEPT = re.compile(rb"(\d{10}) \d{5} n")
_LOOSE_ROW = re.compile(rb"[\x00\t\n\x0c\r ]*+(\d{1,10}+)[\t ]++(\d{1,5}+)[\t ]++([nf])(?=[\x00\t\n\x0c\r ])")


class Rows(ABC):
    """The rows of one section, ordered by number.  Numbers given twice make the section unusable."""

    __slots__ = ("_starts", "blocks", "count")

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = sorted(block for block in blocks if block.size)
        self._starts = [block.first for block in self.blocks]
        self.count = sum(block.size for block in self.blocks)
        last = 0
        for block in self.blocks:
            if block.first < last:
                raise PdfError("object number twice in one cross-reference section")
            last = block.first + block.size
        if last > MAX_NUMBER + 1:
            raise PdfError("object number too large")

    def lookup(self, number: int) -> Entry | None:
        """The entry of `number`, None where the section has none.  Raises PdfError for a malformed row."""
        index = bisect_right(self._starts, number) - 1
        if index < 0:
            return None
        block = self.blocks[index]
        offset = number - block.first
        return self.entry(block, offset) if offset < block.size else None

    def lead_beyond(self, limit: int) -> bool:
        """Whether a row says that its object stands at offset `limit` or behind it."""
        return any(self._suspect(block, limit) and self._beyond(block, limit) for block in self.blocks)

    def _beyond(self, block: Block, limit: int) -> bool:
        for offset in range(block.size):
            try:
                kind, where, _ = self.entry(block, offset)
            except PdfError:
                continue
            if kind == PLAIN and where >= limit:
                return True
        return False

    @abstractmethod
    def _suspect(self, block: Block, limit: int) -> bool:
        """Whether any row of `block` may have so large an offset: told by its octets, without reading the rows."""

    def numbers(self) -> Iterator[int]:
        """All numbers with an entry, ascending."""
        for block in self.blocks:
            yield from range(block.first, block.first + block.size)

    def wheres(self, block: Block, kind: int) -> Iterable[int]:
        """The second value of each sound row of `kind` in `block`: offsets, or numbers of object streams (each once
        at least)."""
        for offset in range(block.size):
            try:
                entry = self.entry(block, offset)
            except PdfError:
                continue
            if entry.kind == kind:
                yield entry.where

    @abstractmethod
    def entry(self, block: Block, offset: int) -> Entry:
        """The entry at `offset` of `block`.  Raises PdfError for a malformed row."""


class TableRows(Rows):
    """Rows of a classic table.  Where they are not 20 octets each, all are read at once."""

    __slots__ = ("_buffer", "_loose")

    def __init__(self, buffer: Buffer, blocks: list[Block], loose: array[int]) -> None:
        """`loose` holds a row of such a block in three numbers, from the one that the block begins at less than 0."""
        super().__init__(blocks)
        self._buffer = buffer
        self._loose = loose

    def entry(self, block: Block, offset: int) -> Entry:
        if block.at < 0:
            at = 3 * (offset - 1 - block.at)
            return Entry(*self._loose[at : at + 3])
        found = _ROW.match(self._buffer, block.at + 20 * offset)
        if found is None:
            raise PdfError("malformed cross-reference row")
        return _entry(found)

    def wheres(self, block: Block, kind: int) -> Iterable[int]:
        rows = bytes(self._buffer[block.at : block.at + 20 * block.size]) if block.at >= 0 else b""
        if kind != PLAIN or not rows or _ROWS.fullmatch(rows) is None:
            return super().wheres(block, kind)
        return list(map(int, _KEPT.findall(rows)))

    def _suspect(self, block: Block, limit: int) -> bool:
        if block.at < 0:
            return True
        rows = bytes(self._buffer[block.at : block.at + 20 * block.size])
        return _any_from(rows, 20, 0, b"%010d" % limit)


class StreamRows(Rows):
    """Rows of a cross-reference stream."""

    __slots__ = ("_data", "_widths")

    def __init__(self, data: bytes, widths: tuple[int, int, int], blocks: list[Block]) -> None:
        super().__init__(blocks)
        self._data = data
        self._widths = widths

    def entry(self, block: Block, offset: int) -> Entry:
        one, two, three = self._widths
        pos = block.at + (one + two + three) * offset
        data = self._data
        kind = int.from_bytes(data[pos : pos + one], "big") if one else PLAIN
        pos += one
        entry = Entry(
            kind,
            int.from_bytes(data[pos : pos + two], "big"),
            int.from_bytes(data[pos + two : pos + two + three], "big"),
        )
        # an unknown kind is a reference to null (§7.5.8.3)
        return entry if kind <= PACKED else Entry(FREE, 0, 0)

    def wheres(self, block: Block, kind: int) -> Iterable[int]:
        one, two, three = self._widths
        if one != 1:
            return super().wheres(block, kind)
        width, data = one + two + three, self._data
        rows = range(block.at, block.at + width * block.size, width)
        kinds = data[block.at : block.at + width * block.size : width]
        found = [data[at + 1 : at + 1 + two] for at, given in zip(rows, kinds, strict=True) if given == kind]
        if kind == PACKED:
            found = list(dict.fromkeys(found))
        return [int.from_bytes(where, "big") for where in found]

    def _suspect(self, block: Block, limit: int) -> bool:
        one, two, three = self._widths
        if limit >= 256**two:
            return False
        width = one + two + three
        rows = self._data[block.at : block.at + width * block.size]
        return _any_from(rows, width, one, limit.to_bytes(two, "big"))


def _any_from(rows: bytes, width: int, start: int, limit: bytes) -> bool:
    """Whether, of rows of `width` octets, one has at `start` what stands not before `limit` in the order of octets."""
    for column, least in enumerate(limit, start):
        octets = rows[column::width]
        if octets.count(least) == len(octets):
            continue
        most = max(octets)
        if most != least:
            return most > least
        # only those that are the same up to here may have more
        rows = b"".join(
            rows[at : at + width] for at in (width * place for place, octet in enumerate(octets) if octet == most)
        )
    return True


def _entry(found: re.Match[bytes]) -> Entry:
    return Entry(PLAIN if found[3] == b"n" else FREE, int(found[1]), int(found[2]))


def read_table(buffer: Buffer, pos: int, rows_left: int) -> tuple[TableRows, int]:
    """The rows of the table whose keyword ``xref`` ends at `pos`, and the offset after ``trailer``.

    Raises PdfError, LimitError.
    """
    blocks: list[Block] = []
    loose = array("Q")
    while True:
        found = _TRAILER.match(buffer, pos)
        if found:
            return TableRows(buffer, blocks, loose), found.end()
        head = _HEAD.match(buffer, pos)
        if head is None:
            raise PdfError("malformed cross-reference table")
        first, count = int(head[1]), int(head[2])
        rows_left -= count + 1
        if rows_left < 0:
            raise LimitError("rows")
        if first + count > MAX_NUMBER + 1:
            raise PdfError("object number too large")
        at = head.end()
        pos = at + 20 * count
        tight = count == 0 or (
            _ROW.match(buffer, at) is not None
            and _ROW.match(buffer, pos - 20) is not None
            and (_TRAILER.match(buffer, pos) is not None or _HEAD.match(buffer, pos) is not None)
        )
        if tight:
            blocks.append(Block(first, count, at))
            continue
        rows_left -= count  # they take time and memory
        if rows_left < 0:
            raise LimitError("rows")
        pos = at
        blocks.append(Block(first, count, -1 - len(loose) // 3))
        for _ in range(count):
            row = _LOOSE_ROW.match(buffer, pos)
            if row is None:
                raise PdfError("malformed cross-reference row")
            loose.extend(_entry(row))
            pos = row.end()


def read_stream(data: bytes, dictionary: PdfDict, rows_left: int) -> StreamRows:
    """The rows of a decoded cross-reference stream.  Raises PdfError, LimitError."""
    widths = dictionary.get("W")
    if not isinstance(widths, list) or len(widths) < 3:
        raise PdfError("malformed field widths")
    numbers = [width for width in widths[:3] if type(width) is int and 0 <= width <= 8]
    if len(numbers) != 3 or numbers[1] == 0:
        # rows without an offset would describe any number of objects in no octets at all
        raise PdfError("malformed field widths")
    total = sum(numbers)
    size = dictionary.get("Size")
    index = dictionary.get("Index", [0, size])
    if not isinstance(index, list) or len(index) % 2:
        raise PdfError("malformed index of a cross-reference stream")
    blocks: list[Block] = []
    at = 0
    for first, count in zip(index[::2], index[1::2], strict=True):
        if type(first) is not int or type(count) is not int or first < 0 or count < 0:
            raise PdfError("malformed index of a cross-reference stream")
        rows_left -= count + 1
        if rows_left < 0:
            raise LimitError("rows")
        blocks.append(Block(first, count, at))
        at += count * total
    if at > len(data):
        raise PdfError("cross-reference stream shorter than its index")
    return StreamRows(data, (numbers[0], numbers[1], numbers[2]), blocks)


__all__ = ["FREE", "PACKED", "PLAIN", "Entry", "Rows", "StreamRows", "TableRows", "read_stream", "read_table"]
