"""Writing DER: just enough to build requests, attributes and templates."""

from __future__ import annotations

import functools


def encode(tag: int, *parts: bytes) -> bytes:
    """One element with identifier octet `tag` around the concatenated `parts`."""
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def encode_integer(value: int) -> bytes:
    """INTEGER in minimal two's complement."""
    return encode(0x02, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


@functools.lru_cache(maxsize=512)
def encode_oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from dotted text."""
    arcs = [int(part) for part in dotted.split(".")]
    body = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.append(arc & 0x7F | 0x80)
        body += bytes(reversed(chunk))
    return encode(0x06, bytes(body))
