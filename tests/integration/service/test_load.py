"""Eight threads sign through HTTP with a token; killing the token's process loses nothing but what it was doing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from signsvc.samples import path as sample
from tests.support.service import Service

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
DOCUMENTS = 2000 if FULL else 200


@pytest.mark.full
def test_eight_threads_sign_and_every_file_verifies(service: Service) -> None:
    base = sample("van-ban.pdf").read_bytes()
    digests: set[str] = set()
    lock = threading.Lock()

    def one(number: int) -> str:
        credential = ("person", "agency", "ec", "rsa3072")[number % 4]
        signed = service.sign(base, "pades-b-b", credential)
        if signed.status != 200:
            return f"sign {signed.status} {signed.body[:300]!r}"
        with lock:
            digests.add(signed.headers["repr-digest"])
        report = service.verify(signed.body)
        return str(report.json.get("indication", report.body[:300]))

    with ThreadPoolExecutor(8) as threads:
        answers = Counter(threads.map(one, range(DOCUMENTS)))
    assert answers == {"TOTAL-PASSED": DOCUMENTS}
    assert len(digests) >= 2  # not one stored answer handed out again and again


def test_killing_the_token_process_costs_only_what_it_was_doing(service: Service) -> None:
    base = sample("van-ban.pdf").read_bytes()
    killed: list[int] = []
    finished = threading.Event()

    def killer() -> None:
        give_up = time.monotonic() + 30
        while len(killed) < 3 and time.monotonic() < give_up:
            time.sleep(0.5)
            for pid in token_processes(service):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        time.sleep(1)
        finished.set()

    def one(_: int) -> str:
        answer = service.sign(base, "pades-b-b", "person")
        if answer.status == 200:
            return "signed"
        assert answer.json["retryable"] is True, answer.body
        assert answer.status == 503
        return answer.code

    def signing(_: int) -> Counter[str]:
        told: Counter[str] = Counter()
        while not finished.is_set() or told.total() < 15:
            told[one(0)] += 1
        return told

    assert one(0) == "signed"  # a token process is up before the first is killed
    thread = threading.Thread(target=killer)
    thread.start()
    with ThreadPoolExecutor(8) as threads:
        answers = sum(threads.map(signing, range(8)), Counter())
    thread.join()
    assert len(killed) >= 3
    assert answers["signed"] >= 60, answers
    assert set(answers) <= {"signed", "token_removed", "token_timeout", "token_not_present", "token_error"}, answers
    deadline = time.monotonic() + 10
    while one(0) != "signed":
        assert time.monotonic() < deadline


def token_processes(service: Service) -> list[int]:
    """Token processes of this service: they hold its runtime directory's socket."""
    marker = str(service.installation.data_dir)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if "token_process" in command and marker in command:
                found.append(int(entry.name))
    return found
