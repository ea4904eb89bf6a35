"""One HTTP/1.1 exchange over a socket whose every wait ends at one deadline.

The standard library's timeouts are per system call, so a server that sends one octet per second is never cut off.
Here the reader under `http.client` asks for the time left before each receive: headers, chunk sizes and body alike.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
import zlib
from collections.abc import Mapping
from typing import Any

from signsvc.net.rules import failed

_BLOCK = 64 * 1024


class _Reader(io.RawIOBase):
    def __init__(self, owner: Connection) -> None:
        self._owner = owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        owner = self._owner
        owner.sock.settimeout(owner.time_left())
        return owner.sock.recv_into(buffer)


class Connection:
    """An open socket to one checked address, plain or TLS; `deadline` is a `time.monotonic` value."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock = sock
        self.deadline = deadline
        self.used_at = time.monotonic()
        self.fresh = True

    def time_left(self) -> float:
        """Seconds to the deadline.  Raises `TimeoutError` when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    # What http.client wants of a socket
    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self), _BLOCK)

    def sendall(self, data: bytes) -> None:
        self.sock.settimeout(self.time_left())
        self.sock.sendall(data)

    def close(self) -> None:
        self.sock.close()


def connect(
    family: socket.AddressFamily, address: str, port: int, *, deadline: float, connect_timeout: float
) -> Connection:
    """A TCP connection to exactly this address.  Raises `OSError`."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(max(0.001, min(connect_timeout, deadline - time.monotonic())))
        sock.connect((address, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return Connection(sock, deadline)


def start_tls(connection: Connection, context: ssl.SSLContext, host: str) -> None:
    """TLS with the certificate checked for `host`.  Raises `OSError` (`ssl.SSLError`)."""
    connection.sock.settimeout(connection.time_left())
    connection.sock = context.wrap_socket(connection.sock, server_hostname=host)


def tunnel(connection: Connection, host: str, port: int, headers: Mapping[str, str]) -> None:
    """Ask a proxy for a way through (RFC 9110 §9.3.6).  Raises `UpstreamError`, `OSError`."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    connection.sendall("\r\n".join(lines).encode("latin-1"))
    # Octet by octet, so that nothing of the TLS stream is swallowed; a proxy's answer is short.
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        connection.sock.settimeout(connection.time_left())
        octet = connection.sock.recv(1)
        if not octet or len(head) > 8192:
            raise failed("protocol")
        head += octet
    status = head.split(b"\r\n", 1)[0].split()
    if len(status) < 2 or status[1] != b"200":
        raise failed("proxy")


def exchange(
    connection: Connection, method: str, target: str, headers: Mapping[str, str], body: bytes | None, limit: int
) -> tuple[int, dict[str, str], bytes, bool]:
    """Send one request and read the answer: status, headers (lower-case names), decoded body, reusable.

    Raises `UpstreamError` where the body is over `limit` octets or not decodable, `OSError` and
    `http.client.HTTPException` for the transport.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b""))
    response = http.client.HTTPResponse(connection, method=method)  # type: ignore[arg-type]
    try:
        response.begin()
        found = {name.lower(): value.strip() for name, value in response.getheaders()}
        if response.length is not None and response.length > limit:
            raise failed("too_large", limit=limit)
        content = _read(response, found.get("content-encoding", "identity").lower(), limit)
        keep = not response.will_close
    finally:
        response.close()
    return response.status, found, content, keep


def _read(response: http.client.HTTPResponse, encoding: str, limit: int) -> bytes:
    decoder = None
    if encoding in ("gzip", "x-gzip"):
        decoder = _Gzip(limit)
    elif encoding not in ("identity", ""):
        raise failed("encoding")
    content = bytearray()
    received = 0
    expected = response.length
    while block := response.read1(_BLOCK):
        received += len(block)
        if received > limit:
            raise failed("too_large", limit=limit)
        content += decoder.feed(block, limit - len(content)) if decoder else block
    if expected is not None and received < expected:
        raise failed("protocol")  # cut short
    if decoder is not None and not decoder.complete:
        raise failed("encoding")
    return bytes(content)


class _Gzip:
    """Bounded decoding of one or more gzip members."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def complete(self) -> bool:
        return self._member.eof

    def feed(self, block: bytes, room: int) -> bytes:
        made = bytearray()
        try:
            while block:
                if self._member.eof:
                    self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
                made += self._member.decompress(block, room - len(made) + 1)
                if len(made) > room:
                    raise failed("too_large", limit=self._limit)
                block = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error:
            raise failed("encoding") from None
        return bytes(made)
