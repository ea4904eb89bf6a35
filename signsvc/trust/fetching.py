"""What a worker may ask of the network: three kinds of values, by URL, through its parent.

Bytes of foreign origin are parsed in worker processes that have no network.  A worker holds a `Fetch` and its parent
answers it with an `EvidenceClient`; the parent never parses what passes through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

KINDS = ("crl", "ocsp", "certificate")
MAX_OTHERS = 8
MAX_AHEAD = 32


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One value wanted.  `kind` is ``crl``, ``ocsp`` or ``certificate``; `body` is the DER OCSPRequest to POST.

    `others` are further addresses that should serve as well: the first good answer is taken.  `ahead` will be asked
    for next and may be fetched meanwhile.  With `newer_than` (UTC) a kept value is used only where it was fetched
    after that instant: for a consumer that found the kept one out of date.  `known` is the SHA-256 (hex) of a value
    that the asker holds: where it is still the one, no octets are sent.  `before` asks for the value that the kept one
    replaced, and `keep` says which of the two (SHA-256, hex) is the newer: nothing is asked of a server.  `deadline` is
    a `time.monotonic` value of the process that fetches.
    """

    kind: str
    url: str
    body: bytes | None = None
    newer_than: datetime | None = None
    others: tuple[str, ...] = ()
    ahead: tuple[FetchRequest, ...] = ()
    known: str | None = None
    before: bool = False
    keep: str | None = None
    deadline: float | None = field(default=None, compare=False)

    @property
    def urls(self) -> tuple[str, ...]:
        """Every address, in order, each once."""
        return tuple(dict.fromkeys((self.url, *self.others)))


@dataclass(frozen=True, slots=True)
class Fetched:
    """A value, where it came from and when.  `stale`: kept beyond its time, because the server fails now;
    `unchanged`: it is the `known` one, and the body is left out; `sha256` (hex) is the body's; `replaced`: it took the
    place of another value, and nobody has said yet which is the newer."""

    body: bytes
    url: str
    fetched_at: datetime | None = None
    from_cache: bool = False
    stale: bool = False
    unchanged: bool = False
    sha256: str = ""
    replaced: bool = False

    @classmethod
    def of(cls, value: bytes | Fetched, request: FetchRequest) -> Fetched:
        """What a `Fetch` gave, with its digest."""
        found = value if isinstance(value, Fetched) else cls(value, request.url)
        if found.sha256:
            return found
        digest = hashlib.sha256(found.body).hexdigest()
        return replace(found, sha256=digest)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of one list; `problem` is a short word where its server failed."""

    url: str
    changed: bool = False
    problem: str | None = None


# Answers a request with the value, or with its octets where they were fetched just now; raises UpstreamError.
Fetch = Callable[[FetchRequest], bytes | Fetched]


# Files beside the one of a kept value.
def used_of(path: Path) -> Path:
    """When the value at `path` was used last."""
    return path.with_name(path.name + ".used")


def before_of(path: Path) -> Path:
    """What it replaced."""
    return path.with_name(path.name + ".before")


def failure_of(path: Path) -> Path:
    """Why it could not be had."""
    return path.with_name(path.name + ".failed")
