"""Idempotency keys: one answer per key, because a signature cannot be made twice alike.

A claim holds for a lease, so that a worker that dies does not block its key for the whole retention; only answers of
work that succeeded are kept, a refused request may be sent again with the same key.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from signsvc.store.database import Database
from signsvc.store.records import Claim, Ticket
from signsvc.store.schema import idempotency

RETENTION = timedelta(hours=24)
LEASE = timedelta(minutes=20)


class Idempotency:
    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, caller: str, key: str, fingerprint: str, *, now: datetime) -> Ticket:
        """Claim `key` of `caller` for a request with this fingerprint (hex SHA-256)."""
        identifier = hashlib.sha256(f"{caller}\0{key}".encode()).hexdigest()
        holder = secrets.token_hex(16)
        lease = {"fingerprint": fingerprint, "holder": holder, "lease_until": now + LEASE}
        with self._database.write() as connection:
            connection.execute(delete(idempotency).where(idempotency.c.expires_at <= now))
            try:
                with connection.begin_nested():
                    connection.execute(
                        insert(idempotency).values(id=identifier, expires_at=now + RETENTION, answer=None, **lease)
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
            if row.fingerprint != fingerprint:
                return Ticket(Claim.REUSED, identifier, "")
            if row.answer is not None:
                return Ticket(Claim.DONE, identifier, "", json.loads(row.answer))
            if row.lease_until > now:
                return Ticket(Claim.BUSY, identifier, "")
            connection.execute(update(idempotency).where(idempotency.c.id == identifier).values(**lease))
            return Ticket(Claim.MINE, identifier, holder)

    def finish(self, ticket: Ticket, answer: Mapping[str, Any]) -> None:
        """Keep the answer of work that succeeded."""
        mine = (idempotency.c.id == ticket.id) & (idempotency.c.holder == ticket.holder)
        with self._database.write() as connection:
            connection.execute(update(idempotency).where(mine).values(answer=json.dumps(dict(answer))))

    def release(self, ticket: Ticket) -> None:
        """Give the key free after work that failed."""
        mine = (idempotency.c.id == ticket.id) & (idempotency.c.holder == ticket.holder)
        with self._database.write() as connection:
            connection.execute(delete(idempotency).where(mine & idempotency.c.answer.is_(None)))
