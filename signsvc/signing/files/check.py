"""Whether a file beside PDF that was just written says what was promised, by our own verifier's report."""

from __future__ import annotations

from typing import Any

from signsvc.errors import InternalError
from signsvc.signing.profiles import LEVELS
from signsvc.types import Indication


def signature(report: dict[str, Any], name: str, *, level: str | None, passed: bool) -> dict[str, Any]:
    """The entry of the new signature, called `name` by its format, which must not fail, must have `level` at least
    (None: its format has none), and with `passed` must be TOTAL-PASSED.

    Raises `InternalError` (``self_check_failed``)."""
    found = [entry for entry in report["signatures"] if name in (entry["field"], entry["id"])]
    if len(found) != 1:
        raise _failed("signature not found")
    entry: dict[str, Any] = found[0]
    indication = entry["indication"]
    if indication == Indication.TOTAL_FAILED or (passed and indication != Indication.TOTAL_PASSED):
        raise _failed(f"{indication} {entry['sub_indication'] or ''}".strip())
    if any(one["matches"] is not True for one in entry["covered"]):
        raise _failed("coverage")
    if level is not None and _rank(str(entry["level"])) < LEVELS.index(level):
        raise _failed(f"level {entry['level']}")
    return entry


def sound(report: dict[str, Any], but: dict[str, Any] | None) -> bool:
    """Whether no other signature fails."""
    return all(s is but or s["indication"] != Indication.TOTAL_FAILED for s in report["signatures"])


def extension(report: dict[str, Any], *, level: str) -> str:
    """The lowest level of the signatures that do not fail, which must be `level` at least for one of them.  Raises
    like `signature`."""
    levels = [str(s["level"]) for s in report["signatures"] if s["indication"] != Indication.TOTAL_FAILED]
    if not levels:
        raise _failed("no sound signature")
    if max(map(_rank, levels)) < LEVELS.index(level):
        raise _failed(f"level {max(levels, key=_rank)}")
    return min(levels, key=_rank)


def _rank(level: str) -> int:
    """B-B … B-LTA; the same levels outside the baseline rank alike."""
    ending = level.rpartition("-")[2]
    order = [name.removeprefix("B-") for name in LEVELS]
    return order.index(ending) if ending in order else -1


def _failed(reason: str) -> InternalError:
    return InternalError("self_check_failed", reason=reason)


__all__ = ["extension", "signature", "sound"]
