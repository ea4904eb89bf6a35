"""kill -9 of web workers, signing workers, token process, job worker and whole service while clients sign.

Every client retries with its idempotency key.  Afterwards each key has exactly one answer, each answer is a valid
file, and nothing half-made is left anywhere.  The seed is printed: SIGNSVC_KILL_SEED repeats a run.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import itertools
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    with made.config.open("a", encoding="utf-8") as config:
        config.write("[jobs]\npoll_seconds = 0.2\nlease_seconds = 2\nretry_seconds = 0.5\nretry_max_seconds = 2\n")
    with running(made, worker=True, workers=2, threads=4) as found:
        yield found


def signed(service: Service, content: bytes, key: str, deadline: float, more: str = "") -> tuple[Answer, Counter[str]]:
    """Sign as a client does that wants its file: again with the same key until there is an answer."""
    seen: Counter[str] = Counter()
    while True:
        assert time.monotonic() < deadline, seen
        try:
            answer = service.sign(content, "pades-b-b", f"person{more}", {"Idempotency-Key": key})
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


def batch(service: Service, contents: Sequence[bytes], deadline: float) -> str:
    """Begin a batch as a client does that wants it begun once; the job."""
    entries = [{"content": base64.b64encode(content).decode()} for content in contents]
    body = json.dumps({"profile": "pades-b-b", "credential": "person", "documents": entries})
    while True:
        assert time.monotonic() < deadline
        headers = {"Content-Type": "application/json", "Idempotency-Key": "batch"}
        try:
            answer = service.call("POST", "/v1/batches", body, headers)
        except (OSError, http.client.HTTPException):
            continue
        if answer.status == 202:
            return str(answer.json["id"])
        assert answer.code in PASSING, answer.body
        time.sleep(0.2)


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
    if kind == "signing":
        return [pid for pid, command in below.items() if "signsvc.signing.worker" in command]
    if kind == "worker":  # the one that works, not the one that starts it again
        return [pid for pid, command in below.items() if command.rstrip().endswith("worker --tied")]
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
    # Spread over the whole run: one in each equal part of what is to be answered.
    moments = [(n + chance.random()) * DOCUMENTS / len(plan) for n in range(len(plan))]
    picks = random.Random(seed + 1)
    answered = itertools.count(1)
    progress = [0]
    deadline = time.monotonic() + _SECONDS
    done, killed = threading.Event(), Counter[str]()

    def later(number: int) -> str:
        return "&raise_to=B-T" if number % 10 == 5 else ""

    def killer() -> None:
        for kind, moment in zip(plan, moments, strict=True):
            found: list[int] = []
            while progress[0] < moment - 1 or not (found := victims(service, kind)):
                if done.wait(0.02):
                    return
            with contextlib.suppress(ProcessLookupError):  # it goes by itself
                os.kill(picks.choice(found), signal.SIGKILL)
                killed[kind] += 1

    def one(number: int) -> tuple[Answer, Counter[str]]:
        found = signed(service, documents[number], f"run-{number}", deadline, later(number))
        progress[0] = next(answered)
        return found

    thread = threading.Thread(target=killer)
    thread.start()
    several = [base + b"%% several %d\n" % n for n in range(DOCUMENTS // 5)]
    job = batch(service, several, deadline)
    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(one, range(DOCUMENTS)))
    done.set()
    thread.join()
    assert set(killed) == set(kinds), killed
    seen = sum((count for _, count in answers), Counter())
    print(f"killed {dict(killed)}, clients saw {dict(seen)}")

    # One signature in each file, one file for each key, whoever asks again.
    assert all(len(values(answer.body)) == 1 for answer, _ in answers)
    assert len({values(answer.body)[0] for answer, _ in answers}) == DOCUMENTS
    for number in chance.sample(range(DOCUMENTS), 10):
        again, _ = signed(service, documents[number], f"run-{number}", time.monotonic() + 20, later(number))
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

    # What was put off is done as well: each document of the batch once, each level raised once.
    def settled() -> bool:
        return not rows("SELECT position FROM job_items WHERE state IN ('waiting', 'running')")

    def rows(query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as raw:
            return raw.execute(query).fetchall()

    database = service.installation.data_dir / "signsvc.db"
    wait_for(settled, 60, f"open: {rows('SELECT job_id, position, state, error FROM job_items')}")
    listed = service.call("GET", f"/v1/jobs/{job}/items?limit=1000").json["items"]
    assert [item["state"] for item in listed] == ["succeeded"] * len(several)
    made = [service.call("GET", item["result"]["document"]["href"]).body for item in listed]
    assert all(f.startswith(c) and len(values(f)) == 1 for f, c in zip(made, several, strict=True))
    raised = [json.loads(r[0]) for r in rows("SELECT result FROM job_items WHERE job_id <> " + f"'{job}'")]
    assert len(raised) == sum(bool(later(number)) for number in range(DOCUMENTS))
    assert {found["level"] for found in raised} == {"B-T"}
    signatures = rows("SELECT id FROM signatures")
    assert len(signatures) == DOCUMENTS + len(several)

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
        kept = raw.execute("SELECT count(*) FROM idempotency WHERE answer IS NOT NULL").fetchone()[0]
        (health,) = raw.execute("PRAGMA integrity_check").fetchone()
    raw.close()
    stored = {p.name for p in (data / "blobs").rglob("*") if p.is_file() and "sessions" not in p.parts}
    assert health == "ok"
    expected = {hashlib.sha256(answer.body).hexdigest() for answer, _ in answers}
    expected |= {hashlib.sha256(content).hexdigest() for content in (*several, *made)}
    expected |= {found["document"]["sha256"] for found in raised}
    assert stored == known == expected
    assert kept == DOCUMENTS + 1 + len(several)


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


class CuttingProxy:
    """A reverse proxy that hands requests on, and cuts off the client of the first `cuts` once the service has all of
    the request: before its answer, or within it."""

    def __init__(self, bind: str, cuts: int, after: int) -> None:
        host, _, port = bind.partition(":")
        self._target = (host, int(port))
        self._cuts, self._after = cuts, after
        self.cut = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.bind = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            length = int(found[1]) if found else 0
            while len(body) < length:
                body += client.recv(65536)
            server.sendall(head + b"\r\n\r\n" + body)
            cutting = self.cut < self._cuts
            self.cut += cutting
            passed = 0
            while data := server.recv(65536 if not cutting else max(1, self._after - passed)):
                if cutting and passed + len(data) > self._after:
                    return
                client.sendall(data)
                passed += len(data)


@pytest.mark.parametrize("after", [0, 2000], ids=["before the answer", "within it"])
def test_a_proxy_that_loses_the_answer_costs_no_second_signature(service: Service, after: int) -> None:
    content = sample("van-ban.pdf").read_bytes() + b"%% proxy %d\n" % after
    database = service.installation.data_dir / "signsvc.db"

    def count() -> int:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as raw:
            return int(raw.execute("SELECT count(*) FROM signatures").fetchone()[0])

    before = count()
    proxy = CuttingProxy(service.bind, cuts=2, after=after)
    try:
        answer, seen = signed(replace(service, bind=proxy.bind), content, f"proxy-{after}", time.monotonic() + 30)
    finally:
        proxy.close()
    assert (proxy.cut, seen["connection"]) == (2, 2)
    direct, again = signed(service, content, f"proxy-{after}", time.monotonic() + 30)
    assert again["replayed"] == 1
    assert direct.body == answer.body
    assert len(values(answer.body)) == 1
    assert count() == before + 1
