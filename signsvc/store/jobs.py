"""The job ledger: what is to be done, who does it, what became of it.

A job is a closed list of items.  An item is taken under a lease; whoever holds the lease may say once what became of
it, in the same transaction as whatever else it writes.  A lease that ends without a word makes the item due again, so
that a killed worker loses nothing, and a worker that comes late finds that its word no longer counts.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update

from signsvc.errors import RequestError
from signsvc.store.database import Database
from signsvc.store.jobs_schema import job_items, jobs

# An item whose worker died this often in a row is not tried again: it would go on killing workers.
MAX_CRASHES = 5
_BLOCK = 500


class ItemState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    STOPPED = "stopped"  # not tried: another item met what would meet this one as well


OPEN = (ItemState.WAITING, ItemState.RUNNING)


class JobState(StrEnum):
    QUEUED = "queued"  # nothing was tried yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # every item
    FAILED = "failed"  # all is done, and some items failed or were stopped
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item failed, or waits for another try: a problem code and its facts."""

    code: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One item as it stands.  `due_at`: its next try while it waits."""

    job_id: str
    position: int
    state: ItemState
    attempts: int
    due_at: datetime
    give_up_at: datetime | None
    updated_at: datetime
    data: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: Failure | None


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands; `counts` has every state of its items."""

    id: str
    kind: str
    owner: str | None
    created_at: datetime
    canceled_at: datetime | None
    updated_at: datetime
    counts: Mapping[ItemState, int]
    attempted: bool
    data: Mapping[str, Any]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def state(self) -> JobState:
        if any(self.counts[state] for state in OPEN):
            return JobState.RUNNING if self.attempted else JobState.QUEUED
        if self.counts[ItemState.CANCELED]:
            return JobState.CANCELED
        failed = self.counts[ItemState.FAILED] or self.counts[ItemState.STOPPED]
        return JobState.FAILED if failed else JobState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one item until `until`, unless it is renewed."""

    job_id: str
    position: int
    holder: str
    kind: str
    owner: str | None
    attempts: int  # this one included
    until: datetime
    give_up_at: datetime | None
    data: Mapping[str, Any]
    job_data: Mapping[str, Any]


class Jobs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        kind: str,
        items: Iterable[Mapping[str, Any]],
        *,
        now: datetime,
        owner: str | None = None,
        data: Mapping[str, Any] | None = None,
        give_up_at: datetime | None = None,
        due_at: datetime | None = None,
        priority: int = 0,
        also: Callable[[Connection, str], None] | None = None,
    ) -> str:
        """A new job over `items` (JSON objects), in the order given; its id.

        Items are due at `due_at` (now by default), those of greater `priority` first; failures that may pass are tried
        again until `give_up_at` (None: without end).  `also` writes in the same transaction and gets the job's id.
        Raises `StorageError` (storage_full).
        """
        with self._database.write() as connection:
            identifier = self.insert(
                connection,
                kind,
                items,
                now=now,
                owner=owner,
                data=data,
                give_up_at=give_up_at,
                due_at=due_at,
                priority=priority,
            )
            if also is not None:
                also(connection, identifier)
        return identifier

    def insert(
        self,
        connection: Connection,
        kind: str,
        items: Iterable[Mapping[str, Any]],
        *,
        now: datetime,
        owner: str | None = None,
        data: Mapping[str, Any] | None = None,
        give_up_at: datetime | None = None,
        due_at: datetime | None = None,
        priority: int = 0,
    ) -> str:
        """The same inside a transaction of the caller's."""
        identifier = "job_" + secrets.token_hex(16)
        connection.execute(
            insert(jobs).values(id=identifier, kind=kind, owner=owner, created_at=now, data=_dump(data or {}))
        )
        block: list[dict[str, Any]] = []
        for position, item in enumerate(items):
            block.append(
                {
                    "job_id": identifier,
                    "position": position,
                    "state": ItemState.WAITING,
                    "priority": priority,
                    "due_at": due_at or now,
                    "give_up_at": give_up_at,
                    "attempts": 0,
                    "crashes": 0,
                    "updated_at": now,
                    "data": _dump(item),
                }
            )
            if len(block) == _BLOCK:
                connection.execute(insert(job_items), block)
                block = []
        if block:
            connection.execute(insert(job_items), block)
        return identifier

    def get(self, identifier: str) -> Job:
        """Raises `RequestError` (not_found)."""
        found = self._jobs(jobs.c.id == identifier, limit=1)
        if not found:
            raise RequestError("not_found")
        return found[0]

    def list(self, *, kind: str | None = None, owner: str | None = None, limit: int = 100) -> tuple[Job, ...]:
        """The newest jobs first."""
        wanted: list[ColumnElement[bool]] = []
        if kind is not None:
            wanted.append(jobs.c.kind == kind)
        if owner is not None:
            wanted.append(jobs.c.owner == owner)
        return self._jobs(*wanted, limit=limit)

    def items(
        self, identifier: str, *, state: ItemState | None = None, after: int = -1, limit: int = 100
    ) -> tuple[Item, ...]:
        """Items of a job by position, those after position `after`."""
        query = select(job_items).where(job_items.c.job_id == identifier, job_items.c.position > after)
        if state is not None:
            query = query.where(job_items.c.state == state)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(job_items.c.position).limit(limit)).all()
        return tuple(_item(row) for row in rows)

    def unfinished(self) -> dict[tuple[str, ItemState], int]:
        """How many items wait, run or failed, by the kind of their job."""
        wanted = (ItemState.WAITING, ItemState.RUNNING, ItemState.FAILED)
        query = select(jobs.c.kind, job_items.c.state, func.count()).join(jobs, jobs.c.id == job_items.c.job_id)
        query = query.where(job_items.c.state.in_(wanted)).group_by(jobs.c.kind, job_items.c.state)
        with self._database.read() as connection:
            return {(kind, ItemState(state)): count for kind, state, count in connection.execute(query)}

    # working ----------------------------------------------------------------------------------------------------
    def due(self, *, now: datetime, limit: int) -> int:
        """How many items may be taken now, counted up to `limit`."""
        with self._database.read() as connection:
            query = select(job_items.c.position).where(_due(now)).limit(limit)
            return len(connection.execute(query).all())

    def lease(self, *, now: datetime, seconds: float, limit: int = 1, job_id: str | None = None) -> tuple[Lease, ...]:
        """Take up to `limit` due items, all of one job (of `job_id` where it is given)."""
        with self._database.write() as connection:
            query = select(job_items).where(_due(now))
            if job_id is not None:
                query = query.where(job_items.c.job_id == job_id)
            order = (job_items.c.priority.desc(), job_items.c.due_at, job_items.c.position)
            first = connection.execute(query.order_by(*order).limit(1).with_for_update(skip_locked=True)).first()
            if first is None:
                return ()
            rows: list[Row[Any]] = [first]
            if limit > 1:
                more = query.where(job_items.c.job_id == first.job_id, job_items.c.position != first.position)
                rows += connection.execute(
                    more.order_by(*order).limit(limit - 1).with_for_update(skip_locked=True)
                ).all()
            job = connection.execute(select(jobs).where(jobs.c.id == first.job_id)).one()
            until = now + timedelta(seconds=seconds)
            taken = []
            for row in rows:
                crashes = row.crashes + (row.state == ItemState.RUNNING)
                if crashes >= MAX_CRASHES:
                    given_up = {"state": ItemState.FAILED, "error": _failure(Failure("internal_error")), "holder": None}
                    connection.execute(update(job_items).where(_same(row)).values(updated_at=now, **given_up))
                    continue
                lease = Lease(
                    row.job_id,
                    row.position,
                    secrets.token_hex(16),
                    job.kind,
                    job.owner,
                    row.attempts + 1,
                    until,
                    row.give_up_at,
                    json.loads(row.data),
                    json.loads(job.data),
                )
                connection.execute(
                    update(job_items)
                    .where(_same(row))
                    .values(
                        state=ItemState.RUNNING,
                        due_at=until,
                        holder=lease.holder,
                        attempts=lease.attempts,
                        crashes=crashes,
                        updated_at=now,
                    )
                )
                taken.append(lease)
            return tuple(taken)

    def renew(self, lease: Lease, *, now: datetime, seconds: float) -> bool:
        """Keep a lease for `seconds` more; False where it is lost."""
        with self._database.write() as connection:
            return _word(connection, lease, due_at=now + timedelta(seconds=seconds))

    def succeed(
        self,
        lease: Lease,
        result: Mapping[str, Any],
        *,
        now: datetime,
        also: Callable[[Connection], None] | None = None,
    ) -> bool:
        """Say that the item is done, and write what `also` writes in the same transaction; False, and nothing is
        written, where the lease is lost."""
        with self._database.write() as connection:
            if not self.settle(connection, lease, result, now=now):
                return False
            if also is not None:
                also(connection)
            return True

    def settle(self, connection: Connection, lease: Lease, result: Mapping[str, Any], *, now: datetime) -> bool:
        """Say that the item is done, as part of the caller's transaction; False where the lease is lost, and then the
        transaction is to be rolled back."""
        values = {"state": ItemState.SUCCEEDED, "result": _dump(result), "error": None}
        return _word(connection, lease, holder=None, updated_at=now, crashes=0, **values)

    def put_off(
        self, lease: Lease, failure: Failure, *, now: datetime, due_at: datetime, all_of_it: bool = False
    ) -> bool:
        """Say that the item is to be tried again at `due_at`, or that it failed where that is too late; with
        `all_of_it` no other item of the job is begun before."""
        if lease.give_up_at is not None and due_at > lease.give_up_at:
            return self.fail(lease, failure, now=now)
        with self._database.write() as connection:
            canceled = connection.execute(select(jobs.c.canceled_at).where(jobs.c.id == lease.job_id)).scalar()
            state = ItemState.WAITING if canceled is None else ItemState.CANCELED
            values = {"state": state, "due_at": due_at, "error": _failure(failure), "crashes": 0}
            said = _word(connection, lease, holder=None, updated_at=now, **values)
            if said and all_of_it:
                early = _waiting(lease) & (job_items.c.due_at < due_at)
                connection.execute(update(job_items).where(early).values(due_at=due_at))
            return said

    def fail(self, lease: Lease, failure: Failure, *, now: datetime, all_of_it: bool = False) -> bool:
        """Say that the item failed for good; with `all_of_it` the items that wait are stopped for the same reason."""
        with self._database.write() as connection:
            values = {"state": ItemState.FAILED, "error": _failure(failure), "crashes": 0}
            said = _word(connection, lease, holder=None, updated_at=now, **values)
            if said and all_of_it:
                values = {"state": ItemState.STOPPED, "error": _failure(failure), "updated_at": now}
                connection.execute(update(job_items).where(_waiting(lease)).values(**values))
            return said

    # control ----------------------------------------------------------------------------------------------------
    def cancel(self, identifier: str, *, now: datetime) -> Job:
        """Items that wait are not begun; those that run come to their end.  Raises `RequestError` (not_found)."""
        with self._database.write() as connection:
            waiting = (job_items.c.job_id == identifier) & (job_items.c.state == ItemState.WAITING)
            values = {"state": ItemState.CANCELED, "updated_at": now}
            if connection.execute(update(job_items).where(waiting).values(**values)).rowcount:
                connection.execute(update(jobs).where(jobs.c.id == identifier).values(canceled_at=now))
            else:
                running = (job_items.c.job_id == identifier) & (job_items.c.state == ItemState.RUNNING)
                if connection.execute(select(job_items.c.position).where(running).limit(1)).first() is not None:
                    connection.execute(update(jobs).where(jobs.c.id == identifier).values(canceled_at=now))
        return self.get(identifier)

    def retry(self, identifier: str, *, now: datetime, give_up_at: datetime | None = None) -> int:
        """Make failed, stopped and canceled items due again, and waiting ones due now; how many.  Raises `RequestError`
        (not_found)."""
        self.get(identifier)
        again = (ItemState.FAILED, ItemState.STOPPED, ItemState.CANCELED, ItemState.WAITING)
        with self._database.write() as connection:
            connection.execute(update(jobs).where(jobs.c.id == identifier).values(canceled_at=None))
            return int(
                connection.execute(
                    update(job_items)
                    .where(job_items.c.job_id == identifier, job_items.c.state.in_(again))
                    .values(state=ItemState.WAITING, due_at=now, give_up_at=give_up_at, crashes=0, updated_at=now)
                ).rowcount
            )

    def _jobs(self, *wanted: ColumnElement[bool], limit: int = 100) -> tuple[Job, ...]:

        with self._database.read() as connection:
            rows = connection.execute(
                select(jobs).where(*wanted).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
            ).all()
            counted = connection.execute(
                select(
                    job_items.c.job_id,
                    job_items.c.state,
                    func.count(),
                    func.max(job_items.c.attempts),
                    func.max(job_items.c.updated_at),
                )
                .where(job_items.c.job_id.in_([row.id for row in rows]))
                .group_by(job_items.c.job_id, job_items.c.state)
            ).all()
        found = []
        for row in rows:
            mine = [c for c in counted if c[0] == row.id]
            counts = dict.fromkeys(ItemState, 0) | {ItemState(c[1]): c[2] for c in mine}
            found.append(
                Job(
                    row.id,
                    row.kind,
                    row.owner,
                    row.created_at,
                    row.canceled_at,
                    max((c[4] for c in mine), default=row.created_at),
                    counts,
                    any(c[3] for c in mine),
                    json.loads(row.data),
                )
            )
        return tuple(found)


def _due(now: datetime) -> ColumnElement[bool]:
    return job_items.c.state.in_(OPEN) & (job_items.c.due_at <= now)


def _same(row: Row[Any]) -> ColumnElement[bool]:
    return and_(job_items.c.job_id == row.job_id, job_items.c.position == row.position)


def _waiting(lease: Lease) -> ColumnElement[bool]:
    """Items of the same job that were not begun or wait for another try."""
    return and_(job_items.c.job_id == lease.job_id, job_items.c.state == ItemState.WAITING)


def _word(connection: Connection, lease: Lease, **values: Any) -> bool:
    """Write `values` where the lease still holds."""
    mine = (
        (job_items.c.job_id == lease.job_id)
        & (job_items.c.position == lease.position)
        & (job_items.c.holder == lease.holder)
        & (job_items.c.state == ItemState.RUNNING)
    )
    return connection.execute(update(job_items).where(mine).values(**values)).rowcount == 1


def _item(row: Row[Any]) -> Item:
    error = json.loads(row.error) if row.error else None
    return Item(
        row.job_id,
        row.position,
        ItemState(row.state),
        row.attempts,
        row.due_at,
        row.give_up_at,
        row.updated_at,
        json.loads(row.data),
        json.loads(row.result) if row.result else None,
        Failure(error["code"], error["data"]) if error else None,
    )


def _failure(failure: Failure) -> str:
    facts = {k: v for k, v in failure.data.items() if isinstance(v, str | int | float | bool)}
    return _dump({"code": failure.code, "data": facts})


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"))
