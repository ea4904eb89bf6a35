"""What the store keeps of a signing session: the session, its documents, what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class SessionState(StrEnum):
    """Where a signing session stands; the last four are ends."""

    CREATED = "created"  # waits for a certificate
    PREPARED = "prepared"  # waits for signature values
    COMPLETING = "completing"  # some documents have their values
    COMPLETED = "completed"  # every document is finished, at least one of them signed
    FAILED = "failed"  # every document is finished, none of them signed
    CANCELED = "canceled"
    EXPIRED = "expired"


class ItemState(StrEnum):
    """Where one document of a session stands; the last three are ends."""

    WAITING = "waiting"  # not prepared for the session's certificate
    PREPARED = "prepared"  # its attributes wait for a signature value
    SIGNED = "signed"  # has its value and waits to be completed
    COMPLETING = "completing"  # somebody completes it, for as long as the lease lasts
    COMPLETED = "completed"
    FAILED = "failed"
    ABANDONED = "abandoned"  # the session ended before it


@dataclass(frozen=True, slots=True)
class SessionItem:
    """One document of a session.  `sha256` is that of the file before signing, `prepared` what the format has to know
    to complete it, `problem` and `result` what an answer says of it."""

    number: int  # from 1, in the order of the closed list
    sha256: str
    size: int
    media_type: str
    name: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    state: ItemState = ItemState.WAITING
    prepared_at: datetime | None = None
    prepared: Mapping[str, Any] | None = None
    value: bytes | None = None
    holder: str | None = None
    lease_until: datetime | None = None
    problem: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    signed_elsewhere: bool = False  # somebody else put a signature on this file meanwhile


@dataclass(frozen=True, slots=True)
class Session:
    """A signing session with all its documents.  `version` grows with every change."""

    id: str
    owner: str | None
    created_at: datetime
    expires_at: datetime
    profile: Mapping[str, Any]
    items: tuple[SessionItem, ...]
    state: SessionState = SessionState.CREATED
    version: int = 1
    chain: tuple[bytes, ...] = ()  # DER, the signer's certificate first
    ended_at: datetime | None = None

    def item(self, number: int) -> SessionItem | None:
        """The document with this number."""
        return self.items[number - 1] if 1 <= number <= len(self.items) else None


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """Something that happened to a session, in the order of `sequence` (from 1)."""

    sequence: int
    at: datetime
    kind: str  # "session" | "document"
    data: Mapping[str, Any]
