"""The state machine of signing sessions: every order of events keeps its promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signsvc.errors import SessionError
from signsvc.signing.sessions import state
from signsvc.store.session_records import ItemState, Session, SessionItem, SessionState

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
TIMES = state.Times()
A, B = (b"A", b"CA"), (b"B", b"CA")


def session(count: int = 2) -> Session:
    items = tuple(SessionItem(n, f"{n:064x}", 10, "application/pdf") for n in range(1, count + 1))
    return Session("ses_1", "key_1", NOW, NOW + TIMES.wait, {"id": "pades-b-b"}, items)


def prepared(found: Session, chain: tuple[bytes, ...] = A, now: datetime = NOW) -> Session:
    todo = state.to_prepare(found, chain, TIMES, now)
    results = {number: {"for": chain[0].hex()} for number in todo}
    return state.prepared(found, chain, results, {}, TIMES, version=found.version, begun=now, now=now)


def signed(found: Session, *numbers: int, now: datetime = NOW, value: bytes = b"v") -> Session:
    return state.signed(found, dict.fromkeys(numbers, value), TIMES, version=found.version, now=now)


def code(caught: pytest.ExceptionInfo[SessionError]) -> str:
    return f"{caught.value.code} {caught.value.data.get('reason', '')}".strip()


def test_the_straight_way() -> None:
    found = prepared(session())
    assert (found.state, found.chain) == (SessionState.PREPARED, A)
    found = signed(found, 1, 2)
    assert found.state is SessionState.COMPLETING
    assert state.claimable(found, NOW) == (1, 2)
    for number in (1, 2):
        found = state.claimed(found, number, "me", TIMES, NOW)
        assert number not in state.claimable(found, NOW)
        found = state.completed(found, number, "me", {"sha256": "x"}, NOW)
    assert (found.state, found.ended_at) == (SessionState.COMPLETED, NOW)
    assert [i.state for i in found.items] == [ItemState.COMPLETED] * 2


def test_the_same_again_changes_nothing() -> None:
    found = prepared(session())
    assert state.to_prepare(found, A, TIMES, NOW) == ()
    found = signed(found, 1)
    assert signed(found, 1) is found
    found = state.completed(state.claimed(found, 1, "me", TIMES, NOW), 1, "me", {}, NOW)
    assert signed(found, 1) is found
    found = state.failed(state.claimed(signed(found, 2), 2, "me", TIMES, NOW), 2, "me", {"code": "x"}, NOW)
    assert found.state is SessionState.COMPLETED
    assert signed(found, 1, 2) is found  # even after the end, and for the document that failed
    assert state.to_prepare(found, A, TIMES, NOW) == ()


def test_another_certificate_takes_the_place_of_the_first_until_a_value_is_there() -> None:
    found = prepared(prepared(session()), B)
    assert found.chain == B
    assert {i.prepared["for"] for i in found.items if i.prepared} == {B[0].hex()}
    found = signed(found, 1)
    with pytest.raises(SessionError) as caught:
        state.to_prepare(found, A, TIMES, NOW)
    assert code(caught) == "session_conflict session-certificate"
    assert state.to_prepare(found, B, TIMES, NOW) == ()


def test_what_was_prepared_long_ago_is_prepared_again() -> None:
    found = prepared(session())
    later = NOW + TIMES.fresh
    with pytest.raises(SessionError) as caught:
        signed(found, 1, now=later)
    assert code(caught) == "signing_time_stale"
    assert state.to_prepare(found, A, TIMES, later) == (1, 2)
    found = prepared(found, now=later)
    assert found.expires_at == later + TIMES.wait
    assert signed(found, 1, now=later).state is SessionState.COMPLETING


def test_a_second_host_that_prepared_too_loses() -> None:
    found = session()
    with pytest.raises(SessionError) as caught:
        state.prepared(found, A, {1: {}}, {}, TIMES, version=found.version - 1, begun=NOW, now=NOW)
    assert code(caught) == "session_conflict session-changed"


def test_values_for_what_is_not_prepared() -> None:
    for found, number in ((session(), 1), (prepared(session()), 3), (prepared(session()), 0)):
        with pytest.raises(SessionError) as caught:
            signed(found, number)
        assert code(caught) == "session_conflict session-document"
    with pytest.raises(SessionError) as caught:
        signed(signed(prepared(session()), 1), 1, value=b"w")
    assert code(caught) == "session_conflict session-value"


def test_a_lease_that_ended_lets_somebody_else_complete_and_its_late_holder_not() -> None:
    found = state.claimed(signed(prepared(session(1)), 1), 1, "dead", TIMES, NOW)
    later = NOW + TIMES.lease
    assert state.claimable(found, NOW) == ()
    assert state.claimed(found, 1, "me", TIMES, NOW) is found
    found = state.claimed(found, 1, "me", TIMES, later)
    assert state.completed(found, 1, "dead", {}, later) is found
    assert state.failed(found, 1, "dead", {}, later) is found
    assert state.put_back(found, 1, "dead", {}, later) is found
    assert state.completed(found, 1, "me", {}, later).state is SessionState.COMPLETED


def test_a_document_put_back_keeps_its_value_unless_it_needs_more_room() -> None:
    found = state.claimed(signed(prepared(session(1)), 1), 1, "me", TIMES, NOW)
    waiting = state.put_back(found, 1, "me", {"code": "tsa_unavailable"}, NOW)
    assert (waiting.items[0].state, waiting.items[0].value) == (ItemState.SIGNED, b"v")
    assert state.claimable(waiting, NOW) == (1,)
    again = state.put_back(found, 1, "me", {"code": "tsa_invalid_token"}, NOW, room=40_000)
    assert (again.state, again.items[0].value, again.items[0].prepared) == (
        SessionState.CREATED,
        None,
        {"room": 40_000},
    )
    assert state.to_prepare(again, A, TIMES, NOW) == (1,)


def test_a_file_that_somebody_else_signed_is_not_signed_again() -> None:
    found = state.claimed(signed(prepared(session(1)), 1), 1, "me", TIMES, NOW)
    found = replace(found, items=(replace(found.items[0], signed_elsewhere=True),))
    found = state.completed(found, 1, "me", {}, NOW)
    assert (found.state, found.items[0].problem) == (SessionState.FAILED, {"code": "base_changed"})


def test_a_session_waits_for_whoever_completes_and_for_nobody_else() -> None:
    found = prepared(session())
    assert state.expired(found, found.expires_at - timedelta(seconds=1)) is found
    over = state.expired(found, found.expires_at)
    assert (over.state, {i.state for i in over.items}) == (SessionState.EXPIRED, {ItemState.ABANDONED})
    with pytest.raises(SessionError) as caught:
        state.to_prepare(found, A, TIMES, found.expires_at)
    assert code(caught) == "session_expired"
    found = signed(found, 1)
    assert found.expires_at == NOW + TIMES.complete
    late = found.expires_at - timedelta(minutes=1)
    busy = state.claimed(found, 1, "me", TIMES, late)
    assert state.expired(busy, found.expires_at) is busy
    assert state.expired(busy, late + TIMES.lease).state is SessionState.EXPIRED


def test_after_the_end_nothing_happens() -> None:
    canceled = state.canceled(prepared(session()), NOW)
    assert state.canceled(canceled, NOW) is canceled
    for step in (lambda: state.to_prepare(canceled, A, TIMES, NOW), lambda: signed(canceled, 1)):
        with pytest.raises(SessionError) as caught:
            step()
        assert code(caught) == "session_canceled"
    held = state.claimed(signed(prepared(session(1)), 1), 1, "me", TIMES, NOW)
    gone = state.canceled(held, NOW)
    assert state.completed(gone, 1, "me", {}, NOW) is gone
    done = state.completed(held, 1, "me", {}, NOW)
    with pytest.raises(SessionError) as caught:
        state.canceled(done, NOW)
    assert code(caught) == "session_conflict session-ended"


class Sessions(RuleBasedStateMachine):
    """Two signers, two workers and a clock do whatever they like; what is refused changes nothing."""

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.found = session(3)
        self.results: dict[int, str] = {}
        self.verified: dict[int, bytes] = {}

    def take(self, after: Session) -> None:
        before, self.found = (
            self.found,
            after if after is self.found else replace(after, version=self.found.version + 1),
        )
        for old, new in zip(before.items, self.found.items, strict=True):
            if old.state in state.FINISHED:
                assert new == old
            if new.state is ItemState.COMPLETED and old.state is not ItemState.COMPLETED:
                assert old.state is ItemState.COMPLETING
        if before.state not in state.OPEN:
            assert self.found is before

    def attempt(self, step: Any) -> None:
        try:
            self.take(step())
        except SessionError:
            pass

    @rule(chain=st.sampled_from([A, B]))
    def certificate(self, chain: tuple[bytes, ...]) -> None:
        def step() -> Session:
            if not state.to_prepare(self.found, chain, TIMES, self.now):
                return self.found
            return prepared(self.found, chain, self.now)

        self.attempt(step)

    @rule(numbers=st.sets(st.integers(1, 4), min_size=1), value=st.sampled_from([b"v", b"w"]))
    def values(self, numbers: set[int], value: bytes) -> None:
        self.attempt(lambda: signed(self.found, *numbers, now=self.now, value=value))

    @rule(number=st.integers(1, 3), holder=st.sampled_from(["one", "two"]))
    def claim(self, number: int, holder: str) -> None:
        self.attempt(lambda: state.claimed(self.found, number, holder, TIMES, self.now))

    @rule(number=st.integers(1, 3), holder=st.sampled_from(["one", "two"]))
    def complete(self, number: int, holder: str) -> None:
        self.attempt(lambda: state.completed(self.found, number, holder, {"by": holder}, self.now))

    @rule(
        number=st.integers(1, 3), holder=st.sampled_from(["one", "two"]), how=st.sampled_from(["fail", "back", "room"])
    )
    def trouble(self, number: int, holder: str, how: str) -> None:
        problem = {"code": "x"}
        if how == "fail":
            self.attempt(lambda: state.failed(self.found, number, holder, problem, self.now))
        else:
            room = 1 if how == "room" else None
            self.attempt(lambda: state.put_back(self.found, number, holder, problem, self.now, room=room))

    @rule(minutes=st.sampled_from([1, 9, 21, 24 * 60]))
    def time_goes_by(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.attempt(lambda: state.expired(self.found, self.now))

    @precondition(lambda self: self.found.state in state.OPEN)
    @rule(really=st.integers(0, 5))
    def cancel(self, really: int) -> None:
        if really == 0:
            self.attempt(lambda: state.canceled(self.found, self.now))

    @invariant()
    def is_sound(self) -> None:
        if not hasattr(self, "found"):
            return
        found = self.found
        for item in found.items:
            assert (item.state is ItemState.COMPLETING) == (item.holder is not None)
            if item.state in (ItemState.SIGNED, ItemState.COMPLETING):
                assert item.value is not None
                assert item.prepared == {"for": found.chain[0].hex()}
            if item.state is ItemState.PREPARED:
                assert item.prepared == {"for": found.chain[0].hex()}
            if found.state not in state.OPEN:
                assert item.state in state.FINISHED
        done = all(item.state in state.FINISHED for item in found.items)
        assert done == (found.state not in state.OPEN)
        assert (found.ended_at is None) == (found.state in state.OPEN)


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
