"""Who refers to an object: found by a scan for references, proven by parsing only the objects that hold them."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from signsvc.formats.pdf.change_scan import Part, named, parts, rows, stretches, stuck, torn, wheres
from signsvc.formats.pdf.document import Document
from signsvc.formats.pdf.limits import LimitError, PdfError, SpentError
from signsvc.formats.pdf.objects import PdfDict, PdfObject, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.formats.pdf.xref import PACKED, PLAIN, Entry

_NUMBERS = re.compile(rb"(\d{1,10})[\x00\t\n\x0c\r ]+\d{1,5}[\x00\t\n\x0c\r ]+\Z")
_SPACES = re.compile(rb"[\x00\t\n\x0c\r ]{0,63}")

Path = tuple[str | int, ...]


class User(NamedTuple):
    """The object `number` refers to another one at `path` inside its value."""

    number: int
    path: Path


class Span(NamedTuple):
    """Who refers to an object from revision `start` on and before revision `stop`; `holders` are their numbers."""

    start: int
    stop: int
    users: list[User]
    holders: list[int]


class _Holding(NamedTuple):
    """From revision `start` on and before revision `stop`, object `number` is what `entry` says."""

    start: int
    stop: int
    number: int
    entry: Entry


class _Terms(NamedTuple):
    """When an object is what: the revisions that define or free it, the stretches of each entry, entries by header."""

    turns: list[int]
    terms: dict[Entry, list[tuple[int, int]]]
    headers: dict[int, list[Entry]]


@dataclass(slots=True)
class _Holdings:
    """All that may ever refer to one object, and the answer for the stretch of revisions last asked for."""

    found: list[_Holding]
    borders: list[int]  # revisions with which one of them comes or goes
    unclear: int  # offset of the first reference that stands where it is not clear whose it is
    last: Span | None = field(default=None)


@dataclass(slots=True)
class _Chunk:
    """References that stand close to each other, looked for one by one when somebody asks for one of them.

    `numbers`, ascending, and `places` belong together; `headers` are offsets of object headers before the references.
    """

    part: Part | None  # until they are looked for
    since: int  # where the headers begin that no earlier chunk knows
    stop: int
    begin: int  # what its places are counted from
    last: int | None = None  # the last header before its end, -1 where there is none
    numbers: array[int] = field(default_factory=lambda: array("Q"))
    places: array[int] = field(default_factory=lambda: array("I"))
    headers: array[int] = field(default_factory=lambda: array("Q"))


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

    The scan of a file is made once, when somebody asks, whatever the number of revisions.  Where a reference is written
    in a way or at a place that the scan cannot settle, every object is parsed instead; both give the same answer.
    """

    def __init__(self, document: Document, interest: set[int]) -> None:
        self._document = document
        self._interest = interest
        self._full: dict[int, _Holdings] | None = None
        self._known: dict[int, _Holdings] = {}
        self._held: dict[tuple[int, Entry], dict[int, list[Path]]] = {}
        self._chunks: list[_Chunk] = []
        self._mentions: dict[int, array[int]] = {}  # number -> places of the chunks that refer to it
        # number -> the object streams whose text mentions it
        self._packed: dict[int, list[tuple[int, Entry]]] = {}
        self._streams: dict[tuple[int, Entry], set[int]] = {}  # the same, with the revisions that need each
        self._members: dict[tuple[int, Entry], list[tuple[int, Entry, int]]] | None = None
        # what refers to each number, by the object stream in which it stands
        self._targets: dict[tuple[int, Entry], dict[int, list[tuple[int, Entry]]]] = {}
        self._sections = sorted(
            (section.offset, section.eof or section.offset) for r in document.revisions for section in r.sections
        )
        self._ends = [revision.end for revision in document.revisions]
        self._extents: dict[int, tuple[int, int] | None] = {}
        self._tables = {
            offset
            for revision in document.revisions
            for section in revision.sections
            for offset in (section.offset, section.trailer.get("XRefStm"))
        }
        self._settled: bool | None = None
        # what the steps of one document share
        self.walked = 0  # pages looked at to tell where one stands
        self.left = document.limits.compared  # values that may still be compared
        self.explored = 0  # objects looked at to tell what leads to another
        self.titles: dict[tuple[Ref, Entry | None], str | None] = {}  # of fields, for those who compare names
        self.kids: dict[int, tuple[list[PdfObject], dict[Ref, int]]] = {}  # places in /Kids arrays, by identity
        self.boxes: dict[int, tuple[PdfDict, tuple[bool, tuple[float, float, float, float]] | None]] = {}
        self.climbs: dict[int, tuple[range, set[int], bool, set[int]]] = {}  # what leads to an object, see `climb`
        self.places: dict[Ref, tuple[tuple[PdfDict, ...], dict[int, Path]]] = {}  # by catalog, with what they rest on
        self._spans: dict[int, _Terms] = {}

    def of(self, number: int, index: int) -> list[User]:
        """Every reference to object `number` from an object in force in revision `index`.  Raises LimitError."""
        return self.span(number, index).users

    def span(self, number: int, index: int) -> Span:
        """The same, with the revisions around `index` for which it holds.  Raises LimitError, SpentError."""
        if self._full is None and number in self._interest:
            if self._settled is None:
                self._settled = self._scan()
            if self._settled:
                known = self._known.get(number)
                if known is None:
                    known = self._known[number] = self._search(number)
                if known.unclear >= self._ends[index]:
                    return self._answer(known, number, index)
        return self._thorough(number, index)

    def _thorough(self, number: int, index: int) -> Span:
        if self._full is None:
            self._full = self._read_all()
        known = self._full.get(number)
        if known is None:
            known = self._full[number] = self._holdings(set(), self._ends[-1])
        return self._answer(known, number, index)

    def _answer(self, known: _Holdings, number: int, index: int) -> Span:
        last = known.last
        if last is not None and last.start <= index < last.stop:
            return last
        self.spend(len(known.found))
        users: list[User] = []
        holders: list[int] = []
        for start, stop, holder, entry in known.found:
            if start <= index < stop:
                paths = self._held_by(holder, entry, start).get(number)
                if paths:
                    holders.append(holder)
                    users.extend(User(holder, path) for path in paths)
        self.spend(len(users))
        at = bisect_right(known.borders, index)
        start = known.borders[at - 1] if at else 0
        stop = known.borders[at] if at < len(known.borders) else len(self._ends)
        known.last = Span(start, stop, users, holders)
        return known.last

    def spend(self, count: int) -> None:
        """Account for `count` values looked at.  Raises SpentError where the document has had its share: a few octets
        may name large values again and again."""
        self.left -= count
        if self.left < 0:
            raise SpentError("too much to compare")

    def steady(self, number: int, index: int) -> range:
        """The revisions around `index` in which object `number` stays what it is."""
        turns = self._terms(number).turns
        place = bisect_right(turns, index)
        return range(turns[place - 1] if place else 0, turns[place] if place < len(turns) else len(self._ends))

    def _terms(self, number: int) -> _Terms:
        known = self._spans.get(number)
        if known is None:
            known = self._spans[number] = _Terms([], {}, {})
            history = self._document.history(number)
            stops = (*(index for index, _ in history[1:]), len(self._ends))
            for (start, entry), stop in zip(history, stops, strict=False):
                known.turns.append(start)
                known.terms.setdefault(entry, []).append((start, stop))
                if entry.kind == PLAIN:
                    blank = _SPACES.match(self._document.buffer, entry.where)
                    known.headers.setdefault(blank.end() if blank else entry.where, []).append(entry)
        return known

    def _search(self, number: int) -> _Holdings:
        """Everything whose text refers to `number`, in whatever revision it is in force."""
        holders: set[tuple[int, Entry]] = set()
        unclear = self._ends[-1]
        for header, first, last, places in self._groups(number):
            extent = self._extent(header) if header >= 0 else (-1, header)
            if extent is not None and first < extent[1]:
                holders.update((extent[0], entry) for entry in self._terms(extent[0]).headers.get(header, ()))
            if extent is None or last >= extent[1]:
                beyond = first if extent is None else max(first, extent[1])
                unclear = min(unclear, self._outside_trailers(places, beyond, last))
        for key in self._packed.get(number, ()):
            holders.update(self._inverted(key).get(number, ()))
        return self._holdings(holders, unclear)

    def _inverted(self, key: tuple[int, Entry]) -> dict[int, list[tuple[int, Entry]]]:
        """The objects of one object stream by what they refer to."""
        found = self._targets.get(key)
        if found is None:
            found = self._targets[key] = {}
            if self._members is None:
                self._members = self._unpacked()
            for held, entry, at in self._members[key]:
                for target in self._held_by(held, entry, at):
                    if target in self._interest:
                        found.setdefault(target, []).append((held, entry))
        return found

    def _unpacked(self) -> dict[tuple[int, Entry], list[tuple[int, Entry, int]]]:
        """The objects of each object stream that mentions anything of interest, with a revision to read them in."""
        found: dict[tuple[int, Entry], list[tuple[int, Entry, int]]] = {key: [] for key in self._streams}
        for index in sorted({index for needed in self._streams.values() for index in needed}):
            for number, entry in rows(self._document.revisions[index], packed=True):
                holder = self._document.entry(entry.where, index)
                if holder is not None and (entry.where, holder) in found:
                    found[entry.where, holder].append((number, entry, index))
        return found

    def _groups(self, number: int) -> Iterator[tuple[int, int, int, list[int]]]:
        """Offsets of the headers before references to `number`, of the first reference after each, and of the last;
        and the references that stand together with them.

        -1 is the header of what stands before the first one.
        """
        for index in self._mentions.get(number, ()):
            chunk = self._looked_through(index)
            own = slice(bisect_left(chunk.numbers, number), bisect_right(chunk.numbers, number))
            places, headers = [chunk.begin + at for at in chunk.places[own]], chunk.headers
            at = 0
            while at < len(places):
                header = bisect_right(headers, places[at])
                stop = len(places)
                if header < len(headers):
                    stop = bisect_right(places, headers[header], at)
                yield (headers[header - 1] if header else self._before(index)), places[at], places[stop - 1], places
                at = stop

    def _looked_through(self, index: int) -> _Chunk:
        """A chunk with all its references and the headers before them."""
        chunk = self._chunks[index]
        if chunk.part is not None:
            found, chunk.part = named(self._document.buffer, chunk.part), None
            looked = chunk.since
            for at, _ in found:
                header = self._header(looked, at)
                if header >= 0:
                    chunk.headers.append(header)
                looked = at
            found.sort(key=itemgetter(1))
            known = [(at, number) for at, number in found if number >= 0]
            chunk.numbers.extend(number for _, number in known)
            chunk.places.extend(at - chunk.begin for at, _ in known)
        return chunk

    def _header(self, looked: int, at: int) -> int:
        """The last object header whose keyword ends in ``(looked, at]``; -1 where there is none."""
        buffer, first = self._document.buffer, max(0, looked - 2)
        candidate = buffer.rfind(b"obj", first, at)
        while candidate >= 0:
            before = _NUMBERS.search(bytes(buffer[max(0, candidate - 24) : candidate]))
            if before:
                return max(0, candidate - 24) + before.start()
            candidate = buffer.rfind(b"obj", first, candidate)
        return -1

    def _before(self, index: int) -> int:
        """The last header before all that chunk `index` knows; -1 where there is none."""
        last, without = -1, []
        for place in range(index - 1, -1, -1):
            chunk = self._chunks[place]
            if chunk.last is None:
                found = self._header(chunk.since, chunk.stop)
                if found < 0:
                    without.append(chunk)
                    continue
                chunk.last = found
            last = chunk.last
            break
        for chunk in without:
            chunk.last = last
        return last

    def _holdings(self, holders: set[tuple[int, Entry]], unclear: int) -> _Holdings:
        found: list[_Holding] = []
        for holder, entry in sorted(holders):
            found.extend(_Holding(*term, holder, entry) for term in self._terms(holder).terms.get(entry, ()))
        borders = {start for start, *_ in found} | {stop for _, stop, *_ in found}
        return _Holdings(found, sorted(borders), unclear)

    def _outside_trailers(self, places: list[int], first: int, last: int) -> int:
        """The first of `places` from `first` to `last` that stands in no trailer; trailers are no objects."""
        for at in places[bisect_right(places, first - 1) : bisect_right(places, last)]:
            place = bisect_right(self._sections, (at, len(self._document.buffer))) - 1
            if place < 0 or not self._sections[place][0] <= at < self._sections[place][1]:
                return at
        return self._ends[-1]

    def _extent(self, header: int) -> tuple[int, int] | None:
        """Number and end, its stream body included, of the object whose header stands at `header`; None: unreadable."""
        if header not in self._extents:
            try:
                physical = self._document.physical(header)
                end = physical.end
                if isinstance(physical.value, dict):
                    end = self._stream_end(physical.num, physical.gen, header) or end
                self._extents[header] = physical.num, end
            except LimitError:
                raise
            except PdfError:
                self._extents[header] = None
        return self._extents[header]

    def _stream_end(self, number: int, gen: int, header: int) -> int | None:
        index = min(bisect_right(self._ends, header), len(self._ends) - 1)
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
                value = torn(self._document.buffer, entry)
            if isinstance(value, Stream) and entry.where in self._tables:
                value = None  # a cross-reference stream: its dictionary is the trailer
            found: dict[int, list[Path]] = {}
            for path, ref in references(value):
                found.setdefault(ref.num, []).append(path)
            self._held[key] = found
        return self._held[key]

    def _read_all(self) -> dict[int, _Holdings]:
        found: dict[int, set[tuple[int, Entry]]] = {}
        seen: set[tuple[int, Entry]] = set()
        for revision in self._document.revisions:
            for number, entry in rows(revision):
                if entry.kind and (number, entry) not in seen:
                    seen.add((number, entry))
                    for target in self._held_by(number, entry, revision.index):
                        found.setdefault(target, set()).add((number, entry))
        return {number: self._holdings(holders, self._ends[-1]) for number, holders in found.items()}

    def _scan(self) -> bool:
        """Find the references of interest in the file itself; False where something cannot be settled."""
        buffer = self._document.buffer
        chunks: list[_Chunk] = []
        mentions: dict[int, array[int]] = {}
        self._chunks, self._mentions = chunks, mentions
        unsettled: list[tuple[int, int]] = []
        since = 0
        for start, end in stretches(self._document):
            if stuck(buffer, start, end):
                return False
            for part in parts(buffer, start, end, self._interest):
                for number in part.numbers:
                    if number in mentions:
                        mentions[number].append(len(chunks))
                    else:
                        mentions[number] = array("I", (len(chunks),))
                chunks.append(_Chunk(part, since, part.stop, part.begin - 1))
                since = part.stop
                if part.found is not None:
                    # their list takes more memory than what is kept of it
                    chunk = self._looked_through(len(chunks) - 1)
                    for at, number in part.found if -1 in part.numbers else ():
                        if number < 0:
                            place = bisect_right(chunk.headers, at)
                            header = chunk.headers[place - 1] if place else self._before(len(chunks) - 1)
                            unsettled.append((at, header))
        return all(self._in_body(at, header) for at, header in unsettled) and self._scan_packed()

    def _in_body(self, at: int, header: int) -> bool:
        """Whether offset `at` stands in the body of the stream whose header is at `header`."""
        if header < 0:
            return False
        try:
            physical = self._document.physical(header)
            if at < physical.end or not isinstance(physical.value, dict):
                return False
            end = self._stream_end(physical.num, physical.gen, header)
        except LimitError:
            raise
        except PdfError:
            return False
        return end is not None and at < end

    def _scan_packed(self) -> bool:
        document = self._document
        holders: dict[tuple[int, Entry], tuple[int, set[int]]] = {}  # first revision that needs it, all that do
        for revision in document.revisions:
            for number in dict.fromkeys(wheres(revision, PACKED)):
                holder = document.entry(number, revision.index)
                if holder is not None and holder.kind == PLAIN:
                    holders.setdefault((number, holder), (revision.index, set()))[1].add(revision.index)
        for key, (index, needed) in holders.items():
            try:
                data = document.object_stream(key[0], index).data
            except LimitError:
                raise
            except PdfError:
                continue
            found = {number for part in parts(data, 0, len(data), self._interest) for number in part.numbers}
            if found:
                self._streams[key] = needed
                for target in self._interest if -1 in found else found:
                    self._packed.setdefault(target, []).append(key)
        return True


__all__ = ["Path", "Span", "Usages", "User", "references"]
