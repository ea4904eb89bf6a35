"""Whether the certificates of a timestamp authority are revoked, asked before its token is used.

The question here is narrower than validation's: now, for a token made now.  Any authentic value that revokes counts,
whenever and why; what nobody can tell is unknown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from signsvc.algorithms import SignatureCheck
from signsvc.asn1 import DerError
from signsvc.trust.collecting import collect
from signsvc.trust.crl import Crl
from signsvc.trust.fetching import Fetch
from signsvc.trust.imported import ImportedLists
from signsvc.trust.material import TrustMaterial
from signsvc.trust.ocsp import OcspResponse, OcspStatus
from signsvc.trust.revocation_data import Answers
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, names

# A good answer serves for this many seconds, none for this many.
_GOOD_SECONDS = 600.0
_UNKNOWN_SECONDS = 60.0
# What the question may add to the making of one timestamp, in seconds.
_ASKING_SECONDS = 10.0


class ChainStatus(StrEnum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class TsaStatus:
    """Answers for chains, kept for some minutes.  Thread-safe; `fetch` None: what is at hand decides."""

    def __init__(
        self,
        material: Callable[[], TrustMaterial],
        fetch: Fetch | None,
        imported: Callable[[], ImportedLists] | None = None,
    ) -> None:
        self._material = material
        self._fetch = fetch
        self._imported = imported
        self._lock = threading.Lock()
        self._kept: dict[tuple[Certificate, ...], tuple[float, ChainStatus]] = {}

    def __call__(self, chain: tuple[Certificate, ...], now: datetime) -> ChainStatus:
        """The worst status of the certificates of `chain` (leaf to anchor) below the anchor.  Never raises for what
        the network does."""
        with self._lock:
            until, known = self._kept.get(chain, (0.0, ChainStatus.UNKNOWN))
        if time.monotonic() < until:
            return known
        status = self._ask(chain, now)
        lasts = _UNKNOWN_SECONDS if status is ChainStatus.UNKNOWN else _GOOD_SECONDS
        with self._lock:
            if len(self._kept) >= 100:
                self._kept.clear()
            self._kept[chain] = (time.monotonic() + lasts, status)
        return status

    def _ask(self, chain: tuple[Certificate, ...], now: datetime) -> ChainStatus:
        material = self._material()
        items = collect(
            (chain[0],),
            pool=chain,
            material=material,
            have=(),
            fetch=self._fetch,
            now=now,
            deadline=time.monotonic() + _ASKING_SECONDS,
            imported=self._imported() if self._imported is not None else None,
        )
        known = (*chain, *material.intermediates, *_certificates(items))
        answers = Answers(items)
        worst = ChainStatus.GOOD
        for subject, issuer in pairwise(chain):
            if _revoked(items, subject, issuer, known):
                return ChainStatus.REVOKED
            if subject.no_revocation_available:
                continue
            answer = answers.best(subject, issuer, known, now)
            if answer is None or not answer.adequate:
                worst = ChainStatus.UNKNOWN
        return worst


def _revoked(
    items: Iterable[EvidenceItem], subject: Certificate, issuer: Certificate, known: Iterable[Certificate]
) -> bool:
    for item in items:
        try:
            if item.kind is EvidenceKind.OCSP and _by_ocsp(OcspResponse.parse(item.der), subject, issuer, known):
                return True
            if item.kind is EvidenceKind.CRL and _by_crl(Crl.of(item), subject, issuer):
                return True
        except DerError:
            continue
    return False


def _by_ocsp(response: OcspResponse, subject: Certificate, issuer: Certificate, known: Iterable[Certificate]) -> bool:
    single = response.single(subject, issuer)
    if single is None or single.status is not OcspStatus.REVOKED or response.problem(single) is not None:
        return False
    candidates = [c for c in known if names.same(c.issuer_der, issuer.subject_der)]
    return response.responder(candidates, issuer, checked=subject) is not None


def _by_crl(crl: Crl, subject: Certificate, issuer: Certificate) -> bool:
    if crl.problem is not None or not crl.issued_by(issuer) or crl.verify(issuer) is not SignatureCheck.VALID:
        return False
    return crl.lookup(subject.serial_number, subject.issuer_der) is not None


def _certificates(items: Iterable[EvidenceItem]) -> list[Certificate]:
    found = []
    for item in items:
        if item.kind is EvidenceKind.CERTIFICATE:
            try:
                found.append(Certificate.from_der(item.der))
            except DerError:
                continue
    return found
