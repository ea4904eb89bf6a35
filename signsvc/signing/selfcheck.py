"""Whether a file that was just written says what was promised, by our own verifier's report."""

from __future__ import annotations

from typing import Any

from signsvc.errors import InternalError
from signsvc.signing.profiles import LEVELS
from signsvc.types import Grade, Indication


def level_of(report: dict[str, Any], field: str) -> str:
    """The level that the report names for the signature in `field`."""
    return str(_entry(report, field)["level"])


def signature(report: dict[str, Any], *, field: str, level: str, passed: bool, revisions_before: int) -> None:
    """The new signature in `field` must not fail, must have `level` at least, and with `passed` must be
    TOTAL-PASSED; no earlier signature may be broken by it.  Raises `InternalError` (``self_check_failed``).
    """
    entry = _entry(report, field)
    indication = entry["indication"]
    if indication == Indication.TOTAL_FAILED or (passed and indication != Indication.TOTAL_PASSED):
        raise _failed(f"{indication} {entry['sub_indication'] or ''}".strip())
    if _rank(str(entry["level"])) < LEVELS.index(level):
        raise _failed(f"level {entry['level']}")
    _nothing_broken(report, revisions_before, but=field)


def extension(report: dict[str, Any], *, level: str, revisions_before: int) -> str:
    """The lowest level of the report's signatures.  An extension must reach its purpose: document timestamps that
    hold, and at B-LTA that level for every signature that has not failed.  Raises like `signature`."""
    _nothing_broken(report, revisions_before)
    added = _added(report, revisions_before)
    if any(t["indication"] == Indication.TOTAL_FAILED for t in added) or (level == "B-LTA" and not added):
        raise _failed("timestamp")
    sound = [s for s in report["signatures"] if s["indication"] != Indication.TOTAL_FAILED]
    if not sound:
        raise _failed("no sound signature")
    return min((str(s["level"]) for s in sound), key=_rank)


def timestamped(report: dict[str, Any], revisions_before: int) -> str:
    """The lowest level of the report's sound signatures, ``timestamp`` where there are none.  There must be a new
    document timestamp that holds.  Raises like `signature`."""
    _nothing_broken(report, revisions_before)
    added = _added(report, revisions_before)
    if not added or any(t["indication"] == Indication.TOTAL_FAILED for t in added):
        raise _failed("timestamp")
    sound = [s for s in report["signatures"] if s["indication"] != Indication.TOTAL_FAILED]
    return min((str(s["level"]) for s in sound), key=_rank, default="timestamp")


def _added(report: dict[str, Any], revisions_before: int) -> list[dict[str, Any]]:
    return [t for t in report["timestamps"] if (t["scope"] or {}).get("revision", 0) > revisions_before]


def _nothing_broken(report: dict[str, Any], revisions_before: int, but: str | None = None) -> None:
    for entry in report["signatures"]:
        if entry["field"] == but:
            continue
        for change in entry["scope"]["changes_after"]:
            if change["revision"] > revisions_before and (
                change["permitted"] is False or change["grade"] == Grade.UNDEFINED
            ):
                raise _failed("an earlier signature is broken")


def _entry(report: dict[str, Any], field: str) -> dict[str, Any]:
    for entry in report["signatures"]:
        if entry["field"] == field:
            return dict(entry)
    raise _failed("signature not found")


def _rank(level: str) -> int:
    """B-B … B-LTA; the same levels outside the baseline rank alike."""
    ending = level.rpartition("-")[2]
    order = [name.removeprefix("B-") for name in LEVELS]
    return order.index(ending) if ending in order else -1


def _failed(reason: str) -> InternalError:
    return InternalError("self_check_failed", reason=reason)
