"""Tables about stored reports: the copies that were given out, links to them, deletions; and files signed here."""

from __future__ import annotations

import json

from sqlalchemy import Boolean, Column, Connection, Index, MetaData, String, Table, insert, inspect, select

from signsvc.store.jobs_schema import signatures
from signsvc.store.schema import UtcDateTime

metadata = MetaData()

copies = Table(
    "report_copies",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the octets that left
    Column("report_id", String(64), nullable=False),
    Column("form", String(8), nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("report_copies_by_report", "report_id"),
)

shares = Table(
    "report_shares",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("report_id", String(64), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("owner", String(64)),
    Index("report_shares_by_report", "report_id"),
    Index("report_shares_by_expiry", "expires_at"),
)

# Says that there was a report and who took it away, nothing of what it said.
deletions = Table(
    "report_deletions",
    metadata,
    Column("report_id", String(64), primary_key=True),
    Column("deleted_at", UtcDateTime, nullable=False),
    Column("deleted_by", String(64)),
    Column("reason", String(200), nullable=False),
)

signed_files = Table(
    "signed_files",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("signature_id", String(64), primary_key=True),
    Column("level", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("owner", String(64)),
)


def create(connection: Connection) -> None:
    """Step of the schema: the tables, and the files of signatures that are there already."""
    known = set(inspect(connection).get_table_names())
    metadata.create_all(connection, tables=[t for t in metadata.sorted_tables if t.name not in known])
    columns = (signatures.c.id, signatures.c.created_at, signatures.c.owner, signatures.c.body)
    for row in connection.execute(select(*columns)).all():
        body = json.loads(row.body)
        sha256 = (body.get("document") or {}).get("sha256")
        if sha256:
            level = (body.get("signature") or {}).get("level") or ""
            values = {"sha256": sha256, "signature_id": row.id, "level": level}
            connection.execute(insert(signed_files).values(**values, created_at=row.created_at, owner=row.owner))


__all__ = ["copies", "create", "deletions", "shares", "signed_files"]
