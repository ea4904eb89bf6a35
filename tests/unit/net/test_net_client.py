"""The client against servers that lie, drip, flood and redirect."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from signsvc.errors import UpstreamError
from signsvc.net import HttpClient, NetRules
from signsvc.net.breaker import Breaker
from test_pki.responders import Responders

Script = Callable[[socket.socket, bytes], None]


class RawServer:
    """A loopback server that hands each request's head to a script; it counts connections and requests."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.heads: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._main = threading.Thread(target=self._accept, daemon=True)
        self._main.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                while True:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        block = connection.recv(4096)
                        if not block:
                            return
                        head += block
                    self.heads.append(head)
                    self.script(connection, head)
        except OSError:
            return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in (self._main, *self._threads):
            thread.join(5)


@pytest.fixture
def serve() -> Iterator[Callable[[Script], RawServer]]:
    servers: list[RawServer] = []

    def start(script: Script) -> RawServer:
        servers.append(RawServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def fixed(data: bytes) -> Script:
    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(data)

    return script


def client(*allow: str, resolver: Callable[[str, int], Sequence[str]] | None = None, **rules: object) -> HttpClient:
    return HttpClient(
        NetRules(allow=allow, connect_timeout=2, **{"total_timeout": 3.0, **rules}),  # type: ignore[arg-type]
        resolver=resolver,
    )


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(UpstreamError) as caught:
        call()
    return f"{caught.value.code.removeprefix('outbound_')}:{caught.value.data['reason']}"


def test_get_and_post(serve: Callable[[Script], RawServer]) -> None:
    server = serve(fixed(answer(b"hello", headers="Content-Type: application/PKIX-crl; x=y\r\n")))
    http = client(server.address)
    response = http.get(f"http://{server.address}/a?b#c")
    assert (response.status, response.body, response.media_type) == (200, b"hello", "application/pkix-crl")
    http.post(f"http://{server.address}/p", b"12345", content_type="application/ocsp-request")
    assert server.heads[0].startswith(b"GET /a?b HTTP/1.1\r\nHost: " + server.address.encode())
    assert b"Cookie" not in server.heads[0]
    assert b"Content-Length: 5" in server.heads[1]
    assert b"Content-Type: application/ocsp-request" in server.heads[1]
    assert server.connections == 1  # kept alive


def test_as_many_connections_are_kept_as_are_used_at_once(serve: Callable[[Script], RawServer]) -> None:
    together = threading.Barrier(16)

    def script(connection: socket.socket, head: bytes) -> None:
        together.wait(5)  # nobody is answered before all have asked
        connection.sendall(answer(b"x"))

    server = serve(script)
    http = client(server.address)
    with ThreadPoolExecutor(16) as threads:
        for _ in range(3):
            found = list(threads.map(lambda _: http.get(f"http://{server.address}/").body, range(16)))
            assert found == [b"x"] * 16
    assert server.connections == 16


def test_an_error_status_is_an_answer(serve: Callable[[Script], RawServer]) -> None:
    server = serve(fixed(answer(b"no", "404 Not Found")))
    assert client(server.address).get(f"http://{server.address}/").status == 404


def test_no_cookies_are_sent_back(serve: Callable[[Script], RawServer]) -> None:
    server = serve(fixed(answer(b"", headers="Set-Cookie: id=1\r\n")))
    http = client(server.address)
    for _ in range(2):
        http.get(f"http://{server.address}/")
    assert not any(b"ookie" in head for head in server.heads)


# Addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1%eth0", "100.64.1.1"]
)
def test_a_name_that_resolves_inside_is_refused(address: str) -> None:
    http = client(resolver=lambda host, port: [address])
    assert reason(lambda: http.get("http://crl.evil.example/")) == "refused:address"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "localhost"]
)
def test_loopback_by_any_spelling_is_refused(host: str) -> None:
    assert reason(lambda: client().get(f"http://{host}/")) == "refused:address"


def test_nothing_is_sent_to_a_refused_address(serve: Callable[[Script], RawServer]) -> None:
    server = serve(fixed(answer(b"secret")))
    http = client(f"other.example:{server.port}", resolver=lambda host, port: ["127.0.0.1"])
    assert reason(lambda: http.get(f"http://{server.address}/")) == "refused:port"
    assert server.connections == 0


def test_the_checked_address_is_the_one_called(
    serve: Callable[[Script], RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a second look-up would give another address; there is none."""
    server = serve(fixed(answer(b"right")))
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    def no_lookup(*args: object, **kwargs: object) -> object:
        raise AssertionError("the system's resolver was asked")

    monkeypatch.setattr(socket, "getaddrinfo", no_lookup)
    http = client(f"crl.noi-bo.vn:{server.port}", resolver=resolver)
    assert http.get(f"http://crl.noi-bo.vn:{server.port}/").body == b"right"
    assert asked == ["crl.noi-bo.vn"]
    assert f"Host: crl.noi-bo.vn:{server.port}".encode() in server.heads[0]


def test_public_addresses_are_chosen_among_several() -> None:
    tried: list[str] = []

    def refuse(address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError

    http = client(resolver=lambda host, port: ["10.0.0.1", "8.8.8.8", "127.0.0.1", "1.1.1.1"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.socket.connect", lambda self, address: refuse(address))
        assert reason(lambda: http.get("http://mixed.example/")) == "failed:connect"
    assert tried == ["8.8.8.8", "1.1.1.1"]


def test_a_name_that_does_not_resolve_fails() -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise socket.gaierror

    assert reason(lambda: client(resolver=resolver).get("http://ca.btc/")) == "failed:name"


def test_a_hanging_resolver_does_not_outlast_the_deadline() -> None:
    release = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        release.wait(10)
        return []

    started = time.monotonic()
    http = client(resolver=resolver, total_timeout=0.3)
    assert reason(lambda: http.get("http://slow-dns.example/")) == "failed:timeout"
    assert time.monotonic() - started < 2
    release.set()


# Redirects ---------------------------------------------------------------------------------------------------------


def redirecting(*locations: str) -> Script:
    left = list(locations)

    def script(connection: socket.socket, head: bytes) -> None:
        if left:
            connection.sendall(answer(b"", "302 Found", f"Location: {left.pop(0)}\r\n"))
        else:
            connection.sendall(answer(b"end"))

    return script


def test_three_redirects_are_followed_and_no_fourth(serve: Callable[[Script], RawServer]) -> None:
    server = serve(redirecting("/1", "2", "/3"))
    assert client(server.address).get(f"http://{server.address}/").body == b"end"
    assert [head.split()[1] for head in server.heads] == [b"/", b"/1", b"/2", b"/3"]
    looping = serve(redirecting("/1", "/2", "/3", "/4", "/5"))
    assert reason(lambda: client(looping.address).get(f"http://{looping.address}/")) == "refused:redirects"
    assert len(looping.heads) == 4


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://10.1.1.1/",
        "http://other.example/",  # resolves to loopback here
    ],
)
def test_a_redirect_does_not_lead_inside(serve: Callable[[Script], RawServer], location: str) -> None:
    server = serve(redirecting(location))
    http = client(f"crl.example:{server.port}", resolver=lambda host, port: ["127.0.0.1"])
    assert reason(lambda: http.get(f"http://crl.example:{server.port}/")) == "refused:address"


def test_a_redirect_may_not_use_what_the_operator_allowed_for_names(serve: Callable[[Script], RawServer]) -> None:
    inner = serve(fixed(answer(b"inner")))
    outer = serve(redirecting(f"http://admin.noi-bo.vn:{inner.port}/delete"))
    http = client(
        f"crl.example:{outer.port}", f"admin.noi-bo.vn:{inner.port}", resolver=lambda host, port: ["127.0.0.1"]
    )
    assert reason(lambda: http.get(f"http://crl.example:{outer.port}/")) == "refused:redirect"
    assert inner.connections == 0


def test_a_redirect_may_not_use_an_allowed_network(serve: Callable[[Script], RawServer]) -> None:
    server = serve(redirecting("http://10.1.1.1/"))
    http = client(server.address, "10.0.0.0/8")
    assert reason(lambda: http.get(f"http://{server.address}/")) == "refused:address"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://x/", "http://[", "http://u:p@x/"])
def test_a_redirect_to_nonsense_is_refused(serve: Callable[[Script], RawServer], location: str) -> None:
    server = serve(redirecting(location))
    assert reason(lambda: client(server.address).get(f"http://{server.address}/")).startswith("refused:")


def test_a_post_is_not_turned_into_a_get(serve: Callable[[Script], RawServer]) -> None:
    server = serve(redirecting("/x"))
    http = client(server.address)
    assert reason(lambda: http.post(f"http://{server.address}/", b"x", content_type="a/b")) == "refused:redirect"


# Sizes and time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ocsp", "tsa", "certificate"])
def test_floods_are_cut(responders: Responders, kind: str) -> None:
    http = client(responders.address)
    for fault in ("huge", "endless"):
        responders.fault("/aia", fault)
        assert reason(lambda: http.get(responders.url("/aia/root-g2.crt"), kind=kind)) == "failed:too_large"
        responders.clear()


def test_a_declared_length_over_the_cap_is_not_read(serve: Callable[[Script], RawServer]) -> None:
    server = serve(fixed(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"))
    started = time.monotonic()
    assert reason(lambda: client(server.address).get(f"http://{server.address}/", kind="ocsp")) == "failed:too_large"
    assert time.monotonic() - started < 1


def test_a_gzip_bomb_is_cut_at_the_cap(responders: Responders) -> None:
    import tracemalloc

    responders.fault("/crl", "bomb", size=3 << 30)  # 3 MB on the wire
    http = client(responders.address, total_timeout=20.0)
    tracemalloc.start()
    assert reason(lambda: http.get(responders.url("/crl/sub-g2-state.crl"), kind="crl")) == "failed:too_large"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 << 20


def test_a_list_may_have_ten_mebibytes_and_more_from_named_hosts_alone(serve: Callable[[Script], RawServer]) -> None:
    server = serve(fixed(answer(bytes(11 << 20))))
    url, name = f"http://crl.example:{server.port}/", f"crl.example:{server.port}"
    options: dict[str, object] = {"resolver": lambda host, port: ["127.0.0.1"]}
    assert reason(lambda: client(name, **options).get(url, kind="crl")) == "failed:too_large"  # type: ignore[arg-type]
    large = client(name, large_crl_hosts=("CRL.example",), **options)  # type: ignore[arg-type]
    assert len(large.get(url, kind="crl").body) == 11 << 20
    assert reason(lambda: large.get(url, kind="ocsp")) == "failed:too_large"


def test_gzip_is_decoded_and_other_encodings_are_refused(serve: Callable[[Script], RawServer]) -> None:
    body = gzip.compress(b"one") + gzip.compress(b"two")
    server = serve(fixed(answer(body, headers="Content-Encoding: gzip\r\n")))
    assert client(server.address).get(f"http://{server.address}/", kind="crl").body == b"onetwo"
    cut = serve(fixed(answer(body[:-6], headers="Content-Encoding: gzip\r\n")))
    assert reason(lambda: client(cut.address).get(f"http://{cut.address}/")) == "failed:encoding"
    brotli = serve(fixed(answer(b"xyz", headers="Content-Encoding: br\r\n")))
    assert reason(lambda: client(brotli.address).get(f"http://{brotli.address}/")) == "failed:encoding"


@pytest.mark.parametrize("where", ["status", "headers", "body", "chunks", "continue"])
def test_dripping_ends_at_the_deadline(serve: Callable[[Script], RawServer], where: str) -> None:
    start = {
        "status": b"",
        "headers": b"HTTP/1.1 200 OK\r\nX-Long: ",
        "body": b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n",
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "continue": b"",
    }[where]
    drop = {"chunks": b"1\r\nx\r\n", "continue": b"HTTP/1.1 100 Continue\r\n\r\n"}.get(where, b"x")

    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(start)
        for _ in range(100):
            connection.sendall(drop)
            time.sleep(0.05)

    server = serve(script)
    started = time.monotonic()
    http = client(server.address, total_timeout=0.5)
    assert reason(lambda: http.get(f"http://{server.address}/")) == "failed:timeout"
    assert time.monotonic() - started < 1.5


def test_the_callers_deadline_counts(responders: Responders) -> None:
    responders.fault("/crl", "slow", delay=5)
    started = time.monotonic()
    http = client(responders.address, total_timeout=20.0)
    assert reason(lambda: http.get(responders.url("/crl/root-g2.crl"), deadline=started + 0.3)) == "failed:timeout"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "data",
    [b"", b"junk\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"HTTP/1.1 200\r\nA: b\r\n" * 200],
)
def test_broken_answers_fail_in_words(serve: Callable[[Script], RawServer], data: bytes) -> None:
    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    server = serve(script)
    assert reason(lambda: client(server.address).get(f"http://{server.address}/")) in (
        "failed:connect",
        "failed:protocol",
    )


def test_a_closed_idle_connection_is_replaced(serve: Callable[[Script], RawServer]) -> None:
    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(answer(b"x"))
        connection.shutdown(socket.SHUT_RDWR)

    server = serve(script)
    http = client(server.address)
    for _ in range(3):
        assert http.get(f"http://{server.address}/").body == b"x"
        time.sleep(0.05)
    assert server.connections == 3


def test_threads_share_a_client(serve: Callable[[Script], RawServer]) -> None:
    server = serve(fixed(answer(b"x" * 1000)))
    http = client(server.address)
    wrong: list[object] = []

    def work() -> None:
        for _ in range(25):
            if http.get(f"http://{server.address}/").body != b"x" * 1000:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(server.heads) == 200


def test_a_forked_process_opens_its_own_connections(serve: Callable[[Script], RawServer]) -> None:
    server = serve(fixed(answer(b"x")))
    http = client(server.address)
    http.get(f"http://{server.address}/")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        http.get(f"http://{server.address}/")
    assert server.connections == 2


# Breaker and proxy -------------------------------------------------------------------------------------------------


def test_the_breaker_opens_and_tries_once_after_the_pause() -> None:
    now = [0.0]
    breaker = Breaker(failures=3, pause=30, clock=lambda: now[0])
    server = ("ca.gov.vn", 80)
    for _ in range(3):
        assert breaker.allows(server)
        breaker.failed(server)
    assert not breaker.allows(server)
    assert breaker.allows(("other", 80))
    now[0] = 31
    assert breaker.allows(server)
    assert not breaker.allows(server)  # others wait for the trial
    breaker.succeeded(server)
    assert breaker.allows(server)


def test_a_dead_server_is_left_alone(responders: Responders) -> None:
    responders.fault("/crl", "refuse")
    http = client(responders.address)
    outcomes = [reason(lambda: http.get(responders.url("/crl/root-g2.crl"))) for _ in range(5)]
    assert outcomes == ["failed:connect"] * 3 + ["failed:breaker"] * 2
    assert responders.requests["/crl/root-g2.crl"] == 3


def test_names_that_are_mapped_to_one_place_fail_each_on_its_own(responders: Responders) -> None:
    responders.fault("/tsa", "refuse")
    http = client(host_map=responders.host_map)
    for _ in range(4):
        reason(lambda: http.get("http://tsa.test-ca.gov.vn.test/tsa/1"))
    assert reason(lambda: http.get("http://tsa.test-ca.gov.vn.test/tsa/1")) == "failed:breaker"
    assert http.get("http://crl.test-ca.gov.vn.test/crl/root-g2.crl").status == 200


def test_what_a_server_answers_does_not_open_the_breaker(responders: Responders) -> None:
    http = client(responders.address)
    for fault in ("huge", "down", "huge", "down", "redirect_private"):
        responders.clear()
        responders.fault("/crl", fault)
        with suppress(UpstreamError):
            http.get(responders.url("/crl/root-g2.crl"), kind="ocsp")
    responders.clear()
    assert http.get(responders.url("/crl/root-g2.crl")).status == 200


def test_plain_requests_go_through_the_proxy(
    serve: Callable[[Script], RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(fixed(answer(b"via proxy")))
    http = client(proxy=f"http://user:hun%3Ater2@{proxy.address}", resolver=lambda host, port: ["8.8.8.8"])
    assert http.get("http://ca.gov.vn/pki/a.crl").body == b"via proxy"
    assert proxy.heads[0].startswith(b"GET http://ca.gov.vn/pki/a.crl HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpodW46dGVyMg==" in proxy.heads[0]
    inside = client(proxy=f"http://{proxy.address}", resolver=lambda host, port: ["10.0.0.1"])
    assert reason(lambda: inside.get("http://admin.noi-bo.vn/")) == "refused:address"


def test_the_environments_proxy_is_not_used(
    serve: Callable[[Script], RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = serve(fixed(answer(b"direct"))), serve(fixed(answer(b"proxied")))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{proxy.address}")
    assert client(server.address).get(f"http://{server.address}/").body == b"direct"


def test_tls_through_a_tunnel_asks_the_proxy_for_the_name(serve: Callable[[Script], RawServer]) -> None:
    proxy = serve(fixed(b"HTTP/1.1 403 Forbidden\r\n\r\n"))
    http = client(proxy=f"http://{proxy.address}", resolver=lambda host, port: ["8.8.8.8"])
    assert reason(lambda: http.get("https://rootca.gov.vn/")) == "failed:proxy"
    assert proxy.heads[0].startswith(b"CONNECT rootca.gov.vn:443 HTTP/1.1\r\n")
