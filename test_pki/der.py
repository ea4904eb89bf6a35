"""A small DER writer and just enough of a reader (ITU-T X.690).

Independent of the product on purpose: the two must not share an encoding mistake.
"""

from __future__ import annotations

from datetime import UTC, datetime

OIDS = {
    # attribute types
    "CN": "2.5.4.3",
    "serialNumber": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "T": "2.5.4.12",
    "UID": "0.9.2342.19200300.100.1.1",
    "E": "1.2.840.113549.1.9.1",
    # digests
    "sha1": "1.3.14.3.2.26",
    "sha224": "2.16.840.1.101.3.4.2.4",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "shake256": "2.16.840.1.101.3.4.2.12",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
    "sha3-256": "2.16.840.1.101.3.4.2.8",
    # extended key usage
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
    "OCSPSigning": "1.3.6.1.5.5.7.3.9",
    "documentSigning": "1.3.6.1.5.5.7.3.36",
}


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element with the identifier octet *tag* and the concatenated *parts* as contents."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def seq(*parts: bytes) -> bytes:
    """SEQUENCE of already encoded *parts*."""
    return tlv(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """SET OF: *parts* in DER order."""
    return tlv(0x31, *sorted(parts))


def explicit(number: int, *parts: bytes) -> bytes:
    """Context tag [number], constructed."""
    return tlv(0xA0 | number, *parts)


def implicit(number: int, content: bytes) -> bytes:
    """Context tag [number], primitive, over contents octets."""
    return tlv(0x80 | number, content)


def integer(value: int) -> bytes:
    """INTEGER, minimal two's complement."""
    size = (value + (value < 0)).bit_length() // 8 + 1
    return tlv(0x02, value.to_bytes(size, "big", signed=True))


def enumerated(value: int) -> bytes:
    """ENUMERATED for a small non-negative value."""
    return tlv(0x0A, bytes((value,)))


def boolean(value: bool) -> bytes:
    """BOOLEAN."""
    return tlv(0x01, b"\xff" if value else b"\x00")


def null() -> bytes:
    """NULL."""
    return b"\x05\x00"


def oid(value: str) -> bytes:
    """OBJECT IDENTIFIER from dotted form or from a short name of OIDS."""
    arcs = [int(arc) for arc in OIDS.get(value, value).split(".")]
    out = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.append(0x80 | (arc & 0x7F))
        out += bytes(reversed(chunk))
    return tlv(0x06, bytes(out))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(0x04, value)


def bits(value: bytes, unused: int = 0) -> bytes:
    """BIT STRING with *unused* bits at the end."""
    return tlv(0x03, bytes((unused,)), value)


def named_bits(*positions: int) -> bytes:
    """BIT STRING of a named bit list, trailing zeros removed (X.690 §11.2.2)."""
    if not positions:
        return bits(b"")
    size = max(positions) + 1
    value = sum(1 << (size - 1 - position) for position in set(positions))
    unused = -size % 8
    return bits((value << unused).to_bytes((size + 7) // 8, "big"), unused)


def utf8(value: str) -> bytes:
    """UTF8String."""
    return tlv(0x0C, value.encode())


def printable(value: str) -> bytes:
    """PrintableString."""
    return tlv(0x13, value.encode("ascii"))


def ia5(value: str) -> bytes:
    """IA5String."""
    return tlv(0x16, value.encode("ascii"))


def generalized_time(value: datetime) -> bytes:
    """GeneralizedTime in UTC, seconds kept, fractions only when there are any."""
    utc = value.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond else ""
    return tlv(0x18, f"{utc:%Y%m%d%H%M%S}{fraction}Z".encode())


def time(value: datetime) -> bytes:
    """Time of certificates and CRLs: UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5)."""
    utc = value.astimezone(UTC).replace(microsecond=0)
    if 1950 <= utc.year < 2050:
        return tlv(0x17, f"{utc:%y%m%d%H%M%S}Z".encode())
    return generalized_time(utc)


def name(attributes: tuple[tuple[str, str], ...], ascii_only: bool = False) -> bytes:
    """Name with one attribute per RDN, in the given order.

    Country and serialNumber are PrintableString, e-mail IA5String, the rest UTF8String (PrintableString if
    *ascii_only*, as the oldest authorities write it).
    """
    rdns = []
    for kind, value in attributes:
        if kind == "E":
            encoded = ia5(value)
        elif kind in ("C", "serialNumber") or ascii_only:
            encoded = printable(value)
        else:
            encoded = utf8(value)
        rdns.append(tlv(0x31, seq(oid(kind), encoded)))
    return seq(*rdns)


def split(data: bytes, at: int = 0) -> tuple[int, int, int]:
    """Tag, start and end of the contents of the element at *at*; ValueError when it does not fit."""
    tag, first = data[at], data[at + 1]
    start = at + 2
    size = first
    if first & 0x80:
        count = first & 0x7F
        size = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + size > len(data):
        raise ValueError("element longer than its data")
    return tag, start, start + size


def children(data: bytes) -> list[bytes]:
    """The elements directly inside the constructed element *data*, each complete with its header."""
    _, at, stop = split(data)
    out = []
    while at < stop:
        _, _, end = split(data, at)
        out.append(data[at:end])
        at = end
    return out


def content(data: bytes) -> bytes:
    """Contents octets of the element *data*."""
    _, start, end = split(data)
    return data[start:end]
