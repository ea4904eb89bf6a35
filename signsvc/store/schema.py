"""Tables of the database, and the steps that bring an older one up to date.

Only types that SQLite and PostgreSQL share are used; times are stored in UTC and come back aware.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    inspect,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC.  Naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

reports = Table(
    "reports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("document_sha256", String(64), nullable=False),
    Column("indication", String(32), nullable=False),
    Column("policy_id", String(128), nullable=False),
    Column("policy_version", String(32), nullable=False),
    Column("owner", String(64)),
    Column("body", Text, nullable=False),
    Index("reports_by_document", "document_sha256"),
    Index("reports_by_time", "created_at"),
)

documents = Table(
    "documents",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("owner", String(64)),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("secret_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("scopes", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("disabled_at", UtcDateTime),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("id", String(64), primary_key=True),  # sha256 of caller and key
    Column("fingerprint", String(64), nullable=False),
    Column("holder", String(64), nullable=False),  # who works on it, so that a late loser cannot overwrite
    Column("lease_until", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("answer", Text),
    Column("owner", String(64)),  # the process that works on it (`store.owners`)
    Column("about", Text),  # what it is, for the log: JSON, without anything of the document
    Index("idempotency_by_expiry", "expires_at"),
    Index("idempotency_by_holder", "holder"),
)


def _first(connection: Connection) -> None:
    metadata.create_all(connection, tables=[reports, documents, api_keys, idempotency])


def _jobs(connection: Connection) -> None:
    from signsvc.store import jobs_schema

    jobs_schema.create(connection)


def _sessions(connection: Connection) -> None:
    from signsvc.store import session_schema

    session_schema.create(connection)


def _claims(connection: Connection) -> None:
    """Who works on a request, since a dead process's claim can be told."""
    known = {column["name"] for column in inspect(connection).get_columns("idempotency")}
    for name, kind in (("owner", "VARCHAR(64)"), ("about", "TEXT")):
        if name not in known:
            connection.exec_driver_sql(f"ALTER TABLE idempotency ADD COLUMN {name} {kind}")
    index = next(index for index in idempotency.indexes if index.name == "idempotency_by_holder")
    index.create(connection, checkfirst=True)


def _bases(connection: Connection) -> None:
    from signsvc.store import bases

    bases.create(connection)


def _register(connection: Connection) -> None:
    from signsvc.store import register_schema

    register_schema.create(connection)


def _webhooks(connection: Connection) -> None:
    from signsvc.store import webhook_schema

    webhook_schema.create(connection)


# Step n brings version n to n + 1; the list only grows.
STEPS: tuple[Callable[[Connection], Any], ...] = (_first, _jobs, _sessions, _claims, _bases, _register, _webhooks)
