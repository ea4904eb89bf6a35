"""Objects of an object stream (ISO 32000-2 §7.5.7), each parsed when asked for."""

from __future__ import annotations

import re

from signsvc.formats.pdf.limits import LimitError, PdfError, PdfLimits
from signsvc.formats.pdf.objects import PdfObject
from signsvc.formats.pdf.parser import Parser
from signsvc.formats.pdf.stream import Stream

COSTLY = 1_000  # tokens of a malformed object that is not read again
_PACKED_PAIR = re.compile(rb"[\x00\t\n\x0c\r ]*+(\d{1,10}+)[\x00\t\n\x0c\r ]++(\d{1,10}+)(?![^\x00\t\n\x0c\r ])")

_USUAL = b"0123456789\t\n\x0c\r "  # no null octet: it parts words here, and not in `bytes.split`
_BLANKS = (b"\t", b"\n", b"\x0c", b"\r", b" ")
_MAX_DIGITS = 10
_FEW = 4  # pairs that are read one by one


def _places(data: bytes, first: int, count: int) -> list[tuple[int, int]]:
    if count > 0 and not 0 <= first <= len(data):
        raise PdfError("malformed object stream")
    # as all writers write it: digits and blanks before the first object, and nothing between what is taken
    if count > _FEW and not data[:first].translate(None, _USUAL):
        words = data[:first].split()
        if len(words) > 2 * count or data[first - 1 : first] in _BLANKS or first == len(data):
            numbers = words[: 2 * count]
            if len(numbers) == 2 * count and max(map(len, numbers)) <= _MAX_DIGITS:
                found = list(map(int, numbers))
                return [(number, first + at) for number, at in zip(found[::2], found[1::2], strict=True)]
    places: list[tuple[int, int]] = []
    pos = 0
    for _ in range(count):
        pair = _PACKED_PAIR.match(data, pos)
        if pair is None:
            raise PdfError("malformed object stream")
        pos = pair.end()
        places.append((int(pair[1]), first + int(pair[2])))
    return places


class ObjectStream:
    """The objects of one object stream.

    `data` are its decoded octets; `places` the object numbers with the offset of each in them.
    """

    def __init__(self, stream: Stream, parser: Parser, limits: PdfLimits) -> None:
        first, count = stream.dictionary.get("First"), stream.dictionary.get("N")
        if stream.dictionary.get("Type") != "ObjStm" or type(first) is not int or type(count) is not int:
            raise PdfError("malformed object stream")
        if count > limits.object_stream:
            raise LimitError("object_stream")
        self.data = stream.decode()
        self._shared = parser
        self.places = _places(self.data, first, count)
        self._values: dict[int, PdfObject] = {}
        self._costly: dict[int, str] = {}

    def get(self, number: int, index: int) -> PdfObject:
        """The object at place `index`, which the stream has to call `number`.  Raises PdfError."""
        if not 0 <= index < len(self.places) or self.places[index][0] != number:
            raise PdfError("object stream without this object")
        if index not in self._values:
            if index in self._costly:
                raise PdfError(self._costly[index])
            parser = self._shared.beside(self.data)
            try:
                start = self.places[index][1]
                value, end = parser.read(start)
                if index + 1 < len(self.places) and not start < end <= self.places[index + 1][1]:
                    # some programs read up to where the next one begins, and so another object
                    raise PdfError("objects of an object stream overlap")
                self._values[index] = value
            except PdfError as error:
                if self._shared.tokens - parser.tokens > COSTLY:
                    self._costly[index] = str(error)
                raise
            finally:
                self._shared.tokens = parser.tokens
                self._shared.duplicates += parser.duplicates
        return self._values[index]

    def forget(self) -> None:
        """Let go of the objects that were parsed."""
        self._values.clear()


__all__ = ["COSTLY", "ObjectStream"]
