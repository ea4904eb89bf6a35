"""Chains, revocation values and timestamps for a signature being made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from signsvc.errors import ConfigError
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin

if TYPE_CHECKING:
    from signsvc.trust import Fetch, TrustMaterial
    from signsvc.trust.imported import ImportedLists

# Octets kept for one token before any was seen, and at least: chains of RSA-4096 certificates give 5 to 8 kB.
FIRST_ROOM = 12_000
LEAST_ROOM = 8_192


class Token(Protocol):
    """A timestamp token that has been verified: `trust.TimestampToken`."""

    @property
    def der(self) -> bytes: ...
    @property
    def gen_time(self) -> datetime: ...
    @property
    def tsa(self) -> str: ...
    @property
    def certificate(self) -> Certificate: ...
    @property
    def certificates(self) -> tuple[Certificate, ...]: ...


class Timestamper(Protocol):
    """What obtains timestamps: `trust.TsaClient`."""

    def timestamp(self, digest: bytes, digest_name: str, *, now: datetime) -> Token:
        """A verified token over `digest`.  Raises `UpstreamError`."""
        ...


class TokenRoom:
    """How many octets to keep for a token, learned from those seen.  Thread-safe."""

    def __init__(self) -> None:
        self._largest = 0
        self._lock = threading.Lock()

    def learn(self, size: int) -> None:
        with self._lock:
            self._largest = max(self._largest, size)

    @property
    def octets(self) -> int:
        # half as much again: a token grows with the TSA's next certificate, not by orders of magnitude
        return max(self._largest * 3 // 2, LEAST_ROOM) if self._largest else FIRST_ROOM


@dataclass(slots=True)
class Stamping:
    """Obtains timestamps for one document and remembers them, oldest first."""

    tsa: Timestamper | None
    clock: Callable[[], datetime]
    room: TokenRoom
    tokens: list[Token] = field(default_factory=list)

    def __call__(self, digest: bytes, digest_name: str) -> bytes:
        """The token for `digest`, DER.  Raises `ConfigError` where there is no TSA, `UpstreamError`."""
        if self.tsa is None:
            raise ConfigError("configuration_invalid", reason="no timestamp authority is configured ([[tsa]])")
        token = self.tsa.timestamp(digest, digest_name, now=self.clock())
        self.tokens.append(token)
        self.room.learn(len(token.der))
        return token.der

    @property
    def authority(self) -> str | None:
        """Name of the authority of the first token."""
        return self.tokens[0].tsa if self.tokens else None

    @property
    def leaves(self) -> tuple[Certificate, ...]:
        """The certificates of the authorities that made the tokens so far, without repeats."""
        return tuple(dict.fromkeys(token.certificate for token in self.tokens))

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """All certificates that the tokens carry, without repeats."""
        return tuple(dict.fromkeys(c for token in self.tokens for c in token.certificates))


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Collects the evidence that proves certificates: one trust material, one way to the network, the lists that the
    operator brought in."""

    material: TrustMaterial
    fetch: Fetch | None
    supplied: tuple[EvidenceItem, ...] = ()
    imported: ImportedLists | None = None

    def evidence(
        self,
        certificates: Iterable[Certificate],
        *,
        pool: Iterable[Certificate],
        now: datetime,
        have: tuple[EvidenceItem, ...] = (),
    ) -> tuple[EvidenceItem, ...]:
        """Path certificates, OCSP responses and CRLs for `certificates`: `have` and supplied ones first, then imported
        lists, then the network.

        What cannot be obtained is missing: whether that matters is the caller's question.
        """
        from signsvc.trust import collect

        held = tuple(dict.fromkeys((*have, *self.supplied)))
        found = collect(
            tuple(certificates),
            pool=tuple(pool),
            material=self.material,
            have=held,
            fetch=self.fetch,
            now=now,
            imported=self.imported,
        )
        return tuple(dict.fromkeys((*held, *found)))

    def worth_keeping(
        self,
        items: tuple[EvidenceItem, ...],
        leaves: Iterable[Certificate],
        *,
        pool: Iterable[Certificate],
        now: datetime,
    ) -> tuple[EvidenceItem, ...]:
        """`items` as they go into a document: of imported lists the latest of each kind alone, and none where other
        answers say all.  They may be large, and there may be many of one authority."""
        imported = [i for i in items if i.origin is Origin.IMPORTED and i.kind is EvidenceKind.CRL]
        if not imported:
            return items
        others = tuple(item for item in items if item not in imported)
        if self._answered(others, tuple(leaves), tuple(pool), now):
            return others
        return (*others, *_latest(imported))

    def _answered(
        self,
        items: tuple[EvidenceItem, ...],
        leaves: tuple[Certificate, ...],
        pool: tuple[Certificate, ...],
        now: datetime,
    ) -> bool:
        """Whether `items` speak well enough of every certificate below an anchor, OCSP responders included."""
        from signsvc.trust import paths
        from signsvc.trust.revocation_data import Answers

        known = (*pool, *self.material.intermediates, *(anchor.certificate for anchor in self.material.anchors))
        answers = Answers(items)
        for leaf in leaves:
            built = paths.build(leaf, known, self.material.anchors)
            for subject, issuer in pairwise(built[0] if built else ()):
                if subject.no_revocation_available:
                    continue
                answer = answers.best(subject, issuer, known, now)
                if answer is None or not answer.adequate:
                    return False
                responder = answer.responder
                if responder is not None and responder != issuer and not responder.ocsp_no_check:
                    return False
        return True

    def chains(self, certificates: Iterable[Certificate], *, pool: Iterable[Certificate]) -> tuple[Certificate, ...]:
        """Every certificate of the best path of each of `certificates`, anchors included, without repeats."""
        from signsvc.trust import paths

        bag = tuple(pool)
        found: dict[Certificate, None] = {}
        for certificate in certificates:
            built = paths.build(certificate, (*bag, *self.material.intermediates), self.material.anchors)
            found.update(dict.fromkeys(built[0] if built else ()))
        return tuple(found)


def _latest(items: Iterable[EvidenceItem]) -> tuple[EvidenceItem, ...]:
    """Of the lists of one issuer, key, scope and kind the one that was made last."""
    from signsvc.asn1 import DerError
    from signsvc.trust.crl import Crl

    best: dict[object, tuple[Crl, EvidenceItem]] = {}
    for item in items:
        try:
            crl = Crl.of(item)
        except DerError:
            continue
        kind = (crl.issuer_der, crl.aki, crl.idp, crl.is_delta)
        if kind not in best or best[kind][0].this_update < crl.this_update:
            best[kind] = (crl, item)
    return tuple(item for _, item in best.values())


def as_evidence(certificates: Iterable[Certificate]) -> tuple[EvidenceItem, ...]:
    """Certificates as values for the document security store."""
    return tuple(EvidenceItem(EvidenceKind.CERTIFICATE, c.der, Origin.PROFILE) for c in certificates)
