"""The process that owns one PKCS#11 module: ``python -m signsvc.keys.token_process``.

One thread reads requests from all clients and watches the clock, another makes every call into the module, one
after the other.  Each request is answered by its deadline.  A call that exceeds the module's own limit cannot be
stopped: everybody is told and the process ends, to be started again by the next client.
"""

from __future__ import annotations

import argparse
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signsvc.errors import InternalError, SignsvcError, TokenError
from signsvc.keys import framing
from signsvc.keys.framing import FrameBuffer, FramingError, peer_uid
from signsvc.keys.token_requests import Requests

MAX_QUEUE = 2048
_EXIT_STUCK = 70


@dataclass(eq=False, slots=True)
class Peer:
    """One client's connection."""

    sock: socket.socket
    buffer: FrameBuffer = field(default_factory=FrameBuffer)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: dict[str, Any]) -> None:
        try:
            with self.lock:
                self.sock.sendall(framing.encode(message))
        except (OSError, FramingError):
            pass  # the reading side notices


@dataclass(eq=False, slots=True)
class Job:
    peer: Peer
    message: dict[str, Any]
    deadline: float
    done: bool = False


class Server:
    """Clients on one side, the module's thread on the other."""

    def __init__(self, requests: Requests, *, timeout: float, login_timeout: float) -> None:
        self._requests = requests
        self._limits = (timeout, login_timeout)
        self._selector = selectors.DefaultSelector()
        self._peers: set[Peer] = set()
        self._queue: deque[Job] = deque()
        self._current: Job | None = None
        self._started = 0.0
        self._changed = threading.Condition()
        self._stop = False

    # the module's thread ---------------------------------------------------------------------------------------
    def work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stop:
                    self._changed.wait()
                if self._stop:
                    break
                job = self._queue.popleft()
                if job.done:
                    continue
                self._current, self._started = job, time.monotonic()
            try:
                answer: dict[str, Any] = {"result": self._requests.perform(job.message)}
            except SignsvcError as error:
                answer = {"error": framing.error_to_wire(error)}
            except Exception as error:  # noqa: BLE001 - one odd answer of a module must not end the others' work
                print(f"signsvc token process: {type(error).__name__}", file=sys.stderr)  # noqa: T201
                answer = {"error": framing.error_to_wire(InternalError())}
            with self._changed:
                self._current = None
            if self._requests.hopeless:
                # Some modules never recover by themselves (a network HSM's client after its server's restart).
                self._leave(0, job, answer)
            self._answer(job, answer)
        self._requests.close()

    # answers and deadlines -------------------------------------------------------------------------------------
    def _answer(self, job: Job, answer: dict[str, Any]) -> None:
        with self._changed:
            if job.done:
                return
            job.done = True
        job.peer.send({"id": job.message.get("id"), **answer})

    def _fail(self, job: Job, code: str) -> None:
        self._answer(job, {"error": framing.error_to_wire(TokenError(code))})

    def expire(self) -> None:
        """Answer what is due; end the process where the module does not come back."""
        now = time.monotonic()
        with self._changed:
            current, started = self._current, self._started
            due = [j for j in (*self._queue, *([current] if current else ())) if j.deadline <= now and not j.done]
        for job in due:
            self._fail(job, "token_timeout")
        if current is None:
            return
        limit = self._limits[1 if self._requests.logging_in else 0]
        if now - started > limit:
            self._leave(_EXIT_STUCK, current, {"error": framing.error_to_wire(TokenError("token_timeout"))})

    def _leave(self, status: int, last: Job, answer: dict[str, Any]) -> None:
        """End the process.  Clients hear of that first, so that nobody who gets an answer comes back here."""
        for peer in list(self._peers):
            peer.send({"leaving": True})
        with self._changed:
            waiting = list(self._queue)
        self._answer(last, answer)
        for job in waiting:
            self._fail(job, "token_removed")
        os._exit(status)

    # clients ---------------------------------------------------------------------------------------------------
    def add(self, sock: socket.socket) -> None:
        if peer_uid(sock) != os.geteuid():
            sock.close()
            return
        # A client that does not read may hold up the module's thread for a moment, not for ever.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 5, 0))
        peer = Peer(sock)
        self._peers.add(peer)
        self._selector.register(sock, selectors.EVENT_READ, peer)

    def _drop(self, peer: Peer) -> None:
        self._selector.unregister(peer.sock)
        self._peers.discard(peer)
        with self._changed:
            for job in self._queue:
                job.done = job.done or job.peer is peer
        peer.sock.close()

    def _read(self, peer: Peer) -> None:
        try:
            data = peer.sock.recv(1 << 16, socket.MSG_DONTWAIT)
            if not data:
                raise FramingError("closed")
            for message in peer.buffer.feed(data):
                self._take(peer, message)
        except BlockingIOError:
            return
        except (OSError, FramingError):
            self._drop(peer)

    def _take(self, peer: Peer, message: dict[str, Any]) -> None:
        operation = message.get("op")
        if operation == "configure":
            try:
                self._requests.configure(message)
            except SignsvcError as error:
                peer.send({"id": message.get("id"), "error": framing.error_to_wire(error)})
                return
        if operation in ("configure", "ping"):
            peer.send({"id": message.get("id"), "result": {"pid": os.getpid(), "protocol": framing.PROTOCOL}})
            return
        seconds = message.get("seconds")
        allowed = float(seconds) if isinstance(seconds, (int, float)) else self._limits[0]
        job = Job(peer, message, time.monotonic() + max(0.0, min(allowed, 3600.0)))
        with self._changed:
            full = len(self._queue) >= MAX_QUEUE
            if not full:
                self._queue.append(job)
                self._changed.notify()
        if full:
            self._fail(job, "busy")

    def serve(self, listener: socket.socket | None, path: str | None, linger: float) -> None:
        """Until the last client has gone (`linger` seconds later where others may still come)."""
        if listener is not None:
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, None)
        alone_since = time.monotonic()
        while not self._stop:
            busy = self._current is not None or bool(self._queue)
            for key, _ in self._selector.select(0.05 if busy else 0.5):
                if key.data is not None:
                    self._read(key.data)
                elif listener is not None:
                    try:
                        self.add(listener.accept()[0])
                    except OSError:
                        continue
            self.expire()
            if self._peers:
                alone_since = time.monotonic()
            elif listener is None or time.monotonic() - alone_since > linger:
                break
        if path is not None and not self._stop:
            # Before the listener closes: whoever is refused from now on makes a new one.
            try:
                Path(path).unlink()
            except OSError:
                pass

    def stop(self) -> None:
        self._stop = True
        # Not under the lock: this runs in a signal handler of the thread that may hold it.
        threading.Thread(target=self._wake, daemon=True).start()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _harden() -> None:
    """No core dump and no debugger of the same user may show a PIN."""
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pr_set_dumpable = 4
    ctypes.CDLL(None).prctl(pr_set_dumpable, 0, 0, 0, 0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="signsvc-token-process")
    parser.add_argument("--module", required=True)
    parser.add_argument("--connection", type=int)
    parser.add_argument("--listener", type=int)
    parser.add_argument("--path")
    parser.add_argument("--linger", type=float, default=20.0)
    parser.add_argument("--timeout", type=float, default=30.0)
    parser.add_argument("--login-timeout", type=float, default=90.0)
    given = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.unraisablehook = lambda _: None  # what python-pkcs11 meets while it tidies up after an error already told
    _harden()
    refusals = Path(given.path).parent if given.path else None
    server = Server(Requests(given.module, refusals), timeout=given.timeout, login_timeout=given.login_timeout)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    listener = socket.socket(fileno=given.listener) if given.listener is not None else None
    if given.connection is not None:
        server.add(socket.socket(fileno=given.connection))
    worker = threading.Thread(target=server.work, name="module", daemon=True)
    worker.start()
    server.serve(listener, given.path, given.linger)
    server.stop()
    worker.join(2)
    os._exit(0)  # a module's own exit handlers may hang


if __name__ == "__main__":
    sys.exit(main())
