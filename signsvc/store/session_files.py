"""Files of open signing sessions, by session and name: each appears whole or not at all, all go with the session."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from signsvc.errors import InternalError
from signsvc.store.blobs import CHUNK, STALE_SECONDS, full_disk

_NAME = re.compile(r"[a-z0-9_-]{1,80}\Z")


class SessionFiles:
    """Files under `root`, a directory that all hosts share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, session: str, name: str, source: Path, *, start: int = 0) -> None:
        """Keep what `source` holds from octet `start` on.  Raises `StorageError` (storage_full)."""
        place = self.path(session, name)
        with full_disk():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as target, source.open("rb") as stream:
                    stream.seek(start)
                    shutil.copyfileobj(stream, target, CHUNK)
                    target.flush()
                    os.fsync(target.fileno())
                Path(temporary).replace(place)
            finally:
                Path(temporary).unlink(missing_ok=True)

    def path(self, session: str, name: str) -> Path:
        """Where a file stands or would stand."""
        if not _NAME.match(session) or not _NAME.match(name):
            raise InternalError
        return self._root / session / name

    def remove(self, session: str, name: str) -> None:
        """Forget one file; one that is not there is no error."""
        self.path(session, name).unlink(missing_ok=True)

    def old(self) -> Iterator[str]:
        """Sessions with files of which none was added lately (`STALE_SECONDS`)."""
        limit = time.time() - STALE_SECONDS
        with suppress(OSError):
            for entry in self._root.iterdir():
                if _NAME.match(entry.name) and entry.stat().st_mtime < limit:
                    yield entry.name

    def clear(self, session: str) -> None:
        """Forget all files of a session."""
        shutil.rmtree(self.path(session, "x").parent, ignore_errors=True)
