"""What was established of a certificate a moment ago, so that each of many signatures need not establish it again.

A standing serves for seconds, for the same certificate under the same rules, and never once anything that it rests on
has changed: trust, policy, imported lists, kept revocation data.  Only certificates that may sign have one.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from signsvc.asn1 import DerError
from signsvc.types import Certificate, EvidenceItem, EvidenceKind

if TYPE_CHECKING:
    from signsvc.trust import TrustMaterial
    from signsvc.validation import CertificateVerdict
    from signsvc.validation.policy import Policy

SECONDS = 60.0
_MOST = 256  # certificates
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ground:
    """Everything that a standing rests on besides time; equal grounds lead to equal verdicts."""

    chain: tuple[Certificate, ...]  # as the signer gives it, own certificate first
    policy: Policy
    material: TrustMaterial
    known: tuple[object, ...]  # another one where any of the revocation data at hand are others

    @property
    def certificate(self) -> Certificate:
        return self.chain[0]


@dataclass(frozen=True, slots=True)
class Standing:
    """A verdict without a code, with its evidence."""

    ground: Ground
    verdict: CertificateVerdict
    evidence: tuple[EvidenceItem, ...]
    since: datetime
    until: datetime

    def serves(self, ground: Ground, now: datetime) -> bool:
        """Whether it says what a check at `now` would say."""
        return self.since <= now < self.until and self.ground == ground


class Standings:
    """The standings that a process knows.  Thread-safe."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """`seconds` is how long one may serve at most; 0: none ever does."""
        self._span = timedelta(seconds=seconds)
        self._kept: OrderedDict[Certificate, Standing] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, ground: Ground, now: datetime) -> Standing | None:
        with self._lock:
            found = self._kept.get(ground.certificate)
        return found if found is not None and found.serves(ground, now) else None

    def keep(
        self,
        ground: Ground,
        verdict: CertificateVerdict,
        evidence: tuple[EvidenceItem, ...],
        now: datetime,
        judge: Callable[[datetime], CertificateVerdict],
    ) -> None:
        """Note what was found at `now`; `judge` tells what is found at another time with the same evidence.

        Kept only where the verdict is good and the same at the end of the span: what lies between follows.
        """
        until = min(now + self._span, _end(verdict.chain, evidence))
        if verdict.code is not None or until <= now:
            return
        later = judge(until)
        if (later.code, later.chain, later.findings) != (None, verdict.chain, verdict.findings):
            return
        with self._lock:
            self._kept[ground.certificate] = Standing(ground, verdict, evidence, now, until)
            self._kept.move_to_end(ground.certificate)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)


def listing(directory: Path) -> tuple[object, ...]:
    """The names in a directory of files that are told by their digest, and when it last changed."""
    try:
        return (directory.stat().st_mtime_ns, tuple(sorted(os.listdir(directory))))  # noqa: PTH208
    except OSError:
        return ()


def _end(chain: Iterable[Certificate], evidence: Iterable[EvidenceItem]) -> datetime:
    """When the first of these ends its own time."""
    ends = [*(certificate.not_after for certificate in chain), *map(_end_of, evidence)]
    return min(ends, default=_EARLIEST)


def _end_of(item: EvidenceItem) -> datetime:
    """The end of one value: where it says when the next is due, then; where it was fetched, when it is asked for anew.
    In the past for what cannot be read or serves because a server fails."""
    from signsvc.trust.crl import Crl
    from signsvc.trust.evidence import KEEP_SECONDS
    from signsvc.trust.ocsp import OcspResponse

    if item.stale:
        return _EARLIEST
    ends = [datetime.max.replace(tzinfo=UTC)]
    if item.obtained_at is not None and item.url is not None:
        ends.append(item.obtained_at + timedelta(seconds=KEEP_SECONDS[item.kind]))
    try:
        if item.kind is EvidenceKind.CRL:
            due = Crl.of(item).next_update
            ends += [due] if due is not None else []
        elif item.kind is EvidenceKind.OCSP:
            ends += [one.next_update for one in OcspResponse.parse(item.der).singles if one.next_update is not None]
    except DerError:
        return _EARLIEST
    return min(ends)


__all__ = ["SECONDS", "Ground", "Standing", "Standings", "listing"]
