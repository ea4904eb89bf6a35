"""API keys: 256 random bits of which only the SHA-256 is kept.

A plain hash is enough for a secret that cannot be guessed; a slow one would only slow every request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update

from signsvc.errors import RequestError
from signsvc.store.database import Database
from signsvc.store.records import ApiKey, NewApiKey, Scope
from signsvc.store.schema import api_keys

# `last_used_at` is a hint for housekeeping: written this often at most, so that reading stays reading.
USED_EVERY = timedelta(minutes=5)

PREFIX = "sk_"


class ApiKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, scopes: Iterable[Scope], *, now: datetime) -> NewApiKey:
        """Make a key.  Raises `RequestError` (invalid_request) without a name or scope."""
        wanted = frozenset(scopes)
        if not name.strip() or len(name) > 200 or not wanted:
            raise RequestError("invalid_request", reason="an API key needs a name and at least one scope")
        secret = PREFIX + secrets.token_urlsafe(32)
        key = ApiKey("key_" + secrets.token_hex(8), secret[:9], name.strip(), wanted, now)
        with self._database.write() as connection:
            connection.execute(
                insert(api_keys).values(
                    id=key.id,
                    secret_sha256=_digest(secret),
                    prefix=key.prefix,
                    name=key.name,
                    scopes=" ".join(sorted(wanted)),
                    created_at=now,
                )
            )
        return NewApiKey(key, secret)

    def find(self, secret: str, *, now: datetime) -> ApiKey | None:
        """The enabled key with this secret, or None."""
        if not secret.startswith(PREFIX) or len(secret) > 200:
            return None
        digest = _digest(secret)
        with self._database.read() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.secret_sha256 == digest)).one_or_none()
        if row is None or not hmac.compare_digest(row.secret_sha256, digest) or row.disabled_at is not None:
            return None
        if row.last_used_at is None or now - row.last_used_at >= USED_EVERY:
            with self._database.write() as connection:
                connection.execute(update(api_keys).where(api_keys.c.id == row.id).values(last_used_at=now))
        return _key(row)

    def list(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first, revoked ones included."""
        with self._database.read() as connection:
            return tuple(_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.created_at)))

    def revoke(self, identifier: str, *, now: datetime) -> ApiKey:
        """Disable the key with this id.  Raises `RequestError` (not_found)."""
        with self._database.write() as connection:
            connection.execute(
                update(api_keys)
                .where(api_keys.c.id == identifier, api_keys.c.disabled_at.is_(None))
                .values(disabled_at=now)
            )
            row = connection.execute(select(api_keys).where(api_keys.c.id == identifier)).one_or_none()
        if row is None:
            raise RequestError("not_found")
        return _key(row)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _key(row: Row[Any]) -> ApiKey:
    scopes = frozenset(Scope(word) for word in row.scopes.split())
    return ApiKey(row.id, row.prefix, row.name, scopes, row.created_at, row.last_used_at, row.disabled_at)
