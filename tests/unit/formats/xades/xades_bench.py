"""XAdES files made with real keys, real tokens and real revocation data at any time, and judged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.formats.xades import extend, read
from signsvc.formats.xades.write import Packaging, XmlPlan, XmlSpec, complete, prepare, prepare_counter
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import (
    Certificate,
    DocumentVerdict,
    EvidenceItem,
    EvidenceKind,
    Indication,
    Origin,
    Original,
)
from signsvc.validation import Policy, validate
from test_pki import Pki

DAY = timedelta(days=1)
INVOICE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<?xml-stylesheet href="a.xsl"?>\n<!-- mở đầu -->\n'
    '<h:HDon xmlns:h="urn:hoadon" xmlns="urn:khac" xml:lang="vi">\n  <h:DLHDon Id="data"><TTChung a="1" '
    'h:b="2">Hóa đơn &amp; <![CDATA[<số 1>]]></TTChung></h:DLHDon>\n  <h:Khac Id="other"/>\n</h:HDon>\n<!-- hết -->\n'
).encode()


@dataclass
class XadesBench:
    """Signs, raises and judges; `now` is 30 days after the hierarchy's epoch."""

    pki: Pki
    policy: Policy
    now: datetime
    anchors: tuple[TrustAnchor, ...]

    def day(self, count: float) -> datetime:
        return self.pki.epoch + count * DAY

    def plan(self, label: str = "person", *, pss: bool = False, digest: str = "sha256") -> XmlPlan:
        chain = tuple(Certificate.from_der(one) for one in self.pki.chain(label)[1:-1])
        certificate = Certificate.from_der(self.pki.cert(label))
        scheme = (
            SignatureScheme.ECDSA
            if certificate.key_type == "ec"
            else SignatureScheme.RSA_PSS
            if pss
            else SignatureScheme.RSA_PKCS1
        )
        return XmlPlan(certificate, SignatureAlgorithm(scheme, digest), self.day(9), chain)

    def sign(
        self,
        data: bytes | None = INVOICE,
        label: str = "person",
        *,
        plan: XmlPlan | None = None,
        parent: str | None = None,
        **spec: Any,
    ) -> bytes:
        plan = plan or self.plan(label)
        said = XmlSpec(**spec)
        made = prepare_counter(data or b"", plan, parent, said) if parent else prepare(data, plan, said)
        pss = plan.algorithm.scheme is SignatureScheme.RSA_PSS
        value = self.pki.sign_data(label, made.octets, plan.algorithm.digest or "sha256", pss)
        return complete(type(made).from_json(made.to_json()), value)

    def stamp(self, at: datetime, tsa: str = "tsa1", **options: Any) -> extend.Stamp:
        def made(digest: bytes, name: str) -> bytes:
            return self.pki.timestamp(digest, at=at, hash=name, tsa=tsa, **options)

        return made

    def status(self, *labels: str, at: datetime) -> list[EvidenceItem]:
        """What authorities say at a time of these and of all above them, with the certificates of their chains."""
        found: list[EvidenceItem] = []
        for label in labels:
            found += [_item("certificate", one) for one in self.pki.chain(label)]
            found.append(_item("ocsp", self.pki.ocsp(label, at=at)))
            issuer = self.pki.issuer(label)
            while (above := self.pki.issuer(issuer)) != issuer:
                found.append(_item("crl", self.pki.crl(above, at=at, next_update=30 * DAY)))
                issuer = above
        return list({item.id: item for item in found}.values())

    def raised(self, data: bytes, level: str, *, label: str = "person", **options: Any) -> bytes:
        """`data` raised: a timestamp on day 10, validation data of day 11, an archive timestamp on day 12."""
        data = extend.signature_timestamp(data, self.stamp(self.day(10)), **options)
        if level in ("B-LT", "B-LTA"):
            evidence = self.status(label, "tsa1", at=self.day(11))
            data = extend.validation_data(data, evidence, **options)
        if level == "B-LTA":
            data = extend.archive_timestamp(data, self.stamp(self.day(12)), **options)
        return data

    def judge(
        self,
        data: bytes,
        *,
        evidence: Sequence[EvidenceItem] | None = None,
        now: datetime | None = None,
        originals: Sequence[Original] = (),
        **policy: Any,
    ) -> DocumentVerdict:
        """The verdict with truthful revocation data of today unless other `evidence` is given."""
        now = now or self.now
        labels = ("person", "tsa1", "ec", "agency")
        known = self.status(*labels, at=now) if evidence is None else evidence
        return validate(
            read(data, originals=originals),
            material=TrustMaterial(("test",), self.anchors, ()),
            evidence=known,
            policy=replace(self.policy, **policy),
            now=now,
        )


def outcome(verdict: DocumentVerdict) -> list[tuple[str, str | None, str]]:
    """(indication, sub-indication, level) of each signature."""
    return [
        (str(s.indication), str(s.sub_indication) if s.sub_indication else None, s.level) for s in verdict.signatures
    ]


def passed(verdict: DocumentVerdict, *levels: str) -> None:
    """Every signature passed, at these levels."""
    assert outcome(verdict) == [(Indication.TOTAL_PASSED, None, level) for level in levels], [
        (f.code, dict(f.data)) for s in verdict.signatures for f in s.findings
    ] + [(f.code, dict(f.data)) for s in verdict.signatures for t in s.timestamps for f in t.findings]


def codes(verdict: DocumentVerdict) -> set[str]:
    return {f.code for s in verdict.signatures for f in s.findings}


def original(name: str, data: bytes) -> Original:
    return Original(name, data)


def digest_only(name: str, data: bytes) -> Original:
    return Original(name, None, {"2.16.840.1.101.3.4.2.1": hashlib.sha256(data).digest()})


def _item(kind: str, der: bytes) -> EvidenceItem:
    return EvidenceItem(EvidenceKind(kind), der, Origin.SUPPLIED)


__all__ = ["DAY", "INVOICE", "Packaging", "XadesBench", "codes", "digest_only", "original", "outcome", "passed"]
