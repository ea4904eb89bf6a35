"""EU DSS and signsvc say the same of some six hundred files, or a row below says why not.

Of each row two files are asked about, and one in five of the others; all with SIGNSVC_TEST_FULL=1, which also counts
them (``-s``).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import test_pki
from signsvc.formats import pades
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin
from signsvc.validation import policies, validate
from test_pki.pki import now as pki_now
from tests.interop.conftest import Question
from tests.interop.dss_cases import Case, cases
from tests.interop.dss_evidence import evidence
from tests.interop.dss_matrix import matrix

Ask = Callable[[Sequence[Question]], list[dict[str, Any]]]

ROOTS = ("root-g1", "root-g2", "root-public")
INTERMEDIATES = ("sub-g1", "sub-g1-btc", "sub-g2-state", "sub-g2-state-rekeyed", "sub-g2-party", "sub-g2-software",
                 "sub-g2-tsa", "sub-g2-revoked", "ca-public1", "ca-public2")  # fmt: skip

PASSED, FAILED, OPEN = "TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"
GENERAL = f"{OPEN}/CERTIFICATE_CHAIN_GENERAL_FAILURE"
LATER, NO_POE = f"{OPEN}/TRY_LATER", f"{OPEN}/OUT_OF_BOUNDS_NO_POE"
WEAK, WEAK_NO_POE = f"{OPEN}/CRYPTO_CONSTRAINTS_FAILURE", f"{OPEN}/CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
NONE, BROKEN = "", "error"
FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"


@dataclass(frozen=True, slots=True)
class Row:
    """A difference on purpose: the names of the files, the answer there, the answer here, why."""

    pattern: str
    dss: str
    ours: str
    why: str


ROWS = (
    # Other words for the same doubt.
    Row(
        r"revocation/(none|unknown|other-serial|list-before-certificate|list-of-another|list-by-a-stranger"
        r"|list-of-authorities|delta-list|list-with-unknown-critical)(-stamped)?"
        r"|evidence/person/(responder-expired|responder-absent|garbage)|evidence/nothing-about/(signer|ca)",
        GENERAL,
        LATER,
        "No usable revocation data: a clerk can only try again later, and the word says so. DSS names the chain.",
    ),
    Row(
        r"state/(expired|expired-recently|g1-old)/.*|path/expired-ca(-before)?|date/(person/[^/]+/b-[bt]/day-900"
        r"|short/[^/]+/b-[bt]/day-(45|900)|expired-recently/[^/]+/b-[bt]/day-(25|45|900))"
        r"|evidence/expired-recently/(sha256-cert-id|by-name|nonce|no-next-update|responder-(not-for-it|checked|expired"
        r"|absent)|sha1-(answer|list)|list-without-end|future-list|garbage(-and-good)?|two-answers|list-against-answer)",
        GENERAL,
        NO_POE,
        "The only data is from after the expiry and does not know the certificate any more: nothing can be tried "
        "later, so the expiry is named.",
    ),
    Row(
        r"token/expired-recently/(?!before-certificate|bad-and-good|good|tsa-eku-not-critical|tsa-two-ekus).*"
        r"|date/(person/tsa-short/b-lta?/day-900|short/tsa-short/b-lta?/day-(45|900)"
        r"|expired-recently/tsa-short/b-lta?/day-(25|45|900))",
        f"{OPEN}/OUT_OF_BOUNDS_NOT_REVOKED",
        NO_POE,
        "An answer from before the expiry does not know what happened between it and the expiry: only later data lets "
        "us say 'not revoked'.",
    ),
    Row(
        r"state/(rsa1024|g1-person)/.*|signature/digest-sha1(-stamped)?|evidence/person/sha1-(answer|list)",
        WEAK_NO_POE,
        WEAK,
        "What was signed is younger than the end of its algorithm: no proof of existence could ever help "
        "(EN 319 102-1 §5.2.8: the time of the object is known to lie behind the end).",
    ),
    Row(
        r"state/not-yet-valid/.*",
        GENERAL,
        f"{FAILED}/NOT_YET_VALID",
        "The best time lies before the certificate began (EN 319 102-1 §5.5.4): said before the data that is missing.",
    ),
    Row(
        r"octets/range-shorter",
        f"{FAILED}/FORMAT_FAILURE",
        f"{FAILED}/HASH_FAILURE",
        "Both hold: the digest differs and the range ends nowhere; the digest is named first.",
    ),
    Row(
        r"signature/reference-to-another",
        f"{OPEN}/NO_SIGNING_CERTIFICATE_FOUND",
        f"{FAILED}/SIG_CRYPTO_FAILURE",
        "The signed reference names a certificate that is there, and its key did not make the value.",
    ),
    Row(
        r"token/content-after-expiry",
        GENERAL,
        f"{FAILED}/EXPIRED",
        "A content timestamp from after the expiry proves that the signature was made too late (§5.5.4).",
    ),
    Row(
        r"attribute/(signing-time|type)-twice(-stamped)?",
        f"{FAILED}/SIG_CRYPTO_FAILURE",
        f"{FAILED}/FORMAT_FAILURE",
        "An attribute that may be there once is there twice (RFC 5652 §11), and the value verifies: the format is wrong, "
        "not the value. The library of DSS refuses to look at it.",
    ),
    Row(
        r"attribute/digest-twice(-stamped)?",
        f"{FAILED}/SIG_CRYPTO_FAILURE",
        f"{FAILED}/HASH_FAILURE",
        "One of the two digests is not that of the document, and the value verifies (§5.2.7.4).",
    ),
    Row(
        r"evidence/[^/]+/responder-expired-since",
        GENERAL,
        f"{OPEN}/REVOCATION_OUT_OF_BOUNDS_NO_POE",
        "The answer was right when it was given, its responder has expired since, and nothing proves the answer older: "
        "the word for it is in table 6. DSS names the chain.",
    ),
    Row(r"several/expired-first", f"{GENERAL}, {PASSED}", f"{NO_POE}, {PASSED}", "As for one signature."),
    Row(r"several/expired-second", f"{PASSED}, {GENERAL}", f"{PASSED}, {NO_POE}", "As for one signature."),
    # Stricter here.
    Row(
        r"token/expired-recently/tsa-(eku-not-critical|two-ekus)",
        PASSED,
        NO_POE,
        "RFC 3161 §2.3: timestamping is the only purpose of the authority's certificate, and critical. A policy may put "
        "up with others by name.",
    ),
    Row(
        r"revocation/(stale-answer|stale-list)(-stamped)?"
        r"|date/(person/tsa-short/b-lta?/day-(25|45)|short/tsa-short/b-lta?/day-25)",
        PASSED,
        LATER,
        "Data that ended before the time in question says nothing about it; DSS does not check freshness by default.",
    ),
    Row(
        r"revocation/future-answer(-stamped)?|evidence/person/future-list",
        PASSED,
        LATER,
        "An answer or a list dated in the future is not taken.",
    ),
    Row(
        r"revocation/other-responder(-stamped)?|evidence/person/responder-not-for-it",
        PASSED,
        LATER,
        "The responder of another CA, or one without the purpose, may not answer (RFC 6960 §4.2.2.2); DSS accepts it.",
    ),
    Row(
        r"state/wrong-usage/.*",
        PASSED,
        f"{OPEN}/CHAIN_CONSTRAINTS_FAILURE",
        "A certificate for key encipherment signs nothing under our policies; DSS warns.",
    ),
    Row(
        r"signature/(adobe-sha1|reference-sha1)",
        PASSED,
        WEAK,
        "SHA-1 binds the document, or the certificate, and is judged by date in every role.",
    ),
    Row(
        r"path/(critical-extension|names-forbid)",
        PASSED,
        GENERAL,
        "RFC 5280 §6.1: critical extensions that are not understood and name constraints decide; DSS passes both.",
    ),
    Row(
        r"date/[^/]+/tsa1/b-lta?/(day-900|year\+4)",
        PASSED,
        NO_POE,
        "RSA ended on 2029-01-01, in the tokens as well, and nothing newer covers them: they prove nothing any more "
        "(EN 319 102-1 §5.2.8, §5.4). For DSS an end behind the day of its own table is a warning.",
    ),
    Row(
        r"path/ca-revoked-later|revoked/signers-ca/(day-11/b-(t|lta)|day-20/b-t)",
        PASSED,
        f"{OPEN}/REVOKED_CA_NO_POE",
        "The data about the signer is from after the revocation of its CA: whoever has that key could have made it.",
    ),
    Row(
        r"token/content-after|stamp/[^/]+/earlier-archive",
        PASSED,
        f"{OPEN}/TIMESTAMP_ORDER_FAILURE",
        "A timestamp that another one covers, and that is later than that one: one of the two is wrong (§5.5.4).",
    ),
    Row(
        r"evidence/person/revoked-then-good",
        PASSED,
        f"{OPEN}/REVOKED_NO_POE",
        "Revocation is final, but for a hold (RFC 5280 §5.3.1): a later 'good' does not undo it. DSS takes the latest.",
    ),
    Row(
        r"attribute/(reference-(twice|garbled|empty|no-value)|two-references)(-stamped)?",
        PASSED,
        f"{FAILED}/FORMAT_FAILURE",
        "The signed reference is there once, with one value that can be read (RFC 5035 §5.4, RFC 5652 §11); DSS goes by "
        "what it can read.",
    ),
    Row(
        r"octets/trailing-(text|object)|document/page-changed-afterwards",
        PASSED,
        f"{FAILED}/FORMAT_FAILURE",
        "What came after the signature counts in the verdict on the document; DSS warns.",
    ),
    Row(
        r"octets/(range-two-numbers|contents-zeros)|document/signature-removed",
        NONE,
        f"{FAILED}/FORMAT_FAILURE",
        "A signature that is damaged or was taken out of its field is still a signature; DSS finds none.",
    ),
    Row(
        r"revoked/tsas-ca/day-20/b-lta",
        BROKEN,
        PASSED,
        "The authority's CA was revoked after the archive timestamp: everything is proven older (§5.6.2.2). DSS looks "
        "for a date that is not there and ends.",
    ),
    # More lenient here.
    Row(
        r"evidence/person/responder-checked",
        GENERAL,
        PASSED,
        "A responder without id-pkix-ocsp-nocheck whose own status nobody tells: how to check it is left to the client "
        "(RFC 6960 §4.2.2.2.1). Here it is a warning.",
    ),
    Row(
        r"key/dss-ed25519/.*|tampered/dss-ed25519/token",
        WEAK_NO_POE,
        PASSED,
        "Ed25519 is an accepted algorithm under our policies (RFC 8419); the table of DSS does not have it.",
    ),
    Row(
        r"token/expired-recently/bad-and-good",
        f"{OPEN}/OUT_OF_BOUNDS_NOT_REVOKED",
        PASSED,
        "One bad token never spoils a good one; DSS does not take the good one of an attribute's two values.",
    ),
    Row(
        r"path/claims-another-time",
        f"{OPEN}/SIG_CONSTRAINTS_FAILURE",
        PASSED,
        "The claimed time is the signer's word and proves nothing either way: outside the certificate's validity it "
        "is a warning, since clocks and time zones of real tools are wrong.",
    ),
)


def _here(case: Case, material: TrustMaterial, now: datetime) -> str:
    supplied = [EvidenceItem(EvidenceKind.CRL, value, Origin.SUPPLIED) for value in case.crls]
    verdict = validate(
        pades.read(case.data),
        material=material,
        evidence=supplied,
        policy=policies.load("hon-hop"),
        now=max(now, case.at or now),
        at=case.at,
    )
    return _text((str(s.indication), s.sub_indication) for s in verdict.signatures)


def _text(results: Any) -> str:
    return ", ".join(f"{indication}/{sub}" if sub else indication for indication, sub in results)


def _rows(case: Case) -> list[Row]:
    return [row for row in ROWS if re.fullmatch(row.pattern, case.name)]


def _sample(every: Sequence[Case]) -> list[Case]:
    taken: Counter[Row] = Counter()
    found = []
    for index, case in enumerate(every):
        rows = _rows(case)
        taken.update(rows)
        if any(taken[row] <= 2 for row in rows) if rows else index % 5 == 0:
            found.append(case)
    return found


def test_dss_agrees(dss: Ask, tmp_path: Path) -> None:
    # a hierarchy of its own: the cases add authorities that nobody else should meet
    pki = test_pki.load(tmp_path / "pki")
    now = pki_now()
    every = [*cases(pki, now), *matrix(pki, now), *evidence(pki, now)]
    assert len(every) >= 550
    assert len({case.name for case in every}) == len(every)
    every = every if FULL else _sample(every)

    def kept(value: bytes, kind: str) -> Path:
        path = tmp_path / f"{hashlib.sha256(value).hexdigest()[:32]}.{kind}"
        path.write_bytes(value)
        return path

    anchors = tuple(kept(pki.cert(label), "crt") for label in ROOTS)
    intermediates = tuple(kept(pki.cert(label), "crt") for label in INTERMEDIATES)
    answers = dss(
        [
            Question(kept(c.data, "pdf"), anchors, intermediates, tuple(kept(v, "crl") for v in c.crls), c.at or now)
            for c in every
        ]
    )
    material = TrustMaterial(
        ("test",),
        tuple(TrustAnchor(Certificate.from_der(pki.cert(label)), label) for label in ROOTS),
        tuple(Certificate.from_der(pki.cert(label)) for label in INTERMEDIATES),
    )
    seen: Counter[Row] = Counter()
    wrong = []
    for case, answer in zip(every, answers, strict=True):
        there = BROKEN
        if "error" not in answer:
            there = _text((s["indication"].replace("_", "-"), s["sub_indication"]) for s in answer["signatures"])
        here = _here(case, material, now)
        rows = _rows(case)
        assert len(rows) <= 1, case.name
        expected = (rows[0].dss, rows[0].ours) if rows else (there, there)
        if (there, here) != expected or (rows and there == here):
            wrong.append((case.name, there, here))
        seen.update(rows)
    assert not wrong, "\n".join(
        f"{name}: DSS {there or 'nothing'}, here {here or 'nothing'}" for name, there, here in wrong
    )
    assert not set(ROWS) - set(seen)
    print(
        f"{len(every)} files, {len(every) - seen.total()} equal",
        *(f"{n} {row.pattern}" for row, n in seen.items()),
        sep="\n",
    )
