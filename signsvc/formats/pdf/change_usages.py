"""Who refers to an object: found by a scan for references, proven by parsing only the objects that hold them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from signsvc.formats.pdf.document import Document, Revision
from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Buffer, PdfObject, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.formats.pdf.xref import PACKED, PLAIN, Entry

_BACK = re.compile(rb"(?<![0-9+-])(\d{1,10})[\x00\t\n\x0c\r ]+\d{1,5}[\x00\t\n\x0c\r ]*\Z")
_NUMBERS = re.compile(rb"(\d{1,10})[\x00\t\n\x0c\r ]+\d{1,5}[\x00\t\n\x0c\r ]+\Z")
# Begins with its rarest octet, which the regular expression engine looks for at the speed of memchr.
_LETTER = re.compile(rb"R(?<=[\x00\t\n\x0c\r ]R)(?=[\x00\t\n\x0c\r ()<>\[\]{}/%]|\Z)")
_SPACE = b"\x00\t\n\x0c\r "
_SHORT = 24
_WINDOW = 48
# Files smaller than this are scanned whole; in larger ones the bodies of large streams are left out.
_SKIP_FROM = 1 << 20
_SKIP_BODY = 1 << 16

Path = tuple[str | int, ...]


class User(NamedTuple):
    """The object `number` refers to another one at `path` inside its value."""

    number: int
    path: Path


def references(value: PdfObject) -> Iterator[tuple[Path, Ref]]:
    """Every reference inside `value` with its path; streams by their dictionary."""
    stack: list[tuple[Path, PdfObject]] = [((), value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, Ref):
            yield path, item
            continue
        if isinstance(item, Stream):
            item = item.dictionary
        if isinstance(item, dict):
            stack.extend(((*path, key), part) for key, part in item.items() if isinstance(part, Ref | dict | list))
        elif isinstance(item, list):
            stack.extend(
                ((*path, place), part) for place, part in enumerate(item) if isinstance(part, Ref | dict | list)
            )


class Usages:
    """References to the objects that later revisions define, replace or free.

    The scan of a file is made once, whatever the number of revisions.  Where a reference is written in a way or at a
    place that the scan cannot settle, every object is parsed instead; both give the same answer.
    """

    def __init__(self, document: Document, interest: set[int]) -> None:
        self._document = document
        self._interest = interest
        self.walked = 0  # pages looked at to tell where one stands, over all steps
        self.left = document.limits.compared  # values that may still be compared, over all steps
        self._full: dict[int, list[tuple[int, Entry, Path]]] | None = None
        self._held: dict[tuple[int, Entry], dict[int, list[Path]]] = {}
        self._places: dict[int, list[tuple[int, int]]] = {}  # number -> (offset of reference, offset of header)
        # number -> the objects of each object stream whose text mentions it, with a revision to read them in
        self._packed: dict[int, list[list[tuple[int, Entry, int]]]] = {}
        self._mentions: dict[int, list[tuple[int, Entry]]] = {}  # the same, narrowed to those that refer to it
        self._sections = sorted(
            (section.offset, section.eof or section.offset) for r in document.revisions for section in r.sections
        )
        self.titles: dict[tuple[Ref, Entry | None], str | None] = {}  # of fields, for those who compare names
        self.kids: dict[int, tuple[list[PdfObject], dict[Ref, int]]] = {}  # places in /Kids arrays, by identity
        self._extents: dict[int, tuple[int, int] | None] = {}
        self._tables = {
            offset
            for revision in document.revisions
            for section in revision.sections
            for offset in (section.offset, section.trailer.get("XRefStm"))
        }
        self._settled = self._scan() and self._scan_packed()

    def of(self, number: int, index: int) -> list[User]:
        """Every reference to object `number` from an object in force in revision `index`.  Raises LimitError."""
        if self._full is None and self._settled and number in self._interest:
            found = self._quick(number, index)
            if found is not None:
                return found
        return self._thorough(number, index)

    def _thorough(self, number: int, index: int) -> list[User]:
        if self._full is None:
            self._full = self._read_all()
        document = self._document
        return [
            User(holder, path)
            for holder, entry, path in self._full.get(number, ())
            if document.entry(holder, index) == entry
        ]

    def _quick(self, number: int, index: int) -> list[User] | None:
        document = self._document
        end = document.revisions[index].end
        holders: dict[int, Entry] = {}
        for at, header in self._places.get(number, ()):
            if at >= end:
                break
            holder = self._holder(at, header, index)
            if holder is None:
                return None
            if holder[0] >= 0:
                holders[holder[0]] = holder[1]
        holders.update((held, entry) for held, entry in self._mention(number) if document.entry(held, index) == entry)
        return [
            User(held, path)
            for held, entry in holders.items()
            for path in self._held_by(held, entry, index).get(number, ())
        ]

    def _mention(self, number: int) -> list[tuple[int, Entry]]:
        """Objects in object streams that refer to `number`, whatever revision they belong to."""
        if number not in self._mentions:
            self._mentions[number] = [
                (held, entry)
                for items in self._packed.get(number, ())
                for held, entry, at in items
                if number in self._held_by(held, entry, at)
            ]
        return self._mentions[number]

    def _holder(self, at: int, header: int, index: int) -> tuple[int, Entry] | None:
        """The object in force whose text holds offset `at`; number -1 where none does; None where that is unclear."""
        nothing = (-1, Entry(0, 0, 0))
        document = self._document
        if header >= 0:
            held = self._extent(header, index)
            if held is None:
                return None
            number, end = held
            if at < end:
                entry = document.entry(number, index)
                if entry is not None and entry.kind == PLAIN and self._leads_to(entry.where, header):
                    return number, entry
                return nothing
        # the dictionary of a trailer, which names the catalog, is no object
        place = bisect_right(self._sections, (at, len(document.buffer))) - 1
        if place >= 0 and self._sections[place][0] <= at < self._sections[place][1]:
            return nothing
        return None

    def _extent(self, header: int, index: int) -> tuple[int, int] | None:
        """Number and end, its stream body included, of the object whose header stands at `header`; None: unreadable."""
        if header not in self._extents:
            try:
                physical = self._document.physical(header)
                end = physical.end
                if isinstance(physical.value, dict):
                    end = self._stream_end(physical.num, physical.gen, header, index) or end
                self._extents[header] = physical.num, end
            except LimitError:
                raise
            except PdfError:
                self._extents[header] = None
        return self._extents[header]

    def _leads_to(self, where: int, header: int) -> bool:
        return where == header or (
            where < header and header - where < 64 and not self._document.buffer[where:header].strip(_SPACE)
        )

    def _stream_end(self, number: int, gen: int, header: int, index: int) -> int | None:
        value = self._document.object_of(number, Entry(PLAIN, header, gen), index)
        return value.start + value.length if isinstance(value, Stream) else None

    def _held_by(self, number: int, entry: Entry, index: int) -> dict[int, list[Path]]:
        key = (number, entry)
        if key not in self._held:
            try:
                value = self._document.object_of(number, entry, index)
            except LimitError:
                raise
            except PdfError:
                value = None
            if isinstance(value, Stream) and entry.where in self._tables:
                value = None  # a cross-reference stream: its dictionary is the trailer
            found: dict[int, list[Path]] = {}
            for path, ref in references(value):
                found.setdefault(ref.num, []).append(path)
            self._held[key] = found
        return self._held[key]

    def _read_all(self) -> dict[int, list[tuple[int, Entry, Path]]]:
        found: dict[int, list[tuple[int, Entry, Path]]] = {}
        seen: set[tuple[int, Entry]] = set()
        for revision in self._document.revisions:
            for number, entry in _rows(revision):
                if entry.kind and (number, entry) not in seen:
                    seen.add((number, entry))
                    for target, paths in self._held_by(number, entry, revision.index).items():
                        found.setdefault(target, []).extend((number, entry, path) for path in paths)
        return found

    def _scan(self) -> bool:
        """Find the references of interest in the file itself; False where something cannot be settled."""
        document, buffer = self._document, self._document.buffer
        hits: list[tuple[int, int]] = []
        settled = True
        for start, end in _stretches(document):
            for at, number in _hits(buffer, start, end):
                if number in self._interest or number < 0:
                    hits.append((at, number))
        hits.sort()
        looked, header = 0, -1
        for at, number in hits:
            candidate = buffer.rfind(b"obj", looked, at)
            while candidate >= 0:
                before = _NUMBERS.search(bytes(buffer[max(0, candidate - 24) : candidate]))
                if before:
                    header = max(0, candidate - 24) + before.start()
                    break
                candidate = buffer.rfind(b"obj", looked, candidate)
            looked = max(looked, at - 3)
            if number >= 0:
                self._places.setdefault(number, []).append((at, header))
            elif not self._in_body(at, header):
                settled = False
        return settled

    def _in_body(self, at: int, header: int) -> bool:
        """Whether offset `at` stands in the body of the stream whose header is at `header`."""
        if header < 0:
            return False
        try:
            physical = self._document.physical(header)
            if at < physical.end or not isinstance(physical.value, dict):
                return False
            last = len(self._document.revisions) - 1
            end = self._stream_end(physical.num, physical.gen, header, last)
        except LimitError:
            raise
        except PdfError:
            return False
        return end is not None and at < end

    def _scan_packed(self) -> bool:
        document = self._document
        holders: dict[tuple[int, Entry], list[tuple[int, Entry, int]]] = {}
        for revision in document.revisions:
            for number, entry in _rows(revision, packed=True):
                holder = document.entry(entry.where, revision.index)
                if holder is not None and holder.kind == PLAIN:
                    holders.setdefault((entry.where, holder), []).append((number, entry, revision.index))
        for (number, _), items in holders.items():
            index = items[0][2]
            try:
                data = document.object_stream(number, index).data
            except LimitError:
                raise
            except PdfError:
                continue
            found = {target for _, target in _hits(data, 0, len(data))}
            for target in self._interest if -1 in found else found & self._interest:
                self._packed.setdefault(target, []).append(items)
        return True


def _rows(revision: Revision, *, packed: bool = False) -> Iterator[tuple[int, Entry]]:
    for section in revision.sections:
        tables = (section.rows, section.hidden) if section.hidden else (section.rows,)
        if packed and not section.is_stream and not section.hidden:
            continue
        for rows in tables:
            if rows is not None:
                for block in rows.blocks:
                    for offset in range(block.size):
                        try:
                            entry = rows.entry(block, offset)
                        except LimitError:
                            raise
                        except PdfError:
                            continue
                        if not packed or entry.kind == PACKED:
                            yield block.first + offset, entry


def _hits(buffer: Buffer, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Offset and number of each reference; number -1 where one is written in an unusual way."""
    for match in _LETTER.finditer(buffer, start, end):
        pos = match.start() - 1
        text = bytes(buffer[max(start, pos - _SHORT) : pos])
        parts = text.rsplit(None, 2)
        # more than what is a reference may be found here: holders are parsed before anything rests on it
        if (len(parts) == 3 or (len(parts) == 2 and len(text) < _SHORT)) and parts[-1].isdigit():
            number = parts[-2][len(parts[-2].rstrip(b"0123456789")) :]
            if number:
                yield pos, int(number)
                continue
        text = bytes(buffer[max(start, pos - _WINDOW) : pos])
        found = _BACK.search(text)
        if found:
            yield pos, int(found[1])
        elif _unusual(text, whole=pos - _WINDOW < start):
            yield pos, -1


def _unusual(text: bytes, *, whole: bool) -> bool:
    """Whether an R after `text` may still be a reference: signs, many digits, comments, much white space."""
    plain = text.rstrip(_SPACE)
    if not plain:
        return not whole
    line = max(plain.rfind(b"\n"), plain.rfind(b"\r"))
    return plain[-1:].isdigit() or b"%" in plain[line + 1 :] or (line < 0 and not whole and b"\n" in text[len(plain) :])


def _stretches(document: Document) -> Iterable[tuple[int, int]]:
    """The file without the bodies of large streams whose dictionaries prove where they end."""
    size = document.revisions[-1].end
    if size < _SKIP_FROM:
        return [(0, size)]
    named = {
        entry.where: (number, entry.extra, revision.index)
        for revision in document.revisions
        for number, entry in _rows(revision)
        if entry.kind == PLAIN
    }
    starts = sorted(named)
    found: list[tuple[int, int]] = []
    begin = 0
    for place, where in enumerate(starts):
        number, gen, index = named[where]
        following = starts[place + 1] if place + 1 < len(starts) else size
        if following - where < _SKIP_BODY or where < begin:
            continue
        try:
            value = document.object_of(number, Entry(PLAIN, where, gen), index)
            if not isinstance(value, Stream):
                continue
            end = value.start + value.length
        except LimitError:
            raise
        except PdfError:
            continue
        if end <= following and end - value.start >= _SKIP_BODY:
            found.append((begin, value.start))
            begin = end
    found.append((begin, size))
    return found


__all__ = ["Path", "Usages", "User", "references"]
