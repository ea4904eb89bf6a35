"""A verification worker: one process that parses hostile octets under limits and asks its parent for the network.

`main` serves jobs on the Unix socket whose descriptor is its argument, until that closes.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import resource
import socket
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.errors import PROBLEMS, SignsvcError, UpstreamError
from signsvc.trust.fetching import Fetched
from signsvc.trust.memo import Memo
from signsvc.verification import frames, sandbox
from signsvc.verification.model import TrustSource, VerifyRequest, fetch_to_json, fetched_from_json
from signsvc.verification.processes import Reach, describe

# Octets of resident memory above which a worker gives back what it can after a document; it begins with about 60 MB.
_TIDY_ABOVE = 96 * 1024**2
_TIDY_STEP = 16 * 1024**2  # more than was left the last time: caches that grew are not garbage
KEPT_PART = 1 << 20  # octets of what the parent keeps, at a time
COLLECT_EVERY = 50_000  # new containers
_tidied = 0

if TYPE_CHECKING:
    from collections.abc import Callable

    from signsvc.trust.fetching import Fetch, FetchRequest


def serve(sock: socket.socket, run: Callable[[socket.socket, dict[str, Any]], dict[str, Any]] | None = None) -> None:
    """Answer jobs until the parent closes the socket; `run` does one (None: a verification)."""
    run = run or _run
    while True:
        try:
            job, _ = frames.receive(sock)
        except frames.FrameError:
            return
        try:
            answer: dict[str, Any] = {"result": run(sock, job)}
        except SignsvcError as error:
            answer = {"problem": describe(error)}
        except frames.FrameError:
            return
        except MemoryError:
            answer = {"problem": {"code": "document_too_complex", "data": {"limit": "memory"}}}
        except RecursionError:
            answer = {"problem": {"code": "document_too_complex", "data": {"limit": "depth"}}}
        except Exception:  # noqa: BLE001 - the process boundary: a defect of ours must not look like a dead worker
            import traceback

            answer = {"problem": {"code": "internal_error", "data": {}}, "trace": traceback.format_exc(limit=-8)}
        answer["resident"] = _given_back()
        try:
            frames.send(sock, answer)
        except frames.FrameError:
            return


def _run(sock: socket.socket, job: dict[str, Any]) -> dict[str, Any]:
    path = Path(job["path"])
    request = VerifyRequest.from_json(job["request"]) if "request" in job else VerifyRequest()
    mapped = (path, *(one.path for one in request.originals if one.path is not None))
    limit(job["memory_bytes"] + sum(map(_size, mapped)), job["cpu_seconds"])
    if "revision" in job:
        from signsvc.verification.revisions import locate

        return locate(path, job["revision"]["of"]).to_json()
    if "pictures" in job:
        from signsvc.verification.pictures import draw

        return draw(path, job["pictures"]["of"], keeper(sock))
    if job.get("packet"):
        from signsvc.verification.edxml import unpacked

        return unpacked(path, keeper(sock))
    if job.get("edxml"):
        from signsvc.verification.edxml import examine as look

        examine = look
    else:
        from signsvc.verification.engine import examine as judge

        examine = functools.partial(judge, keep=keeper(sock))

    return examine(
        path,
        request,
        trust=TrustSource.from_json(job),
        fetch=fetcher(sock) if job["fetch"] else None,
        now=datetime.fromisoformat(job["now"]),
        report_id=job["report_id"],
    )


def keeper(sock: socket.socket) -> Callable[[bytes], None]:
    """Hands the parent what it is to keep, in parts."""

    def keep(octets: bytes) -> None:
        for start in range(0, len(octets), KEPT_PART):
            part = octets[start : start + KEPT_PART]
            frames.send(sock, {"keep": {"last": start + KEPT_PART >= len(octets)}}, part)
            frames.receive(sock)

    return keep


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # whoever opens it says so
        return 0


# Large values that this process was given, so that they need not be sent and read again for every document: by what
# was asked.  What they prove is judged for each document anew.
_GIVEN: Memo[tuple[str, str, bytes | None], Fetched] = Memo(128 * 1024 * 1024)
_REMEMBER_FROM = 16 * 1024


def fetcher(sock: socket.socket) -> Fetch:
    """Values of the network, asked of the parent."""

    def fetch(request: FetchRequest) -> Fetched:
        plain = not request.before and request.keep is None
        urls = request.urls if plain else ()
        held = next((found for url in urls if (found := _GIVEN.get((request.kind, url, request.body)))), None)
        wish, bodies = fetch_to_json(replace(request, known=held.sha256 if held else None))
        frames.send(sock, {"fetch": wish}, bodies)
        answer, payload = frames.receive(sock)
        if "problem" in answer:
            code, data = answer["problem"]["code"], answer["problem"]["data"]
            raise UpstreamError(code if code in PROBLEMS else "outbound_failed", **data)
        found = fetched_from_json(answer, payload)
        if found.unchanged and held is not None:
            return replace(found, body=held.body, sha256=held.sha256)
        found = Fetched.of(found, request)
        if plain and len(payload) >= _REMEMBER_FROM:
            _GIVEN.put((request.kind, found.url, request.body), found, len(payload))
        return found

    return fetch


def limit(memory_bytes: int, cpu_seconds: int) -> None:
    """Allow this process so many octets of address space, and so many seconds of CPU from now on."""
    # Soft limits only move below the hard ones, so that a long-lived worker can be given a new allowance per job.
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    cpu = int(used.ru_utime + used.ru_stime) + cpu_seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (cpu if hard == resource.RLIM_INFINITY else min(cpu, hard), hard))


@functools.cache
def _statm() -> int:
    return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)


def _given_back() -> int:
    """Octets of memory in use, after what a large document left was given back to the system."""
    global _tidied
    resident = _resident()
    if resident > max(_TIDY_ABOVE, _tidied + _TIDY_STEP):
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # a C library other than GNU's gives back by itself
            ctypes.CDLL(None).malloc_trim(0)
        resident = _tidied = _resident()
    return resident


def _resident() -> int:
    """Octets of memory in use now."""
    return int(os.pread(_statm(), 256, 0).split()[1]) * resource.getpagesize()


def harden(most_written: int = 0) -> None:
    """Take from this process what a parser never needs: core files, writing to files, the network, other processes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_written, most_written))
    _statm.cache_clear()  # in a fork it is the parent's
    _statm()  # other processes' files are beside it, and soon out of reach
    sandbox.refuse_calls()


def begin(most_written: int = 0) -> socket.socket:
    """Harden a process started by `processes.Worker.spawn`; the socket to its parent."""
    harden(most_written)
    if len(sys.argv) > 2:
        reach = Reach.from_json(sys.argv[2])
        sandbox.refuse_files(reach.readable, reach.writable)
    return socket.socket(fileno=int(sys.argv[1]))


def main() -> None:
    with begin() as sock:
        # Now, while nobody waits.
        from signsvc.formats import asic as _asic  # noqa: F401
        from signsvc.formats import cades as _cades  # noqa: F401
        from signsvc.formats import edxml as _edxml  # noqa: F401
        from signsvc.formats import pades as _pades  # noqa: F401
        from signsvc.formats import xades as _xades  # noqa: F401
        from signsvc.formats import xmlforms as _xmlforms  # noqa: F401
        from signsvc.verification import engine as _engine  # noqa: F401

        # What is there now stays; large documents are read a quarter faster where less is looked through for garbage.
        gc.freeze()
        gc.set_threshold(COLLECT_EVERY)
        serve(sock)
