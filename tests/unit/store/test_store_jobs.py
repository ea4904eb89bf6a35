"""The job ledger: leases, retries, cancelling; a killed worker loses nothing and does nothing twice."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from signsvc.errors import RequestError
from signsvc.store import Failure, ItemState, JobState, Store
from signsvc.store.jobs import MAX_CRASHES

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.in_directory(tmp_path)


def test_a_job_from_beginning_to_end(store: Store) -> None:
    job = store.jobs.add("raise", [{"n": n} for n in range(3)], now=NOW, owner="key_1", data={"level": "B-LTA"})
    assert store.jobs.unfinished() == {("raise", ItemState.WAITING): 3}
    assert store.jobs.get(job).state is JobState.QUEUED
    assert store.jobs.due(now=NOW, limit=10) == 3
    leases = [store.jobs.lease(now=NOW, seconds=30)[0] for _ in range(3)]
    assert [lease.data["n"] for lease in leases] == [0, 1, 2]
    assert leases[0].job_data == {"level": "B-LTA"}
    assert leases[0].owner == "key_1"
    assert store.jobs.lease(now=NOW, seconds=30) == ()
    assert store.jobs.get(job).state is JobState.RUNNING
    assert store.jobs.succeed(leases[0], {"sha256": "00"}, now=later(1))
    assert store.jobs.succeed(leases[1], {}, now=later(1))
    assert store.jobs.fail(leases[2], Failure("document_unreadable", {"reason": "x"}), now=later(2))
    found = store.jobs.get(job)
    assert store.jobs.unfinished() == {("raise", ItemState.FAILED): 1}
    assert found.state is JobState.FAILED
    assert (found.counts[ItemState.SUCCEEDED], found.counts[ItemState.FAILED], found.total) == (2, 1, 3)
    assert found.updated_at == later(2)
    (failed,) = store.jobs.items(job, state=ItemState.FAILED)
    assert failed.error == Failure("document_unreadable", {"reason": "x"})
    assert [i.position for i in store.jobs.items(job, after=0, limit=1)] == [1]
    assert store.jobs.items(job)[0].result == {"sha256": "00"}


def test_a_lease_that_ends_without_a_word_makes_the_item_due_again(store: Store) -> None:
    job = store.jobs.add("raise", [{}], now=NOW)
    (dead,) = store.jobs.lease(now=NOW, seconds=30)
    assert store.jobs.lease(now=later(29), seconds=30) == ()
    (alive,) = store.jobs.lease(now=later(30), seconds=30)
    assert alive.attempts == 2
    done: list[str] = []
    assert not store.jobs.succeed(dead, {"by": "dead"}, now=later(31), also=lambda _: done.append("dead"))
    assert not store.jobs.renew(dead, now=later(31), seconds=30)
    assert not store.jobs.fail(dead, Failure("internal_error"), now=later(31))
    assert store.jobs.renew(alive, now=later(50), seconds=30)
    assert store.jobs.lease(now=later(70), seconds=30) == ()
    assert store.jobs.succeed(alive, {"by": "alive"}, now=later(75), also=lambda _: done.append("alive"))
    assert not store.jobs.succeed(alive, {"by": "twice"}, now=later(76), also=lambda _: done.append("twice"))
    assert done == ["alive"]
    assert store.jobs.items(job)[0].result == {"by": "alive"}


def test_what_is_written_with_a_word_is_written_with_it_or_not_at_all(store: Store) -> None:
    job = store.jobs.add("raise", [{}], now=NOW)
    (lease,) = store.jobs.lease(now=NOW, seconds=30)

    def broken(_: object) -> None:
        raise ValueError("disk")

    with pytest.raises(ValueError, match="disk"):
        store.jobs.succeed(lease, {}, now=NOW, also=broken)
    assert store.jobs.items(job)[0].state is ItemState.RUNNING


def test_an_item_that_kills_its_workers_is_given_up(store: Store) -> None:
    job = store.jobs.add("raise", [{}, {}], now=NOW)
    moment = NOW
    for _ in range(MAX_CRASHES):
        (first, *_) = store.jobs.lease(now=moment, seconds=10, limit=1)
        assert first.position == 0
        moment += timedelta(seconds=10)
        store.jobs.lease(now=moment - timedelta(seconds=10), seconds=3600)  # the other one is in good hands
    assert store.jobs.lease(now=moment, seconds=10) == ()
    assert store.jobs.items(job)[0].state is ItemState.FAILED
    assert store.jobs.items(job)[0].error == Failure("internal_error")


def test_tries_again_until_it_is_time_to_give_up(store: Store) -> None:
    job = store.jobs.add("raise", [{}], now=NOW, give_up_at=later(100))
    down = Failure("tsa_unavailable", {"reason": "một: timeout", "tsas": [("một", "timeout")]})
    (lease,) = store.jobs.lease(now=NOW, seconds=30)
    assert store.jobs.put_off(lease, down, now=later(5), due_at=later(60))
    (item,) = store.jobs.items(job)
    assert (item.state, item.due_at, item.attempts) == (ItemState.WAITING, later(60), 1)
    assert item.error == Failure("tsa_unavailable", {"reason": "một: timeout"})
    assert store.jobs.lease(now=later(59), seconds=30) == ()
    (lease,) = store.jobs.lease(now=later(60), seconds=30)
    assert store.jobs.put_off(lease, down, now=later(65), due_at=later(101))
    assert store.jobs.items(job)[0].state is ItemState.FAILED
    assert store.jobs.retry(job, now=later(200)) == 1
    (lease,) = store.jobs.lease(now=later(200), seconds=30)
    assert store.jobs.succeed(lease, {}, now=later(201))
    assert store.jobs.items(job)[0].error is None
    assert store.jobs.get(job).state is JobState.SUCCEEDED


def test_cancelled_items_are_not_begun(store: Store) -> None:
    job = store.jobs.add("raise", [{}, {}, {}], now=NOW)
    first, second = store.jobs.lease(now=NOW, seconds=30, limit=2)
    found = store.jobs.cancel(job, now=later(1))
    assert found.state is JobState.RUNNING
    assert found.counts[ItemState.CANCELED] == 1
    assert store.jobs.succeed(first, {}, now=later(2))
    assert store.jobs.put_off(second, Failure("busy"), now=later(2), due_at=later(3))
    assert store.jobs.lease(now=later(60), seconds=30) == ()
    assert store.jobs.get(job).state is JobState.CANCELED
    assert store.jobs.retry(job, now=later(70)) == 2
    assert len(store.jobs.lease(now=later(70), seconds=30, limit=9)) == 2
    with pytest.raises(RequestError, match="not_found"):
        store.jobs.cancel("job_none", now=NOW)
    with pytest.raises(RequestError, match="not_found"):
        store.jobs.retry("job_none", now=NOW)


def test_cancelling_what_is_done_changes_nothing(store: Store) -> None:
    job = store.jobs.add("raise", [{}], now=NOW)
    (lease,) = store.jobs.lease(now=NOW, seconds=30)
    store.jobs.succeed(lease, {}, now=NOW)
    assert store.jobs.cancel(job, now=NOW).state is JobState.SUCCEEDED
    assert store.jobs.get(job).canceled_at is None


def test_order_and_jobs_of_one_lease(store: Store) -> None:
    low = store.jobs.add("batch", [{}, {}], now=NOW)
    high = store.jobs.add("raise", [{}, {}], now=later(1), priority=1)
    assert {lease.job_id for lease in store.jobs.lease(now=later(2), seconds=30, limit=9)} == {high}
    assert {lease.job_id for lease in store.jobs.lease(now=later(2), seconds=30, limit=9, job_id=low)} == {low}
    assert [job.id for job in store.jobs.list()] == [high, low]
    assert [job.id for job in store.jobs.list(kind="batch")] == [low]
    assert store.jobs.list(owner="nobody") == ()


@pytest.mark.parametrize("items", [60])
def test_many_workers_at_once_take_each_item_once(store: Store, items: int) -> None:
    job = store.jobs.add("raise", [{"n": n} for n in range(items)], now=NOW)
    taken: list[int] = []

    def work() -> None:
        while found := store.jobs.lease(now=NOW, seconds=30):
            if store.jobs.succeed(found[0], {}, now=NOW):
                taken.append(found[0].position)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(items))
    assert store.jobs.get(job).state is JobState.SUCCEEDED


def test_signatures_and_what_raises_them(store: Store) -> None:
    store.signatures.add({"id": "sig_1", "state": "succeeded"}, now=NOW, owner="key_1")
    assert store.signatures.get("sig_1").raising is None
    body = {"id": "sig_2", "state": "raising"}
    store.jobs.add(
        "raise",
        [{"signature": "sig_2"}],
        now=NOW,
        also=lambda c, job: store.signatures.insert(c, body, now=NOW, job_id=job),
    )
    found = store.signatures.get("sig_2")
    assert found.body == body
    assert found.raising is not None
    assert found.raising.state is ItemState.WAITING
    with pytest.raises(RequestError, match="not_found"):
        store.signatures.get("sig_3")


def test_a_database_from_before_the_ledger_is_brought_up_to_date(tmp_path: Path) -> None:
    store = Store.in_directory(tmp_path)
    with store.database.write() as connection:
        for table in ("signatures", "job_items", "jobs"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE schema_version SET version = 1"))
    store.close()
    again = Store.in_directory(tmp_path)
    again.jobs.add("raise", [{}], now=NOW)
    assert "job_items_due" in {i["name"] for i in inspect(again.database.engine).get_indexes("job_items")}
    again.close()
