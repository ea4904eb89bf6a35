"""Reports that are kept with what they rest on, and judged again from that alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from signsvc.errors import RequestError, StorageError
from signsvc.reports.objects import Objects
from signsvc.verification import snapshot
from signsvc.verification.plain import PlainError

if TYPE_CHECKING:
    from signsvc.store import Store

# What is told of a report that came out otherwise: paths of members, no values.
_MOST_DIFFERENCES = 50
_PURGED_AT_ONCE = 500
FINISHED = "verification.finished"
# Said beside a verdict, not by it.
_BESIDE = ("acceptance",)


@dataclass(frozen=True, slots=True)
class Replay:
    """A stored report judged again: `report` as it comes out today, and where it `differs` (paths such as
    ``signatures.0.indication``) from the stored one."""

    id: str
    report: Mapping[str, Any]
    differs: tuple[str, ...]

    @property
    def identical(self) -> bool:
        return not self.differs


def keep(
    store: Store, report: Mapping[str, Any], basis: bytes | None, *, now: datetime, owner: str | None = None
) -> None:
    """Keep a report and what it rests on (`Outcome.snapshot`; None: the report alone), both or nothing,
    and tell those who want to know.  Raises
    `StorageError` (storage_full)."""
    core, objects = (None, {}) if basis is None else snapshot.split(basis)
    with store.database.write() as connection:
        store.reports.insert(connection, report, now=now, owner=owner)
        if core is not None:
            store.bases.insert(connection, report["id"], core, objects)
        store.webhooks.enqueue(connection, FINISHED, _told(report), owner=owner, now=now)


def _told(report: Mapping[str, Any]) -> dict[str, Any]:
    """What leaves with a message: which report of which file, and how it came out; nothing of what the file says."""
    accepted = report.get("acceptance")
    return {
        "report": {"id": report["id"], "href": f"/v1/reports/{report['id']}"},
        "document": {"sha256": (report.get("document") or {}).get("sha256")},
        "indication": report.get("indication"),
        "sub_indication": report.get("sub_indication"),
        "acceptance": {"rule": accepted["rule"], "decision": accepted["decision"]} if accepted else None,
    }


def basis(store: Store, report_id: str) -> bytes:
    """What a stored report rests on (`verification.snapshot`).  Raises `RequestError` (not_found), `StorageError`
    (evidence_damaged)."""
    try:
        return snapshot.join(store.bases.get(report_id), store.bases.part)
    except PlainError:
        raise StorageError("evidence_damaged") from None


def objects(store: Store, report_id: str) -> Objects | None:
    """The certificates, revocation values and tokens that a stored report rests on; None where none are kept.  Raises
    `StorageError` (evidence_damaged)."""
    try:
        return snapshot.objects(basis(store, report_id))
    except RequestError:
        return None
    except PlainError:
        raise StorageError("evidence_damaged") from None


def replay(store: Store, report_id: str) -> Replay:
    """Judge a stored report again from what it rests on alone: no document, no network, the clock of its day.

    Raises `RequestError` (not_found) for reports that are not kept so, `StorageError` (evidence_damaged).
    """
    stored = store.reports.get(report_id).body
    try:
        again = snapshot.judge(basis(store, report_id))
    except PlainError:
        raise StorageError("evidence_damaged") from None
    before = {name: value for name, value in stored.items() if name not in _BESIDE}
    found = tuple(path for path, _ in zip(_differences(before, again), range(_MOST_DIFFERENCES), strict=False))
    return Replay(report_id, again, found)


def purge(store: Store, *, now: datetime, days: int | None) -> int:
    """Delete reports older than `days` (None: none), a few hundred at a time; how many those were."""
    if days is None:
        return 0
    count = 0
    for identifier in store.reports.older(now - timedelta(days=days), limit=_PURGED_AT_ONCE):
        with suppress(RequestError):  # another process was first
            store.reports.delete(identifier, now=now, by=None, reason="retention")
            count += 1
    return count


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(set(one) | set(other)):
            yield from _differences(one.get(name), other.get(name), f"{path}.{name}" if path else name)
    elif isinstance(one, list) and isinstance(other, list | tuple) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, f"{path}.{number}")
    elif one != other:
        yield path or "."


__all__ = ["Replay", "basis", "keep", "objects", "purge", "replay"]
