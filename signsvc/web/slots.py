"""How many documents one worker process takes at a time.

Threads are fewer than connections: without a bound, slow uploads would take them all and the health page would not
answer.  A burst waits here for its turn; the server has a thread for everyone in work or waiting, and one more for
health and pages (`signsvc.web.server`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from signsvc.errors import SignsvcError
from signsvc.web import metrics

# How long a waiting request waits for a slot.
WAIT_SECONDS = 10.0


class Slots:
    def __init__(self, count: int, waiting: int = 1, wait: float = WAIT_SECONDS) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._waiting = threading.BoundedSemaphore(waiting)
        self._wait = wait

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a slot.  Raises `SignsvcError` (busy) where none becomes free in time."""
        if not self._free.acquire(blocking=False):
            if not self._waiting.acquire(blocking=False):
                raise SignsvcError("busy")
            try:
                if not self._free.acquire(timeout=self._wait):
                    raise SignsvcError("busy")
            finally:
                self._waiting.release()
        metrics.IN_FLIGHT.inc()
        try:
            yield
        finally:
            metrics.IN_FLIGHT.dec()
            self._free.release()
