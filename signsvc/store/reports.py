"""Stored reports: what was answered, the copies given out, links to them, and their end."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from signsvc.errors import RequestError
from signsvc.store.records import StoredReport
from signsvc.store.register_schema import copies, deletions, shares, signed_files
from signsvc.store.schema import reports

if TYPE_CHECKING:
    from signsvc.store.bases import Bases
    from signsvc.store.database import Database


@dataclass(frozen=True, slots=True)
class Copy:
    """A rendering that left this service."""

    sha256: str
    report_id: str
    form: str
    sealed: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Deletion:
    """`reason` is a word of ours or the caller's own, short."""

    report_id: str
    deleted_at: datetime
    deleted_by: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Share:
    """A link to one report.  `secret` is known when the link is made and never again; it does not print."""

    id: str
    report_id: str
    created_at: datetime
    expires_at: datetime
    owner: str | None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A file that a signature made here stands in, `level` at that time."""

    signature_id: str
    level: str
    created_at: datetime
    owner: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A report about a file, without its body."""

    id: str
    created_at: datetime
    indication: str
    owner: str | None


class Reports:
    """Verification reports, as the JSON they were answered with."""

    def __init__(self, database: Database, bases: Bases) -> None:
        self._database = database
        self._bases = bases

    def add(self, report: Mapping[str, Any], *, now: datetime, owner: str | None = None) -> None:
        """Keep a report under its ``id``.  Raises `StorageError` (storage_full)."""
        with self._database.write() as connection:
            self.insert(connection, report, now=now, owner=owner)

    def insert(
        self, connection: Connection, report: Mapping[str, Any], *, now: datetime, owner: str | None = None
    ) -> None:
        """Keep a report as part of the caller's transaction."""
        policy = report.get("policy") or {}
        connection.execute(
            insert(reports).values(
                id=report["id"],
                created_at=now,
                document_sha256=(report.get("document") or {}).get("sha256") or "",
                indication=report.get("indication") or "",
                policy_id=policy.get("id") or "",
                policy_version=policy.get("version") or "",
                owner=owner,
                body=json.dumps(report, ensure_ascii=False, separators=(",", ":")),
            )
        )

    def get(self, identifier: str) -> StoredReport:
        """Raises `RequestError` (not_found; report_deleted)."""
        with self._database.read() as connection:
            row = connection.execute(select(reports).where(reports.c.id == identifier)).one_or_none()
            if row is None:
                gone = select(deletions.c.deleted_at).where(deletions.c.report_id == identifier)
                ended = connection.execute(gone).first()
                raise RequestError("report_deleted") if ended is not None else RequestError("not_found")
        return StoredReport(
            row.id, row.created_at, row.document_sha256, row.indication, row.owner, json.loads(row.body)
        )

    def of_file(self, sha256: str, *, limit: int = 100) -> tuple[Found, ...]:
        """Reports about the file with that SHA-256 (hex), the newest first."""
        columns = (reports.c.id, reports.c.created_at, reports.c.indication, reports.c.owner)
        asked = select(*columns).where(reports.c.document_sha256 == sha256)
        with self._database.read() as connection:
            rows = connection.execute(asked.order_by(reports.c.created_at.desc()).limit(limit)).all()
        return tuple(Found(*row) for row in rows)

    def signed(self, sha256: str, *, limit: int = 100) -> tuple[SignedFile, ...]:
        """Signatures made here that left exactly the file with that SHA-256 (hex)."""
        columns = (signed_files.c.signature_id, signed_files.c.level, signed_files.c.created_at, signed_files.c.owner)
        asked = select(*columns).where(signed_files.c.sha256 == sha256).order_by(signed_files.c.created_at)
        with self._database.read() as connection:
            return tuple(SignedFile(*row) for row in connection.execute(asked.limit(limit)).all())

    def given_out(self, report_id: str, form: str, octets: bytes, *, sealed: bool, now: datetime) -> None:
        """Remember a rendering, so that it is known again.  Raises `StorageError` (storage_full)."""
        values = {"report_id": report_id, "form": form, "sealed": sealed, "created_at": now}
        digest = hashlib.sha256(octets).hexdigest()
        with self._database.read() as connection:
            if connection.execute(select(copies.c.form).where(copies.c.sha256 == digest)).first() is not None:
                return
        with self._database.write() as connection:
            try:
                with connection.begin_nested():
                    connection.execute(insert(copies).values(sha256=digest, **values))
            except IntegrityError:
                pass  # the same octets left at the same moment

    def copy(self, sha256: str) -> Copy | None:
        """The rendering with exactly those octets."""
        with self._database.read() as connection:
            row = connection.execute(select(copies).where(copies.c.sha256 == sha256)).first()
        return None if row is None else Copy(row.sha256, row.report_id, row.form, row.sealed, row.created_at)

    def deletion(self, report_id: str) -> Deletion | None:
        """When and by whom a report was deleted."""
        with self._database.read() as connection:
            row = connection.execute(select(deletions).where(deletions.c.report_id == report_id)).first()
        return None if row is None else Deletion(*row)

    def delete(self, report_id: str, *, now: datetime, by: str | None, reason: str) -> Deletion:
        """Take away a report, what it rests on and the links to it; digests of copies given out remain, so that these
        can be told to be of a deleted one.  Raises `RequestError` (not_found; report_deleted)."""
        with self._database.write(durable=True) as connection:
            self._bases.delete(connection, report_id)
            connection.execute(delete(shares).where(shares.c.report_id == report_id))
            if connection.execute(delete(reports).where(reports.c.id == report_id)).rowcount == 0:
                known = connection.execute(select(deletions).where(deletions.c.report_id == report_id)).first()
                raise RequestError("report_deleted") if known is not None else RequestError("not_found")
            values = {"deleted_at": now, "deleted_by": by, "reason": reason}
            connection.execute(insert(deletions).values(report_id=report_id, **values))
        return Deletion(report_id, now, by, reason)

    def older(self, before: datetime, *, limit: int) -> tuple[str, ...]:
        """Ids of the oldest reports from before that moment."""
        asked = select(reports.c.id).where(reports.c.created_at < before).order_by(reports.c.created_at)
        with self._database.read() as connection:
            return tuple(row.id for row in connection.execute(asked.limit(limit)).all())

    def share(self, report_id: str, *, now: datetime, until: datetime, owner: str | None) -> Share:
        """A link to a stored report; only a digest of its secret is kept.  Raises like `get`."""
        self.get(report_id)
        secret, identifier = secrets.token_urlsafe(32), f"shr_{secrets.token_hex(12)}"
        values = {"report_id": report_id, "created_at": now, "expires_at": until, "owner": owner}
        with self._database.write() as connection:
            connection.execute(delete(shares).where(shares.c.expires_at < now))
            connection.execute(insert(shares).values(id=identifier, secret_sha256=_digest(secret), **values))
        return Share(identifier, report_id, now, until, owner, secret)

    def shares(self, report_id: str, *, now: datetime) -> tuple[Share, ...]:
        """Links to a report that have not expired."""
        asked = select(shares).where(shares.c.report_id == report_id, shares.c.expires_at >= now)
        with self._database.read() as connection:
            rows = connection.execute(asked.order_by(shares.c.created_at)).all()
        return tuple(Share(row.id, row.report_id, row.created_at, row.expires_at, row.owner) for row in rows)

    def shared(self, secret: str, *, now: datetime) -> StoredReport:
        """The report behind a link.  Raises `RequestError` (not_found) for links that are unknown, over or taken
        back, without telling which."""
        asked = select(shares.c.report_id).where(shares.c.secret_sha256 == _digest(secret), shares.c.expires_at >= now)
        with self._database.read() as connection:
            row = connection.execute(asked).first()
        if row is None:
            raise RequestError("not_found")
        return self.get(row.report_id)

    def unshare(self, report_id: str, share_id: str) -> None:
        """Take a link back.  Raises `RequestError` (not_found)."""
        asked = delete(shares).where(shares.c.report_id == report_id, shares.c.id == share_id)
        with self._database.write() as connection:
            if connection.execute(asked).rowcount == 0:
                raise RequestError("not_found")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


__all__ = ["Copy", "Deletion", "Found", "Reports", "Share", "SignedFile"]
