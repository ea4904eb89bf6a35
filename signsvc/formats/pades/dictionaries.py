"""Signature dictionaries where they stand in the file, whether or not a field still refers to them."""

from __future__ import annotations

import contextlib
import mmap
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from signsvc.formats.pades.byterange import parse
from signsvc.formats.pades.fields import SignatureField
from signsvc.formats.pdf import (
    FREE,
    PLAIN,
    Buffer,
    Document,
    LimitError,
    PdfDict,
    PdfError,
    PdfString,
    Physical,
    Ref,
    Revision,
    Stream,
)

_KEY = b"/ByteRange"
_WINDOW = 8 << 20  # of a mapped file, so many octets are in memory at a time
# What is written for a signature and for nothing else.
_TRACE = re.compile(
    rb"/(?:(?:Type[\x00\t\n\x0c\r ]*+/(?:Sig|DocTimeStamp)|FT[\x00\t\n\x0c\r ]*+/Sig)(?![A-Za-z0-9])"
    rb"|SubFilter[\x00\t\n\x0c\r ]*+/(?:adbe|ETSI)|ByteRange|SigFlags)"
)
_MAX_HITS = 200_000  # places where the key stands; each costs about 2 µs
_LEAD = 64  # octets of white space between the offset that a row names and the object
_HEADER_ROOM = 24  # octets in which "0000000000 00000 " of an object header stands


@dataclass(slots=True)
class SignatureDictionary:
    """One dictionary that claims to be a signature.

    `span` is where its /Contents stand, None where they are no string or the dictionary is not in the file as such
    (an object stream).  `defined` are the revision indices that define this very object.
    """

    num: int | None
    offset: int
    dictionary: PdfDict
    span: tuple[int, int] | None
    duplicates: bool = False
    readable: bool = True
    defined: tuple[int, ...] = ()
    fields: list[SignatureField] = field(default_factory=list)
    replaced: bool = False  # a later revision writes other values under the same number
    removed: bool = False  # a field of its own revision holds it, none of the newest does
    orphan: bool = False  # no field holds it
    forgotten: bool = False  # no revision defines it, though it stands in the file and covers it
    torn: bool = False  # there is no dictionary, only what once led to one

    @property
    def contents(self) -> bytes | None:
        """/Contents as octets."""
        value = self.dictionary.get("Contents")
        return bytes(value) if isinstance(value, PdfString) else None


def scan(document: Document) -> list[SignatureDictionary]:
    """Every dictionary with a /ByteRange in an object that some revision of the file defines, in file order.

    One that no revision defines counts where its range leaves out exactly its own /Contents: somebody appended a file
    that forgets the signed one, or the end of the file is missing.  Where the file needs repair every object counts.
    Raises LimitError.
    """
    found: list[SignatureDictionary] = []
    for offset in _holders(document):
        number = _number_at(document, offset)
        defined = _defined(document, number, offset) if number is not None else ()
        physical = _read(document, offset)
        if document.revisions and not defined:
            # what looks like an object inside a stream, or a signature that was forgotten or cut off
            if physical is not None:
                found.extend(source for source in _of(document, physical, ()) if _over_itself(source))
            elif document.trailing is not None and offset >= document.trailing:
                found.append(SignatureDictionary(number, offset, {}, None, readable=False, forgotten=True))
            continue
        if physical is None:
            if defined:
                found.append(SignatureDictionary(number, offset, {}, None, readable=False, defined=defined))
            continue
        found.extend(_of(document, physical, defined))
        if len(found) > document.limits.signatures:
            raise LimitError("signatures")
    return found


def _over_itself(source: SignatureDictionary) -> bool:
    """Whether the range of an object that no revision defines names the very place where it stands in this file, even
    where the file was longer once."""
    covered = parse(source.dictionary.get("ByteRange"), sys.maxsize)
    source.forgotten = covered is not None and source.span == (covered.before, covered.after)
    return source.forgotten


def trace(document: Document) -> SignatureDictionary | None:
    """What octets behind the last revision tell of a signature that was cut off with the rest of its revision."""
    found = _TRACE.search(document.buffer, document.trailing) if document.trailing is not None else None
    return SignatureDictionary(None, found.start(), {}, None, readable=False, torn=True) if found else None


def gone(revision: Revision, item: SignatureField) -> SignatureDictionary | None:
    """What stands for the value of a field that refers to an object which is not in the file, or is no dictionary.

    A null that stands in the file is no value at all (ISO 32000-2 §7.3.9).
    """
    value = item.value
    if not isinstance(value, Ref):
        return None
    try:
        entry = revision.entry(value.num)
        there = entry is not None and entry.kind != FREE and (entry.kind != PLAIN or entry.extra == value.gen)
        if there and revision.resolve(value) is None:
            return None
    except LimitError:
        raise
    except PdfError:
        pass
    return SignatureDictionary(value.num, -1, {}, None, readable=False, torn=True, fields=[item])


def of_field(document: Document, revision: Revision, item: SignatureField) -> SignatureDictionary | None:
    """The value of a field in `revision`, read where it stands; None where it is no dictionary.  Raises LimitError."""
    value = item.value
    for _ in range(document.limits.references):
        if not isinstance(value, Ref):
            break
        try:
            entry = revision.entry(value.num)
            if entry is None:
                return None
            if entry.kind == PLAIN and entry.extra == value.gen:
                physical = document.physical(entry.where, spans=True)
                if isinstance(physical.value, Ref):
                    value = physical.value
                    continue
                defined = _defined(document, physical.num, physical.offset)
                return next(iter(_of(document, physical, defined, every=True)), None)
            content = revision.get(value)
        except LimitError:
            raise
        except PdfError:
            return SignatureDictionary(value.num, -1, {}, None, readable=False)
        if isinstance(content, Ref):
            value = content
            continue
        if isinstance(content, Stream):
            content = content.dictionary
        return SignatureDictionary(value.num, -1, content, None) if isinstance(content, dict) else None
    return SignatureDictionary(None, -1, value, None) if isinstance(value, dict) else None


def _holders(document: Document) -> Iterator[int]:
    """Offsets of the headers of objects in which the key /ByteRange stands."""
    buffer = document.buffer
    pos = _next(buffer, 0)
    looked, last, hits = 0, -1, 0
    while pos >= 0:
        hits += 1
        if hits > _MAX_HITS:
            raise LimitError("signatures")
        # look for a header only in what was not looked at for the hit before
        at = buffer.rfind(b"obj", looked, pos)
        header = None
        while at >= 0:
            header = _header_before(document, at)
            if header is not None:
                break
            at = buffer.rfind(b"obj", looked, at)
        looked = pos
        if header is not None and header != last:
            last = header
            yield header
        pos = _next(buffer, pos + len(_KEY))


def _next(buffer: Buffer, pos: int) -> int:
    """Where the key stands next, -1 where it does not.  Of a mapped file, what was looked through leaves memory."""
    size = len(buffer)
    if not isinstance(buffer, mmap.mmap):
        return buffer.find(_KEY, pos)
    while pos < size:
        end = min(pos + _WINDOW, size)
        found = buffer.find(_KEY, pos, min(end + len(_KEY) - 1, size))
        if found >= 0:
            return found
        start = pos - pos % mmap.PAGESIZE
        with contextlib.suppress(OSError):
            buffer.madvise(mmap.MADV_DONTNEED, start, end - start)
        pos = end
    return -1


def _header_before(document: Document, at: int) -> int | None:
    """Where the header begins whose keyword ``obj`` stands at `at`; None for ``endobj`` and anything else."""
    start = max(0, at - _HEADER_ROOM)
    parts = bytes(document.buffer[start:at])
    text = parts.rstrip(b"\x00\t\n\x0c\r ")
    digits = len(text) - len(text.rstrip(b"0123456789"))
    middle = text[: len(text) - digits].rstrip(b"\x00\t\n\x0c\r ")
    if not digits or len(middle) == len(text) - digits or not middle[-1:].isdigit():
        return None
    return start + len(middle.rstrip(b"0123456789"))


def _read(document: Document, offset: int) -> Physical | None:
    try:
        return document.physical(offset, spans=True)
    except LimitError:
        raise
    except PdfError:
        return None


def _number_at(document: Document, offset: int) -> int | None:
    digits = bytes(document.buffer[offset : offset + 11]).split(maxsplit=1)
    return int(digits[0]) if digits and digits[0].isdigit() else None


def _defined(document: Document, number: int, offset: int) -> tuple[int, ...]:
    """Revision indices whose entry for `number` leads to the object at `offset`."""
    try:
        history = document.history(number)
    except LimitError:
        raise
    except PdfError:
        return ()
    return tuple(
        index
        for index, entry in history
        if entry.kind == PLAIN
        and 0 <= offset - entry.where <= _LEAD
        and not bytes(document.buffer[entry.where : offset]).strip(b"\x00\t\n\x0c\r ")
    )


def _of(
    document: Document, physical: Physical, defined: tuple[int, ...], *, every: bool = False
) -> Iterable[SignatureDictionary]:
    value = physical.value
    if document.crypt is not None:
        value = document.crypt.decrypt_object(physical.num, physical.gen, value)  # changes the dictionaries in place
    owners: list[tuple[PdfDict, tuple[int, int] | None]] = [
        (span.owner, (span.start, span.end))
        for span in physical.spans
        if span.key == "Contents" and ("ByteRange" in span.owner or (every and span.owner is value))
    ]
    if isinstance(value, dict) and (every or "ByteRange" in value) and all(owner is not value for owner, _ in owners):
        owners.append((value, None))
    for owner, place in owners:
        yield SignatureDictionary(
            physical.num, physical.offset, owner, place, duplicates=bool(physical.duplicates), defined=defined
        )


__all__ = ["SignatureDictionary", "gone", "of_field", "scan", "trace"]
