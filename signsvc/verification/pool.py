"""The pool of verification workers.

The calling thread speaks with one worker at a time; a worker that dies, hangs or exceeds its limits is replaced and
its document answered with ``document_too_complex``.  The parent never parses a document or a network value.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from signsvc.errors import BusyError, DocumentError, InternalError, SignsvcError, UpstreamError
from signsvc.verification import frames, worker
from signsvc.verification.model import Limits, Outcome, TrustSource, VerifyRequest, fetch_from_json

if TYPE_CHECKING:
    from signsvc.trust.fetching import Fetch

log = logging.getLogger(__name__)


# Not ``-m``: the package imports the module first, and running it again would make two of it.
_ENTRY = "from signsvc.verification.worker import main; main()"


# A worker whose resident memory (octets) is above this after a document is replaced by a fresh one.
RECYCLE_ABOVE = 512 * 1024**2
# How a worker that died by itself died, in the word of the limit that was hit.
_ENDS: dict[int, str] = {
    signal.SIGXCPU: "cpu",
    signal.SIGKILL: "memory",
    signal.SIGSEGV: "crash",
    signal.SIGABRT: "crash",
}


class Worker:
    """One worker process and the socket to it."""

    def __init__(self, sock: socket.socket, pid: int, wait: Callable[[float], int | None]) -> None:
        """`wait` reaps within so many seconds and gives the exit code (negative: the signal), None where it runs."""
        self.sock = sock
        self.pid = pid
        self._wait = wait

    def stop(self) -> None:
        """Kill and reap; never raises."""
        self.sock.close()
        if self._wait(0) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._wait(10)

    def end(self) -> str:
        """What ended a worker whose socket broke: ``cpu``, ``memory`` or ``crash``.  Reaps it."""
        status = self._wait(5)
        self.stop()
        return _ENDS.get(-status, "crash") if status is not None else "crash"

    @classmethod
    def spawn(cls) -> Worker:
        """A fresh interpreter: nothing of this process is inherited but one socket."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _ENTRY, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if not k.startswith("SIGNSVC_")},
            )

        def wait(seconds: float) -> int | None:
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None

        return cls(ours, process.pid, wait)

    @classmethod
    def fork(cls) -> Worker:
        """A fork of this process: for a command line with a single thread, where a new interpreter costs too much."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                ours.close()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                worker.harden()
                worker.serve(theirs)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        done: list[int] = []

        def wait(seconds: float) -> int | None:
            deadline = time.monotonic() + seconds
            while not done:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    done.append(os.waitstatus_to_exitcode(status))
                elif time.monotonic() >= deadline:
                    return None
                else:
                    time.sleep(0.005)
            return done[0]

        return cls(ours, pid, wait)


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
        busy_after: float = 30.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`fetch` obtains network values and `cached` only those kept from before, for requests that are `offline`;
        None: nothing is obtained.  `fork` starts the first workers by fork (single-threaded callers only);
        `busy_after` is how many seconds a caller waits for a free worker before it is told ``busy``."""
        self._trust = trust
        self._fetch = fetch
        self._cached = cached
        self._limits = limits or Limits()
        self._clock = clock
        self._busy_after = busy_after
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        self._all: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False
        for _ in range(workers):
            made = Worker.fork() if fork else None  # spawned ones start on first use
            if made is not None:
                self._all.add(made)
            self._idle.put(made)

    def __enter__(self) -> Verifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop all workers; running verifications fail."""
        with self._lock:
            self._closed = True
            workers, self._all = self._all, set()
        for found in workers:
            found.stop()

    def warm(self) -> None:
        """Start every worker now, so that the first callers do not wait for interpreters."""
        taken = [self._idle.get() for _ in range(self._idle.qsize())]
        for found in taken:
            self._idle.put(found or self._start())

    def verify(self, path: Path, request: VerifyRequest | None = None) -> Outcome:
        """The report for the document at `path` (EN 319 102-1 §5).

        Raises `DocumentError` where the document cannot be processed (``empty_document``, ``unsupported_format``,
        ``document_unreadable``, ``encrypted_document``, ``document_too_complex``), `RequestError` for unusable
        parameters, `InternalError` for defects, and ``busy`` where no worker was free in time.
        """
        asked = request or VerifyRequest()
        try:
            found = self._idle.get(timeout=self._busy_after)
        except queue.Empty:
            raise BusyError from None
        usable: Worker | None = None
        try:
            usable = found or self._start()
            report, resident = self._converse(usable, path, asked)
            if resident > RECYCLE_ABOVE:  # grown by one large document: give the memory back
                self._discard(usable)
                usable = None
        except frames.FrameTimeoutError:
            self._discard(usable)
            usable = None
            raise DocumentError("document_too_complex", limit="time") from None
        except frames.FrameError:
            limit = usable.end() if usable else "crash"
            self._discard(usable)
            usable = None
            raise DocumentError("document_too_complex", limit=limit) from None
        except BaseException as error:
            if not isinstance(error, SignsvcError):  # the conversation was cut: this worker is out of step
                self._discard(usable)
                usable = None
            raise
        finally:
            self._idle.put(usable)
        return Outcome(report)

    def _converse(self, found: Worker, path: Path, request: VerifyRequest) -> tuple[dict[str, Any], int]:
        deadline = time.monotonic() + self._limits.wall_seconds
        fetch = self._cached if request.offline else self._fetch
        frames.send(
            found.sock,
            {
                "path": str(path),
                "request": request.to_json(),
                "trust_dir": str(self._trust.directory),
                "extra_profiles": list(self._trust.extra_profiles),
                "policy_directories": [str(p) for p in self._trust.policy_directories],
                "fetch": fetch is not None,
                "now": self._clock().isoformat(),
                "report_id": "rep_" + secrets.token_hex(16),
                "memory_bytes": self._limits.memory_bytes,
                "cpu_seconds": self._limits.cpu_seconds,
            },
        )
        while True:
            answer, payload = frames.receive(found.sock, deadline)
            if "fetch" in answer:
                _answer_fetch(found.sock, fetch, answer["fetch"], payload)
            elif "report" in answer:
                report: dict[str, Any] = answer["report"]
                return report, int(answer.get("resident", 0))
            else:
                if "trace" in answer:
                    log.error("verification worker failed: %s", answer["trace"])
                raise worker.problem(answer.get("problem", {}))

    def _start(self) -> Worker:
        made = Worker.spawn()
        with self._lock:
            if self._closed:
                made.stop()
                raise InternalError
            self._all.add(made)
        return made

    def _discard(self, found: Worker | None) -> None:
        if found is not None:
            with self._lock:
                self._all.discard(found)
            found.stop()


def _answer_fetch(sock: socket.socket, fetch: Fetch | None, wanted: dict[str, Any], body: bytes) -> None:
    try:
        if fetch is None:
            raise UpstreamError("outbound_refused", reason="offline")
        value = fetch(fetch_from_json(wanted, body))
    except SignsvcError as error:
        frames.send(sock, {"problem": {"code": error.code, "data": {"reason": str(error.data.get("reason"))}}})
    except (ValueError, KeyError, TypeError):
        raise InternalError from None
    else:
        frames.send(sock, {"ok": True}, value)
