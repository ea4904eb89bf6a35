"""The parts of an installation are made once, however many threads ask first."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from signsvc import store
from signsvc.services import Services
from signsvc.settings import Settings


def test_threads_that_ask_at_once_get_the_same_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    together = threading.Barrier(8)

    class Slow(store.Store):
        def __init__(self, url: str, blobs: Path) -> None:
            time.sleep(0.1)
            made.append(self)
            super().__init__(url, blobs)

    monkeypatch.setattr(store, "Store", Slow)
    with Services(Settings(data_dir=tmp_path, mode="trial")) as services, ThreadPoolExecutor(8) as threads:

        def ask(_: int) -> object:
            together.wait()
            return services.store

        assert len(set(map(id, threads.map(ask, range(8))))) == 1
    assert len(made) == 1
