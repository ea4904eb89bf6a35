"""Files damaged at random, with some knowledge of what PDF and DER are made of, from seeds that repeat."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_NUMBERS = (b"0", b"-1", b"1", b"2", b"65535", b"2147483648", b"9223372036854775808", b"1e308", b"0.5", b"00000000010")
_TOKENS = (
    b"null", b"true", b"<<", b">>", b"[", b"]", b"(", b")", b"<", b">", b"/Type", b"/Kids", b"/Parent", b"/Prev", b"obj",
    b"endobj", b"stream\n", b"endstream", b"xref\n", b"trailer", b"startxref\n0\n%%EOF\n", b"/XRefStm 0", b"/Length 1 0 R",
    b"1 0 R", b"3 0 R", b"/ByteRange [0 1 2 3]", b"/Contents <30>", b"%", b"\n", b"\x00", b"/FlateDecode", b"/Encrypt 1 0 R",
)  # fmt: skip
_NUMBER = re.compile(rb"\d+")
_NAME = re.compile(rb"/[A-Za-z0-9.]+")
_REFERENCE = re.compile(rb"\d+ \d+ R")

Change = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def _flip(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _octet(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[_place(rng, data)] = rng.randrange(256)


def _cut(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 7, 60, 2000))]


def _insert(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _place(rng, data)
    data[at:at] = rng.choice((rng.randbytes(rng.randint(1, 12)), rng.choice(_TOKENS), b" " * rng.randint(1, 40)))


def _repeat(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at, to = _place(rng, data), _place(rng, data)
    data[to:to] = data[at : at + rng.choice((5, 50, 500))]


def _swap(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    size = rng.choice((1, 4, 20))
    first, second = sorted((_place(rng, data), _place(rng, data)))
    if first + size <= second:
        one, other = data[first : first + size], data[second : second + size]
        data[second : second + size], data[first : first + size] = one, other


def _truncate(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[max(1, _place(rng, data)) :]


def _append(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    at = rng.randrange(len(other))
    data += rng.choice((b"\n" * 3, b"junk", b"\n%%EOF\n", rng.choice(_TOKENS), other[at:], data[at:], other))


def _splice(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    at, size = rng.randrange(len(other)), rng.choice((10, 100, 3000))
    to = _place(rng, data)
    data[to : to + size] = other[at : at + size]


def _token(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    """One number, name or reference in the place of another of its kind."""
    kind = rng.choice((_NUMBER, _NAME, _REFERENCE))
    near = _place(rng, data)
    found = kind.search(data, near, near + 4000)
    if found is None:
        return
    if kind is _NUMBER and rng.random() < 0.5:
        value = rng.choice(_NUMBERS)
    else:
        other = rng.choice((bytes(data), rng.choice(others)))
        match = kind.search(other, rng.randrange(len(other)))
        value = match[0] if match else b"/X"
    if rng.random() < 0.6:  # so that what follows stays where it is
        value = value[: len(found[0])].ljust(len(found[0]), b"0" if kind is _NUMBER else b" ")
    data[found.start() : found.end()] = value


def _revision(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    """A later revision whose cross-references are right, which puts something else in the place of an object."""
    last = re.findall(rb"startxref\s+(\d+)", data)
    objects = re.findall(rb"\n(\d+) 0 obj\n(.{0,3000}?)\nendobj", bytes(data), re.DOTALL)
    if not last or not objects:
        return
    number = rng.choice(objects)[0]
    value = bytearray(rng.choice(objects)[1])
    if value and rng.random() < 0.7:
        _token(rng, value, [bytes(data), *others])
    at = len(data)
    data += b"%s 0 obj\n%s\nendobj\n" % (number, value)
    xref = len(data)
    data += b"xref\n%s 1\n%010d 00000 n \ntrailer\n<< /Size 400 /Root 1 0 R /Prev %s >>\nstartxref\n%d\n%%%%EOF\n" % (
        number, at, last[-1], xref)  # fmt: skip


CHANGES: tuple[Change, ...] = (_flip, _octet, _cut, _insert, _repeat, _swap, _truncate, _append, _splice)
PDF_CHANGES: tuple[Change, ...] = (*CHANGES, _token, _token, _token, _token, _revision, _revision)


def mutate(rng: random.Random, data: bytes, others: Sequence[bytes], changes: Sequence[Change] = CHANGES) -> bytes:
    """`data` with one to four changes; never empty."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        if found:
            rng.choice(changes)(rng, found, others)
    return bytes(found) or b"\x00"


def _place(rng: random.Random, data: bytearray) -> int:
    """Anywhere, or more often near the end, where the last revision and its cross-references are."""
    size = len(data)
    if not size:
        return 0
    return rng.randrange(size) if rng.random() < 0.5 else max(0, size - 1 - int(rng.expovariate(1 / 1500)))
