"""Signing sessions: everything about them is in the database and beside the blobs, so that any host can go on.

Every change locks its session's row and is written as the difference between what was and what shall be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from signsvc.errors import RequestError, SessionError
from signsvc.store.blobs import BlobDirectory
from signsvc.store.database import Database
from signsvc.store.session_files import SessionFiles
from signsvc.store.session_records import ItemState, Session, SessionEvent, SessionItem, SessionState
from signsvc.store.session_schema import bases, events, items, sessions

Change = Callable[[Session], Session]

_OPEN = (SessionState.CREATED, SessionState.PREPARED, SessionState.COMPLETING)
_FINISHED = (ItemState.COMPLETED, ItemState.FAILED, ItemState.ABANDONED)
# A session that came to its time is still holding its files until somebody looks: this many are looked at in a row.
_ATTEMPTS = 3


class _HeldError(Exception):
    """Another session holds a file."""

    def __init__(self, session: str) -> None:
        super().__init__(session)
        self.session = session


class Sessions:
    """Signing sessions of an installation.  `files` keeps what is being signed."""

    def __init__(self, database: Database, blobs: BlobDirectory) -> None:
        self._database = database
        self.files = SessionFiles(blobs.root / "sessions")

    def add(self, session: Session, *, now: datetime, expired: Change) -> None:
        """Keep a new session, which from now on holds the files it is about to sign.

        Where one of them is held by a session that is over by `expired`, that one ends.  Raises `SessionError`
        (base_in_signing) where another session holds a file, and `StorageError`.
        """
        for _ in range(_ATTEMPTS):
            holder = self._add(session, now)
            if holder is None:
                return
            with suppress(RequestError):  # it ended meanwhile
                if self.change(holder, expired, now=now).state in _OPEN:
                    break
        raise SessionError("base_in_signing")

    def _add(self, session: Session, now: datetime) -> str | None:
        """The session that holds one of the files, where that keeps this one from being added."""
        try:
            self._insert(session, now)
        except _HeldError as error:
            return error.session
        return None

    def _insert(self, session: Session, now: datetime) -> None:
        with self._database.write() as connection:
            # In one order, so that two hosts do not wait for each other.
            for sha256 in sorted(item.sha256 for item in session.items):
                try:
                    with connection.begin_nested():
                        connection.execute(insert(bases).values(sha256=sha256, session_id=session.id))
                except IntegrityError:
                    holder = connection.execute(select(bases.c.session_id).where(bases.c.sha256 == sha256)).scalar()
                    raise _HeldError(holder or "") from None
            connection.execute(insert(sessions).values(**_session_values(session), id=session.id))
            rows = [{**_item_values(i), "session_id": session.id, "number": i.number} for i in session.items]
            connection.execute(insert(items), rows)
            _log(connection, session.id, 1, now, "session", _standing(session))

    def get(self, identifier: str) -> Session:
        """Raises `RequestError` (not_found)."""
        with self._database.read() as connection:
            return _load(connection, identifier, lock=False)

    def change(
        self,
        identifier: str,
        change: Change,
        *,
        now: datetime,
        also: Callable[[Connection, Session], None] | None = None,
    ) -> Session:
        """What `change` makes of the session, written at once; nobody else changes it meanwhile.

        What it raises leaves everything as it is; `also` writes in the same transaction.  Raises `RequestError`
        (not_found).
        """
        # What `also` writes is a signed file, which is handed out: it outlives a power cut.
        with self._database.write(durable=also is not None) as connection:
            before = _load(connection, identifier, lock=True)
            after = change(before)
            if after is before:
                return before
            after = replace(after, version=before.version + 1)
            self._write(connection, before, after, now)
            if also is not None:
                also(connection, after)
        if after.state not in _OPEN and before.state in _OPEN:
            self.files.clear(identifier)
        return after

    def events(self, identifier: str, after: int, limit: int = 500) -> tuple[SessionEvent, ...]:
        """What happened after the event with this sequence number, oldest first."""
        wanted = select(events).where(events.c.session_id == identifier, events.c.sequence > after)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(events.c.sequence).limit(limit)).all()
        return tuple(SessionEvent(row.sequence, row.at, row.kind, json.loads(row.data)) for row in rows)

    def signed_elsewhere(self, sha256: str, *, now: datetime) -> None:
        """A signature on this file was completed outside of the session that may hold it."""
        with self._database.read() as connection:
            held = connection.execute(select(bases.c.signed_at).where(bases.c.sha256 == sha256)).first()
        if held is not None and held.signed_at is None:
            with self._database.write() as connection:
                connection.execute(update(bases).where(bases.c.sha256 == sha256).values(signed_at=now))

    def overdue(self, now: datetime, limit: int = 50) -> tuple[str, ...]:
        """Open sessions whose time is over."""
        wanted = select(sessions.c.id).where(sessions.c.state.in_(_OPEN), sessions.c.expires_at <= now)
        with self._database.read() as connection:
            return tuple(connection.execute(wanted.order_by(sessions.c.expires_at).limit(limit)).scalars())

    def purge(self, ended_before: datetime, limit: int = 200) -> int:
        """Forget sessions that ended before this moment; how many.  Signed files and reports stay."""
        wanted = select(sessions.c.id).where(sessions.c.ended_at < ended_before).limit(limit)
        with self._database.read() as connection:
            found = list(connection.execute(wanted).scalars())
        if found:
            with self._database.write() as connection:
                for table in (items, events, bases):
                    connection.execute(delete(table).where(table.c.session_id.in_(found)))
                connection.execute(delete(sessions).where(sessions.c.id.in_(found)))
            for identifier in found:
                self.files.clear(identifier)
        return len(found)

    def sweep(self) -> int:
        """Remove files of sessions that were never begun, because their process was killed before; how many."""
        count = 0
        for identifier in self.files.old():
            with self._database.read() as connection:
                known = connection.execute(select(sessions.c.id).where(sessions.c.id == identifier)).first()
            if known is None:
                self.files.clear(identifier)
                count += 1
        return count

    def _write(self, connection: Connection, before: Session, after: Session, now: datetime) -> None:
        connection.execute(update(sessions).where(sessions.c.id == after.id).values(**_session_values(after)))
        sequence = connection.execute(
            select(func.max(events.c.sequence)).where(events.c.session_id == after.id)
        ).scalar_one_or_none()
        sequence = sequence or 0
        released = []
        for old, new in zip(before.items, after.items, strict=True):
            if new == old:
                continue
            where = (items.c.session_id == after.id) & (items.c.number == new.number)
            connection.execute(update(items).where(where).values(**_item_values(new)))
            if new.state is not old.state or new.problem != old.problem:
                sequence += 1
                _log(connection, after.id, sequence, now, "document", _item_standing(new))
            if new.state in _FINISHED and old.state not in _FINISHED:
                released.append(new.sha256)
        if after.state is not before.state:
            _log(connection, after.id, sequence + 1, now, "session", _standing(after))
        if released:
            mine = (bases.c.session_id == after.id) & bases.c.sha256.in_(released)
            connection.execute(delete(bases).where(mine))


def _load(connection: Connection, identifier: str, *, lock: bool) -> Session:
    wanted = select(sessions).where(sessions.c.id == identifier)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise RequestError("not_found")
    elsewhere = select(bases.c.sha256).where(bases.c.session_id == identifier, bases.c.signed_at.is_not(None))
    signed = frozenset(connection.execute(elsewhere).scalars())
    found = connection.execute(select(items).where(items.c.session_id == identifier).order_by(items.c.number))
    return Session(
        id=row.id,
        owner=row.owner,
        created_at=row.created_at,
        expires_at=row.expires_at,
        profile=json.loads(row.profile),
        items=tuple(_item(entry, signed) for entry in found),
        state=SessionState(row.state),
        version=row.version,
        chain=tuple(bytes.fromhex(text) for text in json.loads(row.chain)),
        ended_at=row.ended_at,
    )


def _item(row: Row[Any], signed: frozenset[str]) -> SessionItem:
    return SessionItem(
        number=row.number,
        sha256=row.sha256,
        size=row.size,
        media_type=row.media_type,
        name=row.name,
        params=json.loads(row.params),
        state=ItemState(row.state),
        prepared_at=row.prepared_at,
        prepared=_json(row.prepared),
        value=bytes(row.value) if row.value is not None else None,
        holder=row.holder,
        lease_until=row.lease_until,
        problem=_json(row.problem),
        result=_json(row.result),
        signed_elsewhere=row.sha256 in signed,
    )


def _session_values(session: Session) -> dict[str, Any]:
    return {
        "owner": session.owner,
        "state": session.state.value,
        "version": session.version,
        "created_at": session.created_at,
        "expires_at": session.expires_at,
        "ended_at": session.ended_at,
        "profile": _text(session.profile),
        "chain": json.dumps([der.hex() for der in session.chain]),
    }


def _item_values(item: SessionItem) -> dict[str, Any]:
    return {
        "sha256": item.sha256,
        "size": item.size,
        "media_type": item.media_type,
        "name": item.name,
        "params": _text(item.params),
        "state": item.state.value,
        "prepared_at": item.prepared_at,
        "prepared": _text(item.prepared),
        "value": item.value,
        "holder": item.holder,
        "lease_until": item.lease_until,
        "problem": _text(item.problem),
        "result": _text(item.result),
    }


def _item_standing(item: SessionItem) -> dict[str, Any]:
    code = item.problem.get("code") if item.problem else None
    return {"id": item.number, "state": item.state.value, **({"problem": code} if code else {})}


def _standing(session: Session) -> dict[str, Any]:
    done = sum(item.state in _FINISHED for item in session.items)
    return {"state": session.state.value, "done": done, "total": len(session.items)}


def _log(
    connection: Connection, identifier: str, sequence: int, now: datetime, kind: str, data: Mapping[str, Any]
) -> None:
    row = {"session_id": identifier, "sequence": sequence, "at": now, "kind": kind, "data": _text(data)}
    connection.execute(insert(events).values(**row))


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"))


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)
