"""The service under gunicorn: framing, memory, slow clients, stopping."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from signsvc.web.server import clean_spool

MIB = 1 << 20
FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"


def pieces(size: int, step: int = 1 << 16) -> Iterator[bytes]:
    head = b"%PDF-1.7\n"
    yield head
    left = size - len(head)
    zeros = bytes(step)
    while left:
        yield zeros[: min(step, left)]
        left -= min(step, left)


def post(running: Any, size: int, *, chunked: bool, path: str = "/v1/verify") -> tuple[int, dict[str, Any]]:
    connection = running.connect(120)
    headers = {"Authorization": f"Bearer {running.key}", "Content-Type": "application/pdf"}
    if not chunked:
        headers["Content-Length"] = str(size)
    try:
        connection.request("POST", path, body=pieces(size), headers=headers, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def spool(running: Any) -> list[str]:
    return [entry.name for entry in (running.data / "spool").iterdir()]


def test_limits_hold_however_the_body_is_framed(serve: Any) -> None:
    running = serve(max_body_bytes=MIB)
    for chunked in (True, False):
        status, problem = post(running, MIB + 1, chunked=chunked)
        assert (status, problem["code"], problem["data"]["limit"]) == (413, "document_too_large", MIB)
        status, answer = post(running, MIB, chunked=chunked)
        assert status != 413, answer
    assert spool(running) == []


def test_a_cut_chunked_body_is_refused(serve: Any) -> None:
    running = serve()
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as raw:
        raw.sendall(
            b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/pdf\r\nTransfer-Encoding: chunked\r\n"
            b"Authorization: Bearer " + running.key.encode() + b"\r\n\r\n9\r\n%PDF-1.7\n\r\nff\r\nabc"
        )
        raw.shutdown(socket.SHUT_WR)
        answer = raw.recv(65536)
    assert b" 200 " not in answer.split(b"\r\n", 1)[0]
    assert running.get("/healthz")[0] == 200
    assert spool(running) == []


@pytest.mark.full
def test_large_bodies_go_to_the_disk(serve: Any) -> None:
    size = 1024 * MIB if FULL else 103 * MIB
    running = serve()
    before = running.peak_memory()
    for chunked in (False, True):
        status, answer = post(running, size, chunked=chunked)
        assert status in (200, 422), answer
    peak = running.peak_memory()
    assert peak < 150 * MIB, (before, peak)
    assert spool(running) == []


def test_slow_uploads_do_not_stop_the_probes(serve: Any) -> None:
    running = serve(threads=2, max_in_flight=3)
    head = (
        b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/pdf\r\nContent-Length: 1000\r\n"
        b"Authorization: Bearer " + running.key.encode() + b"\r\n\r\n%PDF-"
    )
    slow = [socket.create_connection(("127.0.0.1", running.port), timeout=30) for _ in range(2)]
    try:
        for raw in slow:
            raw.sendall(head)
        time.sleep(0.5)
        started = time.monotonic()
        waiting = threading.Thread(target=post, args=(running, 100), kwargs={"chunked": False})
        waiting.start()  # the one that may wait for a slot
        time.sleep(0.2)
        assert running.get("/healthz", timeout=5)[0] == 200
        status, problem = post(running, 100, chunked=False)
        assert (status, problem["code"], problem["retryable"]) == (503, "busy", True)
        assert running.get("/healthz", timeout=5)[0] == 200
        assert time.monotonic() - started < 8
    finally:
        for raw in slow:
            raw.close()
        waiting.join()


def test_a_dripping_body_is_given_up(serve: Any) -> None:
    running = serve(body_timeout_seconds=1)
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw:
        raw.sendall(
            b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/pdf\r\nContent-Length: 100000\r\n"
            b"Authorization: Bearer " + running.key.encode() + b"\r\n\r\n%PDF-"
        )
        raw.settimeout(0.2)
        answer = b""
        while time.monotonic() - started < 15 and not answer:
            raw.sendall(b"x")
            try:
                answer = raw.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert time.monotonic() - started < 10
    assert spool(running) == []


def test_sigterm_lets_requests_finish(serve: Any) -> None:
    running = serve()
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw:
        raw.sendall(
            b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/pdf\r\nContent-Length: 20\r\n"
            b"Authorization: Bearer " + running.key.encode() + b"\r\n\r\n%PDF-"
        )
        time.sleep(0.3)
        running.process.terminate()
        time.sleep(0.3)
        raw.sendall(b"x" * 15)
        answer = raw.recv(65536)
    assert re.match(rb"HTTP/1.1 (200|422) ", answer), answer
    assert running.process.wait(timeout=60) == 0


def test_log_lines_hold_no_secrets(serve: Any) -> None:
    running = serve()
    running.get("/v1/policies?secret=12345678")
    assert running.stop() == 0
    text = running.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {line["route"] for line in lines if line.get("event") == "request"} >= {"/v1/policies"}
    assert "12345678" not in text
    assert running.key not in text


def test_workers_share_their_metrics(serve: Any) -> None:
    running = serve(workers=2)
    for _ in range(20):
        assert running.get("/version")[0] == 200
    found = re.search(
        rb'signsvc_http_requests_total{method="GET",route="/version",status="200"} (\d+)', running.get("/metrics")[1]
    )
    assert found is not None
    assert int(found[1]) == 20


def test_headers_without_end_hold_no_threads(serve: Any) -> None:
    running = serve(threads=1, max_in_flight=2)
    slow = []
    try:
        for _ in range(3):  # as many as there are threads
            sock = socket.create_connection(("127.0.0.1", running.port))
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            slow.append(sock)
        begun = time.monotonic()
        for _ in range(30):
            for sock in slow:
                with contextlib.suppress(OSError):
                    sock.sendall(b"x")
            try:
                assert running.get("/healthz", timeout=1)[0] == 200
                break
            except TimeoutError:
                continue
        assert time.monotonic() - begun < 30
        for sock in slow:
            sock.settimeout(60)
            with contextlib.suppress(ConnectionError):
                assert sock.recv(1) == b""
    finally:
        for sock in slow:
            sock.close()


def test_what_a_killed_process_left_is_removed(serve: Any) -> None:
    running = serve()
    (worker,) = running.workers()
    connection = running.connect()
    connection.putrequest("POST", "/v1/verify")
    connection.putheader("Authorization", f"Bearer {running.key}")
    connection.putheader("Content-Type", "application/pdf")
    connection.putheader("Content-Length", str(MIB))
    connection.endheaders(b"%PDF-1.7")
    directory = running.data / "spool"
    deadline = time.monotonic() + 20
    while not list(directory.glob("request-*/document")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (left,) = directory.glob("request-*")
    clean_spool(directory, older_than=-1)
    assert left.is_dir(), "held by the worker"
    os.kill(worker, signal.SIGKILL)
    connection.close()
    while running.workers() in ([], [worker]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    clean_spool(directory)
    assert left.is_dir(), "too new to be sure"
    clean_spool(directory, older_than=-1)
    assert not left.exists()


def test_a_burst_waits_for_its_turn(serve: Any) -> None:
    running = serve(threads=2)
    with ThreadPoolExecutor(24) as callers:
        answers = list(callers.map(lambda _: post(running, 1000, chunked=False)[0], range(24)))
    assert 503 not in answers, answers
