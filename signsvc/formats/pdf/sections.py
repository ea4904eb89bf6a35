"""The chain of cross-reference sections, and the revisions it makes (ISO 32000-2 §7.5.6, Annex F)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from signsvc.formats.pdf.limits import LimitError, PdfError, PdfLimits
from signsvc.formats.pdf.objects import Buffer, PdfDict
from signsvc.formats.pdf.parser import SPACE, Parser
from signsvc.formats.pdf.stream import Budget, Stream
from signsvc.formats.pdf.xref import FREE, Entry, Rows, read_stream, read_table

OBJECT_HEADER = re.compile(rb"(\d{1,10}+)[\x00\t\n\x0c\r ]++(\d{1,5}+)[\x00\t\n\x0c\r ]++obj(?![A-Za-z0-9])")
STREAM_KEYWORD = re.compile(rb"(?:[\x00\t\n\x0c\r ]++|%[^\r\n]*+)*+stream(?:\r\n|\n|\r)")
_TABLE = re.compile(rb"[\x00\t\n\x0c\r ]*+xref(?=[\x00\t\n\x0c\r ])")
# iText and others leave a comment between the trailer and its keyword.
_TAIL = re.compile(
    rb"(?:[\x00\t\n\x0c\r ]++|%(?!%EOF)[^\r\n]*+)*+startxref[\x00\t\n\x0c\r ]++(\d{1,12}+)"
    rb"(?:[\x00\t\n\x0c\r ]*+%%EOF)?+"
)
_AFTER_STREAM = re.compile(rb"[\x00\t\n\x0c\r ]*+endstream[\x00\t\n\x0c\r ]*+(?:endobj)?+")
BLANK = re.compile(rb"[\x00\t\n\x0c\r ]*+")


@dataclass(frozen=True, slots=True)
class Section:
    """One cross-reference section.

    `eof` is the octet after its ``%%EOF`` (None where no ``startxref`` follows) and `end` the one after the white
    space behind that; `pointer` is the number that stands after ``startxref``.
    """

    offset: int
    rows: Rows
    hidden: Rows | None  # of a hybrid file's /XRefStm
    trailer: PdfDict
    is_stream: bool
    eof: int | None
    end: int | None
    pointer: int | None

    def lookup(self, number: int) -> Entry | None:
        """The entry of `number` in this section; /XRefStm fills what the table calls free (§7.5.8.4)."""
        entry = self.rows.lookup(number)
        if self.hidden is not None and (entry is None or entry.kind == FREE):
            return self.hidden.lookup(number) or entry
        return entry


class SectionReader:
    """Reads sections and counts their rows."""

    def __init__(self, buffer: Buffer, parser: Parser, budget: Budget, limits: PdfLimits) -> None:
        self._buffer = buffer
        self._parser = parser
        self._budget = budget
        self._rows = limits.rows
        self._sections = limits.sections

    def chain(self) -> list[Section]:
        """All sections, newest first.  Raises PdfError where the chain is broken, LimitError."""
        at = self._buffer.rfind(b"startxref")
        found = _TAIL.match(self._buffer, at) if at >= 0 else None
        if found is None:
            raise PdfError("no startxref")
        offset: int | None = int(found[1])
        sections: list[Section] = []
        seen: set[int] = set()
        while offset is not None:
            if offset in seen:
                raise PdfError("cross-reference sections form a loop")
            seen.add(offset)
            if len(seen) > self._sections:
                raise LimitError("sections")
            section = self.read(offset)
            sections.append(section)
            previous = section.trailer.get("Prev")
            if previous is not None and type(previous) is not int:
                raise PdfError("malformed /Prev")
            if previous == 0 and self._buffer[:5] == b"%PDF-":
                previous = None  # where the header stands is no section: some writers say so that there is none
            offset = previous
        return sections

    def read(self, offset: int) -> Section:
        """The section at `offset`."""
        buffer = self._buffer
        if not 0 <= offset < len(buffer):
            raise PdfError("cross-reference offset outside the file")
        found = _TABLE.match(buffer, offset)
        hidden = None
        if found:
            rows, pos = read_table(buffer, found.end(), self._rows)
            self._rows -= rows.count
            trailer, pos = self._parser.read(pos)
            if not isinstance(trailer, dict):
                raise PdfError("malformed trailer")
            where = trailer.get("XRefStm")
            if where is not None:
                if type(where) is not int or not 0 <= where < pos:
                    # behind the section there was nothing when it was written
                    raise PdfError("malformed /XRefStm")
                hidden = self._stream(where)[0]
            kept: Rows = rows
        else:
            kept, trailer, pos = self._stream(offset)
        tail = _TAIL.match(buffer, pos)
        blank = BLANK.match(buffer, tail.end()) if tail else None
        return Section(
            offset=offset,
            rows=kept,
            hidden=hidden,
            trailer=trailer,
            is_stream=found is None,
            eof=tail.end() if tail else None,
            end=blank.end() if blank else None,
            pointer=int(tail[1]) if tail else None,
        )

    def _stream(self, offset: int) -> tuple[Rows, PdfDict, int]:
        buffer = self._buffer
        gap = SPACE.match(buffer, offset)
        found = OBJECT_HEADER.match(buffer, gap.end() if gap else offset)
        if found is None:
            raise PdfError("no cross-reference section here")
        dictionary, pos = self._parser.read(found.end())
        keyword = STREAM_KEYWORD.match(buffer, pos)
        if not isinstance(dictionary, dict) or keyword is None or dictionary.get("Type") != "XRef":
            raise PdfError("no cross-reference stream here")
        stream = Stream(
            buffer, dictionary, keyword.end(), length=_direct_length, resolve=_as_written, budget=self._budget
        )
        data = stream.decode()
        rows = read_stream(data, dictionary, self._rows)
        self._rows -= rows.count
        after = _AFTER_STREAM.match(buffer, stream.start + stream.length)
        return rows, dictionary, after.end() if after else stream.start


def _direct_length(dictionary: PdfDict) -> int:
    length = dictionary.get("Length")
    if type(length) is not int:
        raise PdfError("cross-reference stream without a direct length")
    return length


def _as_written(dictionary: PdfDict) -> PdfDict:
    return dictionary


def group(sections: list[Section]) -> list[list[Section]]:
    """The sections of each revision, oldest revision first, newest section first within one.

    A linearized file's two sections are one revision; a section that no ``startxref`` follows belongs to the next.
    Raises PdfError where sections do not stand in the order of their making.
    """
    groups: list[list[Section]] = []
    ordered = list(sections)
    if len(ordered) >= 2 and ordered[-1].offset > ordered[-2].offset:
        # Annex F: the first-page section stands first in the file and points at the main one behind it
        groups.append([ordered[-2], ordered[-1]])
        ordered = ordered[:-2]
        if ordered and (groups[0][1].eof or 0) > ordered[-1].offset:
            raise PdfError("cross-reference sections out of order")
    pending: list[Section] = []
    last = max((section.offset for section in groups[0]), default=-1) if groups else -1
    for section in reversed(ordered):
        if section.offset <= last:
            raise PdfError("cross-reference sections out of order")
        last = section.offset
        pending.insert(0, section)
        if section.eof is not None and section.pointer == section.offset:
            groups.append(pending)
            pending = []
    if pending:
        raise PdfError("last cross-reference section is not the one that startxref names")
    return groups


__all__ = ["BLANK", "OBJECT_HEADER", "STREAM_KEYWORD", "Section", "SectionReader", "group"]
