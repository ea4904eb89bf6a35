"""An incremental update put together from what our own reader sees (ISO 32000-2 §7.5.6): objects that are new or
written anew, one cross-reference section of the kind that the file has, one trailer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from signsvc.formats.pdf import Document, Name, PdfDict, PdfObject, PdfString, Ref, Revision
from signsvc.formats.pdf.emit import Indirect, NewObject, NewStream, serialize
from signsvc.formats.pdf.sections import Section
from signsvc.formats.pdf.xref import MAX_NUMBER

_POINTER = re.compile(rb"startxref[\x00\t\n\x0c\r ]++(\d{1,12}+)")
_NO_TRAILER = frozenset(
    ("Type", "W", "Index", "Filter", "DecodeParms", "Length", "Prev", "XRefStm", "Size", "ID", "AuthCode")
)
_MOST_NEW = 100_000  # objects of one update
_MOST_TABLE = 10**10  # offsets of a table have ten digits
_RANGE_WIDTH = 60


class NotCoveredError(Exception):
    """The document is of a shape that this writer leaves to pyHanko."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A signature dictionary: `entries` without /Contents and /ByteRange, and the octets kept for the CMS."""

    entries: Mapping[str, NewObject]
    room: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """The octets of an update; `start` and `end` are those of ``<zeros>`` in the file (0 where there are none)."""

    data: bytes
    start: int
    end: int


class Update:
    """One update of `document`, which is not encrypted, needs no repair and has no hidden cross-references.

    Raises `NotCoveredError` for documents of other shapes, here and in every method; PdfError, LimitError.
    """

    def __init__(self, document: Document) -> None:
        self.revision: Revision = document.last
        self._document = document
        self._staged: dict[int, tuple[int, NewObject | Placeholder]] = {}
        self._numbers: dict[Indirect, Ref] = {}
        self._section = _last_section(document)
        self._first = self._next = _first_free(document)

    def add(self, value: NewObject | Placeholder) -> Ref:
        """The reference of a new object."""
        ref = Ref(self._next, 0)
        self._next += 1
        if self._next - self._first > _MOST_NEW:
            raise NotCoveredError
        self._staged[ref.num] = (0, value)
        return ref

    def replace(self, ref: Ref, value: NewObject) -> None:
        """Write the object behind `ref` anew."""
        self._staged[ref.num] = (ref.gen, value)

    def number(self, value: Indirect) -> Ref:
        """The reference of `value`, which becomes an object where it is none yet."""
        if value not in self._numbers:
            self._numbers[value] = self.add(value.value)
        return self._numbers[value]

    def read(self, ref: Ref) -> PdfObject:
        """The object behind `ref` as it is to be: what was staged, or what the file says."""
        if ref.num in self._staged:
            gen, value = self._staged[ref.num]
            if gen != ref.gen or isinstance(value, Placeholder | NewStream | Indirect):
                raise NotCoveredError
            return value  # type: ignore[return-value]
        value = self.revision.get(ref)
        if isinstance(value, Ref):
            raise NotCoveredError
        return value

    def dictionary(self, ref: Ref) -> PdfDict:
        """A copy of the dictionary behind `ref`."""
        value = self.read(ref)
        if not isinstance(value, dict):
            raise NotCoveredError
        return dict(value)

    def render(self) -> Rendered:
        """The octets to be appended, with the ByteRange of the one placeholder set."""
        base = self._document.size
        out = bytearray(b"" if self._document.buffer[base - 1 : base] in (b"\n", b"\r") else b"\n")
        offsets: dict[int, tuple[int, int]] = {}
        spans: tuple[int, int, int] | None = None
        done = 0
        while done < len(self._staged):  # what is written may add further objects
            num, (gen, value) = list(self._staged.items())[done]
            done += 1
            offsets[num] = (base + len(out), gen)
            out += b"%d %d obj\n" % (num, gen)
            if isinstance(value, Placeholder):
                entries = serialize(value.entries, self.number)
                out += entries[:-2] + b"/ByteRange "
                at = len(out)
                out += b" " * _RANGE_WIDTH + b"\n/Contents "
                spans = (at, len(out), len(out) + 2 * value.room + 2)
                out += b"<" + b"0" * (2 * value.room) + b">\n>>"
            else:
                out += serialize(value, self.number)
            out += b"\nendobj\n"
        self._finish(out, base, offsets)
        if spans is None:
            return Rendered(bytes(out), 0, 0)
        at, start, end = spans
        out[at : at + _RANGE_WIDTH] = (
            b"[0 %d %d %d]" % (base + start, base + end, len(out) - end)
        ).ljust(_RANGE_WIDTH)  # fmt: skip
        return Rendered(bytes(out), base + start, base + end)

    def _finish(self, out: bytearray, base: int, offsets: dict[int, tuple[int, int]]) -> None:
        at = base + len(out)
        number = self._next
        if self._section.is_stream:
            offsets[number] = (at, 0)
        trailer = self._trailer(number + self._section.is_stream)
        runs = _runs(sorted(offsets))
        if self._section.is_stream:
            width = max((at.bit_length() + 7) // 8, 4)
            rows = b"".join(
                b"\x01" + where.to_bytes(width, "big") + gen.to_bytes(2, "big")
                for where, gen in (offsets[num] for run in runs for num in run)
            )
            index: list[NewObject] = [part for run in runs for part in (run.start, len(run))]
            entries: dict[str, NewObject] = {
                "Type": Name("XRef"), "W": [1, width, 2], "Index": index, **trailer
            }  # fmt: skip
            out += b"%d 0 obj\n" % number + serialize(NewStream.deflated(entries, rows)) + b"\nendobj\n"
        else:
            if at >= _MOST_TABLE:
                raise NotCoveredError
            out += b"xref\n"
            for run in runs:
                out += b"%d %d\n" % (run.start, len(run))
                out += b"".join(b"%010d %05d n \n" % offsets[num] for num in run)
            out += b"trailer\n" + serialize(trailer) + b"\n"
        out += b"startxref\n%d\n%%%%EOF\n" % at

    def _trailer(self, size: int) -> dict[str, NewObject]:
        old = self._section.trailer
        made: dict[str, NewObject] = {key: value for key, value in old.items() if key not in _NO_TRAILER}
        written = self.revision.array(old.get("ID"))
        first = self.revision.resolve(written[0]) if written else None
        new = PdfString(secrets.token_bytes(16))
        made["ID"] = [first if isinstance(first, PdfString) else new, new]
        made["Prev"] = self._section.offset
        made["Size"] = size
        return made


def _last_section(document: Document) -> Section:
    """The section that the last ``startxref`` names."""
    at = document.buffer.rfind(b"startxref")
    found = _POINTER.match(document.buffer, at) if at >= 0 else None
    offset = int(found[1]) if found else -1
    plain = document.crypt is None and document.header_offset == 0 and document.trailing is None
    sections = [section for revision in document.revisions for section in revision.sections]
    if not plain or document.repair is not None or any(section.hidden is not None for section in sections):
        raise NotCoveredError
    if any("Encrypt" in section.trailer or "XRefStm" in section.trailer for section in sections):
        raise NotCoveredError
    named = [section for section in document.last.sections if section.offset == offset]
    if len(named) != 1 or named[0].trailer.get("Root") != document.last.trailer.get("Root"):
        raise NotCoveredError
    if document.last.root is None:
        raise NotCoveredError
    return named[0]


def _first_free(document: Document) -> int:
    most = 1
    for revision in document.revisions:
        for section in revision.sections:
            size = section.trailer.get("Size")
            if type(size) is int:
                most = max(most, size)
            if section.rows.blocks:
                block = section.rows.blocks[-1]
                most = max(most, block.first + block.size)
    if most + _MOST_NEW > MAX_NUMBER:
        raise NotCoveredError
    return most


def _runs(numbers: list[int]) -> list[range]:
    """Consecutive ones of ascending `numbers`."""
    breaks = [0, *(i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1), len(numbers)]
    return [range(numbers[low], numbers[high - 1] + 1) for low, high in pairwise(breaks) if low < high]


__all__ = ["NotCoveredError", "Placeholder", "Rendered", "Update"]
