"""What the store hands out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any


class Scope(StrEnum):
    """What an API key may do; `admin` includes all others."""

    SIGN = "sign"
    VERIFY = "verify"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    prefix: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    last_used_at: datetime | None = None
    disabled_at: datetime | None = None

    def may(self, *scopes: Scope) -> bool:
        """Whether the key has one of `scopes`."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key just made.  `secret` is shown once and not kept; it never prints."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredReport:
    id: str
    created_at: datetime
    document_sha256: str
    indication: str
    owner: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    sha256: str
    size: int
    media_type: str
    created_at: datetime
    owner: str | None
    path: Path


class Claim(StrEnum):
    """How a request with an idempotency key stands."""

    MINE = "mine"  # do the work, then `finish` or `release`
    DONE = "done"  # the stored answer is the answer
    BUSY = "busy"  # somebody works on it
    REUSED = "reused"  # the key belongs to another request


@dataclass(frozen=True, slots=True)
class Ticket:
    """The outcome of claiming an idempotency key."""

    claim: Claim
    id: str
    holder: str
    answer: Mapping[str, Any] | None = None
