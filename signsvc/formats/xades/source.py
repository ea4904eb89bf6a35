"""A document as octets to which elements are added: what stands there already is never written anew."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.parsers import expat

from signsvc.errors import DocumentError

_DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_TAG = re.compile(rb"<[^>\"']*+(?:(?:\"[^\"]*\"|'[^']*')[^>\"']*+)*+>")  # attribute values may hold a >
_DS_SIGNATURE = "http://www.w3.org/2000/09/xmldsig# Signature"
_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Source:
    """`octets` are the document in UTF-8; `codec` is what it was written in (None: UTF-8, or ASCII within it)."""

    octets: bytes
    codec: str | None = None
    mark: bytes = b""
    ascii_only: bool = False

    @classmethod
    def of(cls, data: bytes) -> Source:
        """Raises `DocumentError` where the octets are not in the encoding that they claim."""
        data = bytes(data)
        if data[:2] in _MARKS or data[:2] in (b"<\0", b"\0<"):
            codec = "utf-16-le" if data[:2] in (b"\xff\xfe", b"<\0") else "utf-16-be"
            mark = data[:2] if data[:2] in _MARKS else b""
            try:
                return cls(data[len(mark) :].decode(codec).encode(), codec, mark)
            except UnicodeError:
                raise DocumentError("xml_malformed") from None
        declared = _DECLARED.match(data, 3 if data[:3] == b"\xef\xbb\xbf" else 0)
        return cls(data, ascii_only=declared is not None and declared[1].lower() in (b"us-ascii", b"ascii"))

    def encoded(self, text: str) -> bytes:
        """`text` for splicing; characters that the document's encoding lacks as references."""
        return text.encode("ascii", "xmlcharrefreplace") if self.ascii_only else text.encode()

    def written(self, *pieces: bytes) -> bytes:
        """The document again from its parts, in the encoding that it has."""
        whole = b"".join(pieces)
        return whole if self.codec is None else self.mark + whole.decode().encode(self.codec)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element stands: `start` of its start tag, `end` after its end tag, `inner` where its end tag begins;
    `name` as written.  An empty-element tag has `inner` None."""

    name: str
    start: int
    inner: int | None
    end: int
    children: tuple[tuple[str, int, int], ...] = ()  # (local name, start, end)


def root_end(source: Source) -> tuple[bytes, bytes]:
    """(octets before, octets after) the place right before the document element's end tag."""
    data = source.octets
    at = len(data)
    while True:
        at = len(data[:at].rstrip()) if data[at - 1 : at].isspace() else at
        if data.endswith(b"-->", 0, at):
            at = data.rfind(b"<!--", 0, at)
        elif data.endswith(b"?>", 0, at):
            at = data.rfind(b"<?", 0, at)
            while at > 0 and not data[:at].rstrip().endswith(b">"):
                at = data.rfind(b"<?", 0, at)
        else:
            break
        if at < 0:
            raise DocumentError("xml_malformed")
    if data.endswith(b"/>", 0, at):
        start = data.rfind(b"<", 0, at)
        name = re.match(rb"[^\s/>]+", data[start + 1 : at])
        if name is None:
            raise DocumentError("xml_malformed")
        return data[: at - 2] + b">", b"</" + name[0] + b">" + data[at:]
    start = data.rfind(b"</", 0, at)
    if start < 0:
        raise DocumentError("xml_malformed")
    return data[:start], data[start:]


def locate(source: Source, numbers: frozenset[int], wanted: frozenset[str]) -> dict[int, dict[str, Place]]:
    """Where elements of ds:Signature elements stand: of each of `numbers` (from 0, all of the document in order, nested
    ones too, none of them inside another) by their paths below it, such as ``Object/QualifyingProperties``."""
    data = source.octets
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    found: dict[int, dict[str, Place]] = {number: {} for number in numbers}
    open_: list[tuple[str, int, list[tuple[str, int, int]]]] = []
    seen = -1
    current = -1

    def start(name: str, _: object) -> None:
        nonlocal seen, current
        if name == _DS_SIGNATURE:
            seen += 1
            if not open_ and seen in numbers:
                current = seen
                open_.append(("", parser.CurrentByteIndex, []))
                return
        if open_:
            open_.append((name.rpartition(" ")[2], parser.CurrentByteIndex, []))

    def end(_: str) -> None:
        if not open_:
            return
        name, begun, children = open_.pop()
        inner, after = extent(data, begun, parser.CurrentByteIndex)
        if not open_:
            return
        open_[-1][2].append((name, begun, after))
        path = "/".join([one[0] for one in open_[1:]] + [name])
        if path in wanted and path not in found[current]:
            written = re.match(rb"[^\s/>]+", data[begun + 1 : begun + 400])
            found[current][path] = Place(
                (written[0] if written else b"").decode(), begun, inner, after, tuple(children)
            )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        raise DocumentError("xml_malformed") from None
    return found


def extent(data: bytes, begun: int, ended: int) -> tuple[int | None, int]:
    """(`Place.inner`, `Place.end`) of the element whose start tag begins at `begun`, where expat says that it ended:
    before the end tag, or of an empty-element tag behind it or before it, by the version."""
    tag = _TAG.match(data, begun)
    if tag is None:
        raise DocumentError("xml_malformed")
    if tag[0].endswith(b"/>"):
        return None, tag.end()
    return ended, data.index(b">", ended) + 1


__all__ = ["Place", "Source", "extent", "locate", "root_end"]
