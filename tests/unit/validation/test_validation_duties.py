"""What the law and the state's own files ask of every built-in policy, on signed files (octets in, verdict out)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from signsvc.formats import pades
from signsvc.types import Certificate, DocumentVerdict
from signsvc.validation import policies, validate
from test_pki import Pki
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import maker, signed, stamp, token, values
from tests.unit.validation.validation_bench import YEAR, Bench, codes, ocsp, outcome

POLICIES = ("cong-vu", "cong-cong", "hon-hop", "luu-tru")
PASSED, NO_POE = ("TOTAL-PASSED", None), ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE")
DEMANDED = ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def judge(bench: Bench, data: bytes, policy: str, *labels: str, **options: Any) -> DocumentVerdict:
    """By the policy as it is shipped, with the intermediates of its trust profile and today's answers."""
    now = options.pop("now", bench.now)
    evidence = {item.id: item for label in labels or ("person", "tsa1") for item in bench.status(label, now)}
    above = ("sub-g2-state", "sub-g2-tsa", "sub-g1", "sub-g1-btc")
    material = bench.material(intermediates=tuple(Certificate.from_der(bench.pki.cert(label)) for label in above))
    return validate(
        pades.read(data), material=material, evidence=tuple(evidence.values()), policy=policies.load(policy), now=now
    )


def lt(pki: Pki, bench: Bench, label: str = "person", **options: Any) -> PdfWriter:
    """B-LT: signed and stamped at day 10, with the status of day 12."""
    pdf = signed(pki, label, tokens=[token(pki, bench.day(10))], **options)
    pdf.store(pki, values=values(pki, label, "tsa1", at=bench.day(12)))
    return pdf


# No timestamp and the certificate now expired: not enough information, never passed.


def test_expired_without_a_timestamp_never_passes(bench: Bench, policy: str) -> None:
    data = signed(bench.pki, "expired-recently").data
    assert outcome(judge(bench, data, policy, "expired-recently")) == NO_POE
    answer = bench.pki.ocsp("expired-recently", "good", at=bench.day(19))  # even known to be good until the end
    kept = PdfWriter()
    kept.sign(bench.pki, "expired-recently", room=48_000, cms=maker(bench.pki, "expired-recently"))
    kept.store(bench.pki, values={"OCSPs": [answer]})
    verdict = judge(bench, kept.data, policy, "expired-recently")
    assert str(verdict.indication) == "INDETERMINATE"
    assert "certificate_expired" in codes(verdict, "fail")


def test_expired_with_a_timestamp_passes(bench: Bench, policy: str) -> None:
    pdf = lt(bench.pki, bench, "expired-recently")
    verdict = judge(bench, pdf.data, policy, "tsa1")
    assert outcome(verdict) == PASSED
    assert verdict.signatures[0].best_signature_time == bench.day(10)


def test_no_timestamp_is_told(bench: Bench, policy: str) -> None:
    verdict = judge(bench, signed(bench.pki).data, policy)
    assert outcome(verdict) == (DEMANDED if policy == "luu-tru" else PASSED)
    assert "timestamp_absent" in codes(verdict)
    assert verdict.signatures[0].time_source == "claimed"


# Revoked today, though valid then: the normal case.


def test_revoked_after_signing(bench: Bench, policy: str) -> None:
    pdf = lt(bench.pki, bench, "revoked-later")
    verdict = judge(bench, pdf.data, policy, "revoked-later", "tsa1")
    assert outcome(verdict) == PASSED
    assert "certificate_revoked_later" in codes(verdict, "info")
    assert str(verdict.signatures[0].chain[0].status) == "revoked"
    bare = judge(bench, signed(bench.pki, "revoked-later").data, policy, "revoked-later")
    assert outcome(bare) == ("INDETERMINATE", "REVOKED_NO_POE")
    assert {c.id: c.result for c in bare.signatures[0].checks}["revocation"] == "failed"


# Files as the state's tools write them.


def test_leaf_alone_in_the_file(bench: Bench, policy: str) -> None:
    pdf = signed(bench.pki, include=["person"], tokens=[token(bench.pki, bench.day(10))])
    assert outcome(judge(bench, pdf.data, policy)) == PASSED
    unknown = signed(bench.pki, "unknown", include=["unknown"], tokens=[token(bench.pki, bench.day(10))])
    assert outcome(judge(bench, unknown.data, policy)) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")


def test_first_generation_certificate_may_sign(bench: Bench, policy: str) -> None:
    """nonRepudiation alone and no extended purpose is enough; what fails is the age of SHA-1, and only that."""
    pdf = signed(bench.pki, "g1-person", include=["g1-person"], tokens=[token(bench.pki, bench.day(10))])
    verdict = judge(bench, pdf.data, policy, "g1-person", "tsa1")
    assert str(verdict.indication) == "INDETERMINATE"
    failing = {f.code for f in verdict.signatures[0].findings if f.level == "fail"}
    assert failing <= {"algorithm_not_reliable", "algorithm_not_reliable_no_proof"}


@pytest.mark.parametrize(("hours", "told"), [(7, True), (3, False), (0, False)])
def test_local_time_written_as_utc(bench: Bench, policy: str, hours: int, told: bool) -> None:
    claimed = bench.day(10) + timedelta(hours=hours)
    pdf = signed(bench.pki, tokens=[token(bench.pki, bench.day(10))], claimed=claimed)
    verdict = judge(bench, pdf.data, policy)
    assert outcome(verdict) == PASSED
    assert ("claimed_time_local_as_utc" in codes(verdict, "info")) is told
    assert verdict.signatures[0].best_signature_time == bench.day(10)  # no proven time is ever shifted
    assert ("claimed_time_after_proof" in codes(verdict, "warn")) is (hours == 3)


# What others do to a file.


def test_garbage_of_a_third_party_leaves_what_was_signed(bench: Bench, policy: str) -> None:
    """The document fails, and the report still says that its earlier revision was validly signed."""
    pdf = lt(bench.pki, bench)
    text = b"BT /F1 12 Tf 72 720 Td (Khac) Tj ET"
    pdf.update({4: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text)})
    verdict = judge(bench, pdf.data, policy)
    assert outcome(verdict) == ("TOTAL-FAILED", "FORMAT_FAILURE")
    signature = verdict.signatures[0]
    assert (str(signature.as_signed_indication), signature.as_signed_sub_indication) == PASSED
    checks = {c.id: c.result for c in signature.checks}
    assert (checks["changes"], checks["integrity"]) == ("failed", "passed")


def test_the_worst_of_several_signatures_is_the_document_s(bench: Bench, policy: str) -> None:
    """Good, open, failed: each keeps its own, the document has the worst; a bad one spoils no other."""
    pki = bench.pki
    pdf = lt(pki, bench)
    stamped = token(pki, bench.day(10))
    pdf.sign(pki, "unknown", name="Other", room=48_000, cms=maker(pki, "unknown", tokens=[stamped]))
    verdict = judge(bench, pdf.data, policy)
    assert outcome(verdict) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")
    pdf.sign(pki, "person2", name="Third", room=48_000, cms=maker(pki, "person2", tokens=[stamped], flip=True))
    verdict = judge(bench, pdf.data, policy, "person", "person2", "tsa1")
    assert outcome(verdict) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")
    assert [str(s.indication) for s in verdict.signatures] == ["TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED"]


# What each timestamp of a file proves (§5.6.2.3).


@pytest.mark.parametrize("order", ["store, timestamp", "timestamp, store"])
def test_a_store_that_came_after_the_last_timestamp_is_not_proven(bench: Bench, order: str) -> None:
    """Five years on, the responder has expired: only what the document timestamp covers is as old as it says."""
    pki, later = bench.pki, bench.now + 5 * YEAR
    pdf = signed(pki, tokens=[token(pki, bench.day(10))])
    steps = {
        "store": lambda: pdf.store(pki, values=values(pki, "person", at=bench.day(12))),
        "timestamp": lambda: stamp(pdf, pki, token(pki, bench.day(13))),
    }
    for name in order.split(", "):
        steps[name]()
    evidence = bench.status("tsa1", later)
    verdict = bench.judge(pades.read(pdf.data), evidence, now=later)
    proven = order.startswith("store")
    assert outcome(verdict) == (PASSED if proven else ("INDETERMINATE", "REVOCATION_OUT_OF_BOUNDS_NO_POE"))
    assert verdict.signatures[0].best_signature_time == bench.day(10)


def test_a_timestamp_before_the_signature_proves_nothing_for_it(bench: Bench) -> None:
    pki = bench.pki
    pdf = PdfWriter()
    stamp(pdf, pki, token(pki, bench.day(3)))
    pdf.sign(pki, room=48_000, cms=maker(pki))
    verdict = judge(bench, pdf.data, "hon-hop")
    assert verdict.signatures[0].time_source == "claimed"
    assert [str(t.indication) for t in verdict.timestamps] == ["TOTAL-PASSED"]


def test_an_extended_purpose_is_a_word_of_the_policy(bench: Bench) -> None:
    """A certificate for servers: a warning as shipped, a failure where a site says so."""
    if "for-servers" not in bench.pki.labels():
        bench.pki.add("for-servers", "person", eku=("serverAuth",))
    signer = bench.signer("for-servers", key="person")
    document = bench.document(signer)
    status = [ocsp(bench.pki.ocsp("for-servers", at=bench.now)), *bench.status()[1:]]
    shipped = bench.judge(document, status)
    assert outcome(shipped) == PASSED
    assert "certificate_purpose_unusual" in codes(shipped, "warn")
    strict = bench.judge(document, status, levels={"certificate_purpose_unusual": "fail"})
    assert outcome(strict) == ("INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE")


def test_the_report_names_agency_and_authority(bench: Bench, policy: str) -> None:
    """Who signed, of which agency (closest unit first), by which certificate under which authority."""
    from signsvc.reports.build import build

    data = lt(bench.pki, bench).data
    verdict = judge(bench, data, policy)
    report = build(verdict, pades.read(data), report_id="r1", name=None)
    signature = report["signatures"][0]
    assert signature["signed_by"] == "Nguyễn Văn An"
    assert signature["organization"] == "Văn phòng Sở, Sở Nội vụ, Ủy ban nhân dân tỉnh Thử Nghiệm"
    assert "CN=Test CA phục vụ các cơ quan Nhà nước G2" in signature["certificate"]["issuer"]
    assert [entry["subject"].split("CN=")[1].split(",")[0] for entry in signature["chain"]] == [
        "Nguyễn Văn An",
        "Test CA phục vụ các cơ quan Nhà nước G2",
        "Test RootCA chuyên dùng Chính phủ G2",
    ]
    assert report["policy"]["id"] == policy
