"""What may happen to a signing session, and what it is afterwards.  Pure: sessions in, sessions out.

    created --certificate--> prepared --values--> completing --all documents finished--> completed | failed
       \\______________________\\____________________\\-- canceled, expired

Until a value was accepted another certificate may take the place of the first, and what was prepared long ago is
prepared again, because the time of signing is fixed with it.  A document whose completion fails for a while (no
timestamp to be had) keeps its value and is completed later; a wrong value changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from signsvc.errors import SessionError
from signsvc.store.session_records import ItemState, Session, SessionItem, SessionState

OPEN = (SessionState.CREATED, SessionState.PREPARED, SessionState.COMPLETING)
FINISHED = (ItemState.COMPLETED, ItemState.FAILED, ItemState.ABANDONED)
_DONE = (SessionState.COMPLETED, SessionState.FAILED)
_VALUED = (ItemState.SIGNED, ItemState.COMPLETING, ItemState.COMPLETED)

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Times:
    """How long a session waits for its signer, how old a prepared signature may become, how long one that has values
    waits to be completed, how long somebody who completes a document may be silent, and how long an ended session is
    remembered."""

    wait: timedelta = timedelta(minutes=15)
    fresh: timedelta = timedelta(minutes=10)
    complete: timedelta = timedelta(days=1)
    lease: timedelta = timedelta(minutes=20)
    remember: timedelta = timedelta(days=1)


def require_open(session: Session, now: datetime) -> None:
    """Raises `SessionError`: ``session_canceled``, ``session_expired`` (also where its time is over and nobody noted
    it yet), ``session_conflict`` where everything is finished."""
    if session.state is SessionState.CANCELED:
        raise SessionError("session_canceled")
    if session.state is SessionState.EXPIRED or overdue(session, now):
        raise SessionError("session_expired")
    if session.state not in OPEN:
        raise conflict("ended")


def overdue(session: Session, now: datetime) -> bool:
    """Whether an open session's time is over.  A document in completion is waited for."""
    return (
        session.state in OPEN and now >= session.expires_at and not any(_worked_on(item, now) for item in session.items)
    )


def expired(session: Session, now: datetime) -> Session:
    """The session, ended where its time is over."""
    return _ended(session, SessionState.EXPIRED, now) if overdue(session, now) else session


def canceled(session: Session, now: datetime) -> Session:
    """The session, ended by its owner; once more changes nothing.  Raises `SessionError` where it ended otherwise."""
    if session.state is SessionState.CANCELED:
        return session
    require_open(session, now)
    return _ended(session, SessionState.CANCELED, now)


def to_prepare(session: Session, chain: tuple[bytes, ...], times: Times, now: datetime) -> tuple[int, ...]:
    """The documents that have to be prepared for the signer with `chain` (leaf first): none where the same was asked
    before and is still fresh.  Raises `SessionError`: see `require_open`; ``session_conflict`` for another certificate
    after a value was accepted."""
    same = session.chain[:1] == chain[:1]
    if same and session.state in _DONE:
        return ()
    require_open(session, now)
    if not same and any(item.state in _VALUED for item in session.items):
        raise conflict("certificate")
    return tuple(
        item.number
        for item in session.items
        if item.state is ItemState.WAITING
        or (item.state is ItemState.PREPARED and (not same or stale(item, times, now)))
    )


def stale(item: SessionItem, times: Times, now: datetime) -> bool:
    """Whether a prepared document has to be prepared again."""
    return item.prepared_at is None or now >= item.prepared_at + times.fresh


def prepared(
    session: Session,
    chain: tuple[bytes, ...],
    results: Mapping[int, Facts],
    problems: Mapping[int, Facts],
    times: Times,
    *,
    version: int,
    begun: datetime,
    now: datetime,
) -> Session:
    """The session with documents prepared for the signer with `chain` since `begun`, when it had `version`.

    `problems` are of documents that cannot be signed at all.  Raises `SessionError`: see `to_prepare`;
    ``session_conflict`` where somebody changed it meanwhile.
    """
    require_open(session, now)
    if session.version != version:
        raise conflict("changed")

    def one(item: SessionItem) -> SessionItem:
        if item.number in results:
            return replace(
                item, state=ItemState.PREPARED, prepared=results[item.number], prepared_at=begun, problem=None
            )
        if item.number in problems:
            return replace(item, state=ItemState.FAILED, problem=problems[item.number], prepared=None)
        return item

    found = replace(session, chain=chain, items=tuple(map(one, session.items)))
    return _settled(replace(found, expires_at=max(session.expires_at, now + times.wait)), now)


def awaited(session: Session, values: Mapping[int, bytes], times: Times, now: datetime) -> tuple[SessionItem, ...]:
    """The documents among `values` whose value is new; those that have the same value already are left out.

    Raises `SessionError`: see `require_open`; ``session_conflict`` for a document that is not prepared or has another
    value, ``signing_time_stale``.
    """
    for number, value in values.items():
        item = session.item(number)
        if item is None:
            raise conflict("document")
        if item.state in _VALUED and item.value != value:
            raise conflict("value")
    found = tuple(i for i in session.items if i.number in values and i.value != values[i.number])
    if found or session.state not in _DONE:
        require_open(session, now)
    for item in found:
        if item.state is not ItemState.PREPARED:
            raise conflict("document")
        if stale(item, times, now):
            raise SessionError("signing_time_stale")
    return found


def signed(session: Session, values: Mapping[int, bytes], times: Times, *, version: int, now: datetime) -> Session:
    """The session with `values`, which were verified when it had `version`.  Raises like `awaited`;
    ``session_conflict`` where what was verified is prepared anew."""
    fresh = {item.number for item in awaited(session, values, times, now)}
    if not fresh:
        return session
    if session.version != version:
        raise conflict("changed")

    def one(item: SessionItem) -> SessionItem:
        if item.number not in fresh:
            return item
        return replace(item, state=ItemState.SIGNED, value=values[item.number], problem=None)

    found = replace(session, items=tuple(map(one, session.items)))
    return _settled(replace(found, expires_at=max(session.expires_at, now + times.complete)), now)


def claimable(session: Session, now: datetime) -> tuple[int, ...]:
    """Documents that have their value and that nobody completes now."""
    if session.state not in OPEN:
        return ()
    return tuple(
        item.number
        for item in session.items
        if item.state is ItemState.SIGNED or (item.state is ItemState.COMPLETING and not _worked_on(item, now))
    )


def claimed(session: Session, number: int, holder: str, times: Times, now: datetime) -> Session:
    """The session with one document in the hands of `holder`; unchanged where that is not possible (any more)."""
    if number not in claimable(session, now):
        return session
    lease = now + times.lease
    return _with(
        session,
        number,
        lambda i: replace(i, state=ItemState.COMPLETING, holder=holder, lease_until=lease, problem=None),
    )


def completed(session: Session, number: int, holder: str, result: Facts, now: datetime) -> Session:
    """The session with a document that `holder` completed.  A signature that somebody else put on the same file
    meanwhile makes it a failure (``base_changed``).  Unchanged where the document is no longer the holder's."""
    if not _held(session, number, holder):
        return session

    def one(item: SessionItem) -> SessionItem:
        if item.signed_elsewhere:
            return _failure(item, {"code": "base_changed"})
        return replace(
            item, state=ItemState.COMPLETED, result=result, problem=None, prepared=None, holder=None, lease_until=None
        )

    return _settled(_with(session, number, one), now)


def failed(session: Session, number: int, holder: str, problem: Facts, now: datetime) -> Session:
    """The session with a document that cannot be completed.  Unchanged where it is no longer the holder's."""
    if not _held(session, number, holder):
        return session
    return _settled(_with(session, number, lambda item: _failure(item, problem)), now)


def put_back(
    session: Session, number: int, holder: str, problem: Facts, now: datetime, *, room: int | None = None
) -> Session:
    """The session with a document that cannot be completed now: its value is kept for the next try.

    With `room`, the octets that its timestamp needs, it has to be prepared and signed again.
    """
    if not _held(session, number, holder):
        return session

    def one(item: SessionItem) -> SessionItem:
        free = replace(item, problem=problem, holder=None, lease_until=None)
        if room is None:
            return replace(free, state=ItemState.SIGNED)
        return replace(free, state=ItemState.WAITING, value=None, prepared={"room": room}, prepared_at=None)

    return _settled(_with(session, number, one), now)


def conflict(reason: str) -> SessionError:
    """`reason`: ended, certificate, changed, document, value."""
    return SessionError("session_conflict", reason=f"session-{reason}")


def _held(session: Session, number: int, holder: str) -> bool:
    item = session.item(number)
    return session.state in OPEN and item is not None and item.state is ItemState.COMPLETING and item.holder == holder


def _worked_on(item: SessionItem, now: datetime) -> bool:
    return item.state is ItemState.COMPLETING and item.lease_until is not None and now < item.lease_until


def _failure(item: SessionItem, problem: Facts) -> SessionItem:
    return replace(item, state=ItemState.FAILED, problem=problem, prepared=None, holder=None, lease_until=None)


def _with(session: Session, number: int, change: Callable[[SessionItem], SessionItem]) -> Session:
    return replace(session, items=tuple(change(item) if item.number == number else item for item in session.items))


def _ended(session: Session, state: SessionState, now: datetime) -> Session:
    def one(item: SessionItem) -> SessionItem:
        if item.state in FINISHED:
            return item
        return replace(item, state=ItemState.ABANDONED, prepared=None, value=None, holder=None, lease_until=None)

    return replace(session, state=state, ended_at=now, items=tuple(map(one, session.items)))


def _settled(session: Session, now: datetime) -> Session:
    """The session in the state that its documents say."""
    states = {item.state for item in session.items}
    if states <= set(FINISHED):
        done = ItemState.COMPLETED in states
        return replace(session, state=SessionState.COMPLETED if done else SessionState.FAILED, ended_at=now)
    if not states.isdisjoint(_VALUED):
        return replace(session, state=SessionState.COMPLETING)
    if ItemState.PREPARED in states:
        return replace(session, state=SessionState.PREPARED)
    return replace(session, state=SessionState.CREATED)
