"""The queue: Huey on SQLite, or on PostgreSQL where workers are on several machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from huey import Huey
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import PostgresStorage, SqliteStorage
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from signsvc.errors import ConfigError

if TYPE_CHECKING:
    from signsvc.settings import Settings

_TABLES_LOCK = 0x7369676E73766371  # "signsvcq"


class JsonSerializer(Serializer):  # type: ignore[misc]
    """Messages as JSON: whoever can write to the queue can have a known task run, and nothing else."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps([data.id, data.name, list(data.args), data.kwargs]).encode()

    def _deserialize(self, data: bytes) -> Any:
        identifier, name, args, kwargs = json.loads(bytes(data))
        return Message(identifier, name, args=tuple(args), kwargs=dict(kwargs))


def make(settings: Settings) -> Huey:
    """The queue that `settings` name.  Raises `ConfigError` (``configuration_invalid``) for another kind of URL."""
    text = settings.jobs.queue_url or _beside(settings)
    try:
        url = make_url(text)
    except (ValueError, ArgumentError):
        raise ConfigError(reason="jobs.queue_url: a sqlite or postgresql URL") from None
    common: dict[str, Any] = {"results": False, "serializer": JsonSerializer()}
    if url.get_backend_name() == "sqlite" and url.database:
        return Huey("signsvc", storage_class=SqliteStorage, filename=url.database, **common)
    if url.get_backend_name() == "postgresql":
        dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return _on_postgresql(dsn, common)
    raise ConfigError(reason="jobs.queue_url: a sqlite or postgresql URL")


def _on_postgresql(dsn: str, common: dict[str, Any]) -> Huey:
    """One process at a time makes the tables: of two that start at once the second would fail."""
    import psycopg

    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TABLES_LOCK,))
        return Huey("signsvc", storage_class=PostgresStorage, dsn=dsn, table_prefix="signsvc_queue", **common)


def _beside(settings: Settings) -> str:
    """The database where it is shared by machines anyway, else a file of its own: two writers less per file."""
    if settings.database_url.startswith("postgresql"):
        return settings.database_url
    return f"sqlite:///{settings.data_dir / 'queue.db'}"
