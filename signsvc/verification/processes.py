"""Worker processes that see hostile octets, and how a parent speaks with one it does not trust.

A worker is used by one thread at a time.  It answers its job or asks its parent for something by name; a worker that
dies, hangs, exceeds its limits or loses the thread of the conversation is replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc import errors
from signsvc.errors import BusyError, DocumentError, InternalError, SignsvcError
from signsvc.verification import frames

if TYPE_CHECKING:
    import logging

# What a worker asks for is small: an OCSP request, a digest.
MAX_WISH = 1 << 20
# Values that a document needs are tens; a worker that wants more than this is not reading one.
MAX_WISHES = 5_000
# A worker whose resident memory (octets) stays above this after a document is replaced by a fresh one.
RECYCLE_ABOVE = 160 * 1024**2
# Seconds in which a caller waits for a busy worker before another one is started: about what a start takes.
PATIENCE = 1.0
# How a worker that died by itself died, in the word of the limit that was hit.
_ENDS: dict[int, str] = {signal.SIGXCPU: "cpu", signal.SIGSEGV: "crash", signal.SIGABRT: "crash"}
# These come from outside: an operator, or a system short of memory, which a document may be to blame for or not.
_FOREIGN = frozenset((signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
LOST = "lost"
# A document that so many workers were lost over, within so many seconds, is taken for what kills them.
MOST_LOST, LOST_SECONDS = 3, 900.0
# A parser needs no more of the environment than an interpreter does: a PIN may stand in any other variable.
_ENVIRONMENT = frozenset(("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV"))
_PREFIXES = ("PYTHON", "LC_")

_KINDS: dict[str, type[SignsvcError]] = {
    name: kind
    for name in errors.__all__
    if isinstance(kind := getattr(errors, name), type) and issubclass(kind, SignsvcError)
}

# What a worker may ask for: the value asked with and its octets -> a header and octets.
Answers = Mapping[str, Callable[[Any, bytes], tuple[dict[str, Any], bytes]]]


@dataclass(frozen=True, slots=True)
class Reach:
    """Directories of which workers may see files, and where they may write; anything else is out of their reach."""

    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()

    def to_json(self) -> str:
        return json.dumps([[str(p) for p in self.readable], [str(p) for p in self.writable]])

    @classmethod
    def from_json(cls, text: str) -> Reach:
        readable, writable = json.loads(text)
        return cls(tuple(map(Path, readable)), tuple(map(Path, writable)))


class Worker:
    """One worker process and the socket to it."""

    def __init__(self, sock: socket.socket, pid: int, wait: Callable[[float], int | None]) -> None:
        """`wait` reaps within so many seconds and gives the exit code (negative: the signal), None where it runs."""
        self.sock = sock
        self.pid = pid
        self.waiting = False  # for us: only such a worker may be given a job
        self._wait = wait

    def stop(self) -> None:
        """Kill and reap; never raises."""
        self.sock.close()
        if self._wait(0) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._wait(10)

    def end(self) -> str:
        """What ended a worker whose socket broke: ``cpu``, ``crash``, or `LOST` where somebody else killed it.  Reaps
        it."""
        self.sock.close()  # one that only speaks nonsense ends now
        status = self._wait(5)
        self.stop()
        if status is None:
            return "crash"
        return LOST if -status in _FOREIGN else _ENDS.get(-status, "crash")

    @classmethod
    def spawn(cls, module: str, reach: Reach | None = None) -> Worker:
        """A fresh interpreter that runs `module`'s `main`: nothing of this process is inherited but one socket."""
        import subprocess

        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                # Not ``-m``: the package imports the module first, and running it again would make two of it.
                [
                    sys.executable,
                    "-P",
                    "-c",
                    f"from {module} import main; main()",
                    str(theirs.fileno()),
                    *((reach.to_json(),) if reach else ()),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=environment(),
            )

        def wait(seconds: float) -> int | None:
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None

        return cls(ours, process.pid, wait)

    @classmethod
    def fork(cls, module: str, reach: Reach | None = None) -> Worker:  # noqa: ARG003 - the caller's own files
        """A fork of this process that runs `module`'s `serve`: for a command line with a single thread, where a new
        interpreter costs too much."""
        loaded: Any = importlib.import_module(module)
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                ours.close()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                loaded.harden()
                loaded.serve(theirs)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        done: list[int] = []

        def wait(seconds: float) -> int | None:
            deadline = time.monotonic() + seconds
            pause = 0.0002  # one that was killed is gone at once
            while not done:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    done.append(os.waitstatus_to_exitcode(status))
                elif time.monotonic() >= deadline:
                    return None
                else:
                    time.sleep(pause)
                    pause = min(2 * pause, 0.01)
            return done[0]

        return cls(ours, pid, wait)


def environment() -> dict[str, str]:
    """The part of this process's environment that a worker gets."""
    return {k: v for k, v in os.environ.items() if k in _ENVIRONMENT or k.startswith(_PREFIXES)}


class _Losses:
    """Documents over which workers were lost lately.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, list[float]] = {}

    def repeated(self, job: Mapping[str, Any]) -> bool:
        """Whether the document of this job has now cost `MOST_LOST` workers."""
        import hashlib

        try:
            with Path(str(job.get("source") or job.get("path"))).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return False
        now = time.monotonic()
        with self._lock:
            self._found = {k: v for k, v in self._found.items() if now - v[-1] < LOST_SECONDS}
            times = self._found.setdefault(digest, [])
            times.append(now)
            return len(times) >= MOST_LOST


class Pool:
    """A fixed number of workers that run one module.  Thread-safe; make one per process, after any fork."""

    def __init__(
        self, module: str, workers: int, *, fork: bool = False, reach: Reach | None = None, busy_after: float = 30.0
    ) -> None:
        """`fork` starts the first workers by fork, at once; others start on first use and see the files within
        `reach` alone (None: whatever this user may).  `busy_after` is how many seconds a caller waits for a free
        worker."""
        self._module = module
        self._reach = reach
        self._busy_after = busy_after
        self._ready: list[Worker] = []
        self._workers = workers
        self._places = 0 if fork else workers  # for workers that are not started yet
        self._all: set[Worker] = set()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._closed = False
        self._losses = _Losses()
        for _ in range(workers if fork else 0):
            made = Worker.fork(module)
            self._all.add(made)
            self._ready.append(made)

    def close(self) -> None:
        """Stop all workers; running jobs fail."""
        with self._lock:
            self._closed = True
            workers, self._all = self._all, set()
        for found in workers:
            found.stop()

    def warm(self, count: int | None = None) -> None:
        """Start workers until there are `count` (None: all), so that the first callers do not wait for interpreters."""
        while True:
            with self._lock:
                if self._workers - self._places >= (self._workers if count is None else min(count, self._workers)):
                    return
                self._places -= 1
            made: Worker | None = None
            try:
                made = self._start()
            finally:
                self._give(made)

    def run(self, job: dict[str, Any], answers: Answers, *, seconds: float, asking: float | None = None) -> Any:
        """What a worker makes of `job`, in `seconds`; with `asking`, the time in which it waits for us does not
        count, up to so many seconds.

        What `answers` raises goes to the worker as a problem; where the job fails for that problem, the original is
        raised.  Raises `DocumentError` (``document_too_complex``) for a worker that came to an end, what it reports,
        `InternalError` for defects, and `BusyError` where no worker was free in time, or (``worker_lost``) where
        somebody else killed it and that does not repeat with the same document.
        """
        usable: Worker | None = self._take()
        try:
            usable = usable or self._start()
            try:
                _begin(usable, job, seconds)
            except frames.FrameError:  # it went while it was idle: that says nothing of this job
                self._discard(usable)
                usable = self._start()
                _begin(usable, job, seconds)
            answer = _converse(usable, answers, seconds, asking)
        except frames.FrameTimeoutError:
            raise DocumentError("document_too_complex", limit="time") from None
        except frames.FrameError:
            limit = usable.end() if usable else "crash"
            if limit == LOST:
                if not self._losses.repeated(job):
                    raise BusyError("worker_lost") from None
                limit = "memory"
            raise DocumentError("document_too_complex", limit=limit) from None
        finally:
            if usable is not None and not usable.waiting:
                self._discard(usable)
                usable = None
            self._give(usable)
        return answer["result"]

    def _take(self) -> Worker | None:
        """A worker that is free, or None: one may be started.  Raises `BusyError`."""
        begun = time.monotonic()
        with self._changed:
            # Many callers at once do not start many interpreters at once, where the first is soon free again.
            patient = begun + (PATIENCE if self._places < self._workers else 0.0)
            while True:
                if self._ready:
                    return self._ready.pop()
                now = time.monotonic()
                if self._places and now >= patient:
                    self._places -= 1
                    return None
                until = begun + self._busy_after
                if now >= until:
                    raise BusyError
                self._changed.wait((min(until, patient) if self._places else until) - now)

    def _give(self, found: Worker | None) -> None:
        with self._changed:
            if found is None:
                self._places += 1
            else:
                self._ready.append(found)
            self._changed.notify()

    def _start(self) -> Worker:
        made = Worker.spawn(self._module, self._reach)
        made.waiting = True
        with self._lock:
            if self._closed:
                made.stop()
                raise InternalError
            self._all.add(made)
        return made

    def _discard(self, found: Worker) -> None:
        with self._lock:
            self._all.discard(found)
        found.stop()


def _begin(found: Worker, job: dict[str, Any], seconds: float) -> None:
    """Give a worker its job.  Raises `FrameError`."""
    found.waiting = False
    frames.send(found.sock, job, deadline=time.monotonic() + seconds)


def _converse(found: Worker, answers: Answers, seconds: float, asking: float | None) -> dict[str, Any]:
    """The answer with a ``result``.  The worker is `waiting` again exactly where it has answered, and has not kept too
    much of the document."""
    deadline = time.monotonic() + seconds
    last = deadline + (asking or 0.0)
    raised: SignsvcError | None = None
    for _ in range(MAX_WISHES):
        answer, payload = frames.receive(found.sock, deadline, max_payload=MAX_WISH)
        wish = next((name for name in answers if name in answer), None)
        if wish is None:
            found.waiting = _resident(answer) <= RECYCLE_ABOVE
            if "result" not in answer:
                raise _problem(answer, raised)
            return answer
        begun = time.monotonic()
        try:
            reply, value = answers[wish](answer[wish], payload)
        except SignsvcError as error:
            raised = error
            reply, value = {"problem": describe(error)}, b""
        except (ValueError, KeyError, TypeError, ArithmeticError, AttributeError):
            _log().exception("a worker's wish cannot be answered")  # it speaks nonsense, or we do
            raise InternalError from None
        if asking is not None:
            deadline = min(deadline + time.monotonic() - begun, last)
        frames.send(found.sock, reply, value, deadline=max(deadline, time.monotonic() + 1))
    raise frames.FrameTimeoutError


def _log() -> logging.Logger:
    import logging

    return logging.getLogger(__name__)


def _problem(answer: dict[str, Any], raised: SignsvcError | None) -> SignsvcError:
    if "trace" in answer:
        _log().error("worker failed: %s", answer["trace"])
    found = problem(answer.get("problem"))
    return raised if raised is not None and raised.code == found.code else found


def _resident(answer: dict[str, Any]) -> int:
    found = answer.get("resident")
    return found if isinstance(found, int) else RECYCLE_ABOVE + 1


def problem(answer: object) -> SignsvcError:
    """The error that the other side reported, rebuilt; unknown codes are an internal error."""
    if not isinstance(answer, dict) or answer.get("code") not in errors.PROBLEMS:
        return InternalError()
    code, data = str(answer["code"]), answer.get("data")
    facts = {str(k): v for k, v in data.items()} if isinstance(data, dict) else {}
    kind = _KINDS.get(str(answer.get("kind"))) or (
        DocumentError if errors.PROBLEMS[code].status < 500 else InternalError
    )
    return kind(code, **facts)


def describe(error: SignsvcError) -> dict[str, Any]:
    """What `problem` makes an error of again."""
    return {"code": error.code, "kind": type(error).__name__, "data": plain(error.data)}


def plain(data: Mapping[str, object]) -> dict[str, object]:
    """An error's facts as JSON can say them."""
    return {k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in data.items()}
