"""``signsvc serve`` as its users start it: a process of its own, on a free port."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signsvc.store import Scope, Store

MIB = 1 << 20


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    port: int
    data: Path
    log: Path
    key: str

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def get(self, path: str, timeout: float = 10) -> tuple[int, bytes]:
        connection = self.connect(timeout)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def peak_memory(self) -> int:
        """The largest resident size of any web process, in octets."""
        found = []
        for pid in (self.process.pid, *self.workers()):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    found.append(int(line.split()[1]) * 1024)
        return max(found)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start the service; keyword arguments are settings of its server section."""
    started: list[Running] = []

    def start(**server: object) -> Running:
        data = tmp_path / f"data{len(started)}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        store = Store.in_directory(data)
        scopes = [Scope.SIGN, Scope.VERIFY, Scope.READ]
        key = store.api_keys.create("test", scopes, now=datetime.now(UTC)).secret
        store.close()
        settings = {"workers": 1, "threads": 4, **server}
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SIGNSVC_")},
            "SIGNSVC_DATA_DIR": str(data),
            "SIGNSVC_MODE": "trial",
            "SIGNSVC_LIMITS__WORKERS": "1",
            "SIGNSVC_JOBS__WORKER": "false",
            **{f"SIGNSVC_SERVER__{name.upper()}": str(value) for name, value in settings.items()},
        }
        log = tmp_path / f"log{len(started)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "signsvc", "serve", "--bind", f"127.0.0.1:{port}"],
                env=environment, stdout=subprocess.DEVNULL, stderr=output, cwd=tmp_path,
            )  # fmt: skip
        found = Running(process, port, data, log, key)
        started.append(found)
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if found.get("/readyz")[0] == 200:
                    return found
            except OSError:
                time.sleep(0.05)

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
