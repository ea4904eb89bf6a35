"""Stream filters (ISO 32000-2 §7.4), each bounded by the octets it may yield."""

from __future__ import annotations

import re
import zlib
from binascii import unhexlify
from collections.abc import Callable
from itertools import accumulate

from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Name, PdfDict, PdfObject

_SPACE = b"\x00\t\n\x0c\r "
_NARROW = 64  # octets of a row that is worth reading column by column
_MAX_FILTERS = 8  # a chain of filters longer than this is a bomb
_SLOW = 20  # what an octet counts that is walked over here and not in zlib: 0.2 microseconds against 0.01
_PIECE = 1 << 16
_NAMES = {"Fl": "FlateDecode", "AHx": "ASCIIHexDecode", "A85": "ASCII85Decode", "LZW": "LZWDecode",
          "RL": "RunLengthDecode"}  # fmt: skip

Spend = Callable[[int], None]  # told the octets of each step, which may be one too many: LimitError


def decode(raw: bytes, dictionary: PdfDict, limit: int, spend: Spend) -> bytes:
    """The decoded octets, at most `limit` of them after each filter.  Raises PdfError, LimitError.

    `spend` is told what goes in and what each filter yields, also where a later one yields nothing.
    """
    names, parameters = chain(dictionary)
    spend(len(raw))
    for name, parameter in zip(names, parameters, strict=True):
        raw = _one(name, raw, parameter, limit, spend)
        spend(len(raw))
    return raw


def chain(dictionary: PdfDict) -> tuple[list[str], list[PdfDict]]:
    """Filter names in order and their parameters; both must be direct objects by now."""
    entry = dictionary.get("Filter", dictionary.get("F"))
    listed: list[PdfObject] = entry if isinstance(entry, list) else [] if entry is None else [entry]
    if len(listed) > _MAX_FILTERS:
        raise LimitError("filters")
    found = dictionary.get("DecodeParms", dictionary.get("DP"))
    given: list[PdfObject] = found if isinstance(found, list) else [found]
    names, parameters = [], []
    for index, item in enumerate(listed):
        if not isinstance(item, Name):
            raise PdfError("filter that is no name")
        names.append(_NAMES.get(item, str(item)))
        parameter = given[index] if index < len(given) else None
        parameters.append(parameter if isinstance(parameter, dict) else {})
    return names, parameters


def _one(name: str, raw: bytes, parameters: PdfDict, limit: int, spend: Spend) -> bytes:
    if name == "FlateDecode":
        return _predict(_flate(raw, limit, spend), parameters, spend)
    if name in ("LZWDecode", "ASCII85Decode", "RunLengthDecode"):
        spend(len(raw) * _SLOW)
    if name == "LZWDecode":
        return _predict(_lzw(raw, limit, parameters.get("EarlyChange") != 0), parameters, spend)
    if name == "ASCIIHexDecode":
        plain = raw.partition(b">")[0].translate(None, _SPACE)
        try:
            return unhexlify(plain + b"0" if len(plain) % 2 else plain)
        except ValueError:
            raise PdfError("malformed hexadecimal data") from None
    if name == "ASCII85Decode":
        return _ascii85(raw, limit)
    if name == "RunLengthDecode":
        return _run_length(raw, limit)
    if name == "Crypt":
        if parameters.get("Name", "Identity") != "Identity":
            raise PdfError("crypt filter by name")
        return raw
    raise PdfError("unknown filter")


def _flate(raw: bytes, limit: int, spend: Spend) -> bytes:
    engine = zlib.decompressobj()
    try:
        out = engine.decompress(raw, limit + 1)
    except zlib.error:
        _waste(raw, spend)
        raise PdfError("malformed deflate data") from None
    if len(out) > limit:
        raise LimitError("decoded")
    return out


def _waste(raw: bytes, spend: Spend) -> None:
    """Count what was inflated before the error."""
    engine, piece = zlib.decompressobj(), b""
    try:
        while raw or len(piece) == _PIECE:
            spend(_PIECE)
            piece = engine.decompress(raw, _PIECE)
            raw = engine.unconsumed_tail
    except zlib.error:
        return


def _number(parameters: PdfDict, key: str, default: int, most: int) -> int:
    value = parameters.get(key, default)
    if type(value) is not int or not 1 <= value <= most:
        raise PdfError("filter parameter out of range")
    return value


def _predict(data: bytes, parameters: PdfDict, spend: Spend) -> bytes:
    predictor = _number(parameters, "Predictor", 1, 15)
    if predictor == 1:
        return data
    colors = _number(parameters, "Colors", 1, 32)
    bits = _number(parameters, "BitsPerComponent", 8, 16)
    columns = _number(parameters, "Columns", 1, 1 << 20)
    pixel = max(1, colors * bits // 8)
    row = (colors * bits * columns + 7) // 8
    if predictor == 2:
        if bits != 8:
            raise PdfError("TIFF predictor of other than 8 bits")
        spend(len(data) * _SLOW)
        out = bytearray(data)
        for start in range(0, len(out), row):
            for index in range(start + pixel, min(start + row, len(out))):
                out[index] = (out[index] + out[index - pixel]) & 0xFF
        return bytes(out)
    return _png(data, row, pixel, spend)


def _png(data: bytes, row: int, pixel: int, spend: Spend) -> bytes:
    stride = row + 1
    if row <= _NARROW and len(data) % stride == 0 and data[::stride].count(2) * stride == len(data):
        # cross-reference streams: narrow rows, each a difference to the one above; column by column is fast
        quick = bytearray(len(data) // stride * row)
        for column in range(row):
            quick[column::row] = bytes([value & 0xFF for value in accumulate(data[column + 1 :: stride])])
        return bytes(quick)
    spend(len(data) * _SLOW)
    out = bytearray()
    above = bytearray(row)
    for start in range(0, len(data), stride):
        kind = data[start]
        line = bytearray(data[start + 1 : start + 1 + row])
        if kind == 2:
            line = bytearray(map(_add, line, above))
        elif kind == 1:
            for index in range(pixel, len(line)):
                line[index] = (line[index] + line[index - pixel]) & 0xFF
        elif kind == 3:
            for index in range(len(line)):
                left = line[index - pixel] if index >= pixel else 0
                line[index] = (line[index] + (left + above[index]) // 2) & 0xFF
        elif kind == 4:
            for index in range(len(line)):
                left, corner = (line[index - pixel], above[index - pixel]) if index >= pixel else (0, 0)
                line[index] = (line[index] + _paeth(left, above[index], corner)) & 0xFF
        elif kind != 0:
            raise PdfError("unknown PNG predictor")
        out += line
        above = line if len(line) == row else line + bytes(row - len(line))
    return bytes(out)


def _add(left: int, right: int) -> int:
    return (left + right) & 0xFF


def _paeth(left: int, above: int, corner: int) -> int:
    estimate = left + above - corner
    by_left, by_above, by_corner = abs(estimate - left), abs(estimate - above), abs(estimate - corner)
    if by_left <= by_above and by_left <= by_corner:
        return left
    return above if by_above <= by_corner else corner


_A85 = re.compile(rb"z|[!-u]{1,5}+")


def _ascii85(raw: bytes, limit: int) -> bytes:
    plain = raw.partition(b"~")[0].translate(None, _SPACE)
    out = bytearray()
    pos = 0
    while pos < len(plain):
        found = _A85.match(plain, pos)
        if found is None:
            raise PdfError("malformed base 85 data")
        group = found[0]
        pos = found.end()
        if group == b"z":
            out += bytes(4)
        else:
            if len(group) == 1:
                raise PdfError("malformed base 85 data")
            value = 0
            for digit in group.ljust(5, b"u"):
                value = value * 85 + digit - 33
            if value >= 1 << 32:
                raise PdfError("malformed base 85 data")
            out += value.to_bytes(4, "big")[: len(group) - 1]
        if len(out) > limit:
            raise LimitError("decoded")
    return bytes(out)


def _run_length(raw: bytes, limit: int) -> bytes:
    out = bytearray()
    pos = 0
    while pos < len(raw):
        length = raw[pos]
        if length == 128:
            break
        if length < 128:
            out += raw[pos + 1 : pos + 2 + length]
            pos += 2 + length
        else:
            out += raw[pos + 1 : pos + 2] * (257 - length)
            pos += 2
        if len(out) > limit:
            raise LimitError("decoded")
    return bytes(out)


def _lzw(raw: bytes, limit: int, early: bool) -> bytes:
    out = bytearray()
    table = [bytes([value]) for value in range(256)] + [b"", b""]
    previous = b""
    width, held, bits = 9, 0, 0
    for octet in raw:
        held = (held << 8 | octet) & 0xFFFFFF
        bits += 8
        if bits < width:
            continue
        bits -= width
        code = held >> bits & ((1 << width) - 1)
        if code == 256:
            del table[258:]
            width, previous = 9, b""
            continue
        if code == 257:
            break
        if code < len(table):
            entry = table[code]
        elif code == len(table) and previous:
            entry = previous + previous[:1]
        else:
            raise PdfError("malformed LZW data")
        out += entry
        if len(out) > limit:
            raise LimitError("decoded")
        if previous and len(table) < 4096:
            table.append(previous + entry[:1])
        previous = entry
        size = len(table) + early
        width = 9 if size < 512 else 10 if size < 1024 else 11 if size < 2048 else 12
    return bytes(out)


__all__ = ["chain", "decode"]
