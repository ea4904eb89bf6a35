"""Tables of signing sessions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, LargeBinary, String, Table, Text

from signsvc.store.schema import UtcDateTime, metadata

sessions = Table(
    "signing_sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64)),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("profile", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Index("signing_sessions_by_expiry", "state", "expires_at"),
    Index("signing_sessions_by_end", "ended_at"),
)

items = Table(
    "signing_session_items",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("name", String(255)),
    Column("params", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("prepared_at", UtcDateTime),
    Column("prepared", Text),
    Column("value", LargeBinary),
    Column("holder", String(64)),
    Column("lease_until", UtcDateTime),
    Column("problem", Text),
    Column("result", Text),
)

events = Table(
    "signing_session_events",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("data", Text, nullable=False),
)

# Files that are being signed: one session holds each, so that two signers make no fork of it.
bases = Table(
    "signing_bases",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("session_id", String(64), nullable=False),
    Column("signed_at", UtcDateTime),  # when somebody else put a signature on it
    Index("signing_bases_by_session", "session_id"),
)


def create(connection: Connection) -> None:
    """Make the tables where they are missing."""
    for table in (sessions, items, events, bases):
        table.create(connection, checkfirst=True)
