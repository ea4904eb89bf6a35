"""ZIP files as others write them are read alike; what is ambiguous or dangerous is refused."""

from __future__ import annotations

import base64
import io
import re
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from signsvc.errors import DocumentError
from signsvc.formats import zip as zip_room
from signsvc.formats.zip import File, ZipLimits, build, open_container, rewritten

SHA256 = "2.16.840.1.101.3.4.2.1"


def written(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
        archive.comment = comment
    return out.getvalue()


def drain(data: bytes, limits: ZipLimits | None) -> None:
    container = open_container(data, limits)
    for entry in container.entries:
        container.read(entry)


def code_of(data: bytes, limits: ZipLimits | None = None) -> str:
    with pytest.raises(DocumentError) as caught:
        drain(data, limits)
    return caught.value.code + (
        f":{str(caught.value.data['reason']).removeprefix('zip-')}" if "reason" in caught.value.data else ""
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_reads_what_python_writes(method: int) -> None:
    big = bytes(range(256)) * 4096
    container = open_container(written(("a.txt", b"one"), ("d/b.bin", big), ("leer", b""), method=method))
    assert [entry.name for entry in container.entries] == ["a.txt", "d/b.bin", "leer"]
    assert [container.read(entry) for entry in container.entries] == [b"one", big, b""]
    assert container.findings == ()
    entry = container.find("d/b.bin")
    assert entry is not None
    import hashlib

    assert container.digest(entry, SHA256) == hashlib.sha256(big).digest()
    assert container.find("D/b.bin") is None


class _Unseekable(io.RawIOBase):
    def __init__(self) -> None:
        self.held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, octets: object) -> int:
        self.held += bytes(octets)  # type: ignore[call-overload]
        return len(bytes(octets))  # type: ignore[call-overload]


@pytest.mark.parametrize("force", [False, True])
def test_reads_streamed_files_with_descriptors(force: bool) -> None:
    out = _Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        with archive.open("a.txt", "w", force_zip64=force) as held:
            held.write(b"streamed " * 100)
        archive.writestr("b.txt", b"second")
    container = open_container(bytes(out.held))
    assert [container.read(entry) for entry in container.entries] == [b"streamed " * 100, b"second"]
    assert container.findings == ()


def test_reads_zip64_end_records() -> None:
    plain = written(("a.txt", b"one"))
    at = plain.rindex(b"PK\5\6")
    _, _, _, _, _, size, offset, _ = struct.unpack("<4s4H2LH", plain[at:])
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    full = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert [e.name for e in open_container(plain[:at] + end64 + locator + full).entries] == ["a.txt"]
    astray = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    assert code_of(plain[:at] + end64 + astray + full) == "container_ambiguous:zip64"
    differing = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, size, offset, 0)
    assert code_of(plain[:at] + end64 + locator + differing) == "container_ambiguous:zip64"


def test_says_what_stands_around_the_entries() -> None:
    plain = written(("a.txt", b"one"), comment=b"hello")
    assert [(f.code, f.data["count"]) for f in open_container(plain).findings] == [("zip_comment", 5)]
    found = open_container(b"#!/bin/sh\n" + written(("a.txt", b"one")))
    assert [(f.code, f.data["count"]) for f in found.findings] == [("zip_octets_before", 10)]
    assert found.read(found.entries[0]) == b"one"
    first = written(("a.txt", b"one"), ("b.txt", b"two"))
    entries = open_container(first).entries
    gap = bytearray(first[: entries[1].start] + b"??" + first[entries[1].start :])
    second = gap.rindex(b"PK\1\2")
    struct.pack_into("<L", gap, second + 42, entries[1].start + 2)
    end = gap.rindex(b"PK\5\6")
    struct.pack_into("<L", gap, end + 16, struct.unpack_from("<L", gap, end + 16)[0] + 2)
    assert [(f.code, f.data["count"]) for f in open_container(bytes(gap)).findings] == [("zip_octets_between", 2)]


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../b", "/etc/passwd", "a\\b", "C:x", "a//b", "./a", "a\nb", "a/.", "a\x7fb"],
)
def test_refuses_names_that_lead_elsewhere(name: str) -> None:
    stand_in = "n" * len(name)
    data = written((stand_in, b"x")).replace(stand_in.encode(), name.encode())
    assert code_of(data) == "container_name_unsafe"


@pytest.mark.parametrize(
    ("one", "two", "code"),
    [
        ("a.txt", "b.txt", None),
        ("same.txt", "same.txt", "container_ambiguous:duplicate"),
        ("e\u0301.txt", "\u00e9.txt", "container_ambiguous:duplicate"),
        ("a", "a/b", "container_ambiguous:duplicate"),
        ("META-INF/a.xml", "meta-inf/a.xml", "container_ambiguous:case"),
        ("Mimetype", "x", "container_ambiguous:case"),
    ],
)
def test_refuses_names_that_are_the_same(one: str, two: str, code: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        data = written((one, b"1"), (two, b"2"))
    if code is None:
        assert len(open_container(data).entries) == 2
    else:
        assert code_of(data) == code


def test_warns_of_names_that_differ_by_case() -> None:
    found = open_container(written(("A.txt", b"1"), ("a.txt", b"2"))).findings
    assert [f.code for f in found] == ["zip_names_alike"]


# What Info-ZIP 3.0 writes: extra fields with a name in UTF-8 beside the other; a stream from a pipe.
INFO_ZIP = (
    "UEsDBAoAAAAAAN0beF0O+To5CAAAAAgAAAAPABwAc+G7kSBsaeG7h3UudHh0VVQJAAPxBAVr8QQFa3V4CwABBAAAAAAEAAAAAHhp"
    "biBjaGFvUEsBAh4DCgAAAAAA3Rt4XQ75OjkIAAAACAAAAA8AGAAAAAAAAQAAAKSBAAAAAHPhu5EgbGnhu4d1LnR4dFVUBQAD8QQF"
    "a3V4CwABBAAAAAAEAAAAAFBLBQYAAAAAAQABAFUAAABRAAAAAAA="
)
INFO_ZIP_PIPE = (
    "UEsDBC0AAAAAAN0beF1jGyLZ//////////8BABQALQEAEAAIAAAAAAAAAAgAAAAAAAAAc3RyZWFtZWRQSwECHgMtAAAAAADdG3hd"
    "Yxsi2QgAAAAIAAAAAQAAAAAAAAABAAAAgBEAAAAALVBLBgYsAAAAAAAAAB4DLQAAAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAAvAAAA"
    "AAAAADsAAAAAAAAAUEsGBwAAAABqAAAAAAAAAAEAAABQSwUGAAAAAAEAAQAvAAAAOwAAAAAA"
)


def test_reads_what_zip_writes() -> None:
    container = open_container(base64.b64decode(INFO_ZIP))
    assert {entry.name: container.read(entry) for entry in container.entries} == {"số liệu.txt": b"xin chao"}
    piped = open_container(base64.b64decode(INFO_ZIP_PIPE))
    assert [piped.read(entry) for entry in piped.entries] == [b"streamed"]


def test_finds_names_by_each_reading_of_their_octets() -> None:
    raw = "Übung.txt".encode("cp852")
    data = written(("n" * len(raw), b"x")).replace(b"n" * len(raw), raw)
    container = open_container(data)
    for name in ("Übung.txt", raw.decode("cp437")):
        assert container.find(name) is container.entries[0]
    plus = open_container(written(("a+b %2B.txt", b"x")))
    assert plus.find("a+b %2B.txt") is not None
    assert plus.find("a b +.txt") is None


def patched(data: bytes, offset_local: int, offset_central: int, value: int, layout: str = "<H") -> bytes:
    made = bytearray(data)
    struct.pack_into(layout, made, data.index(b"PK\3\4") + offset_local, value)
    struct.pack_into(layout, made, data.index(b"PK\1\2") + offset_central, value)
    return bytes(made)


def test_refuses_what_is_encrypted_packed_otherwise_or_a_link() -> None:
    plain = written(("a.txt", b"one"))
    assert code_of(patched(plain, 6, 8, 1)) == "container_encrypted"
    assert code_of(patched(plain, 8, 10, 12)) == "container_method"
    link = zipfile.ZipInfo("a.txt")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert code_of(out.getvalue()) == "container_name_unsafe"


@pytest.mark.parametrize("attributes", [0o177777, 0o10600, 0o040755, 0])
def test_odd_attributes_are_of_no_concern(attributes: int) -> None:
    """Old build tools set all bits; `zip -` the kind of the pipe that it reads."""
    info = zipfile.ZipInfo("a.txt")
    info.external_attr = attributes << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, "one")
    assert [entry.name for entry in open_container(out.getvalue()).entries] == ["a.txt"]


def test_refuses_headers_that_differ() -> None:
    plain = written(("a.txt", b"one"), method=zipfile.ZIP_STORED)
    local = plain.index(b"PK\3\4")
    for at, size in ((14, 4), (18, 4), (22, 4), (8, 2), (30, 1)):
        made = bytearray(plain)
        made[local + at] ^= 1
        assert code_of(bytes(made)) == "container_ambiguous:headers", (at, size)
    damaged = bytearray(plain)
    damaged[plain.index(b"one")] ^= 1
    assert code_of(bytes(damaged)) == "container_malformed:contents"


def test_refuses_every_file_that_is_cut_short() -> None:
    plain = written(("a.txt", b"one" * 50), ("b.txt", b"two"))
    for length in range(len(plain)):
        with pytest.raises(DocumentError):
            open_container(plain[:length])


def test_a_changed_octet_never_changes_what_is_read() -> None:
    plain = written(("a.txt", b"one" * 50), ("b.txt", b"two"))
    truth = {e.name: open_container(plain).read(e) for e in open_container(plain).entries}
    survived = 0
    for at in range(len(plain)):
        made = bytearray(plain)
        made[at] ^= 0x41
        try:
            container = open_container(bytes(made))
            found = {entry.name: container.read(entry) for entry in container.entries}
        except DocumentError:
            continue
        survived += 1
        assert sorted(found.values()) == sorted(truth.values())
    assert survived < len(plain) // 3  # dates, versions, attributes


def test_limits() -> None:
    plain = written(("a.txt", b"one"), ("b.txt", b"two"))
    assert code_of(plain, ZipLimits(entries=1)) == "document_too_complex"
    assert code_of(plain, ZipLimits(total=5)) == "document_too_complex"
    assert code_of(plain, ZipLimits(entry=2)) == "document_too_complex"
    assert code_of(plain, ZipLimits(name=4)) == "document_too_complex"
    assert code_of(written(("a/b/c", b"")), ZipLimits(depth=2)) == "document_too_complex"
    container = open_container(plain, ZipLimits(digested=7))
    container.read(container.entries[0])
    container.read(container.entries[1])
    with pytest.raises(DocumentError, match="unpacked"):
        container.read(container.entries[1])
    with pytest.raises(DocumentError, match="size of one entry"):
        open_container(plain).read(open_container(plain).entries[0], 2)


def test_writes_the_same_octets_for_the_same_files() -> None:
    files = [
        File("mimetype", b"text/x", stored=True),
        File("vi\u1ec7t.txt", b"abc " * 100),
        File("z.bin", b"\0" * 100_000),
    ]
    made = build(files)
    assert made == build(files)
    assert made[30:38] == b"mimetype"
    assert made[38:44] == b"text/x"
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {f.name: f.data for f in files}
        assert archive.getinfo("vi\u1ec7t.txt").compress_type == zipfile.ZIP_DEFLATED
        assert archive.getinfo("z.bin").compress_type == zipfile.ZIP_STORED  # else it looks like a bomb
    assert open_container(made).findings == ()
    for wrong in ("../x", "", "/a"):
        with pytest.raises(DocumentError):
            build([File(wrong, b"")])
    with pytest.raises(DocumentError):
        build([File("a", b""), File("a", b"")])


def test_rewriting_keeps_the_octets_of_other_entries() -> None:
    out = _Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name in ("a.txt", "b.txt", "c.txt"):
            archive.writestr(name, name * 30)
    old = b"junk" + bytes(out.held)
    before = open_container(old)
    made = rewritten(before, {"b.txt": b"new"}, [File("d.txt", b"added")])
    after = open_container(made)
    assert [e.name for e in after.entries] == ["a.txt", "b.txt", "c.txt", "d.txt"]
    assert after.findings == ()
    for name in ("a.txt", "c.txt"):
        one, two = before.find(name), after.find(name)
        assert one is not None
        assert two is not None
        assert old[one.start : one.end] == made[two.start : two.end]
    assert after.read(after.entries[1]) == b"new"
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert archive.read("d.txt") == b"added"


def test_crc_is_that_of_zlib() -> None:
    entry = open_container(build([File("a", b"one")])).entries[0]
    assert entry.crc == zlib.crc32(b"one")


def test_reasons_are_said_in_both_languages() -> None:
    """Every reason that the gate gives has its text."""
    folder = Path(zip_room.__file__).parent
    reasons = {
        found
        for path in folder.glob("*.py")
        for found in re.findall(r'(?:malformed|ambiguous)\("([a-z0-9-]+)"\)', path.read_text())
    }
    assert len(reasons) > 15
    for reason in reasons:
        for code in ("container_malformed", "container_ambiguous"):
            error = DocumentError(code, reason=f"zip-{reason}")
            assert "zip-" not in error.text("vi") + error.text("en"), reason
