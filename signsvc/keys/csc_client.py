"""The Cloud Signature Consortium API, versions 1.0.4 and 2, as far as signing with a remote key needs it.

One client speaks for one user of one service: it signs in, and repeats a call once where its access token has ended.
What the service answers is never quoted in an error beyond the error codes that the specification names.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from signsvc.errors import ConfigError, TokenError, UpstreamError
from signsvc.keys.pins import PinSource, resolve

if TYPE_CHECKING:
    from signsvc.net import HttpClient, Response

_VERSION = re.compile(r"/csc/v(1|2)(?:\.\d+)*/?\Z")
_CODE = re.compile(r"[a-z_]{1,40}\Z")
_FORM = "application/x-www-form-urlencoded"
_SPARE = 30.0  # seconds before its end in which an access token is not used any more
_DEFAULT_LIFE = 600.0


@dataclass(frozen=True, slots=True)
class CscService:
    """A remote signing service and how this installation signs in.

    `url` ends with ``/csc/v1`` or ``/csc/v2``.  One way of signing in: `access_token` (a source of a bearer token),
    `username` with `password` (``auth/login``), or `client_id` with `client_secret` at `token_url` (OAuth 2.0 client
    credentials, RFC 6749 §4.4).  `timeout` in seconds.
    """

    url: str
    access_token: str | None = None
    username: str | None = None
    password: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    timeout: float = 30.0

    @property
    def version(self) -> int:
        """1 or 2, from the URL.  Raises `ConfigError`."""
        found = _VERSION.search(self.url)
        if found is None:
            raise ConfigError(reason="the URL of a remote signing service ends with /csc/v1 or /csc/v2")
        return int(found[1])


class CscRefusedError(Exception):
    """The service refused a call; `code` is its error code, of the specification's form or empty."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class CscClient:
    """Calls of one service.  Thread-safe."""

    def __init__(self, service: CscService, http: HttpClient) -> None:
        self.version = service.version
        self._service = service
        self._http = http
        self.url = self._base = service.url.rstrip("/")
        self._lock = threading.Lock()
        self._token: tuple[str, float] | None = None

    def call(self, method: str, body: Mapping[str, Any], *, deadline: float | None = None) -> dict[str, Any]:
        """The answer of ``POST <method>``.

        Raises `CscRefusedError` where the service says no, `UpstreamError` ``remote_key_unavailable`` where it
        cannot be reached or does not speak the protocol, `TokenError` ``pin_required`` where a secret is missing.
        """
        if deadline is None:
            deadline = time.monotonic() + self._service.timeout
        for attempt in (1, 2):
            token = self._signed_in(deadline)
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            response = self._post(f"{self._base}/{method}", json.dumps(body).encode(), headers, deadline)
            if response.status == 401 and token and attempt == 1 and not self._fixed:
                with self._lock:
                    self._token = None
                continue
            break
        return _answer(response)

    @property
    def _fixed(self) -> bool:
        return self._service.access_token is not None

    def _signed_in(self, deadline: float) -> str | None:
        service = self._service
        if service.access_token is not None:
            return resolve(PinSource.parse(service.access_token)).secret.reveal()
        if service.username is None and service.client_id is None:
            return None
        with self._lock:
            if self._token is None or self._token[1] <= time.monotonic():
                self._token = self._obtain(deadline)
            return self._token[0]

    def _obtain(self, deadline: float) -> tuple[str, float]:
        service = self._service
        if service.username is not None:
            headers = _basic(service.username, service.password)
            response = self._post(f"{self._base}/auth/login", b"{}", headers, deadline)
        else:
            headers = _basic(service.client_id or "", service.client_secret)
            body = b"grant_type=client_credentials&scope=service"
            response = self._post(service.token_url or "", body, headers, deadline, kind=_FORM)
        found = _answer(response)
        token = found.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise unavailable("protocol")
        life = found.get("expires_in")
        seconds = float(life) if isinstance(life, int) and life > 0 else _DEFAULT_LIFE
        return token, time.monotonic() + max(0.0, seconds - _SPARE)

    def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: float, *, kind: str = "application/json"
    ) -> Response:
        headers = {"Accept": "application/json", **headers}
        try:
            return self._http.post(url, body, content_type=kind, headers=headers, deadline=deadline)
        except UpstreamError as error:
            raise unavailable(str(error.data.get("reason", error.code))) from None


def unavailable(reason: str) -> UpstreamError:
    """The error for a remote service that gives no usable answer."""
    return UpstreamError("remote_key_unavailable", reason=reason)


def octets(value: Any) -> bytes:
    """The octets of a base64 text of an answer.  Raises `UpstreamError`."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise unavailable("protocol") from None


def _basic(user: str, secret: str | None) -> dict[str, str]:
    if secret is None:
        raise TokenError("pin_required", hint="password")
    pair = f"{user}:{resolve(PinSource.parse(secret)).secret.reveal()}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode("ascii")}


def _answer(response: Response) -> dict[str, Any]:
    try:
        found = json.loads(response.body) if response.body else {}
    except (ValueError, RecursionError):
        found = None
    if response.status in (200, 201, 202) and isinstance(found, dict):
        return found
    if 400 <= response.status < 500:
        code = found.get("error") if isinstance(found, dict) else None
        code = code.strip() if isinstance(code, str) else ""
        raise CscRefusedError(code if _CODE.match(code) else "", response.status)
    raise unavailable(f"http_{response.status}" if response.status != 200 else "protocol")


__all__ = ["CscClient", "CscRefusedError", "CscService", "octets", "unavailable"]
