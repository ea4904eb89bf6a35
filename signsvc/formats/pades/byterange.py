"""Which octets a signature covers: /ByteRange on the raw file, and the digests of many ranges in one pass."""

from __future__ import annotations

import re
from binascii import unhexlify
from dataclasses import dataclass
from typing import Any

from signsvc.algorithms import new_hash
from signsvc.formats.pdf import Buffer, LimitError, PdfObject
from signsvc.types import Scope

# The only thing a gap may hold (ISO 32000-2 §12.8.1): room inside it would be neither signed nor shown as unsigned.
_GAP = re.compile(rb"<([0-9A-Fa-f]*+)>")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The octets ``[0, before)`` and ``[after, end)``."""

    before: int
    after: int
    end: int

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """As (offset, length), the way the dictionary has it."""
        return ((0, self.before), (self.after, self.end - self.after))


def parse(value: PdfObject, size: int) -> ByteRange | None:
    """The range a signature dictionary names; None where it is not four direct integers of the right shape."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    numbers = [number for number in value if type(number) is int]
    if len(numbers) != 4:
        return None
    first, before, after, rest = numbers
    if first != 0 or before <= 0 or after <= before or rest < 0 or after + rest > size:
        return None
    return ByteRange(before, after, after + rest)


def folds(value: PdfObject) -> bool:
    """Whether the two parts of a range have octets in common, or begin in the wrong order."""
    if not isinstance(value, list) or len(value) != 4:
        return False
    numbers = [number for number in value if type(number) is int and number >= 0]
    return len(numbers) == 4 and numbers[1] > 0 and numbers[3] > 0 and numbers[2] < numbers[0] + numbers[1]


def gap_octets(buffer: Buffer, covered: ByteRange) -> bytes | None:
    """The octets the hexadecimal string in the gap holds; None where the gap is anything else."""
    found = _GAP.fullmatch(buffer, covered.before, covered.after)
    if found is None:
        return None
    digits = found[1]
    return unhexlify(digits + b"0" if len(digits) % 2 else digits)


def signed_revision(buffer: Buffer, scope: Scope) -> bytes:
    """The document as it was signed: the octets of the revision that `scope` covers, the signature included.

    Raises ValueError where the scope covers no whole revision.
    """
    if scope.revision is None or not scope.byte_ranges:
        raise ValueError("the signature covers no whole revision")
    offset, length = scope.byte_ranges[-1]
    return bytes(buffer[: offset + length])


class RangeDigests:
    """Digests of many ranges of one file that share their beginnings.

    One pass per digest algorithm goes over the file, and leaves a copy of its state where the first part of each range
    ends; what stands behind the gap is added when a digest is asked for.
    """

    def __init__(self, buffer: Buffer, budget: int) -> None:
        self._view = memoryview(buffer)
        self._budget = budget
        self._stops: set[int] = set()
        self._states: dict[str, dict[int, Any]] = {}
        self._done: dict[tuple[ByteRange, str], bytes] = {}

    def release(self) -> None:
        """Let go of the buffer."""
        self._view.release()

    def add(self, covered: ByteRange) -> None:
        """Announce a range; all ranges are announced before the first digest."""
        self._stops.add(covered.before)

    def digest(self, covered: ByteRange, oid: str) -> bytes:
        """The digest of the octets of `covered`.  Raises ValueError for an unknown digest, LimitError."""
        key = (covered, oid)
        if key not in self._done:
            state = self._prefixes(oid)[covered.before].copy()
            self._feed(state, covered.after, covered.end)
            self._done[key] = state.digest()
        return self._done[key]

    def whole(self, oid: str) -> bytes:
        """The digest of the whole file."""
        return self._prefixes(oid)[len(self._view)].digest()  # type: ignore[no-any-return]

    def _prefixes(self, oid: str) -> dict[int, Any]:
        found = self._states.get(oid)
        if found is None:
            state = new_hash(oid)
            found = {}
            at = 0
            for stop in sorted(self._stops):
                self._feed(state, at, stop)
                found[stop] = state.copy()
                at = stop
            if oid == SHA256:
                self._feed(state, at, len(self._view))
                found[len(self._view)] = state
            self._states[oid] = found
        return found

    def _feed(self, state: Any, start: int, end: int) -> None:
        self._budget -= end - start
        if self._budget < 0:
            raise LimitError("hashed")
        for at in range(start, end, _CHUNK):
            state.update(self._view[at : min(at + _CHUNK, end)])


SHA256 = "2.16.840.1.101.3.4.2.1"
SHA1 = "1.3.14.3.2.26"

__all__ = ["SHA1", "SHA256", "ByteRange", "RangeDigests", "folds", "gap_octets", "parse", "signed_revision"]
