"""One entry of a revocation list (RFC 5280 §5.1.2.6, §5.3)."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import datetime

from signsvc.asn1 import der
from signsvc.trust.signed import extension_list

REASONS = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}

_REASON = "2.5.29.21"
_INVALIDITY_DATE = "2.5.29.24"

CRITICAL = b"\x01\x01\xff\x04"  # BOOLEAN TRUE before an extension's value
ISSUER_OID = b"\x06\x03\x55\x1d\x1d"

# Entries with a short length, the usual sizes first; anything else goes through the ordinary outline.
_SIZES = (*range(0x1E, 0x50), *range(0x10, 0x1E), *range(0x50, 0x80))


@functools.cache
def entry_pattern(repeat: bytes = b"") -> re.Pattern[bytes]:
    """One entry, or so many; made when first needed, which most programs never do."""
    entry = b"(?s:\\x30(?:" + b"|".join(b"\\x%02x.{%d}" % (n, n) for n in _SIZES) + b"))"
    return re.compile(b"(?:" + entry + b")" + repeat)


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry: when and why (a name of RFC 5280 §5.3.1; ``unspecified`` where none is given)."""

    at: datetime
    reason: str = "unspecified"
    invalidity_date: datetime | None = None


def serial_of(entry: bytes) -> bytes:
    """The encoded serial number of one entry."""
    if entry[1] < 0x80 and entry[3] < 0x80:
        return entry[2 : 4 + entry[3]]
    return der.children(entry, der.read_all(entry, tag=der.SEQUENCE), limit=3)[0].full(entry)


def entry_extensions(entry: bytes) -> dict[str, tuple[bool, bytes]]:
    parts = der.children(entry, der.read_all(entry, tag=der.SEQUENCE), limit=3)
    return extension_list(entry, parts[2]) if len(parts) == 3 else {}


def critical_of(entry: bytes) -> frozenset[str]:
    return frozenset(oid for oid, (critical, _) in entry_extensions(entry).items() if critical)


def revoked(entry: bytes) -> Revoked:
    parts = der.children(entry, der.read_all(entry, tag=der.SEQUENCE), limit=3)
    found = entry_extensions(entry)
    reason = "unspecified"
    if _REASON in found:
        raw = found[_REASON][1]
        reason = REASONS.get(der.decode_integer(raw, der.read_all(raw, tag=der.ENUMERATED)), "unspecified")
    invalidity = None
    if _INVALIDITY_DATE in found:
        raw = found[_INVALIDITY_DATE][1]
        invalidity = der.decode_time(raw, der.read_all(raw))
    return Revoked(der.decode_time(entry, parts[1]), reason, invalidity)


def directory_name(raw: bytes) -> bytes | None:
    """The first directoryName of GeneralNames, as a DER Name."""
    for name in der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=20):
        if name.tag == 0xA4:
            return der.read(raw, name.content, name.end, tag=der.SEQUENCE).full(raw)
    return None
