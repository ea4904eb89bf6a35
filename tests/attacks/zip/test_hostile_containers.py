"""ZIP files made to cost time or memory, or to show one thing to one program and another to the next."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import warnings
import zipfile
import zlib

import pytest

from signsvc.errors import DocumentError
from signsvc.formats.zip import File, ZipLimits, build, open_container


def bomb(size: int, declared: int | None = None) -> bytes:
    """One deflated member of `size` zeros that says it holds `declared` octets."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(1 << 20)
    crc = 0
    packed = []
    for _ in range(size >> 20):
        packed.append(deflate.compress(piece))
        crc = zlib.crc32(piece, crc)
    packed.append(deflate.flush())
    data = b"".join(packed)
    said = size if declared is None else declared
    shared = (0, 8, 0, 0x21, crc, len(data), said, 5, 0)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, *shared) + b"a.bin" + data
    record = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *shared, 0, 0, 0, 0, 0) + b"a.bin"
    return local + record + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(record), len(local), 0)


def drain(data: bytes, limits: ZipLimits | None) -> None:
    container = open_container(data, limits)
    for entry in container.entries:
        for _ in container.pieces(entry):
            pass


def refused(data: bytes, limits: ZipLimits | None = None) -> str:
    with pytest.raises(DocumentError) as caught:
        drain(data, limits)
    return caught.value.code


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    made = bomb(256 << 20)
    began = time.process_time()
    assert refused(made) == "document_too_complex"
    assert time.process_time() - began < 0.05


def test_a_bomb_that_lies_about_its_size_is_left_at_once() -> None:
    made = bomb(64 << 20, declared=1_000)
    tracemalloc.start()
    try:
        assert refused(made) == "container_malformed"
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_two_thousand_entries_over_one_local_header_are_refused() -> None:
    first = build([File("a.bin", b"x" * 3_000, stored=True)])
    where = first.rindex(b"PK\1\2")
    record = first[where : first.rindex(b"PK\5\6")]
    records = b"".join(record for _ in range(2_000))
    made = first[:where] + records + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2_000, 2_000, len(records), where, 0)
    began = time.process_time()
    assert refused(made) == "container_ambiguous"
    assert time.process_time() - began < 0.5


def test_an_entry_inside_another_is_refused() -> None:
    inner = build([File("b.bin", b"inner", stored=True)])
    inner_local = inner[: inner.index(b"PK\1\2")]
    outer = build([File("a.bin", inner_local, stored=True)])
    where = outer.rindex(b"PK\1\2")
    record = bytearray(inner[inner.index(b"PK\1\2") : inner.index(b"PK\5\6")])
    struct.pack_into("<L", record, 42, outer.index(b"PK\3\4", 4))
    records = outer[where : outer.rindex(b"PK\5\6")] + bytes(record)
    made = outer[:where] + records + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(records), where, 0)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == ["a.bin", "b.bin"]  # other programs see both
    assert refused(made) == "container_ambiguous"


def test_entries_outside_the_directory_are_refused() -> None:
    one, two = build([File("a.txt", b"signed")]), build([File("a.txt", b"shown!")])
    assert refused(one + two) == "container_ambiguous"  # read from the start: one, from the end: two
    where = one.index(b"PK\1\2")
    two_local = two[: two.index(b"PK\1\2")]
    moved = bytearray(one[:where] + two_local + one[where:])
    struct.pack_into("<L", moved, moved.rindex(b"PK\5\6") + 16, where + len(two_local))
    assert refused(bytes(moved)) == "container_ambiguous"


def test_two_ends_are_refused() -> None:
    one = build([File("a.txt", b"signed")])
    end = bytearray(one[one.rindex(b"PK\5\6") :])
    struct.pack_into("<H", end, 20, 22)
    assert refused(one[: one.rindex(b"PK\5\6")] + bytes(end) + one[-22:]) == "container_ambiguous"


def test_the_same_name_twice_is_refused() -> None:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a.txt", "one")
        archive.writestr("a.txt", "two")
    assert refused(out.getvalue()) == "container_ambiguous"


def test_many_entries_are_read_in_linear_time() -> None:
    made = build([File(f"d/{number}.txt", b"x") for number in range(5_000)])
    began = time.process_time()
    assert len(open_container(made).entries) == 5_000
    assert time.process_time() - began < 1
    with pytest.raises(DocumentError):
        open_container(made, ZipLimits(entries=4_999))


def test_nothing_but_document_errors_escapes() -> None:
    import random

    seed = random.Random(20261124)
    plain = build([File("mimetype", b"x", stored=True), File("b/c.txt", b"hello " * 30), File("vi\u1ec7t", b"1")])
    for _ in range(3_000):
        made = bytearray(plain)
        for _ in range(seed.randint(1, 4)):
            at = seed.randrange(len(made))
            made[at : at + seed.randint(0, 3)] = seed.randbytes(seed.randint(0, 3))
        try:
            container = open_container(bytes(made))
            for entry in container.entries:
                container.read(entry)
        except DocumentError:
            pass
