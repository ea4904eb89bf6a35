"""A circuit breaker per server: after some failures in a row it is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Server = tuple[str, int]


class Breaker:
    """Thread-safe.  After `failures` in a row a server is refused for `pause` seconds; then one call may try."""

    def __init__(self, failures: int = 3, pause: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._pause = pause
        self._clock = clock
        self._state: dict[Server, tuple[int, float]] = {}  # failures in a row, closed until
        self._lock = threading.Lock()

    def allows(self, server: Server) -> bool:
        """Whether to call now.  A True after a pause is the one trial: others wait for its result."""
        with self._lock:
            count, until = self._state.get(server, (0, 0.0))
            if count < self._failures:
                return True
            now = self._clock()
            if now < until:
                return False
            self._state[server] = (count, now + self._pause)
            return True

    def succeeded(self, server: Server) -> None:
        with self._lock:
            self._state.pop(server, None)

    def failed(self, server: Server) -> None:
        with self._lock:
            count, _ = self._state.get(server, (0, 0.0))
            if server not in self._state and len(self._state) >= 1000:
                del self._state[next(iter(self._state))]  # hostile documents can name many servers
            self._state[server] = (count + 1, self._clock() + self._pause)
