"""The store keeps what it is given, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from signsvc.errors import ConfigError, RequestError, StorageError
from signsvc.store import Claim, Scope, Store
from signsvc.store import schema as tables
from signsvc.store.idempotency import LEASE, RETENTION, LostClaimError

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.in_directory(tmp_path / "data")
    yield found
    found.close()


def report(identifier: str = "rep_1", **more: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "indication": "TOTAL-PASSED",
        "document": {"sha256": "ab" * 32, "name": "công văn"},
        **more,
    }


class TestReports:
    def test_round_trip(self, store: Store) -> None:
        store.reports.add(report(), now=NOW, owner="key_1")
        found = store.reports.get("rep_1")
        assert (found.body, found.created_at, found.owner) == (report(), NOW, "key_1")
        assert found.document_sha256 == "ab" * 32

    def test_times_are_kept_in_utc(self, store: Store) -> None:
        from datetime import timezone

        store.reports.add(report(), now=NOW.astimezone(timezone(timedelta(hours=7))))
        assert store.reports.get("rep_1").created_at == NOW

    def test_naive_times_are_refused(self, store: Store) -> None:
        with pytest.raises(Exception, match="naive"):
            store.reports.add(report(), now=datetime(2026, 1, 1))

    def test_unknown(self, store: Store) -> None:
        with pytest.raises(RequestError) as caught:
            store.reports.get("rep_1' OR 1=1")
        assert caught.value.code == "not_found"


class TestDocuments:
    def test_round_trip(self, store: Store, tmp_path: Path) -> None:
        source = tmp_path / "a.pdf"
        source.write_bytes(b"%PDF-" + os.urandom(3_000_000))
        kept = store.documents.add(source, media_type="application/pdf", now=NOW, owner="key_1")
        assert kept.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
        assert kept.path.read_bytes() == source.read_bytes()
        assert kept.path.parent.name == kept.sha256[2:4]
        assert store.documents.get(kept.sha256) == kept

    def test_the_same_octets_twice(self, store: Store, tmp_path: Path) -> None:
        source = tmp_path / "a"
        source.write_bytes(b"x")
        first = store.documents.add(source, media_type="a/b", now=NOW, owner="one")
        second = store.documents.add(source, media_type="a/b", now=NOW + timedelta(1), owner="two")
        assert first == second

    @pytest.mark.parametrize("name", ["", "0" * 63, "../" * 21 + "x", "0" * 64, "A" * 64, "0" * 63 + "\n"])
    def test_unknown_names(self, store: Store, name: str) -> None:
        for get in (store.documents.get, store.blobs.path):
            with pytest.raises(RequestError) as caught:
                get(name)
            assert caught.value.code == "not_found"

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_full_disk_leaves_nothing(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        source = tmp_path / "a"
        source.write_bytes(b"x" * 10)

        def full(_fd: int) -> None:
            raise OSError(number, "full")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError) as caught:
            store.documents.add(source, media_type="a/b", now=NOW)
        assert caught.value.code == "storage_full"
        assert [p for p in store.blobs.root.rglob("*") if p.is_file()] == []

    def test_a_failing_database_leaves_no_blob(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "a"
        source.write_bytes(b"x" * 10)
        store.check()
        write = store.database.write

        def broken() -> Any:
            raise StorageError("storage_full")

        monkeypatch.setattr(store.database, "write", broken)
        with pytest.raises(StorageError):
            store.documents.add(source, media_type="a/b", now=NOW)
        assert [p for p in store.blobs.root.rglob("*") if p.is_file()] == []
        monkeypatch.setattr(store.database, "write", write)
        kept = store.documents.add(source, media_type="a/b", now=NOW)
        assert kept.size == 10

    def test_database_full(self, store: Store) -> None:
        from sqlalchemy import event

        def small(connection: Any, _entry: Any) -> None:
            connection.execute("PRAGMA max_page_count=1").close()  # no more pages than there are

        def fill() -> None:
            for n in range(200):
                store.reports.add(report(f"rep_{n}", filler="x" * 4000), now=NOW)

        event.listen(store.database.engine, "connect", small)
        store.database.engine.dispose()
        with pytest.raises(StorageError) as caught:
            fill()
        assert caught.value.code == "storage_full"


class TestApiKeys:
    def test_secret_is_found_and_never_kept(self, store: Store) -> None:
        new = store.api_keys.create("văn thư", [Scope.SIGN, Scope.READ], now=NOW)
        assert new.secret.startswith("sk_")
        assert len(new.secret) >= 46  # 256 bits
        assert new.secret not in repr(new)
        found = store.api_keys.find(new.secret, now=NOW)
        assert found is not None
        assert found.scopes == {Scope.SIGN, Scope.READ}
        raw = b"".join(
            p.read_bytes() for p in Path(store.database.engine.url.database or "").parent.glob("signsvc.db*")
        )
        assert new.secret.encode() not in raw
        assert hashlib.sha256(new.secret.encode()).digest() in raw

    @pytest.mark.parametrize("secret", ["", "sk_", "sk_x", "x" * 46, "sk_" + "a" * 10_000, "sk_\udcff"])
    def test_wrong_secrets(self, store: Store, secret: str) -> None:
        store.api_keys.create("a", [Scope.SIGN], now=NOW)
        assert store.api_keys.find(secret, now=NOW) is None

    def test_revoked(self, store: Store) -> None:
        new = store.api_keys.create("a", [Scope.SIGN], now=NOW)
        assert store.api_keys.revoke(new.key.id, now=NOW).disabled_at == NOW
        assert store.api_keys.revoke(new.key.id, now=NOW + timedelta(1)).disabled_at == NOW
        assert store.api_keys.find(new.secret, now=NOW) is None
        with pytest.raises(RequestError):
            store.api_keys.revoke("key_none", now=NOW)

    def test_last_use_is_written_now_and_then(self, store: Store) -> None:
        new = store.api_keys.create("a", [Scope.SIGN], now=NOW)
        for minutes, expected in ((0, 0), (1, 0), (6, 6)):
            store.api_keys.find(new.secret, now=NOW + timedelta(minutes=minutes))
            assert store.api_keys.list()[0].last_used_at == NOW + timedelta(minutes=expected)

    def test_scopes(self, store: Store) -> None:
        admin = store.api_keys.create("a", [Scope.ADMIN], now=NOW).key
        reader = store.api_keys.create("b", [Scope.READ], now=NOW).key
        assert admin.may(Scope.SIGN)
        assert reader.may(Scope.SIGN, Scope.READ)
        assert not reader.may(Scope.SIGN)

    @pytest.mark.parametrize(("name", "scopes"), [("", [Scope.SIGN]), ("a", []), ("x" * 201, [Scope.SIGN])])
    def test_needs_name_and_scope(self, store: Store, name: str, scopes: list[Scope]) -> None:
        with pytest.raises(RequestError):
            store.api_keys.create(name, scopes, now=NOW)


class TestIdempotency:
    def test_road(self, store: Store) -> None:
        keys = store.idempotency
        mine = keys.claim("a", "k", "f1", now=NOW)
        assert mine.claim is Claim.MINE
        assert keys.claim("a", "k", "f1", now=NOW).claim is Claim.BUSY
        assert keys.claim("a", "k", "f2", now=NOW).claim is Claim.REUSED
        assert keys.claim("b", "k", "f2", now=NOW).claim is Claim.MINE
        keys.finish(mine, {"id": "sig_1"})
        keys.release(mine)  # too late: the answer stays
        done = keys.claim("a", "k", "f1", now=NOW + timedelta(hours=23))
        assert (done.claim, done.answer) == (Claim.DONE, {"id": "sig_1"})
        assert keys.claim("a", "k", "f2", now=NOW + RETENTION).claim is Claim.MINE

    def test_a_dead_holder_loses_its_lease(self, store: Store) -> None:
        keys = store.idempotency
        dead = keys.claim("a", "k", "f", now=NOW)
        heir = keys.claim("a", "k", "f", now=NOW + LEASE)
        assert heir.claim is Claim.MINE
        with pytest.raises(LostClaimError):
            keys.finish(dead, {"id": "late"})
        assert keys.claim("a", "k", "f", now=NOW + LEASE).claim is Claim.BUSY
        keys.finish(heir, {"id": "heir"})
        assert keys.claim("a", "k", "f", now=NOW + LEASE).answer == {"id": "heir"}

    def test_one_winner_of_many_threads(self, store: Store) -> None:
        claims: list[Claim] = []
        start = threading.Barrier(8)

        def run() -> None:
            start.wait()
            claims.append(store.idempotency.claim("a", "k", "f", now=NOW).claim)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(claims) == [*[Claim.BUSY] * 7, Claim.MINE]


def _write_many(url: str, blobs: str, name: str) -> None:
    store = Store(url, Path(blobs))
    for n in range(25):
        store.reports.add(report(f"{name}-{n}"), now=NOW)
    store.close()


class TestDatabase:
    def test_wal_and_version(self, store: Store) -> None:
        store.check()
        with sqlite3.connect(store.database.engine.url.database or "") as raw:
            mode = raw.execute("PRAGMA journal_mode").fetchone()
            version = raw.execute("SELECT version FROM schema_version").fetchall()
        raw.close()
        assert mode == ("wal",)
        assert version == [(len(tables.STEPS),)]

    def test_a_newer_database_is_refused(self, store: Store) -> None:
        with store.database.write() as connection:
            connection.execute(update(tables.schema_version).values(version=99))
        store.close()
        with pytest.raises(ConfigError) as caught:
            store.check()
        assert caught.value.code == "configuration_invalid"

    def test_many_processes_start_and_write_at_once(self, tmp_path: Path) -> None:
        url, blobs = f"sqlite:///{tmp_path}/new/signsvc.db", str(tmp_path / "blobs")
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=_write_many, args=(url, blobs, f"p{n}")) for n in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [p.exitcode for p in processes] == [0, 0, 0]
        store = Store(url, Path(blobs))
        for n in range(3):
            assert store.reports.get(f"p{n}-24").id == f"p{n}-24"
        store.close()

    def test_a_fork_gets_connections_of_its_own(self, store: Store) -> None:
        store.check()
        before = store.database.engine
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                fresh = store.database.engine is not before
                store.reports.add(report("rep_child"), now=NOW)
                os.write(writing, b"1" if fresh else b"0")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        assert os.read(reading, 1) == b"1"
        os.close(reading)
        assert store.reports.get("rep_child").id == "rep_child"
        assert store.database.engine is before

    def test_nothing_secret_prints(self) -> None:
        from signsvc.store.database import Database

        assert "hunter2" not in repr(Database("postgresql+psycopg://user:hunter2@db/x"))


def test_the_database_is_for_its_user_alone(tmp_path: Path) -> None:
    store = Store.in_directory(tmp_path / "data")
    store.api_keys.create("a", [Scope.READ], now=NOW)
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "data").glob("signsvc.db*")}
    store.close()
    assert modes["signsvc.db-wal"] == modes["signsvc.db"] == 0


def test_a_second_store_of_one_process_keeps_the_locks_of_the_first(tmp_path: Path) -> None:
    """POSIX drops a process's locks on a file when any descriptor of it is closed; another process must still see them."""
    first = Store.in_directory(tmp_path)
    first.check()
    connection = first.reports._database.engine.connect()
    connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").all()
    Store.in_directory(tmp_path).check()
    probe = (
        "import fcntl,sys\n"
        "with open(sys.argv[1], 'r+b') as f:\n"
        "    try: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)\n"
        "    except OSError: sys.exit(3)\n"
    )
    database = next(tmp_path.glob("*.db"))
    assert subprocess.run([sys.executable, "-c", probe, str(database)]).returncode == 3
    connection.close()
    first.close()
