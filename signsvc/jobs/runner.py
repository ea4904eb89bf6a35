"""Takes items of the ledger, has them done, and says what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from signsvc.errors import InternalError, SignsvcError
from signsvc.jobs import handlers
from signsvc.store import Failure, Lease

if TYPE_CHECKING:
    from signsvc.services import Services
    from signsvc.settings import JobSettings

# What is no caller's mistake and may be otherwise tomorrow, though nobody should ask again at once.
_PASSING = frozenset(("self_check_failed", "configuration_invalid", "internal_error"))


class Runner:
    """Does items for one process.  Thread-safe; `close` when the process ends."""

    def __init__(
        self,
        services: Services,
        *,
        find: Callable[[str], handlers.Handler] = handlers.find,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._services = services
        self._ledger = services.store.jobs
        self._settings = services.settings.jobs
        self._find = find
        self._clock = clock
        self._held: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        threading.Thread(target=self._keep, daemon=True, name="signsvc-leases").start()

    def close(self) -> None:
        """Renew no more leases."""
        self._stopping.set()

    def one(self) -> bool:
        """Take one due item and do it; False where there was none."""
        found = self._ledger.lease(now=self._clock(), seconds=self._settings.lease_seconds)
        if not found:
            return False
        (lease,) = found
        with self._lock:
            self._held[lease.holder] = lease
        try:
            self._do(lease)
        finally:
            with self._lock:
                del self._held[lease.holder]
        return True

    def _do(self, lease: Lease) -> None:
        line = {"job": lease.job_id, "item": lease.position, "kind": lease.kind, "attempt": lease.attempts}
        try:
            done = self._find(lease.kind)(self._services, lease, self._clock())
            kept = done.said or self._ledger.succeed(lease, done.result, now=self._clock(), also=done.also)
            _log().info("done" if kept else "lease lost", **line)
        except SignsvcError as error:
            self._failed(lease, error)
            _log().info("not done", problem=error.code, **line)
        except handlers.WholeJobError as whole:
            self._failed(lease, whole.error, all_of_it=True, seconds=whole.seconds)
            _log().info("not done", problem=whole.error.code, whole_job=True, **line)
        except Exception:  # noqa: BLE001 - one item must not end the worker
            self._failed(lease, InternalError())
            _log().error("unexpected", exc_info=True, **line)

    def _failed(
        self, lease: Lease, error: SignsvcError, *, all_of_it: bool = False, seconds: float | None = None
    ) -> None:
        failure, now = Failure(error.code, error.data), self._clock()
        if error.retryable or error.code in _PASSING:
            wait = timedelta(seconds=backoff(self._settings, lease.attempts) if seconds is None else seconds)
            self._ledger.put_off(lease, failure, now=now, due_at=now + wait, all_of_it=all_of_it)
        else:
            self._ledger.fail(lease, failure, now=now, all_of_it=all_of_it)

    def _keep(self) -> None:
        """Renew the leases of what is in work, three times in the time that one lasts."""
        while not self._stopping.wait(self._settings.lease_seconds / 3):
            with self._lock:
                held = list(self._held.values())
            for lease in held:
                try:
                    self._ledger.renew(lease, now=self._clock(), seconds=self._settings.lease_seconds)
                except Exception:  # noqa: BLE001 - the next round tries again
                    _log().warning("lease not renewed", exc_info=True)


def backoff(settings: JobSettings, attempts: int) -> float:
    """Seconds to wait after `attempts` tries."""
    return float(min(settings.retry_max_seconds, settings.retry_seconds * 2.0 ** min(attempts - 1, 30)))


def _log() -> structlog.stdlib.BoundLogger:
    found: structlog.stdlib.BoundLogger = structlog.get_logger("signsvc.jobs")
    return found
