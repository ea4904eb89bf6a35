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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.errors import ConfigError, TokenError, UpstreamError
from signsvc.keys.config import CSC_VERSION
from signsvc.keys.one_try import OneTry
from signsvc.keys.pins import PinSource, Secret, resolve

if TYPE_CHECKING:
    from signsvc.net import HttpClient, Response

_CODE = re.compile(r"[a-z_]{1,40}\Z")
_FORM = "application/x-www-form-urlencoded"
_SPARE = 30.0  # seconds before its end in which an access token is not used any more
_DEFAULT_LIFE = 600.0
_ENDED = ("invalid_token", "expired_token")
# What says that name and secret do not go together, and not that something else is amiss.
_NOT_KNOWN = ("access_denied", "authentication_error", "invalid_client", "invalid_grant")


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
        found = CSC_VERSION.search(self.url)
        if found is None:
            raise ConfigError(reason="the URL of a remote signing service ends with /csc/v1 or /csc/v2")
        return int(found[1])


class CscRefusedError(Exception):
    """The service refused a call; `code` is its error code, of the specification's form or empty."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status

    def worded(self) -> UpstreamError:
        """As a problem: ``remote_key_refused``."""
        return UpstreamError("remote_key_refused", reason=self.code or f"http_{self.status}")


class CscClient:
    """Calls of one service.  Thread-safe."""

    def __init__(self, service: CscService, http: HttpClient, private: Path | None = None) -> None:
        """`private` is where a wrong password of a file is remembered across processes."""
        self.version = service.version
        self._service = service
        self._http = http
        self.url = self._base = service.url.rstrip("/")
        self._lock = threading.Lock()
        self._token: tuple[str, float] | None = None
        name = service.username if service.username is not None else service.client_id
        self._login = OneTry((self.url, f"login {name}"), private)

    def call(
        self, method: str, body: Mapping[str, Any], *, deadline: float | None = None, once: bool = False
    ) -> dict[str, Any]:
        """The answer of ``POST <method>``.  A `body` that holds a secret is sent `once`: only a plain word that the
        access token has ended has it sent with another.

        Raises `CscRefusedError` where the service says no, `UpstreamError` ``remote_key_unavailable`` where it
        cannot be reached or does not speak the protocol, `TokenError` ``pin_required`` where a secret is missing.
        """
        if deadline is None:
            deadline = time.monotonic() + self._service.timeout
        for attempt in (1, 2):
            token = self._signed_in(deadline)
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            response = self._post(f"{self._base}/{method}", json.dumps(body).encode(), headers, deadline)
            if response.status == 401 and token and attempt == 1 and not self._fixed and _ended(response, once=once):
                with self._lock:
                    if self._token is not None and self._token[0] == token:
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
        source = service.password if service.username is not None else service.client_secret
        if source is None:
            raise TokenError("pin_required", hint="password")
        with self._login.offer(PinSource.parse(source)) as offer:
            if service.username is not None:
                headers = _basic(service.username, offer.secret)
                response = self._post(f"{self._base}/auth/login", b"{}", headers, deadline)
            else:
                headers = _basic(service.client_id or "", offer.secret)
                body = b"grant_type=client_credentials&scope=service"
                response = self._post(service.token_url or "", body, headers, deadline, kind=_FORM)
            try:
                found = _answer(response)
            except CscRefusedError as refused:
                lasting = refused.status == 401 or refused.code in _NOT_KNOWN
                offer.refused(refused.worded(), lasting=lasting)
                raise
            offer.accepted()
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
            # Never to another address: secrets and access tokens go along.
            return self._http.post(url, body, content_type=kind, headers=headers, deadline=deadline, follow=False)
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


def _basic(user: str, secret: Secret) -> dict[str, str]:
    pair = f"{user}:{secret.reveal()}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode("ascii")}


def _ended(response: Response, *, once: bool) -> bool:
    """Whether status 401 says that the access token has ended (RFC 6750 §3.1), and not that a PIN was wrong."""
    try:
        _answer(response)
    except CscRefusedError as refused:
        told = refused.code in _ENDED or "invalid_token" in response.headers.get("www-authenticate", "")
        return told or (not once and not refused.code)
    return False


def _answer(response: Response) -> dict[str, Any]:
    try:
        found = json.loads(response.body) if response.body else {}
    except (ValueError, RecursionError):
        found = None
    if response.status in (200, 201, 202) and isinstance(found, dict):
        return found
    # 408 and 429 are for the moment only
    if 400 <= response.status < 500 and response.status not in (408, 429):
        code = found.get("error") if isinstance(found, dict) else None
        code = code.strip() if isinstance(code, str) else ""
        raise CscRefusedError(code if _CODE.match(code) else "", response.status)
    raise unavailable(f"http_{response.status}" if response.status != 200 else "protocol")


__all__ = ["CscClient", "CscRefusedError", "CscService", "octets", "unavailable"]
