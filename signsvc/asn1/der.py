"""A strict DER outline reader (ITU-T X.690 §10): offsets into one buffer, no copies, no recursion.

Only what is asked for is decoded.  Every length is checked against the enclosing element, lengths must be minimal
and definite, and high tag numbers are refused: nothing in X.509, CMS, OCSP or RFC 3161 uses them.

    >>> buf = bytes.fromhex("3006020101020102")
    >>> [decode_integer(buf, t) for t in children(buf, read(buf, 0))]
    [1, 2]
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
ENUMERATED = 0x0A
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
T61_STRING = 0x14
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31

# Many elements are made: past NamedTuple's own constructor they cost a third.
_tuple = tuple.__new__

# More children than this in one element is not a certificate, a CMS or an OCSP response; CRLs have their own reader.
MAX_CHILDREN = 100_000
_NO_LENGTH = 1 << 40  # longer than any buffer: left to `read`


class DerError(ValueError):
    """The octets are not the DER that was expected.  The message names the rule, never the content."""


class Tlv(NamedTuple):
    """One element: identifier octet, first octet, first content octet, first octet after it (offsets)."""

    tag: int
    start: int
    content: int
    end: int

    def value(self, buf: bytes) -> bytes:
        """The content octets."""
        return bytes(buf[self.content : self.end])

    def full(self, buf: bytes) -> bytes:
        """The whole element, header included, exactly as it stands in the buffer."""
        return bytes(buf[self.start : self.end])


def read(buf: bytes, pos: int, limit: int | None = None, *, tag: int | None = None) -> Tlv:
    """Read the header of the element at `pos`; it must end at or before `limit`.

    Raises `DerError` where the element is cut, its length is not DER, or its identifier is not `tag`.
    """
    end = len(buf) if limit is None else limit
    if pos + 2 > end:
        raise DerError("element cut short")
    identifier = buf[pos]
    if identifier & 0x1F == 0x1F:
        raise DerError("high tag number")
    length = buf[pos + 1]
    content = pos + 2
    if length >= 0x80:
        octets = length & 0x7F
        if octets == 0:
            raise DerError("indefinite length")
        if octets > 4 or content + octets > end:
            raise DerError("length octets cut short")
        length = int.from_bytes(buf[content : content + octets], "big")
        if length < 0x80 or length >> (8 * (octets - 1)) == 0:
            raise DerError("length not minimal")
        content += octets
    if content + length > end:
        raise DerError("element longer than its container")
    if tag is not None and identifier != tag:
        raise DerError(f"expected tag 0x{tag:02x}, found 0x{identifier:02x}")
    return _tuple(Tlv, (identifier, pos, content, content + length))


def read_all(buf: bytes, *, tag: int | None = None) -> Tlv:
    """Like `read` at 0, but the element must fill the whole buffer."""
    element = read(buf, 0, tag=tag)
    if element.end != len(buf):
        raise DerError("octets after the element")
    return element


def children(buf: bytes, parent: Tlv, *, limit: int = MAX_CHILDREN) -> list[Tlv]:
    """The direct children of a constructed element, in order."""
    found: list[Tlv] = []
    _, _, pos, end = parent
    while pos < end:
        if len(found) >= limit:
            raise DerError("too many elements")
        content = pos + 2
        # Lengths of up to two octets in line; everything else, errors included, through `read`.
        if content <= end and (tag := buf[pos]) & 0x1F != 0x1F:
            size = buf[pos + 1]
            if size == 0x82 and content + 2 <= end:
                size = buf[content] << 8 | buf[content + 1]
                content += 2
                if size < 0x100:
                    size = _NO_LENGTH
            elif size == 0x81 and content < end:
                size = buf[content]
                content += 1
                if size < 0x80:
                    size = _NO_LENGTH
            elif size >= 0x80:
                size = _NO_LENGTH
            stop = content + size
            if stop <= end:
                found.append(_tuple(Tlv, (tag, pos, content, stop)))
                pos = stop
                continue
        element = read(buf, pos, end)
        found.append(element)
        pos = element[3]
    return found


def decode_integer(buf: bytes, element: Tlv) -> int:
    """INTEGER or ENUMERATED as a Python integer (two's complement; minimal form is required)."""
    if element.tag not in (INTEGER, ENUMERATED) and element.tag & 0xC0 != 0x80:
        raise DerError("not an integer")
    raw = buf[element.content : element.end]
    if not raw:
        raise DerError("empty integer")
    if len(raw) > 1 and ((raw[0] == 0 and raw[1] < 0x80) or (raw[0] == 0xFF and raw[1] >= 0x80)):
        raise DerError("integer not minimal")
    return int.from_bytes(raw, "big", signed=True)


@functools.lru_cache(maxsize=4096)
def oid_text(content: bytes) -> str:
    """Content octets of an OBJECT IDENTIFIER as dotted text."""
    if not content or len(content) > 64 or content[-1] & 0x80:
        raise DerError("malformed object identifier")
    arcs: list[int] = []
    value = 0
    first_of_arc = True
    for octet in content:
        if first_of_arc and octet == 0x80:
            raise DerError("object identifier not minimal")
        value = value << 7 | octet & 0x7F
        first_of_arc = not octet & 0x80
        if first_of_arc:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def decode_oid(buf: bytes, element: Tlv) -> str:
    """OBJECT IDENTIFIER as dotted text."""
    if element.tag != OID:
        raise DerError("not an object identifier")
    return oid_text(bytes(buf[element.content : element.end]))


def decode_time(buf: bytes, element: Tlv) -> datetime:
    """UTCTime or GeneralizedTime as an aware UTC datetime.

    Fractions of a second and numeric zones are read, although DER wants `Z`: real OCSP responders and VGCA tools
    write both.  UTCTime years 50 to 99 are 19xx (RFC 5280 §4.1.2.5.1).
    """
    text = buf[element.content : element.end].decode("ascii", "replace")
    if element.tag == UTC_TIME:
        if len(text) < 11 or not text[:10].isdigit():
            raise DerError("malformed UTCTime")
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif element.tag != GENERALIZED_TIME:
        raise DerError("not a time")
    return _parse_time(text)


@functools.lru_cache(maxsize=4096)
def _parse_time(text: str) -> datetime:
    digits = len(text) - len(text.lstrip("0123456789"))
    if digits not in (12, 14):
        raise DerError("malformed time")
    rest = text[digits:]
    micro = 0
    if rest[:1] in (".", ","):
        fraction = rest[1:]
        size = len(fraction) - len(fraction.lstrip("0123456789"))
        if not 1 <= size <= 9:
            raise DerError("malformed time fraction")
        micro = int(fraction[:size].ljust(6, "0")[:6])
        rest = fraction[size:]
    if rest == "Z":
        zone: timezone = UTC
    elif len(rest) == 5 and rest[0] in "+-" and rest[1:].isdigit():
        offset = timedelta(hours=int(rest[1:3]), minutes=int(rest[3:5]))
        if offset >= timedelta(hours=24):
            raise DerError("malformed time zone")
        zone = timezone(offset if rest[0] == "+" else -offset)
    else:
        raise DerError("malformed time zone")
    try:
        second = int(text[12:14]) if digits == 14 else 0
        moment = datetime(
            int(text[0:4]), int(text[4:6]), int(text[6:8]), int(text[8:10]), int(text[10:12]), second, micro, zone
        )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise DerError("no such time") from None
