"""Addresses that are told of finished work, and the ledger of what they are told: each at least once.

Secrets are not kept: they are derived from a key of the installation, so that the database alone signs nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from signsvc.errors import RequestError
from signsvc.store.webhook_schema import deliveries, webhooks

if TYPE_CHECKING:
    from signsvc.store.database import Database

MOST_PER_OWNER = 20
WAITING, DONE, FAILED = "waiting", "done", "failed"
# How long a try may take before another process may try too.
LEASE = timedelta(minutes=2)
# Deliveries that are over are forgotten after that time.
REMEMBERED = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Webhook:
    id: str
    url: str
    owner: str | None
    created_at: datetime
    version: int
    rotated_at: datetime | None
    disabled_at: datetime | None
    failing_since: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """`attempts` counts tries begun; `status` and `error` are of the last one."""

    id: str
    webhook_id: str
    type: str
    body: str
    created_at: datetime
    state: str
    due_at: datetime
    attempts: int
    status: int | None
    error: str | None


class Webhooks:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, url: str, *, owner: str | None, now: datetime) -> Webhook:
        """Raises `RequestError` (invalid_request) where the owner has as many as there may be."""
        identifier = f"whk_{secrets.token_hex(12)}"
        with self._database.write(durable=True) as connection:
            count = connection.execute(select(func.count()).where(webhooks.c.owner == owner)).scalar_one()
            if count >= MOST_PER_OWNER:
                raise RequestError("invalid_request", reason="too many webhooks")
            connection.execute(insert(webhooks).values(id=identifier, url=url, owner=owner, created_at=now, version=1))
        return self.get(identifier)

    def get(self, identifier: str) -> Webhook:
        """Raises `RequestError` (not_found)."""
        with self._database.read() as connection:
            row = connection.execute(select(webhooks).where(webhooks.c.id == identifier)).first()
        if row is None:
            raise RequestError("not_found")
        return Webhook(*row)

    def list(self, owner: str | None = None, *, everyone: bool = False) -> tuple[Webhook, ...]:
        """Those of `owner`, or all."""
        asked = select(webhooks).order_by(webhooks.c.created_at)
        with self._database.read() as connection:
            rows = connection.execute(asked if everyone else asked.where(webhooks.c.owner == owner)).all()
        return tuple(Webhook(*row) for row in rows)

    def rotate(self, identifier: str, *, now: datetime) -> Webhook:
        """A new secret; the one before it stays valid for a time (`previous`)."""
        self._change(identifier, version=webhooks.c.version + 1, rotated_at=now)
        return self.get(identifier)

    def enable(self, identifier: str) -> Webhook:
        """Deliver again to one that was switched off or fails."""
        self._change(identifier, disabled_at=None, failing_since=None)
        return self.get(identifier)

    def delete(self, identifier: str) -> None:
        """Raises `RequestError` (not_found)."""
        with self._database.write(durable=True) as connection:
            connection.execute(delete(deliveries).where(deliveries.c.webhook_id == identifier))
            if connection.execute(delete(webhooks).where(webhooks.c.id == identifier)).rowcount == 0:
                raise RequestError("not_found")

    def _change(self, identifier: str, **values: Any) -> None:
        with self._database.write(durable=True) as connection:
            found = connection.execute(update(webhooks).where(webhooks.c.id == identifier).values(**values))
            if found.rowcount == 0:
                raise RequestError("not_found")

    # what they are told -----------------------------------------------------------------------------------------
    def enqueue(
        self, connection: Connection, kind: str, data: Mapping[str, Any], *, owner: str | None, now: datetime
    ) -> int:
        """Tell all who want to know of `owner`'s work, as part of the caller's transaction; how many those are."""
        mine = (
            webhooks.c.owner.is_(None) if owner is None else or_(webhooks.c.owner.is_(None), webhooks.c.owner == owner)
        )
        asked = select(webhooks.c.id).where(mine, webhooks.c.disabled_at.is_(None))
        named = [row.id for row in connection.execute(asked)]
        for webhook_id in named:
            self._insert(connection, webhook_id, kind, data, now)
        return len(named)

    def tell(self, webhook_id: str, kind: str, data: Mapping[str, Any], *, now: datetime) -> Delivery:
        """Tell one of them.  Raises `RequestError` (not_found)."""
        self.get(webhook_id)
        with self._database.write(durable=True) as connection:
            identifier = self._insert(connection, webhook_id, kind, data, now)
        return self.delivery(webhook_id, identifier)

    def _insert(
        self, connection: Connection, webhook_id: str, kind: str, data: Mapping[str, Any], now: datetime
    ) -> str:
        identifier = f"msg_{secrets.token_hex(16)}"
        moment = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        body = json.dumps({"type": kind, "timestamp": moment, "data": data}, ensure_ascii=False, separators=(",", ":"))
        values = {"id": identifier, "webhook_id": webhook_id, "type": kind, "body": body, "created_at": now}
        connection.execute(insert(deliveries).values(**values, state=WAITING, due_at=now, attempts=0))
        return identifier

    def delivery(self, webhook_id: str, identifier: str) -> Delivery:
        """Raises `RequestError` (not_found)."""
        asked = select(deliveries).where(deliveries.c.id == identifier, deliveries.c.webhook_id == webhook_id)
        with self._database.read() as connection:
            row = connection.execute(asked).first()
        if row is None:
            raise RequestError("not_found")
        return Delivery(*row)

    def deliveries(self, webhook_id: str, *, limit: int = 100) -> tuple[Delivery, ...]:
        """The newest first."""
        asked = select(deliveries).where(deliveries.c.webhook_id == webhook_id)
        with self._database.read() as connection:
            rows = connection.execute(asked.order_by(deliveries.c.created_at.desc()).limit(limit)).all()
        return tuple(Delivery(*row) for row in rows)

    def again(self, webhook_id: str, identifier: str, *, now: datetime) -> Delivery:
        """Have a message delivered once more, under its own id.  Raises `RequestError` (not_found)."""
        self.delivery(webhook_id, identifier)
        self._settle(identifier, state=WAITING, due_at=now, attempts=0)
        return self.delivery(webhook_id, identifier)

    def take(self, *, now: datetime, limit: int) -> tuple[Delivery, ...]:
        """Up to `limit` messages that are due, each held for `LEASE`: a process that dies leaves them to the next."""
        asked = (
            select(deliveries)
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .where(deliveries.c.state == WAITING, deliveries.c.due_at <= now, webhooks.c.disabled_at.is_(None))
        )
        with self._database.read() as connection:
            found = connection.execute(asked.order_by(deliveries.c.due_at).limit(limit)).all()
        if not found:
            return ()
        taken = []
        with self._database.write() as connection:
            for row in found:
                mine = connection.execute(
                    update(deliveries)
                    .where(deliveries.c.id == row.id, deliveries.c.state == WAITING, deliveries.c.due_at == row.due_at)
                    .values(due_at=now + LEASE, attempts=row.attempts + 1)
                )
                if mine.rowcount:
                    taken.append(Delivery(*row))
        return tuple(taken)

    def delivered(self, one: Delivery, status: int) -> None:
        """It was taken."""
        self._settle(one.id, state=DONE, status=status, error=None)
        self._change(one.webhook_id, failing_since=None)

    def failed(
        self,
        one: Delivery,
        *,
        status: int | None,
        error: str,
        again_at: datetime | None,
        now: datetime,
        gone: bool = False,
    ) -> None:
        """It was not taken; `again_at` None: that was the last try.  `gone`: nobody wants to be told there."""
        values: dict[str, Any] = {"status": status, "error": error[:64]}
        if again_at is None or gone:
            self._settle(one.id, state=FAILED, **values)
        else:
            self._settle(one.id, due_at=again_at, **values)
        try:
            if gone:
                self._change(one.webhook_id, disabled_at=now)
            elif again_at is None:
                self._change(one.webhook_id, failing_since=func.coalesce(webhooks.c.failing_since, now))
        except RequestError:
            pass  # deleted meanwhile

    def forget(self, *, now: datetime) -> int:
        """Forget deliveries that were over long ago; how many."""
        with self._database.write() as connection:
            old = delete(deliveries).where(deliveries.c.state != WAITING, deliveries.c.created_at < now - REMEMBERED)
            return connection.execute(old).rowcount

    def _settle(self, identifier: str, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(update(deliveries).where(deliveries.c.id == identifier).values(**values))


__all__ = ["DONE", "FAILED", "WAITING", "Delivery", "Webhook", "Webhooks"]
