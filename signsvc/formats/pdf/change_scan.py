"""References as they stand in the octets of a file, found without parsing it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from signsvc.formats.pdf.document import Document, Revision
from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Buffer, PdfObject, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.formats.pdf.xref import PACKED, PLAIN, Entry

_BACK = re.compile(rb"(?<![0-9+-])(\d{1,10})[\x00\t\n\x0c\r ]+\d{1,5}[\x00\t\n\x0c\r ]*\Z")
# Begins with its rarest octet, which the regular expression engine looks for at the speed of memchr.
_LETTER = re.compile(rb"R(?<=[\x00\t\n\x0c\r ]R)(?=[\x00\t\n\x0c\r ()<>\[\]{}/%]|\Z)")
_USUAL = re.compile(rb"(?<!\d)(\d{1,10}+) \d{1,5}+ R")  # as nearly all writers write it
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


def hits(buffer: Buffer, start: int, end: int, interest: set[int]) -> Iterator[tuple[int, int]]:
    """Offset and number of each reference to an object of `interest`; number -1 where one is written unusually.

    Lists of references that nobody asks for pass at the speed of the regular expression engine.
    """
    begin = start
    while begin < end:
        stop = _border(buffer, begin, end)
        chunk = bytes(buffer[begin:stop])
        # a list of references is worth a search for numbers; in pictures and signatures R is the rarer sight
        found = _USUAL.findall(chunk) if chunk.count(b"R") * _SPARSE > len(chunk) else None
        if found is None or sum(chunk.count(pair) for pair in _PAIRS) != len(found):
            for at, number in _each(buffer, start, begin, stop, end):
                if number in interest or number < 0:
                    yield at, number
        elif wanted := {token: int(token) for token in set(found) if int(token) in interest}:
            few = len(wanted) <= _MAX_TOKENS
            named = re.compile(rb"(?<!\d)(%s) \d{1,5}+ R" % b"|".join(wanted)) if few else _USUAL
            for match in named.finditer(chunk):
                token = match[1]
                if token in wanted:
                    yield begin + match.end() - 2, wanted[token]
        begin = stop


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
    named: dict[int, int] = {}  # offset -> the last revision that names it
    for revision in document.revisions:
        named.update(dict.fromkeys(wheres(revision, PLAIN), revision.index))
    starts = sorted(named)
    found: list[tuple[int, int]] = []
    begin = 0
    for place, where in enumerate(starts):
        following = starts[place + 1] if place + 1 < len(starts) else size
        if following - where < _SKIP_BODY or where < begin:
            continue
        try:
            header = document.physical(where)
            value = document.object_of(header.num, Entry(PLAIN, where, header.gen), named[where])
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


__all__ = ["hits", "rows", "stretches", "stuck", "torn"]
