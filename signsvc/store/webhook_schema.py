"""Tables of the addresses that are told of finished work, and of what they are told."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Index, Integer, MetaData, String, Table, Text, inspect

from signsvc.store.schema import UtcDateTime

metadata = MetaData()

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("url", String(2000), nullable=False),
    Column("owner", String(64)),  # whose work it is told of; NULL: everyone's
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),  # of its secret
    Column("rotated_at", UtcDateTime),
    Column("disabled_at", UtcDateTime),
    Column("failing_since", UtcDateTime),
    Index("webhooks_by_owner", "owner"),
)

deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(64), primary_key=True),  # the same for every try
    Column("webhook_id", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    # The next try of one that waits; while it is tried, when another may try it.
    Column("due_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer),
    Column("error", String(64)),
    Index("webhook_deliveries_due", "state", "due_at"),
    Index("webhook_deliveries_by_webhook", "webhook_id", "created_at"),
)


def create(connection: Connection) -> None:
    """Step of the schema: the tables, where they are not there yet."""
    known = set(inspect(connection).get_table_names())
    metadata.create_all(connection, tables=[t for t in metadata.sorted_tables if t.name not in known])


__all__ = ["create", "deliveries", "webhooks"]
