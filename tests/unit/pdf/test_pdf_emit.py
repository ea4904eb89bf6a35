"""What is written reads back as the same value, and nothing in it can be taken for something else."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from signsvc.formats.pdf.emit import Indirect, NewStream, serialize
from signsvc.formats.pdf.objects import Name, PdfBool, PdfString, Ref
from signsvc.formats.pdf.parser import Parser

COUNT = 1000 if os.environ.get("SIGNSVC_TEST_FULL") else 150


def read(octets: bytes) -> Any:
    reader: Any = Parser(octets, tokens=100_000, depth=600, most=1 << 20)
    value, end = reader.read(0)
    assert not octets[end:].strip()
    return value


def made(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(10 if depth else 8)
    if kind == 8:
        return [made(rng, depth - 1) for _ in range(rng.randrange(5))]
    if kind == 9:
        return {name(rng): made(rng, depth - 1) for _ in range(rng.randrange(5))}
    makers: list[Callable[[], Any]] = [
        lambda: None,
        lambda: rng.choice([PdfBool.TRUE, PdfBool.FALSE]),
        lambda: rng.randrange(-(2**31), 2**31),
        lambda: rng.choice([0.5, -0.25, 1e-7, 123456.789, 3.0, 1e9, -0.0]),
        lambda: Name(name(rng)),
        lambda: PdfString(rng.randbytes(rng.randrange(12))),
        lambda: PdfString(rng.choice([b"D:20261123090000+07'00'", b"a (b) \\c", b"Ph\xea", b"/ByteRange [0 1 2 3]"])),
        lambda: Ref(rng.randrange(1, 1000), rng.randrange(3)),
    ]
    return makers[kind]()


def name(rng: random.Random) -> str:
    return "".join(chr(rng.randrange(1, 256)) for _ in range(rng.randrange(1, 8)))


@pytest.mark.parametrize("seed", range(5))
def test_values_read_back_as_they_were(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(COUNT):
        value = made(rng, 4)
        assert read(serialize(value) + b" ") == value


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (None, b"null"),
        (PdfBool.TRUE, b"true"),
        (-12, b"-12"),
        (0.5, b"0.5"),
        (2.0, b"2.0"),
        (Name("A#B C/D"), b"/A#23B#20C#2FD"),
        (PdfString(b"plain text"), b"(plain text)"),
        (PdfString(b"(a)"), b"<286129>"),
        (PdfString(b"/ByteRange"), b"<2f4279746552616e6765>"),
        (Ref(4, 0), b"4 0 R"),
        ([1, Name("X")], b"[1 /X]"),
        ({"A": {"B": 1}}, b"<</A <</B 1\n>>\n>>"),
    ],
)
def test_shapes(value: Any, octets: bytes) -> None:
    assert serialize(value) == octets


def test_a_stream_says_its_length() -> None:
    stream = NewStream({"Type": Name("XObject"), "Length": 99}, b"q Q")
    assert serialize(stream) == b"<</Type /XObject\n/Length 3\n>>\nstream\nq Q\nendstream"
    packed = NewStream.deflated({}, b"x" * 1000)
    assert packed.entries["Filter"] == Name("FlateDecode")
    assert len(packed.data) < 100


def test_an_indirect_object_is_asked_for_by_identity() -> None:
    one, other = Indirect(1), Indirect(1)
    asked: list[Indirect] = []

    def number(found: Indirect) -> Ref:
        if found not in asked:
            asked.append(found)
        return Ref(asked.index(found) + 1, 0)

    assert serialize([one, other, one], number) == b"[1 0 R 2 0 R 1 0 R]"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([NewStream({}, b"")], ValueError),
        ({"A": Indirect(1)}, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (nested(600), ValueError),
        ("text", TypeError),
        (b"octets", TypeError),
        (True, TypeError),
        (object(), TypeError),
    ],
)
def test_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        serialize(value)
