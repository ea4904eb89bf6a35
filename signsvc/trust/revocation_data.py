"""Which of the revocation values at hand speak of a certificate, and whether that is enough not to ask for more.

A decision about fetching only: what a value proves, and when, is judged by `signsvc.validation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signsvc.algorithms import SignatureCheck
from signsvc.asn1 import DerError
from signsvc.trust.crl import Crl
from signsvc.trust.ocsp import OcspResponse, OcspStatus
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, names

SKEW = timedelta(minutes=5)
NO_NEXT_UPDATE = timedelta(days=1)  # how long a value without nextUpdate counts as fresh
MAX_VALUES = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """An authentic value about one certificate.  `adequate`: nothing fresher is needed; `made`: its thisUpdate;
    `responder`: who signed an OCSP answer."""

    adequate: bool
    made: datetime
    responder: Certificate | None = None


class Answers:
    """The CRLs and OCSP responses at hand, each read once; what cannot be read is left out."""

    def __init__(self, items: Iterable[EvidenceItem]) -> None:
        self._ocsp: list[OcspResponse] = []
        self._crls: list[Crl] = []
        for item in items:
            self.add(item)

    def add(self, item: EvidenceItem) -> None:
        if len(self._ocsp) + len(self._crls) >= MAX_VALUES:
            return
        try:
            if item.kind is EvidenceKind.OCSP:
                self._ocsp.append(OcspResponse.parse(item.der))
            elif item.kind is EvidenceKind.CRL:
                self._crls.append(Crl.of(item))
        except DerError:
            return

    def best(
        self, certificate: Certificate, issuer: Certificate, known: Iterable[Certificate], now: datetime
    ) -> Answer | None:
        """The best answer at hand about `certificate`."""
        best: Answer | None = None
        for response in self._ocsp:
            found = _from_ocsp(response, certificate, issuer, known, now)
            if found is not None and (best is None or found.adequate):
                best = found
                if found.adequate:
                    return found
        for crl in self._crls:
            found = _from_crl(crl, certificate, issuer, known, now)
            if found is not None and (best is None or found.adequate):
                best = found
                if found.adequate:
                    return found
        return best

    def of(
        self,
        item: EvidenceItem,
        certificate: Certificate,
        issuer: Certificate,
        known: Iterable[Certificate],
        now: datetime,
    ) -> Answer | None:
        """What a fetched value says, or None where it is no authentic answer about `certificate`."""
        try:
            if item.kind is EvidenceKind.OCSP:
                return _from_ocsp(OcspResponse.parse(item.der), certificate, issuer, known, now)
            return _from_crl(Crl.of(item), certificate, issuer, known, now)
        except DerError:
            return None


def _from_ocsp(
    response: OcspResponse, certificate: Certificate, issuer: Certificate, known: Iterable[Certificate], now: datetime
) -> Answer | None:
    single = response.single(certificate, issuer)
    if single is None or single.status is OcspStatus.UNKNOWN or response.problem(single) is not None:
        return None
    responder = response.responder(_responders(known, issuer), issuer, checked=certificate)
    if responder is None:
        return None
    adequate = _adequate(certificate, single.this_update, single.next_update, now)
    return Answer(adequate, single.this_update, responder)


def _from_crl(
    crl: Crl, certificate: Certificate, issuer: Certificate, known: Iterable[Certificate], now: datetime
) -> Answer | None:
    if crl.problem is not None or not crl.reasons_for(certificate):
        return None
    if crl.issued_by(issuer) and crl.verify(issuer) is SignatureCheck.VALID:
        # A list for some reasons, or of changes alone, is taken along: others may complete it.
        adequate = crl.covers(certificate) and _adequate(certificate, crl.this_update, crl.next_update, now)
        return Answer(adequate, crl.this_update)
    # A re-keyed CA signs its list with either key, another authority an indirect one.  Anybody may have made a
    # certificate with the name: such a list is taken along, but keeps nobody from asking further.
    others = [c for c in known if c != issuer and names.same(c.subject_der, crl.issuer_der)]
    known_signer = any(crl.issued_by(s) and crl.verify(s) is SignatureCheck.VALID for s in others[:5])
    return Answer(False, crl.this_update) if known_signer else None


def _responders(known: Iterable[Certificate], issuer: Certificate) -> Sequence[Certificate]:
    return [c for c in known if names.same(c.issuer_der, issuer.subject_der)]


def _adequate(certificate: Certificate, this_update: datetime, next_update: datetime | None, now: datetime) -> bool:
    if this_update < certificate.not_before or this_update > now + SKEW:
        return False
    if certificate.not_after < now:
        # Data from after its end seldom knows it any more.
        return this_update <= certificate.not_after
    return now - SKEW <= (next_update if next_update is not None else this_update + NO_NEXT_UPDATE)
