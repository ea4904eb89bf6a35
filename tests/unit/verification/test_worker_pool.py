"""Workers under limits: what dies, hangs or grows becomes a clear problem, and the next document is answered."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from signsvc.errors import BusyError, DocumentError, InternalError, SignsvcError, UpstreamError
from signsvc.trust.fetching import Fetched, FetchRequest
from signsvc.verification import Limits, TrustSource, Verifier, VerifyRequest, engine, frames, processes, worker
from signsvc.verification.model import fetch_from_json, fetch_to_json, fetched_from_json, fetched_to_json

REPORT = {"indication": "NO-SIGNATURE", "sub_indication": None, "signatures": []}


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7\n")
    return path


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """`forked(examine, **options)`: a verifier whose forked workers run `examine` in place of the engine's."""
    made: list[Verifier] = []
    # Forked workers begin as large as this process is by now.
    monkeypatch.setattr(processes, "RECYCLE_ABOVE", 1 << 60)
    monkeypatch.setattr(worker, "_TIDY_ABOVE", 1 << 60)

    def make(examine: Any, **options: Any) -> Verifier:
        def named(*args: Any, report_id: str, **options: Any) -> dict[str, Any]:
            return {"id": report_id, **examine(*args, report_id=report_id, **options)}

        monkeypatch.setattr(engine, "examine", named)
        monkeypatch.setattr(processes.Worker, "spawn", processes.Worker.fork)
        verifier = Verifier(TrustSource(tmp_path), fork=True, **options)
        made.append(verifier)
        return verifier

    yield make
    for verifier in made:
        verifier.close()


def test_a_worker_that_is_killed_is_a_problem_and_the_next_document_is_answered(forked: Any, document: Path) -> None:
    def examine(path: Path, request: VerifyRequest, **_: Any) -> dict[str, Any]:
        if request.name == "bad":
            os.kill(os.getpid(), signal.SIGKILL)
        return REPORT

    verifier = forked(examine)
    with pytest.raises(BusyError) as caught:
        verifier.verify(document, VerifyRequest(name="bad"))
    assert (caught.value.code, caught.value.retryable) == ("worker_lost", True)
    assert verifier.verify(document, VerifyRequest(name="good")).indication == "NO-SIGNATURE"


def test_a_document_that_workers_are_lost_over_again_and_again_is_to_blame(forked: Any, document: Path) -> None:
    def examine(path: Path, request: VerifyRequest, **_: Any) -> dict[str, Any]:
        if request.name == "bad":
            os.kill(os.getpid(), signal.SIGKILL)
        return REPORT

    verifier = forked(examine)
    other = document.with_name("b.pdf")
    other.write_bytes(b"%PDF-1.7\n%\n")
    copy = document.with_name("c.pdf")
    copy.write_bytes(document.read_bytes())
    for path in (document, copy, other):
        with pytest.raises(BusyError):
            verifier.verify(path, VerifyRequest(name="bad"))
    with pytest.raises(DocumentError) as caught:
        verifier.verify(document, VerifyRequest(name="bad"))
    assert (caught.value.code, caught.value.data) == ("document_too_complex", {"limit": "memory"})


def test_a_worker_that_hangs_is_stopped_at_the_wall_limit(forked: Any, document: Path) -> None:
    def examine(*_: Any, **__: Any) -> dict[str, Any]:
        time.sleep(60)
        return REPORT

    verifier = forked(examine, limits=Limits(wall_seconds=0.5))
    begun = time.monotonic()
    with pytest.raises(DocumentError) as caught:
        verifier.verify(document)
    assert caught.value.data == {"limit": "time"}
    assert time.monotonic() - begun < 10


def test_a_worker_that_computes_for_ever_is_stopped_at_the_cpu_limit(forked: Any, document: Path) -> None:
    def examine(*_: Any, **__: Any) -> dict[str, Any]:
        while True:
            pass

    verifier = forked(examine, limits=Limits(cpu_seconds=1, wall_seconds=30))
    with pytest.raises(DocumentError) as caught:
        verifier.verify(document)
    assert caught.value.data == {"limit": "cpu"}


def test_a_worker_that_grows_is_told_so(forked: Any, document: Path) -> None:
    def examine(*_: Any, **__: Any) -> dict[str, Any]:
        return {"x": bytearray(4 * 1024**3).hex()}

    verifier = forked(examine, limits=Limits(memory_bytes=1024**3))
    with pytest.raises(DocumentError) as caught:
        verifier.verify(document)
    assert (caught.value.code, caught.value.data) == ("document_too_complex", {"limit": "memory"})


def test_a_worker_that_stays_large_is_replaced(forked: Any, document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "RECYCLE_ABOVE", worker._resident() + 150 * 1024**2)
    kept: list[bytearray] = []

    def examine(path: Path, request: VerifyRequest, **_: Any) -> dict[str, Any]:
        if request.name == "large":
            kept.append(bytearray(b"x") * (300 * 1024**2))
        return {**REPORT, "pid": os.getpid()}

    verifier = forked(examine)
    first = verifier.verify(document, VerifyRequest(name="small")).report["pid"]
    assert verifier.verify(document, VerifyRequest(name="large")).report["pid"] == first
    assert verifier.verify(document, VerifyRequest(name="small")).report["pid"] != first


def test_a_worker_that_stays_large_after_a_problem_is_replaced(
    forked: Any, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "RECYCLE_ABOVE", worker._resident() + 150 * 1024**2)
    kept: list[bytearray] = []

    def examine(path: Path, request: VerifyRequest, **_: Any) -> dict[str, Any]:
        if request.name == "large":
            kept.append(bytearray(b"x") * (300 * 1024**2))
        if request.name:
            raise DocumentError("document_unreadable")
        return {**REPORT, "pid": os.getpid()}

    verifier = forked(examine)
    first = verifier.verify(document).report["pid"]
    for name, same in (("small", True), ("large", False)):
        with pytest.raises(DocumentError):
            verifier.verify(document, VerifyRequest(name=name))
        assert (verifier.verify(document).report["pid"] == first) is same


def test_a_worker_gives_back_what_a_large_document_left(
    forked: Any, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_TIDY_ABOVE", worker._resident() + 20 * 1024**2)

    def examine(path: Path, request: VerifyRequest, **_: Any) -> dict[str, Any]:
        if request.name != "large":
            return {**REPORT, "resident": worker._resident()}
        ring: list[Any] = [
            [str(n) * 9] for n in range(700_000)
        ]  # small objects in a cycle, which only a collection ends
        ring.append(ring)
        return {**REPORT, "resident": worker._resident()}

    verifier = forked(examine)
    small = verifier.verify(document, VerifyRequest(name="small")).report["resident"]
    large = verifier.verify(document, VerifyRequest(name="large")).report["resident"]
    after = verifier.verify(document, VerifyRequest(name="small")).report["resident"]
    assert large - small > 80 * 1024**2
    assert after - small < 24 * 1024**2


def test_a_defect_in_a_worker_is_an_internal_error_without_its_text(forked: Any, document: Path) -> None:
    def examine(*_: Any, **__: Any) -> dict[str, Any]:
        raise ZeroDivisionError("a secret of the document")

    verifier = forked(examine)
    with pytest.raises(SignsvcError) as caught:
        verifier.verify(document)
    assert caught.value.code == "internal_error"
    assert "secret" not in str(caught.value)


def test_a_worker_cannot_write_files(forked: Any, document: Path, tmp_path: Path) -> None:
    target = tmp_path / "written"

    def examine(*_: Any, **__: Any) -> dict[str, Any]:
        with target.open("wb") as out:
            out.write(b"x")
        return REPORT

    with pytest.raises(SignsvcError):
        forked(examine).verify(document)
    assert not target.exists() or target.read_bytes() == b""


def test_values_come_through_the_parent(forked: Any, document: Path) -> None:
    wanted = FetchRequest("ocsp", "http://ocsp.example/", b"\x30\x00", datetime(2026, 1, 1, tzinfo=UTC))
    asked: list[FetchRequest] = []

    def examine(path: Path, request: VerifyRequest, *, fetch: Any, **_: Any) -> dict[str, Any]:
        found = fetch(wanted)
        with pytest.raises(UpstreamError) as caught:
            fetch(FetchRequest("crl", "http://crl.example/"))
        return {**REPORT, "found": found.body.hex(), "code": caught.value.code}

    def fetch(request: FetchRequest) -> bytes:
        asked.append(request)
        if request.kind == "crl":
            raise UpstreamError("outbound_failed", reason="status 503")
        return b"\x00\xff" * 1000

    report = forked(examine, fetch=fetch).verify(document).report
    assert asked[0] == wanted
    assert bytes.fromhex(report["found"]) == b"\x00\xff" * 1000
    assert report["code"] == "outbound_failed"


def test_a_caller_waits_its_turn_and_is_told_busy(forked: Any, document: Path) -> None:
    def examine(*_: Any, **__: Any) -> dict[str, Any]:
        time.sleep(1)
        return REPORT

    verifier = forked(examine, busy_after=0.1)
    first = threading.Thread(target=verifier.verify, args=(document,))
    first.start()
    time.sleep(0.3)
    with pytest.raises(BusyError):
        verifier.verify(document)
    first.join()
    assert verifier.verify(document).indication == "NO-SIGNATURE"


def test_a_spawned_worker_answers(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pdf"
    empty.write_bytes(b"")
    text = tmp_path / "text.pdf"
    text.write_bytes(b"not a document")
    with Verifier(TrustSource(tmp_path)) as verifier:
        for path, code in ((empty, "empty_document"), (text, "unsupported_format"), (empty, "empty_document")):
            with pytest.raises(DocumentError) as caught:
                verifier.verify(path)
            assert caught.value.code == code


def test_requests_survive_the_way_to_a_worker() -> None:
    request = VerifyRequest("cong-vu", datetime(2027, 1, 1, tzinfo=UTC), (b"a",), (b"b", b"c"), (b"d",), True, "ă.pdf")
    assert VerifyRequest.from_json(request.to_json()) == request
    ahead = (FetchRequest("ocsp", "http://b/", b"ab"), FetchRequest("ocsp", "http://c/", b"c", others=("http://d/",)))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for wish in (
        FetchRequest("crl", "http://a/"),
        FetchRequest("ocsp", "http://a/", b"", now, ("http://b/", "http://c/"), ahead, "00ff"),
    ):
        assert fetch_from_json(*fetch_to_json(wish)) == wish
    for found in (Fetched(b"x", "http://a/"), Fetched(b"", "http://a/", now, True, True, True)):
        assert fetched_from_json(fetched_to_json(found), found.body) == found


_WISH = {"kind": "crl", "url": "x", "others": [], "body": None, "newer_than": None, "known": None}


@pytest.mark.parametrize("changes", [{"kind": "file"}, {"url": 5}, {"others": "x"}, {"others": [5]}, {"body": -1},
                                     {"body": 1}, {"body": "1"}, {"newer_than": "x"}, {"known": 5}])  # fmt: skip
def test_a_worker_gone_mad_cannot_ask_for_anything_else(changes: dict[str, Any]) -> None:
    assert fetch_from_json({"wishes": [_WISH]}, b"") == FetchRequest("crl", "x")
    with pytest.raises((ValueError, KeyError, TypeError)):
        fetch_from_json({"wishes": [{**_WISH, **changes}]}, b"")


@pytest.mark.parametrize("wanted", [{}, {"wishes": []}, {"wishes": {}}, {"wishes": [_WISH] * 100}, {"wishes": [{}]}])
def test_a_worker_gone_mad_cannot_ask_for_too_much(wanted: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        fetch_from_json(wanted, b"")


def test_an_answer_with_an_unknown_code_is_internal() -> None:
    assert processes.problem({"code": "made_up", "data": {"a": 1}}).code == "internal_error"


def test_frames_refuse_nonsense() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"\xff" * 12)
        with pytest.raises(frames.FrameError):
            frames.receive(right)
        with pytest.raises(frames.FrameTimeoutError):
            frames.receive(left, time.monotonic() + 0.05)


# a worker that was taken over ----------------------------------------------------------------------------------
def test_a_worker_cannot_put_its_report_in_the_place_of_another(forked: Any, document: Path) -> None:
    with pytest.raises(InternalError):
        forked(lambda *_, **__: {**REPORT, "id": "rep_of_somebody_else"}).verify(document)


def test_a_worker_out_of_step_is_not_asked_again(forked: Any, document: Path) -> None:
    """A wish that makes no sense ends the conversation: the worker still waits for its answer."""

    def examine(path: Path, request: VerifyRequest, *, fetch: Any, **_: Any) -> dict[str, Any]:
        if request.name == "bad":
            fetch(FetchRequest("file", "/etc/passwd"))
        return {**REPORT, "pid": os.getpid()}

    verifier = forked(examine, fetch=lambda _: b"")
    first = verifier.verify(document, VerifyRequest(name="good")).report["pid"]
    with pytest.raises(InternalError):
        verifier.verify(document, VerifyRequest(name="bad"))
    assert verifier.verify(document, VerifyRequest(name="good")).report["pid"] != first


def test_a_worker_that_does_not_read_its_answer_is_stopped(forked: Any, document: Path) -> None:
    def examine(path: Path, request: VerifyRequest, *, fetch: Any, **_: Any) -> dict[str, Any]:
        sock = fetch.__closure__[0].cell_contents
        frames.send(sock, {"fetch": fetch_to_json(FetchRequest("crl", "http://crl.example/"))[0]})
        time.sleep(60)
        return REPORT

    verifier = forked(examine, fetch=lambda _: bytes(64 << 20), limits=Limits(wall_seconds=1))
    begun = time.monotonic()
    with pytest.raises(DocumentError) as caught:
        verifier.verify(document)
    assert caught.value.data == {"limit": "time"}
    assert time.monotonic() - begun < 10


def test_a_worker_cannot_make_its_parent_take_large_wishes(forked: Any, document: Path) -> None:
    def examine(path: Path, request: VerifyRequest, *, fetch: Any, **_: Any) -> dict[str, Any]:
        fetch(FetchRequest("ocsp", "http://ocsp.example/", bytes(processes.MAX_WISH + 1)))
        return REPORT

    with pytest.raises(DocumentError):
        forked(examine, fetch=lambda _: b"").verify(document)


def test_a_worker_that_went_while_idle_is_no_fault_of_the_next_document(forked: Any, document: Path) -> None:
    verifier = forked(lambda *_, **__: {**REPORT, "pid": os.getpid()})
    first = verifier.verify(document).report["pid"]
    os.kill(first, signal.SIGKILL)
    time.sleep(0.1)
    assert verifier.verify(document).report["pid"] != first


def test_a_worker_knows_nothing_of_the_environment_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_PIN", "1234")
    monkeypatch.setenv("SIGNSVC_TSA__0__PASSWORD", "secret")
    made = processes.Worker.spawn("signsvc.verification.worker")
    try:
        deadline = time.monotonic() + 10
        while b"main()" not in Path(f"/proc/{made.pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        held = Path(f"/proc/{made.pid}/environ").read_bytes()
    finally:
        made.stop()
    assert b"PATH=" in held
    assert b"1234" not in held
    assert b"secret" not in held


def test_many_first_callers_do_not_start_many_workers(forked: Any, document: Path) -> None:
    """The fixture's verifier starts its first workers at once; the pool here has only places for them."""
    forked(lambda *_, **__: {**REPORT, "pid": os.getpid()}).close()
    pids: list[int] = []
    with Verifier(TrustSource(document.parent), workers=8) as verifier:
        threads = [
            threading.Thread(target=lambda: pids.append(verifier.verify(document).report["pid"])) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(pids) == 8
    assert len(set(pids)) == 1


def test_a_slow_worker_is_joined_by_another(forked: Any, document: Path) -> None:
    def examine(path: Path, request: VerifyRequest, **_: Any) -> dict[str, Any]:
        time.sleep(4 if request.name == "slow" else 0)
        return REPORT

    forked(examine).close()
    with Verifier(TrustSource(document.parent), workers=2) as verifier:
        slow = threading.Thread(target=verifier.verify, args=(document, VerifyRequest(name="slow")))
        slow.start()
        time.sleep(0.2)
        begun = time.monotonic()
        verifier.verify(document)
        assert time.monotonic() - begun < 3
        slow.join()


def test_workers_are_started_ahead_of_the_first_caller(forked: Any, document: Path) -> None:
    forked(lambda *_, **__: {**REPORT, "pid": os.getpid()}).close()
    with Verifier(TrustSource(document.parent), workers=3) as verifier:
        verifier.warm(1)
        verifier.warm(1)
        (first,) = verifier._pool._all
        assert verifier.verify(document).report["pid"] == first.pid
        verifier.warm()
        assert len(verifier._pool._all) == 3
