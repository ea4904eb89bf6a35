"""What is asked of a verification and what comes back."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signsvc.trust.fetching import KINDS, MAX_AHEAD, MAX_OTHERS, Fetched, FetchRequest

GIB = 1024**3
EVIDENCE_SECONDS = 15.0
_NO_WISH = "not a fetch request"


@dataclass(frozen=True, slots=True)
class OriginalFile:
    """Content of a detached signature: a file for the worker to read, or only digests (octets by digest OID)."""

    name: str
    path: Path | None = None
    digests: tuple[tuple[str, bytes], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "path": str(self.path) if self.path else None,
            "digests": {oid: value.hex() for oid, value in self.digests},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> OriginalFile:
        digests = tuple((oid, bytes.fromhex(value)) for oid, value in data["digests"].items())
        return cls(data["name"], Path(data["path"]) if data["path"] else None, digests)


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """One verification: under which policy, at which time, with what further trust and evidence (DER octets).

    `at` is the validation time for a judgement about the past or future (aware UTC); None means now.  `originals` are
    the files that detached signatures speak of, or digests of them; `must_cover` names elements of XML documents that
    every signature has to cover (paths such as ``/a/b``).  With `record` all that the verdict rests on is kept
    (`Outcome.snapshot`).
    """

    policy: str = "hon-hop"
    at: datetime | None = None
    trust_anchors: tuple[bytes, ...] = ()
    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    offline: bool = False
    name: str | None = None
    originals: tuple[OriginalFile, ...] = ()
    must_cover: tuple[str, ...] = ()
    record: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "record": self.record,
            "policy": self.policy,
            "at": self.at.isoformat() if self.at else None,
            "trust_anchors": [base64.b64encode(v).decode() for v in self.trust_anchors],
            "certificates": [base64.b64encode(v).decode() for v in self.certificates],
            "crls": [base64.b64encode(v).decode() for v in self.crls],
            "offline": self.offline,
            "name": self.name,
            "originals": [original.to_json() for original in self.originals],
            "must_cover": list(self.must_cover),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> VerifyRequest:
        def values(key: str) -> tuple[bytes, ...]:
            return tuple(base64.b64decode(v) for v in data[key])

        return cls(
            policy=data["policy"],
            at=datetime.fromisoformat(data["at"]).astimezone(UTC) if data["at"] else None,
            trust_anchors=values("trust_anchors"),
            certificates=values("certificates"),
            crls=values("crls"),
            offline=data["offline"],
            name=data["name"],
            originals=tuple(map(OriginalFile.from_json, data["originals"])),
            must_cover=tuple(data["must_cover"]),
            record=data["record"],
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost: octets of address space beyond its own size, seconds of CPU, of waiting for all of
    it and of waiting for the network."""

    memory_bytes: int = 2 * GIB
    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    evidence_seconds: float = EVIDENCE_SECONDS


@dataclass(frozen=True, slots=True)
class TrustSource:
    """Where trust material is installed, which profiles join those of the policy, and where indexes of lists are."""

    directory: Path
    extra_profiles: tuple[str, ...] = ()
    policy_directories: tuple[Path, ...] = ()
    indexes: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "trust_dir": str(self.directory),
            "extra_profiles": list(self.extra_profiles),
            "policy_directories": [str(p) for p in self.policy_directories],
            "indexes": [str(p) for p in self.indexes],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrustSource:
        return cls(
            directory=Path(data["trust_dir"]),
            extra_profiles=tuple(data["extra_profiles"]),
            policy_directories=tuple(Path(p) for p in data["policy_directories"]),
            indexes=tuple(Path(p) for p in data["indexes"]),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report of one document (the JSON of `signsvc.reports.build`), and what it rests on where that was asked
    for (`signsvc.verification.snapshot`)."""

    report: dict[str, Any]
    snapshot: bytes | None = None

    @property
    def id(self) -> str:
        return str(self.report["id"])

    @property
    def indication(self) -> str:
        return str(self.report["indication"])

    @property
    def sub_indication(self) -> str | None:
        found = self.report["sub_indication"]
        return None if found is None else str(found)

    @property
    def signatures(self) -> list[dict[str, Any]]:
        return list(self.report["signatures"])


def fetch_to_json(request: FetchRequest) -> tuple[dict[str, Any], bytes]:
    """A worker's wish for its parent, and the bodies that travel beside it, one after the other."""
    wishes = (request, *request.ahead[:MAX_AHEAD])
    return {"wishes": [_wish_to_json(one) for one in wishes]}, b"".join(one.body or b"" for one in wishes)


def _wish_to_json(request: FetchRequest) -> dict[str, Any]:
    return {
        "kind": request.kind,
        "url": request.url,
        "others": list(request.others),
        "body": None if request.body is None else len(request.body),
        "newer_than": request.newer_than.isoformat() if request.newer_than else None,
        "known": request.known,
        "before": request.before,
        "keep": request.keep,
    }


def fetch_from_json(data: dict[str, Any], bodies: bytes) -> FetchRequest:
    """The wish as the parent reads it from a worker that it does not trust.

    Raises `ValueError`, `KeyError`, `TypeError` where it is not one.
    """
    wishes = data["wishes"]
    if not isinstance(wishes, list) or not 1 <= len(wishes) <= 1 + MAX_AHEAD:
        raise ValueError(_NO_WISH)
    read: list[FetchRequest] = []
    for one in wishes:
        size = one["body"]
        body = None
        if size is not None:
            if not isinstance(size, int) or not 0 <= size <= len(bodies):
                raise ValueError(_NO_WISH)
            body, bodies = bodies[:size], bodies[size:]
        read.append(_wish_from_json(one, body))
    return replace(read[0], ahead=tuple(read[1:]))


def _wish_from_json(data: dict[str, Any], body: bytes | None) -> FetchRequest:
    kind, url, newer, known = data["kind"], data["url"], data["newer_than"], data["known"]
    others = data["others"]
    if kind not in KINDS or not isinstance(others, list) or not all(isinstance(u, str) for u in (url, *others)):
        raise ValueError(_NO_WISH)
    before, keep = data.get("before", False), data.get("keep")
    if not all(text is None or isinstance(text, str) for text in (known, keep)) or not isinstance(before, bool):
        raise ValueError(_NO_WISH)
    moment = datetime.fromisoformat(newer).astimezone(UTC) if newer else None
    return FetchRequest(kind, url, body, moment, tuple(others[:MAX_OTHERS]), known=known, before=before, keep=keep)


def fetched_to_json(found: Fetched) -> dict[str, Any]:
    """A parent's answer; the octets travel beside it."""
    return {
        "ok": True,
        "url": found.url,
        "at": found.fetched_at.isoformat() if found.fetched_at else None,
        "cached": found.from_cache,
        "stale": found.stale,
        "unchanged": found.unchanged,
        "replaced": found.replaced,
    }


def fetched_from_json(data: dict[str, Any], body: bytes) -> Fetched:
    """The answer as the worker reads it; the digest of its octets is the worker's own to make."""
    moment = datetime.fromisoformat(data["at"]) if data["at"] else None
    flags = (data["cached"], data["stale"], data["unchanged"])
    return Fetched(body, data["url"], moment, *flags, replaced=data.get("replaced", False))
