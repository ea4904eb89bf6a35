"""Tables of the job ledger and of the signatures made here."""

from __future__ import annotations

from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, String, Table, Text

from signsvc.store.schema import UtcDateTime, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("owner", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("canceled_at", UtcDateTime),
    Column("data", Text, nullable=False),
    Index("jobs_by_time", "created_at"),
)

job_items = Table(
    "job_items",
    metadata,
    Column("job_id", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    # When it may be taken: the next try of one that waits, the end of the lease of one that runs.
    Column("due_at", UtcDateTime, nullable=False),
    Column("give_up_at", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),  # leases in a row that ended without a word
    Column("holder", String(64)),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("data", Text, nullable=False),
    Column("result", Text),
    Column("error", Text),
    Index("job_items_due", "state", "priority", "due_at"),
    Index("job_items_by_state", "job_id", "state", "position"),
)

signatures = Table(
    "signatures",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("owner", String(64)),
    Column("job_id", String(64), ForeignKey("jobs.id")),  # what raises its level
    Column("body", Text, nullable=False),
    Index("signatures_by_time", "created_at"),
)


def create(connection: Connection) -> None:
    """The step that brings these tables into a database."""
    metadata.create_all(connection, tables=[jobs, job_items, signatures])
