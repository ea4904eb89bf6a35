"""Items done, put off and failed by a runner; the queue's messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from signsvc.errors import ConfigError, DocumentError, InternalError, TokenError, UpstreamError
from signsvc.jobs import handlers, queue, spool, worker
from signsvc.jobs.handlers import Done
from signsvc.jobs.runner import Runner, backoff
from signsvc.settings import JobSettings, Settings
from signsvc.store import ItemState, Store


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Any]:
    store = Store.in_directory(tmp_path)
    jobs = JobSettings(lease_seconds=1, retry_seconds=2, retry_max_seconds=10, threads=2)
    yield SimpleNamespace(store=store, settings=Settings(data_dir=tmp_path, jobs=jobs))
    store.close()


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (UpstreamError("tsa_unavailable", reason="một: timeout"), ItemState.WAITING, "tsa_unavailable"),
        (InternalError("self_check_failed", reason="level B-T"), ItemState.WAITING, "self_check_failed"),
        (DocumentError("document_unreadable"), ItemState.FAILED, "document_unreadable"),
        (RuntimeError("secret"), ItemState.WAITING, "internal_error"),
    ],
)
def test_what_fails_is_put_off_or_given_up(services: Any, error: Exception, state: ItemState, code: str) -> None:
    job = services.store.jobs.add("x", [{}], now=now())

    def handle(*_: object) -> Done:
        raise error

    runner = Runner(services, find=lambda _: handle)
    assert runner.one()
    assert not runner.one()
    runner.close()
    (item,) = services.store.jobs.items(job)
    assert item.state is state
    assert item.error is not None
    assert item.error.code == code
    assert "secret" not in str(item)
    if state is ItemState.WAITING:
        assert 1 < (item.due_at - now()).total_seconds() <= 2


@pytest.mark.parametrize(
    ("error", "first", "others"),
    [
        (TokenError("pin_incorrect", tries_left="few"), ItemState.FAILED, ItemState.STOPPED),
        (TokenError("token_removed"), ItemState.WAITING, ItemState.WAITING),
    ],
)
def test_what_befalls_all_of_a_job_is_met_once(services: Any, error: Exception, first: str, others: str) -> None:
    other = services.store.jobs.add("x", [{}], now=now())
    job = services.store.jobs.add("x", [{}] * 5, now=now(), priority=1)
    tried: list[int] = []

    def handle(_: object, lease: Any, __: object) -> Done:
        if lease.job_id == other:
            return Done()
        tried.append(lease.position)
        raise handlers.WholeJobError(error, 1.0)  # type: ignore[arg-type]

    runner = Runner(services, find=lambda _: handle)
    while runner.one():
        pass
    runner.close()
    assert tried == [0]
    items = services.store.jobs.items(job)
    assert [item.state for item in items] == [first] + [others] * 4
    assert services.store.jobs.get(other).state == "succeeded"
    if others is ItemState.WAITING:
        assert min(item.due_at for item in items) > now()
        return
    assert {item.error.code for item in items} == {"pin_incorrect"}
    assert [item.attempts for item in items] == [1, 0, 0, 0, 0]
    assert services.store.jobs.get(job).state == "failed"
    assert services.store.jobs.retry(job, now=now()) == 5
    assert services.store.jobs.get(job).counts[ItemState.WAITING] == 5


def test_a_long_item_keeps_its_lease(services: Any) -> None:
    job = services.store.jobs.add("x", [{}], now=now())
    taken: list[object] = []

    def handle(*_: object) -> Done:
        time.sleep(1.6)  # longer than the lease
        taken.extend(services.store.jobs.lease(now=now(), seconds=1))
        return Done({"ok": True})

    runner = Runner(services, find=lambda _: handle)
    runner.one()
    runner.close()
    assert taken == []
    assert services.store.jobs.items(job)[0].result == {"ok": True}


def test_waiting_grows_to_its_limit() -> None:
    settings = JobSettings(retry_seconds=5, retry_max_seconds=600)
    assert [backoff(settings, n) for n in (1, 2, 3, 8, 9, 1000)] == [5, 10, 20, 600, 600, 600]


def test_every_kind_has_its_handler() -> None:
    for kind in handlers.KINDS:
        assert callable(handlers.find(kind))
    with pytest.raises(InternalError):
        handlers.find("unknown")


def test_hints_go_through_the_queue_and_no_more_than_there_is_to_do(services: Any) -> None:
    huey = queue.make(services.settings)
    seen: list[str] = []
    runner = Runner(services, find=lambda kind: lambda *_: seen.append(kind) or Done())
    hint = worker.tasks(huey, runner)
    assert worker.sweep(services, huey, hint, services.settings) == 0
    job = services.store.jobs.add("x", [{}] * 9, now=now())
    assert worker.sweep(services, huey, hint, services.settings) == 4
    assert worker.sweep(services, huey, hint, services.settings) == 0
    while (task := huey.dequeue()) is not None:
        huey.execute(task)
    assert seen == ["x"] * 4
    assert services.store.jobs.get(job).counts[ItemState.SUCCEEDED] == 4
    runner.close()
    huey.storage.close()


def test_messages_are_json(services: Any) -> None:
    huey = queue.make(services.settings)
    runner = Runner(services)
    worker.tasks(huey, runner)()
    (raw,) = huey.storage.enqueued_items()
    assert bytes(raw)[:1] == b"["
    runner.close()
    huey.storage.close()


def test_other_queues_are_refused(tmp_path: Path) -> None:
    for url in ("redis://localhost", "sqlite://", "no url"):
        with pytest.raises(ConfigError):
            queue.make(Settings(data_dir=tmp_path, jobs=JobSettings(queue_url=url)))


def test_what_a_killed_worker_left_is_removed_and_what_is_in_work_stays(tmp_path: Path) -> None:
    (tmp_path / "job-left").mkdir()
    (tmp_path / "job-left" / "signed").write_bytes(b"x")
    with spool.directory(tmp_path) as place:
        spool.clean(tmp_path)
        assert place.is_dir()
        assert not (tmp_path / "job-left").exists()
    assert not place.exists()
