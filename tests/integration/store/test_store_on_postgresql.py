"""What the store promises, it promises on PostgreSQL: the tests of the store, but those about SQLite's own files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signsvc.store import Store
from tests.support.postgres import Postgres
from tests.unit.store import test_store, test_store_claims, test_store_jobs, test_store_reports, test_store_sessions

# What looks into SQLite's file, or limits it.
_OF_SQLITE = {
    "TestDatabase",
    "test_database_full",
    "test_secret_is_found_and_never_kept",
    "test_the_database_is_for_its_user_alone",
    "test_a_second_store_of_one_process_keeps_the_locks_of_the_first",
    "test_an_older_database_learns_who_claims",
}


@pytest.fixture
def store(postgres: Postgres, tmp_path: Path) -> Iterator[Store]:
    found = Store(postgres.database(), tmp_path / "blobs")
    yield found
    found.close()


for _module in (test_store, test_store_claims, test_store_jobs, test_store_reports, test_store_sessions):
    for _name, _value in list(vars(_module).items()):
        if _name.startswith(("test_", "Test")) and _name not in _OF_SQLITE:
            assert _name not in globals(), "two tests of the same name"
            left = {name: None for name in _OF_SQLITE if name in vars(_value)}
            globals()[_name] = type(_name, (_value,), left) if left else _value
