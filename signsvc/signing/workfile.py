"""The file that is worked on: a copy beside the target, which takes the target's place at the end or vanishes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from signsvc.errors import DocumentError, InternalError, StorageError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

CHUNK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# By which a file is told from another one, or from itself at another time: device, inode, size, time of the last write.
Mark = tuple[int, int, int, int]


class WorkFile:
    """A private copy of a document, opened for reading and writing."""

    def __init__(
        self,
        stream: BinaryIO,
        path: Path,
        source: Path,
        target: Path,
        size: int,
        state: Hash,
        mark: Mark,
        *,
        durable: bool = True,
    ) -> None:
        self.stream = stream
        self.path = path
        self._source = source
        self._mark = mark  # of the source before it was copied
        self.base_size = size  # of the document without what is added here
        self._state = state  # SHA-256 over the document, taken while it was copied
        self._target = target
        self._durable = durable
        self.committed = False

    @property
    def state(self) -> Hash:
        """That of a SHA-256 over the document without what is added here."""
        return self._state.copy()

    def restart(self, source: Path) -> None:
        """Make it a fresh copy of `source` again.  Raises `DocumentError` (``base_changed``) where it changed."""
        self.stream.seek(0)
        self.stream.truncate()
        with _opened(source) as original:
            _, state = _copy(original, self.stream)
        if state.digest() != self._state.digest():
            raise DocumentError("base_changed")

    def octets(self) -> bytes:
        """All of it."""
        self.stream.seek(0)
        return self.stream.read()

    def rewrite(self, data: bytes) -> None:
        """Make it `data`, of formats that do not append to the document."""
        self.stream.seek(0)
        self.stream.truncate()
        self.stream.write(data)
        self.stream.flush()
        self.base_size, self._state = 0, hashlib.sha256()

    def commit(self) -> tuple[str, int]:
        """Put it in the target's place, whole; its SHA-256 in hex and its size.

        Raises `DocumentError` (``base_changed``) where somebody wrote to the source meanwhile: what they wrote would
        be lost where source and target are one, and be passed over where they are not.
        """
        self.stream.flush()
        if self._durable:
            os.fsync(self.stream.fileno())
        self.stream.seek(self.base_size)
        state = self._state.copy()
        while chunk := self.stream.read(CHUNK):
            state.update(chunk)
        size = self.stream.tell()
        check_unchanged(self._source, self._mark)
        self.path.replace(self._target)
        self.committed = True
        return state.hexdigest(), size


@contextlib.contextmanager
def work_file(
    source: Path, target: Path, base_sha256: str | None = None, *, durable: bool = True
) -> Iterator[WorkFile]:
    """A copy of `source` in the directory of `target` (they may be the same file); gone afterwards unless committed,
    and then, where it is `durable`, on the disk.

    Raises `StorageError` (``storage_full``) where there is no room, here or in the body, and `DocumentError` where
    the source is no readable file, or not the one with the SHA-256 `base_sha256` (``base_changed``).
    """
    path: Path | None = None
    work: WorkFile | None = None
    try:
        with contextlib.ExitStack() as stack:
            original = stack.enter_context(_opened(source))
            descriptor, name = tempfile.mkstemp(prefix=".signsvc-", suffix=".part", dir=target.parent)
            path = Path(name)
            stream = stack.enter_context(os.fdopen(descriptor, "r+b"))
            # mkstemp makes private files; the result is as readable as the document it comes from
            os.fchmod(stream.fileno(), os.fstat(original.fileno()).st_mode & 0o666)
            before = _mark(os.fstat(original.fileno()))
            size, state = _copy(original, stream)
            if base_sha256 is not None and state.hexdigest() != base_sha256.lower():
                raise DocumentError("base_changed")
            work = WorkFile(stream, path, source, target, size, state, before, durable=durable)
            yield work
    except OSError as error:
        if error.errno in FULL:
            raise StorageError("storage_full") from None
        raise InternalError from error
    finally:
        if path is not None and not (work is not None and work.committed):
            path.unlink(missing_ok=True)


def mark(source: Path, base_sha256: str | None = None) -> Mark:
    """What `check_unchanged` later compares with.  Raises `DocumentError`: ``document_unreadable``, and
    ``base_changed`` where the file is not the one with the SHA-256 `base_sha256`."""
    with _opened(source) as file:
        found, state = _mark(os.fstat(file.fileno())), hashlib.sha256()
        while base_sha256 is not None and (chunk := file.read(CHUNK)):
            state.update(chunk)
    if base_sha256 is not None and state.hexdigest() != base_sha256.lower():
        raise DocumentError("base_changed")
    return found


def check_unchanged(source: Path, before: Mark) -> None:
    """Raises `DocumentError` (``base_changed``) where `source` is gone, was replaced or was written to."""
    try:
        if _mark(source.stat()) == before:
            return
    except OSError:
        pass
    raise DocumentError("base_changed")


def _mark(found: os.stat_result) -> Mark:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _opened(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError:
        raise DocumentError("document_unreadable") from None


def _copy(original: BinaryIO, stream: BinaryIO) -> tuple[int, Hash]:
    size, state = 0, hashlib.sha256()
    while chunk := original.read(CHUNK):
        stream.write(chunk)
        state.update(chunk)
        size += len(chunk)
    stream.flush()
    return size, state
