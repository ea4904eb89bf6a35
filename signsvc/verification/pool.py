"""The verifier: documents go to worker processes that parse them; this process never parses a document or a network
value.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from signsvc.errors import InternalError, UpstreamError
from signsvc.trust.fetching import Fetched
from signsvc.verification.model import (
    EVIDENCE_SECONDS,
    Limits,
    Outcome,
    TrustSource,
    VerifyRequest,
    fetch_from_json,
    fetched_to_json,
)
from signsvc.verification.processes import Pool, Reach
from signsvc.verification.revisions import SignedRevision

if TYPE_CHECKING:
    from signsvc.trust.fetching import Fetch
    from signsvc.verification.pictures import Pictures

# Octets of a snapshot: large lists in it are compressed, and kept once for all that rest on them.
MOST_KEPT = 256 * 1024 * 1024


class Verifier:
    """Verifies documents with a fixed number of workers.  Thread-safe; make one per process, after any fork."""

    def __init__(
        self,
        trust: TrustSource,
        *,
        fetch: Fetch | None = None,
        cached: Fetch | None = None,
        limits: Limits | None = None,
        workers: int = 1,
        fork: bool = False,
        reach: Reach | None = None,
        busy_after: float = 30.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`fetch` obtains network values and `cached` only those kept from before, for requests that are `offline`;
        None: nothing is obtained.  `fork` starts the first workers by fork (single-threaded callers only); `reach`
        bounds the files that spawned ones may see, documents and trust among them; `busy_after` is how many seconds
        a caller waits for a free worker before it is told ``busy``."""
        self._trust = trust
        self._fetch = fetch
        self._cached = cached
        self._limits = limits or Limits()
        self._clock = clock
        self._pool = Pool("signsvc.verification.worker", workers, fork=fork, reach=reach, busy_after=busy_after)

    def __enter__(self) -> Verifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop all workers; running verifications fail."""
        self._pool.close()

    def warm(self, count: int | None = None) -> None:
        """Start workers until there are `count` (None: all), so that the first callers do not wait for them."""
        self._pool.warm(count)

    def verify_edxml(self, path: Path, request: VerifyRequest | None = None) -> dict[str, Any]:
        """What is found about the edXML packet at `path` and its attachments; see `verification.edxml.examine`.
        Raises like `verify`, and `DocumentError` (``not_edxml``)."""
        return self._judged(path, request or VerifyRequest(), edxml=True)

    def unpack_edxml(self, path: Path) -> tuple[dict[str, Any], list[bytes | None]]:
        """What the edXML packet at `path` says and what is attached (`verification.edxml.unpacked`), and the octets of
        each attachment, None where it cannot be read.  Nothing is judged.  Raises like `verify_edxml`."""
        kept: list[bytes] = []
        job = {
            "path": str(path),
            "packet": True,
            "memory_bytes": self._limits.memory_bytes,
            "cpu_seconds": self._limits.cpu_seconds,
        }
        found = self._pool.run(job, {"keep": _keeping(kept)}, seconds=self._limits.wall_seconds)
        whole, at = b"".join(kept), 0
        parts: list[bytes | None] = []
        try:
            for one in found["attachments"]:
                size = one["size"]
                parts.append(None if size is None else whole[at : at + size])
                at += size or 0
        except (KeyError, TypeError):
            raise InternalError from None
        if at != len(whole):
            raise InternalError
        return found, parts

    def verify(self, path: Path, request: VerifyRequest | None = None) -> Outcome:
        """The report for the document at `path` (EN 319 102-1 §5).

        Raises `DocumentError` where the document cannot be processed (``empty_document``, ``unsupported_format``,
        ``document_unreadable``, ``encrypted_document``, ``document_too_complex``), `RequestError` for unusable
        parameters, `InternalError` for defects, and ``busy`` where no worker was free in time.
        """
        kept: list[bytes] = []
        report = self._judged(path, request or VerifyRequest(), kept=kept)
        return Outcome(report, b"".join(kept) or None)

    def _judged(
        self, path: Path, asked: VerifyRequest, *, edxml: bool = False, kept: list[bytes] | None = None
    ) -> dict[str, Any]:
        fetch = self._cached if asked.offline else self._fetch
        report_id = "rep_" + os.urandom(16).hex()
        job = {
            "path": str(path),
            "request": asked.to_json(),
            **self._trust.to_json(),
            "fetch": fetch is not None,
            "now": self._clock().isoformat(),
            "report_id": report_id,
            "edxml": edxml,
            "memory_bytes": self._limits.memory_bytes,
            "cpu_seconds": self._limits.cpu_seconds,
        }
        answers: dict[str, Any] = {"fetch": fetching(fetch, self._limits.evidence_seconds)}
        if kept is not None and asked.record:
            answers["keep"] = _keeping(kept)
        report = self._pool.run(job, answers, seconds=self._limits.wall_seconds)
        # The name is ours: a worker that was taken over must not put its report in the place of another one.
        if not isinstance(report, dict) or report.get("id") != report_id:
            raise InternalError
        return report

    def pictures(self, path: Path, signature: str | None = None) -> Pictures:
        """Pages of the PDF at `path` as `signature` (None: the last one) left them, beside as they are now; see
        `verification.pictures`.  Nothing is judged.  Raises like `revision`."""
        from signsvc.verification import pictures

        kept: list[bytes] = []
        job = {
            "path": str(path),
            "pictures": {"of": signature},
            "memory_bytes": self._limits.memory_bytes,
            "cpu_seconds": self._limits.cpu_seconds,
        }
        found = self._pool.run(job, {"keep": _keeping(kept)}, seconds=self._limits.wall_seconds)
        try:
            return pictures.read(found, b"".join(kept))
        except (KeyError, TypeError, ValueError):
            raise InternalError from None

    def revision(self, path: Path, signature: str | None = None) -> SignedRevision:
        """Where in the file at `path` the document ends that `signature` signed (ISO 32000-2 §7.5.6, §12.8.1).

        `signature` as in `revisions.locate`.  Nothing is judged and nothing obtained from the network.  Raises
        `DocumentError` (``revision_not_found`` and what `verify` raises), `InternalError`, and ``busy``.
        """
        job = {
            "path": str(path),
            "revision": {"of": signature},
            "memory_bytes": self._limits.memory_bytes,
            "cpu_seconds": self._limits.cpu_seconds,
        }
        found = self._pool.run(job, {}, seconds=self._limits.wall_seconds)
        try:
            return SignedRevision.from_json(found, path.stat().st_size)
        except (KeyError, TypeError, ValueError):
            raise InternalError from None


def _keeping(kept: list[bytes]) -> Callable[[Any, bytes], tuple[dict[str, Any], bytes]]:
    """Takes the parts of a snapshot from a worker that is not trusted."""

    def keep(_: Any, part: bytes) -> tuple[dict[str, Any], bytes]:
        if sum(map(len, kept)) + len(part) > MOST_KEPT:
            raise InternalError
        kept.append(part)
        return {"ok": True}, b""

    return keep


def fetching(
    fetch: Fetch | None, seconds: float = EVIDENCE_SECONDS
) -> Callable[[Any, bytes], tuple[dict[str, Any], bytes]]:
    """How one worker's wishes for network values are answered, in `seconds` in all from the first one on."""
    deadline: float | None = None

    def answer(wanted: Any, body: bytes) -> tuple[dict[str, Any], bytes]:
        nonlocal deadline
        if fetch is None:
            raise UpstreamError("outbound_refused", reason="offline")
        if deadline is None:
            deadline = time.monotonic() + seconds
        request = replace(fetch_from_json(wanted, body), deadline=deadline)
        found = fetch(request)
        if isinstance(found, bytes):
            found = Fetched(found, request.url)
        return fetched_to_json(found), found.body

    return answer
