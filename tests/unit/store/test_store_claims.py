"""Claims of living and dead processes; a signed file, its report and the answer are kept together or not at all."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signsvc.store import Claim, LostClaimError, Store, owners
from signsvc.store import idempotency as room
from signsvc.store import schema as tables

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)

# Claims a key in the store of argv 1 and 2 (argv 3: where it stops) and waits there to be killed.
_CLAIMANT = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from signsvc.store import Store
store = Store(sys.argv[1], Path(sys.argv[2]))
now = datetime(2026, 11, 23, 8, tzinfo=UTC)
ticket = store.idempotency.claim("a", "k", "f", now=now, about={"kind": "sign", "document": "00"})
source = Path(sys.argv[2]).parent / "signed"
source.write_bytes(b"%PDF-1.7 signed")
def stop(*_):
    print("here", flush=True)
    time.sleep(60)
if sys.argv[3] == "staged":
    store.database.write = stop
elif sys.argv[3] == "placed":
    place = store.blobs.place
    store.blobs.place = lambda staged: (place(staged), stop())
elif sys.argv[3] == "committed":
    store.blobs.discard = stop
elif sys.argv[3] == "claimed":
    stop()
store.keep(ticket, source, lambda sha256, size: {"sha256": sha256}, media_type="a/b", now=now)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.in_directory(tmp_path)
    yield found
    found.close()


def claimant(store: Store, where: str) -> subprocess.Popen[bytes]:
    url = store.database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _CLAIMANT, url, str(store.blobs.root), where]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def files(store: Store) -> list[str]:
    return sorted(p.name for p in store.blobs.root.rglob("*") if p.is_file())


class TestOwners:
    def test_living_dead_and_unknown(self) -> None:
        assert owners.alive(owners.me()) is True
        place, pid, started = owners.me().split("_")
        assert owners.alive(f"{place}_{pid}_{int(started) + 1}") is False  # the number is somebody else's now
        assert owners.alive(f"{'0' * 12}_{pid}_{started}") is None  # another machine
        for wrong in ("", "x", "../../etc_1_1", f"{place}_{pid}"):
            assert owners.alive(wrong) is None

    def test_a_zombie_is_dead(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        place = owners.me().split("_")[0]
        started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        name = f"{place}_{process.pid}_{started}"
        assert owners.alive(name) is True
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owners.alive(name) is False
        process.communicate()


@pytest.mark.parametrize("where", ["claimed", "staged", "placed"])
def test_a_killed_process_leaves_a_free_key_and_no_file(
    store: Store, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    process = claimant(store, where)
    assert store.idempotency.claim("a", "k", "f", now=NOW).claim is Claim.BUSY if where != "placed" else True
    if where != "placed":  # the writer of a transaction keeps everybody waiting
        assert store.sweep(now=NOW) == 0, "it lives"
    kill(process)
    with caplog.at_level(logging.WARNING, "signsvc.store"):
        assert store.sweep(now=NOW) == (1 if where == "claimed" else 2)
    assert '"kind": "sign"' in caplog.text
    assert files(store) == []
    assert store.idempotency.claim("a", "k", "f", now=NOW).claim is Claim.MINE


def test_a_killed_process_is_inherited_at_once(store: Store) -> None:
    kill(claimant(store, "claimed"))
    assert store.idempotency.claim("a", "k", "g", now=NOW).claim is Claim.REUSED
    assert store.idempotency.claim("a", "k", "f", now=NOW).claim is Claim.MINE
    assert store.idempotency.claim("a", "k", "f", now=NOW).claim is Claim.BUSY


def test_what_was_committed_is_adopted(store: Store) -> None:
    kill(claimant(store, "committed"))
    done = store.idempotency.claim("a", "k", "f", now=NOW)
    assert done.claim is Claim.DONE
    assert done.answer is not None
    place = store.blobs.path(done.answer["sha256"])
    place.unlink()  # as after a power cut that lost the name but not the file
    assert store.sweep(now=NOW) == 1
    assert store.documents.get(done.answer["sha256"]).path.read_bytes() == b"%PDF-1.7 signed"
    assert files(store) == [done.answer["sha256"]]


def test_a_late_loser_hands_out_nothing(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "signed"
    late = store.idempotency.claim("a", "k", "f", now=NOW)
    heir = store.idempotency.claim("a", "k", "f", now=NOW + room.LEASE)
    assert heir.claim is Claim.MINE

    def answer(sha256: str, size: int) -> dict[str, Any]:
        return {"sha256": sha256, "size": size}

    source.write_bytes(b"late")
    with pytest.raises(LostClaimError):
        store.keep(late, source, answer, media_type="a/b", now=NOW)
    assert files(store) == []
    source.write_bytes(b"heir")
    kept = store.keep(heir, source, answer, media_type="a/b", now=NOW)
    again = store.idempotency.claim("a", "k", "f", now=NOW)
    assert again.answer == {"sha256": kept.sha256, "size": 4}
    assert files(store) == [kept.sha256]
    with pytest.raises(LostClaimError):  # an answer is final
        store.keep(heir, source, answer, media_type="a/b", now=NOW)


def test_a_report_that_cannot_be_kept_keeps_nothing(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "signed"
    source.write_bytes(b"x")
    report = {"id": "rep_1", "document": {}, "policy": {}}
    store.reports.add(report, now=NOW)
    ticket = store.idempotency.claim("a", "k", "f", now=NOW)
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.keep(ticket, source, lambda *_: {}, media_type="a/b", now=NOW, report=report)
    assert files(store) == []
    store.idempotency.release(ticket)
    assert store.idempotency.claim("a", "k", "f", now=NOW).claim is Claim.MINE


def test_work_without_a_key_is_on_record_while_it_lasts(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "signed"
    source.write_bytes(b"x")
    ticket = store.idempotency.claim("a", None, "f", now=NOW, about={"kind": "sign"})
    other = store.idempotency.claim("a", None, "f", now=NOW)
    assert (ticket.claim, other.claim) == (Claim.MINE, Claim.MINE)
    store.keep(ticket, source, lambda *_: {}, media_type="a/b", now=NOW, replayed=False)
    with pytest.raises(LostClaimError):
        store.idempotency.finish(ticket, {})
    store.idempotency.finish(other, {})


def test_the_living_renew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_RENEW_SECONDS", 0.02)
    began = datetime.now(UTC) - 2 * room.LEASE
    ticket = store.idempotency.claim("a", "k", "f", now=began)
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while store.idempotency.claim("a", "k", "g" * 64, now=began).claim is Claim.REUSED:
        with store.database.read() as connection:
            lease = connection.execute(tables.idempotency.select()).one().lease_until
        if lease > datetime.now(UTC):
            break
        assert datetime.now(UTC) < deadline
    assert store.idempotency.claim("a", "k", "f", now=datetime.now(UTC)).claim is Claim.BUSY
    store.idempotency.finish(ticket, {"id": 1})


def test_an_older_database_learns_who_claims(tmp_path: Path) -> None:
    path = tmp_path / "signsvc.db"
    with sqlite3.connect(path) as raw:
        raw.executescript(
            "CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (1);"
            "CREATE TABLE idempotency (id VARCHAR(64) PRIMARY KEY, fingerprint VARCHAR(64) NOT NULL, holder VARCHAR(64)"
            " NOT NULL, lease_until DATETIME NOT NULL, expires_at DATETIME NOT NULL, answer TEXT);"
            "INSERT INTO idempotency VALUES ('x', 'f', 'h', '2026-11-23 08:00:00.000000',"
            " '2026-11-24 08:00:00.000000', NULL);"
        )
    raw.close()
    store = Store(f"sqlite:///{path}", tmp_path / "blobs")
    assert store.idempotency.sweep(now=NOW + timedelta(hours=1)) == 1
    with store.database.read() as connection:
        assert connection.execute(tables.schema_version.select()).scalar() == len(tables.STEPS)
    store.close()
