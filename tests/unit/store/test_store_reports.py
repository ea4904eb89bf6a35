"""Reports with what they rest on, copies, links, deletions; messages about them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from signsvc.errors import RequestError
from signsvc.store import Store
from signsvc.store.bases import evidence

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.in_directory(tmp_path)
    yield found
    found.close()


def _report(identifier: str) -> dict[str, Any]:
    return {"id": identifier, "document": {"sha256": "ab" * 32}, "indication": "TOTAL-PASSED"}


def _kept(store: Store, identifier: str, *parts: bytes) -> None:
    with store.database.write() as connection:
        store.reports.insert(connection, _report(identifier), now=NOW, owner="key_1")
        store.bases.insert(connection, identifier, b"core", {hashlib.sha256(p).hexdigest(): p for p in parts})


def _parts(store: Store) -> int:
    with store.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(evidence)).scalar_one())


def test_shared_parts_go_with_the_last_report(store: Store) -> None:
    _kept(store, "rep_1", b"list", b"own")
    _kept(store, "rep_2", b"list")
    assert _parts(store) == 2
    gone = store.reports.delete("rep_1", now=NOW, by="key_1", reason="asked")
    assert (gone.deleted_by, _parts(store)) == ("key_1", 1)
    assert store.bases.part(hashlib.sha256(b"list").hexdigest()) == b"list"
    store.reports.delete("rep_2", now=NOW, by=None, reason="retention")
    assert _parts(store) == 0
    for identifier, code in (("rep_1", "report_deleted"), ("rep_2", "report_deleted"), ("rep_3", "not_found")):
        with pytest.raises(RequestError, match=code):
            store.reports.get(identifier)
        with pytest.raises(RequestError, match=code):
            store.reports.delete(identifier, now=NOW, by=None, reason="asked")


def test_no_part_is_lost_between_keeping_and_deleting(store: Store) -> None:
    """Two at once: one keeps reports that rest on a part, one deletes others that rest on it too."""
    _kept(store, "first", b"list")
    wrong: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(25):
                _kept(store, f"{name}{number}", b"list")
                store.reports.delete(f"{name}{number}", now=NOW, by=None, reason="asked")
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []
    assert store.bases.part(hashlib.sha256(b"list").hexdigest()) == b"list"
    store.reports.delete("first", now=NOW, by=None, reason="asked")
    assert _parts(store) == 0


def test_copies_and_links(store: Store) -> None:
    _kept(store, "rep_1")
    for _ in range(2):
        store.reports.given_out("rep_1", "pdf", b"%PDF-", sealed=True, now=NOW)
    copy = store.reports.copy(hashlib.sha256(b"%PDF-").hexdigest())
    assert copy is not None
    assert (copy.report_id, copy.form, copy.sealed, copy.created_at) == ("rep_1", "pdf", True, NOW)
    assert store.reports.copy("00" * 32) is None
    link = store.reports.share("rep_1", now=NOW, until=NOW + timedelta(days=1), owner="key_1")
    assert link.secret
    assert link.secret not in repr(link)
    assert store.reports.shared(link.secret, now=NOW).id == "rep_1"
    for secret, moment in ((link.secret, NOW + timedelta(days=2)), ("x" * 43, NOW)):
        with pytest.raises(RequestError, match="not_found"):
            store.reports.shared(secret, now=moment)
    assert [one.id for one in store.reports.of_file("ab" * 32)] == ["rep_1"]
    assert store.reports.older(NOW + timedelta(days=1), limit=5) == ("rep_1",)


def test_messages_are_taken_by_one(store: Store) -> None:
    hook = store.webhooks.add("https://a.vn/", owner="key_1", now=NOW)
    everyones = store.webhooks.add("https://b.vn/", owner=None, now=NOW)
    with store.database.write() as connection:
        assert store.webhooks.enqueue(connection, "verification.finished", {}, owner="key_1", now=NOW) == 2
        assert store.webhooks.enqueue(connection, "verification.finished", {}, owner="key_2", now=NOW) == 1
    taken: list[str] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(one.id for one in store.webhooks.take(now=NOW, limit=10)))
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(taken), len(set(taken))) == (3, 3)
    later = store.webhooks.take(now=NOW + timedelta(minutes=3), limit=10)
    assert len(later) == 3
    for one in later:
        store.webhooks.delivered(one, 204)
    assert store.webhooks.take(now=NOW + timedelta(days=1), limit=10) == ()
    assert store.webhooks.forget(now=NOW + timedelta(days=31)) == 3
    store.webhooks.delete(hook.id)
    with pytest.raises(RequestError, match="not_found"):
        store.webhooks.get(hook.id)
    assert [one.id for one in store.webhooks.list(everyone=True)] == [everyones.id]
