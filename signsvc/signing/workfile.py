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


class WorkFile:
    """A private copy of a document, opened for reading and writing."""

    def __init__(self, stream: BinaryIO, path: Path, target: Path, size: int, state: Hash) -> None:
        self.stream = stream
        self.path = path
        self.base_size = size  # of the document without what is added here
        self._state = state  # SHA-256 over the document, taken while it was copied
        self._target = target
        self.committed = False

    def restart(self, source: Path) -> None:
        """Make it a fresh copy of `source` again."""
        self.stream.seek(0)
        self.stream.truncate()
        with source.open("rb") as original:
            self._state = _copy(original, self.stream)[1]

    def commit(self) -> tuple[str, int]:
        """Put it in the target's place, whole; its SHA-256 in hex and its size."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.seek(self.base_size)
        state = self._state.copy()
        while chunk := self.stream.read(CHUNK):
            state.update(chunk)
        size = self.stream.tell()
        self.path.replace(self._target)
        self.committed = True
        return state.hexdigest(), size


@contextlib.contextmanager
def work_file(source: Path, target: Path) -> Iterator[WorkFile]:
    """A copy of `source` in the directory of `target` (they may be the same file); gone afterwards unless committed.

    Raises `StorageError` (``storage_full``) where there is no room, here or in the body, and `DocumentError` where
    the source is no readable file.
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
            size, state = _copy(original, stream)
            work = WorkFile(stream, path, target, size, state)
            yield work
    except OSError as error:
        if error.errno in FULL:
            raise StorageError("storage_full") from None
        raise InternalError from error
    finally:
        if path is not None and not (work is not None and work.committed):
            path.unlink(missing_ok=True)


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
