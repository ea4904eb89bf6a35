"""kill -9 of web workers, signing workers, token process, job worker and whole service while clients sign.

Every client retries with its idempotency key.  Afterwards each key has exactly one answer, each answer is a valid
file, and nothing half-made is left anywhere.  The seed is printed: SIGNSVC_KILL_SEED repeats a run.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import random
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from signsvc.samples import path as sample
from tests.support.installation import install
from tests.support.service import Answer, Service, running

if TYPE_CHECKING:
    import test_pki
    from test_pki import softhsm as softhsm_tokens
    from test_pki.responders import Responders

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
DOCUMENTS = 1000 if FULL else 100
KILLS = 60 if FULL else 8
CLIENTS = 6
# What a retrying client may be told on the way.
PASSING = {"idempotency_in_progress", "busy", "token_removed", "token_timeout", "token_not_present", "token_error"}
PASSING |= {"worker_lost"}
_SECONDS = 600 if FULL else 60


@pytest.fixture(scope="module")
def service(
    pki: test_pki.Pki,
    responders: Responders,
    softhsm: softhsm_tokens.Token,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service of its own: nobody else's files are in its directories."""
    made = install(tmp_path_factory.mktemp("killed"), pki, responders, softhsm)
    with running(made, workers=2, threads=4) as found:
        yield found


def signed(service: Service, content: bytes, key: str, deadline: float) -> tuple[Answer, Counter[str]]:
    """Sign as a client does that wants its file: again with the same key until there is an answer."""
    seen: Counter[str] = Counter()
    while True:
        assert time.monotonic() < deadline, seen
        try:
            answer = service.sign(content, "pades-b-b", "person", {"Idempotency-Key": key})
        except (OSError, http.client.HTTPException):
            seen["connection"] += 1
            time.sleep(0.1)
            continue
        if answer.status == 200:
            seen["replayed"] += answer.headers.get("idempotency-replayed") == "true"
            return answer, seen
        seen[answer.code] += 1
        assert answer.code in PASSING, answer.body
        time.sleep(float(answer.headers.get("retry-after", "1")) / 5)


def victims(service: Service, kind: str) -> list[int]:
    """Processes of this service: web, signing, worker (jobs), token."""
    below = service.children()
    if kind == "token":
        marker = str(service.installation.data_dir).encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if b"signsvc.keys.token_process" in command and marker in command:
                found.append(int(entry.name))
        return found
    marks = {"signing": "signsvc.signing.worker", "worker": "signsvc worker"}
    if kind in marks:
        return [pid for pid, command in below.items() if marks[kind] in command]
    return [pid for pid, command in below.items() if "signsvc serve" in command]


def values(content: bytes) -> list[str]:
    return [v.decode() for v in re.findall(rb"/Contents\s*<([0-9A-Fa-f]{200,})>", content)]


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_each_key_has_one_valid_file_whoever_is_killed(service: Service, tmp_path: Path) -> None:
    seed = int(os.environ.get("SIGNSVC_KILL_SEED", str(random.SystemRandom().randrange(1 << 32))))
    print(f"SIGNSVC_KILL_SEED={seed}")
    chance = random.Random(seed)
    base = sample("van-ban.pdf").read_bytes()
    documents = [base + b"%% %d\n" % n for n in range(DOCUMENTS)]
    kinds = ("web", "signing", "token", "worker")
    plan = [kind for _ in range(KILLS // 4) for kind in chance.sample(kinds, 4)]
    pauses = [chance.uniform(0.02, 0.4) for _ in plan]
    deadline = time.monotonic() + _SECONDS
    done, killed = threading.Event(), Counter[str]()

    def killer() -> None:
        for kind, pause in zip(plan, pauses, strict=True):
            if done.wait(pause):
                return
            for pid in victims(service, kind)[:1]:
                os.kill(pid, signal.SIGKILL)
                killed[kind] += 1

    def one(number: int) -> tuple[Answer, Counter[str]]:
        return signed(service, documents[number], f"run-{number}", deadline)

    thread = threading.Thread(target=killer)
    thread.start()
    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(one, range(DOCUMENTS)))
    done.set()
    thread.join()
    assert len(killed) >= 2, killed
    seen = sum((count for _, count in answers), Counter())
    print(f"killed {dict(killed)}, clients saw {dict(seen)}")

    # One signature in each file, one file for each key, whoever asks again.
    assert all(len(values(answer.body)) == 1 for answer, _ in answers)
    assert len({values(answer.body)[0] for answer, _ in answers}) == DOCUMENTS
    for number in chance.sample(range(DOCUMENTS), 10):
        again, _ = signed(service, documents[number], f"run-{number}", time.monotonic() + 20)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.body == answers[number][0].body
        other = service.sign(documents[number] + b"%", "pades-b-b", "person", {"Idempotency-Key": f"run-{number}"})
        assert (other.status, other.code) == (422, "idempotency_key_reused")
    for number, (answer, _) in enumerate(answers):
        assert answer.body.startswith(documents[number])
        wanted = base64.b64decode(answer.headers["repr-digest"].split(":")[1])
        assert hashlib.sha256(answer.body).digest() == wanted
        if FULL or number % 10 == 0:
            assert service.verify(answer.body).json["indication"] == "TOTAL-PASSED"
    one_file = tmp_path / "signed.pdf"
    one_file.write_bytes(answers[0][0].body)
    said = subprocess.run(["pdfsig", str(one_file)], capture_output=True, text=True, check=False).stdout
    assert "Signature is Valid" in said

    # The database says the same as the directory of blobs, and nothing half-made is left.
    data = service.installation.data_dir

    def left() -> list[str]:
        found = [str(p) for p in (data / "spool").iterdir()] + [str(p) for p in (data / "blobs").glob(".new-*")]
        found += [str(p) for p in data.rglob("*.part")]
        with sqlite3.connect(f"file:{data / 'signsvc.db'}?mode=ro", uri=True) as raw:
            found += [str(row) for row in raw.execute("SELECT id, about FROM idempotency WHERE answer IS NULL")]
        raw.close()
        return found

    wait_for(lambda: not left(), 45, f"left over: {left()}")
    with sqlite3.connect(f"file:{data / 'signsvc.db'}?mode=ro", uri=True) as raw:
        known = {row[0] for row in raw.execute("SELECT sha256 FROM documents")}
        answered = raw.execute("SELECT count(*) FROM idempotency WHERE answer IS NOT NULL").fetchone()[0]
        (health,) = raw.execute("PRAGMA integrity_check").fetchone()
    raw.close()
    stored = {p.name for p in (data / "blobs").rglob("*") if p.is_file() and "sessions" not in p.parts}
    assert health == "ok"
    assert stored == known == {hashlib.sha256(answer.body).hexdigest() for answer, _ in answers}
    assert answered == DOCUMENTS


def test_the_whole_service_killed_and_started_again_hands_out_the_same(service: Service) -> None:
    base = sample("van-ban.pdf").read_bytes()
    first, _ = signed(service, base, "before", time.monotonic() + 30)
    with running(service.installation, workers=1) as other:
        children = list(other.children())
        begun: list[threading.Thread] = []

        def interrupted(number: int) -> None:
            try:
                other.sign(base, "pades-b-b", "person", {"Idempotency-Key": f"cut-{number}"})
            except (OSError, http.client.HTTPException):
                pass

        for number in range(4):
            begun.append(threading.Thread(target=interrupted, args=(number,)))
            begun[-1].start()
        time.sleep(0.03)
        for pid in (other.process.pid, *children):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for thread in begun:
            thread.join()
        other.process.wait()
    started = time.monotonic()
    with running(service.installation, workers=1) as fresh:
        answer = fresh.call(
            "POST",
            "/v1/sign?profile=pades-b-b&credential=person",
            base,
            {"Content-Type": "application/pdf", "Accept": "application/pdf", "Idempotency-Key": "before"},
            key=service.key,
        )
        assert answer.headers["idempotency-replayed"] == "true"
        assert answer.body == first.body
        for number in range(4):
            other_key = fresh.call(
                "POST",
                "/v1/sign?profile=pades-b-b&credential=person",
                base,
                {"Content-Type": "application/pdf", "Accept": "application/pdf", "Idempotency-Key": f"cut-{number}"},
                key=other.key,
            )
            assert other_key.status == 200, other_key.body  # at once: nobody waits for a dead process's lease
            assert len(values(other_key.body)) == 1
        assert time.monotonic() - started < 30


def test_a_client_that_goes_mid_way_gets_its_file_later(service: Service) -> None:
    base = sample("van-ban.pdf").read_bytes()
    host, _, port = service.bind.partition(":")
    headers = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/pdf"}
    # Mid-upload: nothing was begun.
    half = http.client.HTTPConnection(host, int(port), timeout=30)
    half.putrequest("POST", "/v1/sign?profile=pades-b-b&credential=person")
    for name, value in {**headers, "Idempotency-Key": "half", "Content-Length": str(len(base))}.items():
        half.putheader(name, value)
    half.endheaders(base[: len(base) // 2])
    half.close()
    whole, _ = signed(service, base + b"%half", "half", time.monotonic() + 30)
    assert "idempotency-replayed" not in whole.headers
    # Before the answer: it is made and kept all the same, once.
    gone = http.client.HTTPConnection(host, int(port), timeout=30)
    path = "/v1/sign?profile=pades-b-b&credential=person"
    gone.request("POST", path, base, {**headers, "Accept": "application/pdf", "Idempotency-Key": "gone"})
    gone.close()
    wait_for(lambda: service.sign(base, "pades-b-b", "person", {"Idempotency-Key": "gone"}).status == 200, 20, "gone")
    again, seen = signed(service, base, "gone", time.monotonic() + 30)
    assert seen["replayed"] == 1
    assert len(values(again.body)) == 1
