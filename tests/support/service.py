"""``signsvc serve`` over a whole installation, in a process of its own, and a small client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signsvc.store import Scope, Store
from tests.support.installation import Installation


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json.get("code"))


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and one API key for it."""

    bind: str
    key: str
    installation: Installation
    process: subprocess.Popen[bytes]
    log: Path

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, key: str | None = None
    ) -> Answer:
        host, _, port = self.bind.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=120)
        try:
            sent = {"Authorization": f"Bearer {key or self.key}", **(headers or {})}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def sign(self, content: bytes, profile: str, credential: str, headers: dict[str, str] | None = None) -> Answer:
        sent = {"Content-Type": "application/pdf", "Accept": "application/pdf", **(headers or {})}
        return self.call("POST", f"/v1/sign?profile={profile}&credential={credential}", content, sent)

    def verify(self, content: bytes, query: str = "") -> Answer:
        return self.call("POST", f"/v1/verify{query}", content, {"Content-Type": "application/pdf"})

    def children(self) -> dict[int, str]:
        """Process id -> command line of everything below the service."""
        found: dict[int, str] = {}
        waiting = [self.process.pid]
        while waiting:
            parent = waiting.pop()
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{parent}/task").iterdir():
                    for child in (task / "children").read_text().split():
                        command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                        found[int(child)] = command
                        waiting.append(int(child))
        return found


@contextlib.contextmanager
def running(installation: Installation, *, worker: bool = False, **server: object) -> Iterator[Service]:
    """Start the service on a free port, with a worker for jobs or without, and wait until it is ready; stop it at the
    end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = installation.settings
    store = Store(settings.database_url, settings.blob_dir)
    secret = store.api_keys.create("tests", list(Scope), now=datetime.now(UTC)).secret
    store.close()
    environment = {**os.environ, **installation.environment, "SIGNSVC_SERVER__BIND": bind}
    environment |= {f"SIGNSVC_SERVER__{name.upper()}": str(value) for name, value in server.items()}
    environment["SIGNSVC_JOBS__WORKER"] = str(worker).lower()
    log = installation.directory / "service.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "signsvc", "serve"], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    service = Service(bind, secret, installation, process, log)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(OSError):
                if service.call("GET", "/readyz").status == 200:
                    break
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
