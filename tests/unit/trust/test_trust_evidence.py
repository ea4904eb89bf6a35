"""The evidence cache: kept by kind, fetched once at a time, honest about failure."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from signsvc.errors import UpstreamError
from signsvc.net import HttpClient, NetRules
from signsvc.trust import EvidenceClient, FetchRequest
from test_pki.responders import Responders

CRL = "/crl/sub-g2-state.crl"


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def http(responders: Responders) -> HttpClient:
    return HttpClient(NetRules(allow=(responders.address,), total_timeout=5))


@pytest.fixture
def client(http: HttpClient, tmp_path: Path, clock: Clock) -> EvidenceClient:
    return EvidenceClient(http, tmp_path / "cache", clock=clock)


def crl(responders: Responders, **more: object) -> FetchRequest:
    return FetchRequest("crl", responders.url(CRL), **more)  # type: ignore[arg-type]


def test_a_value_is_fetched_once_and_kept_for_its_kind(
    client: EvidenceClient, responders: Responders, clock: Clock, http: HttpClient, tmp_path: Path
) -> None:
    first = client.fetched(crl(responders))
    assert first.body[:1] == b"\x30"
    assert not first.from_cache
    again = EvidenceClient(http, tmp_path / "cache", clock=clock).fetched(crl(responders))  # another process's client
    assert again.from_cache
    assert (again.body, again.stale) == (first.body, False)
    assert responders.requests[CRL] == 1
    clock.ahead = 3601
    assert not client.fetched(crl(responders)).from_cache
    assert responders.requests[CRL] == 2


@pytest.mark.parametrize(("kind", "path", "kept"), [("certificate", "/aia/root-g2.crt", 6 * 86400), ("crl", CRL, 3500)])
def test_kinds_are_kept_for_different_times(
    client: EvidenceClient, responders: Responders, clock: Clock, kind: str, path: str, kept: int
) -> None:
    request = FetchRequest(kind, responders.url(path))
    client(request)
    clock.ahead = kept
    assert client.fetched(request).from_cache


def test_the_body_is_part_of_the_key(client: EvidenceClient, responders: Responders, clock: Clock) -> None:
    from signsvc.trust.ocsp import ocsp_request
    from signsvc.types import Certificate

    pki = responders.pki
    issuer = Certificate.from_der(pki.cert("sub-g2-state"))
    url = responders.url("/ocsp/sub-g2-state")
    answers = []
    for label in ("person", "person2", "person"):
        body = ocsp_request(Certificate.from_der(pki.cert(label)), issuer)
        answers.append(client.fetch(FetchRequest("ocsp", url, body)))
    assert answers[0] == answers[2] != answers[1]
    assert responders.requests["/ocsp/sub-g2-state"] == 2
    clock.ahead = 301
    client.fetch(FetchRequest("ocsp", url, body))
    assert responders.requests["/ocsp/sub-g2-state"] == 3


def test_newer_than_asks_again_but_not_at_once(client: EvidenceClient, responders: Responders, clock: Clock) -> None:
    client(crl(responders))
    for _ in range(5):
        client(crl(responders, newer_than=datetime.now(UTC) + timedelta(days=1)))
    assert responders.requests[CRL] == 1
    clock.ahead = 60
    client(crl(responders, newer_than=datetime.now(UTC) - timedelta(hours=1)))  # the kept one is newer
    assert responders.requests[CRL] == 1
    client(crl(responders, newer_than=datetime.now(UTC) + timedelta(seconds=30)))
    assert responders.requests[CRL] == 2


def test_a_failure_is_remembered_for_a_minute(client: EvidenceClient, responders: Responders, clock: Clock) -> None:
    responders.fault("/crl", "down")
    reasons = []
    for _ in range(4):
        with pytest.raises(UpstreamError) as caught:
            client(crl(responders))
        reasons.append((caught.value.code, caught.value.data["reason"]))
    assert reasons == [("outbound_failed", "http_503")] * 4
    assert responders.requests[CRL] == 1
    responders.clear()
    clock.ahead = 61
    assert client(crl(responders))
    clock.ahead = 0
    assert client(crl(responders))  # success takes the memory of failure away


def test_a_kept_value_serves_while_the_server_fails(
    client: EvidenceClient, responders: Responders, clock: Clock
) -> None:
    first = client.fetched(crl(responders))
    responders.fault("/crl", "refuse")
    clock.ahead = 2 * 86400
    found = client.fetched(crl(responders))
    assert (found.body, found.stale, found.from_cache) == (first.body, True, True)
    assert abs(found.fetched_at - first.fetched_at) < timedelta(seconds=1)
    clock.ahead = 31 * 86400
    with pytest.raises(UpstreamError):
        client.fetched(crl(responders))


@pytest.mark.parametrize("fault", ["html", "junk", "empty", "cut", "try_later"])
def test_error_pages_never_enter_the_cache(
    client: EvidenceClient, responders: Responders, clock: Clock, fault: str
) -> None:
    from signsvc.trust.ocsp import ocsp_request
    from signsvc.types import Certificate

    pki = responders.pki
    body = ocsp_request(*(Certificate.from_der(pki.cert(label)) for label in ("person", "sub-g2-state")))
    request = FetchRequest("ocsp", responders.url("/ocsp/sub-g2-state"), body)
    responders.fault("/ocsp", fault)
    with pytest.raises(UpstreamError):
        client(request)
    responders.clear()
    clock.ahead = 61
    assert len(client(request)) > 500


def test_a_refusal_is_passed_on(tmp_path: Path) -> None:
    client = EvidenceClient(HttpClient(NetRules()), tmp_path)
    for _ in range(2):
        with pytest.raises(UpstreamError) as caught:
            client(FetchRequest("crl", "http://127.0.0.1/a.crl"))
        assert (caught.value.code, caught.value.data["reason"]) == ("outbound_refused", "address")
    with pytest.raises(UpstreamError):
        client(FetchRequest("shadow", "http://ca.gov.vn/"))


def test_many_threads_make_one_request(client: EvidenceClient, responders: Responders) -> None:
    responders.fault("/crl", "slow", delay=0.3)
    bodies: list[bytes] = []
    threads = [threading.Thread(target=lambda: bodies.append(client(crl(responders)))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == 10
    assert len(set(bodies)) == 1
    assert responders.requests[CRL] == 1


def _fetch(address: str, cache: Path, url: str) -> None:
    client = EvidenceClient(HttpClient(NetRules(allow=(address,), total_timeout=5)), cache)
    assert client(FetchRequest("crl", url))


def test_processes_make_one_request(responders: Responders, tmp_path: Path) -> None:
    responders.fault("/crl", "slow", delay=1.0)
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=_fetch, args=(responders.address, tmp_path, responders.url(CRL))) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert responders.requests[CRL] == 1


def test_waiting_for_another_ends_at_the_deadline(client: EvidenceClient, responders: Responders) -> None:
    responders.fault("/crl", "slow", delay=1.5)
    thread = threading.Thread(target=lambda: client(crl(responders)))
    thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    with pytest.raises(UpstreamError):
        client.fetch(crl(responders), deadline=started + 0.3)
    assert time.monotonic() - started < 1
    thread.join()


def test_without_a_directory_it_works_uncached(http: HttpClient, responders: Responders, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    client = EvidenceClient(http, tmp_path / "file")
    for _ in range(2):
        assert client(crl(responders))
    assert responders.requests[CRL] == 2


def test_pruning_drops_the_oldest(client: EvidenceClient, responders: Responders, tmp_path: Path) -> None:
    for label in ("root-g1", "root-g2", "root-public"):
        client(FetchRequest("certificate", responders.url(f"/aia/{label}.crt")))
    files = sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix == "")
    assert len(files) == 3
    for age, path in enumerate(files):
        os.utime(path, (time.time() - age * 20 * 86400,) * 2)
    client.prune()
    assert [path.exists() for path in files] == [True, True, False]
    client._max_bytes = files[0].stat().st_size
    client.prune()
    assert [path.exists() for path in files] == [True, False, False]


def test_a_few_large_values_are_pruned_as_well(client: EvidenceClient, responders: Responders, tmp_path: Path) -> None:
    client._max_bytes = 1
    for label in ("root-g1", "root-g2"):
        client(FetchRequest("certificate", responders.url(f"/aia/{label}.crt")))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix == ""]


# Before values end their time -----------------------------------------------------------------------------------


def test_lists_in_use_are_asked_for_before_they_end(
    client: EvidenceClient, responders: Responders, clock: Clock
) -> None:
    client(crl(responders))
    client(FetchRequest("certificate", responders.url("/aia/root-g1.crt")))
    assert list(client.refresh()) == []  # fresh enough
    clock.ahead = 3100
    (found,) = client.refresh()
    assert (found.url, found.problem) == (responders.url(CRL), None)
    clock.ahead = 3700  # its first time would be over
    assert client.fetched(crl(responders)).from_cache
    assert responders.requests == {CRL: 2, "/aia/root-g1.crt": 1}


def test_lists_that_nobody_uses_are_left_alone(client: EvidenceClient, responders: Responders, clock: Clock) -> None:
    client(crl(responders))
    for day in range(1, 7):
        clock.ahead = day * 86400
        assert len(list(client.refresh())) == 1
    clock.ahead = 8 * 86400  # being refreshed was no use
    assert list(client.refresh()) == []
    client(crl(responders))
    clock.ahead = 9 * 86400
    assert len(list(client.refresh())) == 1


def test_named_lists_are_asked_for_although_nobody_did(client: EvidenceClient, responders: Responders) -> None:
    url = responders.url(CRL)
    assert [(one.url, one.changed) for one in client.refresh(urls=(url, url))] == [(url, True)]
    assert list(client.refresh(urls=(url,))) == []
    assert client.fetched(crl(responders)).from_cache


def test_a_failing_server_is_told_and_the_kept_list_stays(
    client: EvidenceClient, responders: Responders, clock: Clock
) -> None:
    first = client.fetch(crl(responders))
    responders.fault("/crl", "down")
    clock.ahead = 3500
    missing = responders.url("/crl/sub-g2-party.crl")
    found = {one.url: one.problem for one in client.refresh(urls=(missing,))}
    assert found == {missing: "http_503", responders.url(CRL): "stale"}
    assert client.fetch(crl(responders)) == first


def test_a_large_list_is_indexed_while_nobody_waits(http: HttpClient, responders: Responders, tmp_path: Path) -> None:
    asked: list[int] = []
    client = EvidenceClient(http, tmp_path, indexer=lambda encoded: asked.append(len(encoded)))  # type: ignore[func-returns-value]
    list(client.refresh(urls=(responders.url("/crl/sub-g2-state-100k.crl"),)))
    assert len(asked) == 1


def test_the_service_looks_after_lists_until_it_stops(
    client: EvidenceClient, responders: Responders, clock: Clock
) -> None:
    client(crl(responders))
    clock.ahead = 3500
    stop = threading.Event()
    threads = [threading.Thread(target=client.keep_fresh, args=(stop, 0.05)) for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while responders.requests[CRL] < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert responders.requests[CRL] == 2


def test_a_server_is_spared_what_did_not_change(tmp_path: Path, clock: Clock) -> None:
    body = b"\x30" + bytes(5000)
    asked: list[tuple[str | None, str | None]] = []

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            pass

        def do_GET(self) -> None:
            asked.append((self.headers["If-None-Match"], self.headers["If-Modified-Since"]))
            same = self.headers["If-None-Match"] == '"one"'
            self.send_response(304 if same else 200)
            self.send_header("ETag", '"one"')
            self.send_header("Last-Modified", "Mon, 23 Nov 2026 00:00:00 GMT")
            self.send_header("Content-Length", "0" if same else str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if same else body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        client = EvidenceClient(HttpClient(NetRules(allow=(address,))), tmp_path, clock=clock)
        request = FetchRequest("crl", f"http://{address}/a.crl")
        assert client.fetch(request) == body
        clock.ahead = 4000
        found = client.fetched(request)
        assert (found.body, found.stale) == (body, False)
        assert client.fetched(request).from_cache
        server.shutdown()
    assert asked == [(None, None), ('"one"', "Mon, 23 Nov 2026 00:00:00 GMT")]


def test_what_is_kept_is_not_looked_for_ahead(
    client: EvidenceClient, responders: Responders, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(client, "_begin", begun.append)
    later = FetchRequest("crl", responders.url("/crl/root-g2.crl"))
    client.fetched(crl(responders, ahead=(later,)))
    assert len(begun) == 1
    client.fetched(later)
    client.fetched(crl(responders, ahead=(later,)))
    assert len(begun) == 1
    clock.ahead = 2 * 86400  # what is kept is too old
    client.fetched(crl(responders, ahead=(later,)))
    assert len(begun) == 2


def test_another_value_begins_another_generation(
    client: EvidenceClient, responders: Responders, http: HttpClient, tmp_path: Path, clock: Clock
) -> None:
    other = EvidenceClient(http, tmp_path / "cache", clock=clock)  # another process's client
    seen = [other.generation()]
    assert seen[0] is not None
    assert seen[0] == client.generation()

    def after(ahead: float) -> bool:
        """Whether there is another generation after the list was asked for again so many seconds later."""
        clock.ahead = ahead
        client.fetched(crl(responders))
        seen.append(other.generation())
        return seen[-1] != seen[-2]

    assert after(0)
    assert not after(1)
    assert not after(3601)  # the same list, fetched again
    responders.fault(CRL, "revoked", label="person")
    assert after(7300)
    assert len(set(seen)) == 3


def test_no_generation_where_nothing_is_kept(http: HttpClient, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file")
    assert EvidenceClient(http, tmp_path / "cache").generation() is None
