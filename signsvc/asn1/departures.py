"""Where certificates, revocation lists and OCSP answers leave DER or their profile, and are read all the same.

The outlines of this house take what real authorities write; other readers refuse it.  So that nobody wonders why two
programs differ, each departure has a name: ``version``, ``serial``, ``time``, ``boolean`` (RFC 5280 §4.1, §5.1;
X.690 §11.1, §11.5, §11.7).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from signsvc.asn1 import der
from signsvc.asn1.der import DerError, Tlv

# Times in another form than YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ; ten digits after a fitting length are no accident.
_TIME = re.compile(rb"\x18(?!\x0f[0-9]{14}Z)[\x0b-\x1f][0-9]{10}|\x17(?!\x0d[0-9]{12}Z)[\x0b-\x1f][0-9]{10}")
# BOOLEANs that are not TRUE; values of keys hit it by chance, so a hit is looked at closely.
_BOOLEAN = re.compile(rb"\x01\x01[^\xff]")

_BASIC_CONSTRAINTS = b"\x55\x1d\x13"
_ISSUING_POINT = b"\x55\x1d\x1c"
_SERIAL_OCTETS = 20


@functools.lru_cache(maxsize=4096)
def of_certificate(encoded: bytes) -> tuple[str, ...]:
    """Departures of a certificate; it is expected to have been read already.  Never raises."""
    try:
        return tuple(dict.fromkeys(_certificate(encoded)))
    except (DerError, IndexError):
        return ()


def of_list(encoded: bytes) -> tuple[str, ...]:
    """Departures of a CRL, its entries aside: there may be a million of them.  Never raises."""
    try:
        return tuple(dict.fromkeys(_list(encoded)))
    except (DerError, IndexError):
        return ()


@functools.lru_cache(maxsize=1024)
def of_answer(encoded: bytes) -> tuple[str, ...]:
    """Departures of an OCSP response, or of a bare BasicOCSPResponse.  Never raises."""
    try:
        return tuple(dict.fromkeys(_answer(encoded)))
    except (DerError, IndexError):
        return ()


def _certificate(buf: bytes) -> Iterator[str]:
    tbs = der.read(buf, der.read(buf, 0).content)
    parts = der.children(buf, tbs)
    version = 0
    if parts[0].tag == 0xA0:
        version = der.decode_integer(buf, der.read(buf, parts[0].content))
        parts = parts[1:]
        if not version:
            yield "version"  # the default, written out
    extensions = next((part for part in parts[6:] if part.tag == 0xA3), None)
    if version not in (0, 2) or (extensions is not None and version != 2):
        yield "version"
    if der.decode_integer(buf, parts[0]) <= 0 or parts[0].end - parts[0].content > _SERIAL_OCTETS:
        yield "serial"
    if _TIME.search(buf, parts[3].start, parts[3].end):
        yield "time"
    if extensions is not None and _BOOLEAN.search(buf, extensions.start, extensions.end):
        yield from _booleans(buf, der.read(buf, extensions.content))


def _list(buf: bytes) -> Iterator[str]:
    tbs = der.read(buf, der.read(buf, 0).content)
    parts = der.children(buf, tbs, limit=8)
    if parts[0].tag == der.INTEGER and der.decode_integer(buf, parts[0]) != 1:
        yield "version"
    # Entries stand last but for the extensions, after the one or two times.
    times = [part for part in parts if part.tag in (der.UTC_TIME, der.GENERALIZED_TIME)]
    if any(_TIME.match(buf, part.start, part.end) for part in times):
        yield "time"
    if parts[-1].tag == 0xA0:
        if parts[0].tag != der.INTEGER:
            yield "version"
        yield from _booleans(buf, der.read(buf, parts[-1].content))


def _answer(buf: bytes) -> Iterator[str]:
    if _TIME.search(buf):
        yield "time"
    if not _BOOLEAN.search(buf):
        return
    outer = der.children(buf, der.read(buf, 0))
    if outer[0].tag == der.ENUMERATED:
        inside = der.children(buf, der.read(buf, outer[1].content))
        outer = der.children(buf, der.read(buf, inside[1].content))
    for part in der.children(buf, outer[0]):
        if part.tag == 0xA1 and buf[part.content] == der.SEQUENCE:
            inner = der.read(buf, part.content)
            if buf[inner.content] == der.SEQUENCE:  # extensions; a name of the responder is a sequence of sets
                yield from _booleans(buf, inner)
        elif part.tag == der.SEQUENCE:
            for single in der.children(buf, part):
                last = der.children(buf, single)[-1]
                if last.tag == 0xA1 and buf[last.content] == der.SEQUENCE:
                    yield from _booleans(buf, der.read(buf, last.content))


def _booleans(buf: bytes, extensions: Tlv) -> Iterator[str]:
    """``boolean`` for every BOOLEAN of these extensions that is written as DER does not write it."""
    for extension in der.children(buf, extensions):
        parts = der.children(buf, extension)
        flags = [part for part in parts if part.tag == der.BOOLEAN]
        name = parts[0].value(buf)
        if name in (_BASIC_CONSTRAINTS, _ISSUING_POINT):
            kinds = (der.BOOLEAN,) if name == _BASIC_CONSTRAINTS else (0x81, 0x82, 0x84, 0x85)
            value = der.read(buf, parts[-1].content, parts[-1].end)
            flags += [part for part in der.children(buf, value) if part.tag in kinds]
        # TRUE is all ones (X.690 §11.1), and FALSE, the default of each of them, is left out (§11.5).
        if any(part.value(buf) != b"\xff" for part in flags):
            yield "boolean"
