"""The working copy takes the target's place whole, or leaves nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from signsvc.errors import DocumentError, InternalError, StorageError
from signsvc.signing.workfile import mark, work_file


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


def test_a_base_of_another_hash_is_refused(source: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    for wanted in (sha256, sha256.upper()):
        with work_file(source, tmp_path / "target.pdf", wanted):
            mark(source, wanted)
    for refused in ("0" * 64, "", sha256[:-1]):
        with pytest.raises(DocumentError, match="base_changed"), work_file(source, tmp_path / "target.pdf", refused):
            pytest.fail("it was opened")
        with pytest.raises(DocumentError, match="base_changed"):
            mark(source, refused)
    assert [p.name for p in tmp_path.iterdir()] == ["source.pdf"]


def _appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def _rewritten(path: Path) -> None:
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("change", [_appended, _replaced, _rewritten, Path.unlink])
def test_a_source_that_changes_meanwhile_is_not_signed(
    source: Path, tmp_path: Path, change: Callable[[Path], object], same: bool
) -> None:
    target = source if same else tmp_path / "target.pdf"
    with work_file(source, target) as work:
        work.stream.seek(0, 2)
        work.stream.write(b"more")
        change(source)
        kept = source.read_bytes() if source.exists() else None
        with pytest.raises(DocumentError, match="base_changed"):
            work.commit()
    assert (source.read_bytes() if source.exists() else None) == kept
    assert [p.name for p in tmp_path.iterdir()] == (["source.pdf"] if kept is not None else [])


def test_a_source_that_changes_is_not_begun_anew(source: Path, tmp_path: Path) -> None:
    with work_file(source, tmp_path / "target.pdf") as work:
        _appended(source)
        with pytest.raises(DocumentError, match="base_changed"):
            work.restart(source)
        source.unlink()
        with pytest.raises(DocumentError, match="unreadable"):
            work.restart(source)
