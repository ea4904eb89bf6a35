"""Which authorities failed lately: one that fails twice in a row is asked last for a while that grows with every
failure.

A directory shared by the processes of a machine keeps what each has learned; without one it is this process's own.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

REST_AFTER = 2  # failures in a row
FIRST_REST = 5.0  # seconds
LONGEST_REST = 300.0
# One caller tries an authority after its rest; the others wait for what becomes of it, this long at most.
TRIAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Health:
    """How one authority does: `failures` in a row, `rests_until` (seconds since 1970, 0: it does not rest), and the
    `reason` of the last failure."""

    failures: int = 0
    rests_until: float = 0.0
    reason: str = ""


class TsaHealth:
    """Thread-safe.  Writing is not synchronized between processes: the last word counts."""

    def __init__(self, directory: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, Health]] = {}  # by name: the file's time, what it says

    def of(self, name: str) -> Health:
        """What is known of the authority `name`."""
        with self._lock:
            return self._read(name)

    def allows(self, name: str) -> bool:
        """Whether to ask in its turn.  A True after a rest is the one trial."""
        with self._lock:
            found = self._read(name)
            now = self._clock()
            if found.failures < REST_AFTER:
                return True
            if now < found.rests_until:
                return False
            self._write(name, Health(found.failures, now + TRIAL_SECONDS, found.reason))
            return True

    def succeeded(self, name: str) -> None:
        with self._lock:
            if self._read(name).failures:
                self._write(name, Health())

    def failed(self, name: str, reason: str) -> None:
        with self._lock:
            failures = self._read(name).failures + 1
            rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(failures - REST_AFTER, 20))
            until = self._clock() + rest if failures >= REST_AFTER else 0.0
            self._write(name, Health(failures, until, reason))

    def _read(self, name: str) -> Health:
        changed, known = self._known.get(name, (0, Health()))
        if self._directory is None:
            return known
        path = self._path(self._directory, name)
        try:
            written = path.stat().st_mtime_ns
            if written != changed:
                known = Health(**json.loads(path.read_text("utf-8")))
                self._known[name] = (written, known)
        except FileNotFoundError:
            return Health()  # whoever removes a note forgives
        except (OSError, ValueError, TypeError):
            return known
        return known

    def _write(self, name: str, health: Health) -> None:
        self._known[name] = (0, health)
        if self._directory is None:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(dir=self._directory, prefix=".new-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(health), file)
            path = self._path(self._directory, name)
            Path(temporary).replace(path)
            self._known[name] = (path.stat().st_mtime_ns, health)
        except OSError:
            self._directory = None  # what this process knows still counts for it

    @staticmethod
    def _path(directory: Path, name: str) -> Path:
        return directory / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
