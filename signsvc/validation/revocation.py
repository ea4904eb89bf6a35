"""What revocation data says about a certificate: authentic facts, before relevance and freshness are judged.

Data is authentic where its signature verifies with the key of the CA that issued the certificate, of another
list issuer that the authorities above that CA certified, or (OCSP) of a responder that the CA delegated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from signsvc.algorithms import SignatureCheck
from signsvc.asn1 import DerError
from signsvc.types import Certificate, EvidenceItem, EvidenceKind
from signsvc.validation.crl_sets import Part, for_all_reasons, with_deltas
from signsvc.validation.path_checks import check_path
from signsvc.validation.pool import Pool

if TYPE_CHECKING:
    from signsvc.trust.crl import Crl
    from signsvc.trust.ocsp import OcspResponse, OcspSingle
    from signsvc.trust.paths import Path

PathsOf = Callable[[Certificate], tuple["Path", ...]]
MAX_ITEMS = 1000
_HOLD = "certificateHold"
_UNREVOKED = "removeFromCRL"


class FactStatus(StrEnum):
    GOOD = "good"
    REVOKED = "revoked"
    ON_HOLD = "on_hold"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fact:
    """One authentic statement about one certificate."""

    item: EvidenceItem
    source: str  # ocsp | crl
    status: FactStatus
    this_update: datetime
    next_update: datetime | None
    produced_at: datetime
    signer: Certificate
    algorithm_oid: str
    algorithm_parameters: bytes | None
    revoked_at: datetime | None = None
    reason: str | None = None
    keeps_expired_since: datetime | None = None  # expiredCertsOnCRL, archiveCutoff
    proves_certificate: bool = False  # certHash matched: the responder knows this very certificate
    signer_revoked_at: datetime | None = None
    signer_checked: bool = True  # False: a responder whose own status nothing speaks of
    invalidity_date: datetime | None = None  # since when the key is suspected (RFC 5280 §5.3.2)
    stands_alone: bool = True  # False: other lists must complete it
    others: tuple[Fact, ...] = ()  # by further lists, that say it together with this one


class RevocationData:
    """The CRLs and OCSP responses of one validation; what cannot be read, or stands behind the first thousand, is left
    out: put what a document does not control first."""

    def __init__(self, items: Sequence[EvidenceItem]) -> None:
        self.unreadable: list[str] = []
        self._crls: list[tuple[EvidenceItem, Crl]] = []
        self._responses: list[tuple[EvidenceItem, OcspResponse]] = []
        self.unreadable += [item.id for item in items[MAX_ITEMS:]]
        for item in items[:MAX_ITEMS]:
            try:
                self._read(item)
            except (DerError, ValueError, IndexError):
                self.unreadable.append(item.id)

    def _read(self, item: EvidenceItem) -> None:
        if item.kind is EvidenceKind.CRL:
            from signsvc.trust.crl import Crl

            self._crls.append((item, Crl.of(item)))
        elif item.kind is EvidenceKind.OCSP:
            from signsvc.trust.ocsp import OcspResponse

            self._responses.append((item, OcspResponse.parse(item.der)))

    def certificates(self) -> Iterator[Certificate]:
        """Certificates that came inside OCSP responses."""
        for _, response in self._responses:
            yield from response.certificates

    def about(self, certificate: Certificate, issuer: Certificate, pool: Pool, paths: PathsOf) -> tuple[Fact, ...]:
        """Every authentic fact about `certificate`, issued by `issuer`."""
        candidates = pool.issued_by(issuer.subject_der)
        found = [
            fact
            for item, response in self._responses
            if (fact := self._from_ocsp(item, response, certificate, issuer, candidates)) is not None
        ]
        complete: list[tuple[Fact, Crl]] = []
        parts: list[Part] = []
        for item, crl in self._crls:
            crl_fact = _from_crl(item, crl, certificate, issuer, pool, paths)
            if crl_fact is None:
                continue
            if crl_fact.signer != issuer and (above := paths(crl_fact.signer)):
                gone = self._signer_status(crl_fact.signer, above[0][1])[0] if len(above[0]) > 1 else None
                crl_fact = replace(crl_fact, signer_revoked_at=gone)
            good = crl_fact.status is FactStatus.GOOD
            if good and not crl.covers(certificate):
                parts.append(Part(crl_fact, crl, crl.reasons_for(certificate)))
                if not crl_fact.stands_alone:
                    continue
            elif good:
                complete.append((crl_fact, crl))
            found.append(crl_fact)
        return (*found, *for_all_reasons(parts), *with_deltas(complete, parts))

    def _from_ocsp(
        self,
        item: EvidenceItem,
        response: OcspResponse,
        certificate: Certificate,
        issuer: Certificate,
        candidates: tuple[Certificate, ...],
    ) -> Fact | None:
        try:
            single = response.single(certificate, issuer)
            if single is None or response.produced_at is None:
                return None
            responder = response.responder(candidates, issuer, checked=certificate)
        except (DerError, IndexError):
            return None
        if responder is None:
            return None
        status = FactStatus(single.status)
        if status is FactStatus.REVOKED and single.reason == _HOLD:
            status = FactStatus.ON_HOLD
        elif status is FactStatus.GOOD and response.problem(single) is not None:
            return None
        gone, checked = None, True
        if responder != issuer and not responder.ocsp_no_check and not responder.no_revocation_available:
            gone, checked = self._signer_status(responder, issuer)
        hash_matches = single.cert_hash_matches(certificate)
        if status is FactStatus.GOOD and hash_matches is False:
            return None  # the answer is about another certificate of this number
        return Fact(
            item=item,
            source="ocsp",
            status=status,
            this_update=single.this_update,
            next_update=single.next_update,
            produced_at=response.produced_at,
            signer=responder,
            algorithm_oid=response.algorithm[0],
            algorithm_parameters=response.algorithm[1],
            revoked_at=single.revoked_at,
            reason=None if status is FactStatus.GOOD else single.reason,
            keeps_expired_since=single.archive_cutoff,
            proves_certificate=hash_matches is True,
            signer_revoked_at=gone,
            signer_checked=checked,
            invalidity_date=single.invalidity_date if status is FactStatus.REVOKED else None,
        )

    def _signer_status(self, signer: Certificate, above: Certificate) -> tuple[datetime | None, bool]:
        """When the very key that certified a responder or list issuer revoked it, by a list or an answer of its own,
        and whether any speaks of it."""
        nobody = Pool(())
        facts = [
            fact
            for item, crl in self._crls
            if (fact := _from_crl(item, crl, signer, above, nobody, lambda _: ())) is not None
        ]
        gone = [fact.revoked_at for fact in facts if fact.revoked_at is not None]
        answers = [
            single
            for _, response in self._responses
            if (single := _single(response, signer, above)) is not None
            and response.verify(above) is SignatureCheck.VALID
        ]
        gone += [single.revoked_at for single in answers if single.revoked_at is not None]
        return min(gone, default=None), bool(facts) or any(
            FactStatus(s.status) is not FactStatus.UNKNOWN for s in answers
        )


def _single(response: OcspResponse, certificate: Certificate, issuer: Certificate) -> OcspSingle | None:
    try:
        return response.single(certificate, issuer)
    except (DerError, IndexError):
        return None


def _from_crl(
    item: EvidenceItem,
    crl: Crl,
    certificate: Certificate,
    issuer: Certificate,
    pool: Pool,
    paths: PathsOf,
) -> Fact | None:
    try:
        entry = crl.lookup(certificate.serial_number, certificate.issuer_der)
        status = FactStatus.GOOD
        if entry is not None and entry.reason != _UNREVOKED:
            status = FactStatus.ON_HOLD if entry.reason == _HOLD else FactStatus.REVOKED
        # A list that names the certificate counts whatever its scope; one that does not must be the list for it, or a
        # part of it.  A delta list may say that the certificate is no longer on hold.
        lifted = entry is not None and status is FactStatus.GOOD and crl.is_delta
        if status is FactStatus.GOOD and (crl.problem is not None or not (lifted or crl.reasons_for(certificate))):
            return None
        signer = _crl_signer(crl, certificate, issuer, pool, paths)
    except (DerError, IndexError):
        return None
    if signer is None:
        return None
    listed = entry if status is not FactStatus.GOOD else None
    return Fact(
        item=item,
        source="crl",
        status=status,
        this_update=crl.this_update,
        next_update=crl.next_update,
        produced_at=crl.this_update,
        signer=signer,
        algorithm_oid=crl.algorithm[0],
        algorithm_parameters=crl.algorithm[1],
        revoked_at=listed.at if listed is not None else None,
        reason=listed.reason if listed is not None else None,
        keeps_expired_since=crl.expired_certs_on_crl,
        invalidity_date=listed.invalidity_date if listed is not None else None,
        stands_alone=status is not FactStatus.GOOD or lifted or crl.covers(certificate),
    )


def _crl_signer(
    crl: Crl, certificate: Certificate, issuer: Certificate, pool: Pool, paths: PathsOf
) -> Certificate | None:
    if crl.issued_by(issuer) and crl.verify(issuer) is SignatureCheck.VALID:
        return issuer
    above: set[Certificate] | None = None
    for other in pool.named(crl.issuer_der):
        # A re-keyed CA, or an indirect CRL's issuer.
        if other in (issuer, certificate) or not crl.issued_by(other) or crl.verify(other) is not SignatureCheck.VALID:
            continue
        if above is None:
            above = {issuer, *(member for path in paths(issuer) for member in path)}
        if any(_vouched(path, certificate, above) for path in paths(other)):
            return other
    return None


def _vouched(path: Path, certificate: Certificate, above: set[Certificate]) -> bool:
    """Whether a path may vouch for another list issuer than the CA itself (RFC 5280 §6.3.3 (f)).

    Anybody with a certificate can issue one that bears the CA's name, and so can any other authority: the path keeps
    the rules, says that its end signs lists, and holds nobody but the authorities above the certificate in question.
    """
    usage = path[0].key_usage
    if certificate in path or usage is None or "crl_sign" not in usage or not above.issuperset(path[1:]):
        return False
    return not check_path(path)
