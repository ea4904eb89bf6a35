"""Signed documents by SHA-256: a row in the database and a blob, both or neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from signsvc.errors import RequestError
from signsvc.store.blobs import BlobDirectory, Staged
from signsvc.store.database import Database
from signsvc.store.records import StoredDocument
from signsvc.store.schema import documents

# Any number: who registers a blob holds it in common, who removes what is left over holds it alone.  SQLite's one
# writer at a time needs no such lock.
_BLOB_LOCK = 0x5169_6E74


class Documents:
    """Signed documents by SHA-256."""

    def __init__(self, database: Database, blobs: BlobDirectory) -> None:
        self._database = database
        self._blobs = blobs

    def add(self, source: Path, *, media_type: str, now: datetime, owner: str | None = None) -> StoredDocument:
        """Copy a file into the store.  Raises `StorageError` (storage_full), and then nothing of it remains."""
        with self.staged(source) as staged, self._database.write() as connection:
            self.register(connection, staged, media_type=media_type, now=now, owner=owner)
        return self.get(staged.sha256)

    @contextmanager
    def staged(self, source: Path) -> Iterator[Staged]:
        """A copy of `source` on the store's disk, for `register`; what is not registered within vanishes.

        Raises `StorageError` (storage_full)."""
        staged = self._blobs.stage(source)
        try:
            yield staged
        except BaseException:
            with suppress(Exception):  # what cannot be settled now is when this process has gone (`sweep`)
                self._settle(staged)
            raise
        self._blobs.discard(staged)

    def register(
        self, connection: Connection, staged: Staged, *, media_type: str, now: datetime, owner: str | None = None
    ) -> None:
        """Make a staged file a document, as part of the caller's transaction."""
        _lock(connection, alone=False)
        try:
            with connection.begin_nested():
                connection.execute(
                    insert(documents).values(
                        sha256=staged.sha256, size=staged.size, media_type=media_type, created_at=now, owner=owner
                    )
                )
        except IntegrityError:
            pass  # the same octets are kept already
        self._blobs.place(staged)

    def get(self, sha256: str) -> StoredDocument:
        """Raises `RequestError` (not_found)."""
        with self._database.read() as connection:
            row = connection.execute(select(documents).where(documents.c.sha256 == sha256)).one_or_none()
        if row is None:
            raise RequestError("not_found")
        return StoredDocument(
            row.sha256, row.size, row.media_type, row.created_at, row.owner, self._blobs.path(row.sha256)
        )

    def sweep(self) -> int:
        """Finish or remove what killed processes left half stored; how many files that were."""
        count = 0
        for staged in self._blobs.left_over():
            self._settle(staged)
            count += 1
        return count

    def _settle(self, staged: Staged) -> None:
        """Give a staged file its place where the database knows it; else take it away."""
        try:
            with self._database.write() as connection:
                _lock(connection, alone=True)
                known = select(documents.c.size).where(documents.c.sha256 == staged.sha256)
                if connection.execute(known).first() is None:
                    self._blobs.remove(staged.sha256)
                else:
                    self._blobs.place(staged)
        except BaseException:
            if not self._blobs.has(staged.sha256):  # it never came so far: nothing else would ever find it
                self._blobs.discard(staged)
            raise
        self._blobs.discard(staged)


def _lock(connection: Connection, *, alone: bool) -> None:
    if connection.dialect.name == "postgresql":
        name = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(text(f"SELECT {name}(:n)"), {"n": _BLOB_LOCK})
