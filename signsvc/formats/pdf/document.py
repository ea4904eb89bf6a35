"""A PDF file and its revisions: every object as it stood in each of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from signsvc.formats.pdf.crypt import Crypt, EncryptedError, crypt_filter, without_crypt_filter
from signsvc.formats.pdf.limits import LimitError, PdfError, PdfLimits
from signsvc.formats.pdf.object_stream import COSTLY, ObjectStream
from signsvc.formats.pdf.objects import Buffer, PdfDict, PdfObject, PdfString, Ref
from signsvc.formats.pdf.parser import SPACE, Parser, Span
from signsvc.formats.pdf.sections import BLANK, OBJECT_HEADER, STREAM_KEYWORD, Section, SectionReader, group
from signsvc.formats.pdf.stream import Budget, Stream
from signsvc.formats.pdf.xref import FREE, PACKED, PLAIN, Entry

_HEADER = re.compile(rb"%PDF-(\d\.\d)")
_HEADER_WINDOW = 1024  # Annex I: readers accept a header within the first 1,024 octets
_CACHE = 50_000  # parsed objects kept


@dataclass(frozen=True, slots=True)
class Physical:
    """An indirect object where it stands in the file, outside any object stream."""

    num: int
    gen: int
    offset: int  # of its number
    end: int  # after its value (for a stream: after the dictionary)
    value: PdfObject
    spans: tuple[Span, ...]  # string values of dictionary keys
    duplicates: int  # dictionaries with a key twice


class Revision:
    """The file as it stood after one incremental update.

    `index` counts from 0, `number` from 1.  Its octets are ``[start, end)`` of the file; `eof` is the octet after its
    ``%%EOF`` and `end` includes the white space behind that.
    """

    __slots__ = ("_document", "_own", "_pages", "end", "eof", "index", "sections", "start", "touched", "trailer")

    def __init__(self, document: Document, index: int, sections: list[Section], start: int) -> None:
        self._document = document
        self.index = index
        self.sections = tuple(sections)
        self.trailer = sections[0].trailer
        self.start = start
        self.eof = max(section.eof or 0 for section in sections)
        self.end = max(section.end or 0 for section in sections)
        self._pages: tuple[tuple[Ref | None, PdfDict], ...] | None = None
        self._own: dict[int, Entry] = {}  # entries that were looked up
        self.touched: tuple[int, ...] = ()  # object numbers of which a later revision says something new, ascending

    def __repr__(self) -> str:
        return f"<Revision {self.number} [{self.start}, {self.end})>"

    @property
    def document(self) -> Document:
        """The file it belongs to."""
        return self._document

    @property
    def limits(self) -> PdfLimits:
        return self._document.limits

    @property
    def number(self) -> int:
        return self.index + 1

    @property
    def row_count(self) -> int:
        """Rows in its own sections."""
        return sum(s.rows.count + (s.hidden.count if s.hidden else 0) for s in self.sections)

    def own_numbers(self) -> Iterator[int]:
        """Object numbers that this revision defines or frees, each once, ascending."""
        numbers: set[int] = set()
        for section in self.sections:
            numbers.update(section.rows.numbers())
            if section.hidden:
                numbers.update(section.hidden.numbers())
        return iter(sorted(numbers))

    def own_entry(self, number: int) -> Entry | None:
        """The entry that this revision itself gives `number`; None where it leaves it alone."""
        entry = self._own.get(number)
        if entry is None:
            for section in self.sections:
                entry = section.lookup(number)
                if entry is not None:
                    if len(self._own) >= _CACHE:
                        self._own.clear()
                    self._own[number] = entry
                    break
        return entry

    def entry(self, number: int) -> Entry | None:
        """The entry in force for `number` in this revision."""
        return self._document.entry(number, self.index)

    def get(self, ref: Ref) -> PdfObject:
        """The object behind `ref` in this revision; None for free, missing and other generations.  Raises PdfError."""
        return self._document.get(ref, self.index)

    def resolve(self, value: PdfObject) -> PdfObject:
        """`value` itself, or what it refers to in the end.  Raises PdfError on a loop."""
        if type(value) is not Ref:
            return value
        for _ in range(self._document.limits.references):
            value = self._document.get(value, self.index)
            if type(value) is not Ref:
                return value
        raise PdfError("references form a loop")

    def value(self, dictionary: PdfDict, key: str) -> PdfObject:
        """The resolved value of `key`."""
        return self.resolve(dictionary.get(key))

    def dictionary(self, value: PdfObject) -> PdfDict | None:
        """`value` resolved, where it is a dictionary; the dictionary of a stream; else None."""
        value = self.resolve(value)
        if isinstance(value, Stream):
            return value.dictionary
        return value if isinstance(value, dict) else None

    def array(self, value: PdfObject) -> list[PdfObject]:
        """`value` resolved, where it is an array; else an empty one."""
        value = self.resolve(value)
        return value if isinstance(value, list) else []

    @property
    def root(self) -> Ref | None:
        """The reference to the catalog."""
        root = self.trailer.get("Root")
        return root if isinstance(root, Ref) else None

    @property
    def catalog(self) -> PdfDict:
        """The catalog.  Raises PdfError where there is none."""
        root = self.dictionary(self.trailer.get("Root"))
        if root is None:
            raise PdfError("no catalog")
        return root

    def pages(self) -> tuple[tuple[Ref | None, PdfDict], ...]:
        """The pages in order, each with its reference; a node met twice counts once.  Raises PdfError, LimitError."""
        if self._pages is None:
            self._pages = tuple(self._walk_pages())
        return self._pages

    def _walk_pages(self) -> Iterator[tuple[Ref | None, PdfDict]]:
        left = self._document.limits.pages
        seen: set[int] = set()
        stack: list[tuple[PdfObject, int]] = [(self.catalog.get("Pages"), 0)]
        while stack:
            node, depth = stack.pop()
            ref = node if isinstance(node, Ref) else None
            if ref is not None:
                if ref.num in seen:
                    continue
                seen.add(ref.num)
            left -= 1
            if left < 0:
                raise LimitError("pages")
            found = self.dictionary(node) if ref is None else self._document.node(ref, self.index)
            if found is None:
                continue
            kids = self.value(found, "Kids")
            if isinstance(kids, list) and found.get("Type") != "Page":
                if depth >= self._document.limits.depth:
                    raise PdfError("page tree too deep")
                stack.extend((kid, depth + 1) for kid in reversed(kids))
            else:
                yield ref, found


class Document:
    """A PDF file.

    `revisions` stand oldest first; they are empty where `repair` names why the file would need repair.  `trailing` is
    the offset of the first octet after the last revision that is not white space, None where there is none.
    Raises PdfError where the octets are no PDF file, LimitError.
    """

    def __init__(self, buffer: Buffer, limits: PdfLimits | None = None, password: bytes = b"") -> None:
        self.buffer = buffer
        self.size = len(buffer)
        self.limits = limits or PdfLimits()
        limited = self.limits
        self.parser = Parser(buffer, tokens=limited.tokens, depth=limited.depth, most=limited.object)
        self._mark = limited.tokens  # tokens that were left when nothing was kept
        self.budget = Budget(self.limits.decoded, self.limits.stream)
        found = _HEADER.search(buffer, 0, _HEADER_WINDOW)
        if found is None:
            raise PdfError("no header")
        self.header_version = found[1].decode()
        self.header_offset = found.start()
        self.repair: str | None = None
        self.trailing: int | None = None
        self.revisions: tuple[Revision, ...] = ()
        self.crypt: Crypt | None = None
        self.reencrypted = False  # revisions name different encryption dictionaries
        self._later: dict[int, list[tuple[int, Entry]]] = {}
        self._rows, self._touched = limited.later, limited.touched
        self._cache: dict[tuple[int, int, int, int, int], PdfObject] = {}
        self._packed: dict[tuple[int, int], ObjectStream] = {}
        self._physical: dict[int, Physical] = {}  # read with their spans: signature dictionaries, which are long
        self._parsed: dict[int, Physical] = {}  # the others, kept as long as their values
        self._costly: dict[int, str] = {}  # large objects that cannot be read, with the reason
        self._nodes: dict[tuple[Ref, Entry | None], PdfDict] = {}  # of page trees
        self._depth = 0
        self.memo: dict[str, object] = {}  # what others work out about the document and want once
        try:
            self._open()
            self._unlock(password)
        except (LimitError, EncryptedError):
            raise
        except PdfError as error:
            self.repair = str(error)
            self.revisions = ()

    def release(self) -> None:
        """Let go of all that was read, since revisions and streams hold the document that holds them: nothing of a
        file then waits for the garbage collector.  The document is of no use afterwards."""
        self.revisions = ()
        for kept in (self._cache, self._packed, self._physical, self._parsed, self._nodes, self.memo):
            kept.clear()

    def _open(self) -> None:
        reader = SectionReader(self.buffer, self.parser, self.budget, self.limits)
        start = 0
        revisions: list[Revision] = []
        for index, sections in enumerate(group(reader.chain())):
            revision = Revision(self, index, sections, start)
            start = revision.end
            revisions.append(revision)
            if index:
                self._note(revision, revisions[0])
        self.revisions = tuple(revisions)
        if start < self.size:
            blank = BLANK.match(self.buffer, start)
            self.trailing = blank.end() if blank and blank.end() < self.size else None
        if not self.revisions[-1].trailer.get("Encrypt"):
            _ = self.revisions[-1].catalog

    def _note(self, revision: Revision, first: Revision) -> None:
        """Keep what the rows of a later revision change; many programs write all rows anew."""
        self._rows -= revision.row_count
        if self._rows < 0:
            raise LimitError("rows")
        touched: list[int] = []
        for number in revision.own_numbers():
            entry = revision.own_entry(number)
            if entry is None:
                continue
            known = self._later.get(number)
            before = known[-1][1] if known else first.own_entry(number)
            if entry.kind == FREE and (before is None or before.kind == FREE):
                continue
            if entry.kind == PLAIN and entry == before:
                continue
            self._touched -= 1
            if self._touched < 0:
                raise LimitError("rows")
            self._later.setdefault(number, []).append((revision.index, entry))
            touched.append(number)
        revision.touched = tuple(touched)

    def _unlock(self, password: bytes) -> None:
        trailer = self.last.trailer
        written = trailer.get("Encrypt")
        self.reencrypted = any(revision.trailer.get("Encrypt") != written for revision in self.revisions)
        if written is None:
            return
        dictionary = self.last.dictionary(written)
        identifier = self.last.array(trailer.get("ID"))
        if dictionary is None:
            raise EncryptedError("no encryption dictionary")
        first = identifier[0] if identifier else b""
        number = written.num if isinstance(written, Ref) else None
        crypt = Crypt(dictionary, bytes(first) if isinstance(first, PdfString) else b"", password, number)
        if number is not None and len(self.history(number)) > 1:
            # with another key or method the signed octets show another document
            self.reencrypted |= any(revision.dictionary(written) != dictionary for revision in self.revisions)
        self._cache.clear()
        self._parsed.clear()
        self._packed.clear()
        self._nodes.clear()
        self.crypt = crypt

    @property
    def last(self) -> Revision:
        """The newest revision.  Raises PdfError where the file needs repair."""
        if not self.revisions:
            raise PdfError("file needs repair")
        return self.revisions[-1]

    def revision_ending(self, offset: int) -> Revision | None:
        """The revision whose last octet stands before `offset`: at its ``%%EOF`` or in the white space after it."""
        index = bisect_right(self.revisions, offset, key=lambda revision: revision.eof) - 1
        if index < 0:
            return None
        revision = self.revisions[index]
        return revision if revision.eof <= offset <= revision.end else None

    def entry(self, number: int, index: int) -> Entry | None:
        """The entry in force for object `number` in revision `index` (from 0).  Raises PdfError."""
        later = self._later.get(number)
        if later is not None:
            at = bisect_right(later, index, key=_revision_of) - 1
            if at >= 0:
                return later[at][1]
        return self.revisions[0].own_entry(number)

    def history(self, number: int) -> tuple[tuple[int, Entry], ...]:
        """Each revision index that defines object `number` anew or frees it, with its entry, oldest first."""
        base = self.revisions[0].own_entry(number) if self.revisions else None
        first = ((0, base),) if base is not None else ()
        return (*first, *self._later.get(number, ()))

    def get(self, ref: Ref, index: int) -> PdfObject:
        """The object behind `ref` in revision `index` (from 0); see `Revision.get`."""
        entry = self.entry(ref.num, index)
        if entry is None or entry.kind == FREE:
            return None
        if entry.kind == PLAIN and entry.extra != ref.gen:
            return None
        if entry.kind == PACKED and ref.gen != 0:
            return None
        return self.object_of(ref.num, entry, index)

    def node(self, ref: Ref, index: int) -> PdfDict | None:
        """The dictionary behind `ref`, a node of the page tree, in revision `index`: one for all revisions that leave
        it alone, since their lists of pages hold it anyway.  Raises PdfError."""
        entry = self.entry(ref.num, index)
        key = (ref, entry)
        found = self._nodes.get(key)
        if found is None:
            value = self.get(ref, index)
            if isinstance(value, dict):
                found = self._nodes[key] = value
            else:
                found = self.revisions[index].dictionary(value)
        return found

    def object_of(self, number: int, entry: Entry, index: int) -> PdfObject:
        """The object that `entry` describes, indirect lengths taken from revision `index`.  Raises PdfError."""
        if entry.kind == PACKED:
            return self._from_packed(number, entry, index)
        key = (number, entry.where, entry.extra, -1, -1)
        if key in self._cache:
            return self._cache[key]
        local = (*key[:4], index)
        if local in self._cache:
            return self._cache[local]
        physical = self.physical(entry.where)
        if (physical.num, physical.gen) != (number, entry.extra):
            raise PdfError("another object than the cross-reference says")
        value = physical.value
        if self.crypt is not None:
            value = self.crypt.decrypt_object(number, entry.extra, value)
        if isinstance(value, dict):
            keyword = STREAM_KEYWORD.match(self.buffer, physical.end)
            if keyword is not None:
                value = self._stream(number, entry.extra, value, keyword.end(), index)
                if any(isinstance(value.dictionary.get(name), Ref | list | dict) for name in _STREAM_KEYS):
                    key = local
        self._make_room()
        self._cache[key] = value
        return value

    def _make_room(self) -> None:
        """Let go of what was parsed where it is much."""
        most = max(len(self._cache), len(self._parsed))
        if most >= _CACHE or self._mark - self.parser.tokens > self.limits.kept:
            self._cache.clear()
            self._parsed.clear()
            for packed in self._packed.values():
                packed.forget()
            self._mark = self.parser.tokens

    def physical(self, offset: int, *, spans: bool = False) -> Physical:
        """The object whose header stands at `offset`, before decryption.  Raises PdfError."""
        known = self._physical.get(offset)
        if known is None and not spans:
            known = self._parsed.get(offset)
        if known is not None:
            return known
        if offset > self.size:  # rows of a stream hold numbers that no offset can be
            raise PdfError("no object at this offset")
        if offset in self._costly:
            raise PdfError(self._costly[offset])
        gap = SPACE.match(self.buffer, offset)
        found = OBJECT_HEADER.match(self.buffer, gap.end() if gap else offset)
        if found is None:
            raise PdfError("no object at this offset")
        listed: list[Span] | None = [] if spans else None
        before = self.parser.duplicates
        left = self.parser.tokens
        try:
            value, end = self.parser.read(found.end(), None, listed)
        except PdfError as error:
            if left - self.parser.tokens > COSTLY:
                self._costly[offset] = str(error)
            raise
        number, gen, start = int(found[1]), int(found[2]), found.start()
        physical = Physical(number, gen, start, end, value, tuple(listed or ()), self.parser.duplicates - before)
        if self.crypt is None:  # decryption writes into what was read
            self._make_room()
            (self._physical if spans else self._parsed)[offset] = physical
        return physical

    def _stream(self, number: int, gen: int, dictionary: PdfDict, start: int, index: int) -> Stream:
        revision = self.revisions[index]

        def length(found: PdfDict) -> int:
            value = found.get("Length")
            if isinstance(value, Ref):
                self._depth += 1
                try:
                    if self._depth > 4:  # a length inside an object stream whose length is inside ...
                        raise PdfError("stream lengths form a loop")
                    value = revision.resolve(value)
                finally:
                    self._depth -= 1
            if type(value) is not int:
                raise PdfError("stream without a length")
            return value

        def resolve(found: PdfDict) -> PdfDict:
            resolved = _resolved_filters(revision, found)
            return resolved if decrypt is None else without_crypt_filter(resolved)

        decrypt = None
        if self.crypt is not None and dictionary.get("Type") != "XRef":
            crypt = self.crypt

            def decrypt(found: PdfDict, octets: bytes) -> bytes:
                return crypt.decrypt_stream(
                    number, gen, found, octets, crypt_filter(_resolved_filters(revision, found))
                )

        return Stream(
            self.buffer, dictionary, start, length=length, resolve=resolve, budget=self.budget, decrypt=decrypt
        )

    def _from_packed(self, number: int, entry: Entry, index: int) -> PdfObject:
        return self.object_stream(entry.where, index).get(number, entry.extra)

    def object_stream(self, number: int, index: int) -> ObjectStream:
        """Object stream `number` in revision `index`, decoded once.  Raises PdfError, LimitError."""
        holder = self.entry(number, index)
        if holder is None or holder.kind != PLAIN:
            raise PdfError("object stream that is no plain object")
        place = (number, holder.where)
        packed = self._packed.get(place)
        if packed is None:
            self._depth += 1
            try:
                if self._depth > 4:
                    raise PdfError("object streams form a loop")
                stream = self.object_of(number, holder, index)
                if not isinstance(stream, Stream):
                    raise PdfError("object stream that is no stream")
                packed = self._packed[place] = ObjectStream(stream, self.parser, self.limits)
            finally:
                self._depth -= 1
        return packed


_STREAM_KEYS = ("Length", "Filter", "DecodeParms")


def _revision_of(item: tuple[int, Entry]) -> int:
    return item[0]


def _resolved_filters(revision: Revision, dictionary: PdfDict) -> PdfDict:
    """The filter entries with every reference in them followed."""
    result: PdfDict = {}
    for key in ("Filter", "DecodeParms"):
        value = revision.value(dictionary, key)
        if isinstance(value, list):
            value = [revision.resolve(item) for item in value[:32]]
        entries = value if isinstance(value, list) else [value]
        for place, item in enumerate(entries):
            if isinstance(item, dict):
                entries[place] = {name: revision.resolve(part) for name, part in item.items()}
        result[key] = value if isinstance(value, list) else entries[0]
    return result


__all__ = ["Document", "Physical", "Revision"]
