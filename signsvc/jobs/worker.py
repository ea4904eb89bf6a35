"""A worker process: Huey's threads over the queue, and a look at the ledger every second."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from signsvc.jobs import queue, spool
from signsvc.jobs.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable

    from huey import Huey

    from signsvc.services import Services
    from signsvc.settings import Settings

# How long items in work have when the worker is told to stop; what is not done by then is another's later.
GRACE_SECONDS = 60.0


def run(services: Services) -> None:
    """Work until told to stop (SIGTERM or SIGINT: what is in work is finished, for a minute at most)."""
    from huey.consumer import Consumer

    settings = services.settings
    spool.clean(settings.spool_dir)
    huey = queue.make(settings)
    runner = Runner(services)
    hint = tasks(huey, runner)
    consumer = Consumer(
        huey,
        workers=settings.jobs.threads,
        periodic=False,
        max_delay=min(1.0, settings.jobs.poll_seconds),
        scheduler_interval=60,
        shutdown_timeout=GRACE_SECONDS,
        graceful_signal="TERM",
    )
    stopping = threading.Event()
    sweeper = threading.Thread(target=_sweep, args=(services, huey, hint, stopping), daemon=True, name="signsvc-sweep")
    sweeper.start()
    teller = threading.Thread(target=_tell, args=(services, stopping), daemon=True, name="signsvc-webhooks")
    teller.start()
    signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        consumer.run()
    finally:
        stopping.set()
        runner.close()


def tasks(huey: Huey, runner: Runner) -> Callable[[], object]:
    """Register what the queue may ask for; the hint "there is something to do"."""

    def work() -> None:
        runner.one()

    hint: Callable[[], object] = huey.task(name="work")(work)
    return hint


def sweep(services: Services, huey: Huey, hint: Callable[[], object], settings: Settings) -> int:
    """Put as many hints into the queue as there are due items, but no more than the threads can take; how many."""
    from datetime import UTC, datetime

    # Two for each thread, so that none waits for the next look while there is more to do.
    room = 2 * settings.jobs.threads - huey.pending_count()
    if room <= 0:
        return 0
    due = services.store.jobs.due(now=datetime.now(UTC), limit=room)
    for _ in range(due):
        hint()
    return due


def _sweep(services: Services, huey: Huey, hint: Callable[[], object], stopping: threading.Event) -> None:
    import structlog

    wait = services.settings.jobs.poll_seconds
    while not stopping.wait(wait):
        try:
            # While there is work for all threads, look again soon.
            busy = sweep(services, huey, hint, services.settings)
            wait = 0.05 if busy else services.settings.jobs.poll_seconds
        except Exception:  # noqa: BLE001 - a database that is away comes back
            wait = services.settings.jobs.poll_seconds
            structlog.get_logger("signsvc.jobs").warning("ledger not read", exc_info=True)


def _tell(services: Services, stopping: threading.Event) -> None:
    """Deliver messages about finished work while the worker runs."""
    from datetime import UTC, datetime

    import structlog

    from signsvc.issuing import webhooks

    while not stopping.wait(services.settings.jobs.poll_seconds):
        try:
            while webhooks.deliver(services.store, services.http, services.webhook_key, now=datetime.now(UTC)):
                if stopping.is_set():
                    return
        except Exception:  # noqa: BLE001 - a database that is away comes back
            structlog.get_logger("signsvc.webhooks").warning("messages not delivered", exc_info=True)


def tied() -> None:
    """Stop this process when its standard input ends: with the one that started it."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="signsvc-tied").start()


def command(*options: str) -> list[str]:
    """How a worker process is started."""
    return [sys.executable, "-m", "signsvc", "worker", *options]
