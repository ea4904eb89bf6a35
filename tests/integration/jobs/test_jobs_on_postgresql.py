"""Many machines: the service and two workers over one PostgreSQL, which holds ledger and queue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import test_pki
from signsvc.jobs import queue
from signsvc.samples import path as sample
from signsvc.settings import Settings, StoreSettings
from test_pki.responders import Responders
from tests.support.installation import install
from tests.support.postgres import Postgres
from tests.support.service import Service, running

PDF = sample("van-ban.pdf").read_bytes()
SENT = {"Content-Type": "application/pdf", "Accept": "application/json"}


@pytest.fixture(scope="module")
def service(
    pki: test_pki.Pki, responders: Responders, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    installation = install(tmp_path_factory.mktemp("machines"), pki, responders)
    text = installation.config.read_text("utf-8") + f'[store]\ndatabase_url = "{postgres.database()}"\n'
    text += "[jobs]\npoll_seconds = 0.2\nlease_seconds = 5\nretry_seconds = 0.5\nretry_max_seconds = 1\nthreads = 2\n"
    installation.config.write_text(text, "utf-8")
    with running(installation, workers=1) as found:
        yield found


@contextmanager
def worker(service: Service, name: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **service.installation.environment}
    with (service.installation.directory / name).open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "signsvc", "worker"], env=environment, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)


def wait(service: Service, signed: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while True:
        found: dict[str, Any] = service.call("GET", f"/v1/signatures/{signed['id']}").json
        if found["state"] == "succeeded":
            return found
        assert found["state"] == "raising"
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_two_workers_share_a_ledger_and_one_is_killed(service: Service, responders: Responders) -> None:
    query = "/v1/sign?profile=pades-b-b&credential=p12-person&raise_to=B-T"
    signed = [service.call("POST", query, PDF, SENT | {"Idempotency-Key": f"k{n}"}) for n in range(10)]
    assert {answer.status for answer in signed} == {200}
    again = service.call("POST", query, PDF, SENT | {"Idempotency-Key": "k0"})
    assert again.json["id"] == signed[0].json["id"]
    responders.fault("/tsa", "slow", delay=0.5)
    before = responders.requests["/tsa/1"]
    with ExitStack() as stack:
        first, second = (stack.enter_context(worker(service, name)) for name in ("worker-1", "worker-2"))
        deadline = time.monotonic() + 60
        while responders.requests["/tsa/1"] < before + 4:  # both have work
            assert time.monotonic() < deadline
            time.sleep(0.02)
        first.kill()
        raised = [wait(service, answer.json) for answer in signed]
        assert second.poll() is None
    for found in raised:
        report = service.verify(service.call("GET", found["document"]["href"]).body).json
        assert (report["signatures_count"], len(report["timestamps"])) == (1, 1)  # none was raised twice
        assert found["signature"]["level"] == "PAdES-B-T"
    done = [
        {line["job"] for line in map(json.loads, log.read_text().splitlines()) if line["event"] == "done"}
        for log in (service.installation.directory / name for name in ("worker-1", "worker-2"))
    ]
    assert not done[0] & done[1]
    assert len(done[0] | done[1]) >= 8  # the killed one may have had no time to tell of two


def test_workers_that_start_at_once_make_the_queue_together(postgres: Postgres, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, store=StoreSettings(database_url=postgres.database()))

    def make(_: int) -> int:
        made = queue.make(settings)
        try:
            return int(made.pending_count())
        finally:
            made.storage.close()

    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(make, range(12))) == {0}


def test_the_queue_is_there_too(service: Service) -> None:
    url = service.installation.settings.database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        names = {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert {"jobs", "job_items", "signatures", "idempotency", "signsvc_queue_task"} <= names
    assert not list(Path(service.installation.data_dir).glob("*.db"))
