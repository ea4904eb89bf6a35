"""Looking for signature dictionaries in files that are mapped: as in memory, without holding all of them there."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import pytest

from signsvc.formats.pades import dictionaries

KEY = b"/ByteRange"


def hits(buffer: bytes | mmap.mmap) -> list[int]:
    found, pos = [], dictionaries._next(buffer, 0)
    while pos >= 0:
        found.append(pos)
        pos = dictionaries._next(buffer, pos + len(KEY))
    return found


@pytest.mark.parametrize("at", [(), (0,), (4090,), (4096,), (8183,), (8182, 8192, 8202), (100, 4095, 20_000, 29_990)])
def test_the_same_places_as_in_memory(at: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionaries, "_WINDOW", mmap.PAGESIZE)
    content = bytearray(30_000)
    for pos in at:
        content[pos : pos + len(KEY)] = KEY
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert hits(mapped) == hits(bytes(content)) == list(at)
        assert mapped[:] == content  # it is read again where it is asked for


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert dictionaries._next(mapped, 0) == -1
        smaps = Path("/proc/self/smaps").read_text()
        entry = smaps[smaps.index(str(path)) :]
        found = re.search(r"Rss:\s+(\d+) kB", entry)
        assert found is not None
        assert int(found[1]) < 16 << 10
