"""Objects from octets: one possessive regular expression per token, an explicit stack, no recursion."""

from __future__ import annotations

import re
from binascii import unhexlify
from typing import NamedTuple

from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Buffer, Name, PdfBool, PdfDict, PdfObject, PdfString, Ref

# Possessive throughout: no input makes it go back, so the cost is linear.
_WS = rb"[\x00\t\n\x0c\r ]"
_REGULAR = rb"[^\x00\t\n\x0c\r ()<>\[\]{}/%]"
SPACE = re.compile(rb"(?:[\x00\t\n\x0c\r ]++|%[^\r\n]*+)*+")
_TOKEN = re.compile(
    rb"(?:[\x00\t\n\x0c\r ]++|%[^\r\n]*+)*+(?:"
    rb"(\d{1,10}+)" + _WS + rb"++(\d{1,5}+)" + _WS + rb"++R(?!" + _REGULAR + rb")"  # 1, 2 reference
    rb"|/(" + _REGULAR + rb"*+)"  # 3 name
    rb"|([+-]?+\d++)(?!" + _REGULAR + rb")"  # 4 integer
    rb"|(<<)"  # 5
    rb"|(>>)"  # 6
    rb"|(\[)"  # 7
    rb"|(\])"  # 8
    rb"|\(([^()\\\r]*+)\)"  # 9 plain literal string
    rb"|<([0-9A-Fa-f\x00\t\n\x0c\r ]*+)>"  # 10 hexadecimal string
    rb"|([+-]*+(?:\d++\.?\d*+|\.\d++)(?:-\d*+)?)(?!" + _REGULAR + rb")"  # 11 real
    rb"|(\()"  # 12 literal string with escapes or parentheses
    rb"|(" + _REGULAR + rb"++)"  # 13 keyword
    rb")"
)
# References after others in an array, as writers put them; nothing else may follow the last R.
_RUN = re.compile(rb"(?:" + _WS + rb"\d{1,10}+ \d{1,5}+ R){1,4096}+(?!" + _REGULAR + rb")")
_STRING_PART = re.compile(rb"[^()\\]*+(?:\\[\s\S][^()\\]*+)*+([()])?+")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}+|\r\n|[\s\S])|\r\n?+")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b"", b"\r\n": b""}
_NAME_ESCAPE = re.compile(r"#([0-9A-Fa-f]{2})")
_HEX_SPACE = b"\x00\t\n\x0c\r "
_KEYWORDS: dict[bytes, PdfObject] = {b"true": PdfBool.TRUE, b"false": PdfBool.FALSE, b"null": None}
# The longest integer that is converted: no offset, length or number of a real file has more digits.
_MAX_DIGITS = 32
_MAX_STRING = 64 << 20  # octets of a string as written; a signature with a CRL of 700,000 entries fits
_MAX_NAME = 1 << 16  # octets of a name as written
_MAX_KEPT = 4096  # names that are kept to be shared
_SHORT = 128  # octets of a name that is kept
_FEW = 8  # references of an array that are read one by one
_MAX_REFS = 1 << 15  # references that are kept to be shared
_CHEAP = 8  # of those for one token: they take no memory of their own, and a tenth of the time


class Span(NamedTuple):
    """Where the value of a key stands in the buffer: first octet and first octet after it."""

    owner: PdfDict
    key: str
    start: int
    end: int


class _Keys(dict[Name, str]):
    """Names as the plain text that keys of dictionaries are."""

    def __missing__(self, name: object) -> str:
        if type(name) is not Name:
            raise PdfError("dictionary key that is no name")
        text = str(name)
        if len(self) < _MAX_KEPT and len(text) < _SHORT:
            self[name] = text
        return text


class _Refs(dict[bytes, Ref]):
    """References by how they are written in a run; `fresh` counts those that were not known."""

    fresh = 0

    def __missing__(self, written: bytes) -> Ref:
        num, gen = written.split()
        ref = Ref(int(num), int(gen))
        self.fresh += 1
        if len(self) < _MAX_REFS:
            self[written] = ref
        return ref


class Parser:
    """Reads objects from one buffer and counts what it reads.

    `duplicates` counts dictionaries that hold a key twice since it was last reset; the last value is kept.
    """

    __slots__ = ("_keys", "_names", "_refs", "buffer", "depth", "duplicates", "most", "tokens")

    def __init__(self, buffer: Buffer, *, tokens: int, depth: int, most: int | None = None) -> None:
        """`tokens` may be read in all, `most` of them in one object, which is malformed if it has more (None: it may
        have all)."""
        self.buffer = buffer
        self.tokens = tokens
        self.depth = depth
        self.most = tokens if most is None else most
        self.duplicates = 0
        self._names: dict[bytes, Name] = {}
        self._keys = _Keys()
        self._refs = _Refs()

    def beside(self, buffer: Buffer) -> Parser:
        """A parser of another buffer under the same limits, which counts by itself and shares the names it saw."""
        other = Parser(buffer, tokens=self.tokens, depth=self.depth, most=self.most)
        other._names, other._keys, other._refs = self._names, self._keys, self._refs
        return other

    def read(self, pos: int, end: int | None = None, spans: list[Span] | None = None) -> tuple[PdfObject, int]:
        """The object at `pos` and the first octet after it.

        `spans` receives where each string value of a dictionary key stands.  Raises PdfError, LimitError.
        """
        buffer = self.buffer
        limit = len(buffer) if end is None else end
        match, names, make = _TOKEN.match, self._names, tuple.__new__
        stack: list[list[PdfObject]] = []  # open containers; a dictionary is a list of keys and values until closed
        dicts: list[bool] = []
        starts: list[list[tuple[int, int, int]]] = []  # per open dictionary: index of value, span
        items: list[PdfObject] | None = None
        value: PdfObject
        left = self.tokens
        low = left - self.most
        least = max(low, 0)
        try:
            while True:
                found = match(buffer, pos, limit)
                if found is None:
                    raise PdfError("no object here")
                left -= 1
                if left < least:
                    raise PdfError("object too large") if least else LimitError("tokens")
                kind = found.lastindex
                begin, pos = pos, found.end()
                if kind == 3:
                    text = found[3]
                    value = names.get(text)
                    if value is None:
                        left -= text.count(b"#")
                        value = self._name(text)
                elif kind == 2:
                    value = make(Ref, (int(found[1]), int(found[2])))
                    if items is not None and len(items) > _FEW and not dicts[-1]:
                        run = _RUN.match(buffer, pos, limit)
                        if run is not None:
                            refs, pos = self._references(run[0]), run.end()
                            items.append(value)
                            value = refs.pop()
                            items.extend(refs)
                            new = 1 + self._refs.fresh + len(refs) // _CHEAP
                            self._refs.fresh = 0
                            left -= new
                            low += max(len(refs) - new, 0)  # in its object each counts
                            least = max(low, 0)
                elif kind == 4:
                    digits = found[4]
                    if len(digits) > _MAX_DIGITS:
                        raise PdfError("integer too long")
                    value = int(digits)
                elif kind == 5 or kind == 7:
                    if len(stack) >= self.depth:
                        raise PdfError("nested too deeply")
                    items = []
                    left -= 2  # with its end four in all: containers take most of the memory
                    stack.append(items)
                    dicts.append(kind == 5)
                    if spans is not None:
                        starts.append([])
                    continue
                elif kind == 6 or kind == 8:
                    if not stack or dicts.pop() != (kind == 6):
                        raise PdfError("unbalanced container")
                    closed = stack.pop()
                    value = self._dictionary(closed) if kind == 6 else closed
                    if spans is not None:
                        for index, start, stop in starts.pop():
                            key = closed[index - 1] if index % 2 else None
                            if kind == 6 and isinstance(key, Name) and isinstance(value, dict):
                                spans.append(Span(value, str(key), start, stop))
                    items = stack[-1] if stack else None
                elif kind == 9:
                    if pos - begin > _MAX_STRING:
                        raise PdfError("string too long")
                    value = PdfString(found[9])
                    if spans is not None and items is not None:
                        starts[-1].append((len(items), found.start(9) - 1, pos))
                elif kind == 10:
                    if pos - begin > _MAX_STRING:
                        raise PdfError("string too long")
                    value = _hexadecimal(found[10])
                    if spans is not None and items is not None:
                        starts[-1].append((len(items), found.start(10) - 1, pos))
                elif kind == 11:
                    value = _real(found[11])
                elif kind == 12:
                    first = pos - 1
                    self.tokens = left
                    value, pos = self._literal(pos, limit)
                    left = self.tokens
                    if spans is not None and items is not None:
                        starts[-1].append((len(items), first, pos))
                else:
                    word = found[13]
                    if word in _KEYWORDS:
                        value = _KEYWORDS[word]
                    elif word == b"R" and items is not None and len(items) >= 2:
                        # a reference with comments or unusual white space between its parts
                        gen, num = items.pop(), items.pop()
                        if not (type(num) is int and type(gen) is int and num >= 0 <= gen):
                            raise PdfError("malformed reference")
                        value = Ref(num, gen)
                    else:
                        raise PdfError("unexpected keyword")
                if items is None:
                    return value, pos
                items.append(value)
        finally:
            self.tokens = min(left, self.tokens)

    def _references(self, run: bytes) -> list[PdfObject]:
        return list(map(self._refs.__getitem__, run[:-2].split(b" R")))

    def _literal(self, pos: int, limit: int) -> tuple[PdfString, int]:
        """A literal string from after its first parenthesis; each parenthesis and escape inside costs a token."""
        start, level = pos, 1
        part = _STRING_PART.match
        while level:
            found = part(self.buffer, pos, limit)
            if found is None or found.end() == pos:
                raise PdfError("string without an end")
            pos = found.end()
            if found[1] is not None:
                level += 1 if found[1] == b"(" else -1
            self.tokens -= 1
            if self.tokens < 0:
                raise LimitError("tokens")
        if pos - start > _MAX_STRING:
            raise PdfError("string too long")
        octets = bytes(self.buffer[start : pos - 1])
        escapes = octets.count(b"\\") + octets.count(b"\r")
        self.tokens -= escapes
        if self.tokens < 0:
            raise LimitError("tokens")
        if escapes > self.most:
            raise PdfError("string too long")
        return PdfString(_ESCAPE.sub(_unescape, octets)), pos

    def _name(self, octets: bytes) -> Name:
        if len(octets) > _MAX_NAME:
            raise PdfError("name too long")
        text = octets.decode("latin-1")
        name = Name(text if "#" not in text else _NAME_ESCAPE.sub(_name_escape, text))
        if len(self._names) < _MAX_KEPT and len(octets) < _SHORT:
            self._names[octets] = name
        return name

    def _dictionary(self, items: list[PdfObject]) -> PdfDict:
        if len(items) % 2:
            raise PdfError("dictionary with a key but no value")
        try:
            result: PdfDict = dict(zip(map(self._keys.__getitem__, items[::2]), items[1::2], strict=True))  # type: ignore[arg-type]
        except TypeError:  # a list or a dictionary
            raise PdfError("dictionary key that is no name") from None
        if len(result) * 2 != len(items):
            self.duplicates += 1
        return result


def _name_escape(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _hexadecimal(digits: bytes) -> PdfString:
    try:
        return PdfString(unhexlify(digits))
    except ValueError:
        plain = digits.translate(None, _HEX_SPACE)
        return PdfString(unhexlify(plain + b"0" if len(plain) % 2 else plain))


def _real(text: bytes) -> float:
    if len(text) > 400:
        raise PdfError("number too long")
    try:
        return float(text)
    except ValueError:
        # "--1", "1.2-3": what writers with broken formatting leave; read as the readers do
        sign = -1.0 if text.startswith((b"-", b"+-")) else 1.0
        plain = text.lstrip(b"+-").split(b"-", 1)[0]
        return sign * float(plain or b"0")


def _unescape(found: re.Match[bytes]) -> bytes:
    what = found[1]
    if what is None:
        return b"\n"
    if what[0] in b"01234567":
        return bytes([int(what, 8) & 0xFF])
    return _ESCAPES.get(what, what)


__all__ = ["SPACE", "Parser", "Span"]
