"""Blobs in a local directory, named by their SHA-256 and sharded by its first octets.

A blob appears whole or not at all: it is written beside its place, synced, then renamed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signsvc.errors import RequestError, StorageError

_NAME = re.compile(r"[0-9a-f]{64}\Z")

# Octets copied at a time; large enough that hashing dominates, small enough to stay in cache.
CHUNK = 1 << 20


@contextmanager
def full_disk() -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into `StorageError` (storage_full)."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError("storage_full") from None
        raise


class BlobDirectory:
    """Blobs under `root`, which is made on first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Where the blob stands.  Raises `RequestError` (not_found) where it does not exist."""
        place = self._place(sha256)
        if not place.is_file():
            raise RequestError("not_found")
        return place

    def add(self, source: Path) -> tuple[str, int]:
        """Copy a file in; returns its SHA-256 (hex) and size.  Raises `StorageError` (storage_full)."""
        with full_disk():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o750)
            handle, name = tempfile.mkstemp(dir=self.root, prefix=".new-")
            temporary = Path(name)
            try:
                digest, size = hashlib.sha256(), 0
                with os.fdopen(handle, "wb") as target, source.open("rb") as stream:
                    while chunk := stream.read(CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
                        target.write(chunk)
                    target.flush()
                    os.fsync(target.fileno())
                sha256 = digest.hexdigest()
                place = self._place(sha256)
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                temporary.replace(place)
            finally:
                temporary.unlink(missing_ok=True)
        return sha256, size

    def remove(self, sha256: str) -> None:
        """Forget a blob; one that is not there is no error."""
        self._place(sha256).unlink(missing_ok=True)

    def check(self) -> None:
        """Prove that something can be written.  Raises `StorageError` or `OSError`."""
        with full_disk():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o750)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"\0" * 4096)
                probe.flush()

    def _place(self, sha256: str) -> Path:
        if not _NAME.match(sha256):
            raise RequestError("not_found")
        return self.root / sha256[:2] / sha256[2:4] / sha256
