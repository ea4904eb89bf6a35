"""BER re-encoded as DER outline (ITU-T X.690 §8): indefinite and long lengths, strings in pieces.

Only lengths and the division of strings change: order, values and contents of primitive elements stay.  The way back
to the original octets is kept, because digests and signatures over a whole element are made over those.
"""

from __future__ import annotations

from dataclasses import dataclass

from signsvc.asn1.der import DerError

MAX_ELEMENTS = 200_000
MAX_DEPTH = 64

# Constructed universal types that are no string in pieces: EXTERNAL, EMBEDDED PDV, SEQUENCE, SET.
_NO_STRING = frozenset((0x28, 0x2B, 0x30, 0x31))


@dataclass(frozen=True, slots=True)
class Lenient:
    """`der` stands for the first `end` octets of what was given."""

    der: bytes
    end: int
    _buf: bytes
    _spans: dict[int, tuple[int, int]]

    def original(self, start: int, end: int) -> bytes:
        """The octets as given of the element at `start` of `der`."""
        first, last = self._spans.get(start, (0, 0))
        return self._buf[first:last] if last else self.der[start:end]


@dataclass(slots=True)
class _Node:
    tag: int
    start: int
    content: int
    end: int  # after the content, then after the element
    parent: int
    inside: bool  # a piece of a string
    body: int = 0  # content octets in DER


def to_der(buf: bytes, *, limit: int = MAX_ELEMENTS) -> Lenient:
    """Re-encode the BER element at the start of `buf`.

    Raises `DerError` where it is no BER, or has more than `limit` elements or `MAX_DEPTH` levels.
    """
    nodes = _parse(buf, limit)
    for node in reversed(nodes):
        if not node.tag & 0x20:
            node.body = node.end - node.content
            if node.inside and node.tag == 0x03:
                # Each piece of a bit string starts with its count of unused bits.
                if not node.body or buf[node.content]:
                    raise DerError("bit string in pieces with unused bits")
                node.body -= 1
        elif node.tag == 0x23 and not node.inside:
            node.body += 1
        if node.parent >= 0:
            header = 0 if node.inside else 1 + len(_length(node.body))
            nodes[node.parent].body += header + node.body
    out = bytearray()
    spans: dict[int, tuple[int, int]] = {}
    for node in nodes:
        if node.inside:
            if not node.tag & 0x20:
                out += buf[node.content + (node.tag == 0x03) : node.end]
            continue
        spans[len(out)] = (node.start, node.end)
        if _pieces(node):
            out.append(node.tag & ~0x20)
            out += _length(node.body)
            if node.tag == 0x23:
                out.append(0)
        else:
            out.append(node.tag)
            out += _length(node.body)
            if not node.tag & 0x20:
                out += buf[node.content : node.end]
    return Lenient(bytes(out), nodes[0].end, buf, spans)


def _parse(buf: bytes, most: int) -> list[_Node]:
    nodes: list[_Node] = []
    stack: list[tuple[int, int, bool]] = []  # node, octets may reach to here, definite
    pos = 0
    while True:
        if stack:
            index, limit, definite = stack[-1]
            closed = pos == limit if definite else buf[pos : pos + 2] == b"\0\0"
            if closed:
                pos += 0 if definite else 2
                if pos > limit:
                    raise DerError("element longer than its container")
                nodes[index].end = pos
                stack.pop()
                if not stack:
                    return nodes
                continue
        else:
            limit = len(buf)
        if len(nodes) >= most:
            raise DerError("too many elements")
        tag, content, length = _header(buf, pos, limit)
        parent = stack[-1][0] if stack else -1
        above = nodes[parent] if stack else None
        inside = above is not None and (above.inside or _pieces(above))
        if inside and above is not None and tag & ~0x20 != above.tag & ~0x20:
            raise DerError("piece of another type in a string")
        node = _Node(tag, pos, content, content if length is None else content + length, parent, inside)
        nodes.append(node)
        if tag & 0x20:
            if len(stack) >= MAX_DEPTH:
                raise DerError("too deep")
            stack.append((len(nodes) - 1, limit if length is None else content + length, length is not None))
            pos = content
        else:
            pos = node.end
            if not stack:
                return nodes


def _header(buf: bytes, pos: int, limit: int) -> tuple[int, int, int | None]:
    """Identifier, first content octet, length (None: indefinite)."""
    if pos + 2 > limit:
        raise DerError("element cut short")
    tag, length, content = buf[pos], buf[pos + 1], pos + 2
    if tag & 0x1F == 0x1F:
        raise DerError("high tag number")
    if tag in (0x00, 0x20):
        raise DerError("end of contents out of place")
    if length == 0x80:
        if not tag & 0x20:
            raise DerError("indefinite length of a primitive element")
        return tag, content, None
    if length > 0x80:
        octets = length & 0x7F
        if octets > 8 or content + octets > limit:
            raise DerError("length octets cut short")
        length = int.from_bytes(buf[content : content + octets], "big")
        content += octets
    if content + length > limit:
        raise DerError("element longer than its container")
    return tag, content, length


def _pieces(node: _Node) -> bool:
    return node.tag & 0xE0 == 0x20 and node.tag not in _NO_STRING


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets
