"""Idempotency keys: one answer per key, because a signature cannot be made twice alike.

A claim is written before the work begins and holds for a short lease that the living process renews; when the process
dies, whoever comes next has the claim at once (same machine) or when the lease ends.  The answer is written in the
transaction that keeps the signed file, and only by who still holds the claim: work of a holder that lost it is thrown
away, never handed out.  Only answers of work that succeeded are kept; a refused request may be sent again with the
same key.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from signsvc.store import owners
from signsvc.store.database import Database
from signsvc.store.records import Claim, Ticket
from signsvc.store.schema import idempotency

log = logging.getLogger("signsvc.store")

RETENTION = timedelta(hours=24)
LEASE = timedelta(seconds=30)
_RENEW_SECONDS = 8.0
# A claim is renewed no longer than the longest work takes: two timestamps of the slowest authority, and the rest.
_LONGEST_SECONDS = 1800.0


class LostClaimError(Exception):
    """Somebody else holds the claim now: what was made under it is not to be handed out."""


class Idempotency:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._renewals = _Renewals(database)

    def claim(
        self, caller: str, key: str | None, fingerprint: str, *, now: datetime, about: Mapping[str, Any] | None = None
    ) -> Ticket:
        """Claim `key` of `caller` for a request with this fingerprint (hex SHA-256).

        Without a key the claim is a mere record that work has begun.  `about` says in the log what was interrupted
        where nobody comes back for it.
        """
        secret = key if key is not None else secrets.token_hex(16) + "\0"
        identifier = hashlib.sha256(f"{caller}\0{secret}".encode()).hexdigest()
        holder = secrets.token_hex(16)
        mine = {
            "fingerprint": fingerprint,
            "holder": holder,
            "lease_until": now + LEASE,
            "owner": owners.me(),
            "about": json.dumps(dict(about or {}), ensure_ascii=False),
        }
        found = self._claim(identifier, mine, now)
        if found.claim is Claim.MINE:
            self._renewals.add(holder)
        return found

    def _claim(self, identifier: str, mine: Mapping[str, Any], now: datetime) -> Ticket:
        holder = str(mine["holder"])
        with self._database.write() as connection:
            connection.execute(delete(idempotency).where(idempotency.c.expires_at <= now))
            try:
                with connection.begin_nested():
                    connection.execute(
                        insert(idempotency).values(id=identifier, expires_at=now + RETENTION, answer=None, **mine)
                    )
            except IntegrityError:
                pass
            else:
                return Ticket(Claim.MINE, identifier, holder)
            row = connection.execute(
                select(idempotency).where(idempotency.c.id == identifier).with_for_update()
            ).one_or_none()
            if row is None:  # released between the two statements
                return Ticket(Claim.BUSY, identifier, "")
            if row.fingerprint != mine["fingerprint"]:
                return Ticket(Claim.REUSED, identifier, "")
            if row.answer is not None:
                return Ticket(Claim.DONE, identifier, "", json.loads(row.answer))
            if row.lease_until > now and owners.alive(row.owner or "") is not False:
                return Ticket(Claim.BUSY, identifier, "")
            connection.execute(update(idempotency).where(idempotency.c.id == identifier).values(**mine))
        _tell_interrupted(row.holder, row.about)
        return Ticket(Claim.MINE, identifier, holder)

    def finish(self, ticket: Ticket, answer: Mapping[str, Any]) -> None:
        """Keep the answer of work that succeeded.  Raises `LostClaimError`."""
        with self._database.write(durable=True) as connection:
            self.conclude(connection, ticket, answer)
        self.let_go(ticket)

    def conclude(self, connection: Connection, ticket: Ticket, answer: Mapping[str, Any] | None) -> None:
        """Keep the answer as part of the caller's transaction (None: forget the claim); `let_go` follows it.

        Raises `LostClaimError`: then the transaction is to be rolled back.
        """
        mine = (
            (idempotency.c.id == ticket.id) & (idempotency.c.holder == ticket.holder) & idempotency.c.answer.is_(None)
        )
        if answer is None:
            done = connection.execute(delete(idempotency).where(mine))
        else:
            done = connection.execute(update(idempotency).where(mine).values(answer=json.dumps(dict(answer)), about=""))
        if done.rowcount != 1:
            raise LostClaimError

    def let_go(self, ticket: Ticket) -> None:
        """Renew the claim no longer."""
        self._renewals.remove(ticket.holder)

    def release(self, ticket: Ticket) -> None:
        """Give the key free after work that failed."""
        self.let_go(ticket)
        mine = (idempotency.c.id == ticket.id) & (idempotency.c.holder == ticket.holder)
        with self._database.write() as connection:
            connection.execute(delete(idempotency).where(mine & idempotency.c.answer.is_(None)))

    def sweep(self, *, now: datetime) -> int:
        """Free the keys of work that died with its process, and tell the log of it; how many there were."""
        begun = select(idempotency.c.id, idempotency.c.holder, idempotency.c.lease_until, idempotency.c.owner)
        with self._database.read() as connection:
            rows = connection.execute(begun.where(idempotency.c.answer.is_(None))).all()
        dead = [r.holder for r in rows if r.lease_until <= now or owners.alive(r.owner or "") is False]
        count = 0
        for holder in dead:
            # Asked again under the lock: an answer, a renewal or an heir may have come meanwhile.
            mine = (idempotency.c.holder == holder) & idempotency.c.answer.is_(None)
            with self._database.write() as connection:
                row = connection.execute(select(idempotency).where(mine).with_for_update()).one_or_none()
                if row is None or (row.lease_until > now and owners.alive(row.owner or "") is not False):
                    continue
                connection.execute(delete(idempotency).where(mine))
            _tell_interrupted(holder, row.about)
            count += 1
        return count

    def close(self) -> None:
        """Renew nothing any more."""
        self._renewals.close()


def _tell_interrupted(holder: str, about: str | None) -> None:
    """Work that began and has no end: a signature may have been made; it was handed to nobody."""
    log.warning("interrupted %s %s", holder[:12], about or "{}")


class _Renewals:
    """A thread that renews this process's claims, for as long as there are any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._held: dict[str, float] = {}
        self._running = False
        self._wake = threading.Event()
        self._pid = os.getpid()

    def add(self, holder: str) -> None:
        with self._lock:
            if self._pid != os.getpid():  # the claims and the thread of a parent are the parent's
                self._pid, self._held, self._running = os.getpid(), {}, False
                self._wake = threading.Event()
            self._held[holder] = time.monotonic() + _LONGEST_SECONDS
            if not self._running:
                self._running = True
                self._wake.clear()
                threading.Thread(target=self._run, args=(self._wake,), name="signsvc-claims", daemon=True).start()

    def remove(self, holder: str) -> None:
        with self._lock:
            self._held.pop(holder, None)

    def close(self) -> None:
        with self._lock:
            self._held.clear()
            self._wake.set()

    def _run(self, wake: threading.Event) -> None:
        while True:
            wake.wait(_RENEW_SECONDS)
            with self._lock:
                now = time.monotonic()
                self._held = {holder: end for holder, end in self._held.items() if end > now}
                held = list(self._held)
                if not held:
                    self._running = False
                    return
            try:
                self._renew(held)
            except Exception:
                log.warning("claims were not renewed", exc_info=True)

    def _renew(self, holders: list[str]) -> None:
        mine = or_(*(idempotency.c.holder == holder for holder in holders)) & idempotency.c.answer.is_(None)
        # The clock of this process: a lease is about the present, whatever the work is told.
        with self._database.write() as connection:
            connection.execute(update(idempotency).where(mine).values(lease_until=datetime.now(UTC) + LEASE))
