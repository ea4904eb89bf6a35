"""Proofs of existence (EN 319 102-1 §5.6.2.3): since when each object is known to have existed.

Objects are named by id: ``signature:<id>``, ``timestamp:<id>``, ``certificate|crl|ocsp:<sha256>``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from signsvc.types import Certificate
from signsvc.types.evidence import object_id


@dataclass(frozen=True, slots=True)
class Proof:
    """`time` (UTC) at which an object existed, and the timestamp that proves it (None: it is at hand now)."""

    time: datetime
    by: str | None = None


class Proofs:
    """The earliest proof known of every object; what has none exists since `present`, the validation time."""

    def __init__(self, present: datetime) -> None:
        self.present = present
        self._found: dict[str, Proof] = {}

    def add(self, objects: Iterable[str], time: datetime, by: str) -> None:
        """A verified timestamp `by` proves `objects` at `time`."""
        proof = Proof(time, by)
        for name in objects:
            known = self._found.get(name)
            if time < (known.time if known else self.present):
                self._found[name] = proof

    def of(self, name: str) -> Proof:
        """The earliest proof of one object."""
        return self._found.get(name) or Proof(self.present)

    def time(self, name: str) -> datetime:
        found = self._found.get(name)
        return found.time if found else self.present

    def certificate(self, certificate: Certificate) -> datetime:
        return self.time(certificate_id(certificate))


def certificate_id(certificate: Certificate) -> str:
    return f"certificate:{certificate.sha256.hex()}"


__all__ = ["Proof", "Proofs", "certificate_id", "object_id"]
