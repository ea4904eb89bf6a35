"""Caches of positive, time-independent facts, bounded by what they hold."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """A map that forgets what was used least recently once the weights together exceed `limit`.  Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value for `key`, or None."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Keep `value`; one that alone exceeds the limit is not kept."""
        if weight > self._limit:
            return
        with self._lock:
            old = self._held.pop(key, None)
            if old is not None:
                self._weight -= old[1]
            self._held[key] = (value, weight)
            self._weight += weight
            while self._weight > self._limit:
                _, (_, freed) = self._held.popitem(last=False)
                self._weight -= freed

    def __len__(self) -> int:
        return len(self._held)
