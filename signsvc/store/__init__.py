"""The store: reports, signed documents, signatures, jobs, API keys and idempotency records.

    >>> store = Store.in_directory(Path("/var/lib/signsvc"))     # doctest: +SKIP
    >>> store.api_keys.create("văn thư", [Scope.SIGN], now=now)  # doctest: +SKIP

Nothing is opened before first use, and everything may be used from many threads and after a fork.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from signsvc.errors import RequestError
from signsvc.store.apikeys import ApiKeys
from signsvc.store.blobs import BlobDirectory, full_disk
from signsvc.store.database import Database
from signsvc.store.idempotency import Idempotency
from signsvc.store.jobs import Failure, Item, ItemState, Job, Jobs, JobState, Lease
from signsvc.store.records import ApiKey, Claim, NewApiKey, Scope, StoredDocument, StoredReport, Ticket
from signsvc.store.schema import documents, reports
from signsvc.store.sessions import Sessions
from signsvc.store.signatures import Signatures, StoredSignature


class Reports:
    """Verification reports, as the JSON they were answered with."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, report: Mapping[str, Any], *, now: datetime, owner: str | None = None) -> None:
        """Keep a report under its ``id``.  Raises `StorageError` (storage_full)."""
        policy = report.get("policy") or {}
        with self._database.write() as connection:
            connection.execute(
                insert(reports).values(
                    id=report["id"],
                    created_at=now,
                    document_sha256=(report.get("document") or {}).get("sha256") or "",
                    indication=report.get("indication") or "",
                    policy_id=policy.get("id") or "",
                    policy_version=policy.get("version") or "",
                    owner=owner,
                    body=json.dumps(report, ensure_ascii=False, separators=(",", ":")),
                )
            )

    def get(self, identifier: str) -> StoredReport:
        """Raises `RequestError` (not_found)."""
        with self._database.read() as connection:
            row = connection.execute(select(reports).where(reports.c.id == identifier)).one_or_none()
        if row is None:
            raise RequestError("not_found")
        return StoredReport(
            row.id, row.created_at, row.document_sha256, row.indication, row.owner, json.loads(row.body)
        )


class Documents:
    """Signed documents by SHA-256."""

    def __init__(self, database: Database, blobs: BlobDirectory) -> None:
        self._database = database
        self._blobs = blobs

    def add(self, source: Path, *, media_type: str, now: datetime, owner: str | None = None) -> StoredDocument:
        """Copy a file into the store.  Raises `StorageError` (storage_full), and then nothing of it remains."""
        sha256, size = self._blobs.add(source)
        try:
            with self._database.write() as connection:
                try:
                    with connection.begin_nested():
                        connection.execute(
                            insert(documents).values(
                                sha256=sha256, size=size, media_type=media_type, created_at=now, owner=owner
                            )
                        )
                except IntegrityError:
                    pass  # the same octets are kept already
        except BaseException:
            if not self._known(sha256):
                self._blobs.remove(sha256)
            raise
        return self.get(sha256)

    def get(self, sha256: str) -> StoredDocument:
        """Raises `RequestError` (not_found)."""
        with self._database.read() as connection:
            row = connection.execute(select(documents).where(documents.c.sha256 == sha256)).one_or_none()
        if row is None:
            raise RequestError("not_found")
        return StoredDocument(
            row.sha256, row.size, row.media_type, row.created_at, row.owner, self._blobs.path(row.sha256)
        )

    def _known(self, sha256: str) -> bool:
        with self._database.read() as connection:
            return connection.execute(select(documents.c.size).where(documents.c.sha256 == sha256)).first() is not None


class Store:
    """Everything that is kept.  `database_url` is SQLAlchemy's; blobs go under `blob_dir`."""

    def __init__(self, database_url: str, blob_dir: Path) -> None:
        self.database = Database(database_url)
        self.blobs = BlobDirectory(blob_dir)
        self.reports = Reports(self.database)
        self.documents = Documents(self.database, self.blobs)
        self.api_keys = ApiKeys(self.database)
        self.idempotency = Idempotency(self.database)
        self.sessions = Sessions(self.database, self.blobs)
        self.jobs = Jobs(self.database)
        self.signatures = Signatures(self.database, self.jobs)

    @classmethod
    def in_directory(cls, directory: Path) -> Self:
        """The store of one machine: SQLite and blobs under `directory`."""
        return cls(f"sqlite:///{directory / 'signsvc.db'}", directory / "blobs")

    def check(self) -> None:
        """Prove that database and blob directory work; raises what they raise."""
        with self.database.read() as connection:
            connection.execute(select(reports.c.id).limit(1)).first()
        self.blobs.check()

    def close(self) -> None:
        """Close this process's connections."""
        self.database.close()


__all__ = [
    "ApiKey",
    "Claim",
    "Failure",
    "Item",
    "ItemState",
    "Job",
    "JobState",
    "Jobs",
    "Lease",
    "NewApiKey",
    "Scope",
    "Signatures",
    "Store",
    "StoredDocument",
    "StoredReport",
    "StoredSignature",
    "Ticket",
    "full_disk",
]
