"""OCSP, CRL, AIA and TSA on one loopback port, truthful until told otherwise."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from test_pki.answers import TSAS, Answers, Body
from test_pki.faults import TRANSPORT, Faults
from test_pki.pki import Pki, now
from test_pki.spec import HOSTS

_MAX_REQUEST = 64 * 1024
_BLOCK = bytes(64 * 1024)


class Responders:
    """A context manager around the server.

    Paths: /ocsp/<ca> (GET and POST), /crl/<ca>.crl, /crl/<ca>-100k.crl, /aia/<ca>.crt, /tsa/1, /tsa/2, and the
    short names of G1 (/pki/pub/crl/btc.crl). OCSP says "good" for serials it does not know, so that one-off
    certificates work. *clock* can be replaced at run time: it is the time in every answer.
    """

    def __init__(self, pki: Pki, host: str = "127.0.0.1", port: int = 0, clock: Callable[[], datetime] = now) -> None:
        self.pki = pki
        self.clock = clock
        self._usual_clock = clock
        self._faults = Faults()
        self._answers = Answers(pki, self._present)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._server = _Server((host, port), _Handler, self)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Responders:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.drop_connections()
        self._server.server_close()
        if self._thread:
            self._thread.join()

    def _present(self) -> datetime:
        return self.clock()

    @property
    def address(self) -> str:
        """host:port."""
        return "{}:{}".format(*self._server.server_address[:2])

    @property
    def host_map(self) -> dict[str, str]:
        """Host names inside the certificates -> where they are really served, for the product's host map."""
        return dict.fromkeys(HOSTS, self.address)

    def url(self, path: str) -> str:
        """Direct address of *path* on this server."""
        return f"http://{self.address}{path}"

    @property
    def requests(self) -> Counter[str]:
        """Requests so far by path; OCSP by GET counts under /ocsp/<ca>."""
        with self._lock:
            return Counter(self._counts)

    def fault(self, path_prefix: str, kind: str, times: int | None = None, **options: Any) -> None:
        """Misbehave on paths under *path_prefix*: kinds and options are in faults.py; several kinds add up.

        *times* limits it to so many requests. ValueError for an unknown kind or option.
        """
        self._faults.set(path_prefix, kind, times, **options)

    def stamp_with(self, number: str, tsa: str) -> None:
        """Let /tsa/<number> use the certificate labelled *tsa* until reset(); KeyError for an unknown label."""
        self.pki.spec(tsa)
        self._answers.tsas[number] = tsa

    def clear(self, path_prefix: str = "") -> None:
        """Turn faults off under *path_prefix*; without one, also reset the clock."""
        self._faults.clear(path_prefix)
        if not path_prefix:
            self.clock = self._usual_clock

    def reset(self) -> None:
        """No faults, the usual clock and time-stamp authorities, no counts."""
        self.clear()
        self._answers.tsas = dict(TSAS)
        with self._lock:
            self._counts.clear()

    def faults_for(self, path: str) -> dict[str, dict[str, Any]]:
        """Count one request to *path*; the faults that hold for it."""
        counted = "/".join(path.split("/")[:3]) if path.startswith("/ocsp/") else path
        with self._lock:
            self._counts[counted] += 1
        return self._faults.active(path)

    def body(self, path: str, request: bytes, faults: dict[str, dict[str, Any]]) -> Body | None:
        """The answer to one request, None for an unknown path."""
        return self._answers.body(path, request, faults)

    def control(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run one order of /control: {"path", "kind", options...}, {"clear": prefix}; the state afterwards.

        ValueError or TypeError for an order that makes no sense.
        """
        order = dict(order)
        if "clear" in order:
            self.clear(str(order.pop("clear")))
        if "kind" in order:
            path = str(order.pop("path", "/"))
            self.fault(path, str(order.pop("kind")), **order)
        return {"faults": self._faults.listed(), "requests": dict(sorted(self.requests.items()))}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], owner: Responders) -> None:
        super().__init__(address, handler)
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

    def server_bind(self) -> None:
        # HTTPServer looks up the host's full name here, which may ask a name server.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        with self._guard:
            for one in self._open:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are ordinary here; anything else shows up in the tests as a missing answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "test-pki"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited name
        pass

    def do_GET(self) -> None:
        self._serve(b"")

    def do_HEAD(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            self.close_connection = True
            self._send(411, "text/plain", b"length required\n")
            return
        if not 0 <= size <= _MAX_REQUEST:
            self.close_connection = True
            self._send(413, "text/plain", b"too long\n")
            return
        self._serve(self.rfile.read(size))

    def _serve(self, request: bytes) -> None:
        url = urllib.parse.urlsplit(self.path)
        owner = self.server.owner
        if url.path == "/control":
            self._control(url.query, request)
            return
        faults = owner.faults_for(url.path)
        if "slow" in faults:
            owner.stopping.wait(faults["slow"]["delay"])
        for kind in TRANSPORT:
            if kind in faults and (act := getattr(self, f"_act_{kind}", None)):
                act(**faults[kind])
                return
        body = owner.body(url.path, request, faults)
        if body is None:
            self._send(404, "text/plain", b"not found\n")
        elif "drip" in faults:
            self._drip(*body, **faults["drip"])
        elif "cut" in faults:
            self._cut(*body, **faults["cut"])
        else:
            self._send(200, *body)

    def _send(self, status: int, media_type: str, body: bytes, **headers: str) -> None:
        self._head(status, media_type, len(body), **headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, media_type: str, length: int | None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _control(self, query: str, request: bytes) -> None:
        if self.client_address[0] not in ("127.0.0.1", "::1"):
            self._send(403, "text/plain", b"loopback only\n")
            return
        try:
            order = json.loads(request) if request else _from_query(query)
            answer, status = self.server.owner.control(order), 200
        except (ValueError, TypeError, AttributeError) as error:
            answer, status = {"error": str(error)}, 400
        self._send(status, "application/json", json.dumps(answer, indent=1).encode() + b"\n")

    # Faults that need no true answer; named after their kind

    def _act_down(self, status: int) -> None:
        self._send(status, "text/plain", b"told to be down\n")

    def _act_refuse(self) -> None:
        self.close_connection = True
        # Zero linger: close() sends RST, the client sees "connection reset".
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _act_html(self) -> None:
        self._send(200, "text/html; charset=utf-8", "<html><body>Cổng đăng nhập</body></html>".encode())

    def _act_junk(self) -> None:
        self._send(200, self._usual_type(), b"\x30\x03\x02\x01\x2a")

    def _act_empty(self) -> None:
        self._send(200, self._usual_type(), b"")

    def _act_huge(self, size: int) -> None:
        self.close_connection = True
        self._head(200, self._usual_type(), size)
        for start in range(0, size, len(_BLOCK)):
            self.wfile.write(_BLOCK[: size - start])

    def _act_endless(self) -> None:
        self.close_connection = True
        self._head(200, self._usual_type(), None, Transfer_Encoding="chunked")
        while not self.server.owner.stopping.is_set():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(_BLOCK), _BLOCK))

    def _act_bomb(self, size: int) -> None:
        # Members of one mebibyte: making the bomb costs the server nothing.
        member = gzip.compress(bytes(1 << 20), 9, mtime=0)
        self._send(200, self._usual_type(), member * max(1, size >> 20), Content_Encoding="gzip")

    def _act_redirect_private(self, location: str) -> None:
        self._send(302, "text/plain", b"", Location=location)

    def _act_redirect_loop(self) -> None:
        self._send(302, "text/plain", b"", Location=self.path)

    def _drip(self, media_type: str, body: bytes, interval: float, size: int) -> None:
        self.close_connection = True
        self._head(200, media_type, len(body))
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            if self.server.owner.stopping.wait(interval):
                return

    def _cut(self, media_type: str, body: bytes, keep: float) -> None:
        self.close_connection = True
        self._head(200, media_type, len(body))
        self.wfile.write(body[: int(len(body) * keep)])

    def _usual_type(self) -> str:
        from test_pki import answers

        kinds = {"/tsa": answers.STAMP_TYPE, "/crl": answers.CRL_TYPE, "/ocs": answers.OCSP_TYPE}
        return kinds.get(self.path[:4], answers.CERT_TYPE)


def _from_query(query: str) -> dict[str, Any]:
    """Options of a query string; what looks like a number is one."""
    out: dict[str, Any] = {}
    for name, text in urllib.parse.parse_qsl(query, keep_blank_values=True):
        try:
            out[name] = int(text)
        except ValueError:
            try:
                out[name] = float(text)
            except ValueError:
                out[name] = text
    return out
