"""The store: reports, signed documents, signatures, jobs, API keys and idempotency records.

    >>> store = Store.in_directory(Path("/var/lib/signsvc"))     # doctest: +SKIP
    >>> store.api_keys.create("văn thư", [Scope.SIGN], now=now)  # doctest: +SKIP

Nothing is opened before first use, and everything may be used from many threads and after a fork.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, select

from signsvc.store.apikeys import ApiKeys
from signsvc.store.bases import Bases
from signsvc.store.blobs import BlobDirectory, full_disk
from signsvc.store.database import Database
from signsvc.store.documents import Documents
from signsvc.store.idempotency import Idempotency, LostClaimError
from signsvc.store.jobs import Failure, Item, ItemState, Job, Jobs, JobState, Lease
from signsvc.store.records import ApiKey, Claim, NewApiKey, Scope, StoredDocument, StoredReport, Ticket
from signsvc.store.reports import Copy, Deletion, Found, Reports, Share, SignedFile
from signsvc.store.schema import reports
from signsvc.store.sessions import Sessions
from signsvc.store.signatures import Signatures, StoredSignature
from signsvc.store.webhooks import Webhooks


class Store:
    """Everything that is kept.  `database_url` is SQLAlchemy's; blobs go under `blob_dir`."""

    def __init__(self, database_url: str, blob_dir: Path) -> None:
        self.database = Database(database_url)
        self.blobs = BlobDirectory(blob_dir)
        self.bases = Bases(self.database)
        self.reports = Reports(self.database, self.bases)
        self.documents = Documents(self.database, self.blobs)
        self.api_keys = ApiKeys(self.database)
        self.idempotency = Idempotency(self.database)
        self.sessions = Sessions(self.database, self.blobs)
        self.jobs = Jobs(self.database)
        self.webhooks = Webhooks(self.database)
        self.signatures = Signatures(self.database, self.jobs)

    @classmethod
    def in_directory(cls, directory: Path) -> Self:
        """The store of one machine: SQLite and blobs under `directory`."""
        return cls(f"sqlite:///{directory / 'signsvc.db'}", directory / "blobs")

    def keep(
        self,
        ticket: Ticket,
        source: Path,
        answer: Callable[[str, int], Mapping[str, Any]],
        *,
        media_type: str,
        now: datetime,
        owner: str | None = None,
        report: Mapping[str, Any] | None = None,
        replayed: bool = True,
        also: Callable[[Connection, str], None] | None = None,
    ) -> StoredDocument:
        """Keep what came of claimed work: the signed file, its report and the answer, all of them or nothing.

        `answer` makes the answer from the file's SHA-256 and size; with `replayed` it is kept under the claim, else
        the claim ends here.  `also` writes more rows (it is told the file's SHA-256).  Raises `LostClaimError` where
        somebody else holds the claim now, `StorageError` (storage_full).
        """
        with self.documents.staged(source) as staged:
            made = answer(staged.sha256, staged.size)
            with self.database.write(durable=replayed) as connection:
                self.idempotency.conclude(connection, ticket, made if replayed else None)
                if report is not None:
                    self.reports.insert(connection, report, now=now, owner=owner)
                if also is not None:
                    also(connection, staged.sha256)
                self.documents.register(connection, staged, media_type=media_type, now=now, owner=owner)
            self.idempotency.let_go(ticket)
        return self.documents.get(staged.sha256)

    def accept(
        self,
        ticket: Ticket,
        sources: Sequence[Path],
        begin: Callable[[Connection, tuple[str, ...]], Mapping[str, Any]],
        *,
        media_type: str,
        now: datetime,
        owner: str | None = None,
        replayed: bool = True,
    ) -> Mapping[str, Any]:
        """Keep documents that are to be worked on and what begins the work, all of it or nothing.

        `begin` writes the rows that say what is to be done, gets the SHA-256 of each of `sources` in their order, and
        gives the answer, which is returned; with `replayed` it is kept under the claim.  Raises like `keep`.
        """
        with ExitStack() as copies:
            staged = [copies.enter_context(self.documents.staged(source)) for source in sources]
            with self.database.write(durable=True) as connection:
                answer = begin(connection, tuple(one.sha256 for one in staged))
                self.idempotency.conclude(connection, ticket, answer if replayed else None)
                for one in {one.sha256: one for one in staged}.values():
                    self.documents.register(connection, one, media_type=media_type, now=now, owner=owner)
            self.idempotency.let_go(ticket)
        return answer

    def sweep(self, *, now: datetime) -> int:
        """Settle what killed processes left: half-stored files and claims on work that nobody does any more.

        Safe beside running work, in any process; how many things there were.
        """
        return (
            self.documents.sweep()
            + self.sessions.sweep()
            + self.idempotency.sweep(now=now)
            + self.webhooks.forget(now=now)
        )

    def check(self) -> None:
        """Prove that database and blob directory work; raises what they raise."""
        with self.database.read() as connection:
            connection.execute(select(reports.c.id).limit(1)).first()
        self.blobs.check()

    def close(self) -> None:
        """Close this process's connections."""
        self.idempotency.close()
        self.database.close()


__all__ = [
    "ApiKey",
    "Claim",
    "Copy",
    "Deletion",
    "Failure",
    "Found",
    "Item",
    "ItemState",
    "Job",
    "JobState",
    "Jobs",
    "Lease",
    "LostClaimError",
    "NewApiKey",
    "Reports",
    "Scope",
    "Share",
    "Signatures",
    "SignedFile",
    "Store",
    "StoredDocument",
    "StoredReport",
    "StoredSignature",
    "Ticket",
    "full_disk",
]
