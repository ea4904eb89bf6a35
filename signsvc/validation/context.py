"""What one validation knows: policy, trust, evidence, proofs of existence and the validation time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from signsvc.asn1 import DerError
from signsvc.trust.material import TrustAnchor, TrustMaterial
from signsvc.trust.paths import Path, PathFinder
from signsvc.types import (
    Certificate,
    DocumentView,
    EvidenceItem,
    EvidenceKind,
    Finding,
    Level,
    SignerView,
    TimestampView,
)
from signsvc.validation.path_checks import ANY_POLICY, check_path
from signsvc.validation.poe import Proofs
from signsvc.validation.policy import Policy
from signsvc.validation.policy_tree import PolicyInputs
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
    _finder: PathFinder | None = None
    _paths: dict[tuple[Certificate, PolicyInputs], tuple[Path, ...]] = field(default_factory=dict)
    _broken: dict[tuple[Path, PolicyInputs], tuple[Finding, ...]] = field(default_factory=dict)
    _retries: int = 500
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
        # What no document controls stands first, so that nothing in one can crowd it out.
        pool = dict.fromkeys(material.intermediates)
        pool.update(dict.fromkeys(certificates))
        pool.update(dict.fromkeys(_certificates_of(items)))
        pool.update(dict.fromkeys(data.certificates()))
        anchors = {anchor.certificate: anchor for anchor in material.anchors}
        return cls(policy, material, present, max(present, now or present), Proofs(present), Pool(pool), data, anchors)

    def paths(self, certificate: Certificate, policies: PolicyInputs = ANY_POLICY) -> tuple[Path, ...]:
        """Paths to an anchor, best first; those that break a rule of paths, as the policy sees it, are the last."""
        key = (certificate, policies)
        found = self._paths.get(key)
        if found is None:
            found = self._paths[key] = self._search(certificate, policies, ())
        return found

    def other_paths(
        self,
        certificate: Certificate,
        policies: PolicyInputs,
        tried: Collection[Path],
        spoiled: Collection[Certificate],
    ) -> tuple[Path, ...]:
        """Paths beside those `tried`, around the certificates that `spoiled` them."""
        if not spoiled:
            return ()
        return tuple(path for path in self._search(certificate, policies, spoiled) if path not in tried)

    def broken(self, path: Path, policies: PolicyInputs) -> tuple[Finding, ...]:
        """What breaks the rules in a path, whatever the time."""
        key = (path, policies)
        found = self._broken.get(key)
        if found is None:
            found = self._broken[key] = check_path(path, policies)
        return found

    def may_retry(self) -> bool:
        """Whether after a path that fails the next one is to be judged: so many times in one document."""
        self._retries -= 1
        return self._retries >= 0

    def _search(
        self, certificate: Certificate, policies: PolicyInputs, without: Collection[Certificate]
    ) -> tuple[Path, ...]:
        def sound(path: Path) -> bool:
            found = map(self.policy.judge, self.broken(path, policies))
            return all(finding is None or finding.level is not Level.FAIL for finding in found)

        if self._finder is None:
            self._finder = PathFinder(self.pool, self.material.anchors)
        return self._finder.paths(certificate, sound=sound, without=without)

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
