"""What one validation knows: policy, trust, evidence, proofs of existence and the validation time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from signsvc.asn1 import DerError
from signsvc.trust.material import TrustAnchor, TrustMaterial
from signsvc.trust.paths import Path, build
from signsvc.types import Certificate, DocumentView, EvidenceItem, EvidenceKind, SignerView, TimestampView
from signsvc.validation.poe import Proofs
from signsvc.validation.policy import Policy
from signsvc.validation.pool import Pool
from signsvc.validation.revocation import Fact, RevocationData


@dataclass
class Context:
    """The state of one validation; nothing of it outlives the call, so that no document learns from another."""

    policy: Policy
    material: TrustMaterial
    present: datetime  # the validation time
    latest: datetime  # when we are: nothing authentic is from after it
    proofs: Proofs
    pool: Pool
    data: RevocationData
    _anchors: dict[Certificate, TrustAnchor] = field(default_factory=dict)
    _paths: dict[Certificate, tuple[Path, ...]] = field(default_factory=dict)
    _facts: dict[tuple[Certificate, Certificate], tuple[Fact, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        policy: Policy,
        material: TrustMaterial,
        present: datetime,
        evidence: Iterable[EvidenceItem],
        certificates: Iterable[Certificate],
        *,
        now: datetime | None = None,
    ) -> Context:
        """A context over `evidence`, what counts most first, and further `certificates` found in the document.

        `now` is when we are, where the validation time lies in the past.
        """
        distinct: dict[str, EvidenceItem] = {}
        for item in evidence:
            distinct.setdefault(item.id, item)
        items = tuple(distinct.values())
        data = RevocationData(items)
        pool = dict.fromkeys(certificates)
        pool.update(dict.fromkeys(_certificates_of(items)))
        pool.update(dict.fromkeys(data.certificates()))
        pool.update(dict.fromkeys(material.intermediates))
        anchors = {anchor.certificate: anchor for anchor in material.anchors}
        return cls(policy, material, present, max(present, now or present), Proofs(present), Pool(pool), data, anchors)

    def paths(self, certificate: Certificate) -> tuple[Path, ...]:
        """Paths to an anchor, best first."""
        found = self._paths.get(certificate)
        if found is None:
            found = self._paths[certificate] = build(certificate, self.pool, self.material.anchors)
        return found

    def facts(self, certificate: Certificate, issuer: Certificate) -> tuple[Fact, ...]:
        """What authentic revocation data says about `certificate`."""
        key = (certificate, issuer)
        found = self._facts.get(key)
        if found is None:
            found = self._facts[key] = self.data.about(certificate, issuer, self.pool, self.paths)
        return found

    def anchor(self, certificate: Certificate) -> TrustAnchor | None:
        """What is known of a trust anchor; None for a certificate that is none."""
        return self._anchors.get(certificate)

    def sunset(self, anchor: Certificate) -> datetime | None:
        """From when on an anchor proves nothing new; the earlier of the trust profile's and the policy's."""
        known = self._anchors.get(anchor)
        times = [t for t in (known.sunset if known else None, self.policy.sunsets.get(anchor.sha256)) if t is not None]
        return min(times, default=None)

    def keeps_expired_since(self, issuer: Certificate) -> datetime | None:
        """From when on this CA keeps expired certificates on its CRL, as far as policy and profile know."""
        times = (self.policy.keeps_expired_since, self.material.keeps_expired_since)
        return min((t[issuer.sha256] for t in times if issuer.sha256 in t), default=None)

    def exists_since(self, certificate: Certificate) -> datetime:
        """The earliest proof of a certificate: a timestamp, or the policy's word for a pinned one."""
        proven = self.proofs.certificate(certificate)
        known = self.policy.known_since.get(certificate.sha256)
        return min(proven, known) if known else proven


def _certificates_of(items: Iterable[EvidenceItem]) -> Iterator[Certificate]:
    for item in items:
        if item.kind is EvidenceKind.CERTIFICATE:
            try:
                yield Certificate.from_der(item.der)
            except DerError:
                continue  # one unreadable certificate hides no other


def signers_of(view: DocumentView) -> Iterator[SignerView]:
    """Every SignerInfo of a document: signatures, counter-signatures, timestamps."""
    waiting: list[SignerView | None] = [signature.signer for signature in view.signatures]
    waiting += [token.signer for token in view.timestamps]
    while waiting:
        signer = waiting.pop()
        if signer is not None:
            yield signer
            waiting += signer.counter_signatures
            waiting += [token.signer for token in signer.timestamps]


def timestamps_of(view: DocumentView) -> Iterator[TimestampView]:
    """Every timestamp token of a document, document timestamps first."""
    yield from view.timestamps
    for signer in signers_of(view):
        yield from signer.timestamps


def embedded_evidence(view: DocumentView) -> Iterator[EvidenceItem]:
    """Every evidence value inside a document."""
    yield from view.evidence
    for signature in view.signatures:
        yield from signature.evidence
    for signer in signers_of(view):
        yield from signer.evidence
    for token in timestamps_of(view):
        yield from token.evidence


def embedded_certificates(view: DocumentView) -> Iterator[Certificate]:
    """Every certificate carried beside a signature value."""
    for signer in signers_of(view):
        yield from signer.certificates
