"""Directories for files in work, which go with the process that holds them."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from signsvc.store import full_disk

_PREFIX = "job-"


@contextmanager
def directory(spool: Path) -> Iterator[Path]:
    """A private directory for one item, removed with all that is in it.  Raises `StorageError` (storage_full)."""
    with full_disk():
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=spool))
    held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with full_disk():
            yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(held)


def clean(spool: Path) -> None:
    """Remove what killed workers left: directories that nobody holds."""
    for entry in spool.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            held = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(held)
