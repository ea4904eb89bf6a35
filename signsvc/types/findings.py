"""Findings: what was noticed, as data.  Text comes from `signsvc.messages` by code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from signsvc.messages import catalogue


class Level(StrEnum):
    """How much a finding weighs, from the catalogue and changed only by a policy."""

    FAIL = "fail"
    WARN = "warn"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed about a signature, a timestamp, a certificate or the document.

    `code` is stable and has texts in `signsvc.messages`; `block` names the building block of EN 319 102-1 (FC ISC VCI
    RFC XCV CV SAV PSV PCV VTS RAC); `sub` is the sub-indication it leads to where it fails; `subject` is the id of
    what it speaks of; `data` fills the places in the text and holds only numbers, short names and times made by us.
    """

    code: str
    level: Level
    block: str = ""
    sub: str = ""
    subject: str = ""
    data: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, code: str, *, subject: str = "", level: Level | None = None, **data: object) -> Finding:
        """The finding for a catalogued `code`; level, block and sub-indication come from the catalogue."""
        message = catalogue()[code]
        return cls(code, level or Level(message.level), message.block, message.sub, subject, data)

    def at(self, level: Level) -> Finding:
        """The same finding with the level that a policy gives it."""
        return replace(self, level=level)
