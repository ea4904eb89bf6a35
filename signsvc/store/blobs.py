"""Blobs in a local directory, named by their SHA-256 and sharded by its first octets.

A blob appears whole or not at all: it is written beside its place, synced, then linked there.  Its first name carries
the process that writes it and stays until the database knows the blob, so that what a killed process leaves is found
without a search, and adopted or removed (`BlobDirectory.left_over`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from signsvc.errors import RequestError, StorageError
from signsvc.store import owners

_NAME = re.compile(r"[0-9a-f]{64}\Z")
_STAGED = re.compile(r"\.new-([0-9a-z_]+)-[^-]+\Z")

# Octets copied at a time; large enough that hashing dominates, small enough to stay in cache.
CHUNK = 1 << 20
# Seconds after which a staged file of a process that cannot be asked is left over: no document takes longer.
STALE_SECONDS = 3600.0


@contextmanager
def full_disk() -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into `StorageError` (storage_full)."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError("storage_full") from None
        raise


@dataclass(frozen=True, slots=True)
class Staged:
    """Octets on the disk that have no place yet."""

    path: Path
    sha256: str
    size: int


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

    def stage(self, source: Path) -> Staged:
        """Copy a file in, without a place: `place` gives it one, `discard` ends it.

        Raises `StorageError` (storage_full)."""
        with full_disk():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o750)
            handle, name = tempfile.mkstemp(dir=self.root, prefix=f".new-{owners.me()}-")
            try:
                digest, size = hashlib.sha256(), 0
                with os.fdopen(handle, "wb") as target, source.open("rb") as stream:
                    while chunk := stream.read(CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
                        target.write(chunk)
                    target.flush()
                    os.fsync(target.fileno())
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        return Staged(Path(name), digest.hexdigest(), size)

    def add(self, source: Path) -> tuple[str, int]:
        """Copy a file to its place at once; its SHA-256 (hex) and size.  Raises `StorageError` (storage_full)."""
        staged = self.stage(source)
        try:
            self.place(staged)
        finally:
            self.discard(staged)
        return staged.sha256, staged.size

    def place(self, staged: Staged) -> None:
        """Let the blob appear.  Called within the transaction that registers it: whoever holds the same lock sees
        both or neither.  Raises `StorageError` (storage_full)."""
        place = self._place(staged.sha256)
        with full_disk():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            try:
                os.link(staged.path, place)
            except FileExistsError:
                pass  # the same octets
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                    raise
                staged.path.replace(place)  # a file system without links

    def discard(self, staged: Staged) -> None:
        """Forget the first name of a staged file."""
        staged.path.unlink(missing_ok=True)

    def left_over(self) -> Iterator[Staged]:
        """Staged files whose process is no more; what cannot be read is passed over."""
        for path in sorted(self.root.glob(".new-*")):
            named = _STAGED.match(path.name)
            alive = owners.alive(named[1]) if named else None
            try:
                old = time.time() - path.stat().st_mtime > STALE_SECONDS
                if alive or (alive is None and not old):
                    continue
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                    yield Staged(path, digest, stream.tell())
            except OSError:
                continue

    def has(self, sha256: str) -> bool:
        """Whether the blob stands."""
        return self._place(sha256).is_file()

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
