"""The working copy takes the target's place whole, or leaves nothing."""

from __future__ import annotations

import errno
import hashlib
import resource
from pathlib import Path

import pytest

from signsvc.errors import DocumentError, InternalError, StorageError
from signsvc.signing.workfile import work_file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.pdf"
    path.write_bytes(b"%PDF-1.7\n" + bytes(300_000))
    return path


def test_a_finished_file_replaces_the_target(source: Path, tmp_path: Path) -> None:
    source.chmod(0o640)
    target = tmp_path / "target.pdf"
    target.write_bytes(b"old")
    with work_file(source, target) as work:
        assert work.base_size == source.stat().st_size
        work.stream.seek(0, 2)
        work.stream.write(b"more")
        assert target.read_bytes() == b"old"
        sha256, size = work.commit()
    data = source.read_bytes() + b"more"
    assert target.read_bytes() == data
    assert (sha256, size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source.pdf", "target.pdf"]


def test_source_and_target_may_be_one_file(source: Path) -> None:
    with work_file(source, source) as work:
        work.stream.seek(0, 2)
        work.stream.write(b"more")
        work.commit()
    assert source.read_bytes().endswith(b"more")


def test_an_error_leaves_nothing(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.pdf"
    with pytest.raises(DocumentError), work_file(source, target):
        raise DocumentError("document_unreadable")
    assert [p.name for p in tmp_path.iterdir()] == ["source.pdf"]


def test_restart_gives_the_source_again(source: Path, tmp_path: Path) -> None:
    with work_file(source, tmp_path / "target.pdf") as work:
        work.stream.seek(0)
        work.stream.write(bytes(400_000))
        work.restart(source)
        work.stream.seek(0)
        assert work.stream.read() == source.read_bytes()


def test_no_room_for_the_copy(source: Path, tmp_path: Path) -> None:
    """A real limit of the system: files of this process may not grow beyond 100,000 octets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError) as caught, work_file(source, tmp_path / "target.pdf"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "storage_full"
    assert [p.name for p in tmp_path.iterdir()] == ["source.pdf"]


def test_no_room_while_writing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError), work_file(source, tmp_path / "target.pdf"):
        raise OSError(errno.ENOSPC, "no room")
    assert [p.name for p in tmp_path.iterdir()] == ["source.pdf"]


def test_other_failures_of_the_disk_are_ours(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InternalError), work_file(source, tmp_path / "target.pdf"):
        raise OSError(errno.EIO, "broken")


def test_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DocumentError), work_file(tmp_path / "absent.pdf", tmp_path / "target.pdf"):
        pass
    assert list(tmp_path.iterdir()) == []
