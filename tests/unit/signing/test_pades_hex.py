"""Hexadecimal strings of the signing engine are read fast, and as it reads them itself."""

from __future__ import annotations

import io
import random

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfStreamError

from signsvc.formats.pades import write_hex, write_open

CASES = [
    b"<>rest",
    b"<48 69>",
    b"<4869>>",
    b"<486>",
    b"<4 8\n6\r9\t\x00\x0c>",
    b"<48%a comment\n69>",
    b"<FEFF00480069>",
    b"<4x69>",
    b"<48",
    b"<",
    b"<" + b"30" * 30_000 + b"> after",
    b"<" + b"30 " * 30_000,
    b"<" + b"30" * 9_000 + b"g>",
]


def answer(read: object, data: bytes) -> tuple[object, ...]:
    stream = io.BytesIO(b"before" + data)
    stream.seek(6)
    try:
        value = read(stream)  # type: ignore[operator]
    except PdfStreamError:
        return ("refused",)
    return type(value), value, stream.tell()


@pytest.mark.parametrize("data", CASES, ids=lambda data: repr(data[:12]))
def test_as_pyhanko_reads(data: bytes) -> None:
    assert answer(write_hex.read_hex_string, data) == answer(write_hex._stock, data)


def test_random_strings() -> None:
    rng = random.Random(1)
    for _ in range(500):
        data = b"<" + bytes(rng.choices(b"0123456789abcdefABCDEF \n%>gz", k=rng.randrange(60))) + b"\n>"
        assert answer(write_hex.read_hex_string, data) == answer(write_hex._stock, data), data


def test_is_in_place_where_documents_are_opened_for_signing() -> None:
    assert write_open.write_hex.install() is None
    assert generic.read_hex_string_from_stream is write_hex.read_hex_string
    assert write_hex._stock is not write_hex.read_hex_string
