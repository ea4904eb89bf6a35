"""Distinguished names: decoding for people, and comparison for path building (RFC 5280 §7.1)."""

from __future__ import annotations

import functools
import unicodedata

from signsvc.asn1 import der

SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.42": "GN",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "E",
}

_CODECS = {
    der.UTF8_STRING: "utf-8",
    der.PRINTABLE_STRING: "latin-1",
    der.IA5_STRING: "latin-1",
    der.T61_STRING: "latin-1",
    der.BMP_STRING: "utf-16-be",
    0x12: "latin-1",  # NumericString
    0x1C: "utf-32-be",  # UniversalString
}


@functools.lru_cache(maxsize=4096)
def attributes(name_der: bytes) -> tuple[tuple[str, str], ...]:
    """(attribute OID, value) pairs of a DER Name in the order written; undecodable values become their hex.

    Raises `DerError` where the octets are no Name.
    """
    found: list[tuple[str, str]] = []
    for rdn in der.children(name_der, der.read_all(name_der, tag=der.SEQUENCE)):
        for pair in der.children(name_der, rdn):
            parts = der.children(name_der, pair)
            if len(parts) != 2:
                raise der.DerError("malformed attribute of a name")
            raw = parts[1].value(name_der)
            try:
                value = raw.decode(_CODECS.get(parts[1].tag, "utf-8"))
            except UnicodeDecodeError:
                value = "#" + raw.hex()
            found.append((der.decode_oid(name_der, parts[0]), value))
    return tuple(found)


def text(name_der: bytes) -> str:
    """The name for people, e.g. ``CN=Nguyễn Văn An, OU=…, C=VN`` in the order written."""
    return ", ".join(f"{SHORT.get(oid, oid)}={_printable(value)}" for oid, value in attributes(name_der))


@functools.lru_cache(maxsize=4096)
def normalized(name_der: bytes) -> tuple[tuple[str, str], ...]:
    """The name folded for comparison: case and inner white space do not count, string types do not count."""
    return tuple(
        (oid, " ".join(unicodedata.normalize("NFKC", value).casefold().split())) for oid, value in attributes(name_der)
    )


def same(left: bytes, right: bytes) -> bool:
    """Whether two DER Names name the same entity."""
    if left == right:
        return True
    try:
        return normalized(left) == normalized(right)
    except der.DerError:
        return False


def _printable(value: str) -> str:
    # Names come from hostile certificates: control and direction characters must not reach a terminal or a page.
    if value.isprintable():
        return value
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn") else "\N{REPLACEMENT CHARACTER}"
        for c in value
    )
