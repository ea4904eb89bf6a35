"""Fetching with memory: CRLs, OCSP answers and CA certificates, kept on disk and fetched once at a time.

Nothing is parsed here: this runs in the process that may use the network.  How long a value is kept is a matter of its
kind; whether it is still good is the consumer's to judge, who asks again with `newer_than` where it is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from signsvc.errors import UpstreamError
from signsvc.trust.fetching import KINDS, FetchRequest

if TYPE_CHECKING:
    from signsvc.net import HttpClient, Response

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0

KEEP_SECONDS: Mapping[str, float] = MappingProxyType({"ocsp": 5 * MINUTE, "crl": HOUR, "certificate": 7 * DAY})
FAILURE_SECONDS = 60.0
# `newer_than` cannot make a server be asked more often than this for the same value.
AGAIN_SECONDS = 10.0
# While a server fails, a kept value serves for so long; its own dates still decide what it proves.
STALE_SECONDS = 30 * DAY
_PRUNE_EVERY = 200
_PRUNE_PARTS = 8
_MEDIA = {"ocsp": "application/ocsp-response", "crl": "application/pkix-crl", "certificate": "application/pkix-cert"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A value with its age.  `stale`: kept beyond its time, because the server fails now."""

    body: bytes
    fetched_at: datetime
    from_cache: bool
    stale: bool = False


class EvidenceClient:
    """Answers `FetchRequest`s.  Thread-safe, and processes may share `cache_dir`; without a directory that can be
    written it works uncached.  `clock` gives seconds since 1970.
    """

    def __init__(
        self, http: HttpClient, cache_dir: Path, *, clock: Callable[[], float] = time.time, max_bytes: int = 1 << 30
    ) -> None:
        self._http = http
        self._dir = cache_dir / "evidence"
        self._clock = clock
        self._max_bytes = max_bytes
        self._stored = self._octets = 0

    def fetch(self, request: FetchRequest, *, deadline: float | None = None) -> bytes:
        """The octets for `request` (a `Fetch`).  Raises `UpstreamError`, also for a failure remembered from the last
        minute.  A value is never fetched twice at the same time."""
        return self.fetched(request, deadline=deadline).body

    __call__ = fetch

    def fetched(self, request: FetchRequest, *, deadline: float | None = None) -> Fetched:
        """As `fetch`, with the value's age and whether it is stale."""
        if request.kind not in KINDS:
            raise UpstreamError("outbound_refused", reason="kind")
        path = self._path(request)
        kept = self._kept(path)
        if kept is not None and self._fresh(request, kept):
            return kept
        with self._alone(path, deadline):
            kept = self._kept(path)
            if kept is not None and self._fresh(request, kept):
                return kept
            try:
                self._raise_remembered(path)
                body = self._call(request, deadline)
            except UpstreamError as error:
                self._remember_failure(path, error)
                if kept is not None and self._clock() - kept.fetched_at.timestamp() < STALE_SECONDS:
                    return Fetched(kept.body, kept.fetched_at, from_cache=True, stale=True)
                raise
            return self._keep(path, body)

    # the call ---------------------------------------------------------------------------------------------------
    def _call(self, request: FetchRequest, deadline: float | None) -> bytes:
        accept = {"Accept": f"{_MEDIA[request.kind]}, */*;q=0.1"}
        if request.body is not None:
            response = self._http.post(
                request.url,
                request.body,
                content_type="application/ocsp-request",
                kind=request.kind,
                headers=accept,
                deadline=deadline,
            )
        else:
            response = self._http.get(request.url, kind=request.kind, headers=accept, deadline=deadline)
        _plausible(request.kind, response)
        return response.body

    # the disk ---------------------------------------------------------------------------------------------------
    def _path(self, request: FetchRequest) -> Path:
        body = hashlib.sha256(request.body).hexdigest() if request.body is not None else ""
        name = hashlib.sha256(f"{request.kind}\0{request.url}\0{body}".encode("utf-8", "replace")).hexdigest()
        return self._dir / name[:2] / name

    def _kept(self, path: Path) -> Fetched | None:
        try:
            with path.open("rb") as file:
                moment = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                return Fetched(file.read(), moment, from_cache=True)
        except OSError:
            return None

    def _fresh(self, request: FetchRequest, kept: Fetched) -> bool:
        age = self._clock() - kept.fetched_at.timestamp()
        if not -MINUTE <= age < KEEP_SECONDS[request.kind]:
            return False
        return request.newer_than is None or kept.fetched_at > request.newer_than or age < AGAIN_SECONDS

    def _keep(self, path: Path, body: bytes) -> Fetched:
        now = self._clock()
        with contextlib.suppress(OSError):
            self._write(path, body, now)
            _failure(path).unlink(missing_ok=True)
            # By what was stored: a few documents can name many large lists.
            self._stored += 1
            self._octets += len(body)
            if self._stored >= _PRUNE_EVERY or self._octets >= self._max_bytes // _PRUNE_PARTS:
                self._stored = self._octets = 0
                self.prune()
        return Fetched(body, datetime.fromtimestamp(now, UTC), from_cache=False)

    def _write(self, path: Path, body: bytes, moment: float) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
            os.utime(name, (moment, moment))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _remember_failure(self, path: Path, error: UpstreamError) -> None:
        # A refusal costs nothing to repeat, and another configuration may lift it.
        if error.code != "outbound_failed" or "remembered" in error.data:
            return
        with contextlib.suppress(OSError):
            self._write(_failure(path), str(error.data.get("reason", "")).encode(), self._clock())

    def _raise_remembered(self, path: Path) -> None:
        kept = self._kept(_failure(path))
        if kept is None or not -MINUTE <= self._clock() - kept.fetched_at.timestamp() < FAILURE_SECONDS:
            return
        reason = "".join(c for c in kept.body.decode("ascii", "replace") if c.isalnum() or c == "_")
        raise UpstreamError("outbound_failed", reason=reason[:40], remembered=True)

    @contextlib.contextmanager
    def _alone(self, path: Path, deadline: float | None) -> Iterator[None]:
        """One at a time for one value, among threads and processes; without a directory, unguarded."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = path.with_name(f"{path.name[:4]}.lock").open("a")
        except OSError:
            yield
            return
        until = deadline if deadline is not None else time.monotonic() + self._http.rules.total_timeout * 2
        with lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() >= until:
                        raise UpstreamError("outbound_failed", reason="timeout") from None
                    time.sleep(0.01)
            yield

    def prune(self) -> None:
        """Drop what is older than it may serve, then the oldest until the cache fits `max_bytes`."""
        entries: list[tuple[float, int, Path]] = []
        for path in self._dir.glob("*/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                if path.suffix != ".lock":
                    entries.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in entries)
        oldest = self._clock() - STALE_SECONDS
        for moment, size, path in sorted(entries):
            if moment >= oldest and total <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size


def _failure(path: Path) -> Path:
    return path.with_name(path.name + ".failed")


def _plausible(kind: str, response: Response) -> None:
    """Keep error pages out of the cache.  Raises `UpstreamError`; no octet is interpreted beyond the first."""
    if response.status != 200:
        raise UpstreamError("outbound_failed", reason=f"http_{response.status}")
    body = response.body
    text_allowed = kind != "ocsp" and body.startswith((b"-----BEGIN", b"MII"))
    # The shortest OCSP response that is not an error notice holds a signature.
    if not (body.startswith(b"\x30") or text_allowed) or len(body) < 64:
        raise UpstreamError("outbound_failed", reason="content")
