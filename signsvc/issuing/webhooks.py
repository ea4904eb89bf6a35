"""Messages about finished work on their way (Standard Webhooks): signed, tried again, never lost.

>>> deliver(services)      # doctest: +SKIP
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from signsvc.errors import ConfigError, RequestError, UpstreamError

if TYPE_CHECKING:
    from signsvc.net import HttpClient
    from signsvc.store import Store
    from signsvc.store.webhooks import Delivery, Webhook

# Seconds after each try that failed; the eleventh is not made.
DELAYS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_JITTER = 0.1
SECONDS = 15.0  # for one try
AT_ONCE = 7  # within a lease, should all of them wait
# The secret before the present one counts that long.
OVERLAP = timedelta(days=1)
_GONE = 410
_SAID = "signsvc-webhooks/1"


def key(path: Path) -> bytes:
    """The key that secrets come from, made on first use and readable by its owner alone.  Raises `ConfigError`
    (configuration_invalid) where it is of another size."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        found = _whole(path)
        if len(found) != 32:
            raise ConfigError("configuration_invalid", reason="webhook key: 32 octets") from None
        return found
    made = os.urandom(32)
    with os.fdopen(handle, "wb") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    return made


def _whole(path: Path) -> bytes:
    """What another process may just be writing."""
    for _ in range(50):
        if len(found := path.read_bytes()) >= 32:
            return found
        time.sleep(0.02)
    return b""


def secret(master: bytes, webhook: Webhook, version: int | None = None) -> str:
    """The secret of a webhook (``whsec_…``), of its present version or another."""
    said = f"webhook {webhook.id} {version or webhook.version}".encode()
    return "whsec_" + base64.b64encode(hmac.digest(master, said, "sha256")).decode("ascii")


def signatures(master: bytes, webhook: Webhook, message: str, moment: datetime, body: str) -> str:
    """The ``webhook-signature`` header: by the present secret, and by the one before it for a day."""
    versions = [webhook.version]
    if webhook.version > 1 and webhook.rotated_at and moment - webhook.rotated_at < OVERLAP:
        versions.append(webhook.version - 1)
    signed = f"{message}.{int(moment.timestamp())}.{body}".encode()
    found = []
    for version in versions:
        raw = base64.b64decode(secret(master, webhook, version).removeprefix("whsec_"))
        found.append("v1," + base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode("ascii"))
    return " ".join(found)


def acceptable(url: str, *, http: bool) -> str:
    """A URL that may be told of work.  Raises `RequestError` (invalid_request); whether its address may be called is
    seen anew with every call."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and not parts.username and not parts.password and not parts.fragment
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or parts.scheme not in (("https", "http") if http else ("https",)) or len(url) > 2000:
        raise RequestError("invalid_request", reason="url: https with a host, no user, no fragment")
    return url


def deliver(store: Store, http: HttpClient, master: Callable[[], bytes], *, now: datetime) -> int:
    """Try the messages that are due, once each; how many those were."""
    taken = store.webhooks.take(now=now, limit=AT_ONCE)
    for one in taken:
        _try(store, http, master(), one, now)
    return len(taken)


def _try(store: Store, http: HttpClient, master: bytes, one: Delivery, now: datetime) -> None:
    try:
        webhook = store.webhooks.get(one.webhook_id)
    except RequestError:
        return
    moment = now.astimezone(UTC)
    headers = {
        "webhook-id": one.id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signatures(master, webhook, one.id, moment, one.body),
        "User-Agent": _SAID,
    }
    status, error = None, ""
    try:
        answer = http.post(
            webhook.url,
            one.body.encode(),
            content_type="application/json",
            headers=headers,
            deadline=time.monotonic() + SECONDS,
            follow=False,
        )
        status = answer.status
        if 200 <= status < 300:
            store.webhooks.delivered(one, status)
            return
        error = "status"
    except UpstreamError as problem:
        error = str(problem.data.get("reason") or problem.code)
    again = None
    if one.attempts < len(DELAYS):
        again = now + timedelta(seconds=DELAYS[one.attempts] * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311
    store.webhooks.failed(one, status=status, error=error, again_at=again, now=now, gone=status == _GONE)


__all__ = ["DELAYS", "acceptable", "deliver", "key", "secret", "signatures"]
