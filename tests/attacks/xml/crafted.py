"""XML signatures put together by hand: whatever stands in SignedInfo, its value is a right one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from signsvc.formats import xmlsig
from signsvc.trust import TrustMaterial
from signsvc.types import DocumentVerdict, DocumentView, EvidenceItem, Original
from signsvc.validation import validate
from signsvc.verification.views import view_of
from tests.support.xmlsec import EXCLUSIVE, RSA_SHA256, SHA256
from tests.unit.formats.xades.xades_bench import XadesBench

DS = "http://www.w3.org/2000/09/xmldsig#"
PART = '<part Id="p">good</part>'


def reference(uri: str | None, octets: bytes, *transforms: str, kind: str = "", digest: str = SHA256) -> str:
    """A ds:Reference with the digest of `octets`; a transform is a URI or a whole element."""
    inside = "".join(t if t.startswith("<") else f'<ds:Transform Algorithm="{t}"/>' for t in transforms)
    where = "" if uri is None else f' URI="{uri}"'
    typed = f' Type="{kind}"' if kind else ""
    value = base64.b64encode(hashlib.sha256(octets).digest()).decode()
    listed = f"<ds:Transforms>{inside}</ds:Transforms>" if inside else ""
    return (
        f'<ds:Reference{where}{typed}>{listed}<ds:DigestMethod Algorithm="{digest}"/>'
        f"<ds:DigestValue>{value}</ds:DigestValue></ds:Reference>"
    )


@dataclass(frozen=True, slots=True)
class Crafted:
    """Makes and judges files."""

    bench: XadesBench
    evidence: list[EvidenceItem]

    @classmethod
    def of(cls, bench: XadesBench) -> Crafted:
        return cls(bench, bench.status("person", at=bench.now))

    def signature(
        self,
        *references: str,
        around: str = "{}",
        objects: str = "",
        method: str = f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"/>',
        key_info: str | None = None,
        c14n: str = EXCLUSIVE,
    ) -> str:
        """A document: `around` with a ds:Signature of `references` in it."""
        if key_info is None:
            held = base64.b64encode(self.bench.pki.cert("person")).decode()
            key_info = f"<ds:X509Data><ds:X509Certificate>{held}</ds:X509Certificate></ds:X509Data>"
        text = around.replace(
            "{}",
            f'<ds:Signature xmlns:ds="{DS}" Id="sig"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{c14n}"/>'
            f"{method}{''.join(references)}</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo>{key_info}</ds:KeyInfo>"
            f"{objects}</ds:Signature>",
        )
        document = xmlsig.parse(text.encode())
        info = next(document.root.iter(f"{{{DS}}}SignedInfo"))
        octets = xmlsig.canonicalize(document, info, c14n)
        value = base64.b64encode(self.bench.pki.sign_data("person", octets, "sha256", False)).decode()
        return text.replace("<ds:SignatureValue/>", f"<ds:SignatureValue>{value}</ds:SignatureValue>")

    def judge(
        self, data: bytes | str, *, originals: Sequence[Original] = (), must_cover: Sequence[str] = ()
    ) -> tuple[DocumentView, DocumentVerdict]:
        octets = data if isinstance(data, bytes) else data.encode()
        view = view_of(octets, originals, name=None, must_cover=must_cover)
        verdict = validate(
            view,
            material=TrustMaterial(("test",), self.bench.anchors, ()),
            evidence=self.evidence,
            policy=self.bench.policy,
            now=self.bench.now,
        )
        return view, verdict


def seen(verdict: DocumentVerdict) -> set[str]:
    """Codes of all findings."""
    return {f.code for s in verdict.signatures for f in s.findings} | {f.code for f in verdict.findings}
