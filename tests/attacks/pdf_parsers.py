"""What each part of the PDF reader promises: an answer or a `PdfError`, in bounded time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from signsvc.formats.pdf import Document, PdfDict, PdfError, PdfLimits, PdfObject, PdfString, Ref, Revision, Stream
from signsvc.types import Grade

LIMITS = PdfLimits(tokens=200_000, rows=20_000, sections=200, stream=4 << 20, decoded=8 << 20)
_OBJECT = re.compile(rb"(?:\A|(?<=\n))(\d{1,3}) 0 obj")
# What a page shows of itself.
_SHOWN = ("Contents", "Resources", "MediaBox", "CropBox", "Rotate", "UserUnit")


def objects(data: bytes) -> None:
    from signsvc.formats.pdf.parser import Parser, Span

    parser = Parser(data, tokens=LIMITS.tokens, depth=LIMITS.depth)
    pos = 0
    while pos < len(data):
        spans: list[Span] = []
        try:
            _, after = parser.read(pos, None, spans)
        except PdfError:
            return
        assert pos < after <= len(data)
        for span in spans:
            assert pos <= span.start < span.end <= after
            assert data[span.start : span.start + 1] in (b"(", b"<")
            # without decryption the value is what stands there
            assert parser.read(span.start)[0] == span.owner[span.key] or parser.duplicates
        pos = after


def xref_table(data: bytes) -> None:
    from signsvc.formats.pdf import xref

    try:
        rows, after = xref.read_table(data, 0, LIMITS.rows)
    except PdfError:
        pass
    else:
        assert 0 < after <= len(data)
        _rows(rows)
    _sections(data)


def xref_stream(data: bytes) -> None:
    _sections(data)


def _sections(data: bytes) -> None:
    from signsvc.formats.pdf.parser import Parser
    from signsvc.formats.pdf.sections import SectionReader, group
    from signsvc.formats.pdf.stream import Budget

    def reader() -> SectionReader:
        parser = Parser(data, tokens=LIMITS.tokens, depth=LIMITS.depth)
        return SectionReader(data, parser, Budget(LIMITS.decoded, LIMITS.stream), LIMITS)

    for start in (0, len(data) // 2):
        try:
            section = reader().read(start)
        except PdfError:
            continue
        _rows(section.rows)
        if section.hidden:
            _rows(section.hidden)
    try:
        found = group(reader().chain())
    except PdfError:
        return
    offsets = [section.offset for sections in found for section in sections]
    assert len(set(offsets)) == len(offsets)


def _rows(rows: object) -> None:
    from signsvc.formats.pdf.xref import Rows

    assert isinstance(rows, Rows)
    assert rows.count <= LIMITS.rows
    numbers = list(rows.numbers())
    assert numbers == sorted(set(numbers))
    for number in (*numbers[:200], *(n + 1 for n in numbers[:200]), 0, 1 << 23):
        try:
            entry = rows.lookup(number)
        except PdfError:
            continue
        assert entry is None or (entry.kind in (0, 1, 2) and entry.where >= 0 <= entry.extra)


def _stream(data: bytes) -> Stream:
    """The dictionary at the beginning, and the octets after its keyword to the end."""
    from signsvc.formats.pdf.parser import Parser
    from signsvc.formats.pdf.sections import STREAM_KEYWORD
    from signsvc.formats.pdf.stream import Budget

    dictionary, end = Parser(data, tokens=LIMITS.tokens, depth=LIMITS.depth).read(0)
    keyword = STREAM_KEYWORD.match(data, end)
    if not isinstance(dictionary, dict) or keyword is None:
        raise PdfError("no stream")
    start = keyword.end()
    whole = data + b"\nendstream"
    return Stream(
        whole,
        dictionary,
        start,
        length=lambda _: len(data) - start,
        resolve=lambda found: found,
        budget=Budget(LIMITS.decoded, LIMITS.stream),
    )


def filter_chain(data: bytes) -> None:
    try:
        found = _stream(data).decode(1 << 20)
    except PdfError:
        return
    assert len(found) <= max(1 << 20, len(data))


def object_stream(data: bytes) -> None:
    from signsvc.formats.pdf.object_stream import ObjectStream
    from signsvc.formats.pdf.parser import Parser

    try:
        stream = ObjectStream(_stream(data), Parser(b"", tokens=LIMITS.tokens, depth=LIMITS.depth), LIMITS)
    except PdfError:
        return
    for index, (number, _) in enumerate(stream.places[:1_000]):
        try:
            stream.get(number, index)
        except PdfError:
            continue


def encryption(data: bytes) -> None:
    """An encryption dictionary, then the object that it is to decrypt."""
    from signsvc.formats.pdf.crypt import Crypt
    from signsvc.formats.pdf.parser import Parser

    parser = Parser(data, tokens=LIMITS.tokens, depth=LIMITS.depth)
    try:
        dictionary, end = parser.read(0)
        value, after = parser.read(end)
        crypt = Crypt(dictionary if isinstance(dictionary, dict) else {}, b"0123456789abcdef")
        crypt.decrypt_object(7, 0, value)
    except PdfError:
        return
    for entries in ({}, value if isinstance(value, dict) else {}):
        try:
            crypt.decrypt_stream(8, 1, entries, data[after:])
        except PdfError:
            continue


def assembled(data: bytes) -> bytes:
    """A file of the objects in `data`, with right cross-references; ``%%EOF`` begins another revision."""
    out = bytearray(b"%PDF-1.7\n")
    previous = -1
    for part in data.split(b"%%EOF")[:8]:
        places = {int(found[1]): len(out) + found.start() for found in _OBJECT.finditer(part)}
        out += part.rstrip(b"\n") + b"\n"
        at = len(out)
        out += b"xref\n0 1\n0000000000 65535 f \n" if previous < 0 else b"xref\n"
        for number, place in sorted(places.items()):
            if number:
                out += b"%d 1\n%010d 00000 n \n" % (number, place)
        link = b" /Prev %d" % previous if previous >= 0 else b""
        out += b"trailer\n<< /Size 1000 /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (link, at)
        previous = at
    return bytes(out)


def store(data: bytes) -> None:
    """The security stores of a file of these objects."""
    from signsvc.formats.pades import dss

    try:
        document = Document(assembled(data), LIMITS)
        values, broken = dss.read(document)
    except PdfError:
        return
    assert isinstance(broken, bool)
    assert len({value.id for value in values}) == len(values)


def changes(data: bytes) -> None:
    """The changes between revisions of these objects; where they are defined, the pages show the same."""
    from signsvc.formats.pdf.changes import compare

    try:
        document = Document(assembled(data), LIMITS)
        found = compare(document, 0)
        if document.repair is not None or not found or any(c.grade is Grade.UNDEFINED for c in found):
            return
        before, after = pages_of(document.revisions[0]), pages_of(document.last)
    except PdfError:
        return
    assert before == after, "pages show something else"


def pages_of(revision: Revision) -> list[object]:
    """What stands on each page, every reference followed."""
    shown: list[object] = []
    left = [5_000]
    for _, page in revision.pages():
        entries = []
        for key in _SHOWN:
            holder: PdfDict | None = page
            for _ in range(20):  # inherited
                if holder is None or key in holder:
                    break
                holder = revision.dictionary(holder.get("Parent"))
            entries.append(_expanded(revision, holder.get(key) if holder else None, left, ()))
        shown.append(entries)
    return shown


def _expanded(revision: Revision, value: PdfObject, left: list[int], above: tuple[Ref, ...]) -> object:
    left[0] -= 1
    if left[0] < 0 or len(above) > 40:
        raise PdfError("too much to expand")
    if isinstance(value, Ref):
        if value in above:
            return "loop"
        return _expanded(revision, revision.resolve(value), left, (*above, value))
    if isinstance(value, Stream):
        entries = {k: v for k, v in value.dictionary.items() if k not in ("Length", "Filter", "DecodeParms")}
        return value.decode(), _expanded(revision, entries, left, above)
    if isinstance(value, dict):
        pairs = ((key, _expanded(revision, item, left, above)) for key, item in sorted(value.items()))
        return [pair for pair in pairs if pair[1] is not None]
    if isinstance(value, list):
        return [_expanded(revision, item, left, above) for item in value]
    return bytes(value) if isinstance(value, PdfString) else value


def fragments(data: bytes) -> bytes:
    """The objects of a file as `assembled` takes them: cross-references left out."""

    def parts() -> Iterator[bytes]:
        for revision in data.split(b"%%EOF\n"):
            body = revision.partition(b"\nxref\n")[0] + b"\n"
            first = _OBJECT.search(body)
            if first:
                yield body[first.start() :]

    return b"%%EOF\n".join(parts())


PARSERS: dict[str, Callable[[bytes], None]] = {
    "changes": changes,
    "encryption": encryption,
    "filters": filter_chain,
    "object-stream": object_stream,
    "objects": objects,
    "store": store,
    "xref-stream": xref_stream,
    "xref-table": xref_table,
}
