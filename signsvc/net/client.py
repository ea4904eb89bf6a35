"""The guarded HTTP client."""

from __future__ import annotations

import base64
import functools
import http.client
import os
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from signsvc.errors import ConfigError, UpstreamError
from signsvc.net.breaker import Breaker
from signsvc.net.connection import Connection, connect, exchange, start_tls, tunnel
from signsvc.net.rules import Address, Gate, NetRules, Target, failed, is_public, literal, refused

Resolver = Callable[[str, int], Sequence[str]]  # (name, port) -> addresses; raises OSError
_Key = tuple[str, str, int]

_IDLE_SECONDS = 20.0
_IDLE_PER_SERVER = 32  # of those, as many as were in use at once
_IDLE_SERVERS = 64
_ADDRESSES_TRIED = 3


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer of any status; header names in lower case, the body decoded and complete."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def media_type(self) -> str:
        """The Content-Type without parameters, lower case; empty where there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class HttpClient:
    """All outbound calls of a process.  Thread-safe; after a fork it starts with no connections.

    No cookies, no proxies from the environment, TLS always checked.
    """

    def __init__(self, rules: NetRules | None = None, *, resolver: Resolver | None = None) -> None:
        self.rules = rules or NetRules()
        self.breaker = Breaker()
        self._gate = Gate(self.rules)
        self._resolver = resolver or _system_resolver
        self._proxy = _read_proxy(self.rules.proxy)
        self._idle: dict[_Key, list[Connection]] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    def get(
        self, url: str, *, kind: str = "other", headers: Mapping[str, str] | None = None, deadline: float | None = None
    ) -> Response:
        """GET, redirects followed.  `kind` (crl, ocsp, certificate, tsa, other) sets the size cap; `deadline` is a
        `time.monotonic` value that replaces the rules' total timeout.

        Raises `UpstreamError`: ``outbound_refused`` where a rule forbids the call, ``outbound_failed`` where it fails,
        both with a short `reason`.  An answer with an error status is returned, not raised.
        """
        return self._call("GET", url, None, kind, dict(headers or {}), deadline)

    def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str,
        kind: str = "other",
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
        follow: bool = True,
    ) -> Response:
        """POST `body`; as `get`, but of redirects only 307 and 308 are followed, and none without `follow`."""
        everything = {**(headers or {}), "Content-Type": content_type}
        return self._call("POST", url, body, kind, everything, deadline, redirects=None if follow else 0)

    def send(
        self,
        method: str,
        url: str,
        body: bytes,
        *,
        content_type: str,
        kind: str = "other",
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Response:
        """PUT, DELETE and the like, as `post`."""
        return self._call(method, url, body, kind, {**(headers or {}), "Content-Type": content_type}, deadline)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            _close_all(self._idle)

    # one call ---------------------------------------------------------------------------------------------------
    def _call(
        self,
        method: str,
        url: str,
        body: bytes | None,
        kind: str,
        headers: dict[str, str],
        deadline: float | None,
        redirects: int | None = None,
    ) -> Response:
        if deadline is None:
            deadline = time.monotonic() + self.rules.total_timeout
        before: Target | None = None
        for _ in range((self.rules.max_redirects if redirects is None else redirects) + 1):
            target = self._gate.target(url)
            response = self._guarded(method, target, body, kind, headers, deadline, before)
            location = response.headers.get("location")
            if response.status not in (301, 302, 303, 307, 308) or not location:
                return response
            if method != "GET" and response.status not in (307, 308):
                raise refused("redirect")
            if target.scheme == "https" and location.lower().startswith("http:"):
                raise refused("redirect")
            before = target
            try:
                url = urljoin(target.url, location)
            except ValueError:
                raise refused("redirect") from None
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        raise refused("redirects")

    def _guarded(
        self,
        method: str,
        target: Target,
        body: bytes | None,
        kind: str,
        headers: Mapping[str, str],
        deadline: float,
        before: Target | None,
    ) -> Response:
        server = (target.host, target.port)
        # A redirect may lead to a private address only on the server that was allowed to be there.
        redirected = before is not None and (before.host, before.port) != server
        if redirected and target.private:
            raise refused("redirect")
        # By the name in the URL: two services behind one mapped address fail each on its own.
        service = (target.name, target.port)
        if not self.breaker.allows(service):
            raise failed("breaker", host=target.host)
        try:
            response = self._once(method, target, body, kind, headers, deadline, redirected=redirected)
        except UpstreamError as error:
            # What a server answers is no reason to leave it alone: a document could choose the path.
            if error.data.get("reason") in ("timeout", "name", "proxy"):
                self.breaker.failed(service)
            raise
        except TimeoutError:
            self.breaker.failed(service)
            raise failed("timeout", host=target.host) from None
        except ssl.SSLError:
            self.breaker.failed(service)
            raise failed("tls", host=target.host) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.breaker.failed(service)
            reason = "connect" if isinstance(error, OSError) else "protocol"
            raise failed(reason, host=target.host) from None
        self.breaker.succeeded(service)
        return response

    def _once(
        self,
        method: str,
        target: Target,
        body: bytes | None,
        kind: str,
        headers: Mapping[str, str],
        deadline: float,
        *,
        redirected: bool,
    ) -> Response:
        everything = {
            "Host": target.authority,
            "User-Agent": self.rules.user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "gzip, identity" if kind == "crl" else "identity",
            **headers,
        }
        if any("\r" in text or "\n" in text for pair in everything.items() for text in pair):
            raise refused("url")
        path = target.path
        if self._proxy is not None and target.scheme == "http":
            path = target.url
            everything.update(self._proxy.headers)
        limit = self.rules.limit(kind, target.name, target.host)
        key = (target.scheme, target.host, target.port)
        while True:
            connection = self._take(key, deadline) or self._open(target, deadline, redirected=redirected)
            fresh, connection.fresh = connection.fresh, False
            try:
                status, found, content, keep = exchange(connection, method, path, everything, body, limit)
            except (ConnectionError, http.client.RemoteDisconnected):
                connection.close()
                if fresh:
                    raise
                continue  # the server had closed an idle connection
            except BaseException:
                connection.close()
                raise
            if keep:
                self._put(key, connection)
            else:
                connection.close()
            return Response(status, found, content, target.url)

    # connections ------------------------------------------------------------------------------------------------
    def _open(self, target: Target, deadline: float, *, redirected: bool) -> Connection:
        addresses = self._addresses(target, deadline, redirected=redirected)
        host, port = target.host, target.port
        if self._proxy is not None:
            host, port = self._proxy.host, self._proxy.port
            addresses = self._resolve(host, port, deadline)
        last: OSError = OSError("no address")
        for address in addresses[:_ADDRESSES_TRIED]:
            family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
            try:
                connection = connect(
                    family, str(address), port, deadline=deadline, connect_timeout=self.rules.connect_timeout
                )
            except OSError as error:
                last = error
                continue
            try:
                if target.scheme == "https":
                    if self._proxy is not None:
                        tunnel(connection, target.host, target.port, self._proxy.headers)
                    start_tls(connection, _tls_context(self.rules.ca_file), target.host)
            except BaseException:
                connection.close()
                raise
            return connection
        raise last

    def _addresses(self, target: Target, deadline: float, *, redirected: bool) -> list[Address]:
        """The addresses of `target` that may be called: exactly these are connected to, no name is looked up again."""
        try:
            found = self._resolve(target.host, target.port, deadline)
        except UpstreamError:
            if self._proxy is not None:
                return []
            raise
        permitted = [address for address in found if self._gate.permits(target, address)]
        if redirected and not target.private:
            permitted = [address for address in permitted if is_public(address)]
        if not permitted:
            raise refused("address")
        return permitted

    def _resolve(self, host: str, port: int, deadline: float) -> list[Address]:
        address = literal(host)
        if address is not None:
            return [address]
        answer: list[Sequence[str]] = []

        def look_up() -> None:
            try:
                answer.append(self._resolver(host, port))
            except (OSError, UnicodeError):
                answer.append(())

        # The system's resolver knows no deadline.
        thread = threading.Thread(target=look_up, daemon=True, name="signsvc-resolve")
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))
        if not answer:
            raise failed("timeout", host=host)
        found = [address for text in answer[0] if (address := literal(text.partition("%")[0])) is not None]
        if not found:
            raise failed("name", host=host)
        return list(dict.fromkeys(found))

    def _take(self, key: _Key, deadline: float) -> Connection | None:
        with self._lock:
            if self._pid != os.getpid():
                # The parent process goes on using its connections; closing here closes only our descriptors.
                self._pid = os.getpid()
                _close_all(self._idle)
            kept = self._idle.get(key, [])
            while kept:
                connection = kept.pop()
                if time.monotonic() - connection.used_at < _IDLE_SECONDS:
                    connection.deadline = deadline
                    return connection
                connection.close()
        return None

    def _put(self, key: _Key, connection: Connection) -> None:
        connection.used_at = time.monotonic()
        with self._lock:
            kept = self._idle.setdefault(key, [])
            if len(kept) < _IDLE_PER_SERVER and len(self._idle) <= _IDLE_SERVERS and self._pid == os.getpid():
                kept.append(connection)
                return
            if not kept:
                del self._idle[key]
        connection.close()


@dataclass(frozen=True, slots=True)
class _Proxy:
    host: str
    port: int
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<proxy {self.host}:{self.port}>"


def _close_all(idle: dict[_Key, list[Connection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()
    idle.clear()


def _read_proxy(url: str | None) -> _Proxy | None:
    if not url:
        return None
    try:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError
        headers = {}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return _Proxy(parts.hostname, parts.port or 3128, headers)
    except ValueError:
        raise ConfigError(reason="the proxy must be an http:// URL") from None


@functools.lru_cache(maxsize=4)
def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError:
            raise ConfigError(reason="the file of further TLS roots cannot be read") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _system_resolver(host: str, port: int) -> list[str]:
    found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
