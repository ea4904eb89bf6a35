"""One engine per process: SQLite in WAL mode by default, PostgreSQL by URL.

An engine made before a fork is never used after it: sockets and file locks belong to one process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, make_url, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from signsvc.errors import ConfigError, StorageError
from signsvc.store import schema

# How long a writer waits for another one; a write holds the lock for milliseconds.
BUSY_TIMEOUT_MS = 15_000

# Any number; the same for all processes that share one PostgreSQL database.
_MIGRATION_LOCK = 0x5169_6E73


class Database:
    """Connections to `url`.  The schema is created or brought up to date on first use."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._pid = 0

    def __repr__(self) -> str:
        return f"<Database {self._url.drivername}>"

    @property
    def engine(self) -> Engine:
        """This process's engine.  Raises `ConfigError` where the database is newer than the program."""
        if self._engine is not None and self._pid == os.getpid():
            return self._engine
        with self._lock:
            if self._engine is None or self._pid != os.getpid():
                if self._engine is not None:
                    self._engine.dispose(close=False)
                engine = self._open()
                _migrate(engine)
                self._engine, self._pid = engine, os.getpid()
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """One write transaction, committed at the end; with `durable` it outlives a power cut from then on.

        Raises `StorageError` (storage_full) on a full disk."""
        engine = self.engine.execution_options(write=True, durable=durable)
        try:
            with engine.begin() as connection:
                yield connection
        except OperationalError as error:
            if _is_full(error):
                raise StorageError("storage_full") from None
            raise

    def close(self) -> None:
        """Give the connections back; the next use opens new ones."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose(close=self._pid == os.getpid())
                self._engine = None

    def _open(self) -> Engine:
        if self._url.get_backend_name() != "sqlite":
            return create_engine(self._url, pool_pre_ping=True, pool_size=8, max_overflow=16)
        if self._url.database and self._url.database != ":memory:":
            path = Path(self._url.database)
            path.parent.mkdir(parents=True, exist_ok=True)
            # Reports name people and agencies; SQLite's further files take the mode of the first.  Only a new file is
            # opened here: closing a descriptor of a database in use would drop this process's locks on it.
            try:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                pass
        engine = create_engine(self._url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns into a writing one fails at once instead of waiting.
    options = connection.get_execution_options()
    write = options.get("write")
    if write:
        # A power cut may lose the last commits but never breaks the file; what must not be lost asks for more.
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('durable') else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _is_full(error: OperationalError) -> bool:
    words = str(error.orig).lower()
    return "disk is full" in words or "no space left" in words or "disk full" in words


def _migrate(engine: Engine) -> None:
    with engine.execution_options(write=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
        schema.schema_version.create(connection, checkfirst=True)
        version = connection.execute(select(schema.schema_version.c.version)).scalar()
        if version is None:
            connection.execute(insert(schema.schema_version).values(version=0))
            version = 0
        if version > len(schema.STEPS):
            raise ConfigError("configuration_invalid", reason="the database is newer than this program")
        for step in schema.STEPS[version:]:
            step(connection)
        if version != len(schema.STEPS):
            connection.execute(update(schema.schema_version).values(version=len(schema.STEPS)))
