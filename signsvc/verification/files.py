"""The octets of files that are verified."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signsvc.errors import DocumentError

# Above this size the file is mapped, not read: the page cache holds it once for all workers.
MAP_ABOVE = 1024 * 1024


@contextmanager
def opened(path: Path, *, empty: bool = False) -> Iterator[bytes | mmap.mmap]:
    """The octets of a file: read when small, mapped when large.  Raises `DocumentError` (``empty_document``) unless
    it may be `empty`."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size == 0 and not empty:
            raise DocumentError("empty_document")
        file.seek(0)
        if size <= MAP_ABOVE:
            yield file.read()
            return
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield mapped
        finally:
            try:
                mapped.close()
            except BufferError:  # a view is still held by a traceback; the garbage collector closes it
                pass
