"""Signatures made here, and the job that raises their level where they wait for one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from signsvc.errors import RequestError
from signsvc.store.database import Database
from signsvc.store.jobs import Item, Jobs
from signsvc.store.jobs_schema import signatures
from signsvc.store.register_schema import signed_files


@dataclass(frozen=True, slots=True)
class StoredSignature:
    """What was answered when the signature was made, and the item of the ledger that raises its level."""

    id: str
    created_at: datetime
    owner: str | None
    body: Mapping[str, Any]
    raising: Item | None


class Signatures:
    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

    def add(self, body: Mapping[str, Any], *, now: datetime, owner: str | None = None) -> None:
        """Keep the answer about a signature under its ``id``.  Raises `StorageError` (storage_full)."""
        with self._database.write() as connection:
            self.insert(connection, body, now=now, owner=owner)

    def insert(
        self,
        connection: Connection,
        body: Mapping[str, Any],
        *,
        now: datetime,
        owner: str | None = None,
        job_id: str | None = None,
    ) -> None:
        """The same inside a transaction; `job_id` has one item, which raises this signature."""
        text = json.dumps(dict(body), ensure_ascii=False, separators=(",", ":"))
        values = {"id": body["id"], "created_at": now, "owner": owner, "job_id": job_id, "body": text}
        connection.execute(insert(signatures).values(**values))
        if document := body.get("document"):
            level = str((body.get("signature") or {}).get("level") or "")
            self.left(connection, body["id"], document["sha256"], level, now=now, owner=owner)

    def left(
        self, connection: Connection, identifier: str, sha256: str, level: str, *, now: datetime, owner: str | None
    ) -> None:
        """Remember that this signature left a file with that SHA-256 (hex), at `level`."""
        values = {"sha256": sha256, "signature_id": identifier, "level": level, "created_at": now, "owner": owner}
        connection.execute(insert(signed_files).values(**values))

    def get(self, identifier: str) -> StoredSignature:
        """Raises `RequestError` (not_found)."""
        with self._database.read() as connection:
            row = connection.execute(select(signatures).where(signatures.c.id == identifier)).one_or_none()
        if row is None:
            raise RequestError("not_found")
        items = self._jobs.items(row.job_id, limit=1) if row.job_id else ()
        return StoredSignature(row.id, row.created_at, row.owner, json.loads(row.body), items[0] if items else None)
