"""The whole road from octets to the verdict, for the attacks: who is trusted, what is known, what is said."""

from __future__ import annotations

from dataclasses import dataclass

import test_pki
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, EvidenceKind, Origin
from signsvc.validation import policies, validate
from signsvc.verification.views import view_of
from test_pki.pki import now as pki_now

PASSED, FAILED, OPEN = "TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"
FORMAT, HASH, VALUE = f"{FAILED}/FORMAT_FAILURE", f"{FAILED}/HASH_FAILURE", f"{FAILED}/SIG_CRYPTO_FAILURE"
WEAK, LATER = f"{OPEN}/CRYPTO_CONSTRAINTS_FAILURE", f"{OPEN}/TRY_LATER"
MISSING, UNKNOWN = f"{OPEN}/SIGNED_DATA_NOT_FOUND", f"{OPEN}/GENERIC"
NO_POE, UNSIGNED = f"{OPEN}/OUT_OF_BOUNDS_NO_POE", "NO-SIGNATURE"


@dataclass(frozen=True, slots=True)
class Court:
    """Judges files with the truth about the hierarchy at hand."""

    pki: test_pki.Pki

    def __call__(self, data: bytes, *labels: str) -> DocumentVerdict:
        now = pki_now()
        anchors = tuple(TrustAnchor(Certificate.from_der(value), label) for label, value in self.pki.roots.items())
        evidence = [
            EvidenceItem(kind, value, Origin.NETWORK)
            for label in labels or ("person", "agency", "tsa1")
            for kind, values_ in (
                (EvidenceKind.OCSP, [self.pki.ocsp(label, at=now)]),
                (EvidenceKind.CRL, [self.pki.crl("root-g2", now)]),
            )
            for value in values_
        ]
        intermediates = ("sub-g2-state", "sub-g2-tsa")
        material = TrustMaterial(
            ("test",), anchors, tuple(Certificate.from_der(self.pki.cert(label)) for label in intermediates)
        )
        view = view_of(data, (), name=None, must_cover=())
        return validate(view, material=material, evidence=evidence, policy=policies.load("hon-hop"), now=now)


def told(verdict: DocumentVerdict) -> tuple[str, set[str]]:
    sub = f"/{verdict.sub_indication}" if verdict.sub_indication else ""
    found = [*verdict.findings, *(f for s in verdict.signatures for f in s.findings)]
    found += [f for t in verdict.timestamps for f in t.findings]
    found += [f for s in verdict.signatures for t in s.timestamps for f in t.findings]
    return f"{verdict.indication}{sub}", {f.code for f in found}


def check(verdict: DocumentVerdict, expected: str, finding: str | None) -> None:
    outcome, codes = told(verdict)
    assert outcome == expected, codes
    assert finding is None or finding in codes, codes
