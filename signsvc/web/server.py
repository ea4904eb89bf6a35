"""gunicorn, started from our own settings: threads in a few processes, nothing loaded before the fork.

Deadlines are the application's own (`body.read`, the workers, the token process); gunicorn's timeout only notices a
process that is stuck as a whole.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn, ThreadWorker

from signsvc.web import streams

if TYPE_CHECKING:
    from flask import Flask

    from signsvc.settings import Settings
    from signsvc.web.app import AppState

# For health and pages, beside one thread for each request in work or waiting (`signsvc.web.slots`) and for each
# stream of events (`signsvc.web.streams`).
SPARE_THREADS = 1
# A connection whose request line and headers are not complete after this long is closed.
HEAD_SECONDS = 10.0
# A client that takes nothing of its answer for this long is given up.
SEND_SECONDS = 60.0
# A directory in the spool that nobody holds is what a killed process left; a new one is held within this time.
STALE_SECONDS = 10.0
# So often each worker looks for what killed processes left.
TIDY_SECONDS = 15.0

Factory = Callable[["Settings"], "Flask"]


def _default_factory(settings: Settings) -> Flask:
    from signsvc.web.app import create_app

    return create_app(settings)


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads, which wait neither for headers without end nor for answers that nobody takes.

    The body of a request has its own deadline (`signsvc.web.body`).
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._arriving: dict[int, tuple[float, TConn]] = {}

    def handle(self, conn: TConn) -> Any:
        self._arriving[id(conn)] = (time.monotonic() + HEAD_SECONDS, conn)
        try:
            return super().handle(conn)
        finally:
            self._arriving.pop(id(conn), None)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        self._arriving.pop(id(conn), None)
        conn.sock.settimeout(SEND_SECONDS)
        return super().handle_request(req, conn)

    def notify(self) -> None:
        """Called about every second."""
        super().notify()
        now = time.monotonic()
        for limit, conn in list(self._arriving.values()):
            if now > limit:
                with suppress(OSError, ValueError):
                    conn.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads


class Server(BaseApplication):  # type: ignore[misc]
    """The service: `run` returns when it is told to stop (SIGTERM lets running requests finish)."""

    def __init__(self, settings: Settings, factory: Factory = _default_factory) -> None:
        self._settings = settings
        self._factory = factory
        self.spool = settings.spool_dir
        super().__init__()

    def load_config(self) -> None:
        for name, value in options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, made in each worker."""
        return self._factory(self._settings)

    def run(self) -> None:
        """Serve until stopped."""
        clean_spool(self.spool)
        super().run()


def options(settings: Settings) -> Mapping[str, Any]:
    """gunicorn's settings."""
    server = settings.server
    found: dict[str, Any] = {
        "bind": server.bind,
        "worker_class": f"{__name__}.PatientWorker",
        "workers": server.workers,
        "threads": server.slots + server.waiting + SPARE_THREADS + streams.PLACES,
        "timeout": 60,
        "graceful_timeout": 90,
        "keepalive": 15,
        "max_requests": 0,  # a new process would have to log in to the token again
        "preload_app": False,
        "control_socket_disable": True,
        "forwarded_allow_ips": server.forwarded_allow_ips,
        "limit_request_line": 4094,
        "limit_request_field_size": 16380,
        "accesslog": None,  # the application writes its own lines, without secrets
        "loglevel": "warning",
        "post_fork": _post_fork,
        "post_worker_init": _post_worker_init,
        "worker_exit": _worker_exit,
        "child_exit": _child_exit,
        "proc_name": "signsvc",
    }
    if os.access("/dev/shm", os.W_OK):  # noqa: S108 - gunicorn makes its own unlinked file there
        found["worker_tmp_dir"] = "/dev/shm"  # noqa: S108
    if server.tls_certificate is not None:
        found["certfile"] = str(server.tls_certificate)
        found["keyfile"] = str(server.tls_key) if server.tls_key is not None else None
    return found


def clean_spool(directory: Path, older_than: float = STALE_SECONDS) -> None:
    """Remove what killed processes left behind: directories of requests that nobody holds (`body.spooled`)."""
    limit = time.time() - older_than
    for entry in directory.glob("request-*"):
        with suppress(OSError):
            held = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(held).st_mtime < limit:
                    shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(held)


def _post_fork(_arbiter: Arbiter, _worker: Worker) -> None:
    from signsvc.web.logs import configure

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # documents, keys of trials and passwords of authorities
    configure()


def _post_worker_init(worker: Worker) -> None:
    state = worker.wsgi.extensions.get("signsvc.state")
    if state is not None:
        threading.Thread(target=_tidied, args=(state,), name="tidy", daemon=True).start()
    warm = getattr(state.services, "warm", None) if state is not None else None
    if warm is not None:
        threading.Thread(target=_warmed, args=(warm,), name="warm", daemon=True).start()


def _tidied(state: AppState) -> None:
    """Settle what killed processes left: now, when this process takes the place of one, and now and then."""
    from signsvc.issuing import registry
    from signsvc.web.logs import log

    while True:
        try:
            clean_spool(state.config.body.spool)
            state.services.store.sweep(now=datetime.now(UTC))
            while gone := registry.purge(state.services.store, now=datetime.now(UTC), days=state.config.keep_days):
                log().info("reports deleted", count=gone, reason="retention")
        except Exception:  # noqa: BLE001 - a database that is away comes back
            log().warning("not tidied", exc_info=True)
        time.sleep(TIDY_SECONDS)


def _warmed(warm: Callable[[], None]) -> None:
    try:
        warm()
    except Exception:  # noqa: BLE001 - the first request that needs it says what is wrong
        from signsvc.web.logs import log

        log().warning("not warm", exc_info=True)


def _worker_exit(_arbiter: Arbiter, worker: Worker) -> None:
    app = getattr(worker, "wsgi", None)
    state = app.extensions.get("signsvc.state") if app is not None else None
    if state is not None:
        state.close()


def _child_exit(arbiter: Arbiter, worker: Worker) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    spool: Path | None = getattr(arbiter.app, "spool", None)
    if spool is not None:
        clean_spool(spool)

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
