"""References as they stand in the octets of a file, found without parsing it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import sub
from typing import NamedTuple

from signsvc.formats.pdf.document import Document, Revision
from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Buffer, PdfObject, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.formats.pdf.xref import PACKED, PLAIN, Entry

_BACK = re.compile(rb"(?<![0-9+-])(\d{1,10})[\x00\t\n\x0c\r ]+\d{1,5}[\x00\t\n\x0c\r ]*\Z")
# Begins with its rarest octet, which the regular expression engine looks for at the speed of memchr.
_LETTER = re.compile(rb"R(?<=[\x00\t\n\x0c\r ]R)(?=[\x00\t\n\x0c\r ()<>\[\]{}/%]|\Z)")
_USUAL = re.compile(rb"(?<!\d)(\d{1,10}+) \d{1,5}+ R")  # as nearly all writers write it
# The same with a generation of one digit, and what stands before that: told by its end, at the speed of memchr.
_ENDING = re.compile(rb"R(?<=([\s\S]{11}) \d R)")
_LEAD = 13  # octets before a stretch in which no such end fits, and all of its number does
_BETWEEN = re.compile(rb"[^0-9\x00\t\n\x0c\r ]")  # stands inside no reference but as its last octet
_PAIRS = (b" R", b"\nR", b"\rR", b"\tR", b"\x0cR", b"\x00R")
_GAP = rb"(?:[\x00\t\n\x0c\r ]|%[^\r\n]*+[\r\n])"
_LOOSE = re.compile(rb"(?<!\d)(\d{1,10}+)" + _GAP + rb"++\d{1,5}+" + _GAP + rb"*+R")
_STUCK = re.compile(rb"R(?<=[0-9]R)(?=[\x00\t\n\x0c\r ()<>\[\]{}/%])")
_PAIR = re.compile(rb"\d" + _GAP + rb"+\d{1,5}\Z")
_MAX_TORN = 100_000  # references taken from one object that cannot be read
_SPACE = b"\x00\t\n\x0c\r "
_SHORT = 24
_WINDOW = 48
_CHUNK = 1 << 18
_SPARSE = 128  # octets for each R above which its neighbours are looked at one by one
_MAX_TOKENS = 32  # numbers of interest in one chunk that are looked for by name
# Files smaller than this are scanned whole; in larger ones the bodies of large streams are left out.
_SKIP_FROM = 1 << 20
_SKIP_BODY = 1 << 16


class Part(NamedTuple):
    """A stretch ``[begin, stop)`` of octets, and the objects of interest that its references name.

    `found` are offset and number of each reference, number -1 where one is written unusually; None where they were not
    looked for one by one: see `named`.
    """

    begin: int
    stop: int
    numbers: set[int]
    found: list[tuple[int, int]] | None


def parts(buffer: Buffer, start: int, end: int, interest: set[int]) -> Iterator[Part]:
    """All references to objects of `interest` in ``[start, end)``, by stretches; those without any are left out.

    Lists of references that nobody asks for pass at the speed of the regular expression engine.
    """
    begin = start
    while begin < end:
        stop = _border(buffer, begin, end)
        # a list of references is worth a search for numbers; in pictures and signatures R is the rarer sight
        numbers = _dense(buffer, max(start, begin - _LEAD), begin, stop)
        if numbers is None:
            found = [hit for hit in _each(buffer, start, begin, stop, end) if hit[1] in interest or hit[1] < 0]
            if found:
                yield Part(begin, stop, {number for _, number in found}, found)
        elif numbers := numbers & interest:
            yield Part(begin, stop, numbers, None)
        begin = stop


def named(buffer: Buffer, part: Part) -> list[tuple[int, int]]:
    """Offset and number of each reference of `part`."""
    if part.found is not None:
        return part.found
    chunk, begin, numbers = bytes(buffer[part.begin : part.stop]), part.begin, part.numbers
    if len(numbers) <= _MAX_TOKENS:
        only = re.compile(rb"(?<!\d)0*(%s) \d{1,5}+ R" % b"|".join(b"%d" % number for number in numbers))
        return [(begin + found.end() - 2, int(found[1])) for found in only.finditer(chunk)]
    every = ((begin + found.end() - 2, int(found[1])) for found in _USUAL.finditer(chunk))
    return [hit for hit in every if hit[1] in numbers]


def _dense(buffer: Buffer, first: int, begin: int, stop: int) -> set[int] | None:
    """The numbers of all references in ``[begin, stop)``; None where they are few, or one is not written as usual.

    `first` is the offset from which octets before `begin` may be looked at.
    """
    chunk, lead = bytes(buffer[first:stop]), begin - first
    letters = chunk.count(b"R", lead)
    if letters * _SPARSE <= stop - begin:
        return None
    tails = _ENDING.findall(chunk)
    # of letters that follow no white space none is the end of a reference that is written as usual
    expected = letters if len(tails) == letters else sum(chunk.count(pair, lead) for pair in _PAIRS)
    if len(tails) == expected:
        numbers = set()
        for tail in set(tails):
            digits = tail[len(tail.rstrip(b"0123456789")) :]
            if not 0 < len(digits) < len(tail):
                break
            numbers.add(int(digits))
        else:
            return numbers
    found = _USUAL.findall(chunk, lead)
    return {int(token) for token in set(found)} if len(found) == expected else None


def stuck(buffer: Buffer, start: int, end: int) -> bool:
    """Whether an R stands right behind a pair of numbers: no reference, but some programs take it for one."""
    return any(
        _PAIR.search(bytes(buffer[max(start, match.start() - _WINDOW) : match.start()]))
        for match in _STUCK.finditer(buffer, start, end)
    )


def torn(buffer: Buffer, entry: Entry) -> PdfObject:
    """What an object that cannot be read seems to refer to: other programs mend it, each in its own way."""
    if entry.kind != PLAIN:
        return None
    end = buffer.find(b"endobj", entry.where)
    found = _LOOSE.finditer(buffer, entry.where, end if end >= 0 else len(buffer))
    return [Ref(int(match[1]), 0) for match in islice(found, _MAX_TORN)]


def _border(buffer: Buffer, begin: int, end: int) -> int:
    """Where a stretch from `begin` may be cut without cutting a reference."""
    least = begin + _CHUNK
    if least >= end:
        return end
    found = buffer.find(b" R", least, min(end, least + _CHUNK))
    if found >= 0:
        return found + 2
    other = _BETWEEN.search(buffer, min(end, least + _CHUNK), end)
    return other.end() if other else end


def rows(revision: Revision, *, packed: bool = False) -> Iterator[tuple[int, Entry]]:
    for section in revision.sections:
        tables = (section.rows, section.hidden) if section.hidden else (section.rows,)
        if packed and not section.is_stream and not section.hidden:
            continue
        for table in tables:
            if table is not None:
                for block in table.blocks:
                    for offset in range(block.size):
                        try:
                            entry = table.entry(block, offset)
                        except LimitError:
                            raise
                        except PdfError:
                            continue
                        if not packed or entry.kind == PACKED:
                            yield block.first + offset, entry


def wheres(revision: Revision, kind: int) -> Iterator[int]:
    """The second values of all rows of `kind`; see `Rows.wheres`."""
    for section in revision.sections:
        for table in (section.rows, section.hidden) if section.hidden else (section.rows,):
            if kind != PACKED or table is section.hidden or section.is_stream:
                for block in table.blocks:
                    yield from table.wheres(block, kind)


def _each(buffer: Buffer, start: int, begin: int, stop: int, end: int) -> Iterator[tuple[int, int]]:
    """Offset and number of each reference that ends in ``[begin, stop)``; its text stands in ``[start, end)``."""
    for match in _LETTER.finditer(buffer, begin, end):
        if match.end() > stop:
            return
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


def stretches(document: Document) -> Iterable[tuple[int, int]]:
    """The file without the bodies of large streams whose dictionaries prove where they end."""
    size = document.revisions[-1].end
    if size < _SKIP_FROM:
        return [(0, size)]
    last: dict[int, int] = {}  # offset -> the last revision that names it
    for revision in document.revisions:
        last.update(dict.fromkeys(wheres(revision, PLAIN), revision.index))
    starts = [*sorted(last), size]
    found: list[tuple[int, int]] = []
    begin = 0
    far = [place for place, room in enumerate(map(sub, starts[1:], starts)) if room >= _SKIP_BODY]
    for where, following in ((starts[place], starts[place + 1]) for place in far):
        if where < begin:
            continue
        try:
            header = document.physical(where)
            value = document.object_of(header.num, Entry(PLAIN, where, header.gen), last[where])
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


__all__ = ["Part", "named", "parts", "rows", "stretches", "stuck", "torn"]
