"""Documents made of real CMS signatures, real tokens and real revocation data, at any time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from signsvc.algorithms import new_hash
from signsvc.formats import cms
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import (
    Certificate,
    DocumentVerdict,
    DocumentView,
    EvidenceItem,
    EvidenceKind,
    Origin,
    Scope,
    SignatureView,
    SignerView,
    TimestampView,
)
from signsvc.validation import Policy, validate
from test_pki import Pki, timestamps

CONTENT = b"Cong hoa xa hoi chu nghia Viet Nam"
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


def crl(der: bytes, **changes: Any) -> EvidenceItem:
    return EvidenceItem(EvidenceKind.CRL, der, **{"origin": Origin.DSS, **changes})


def ocsp(der: bytes, **changes: Any) -> EvidenceItem:
    return EvidenceItem(EvidenceKind.OCSP, der, **{"origin": Origin.DSS, **changes})


def certificate(der: bytes, **changes: Any) -> EvidenceItem:
    return EvidenceItem(EvidenceKind.CERTIFICATE, der, **{"origin": Origin.DSS, **changes})


@dataclass
class Bench:
    """Builds views and judges them; `epoch` is the hierarchy's, `now` 30 days later."""

    pki: Pki
    policy: Policy
    now: datetime
    anchors: tuple[TrustAnchor, ...]
    intermediates: tuple[Certificate, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def day(self, count: float) -> datetime:
        return self.pki.epoch + timedelta(days=count)

    def signer(
        self,
        label: str | bytes = "person",
        *,
        key: str | None = None,
        content: bytes = CONTENT,
        signed: bytes | None = None,
        digest: str = "sha256",
        reference: str | None = "sha256",
        include: Sequence[bytes] | None = None,
        claimed: datetime | None = None,
        attributes: Sequence[bytes] = (),
        flip: bool = False,
        pss: bool = False,
    ) -> SignerView:
        """One SignerInfo over `content`; `signed` is what the document holds instead."""
        leaf = self.pki.cert(label) if isinstance(label, str) else label
        chain = self.pki.chain(label)[1:-1] if isinstance(label, str) else ()
        more = list(attributes)
        if reference:
            more.append(timestamps.signing_certificate(leaf, reference))
        encoded = timestamps.signed_data(
            None,
            hashlib.new(digest, content).digest(),
            self.pki.key(key or str(label)),
            leaf,
            attributes=more,
            include=[leaf, *chain] if include is None else include,
            digest=digest,
            flip=flip,
            pss=pss,
        )
        held = content if signed is None else signed
        view = cms.read(encoded, subject="s1", digest=digester(held))
        assert len(view.signers) == 1
        signer = replace(view.signers[0], findings=(*view.findings, *view.signers[0].findings))
        return replace(signer, claimed_time=claimed)

    def token(
        self,
        at: datetime,
        signer: SignerView | None = None,
        *,
        kind: str = "signature",
        name: str = "t1",
        over: bytes | None = None,
        hash: str = "sha256",  # noqa: A002 - as in test_pki
        revision: int | None = None,
        **options: Any,
    ) -> TimestampView:
        """A token over a signature value, or (document kind) over `over`."""
        data = over if over is not None else signer.value.value if signer else b""
        der = self.pki.timestamp(hashlib.new(hash, data).digest(), at=at, hash=hash, **options)
        covered = over if over is not None else signer.value.value if signer else b""
        proves = {"signature": ("signature:s1",), "document": (f"revision:{revision}",)}.get(kind, ())
        scope = Scope("FULL", revision, revision) if kind == "document" else None
        return cms.read_timestamp(der, id=name, kind=kind, digest=digester(covered), proves=proves, scope=scope)

    def document(
        self,
        signer: SignerView | None,
        *tokens: TimestampView,
        evidence: Sequence[EvidenceItem] = (),
        level: str = "B-B",
        scope: Scope | None = None,
        document_tokens: Sequence[TimestampView] = (),
        **signature: Any,
    ) -> DocumentView:
        if signer is not None:
            signer = replace(signer, timestamps=tokens)
        scope = scope or Scope("FULL", 1, 1)
        view = SignatureView("s1", "PAdES", level, signer, scope, **signature)
        return DocumentView(
            "application/pdf", 1000, b"\0" * 32, (view,), tuple(document_tokens), tuple(evidence), revisions=scope.of
        )

    def material(self, **changes: Any) -> TrustMaterial:
        return replace(TrustMaterial(("test",), self.anchors, self.intermediates), **changes)

    def judge(
        self,
        document: DocumentView,
        evidence: Sequence[EvidenceItem] = (),
        *,
        now: datetime | None = None,
        at: datetime | None = None,
        material: TrustMaterial | None = None,
        **policy: Any,
    ) -> DocumentVerdict:
        return validate(
            document,
            material=material or self.material(),
            evidence=evidence,
            policy=replace(self.policy, **policy),
            now=now or self.now,
            at=at,
        )

    def status(self, label: str = "person", at: datetime | None = None, **changes: Any) -> list[EvidenceItem]:
        """Truthful revocation data at `at` for a label and every CA above it."""
        at = at or self.now
        found = [ocsp(self.pki.ocsp(label, at=at), **changes)]
        issuer = self.pki.issuer(label)
        while (above := self.pki.issuer(issuer)) != issuer:
            found.append(crl(self.pki.crl(above, at=at, next_update=30 * DAY), **changes))
            issuer = above
        return found

    def full(self, label: str = "person", at: datetime | None = None, **changes: Any) -> list[EvidenceItem]:
        """Revocation data for a signer and for both authorities."""
        found = [*self.status(label, at, **changes), *self.status("tsa1", at, **changes)]
        return list({item.id: item for item in found}.values())


def digester(data: bytes) -> Callable[[str], bytes]:
    def digest(oid: str) -> bytes:
        made = new_hash(oid)
        made.update(data)
        return bytes(made.digest())

    return digest


def outcome(verdict: DocumentVerdict) -> tuple[str, str | None]:
    return str(verdict.indication), str(verdict.sub_indication) if verdict.sub_indication else None


def codes(verdict: DocumentVerdict, level: str | None = None) -> set[str]:
    found = [*verdict.findings, *(f for s in verdict.signatures for f in s.findings)]
    return {f.code for f in found if level is None or f.level == level}


def token_codes(verdict: DocumentVerdict) -> set[str]:
    tokens = [*verdict.timestamps, *(t for s in verdict.signatures for t in s.timestamps)]
    return {f.code for t in tokens for f in t.findings}
