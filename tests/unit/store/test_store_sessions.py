"""Sessions as the store keeps them: whole, one holder for each file, nothing left behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signsvc.errors import RequestError, SessionError
from signsvc.store import Store
from signsvc.store.session_records import ItemState, Session, SessionItem, SessionState

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.in_directory(tmp_path / "data")
    yield found
    found.close()


def session(identifier: str = "ses_1", *bases: str, **more: Any) -> Session:
    files = bases or ("ab" * 32, "cd" * 32)
    items = tuple(
        SessionItem(n, sha256, 10, "application/pdf", f"văn bản {n}.pdf", {"reason": "Ban hành"})
        for n, sha256 in enumerate(files, 1)
    )
    return Session(identifier, "key_1", NOW, LATER, {"id": "pades-b-b"}, items, **more)


def ended(found: Session, now: datetime = LATER) -> Session:
    if found.expires_at > now or found.ended_at:
        return found
    items = tuple(replace(i, state=ItemState.ABANDONED) for i in found.items)
    return replace(found, state=SessionState.EXPIRED, ended_at=now, items=items)


def same(found: Session) -> Session:
    return found


def test_round_trip(store: Store) -> None:
    wanted = session(chain=(b"\0leaf", b"ca"))
    store.sessions.add(wanted, now=NOW, expired=same)
    assert store.sessions.get("ses_1") == wanted
    item = replace(
        wanted.items[1],
        state=ItemState.COMPLETING,
        prepared_at=NOW,
        prepared={"a": [1, "ă"]},
        value=b"\0\1",
        holder="me",
        lease_until=LATER,
        problem={"code": "busy"},
    )
    after = store.sessions.change("ses_1", lambda s: replace(s, items=(s.items[0], item)), now=NOW)
    assert store.sessions.get("ses_1") == after
    assert (after.version, after.items[1]) == (2, item)


def test_unknown(store: Store) -> None:
    for step in (lambda: store.sessions.get("x"), lambda: store.sessions.change("x", same, now=NOW)):
        with pytest.raises(RequestError) as caught:
            step()
        assert caught.value.code == "not_found"


def test_one_session_holds_a_file(store: Store) -> None:
    store.sessions.add(session("ses_1", "aa" * 32), now=NOW, expired=same)
    with pytest.raises(SessionError) as caught:
        store.sessions.add(session("ses_2", "00" * 32, "aa" * 32), now=NOW, expired=same)
    assert caught.value.code == "base_in_signing"
    with pytest.raises(RequestError):
        store.sessions.get("ses_2")
    store.sessions.add(session("ses_3", "00" * 32), now=NOW, expired=same)  # nothing of the second is left


def test_a_session_whose_time_is_over_gives_its_files_free(store: Store) -> None:
    store.sessions.add(session("ses_1", "aa" * 32), now=NOW, expired=same)
    store.sessions.add(session("ses_2", "aa" * 32), now=LATER, expired=ended)
    assert store.sessions.get("ses_1").state is SessionState.EXPIRED


def test_a_finished_document_gives_its_file_free(store: Store) -> None:
    store.sessions.add(session("ses_1", "aa" * 32, "bb" * 32), now=NOW, expired=same)
    store.sessions.change(
        "ses_1", lambda s: replace(s, items=(replace(s.items[0], state=ItemState.COMPLETED), s.items[1])), now=NOW
    )
    store.sessions.add(session("ses_2", "aa" * 32), now=NOW, expired=same)
    with pytest.raises(SessionError):
        store.sessions.add(session("ses_3", "bb" * 32), now=NOW, expired=same)


def test_a_signature_made_elsewhere_is_seen(store: Store) -> None:
    store.sessions.add(session("ses_1", "aa" * 32, "bb" * 32), now=NOW, expired=same)
    store.sessions.signed_elsewhere("aa" * 32, now=NOW)
    store.sessions.signed_elsewhere("ee" * 32, now=NOW)
    assert [i.signed_elsewhere for i in store.sessions.get("ses_1").items] == [True, False]


def test_what_a_change_raises_leaves_everything(store: Store) -> None:
    store.sessions.add(session(), now=NOW, expired=same)

    def change(found: Session) -> Session:
        raise SessionError("session_expired")

    with pytest.raises(SessionError):
        store.sessions.change("ses_1", change, now=NOW)
    assert store.sessions.get("ses_1").version == 1
    assert len(store.sessions.events("ses_1", 0)) == 1


def test_events_are_numbered_and_tell_what_changed(store: Store) -> None:
    store.sessions.add(session(), now=NOW, expired=same)
    store.sessions.change("ses_1", ended, now=LATER)
    found = store.sessions.events("ses_1", 0)
    assert [(e.sequence, e.kind, e.data) for e in found] == [
        (1, "session", {"state": "created", "done": 0, "total": 2}),
        (2, "document", {"id": 1, "state": "abandoned"}),
        (3, "document", {"id": 2, "state": "abandoned"}),
        (4, "session", {"state": "expired", "done": 2, "total": 2}),
    ]
    assert store.sessions.events("ses_1", 3) == found[3:]


def test_many_threads_change_one_session_one_after_the_other(store: Store) -> None:
    store.sessions.add(session(), now=NOW, expired=same)
    won: list[int] = []

    def claim(number: int) -> None:
        def change(found: Session) -> Session:
            if found.items[0].holder is not None:
                return found
            held = replace(found.items[0], state=ItemState.COMPLETING, holder=str(number))
            return replace(found, items=(held, found.items[1]))

        if store.sessions.change("ses_1", change, now=NOW).items[0].holder == str(number):
            won.append(number)

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_what_is_written_with_a_change_goes_with_it(store: Store) -> None:
    store.sessions.add(session(), now=NOW, expired=same)
    rows: list[int] = []

    def also(connection: Any, after: Session) -> None:
        store.reports.insert(connection, {"id": f"rep_{after.version}"}, now=NOW)
        rows.append(after.version)
        if after.version == 3:
            raise RequestError("not_found")

    store.sessions.change("ses_1", lambda s: replace(s, chain=(b"a",)), now=NOW, also=also)
    with pytest.raises(RequestError):
        store.sessions.change("ses_1", lambda s: replace(s, chain=(b"b",)), now=NOW, also=also)
    store.sessions.change("ses_1", same, now=NOW, also=also)
    assert rows == [2, 3]
    assert store.sessions.get("ses_1").chain == (b"a",)
    assert store.reports.get("rep_2").id == "rep_2"
    with pytest.raises(RequestError):
        store.reports.get("rep_3")


def test_files_go_with_their_session(store: Store, tmp_path: Path) -> None:
    store.sessions.add(session(), now=NOW, expired=same)
    source = tmp_path / "a"
    source.write_bytes(b"0123456789")
    store.sessions.files.add("ses_1", "1-base", source)
    store.sessions.files.add("ses_1", "1-tail", source, start=4)
    assert store.sessions.files.path("ses_1", "1-tail").read_bytes() == b"456789"
    assert store.sessions.overdue(NOW) == ()
    assert store.sessions.overdue(LATER) == ("ses_1",)
    store.sessions.change("ses_1", ended, now=LATER)
    assert not store.sessions.files.path("ses_1", "1-base").parent.exists()
    assert store.sessions.purge(LATER) == 0
    assert store.sessions.purge(LATER + timedelta(seconds=1)) == 1
    with pytest.raises(RequestError):
        store.sessions.get("ses_1")
    assert store.sessions.events("ses_1", 0) == ()


def test_files_of_a_session_that_never_began_are_swept(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 10)
    store.sessions.add(session(), now=NOW, expired=same)
    long_ago = 1_700_000_000
    for name in ("ses_1", "ses_dead", "ses_new"):
        store.sessions.files.add(name, "1-base", source)
        if name != "ses_new":
            os.utime(store.sessions.files.path(name, "x").parent, (long_ago, long_ago))
    assert store.sweep(now=NOW) == 1
    left = [store.sessions.files.path(name, "1-base").exists() for name in ("ses_1", "ses_dead", "ses_new")]
    assert left == [True, False, True]
