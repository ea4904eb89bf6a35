"""What stored reports rest on: small parts by report, large ones (revocation lists, tokens) once for all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
    text,
)

from signsvc.errors import RequestError, StorageError
from signsvc.store.database import Database

metadata = MetaData()

# Any number: who counts on a shared part holds it in common, who takes away what nobody needs holds it alone.
# SQLite's one writer at a time needs no such lock.
_PARTS_LOCK = 0x5169_6E75

report_bases = Table(
    "report_bases",
    metadata,
    Column("report_id", String(64), primary_key=True),
    Column("core", LargeBinary, nullable=False),
)

report_objects = Table(
    "report_objects",
    metadata,
    Column("report_id", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Index("report_objects_by_digest", "sha256"),
)

evidence = Table(
    "evidence_objects",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("octets", LargeBinary, nullable=False),
)


def create(connection: Connection) -> None:
    """Step of the schema: the tables, where they are not there yet."""
    known = set(inspect(connection).get_table_names())
    metadata.create_all(connection, tables=[t for t in metadata.sorted_tables if t.name not in known])


class Bases:
    """Kept apart from the reports themselves, which most readers want alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, connection: Connection, report_id: str, core: bytes, objects: Mapping[str, bytes]) -> None:
        """Keep what the report rests on as part of the caller's transaction; `objects` are by the hex of their
        SHA-256."""
        connection.execute(insert(report_bases).values(report_id=report_id, core=core))
        if not objects:
            return
        _lock(connection, alone=False)
        held = select(evidence.c.sha256).where(evidence.c.sha256.in_(objects))
        known = {row.sha256 for row in connection.execute(held)}
        for name in sorted(set(objects) - known):
            try:
                with connection.begin_nested():
                    connection.execute(insert(evidence).values(sha256=name, octets=objects[name]))
            except Exception:  # another process was first, or the disk is full: that is seen by looking
                if connection.execute(select(evidence.c.sha256).where(evidence.c.sha256 == name)).first() is None:
                    raise
        connection.execute(insert(report_objects), [{"report_id": report_id, "sha256": one} for one in sorted(objects)])

    def get(self, report_id: str) -> bytes:
        """Raises `RequestError` (not_found) where nothing was kept."""
        with self._database.read() as connection:
            row = connection.execute(select(report_bases.c.core).where(report_bases.c.report_id == report_id)).first()
        if row is None:
            raise RequestError("not_found")
        return bytes(row.core)

    def part(self, sha256: str) -> bytes:
        """One large part.  Raises `StorageError` (evidence_damaged) where it is gone or was changed."""
        with self._database.read() as connection:
            row = connection.execute(select(evidence.c.octets).where(evidence.c.sha256 == sha256)).first()
        if row is None or hashlib.sha256(row.octets).hexdigest() != sha256:
            raise StorageError("evidence_damaged")
        return bytes(row.octets)

    def delete(self, connection: Connection, report_id: str) -> None:
        """Remove what the report rests on, and large parts that no other one needs, as part of the caller's
        transaction."""
        _lock(connection, alone=True)
        mine = select(report_objects.c.sha256).where(report_objects.c.report_id == report_id)
        names = [row.sha256 for row in connection.execute(mine)]
        connection.execute(delete(report_objects).where(report_objects.c.report_id == report_id))
        connection.execute(delete(report_bases).where(report_bases.c.report_id == report_id))
        if names:
            used = select(report_objects.c.sha256)
            connection.execute(delete(evidence).where(evidence.c.sha256.in_(names), evidence.c.sha256.not_in(used)))


def _lock(connection: Connection, *, alone: bool) -> None:
    if connection.dialect.name == "postgresql":
        name = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(text(f"SELECT {name}(:n)"), {"n": _PARTS_LOCK})


__all__ = ["Bases", "create"]
