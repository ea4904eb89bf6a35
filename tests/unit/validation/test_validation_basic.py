"""The basic process: integrity, chain, revocation and dates without any proof of time."""

from __future__ import annotations

import pytest

from signsvc.types import Certificate, CertificateStatus, Scope
from signsvc.validation import check_certificate, wanted
from tests.unit.validation.validation_bench import DAY, Bench, codes, crl, ocsp, outcome


def test_signature_without_timestamp_passes_and_says_whose_time_it_is(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer()), bench.status())
    assert outcome(verdict) == ("TOTAL-PASSED", None)
    assert codes(verdict, "warn") == {"timestamp_absent"}
    signature = verdict.signatures[0]
    assert signature.time_source == "claimed"
    assert signature.best_signature_time is None
    assert {c.id: c.result for c in signature.checks} == {
        "integrity": "passed",
        "chain": "passed",
        "revocation": "passed",
        "timestamp": "not_applicable",
        "crypto_strength": "passed",
        "changes": "not_applicable",
    }
    assert [e.status for e in signature.chain] == [
        CertificateStatus.GOOD,
        CertificateStatus.GOOD,
        CertificateStatus.NOT_CHECKED,
    ]
    assert signature.chain[0].source == "ocsp"
    assert signature.chain[-1].trust_anchor
    assert signature.extend_before == signature.certificate.not_after  # type: ignore[union-attr]


def test_no_signature(bench: Bench) -> None:
    from dataclasses import replace

    verdict = bench.judge(replace(bench.document(None), signatures=()))
    assert outcome(verdict) == ("NO-SIGNATURE", None)


def test_changed_content(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer(signed=b"other")), bench.status())
    assert outcome(verdict) == ("TOTAL-FAILED", "HASH_FAILURE")
    assert {c.id: c.result for c in verdict.signatures[0].checks}["integrity"] == "failed"


def test_wrong_value(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer(flip=True)), bench.status())
    assert outcome(verdict) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")


def test_total_failure_comes_before_everything_that_is_open(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer("unknown", signed=b"other")))
    assert outcome(verdict) == ("TOTAL-FAILED", "HASH_FAILURE")


def test_unknown_authority_still_reports_integrity(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer("unknown")))
    assert outcome(verdict) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")
    checks = {c.id: c.result for c in verdict.signatures[0].checks}
    assert checks["integrity"] == "passed"
    assert checks["chain"] == "unknown"


def test_leaf_only_file_needs_the_profile_intermediate(bench: Bench) -> None:
    signer = bench.signer(include=[bench.pki.cert("person")])
    assert outcome(bench.judge(bench.document(signer), bench.status())) == (
        "INDETERMINATE",
        "NO_CERTIFICATE_CHAIN_FOUND",
    )
    known = bench.material(intermediates=(Certificate.from_der(bench.pki.cert("sub-g2-state")),))
    assert outcome(bench.judge(bench.document(signer), bench.status(), material=known)) == ("TOTAL-PASSED", None)


def test_no_revocation_data(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer()))
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")
    assert {c.id: c.result for c in verdict.signatures[0].checks}["revocation"] == "unknown"


def test_revoked_without_proof_has_its_own_finding(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer("revoked")), bench.status("revoked"))
    assert outcome(verdict) == ("INDETERMINATE", "REVOKED_NO_POE")
    assert "certificate_revoked" in codes(verdict, "fail")
    assert verdict.signatures[0].chain[0].status is CertificateStatus.REVOKED
    assert verdict.signatures[0].chain[0].reason == "keyCompromise"


def test_suspended(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer("suspended")), bench.status("suspended"))
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")
    assert "certificate_on_hold" in codes(verdict, "fail")


def test_suspension_that_was_lifted(bench: Bench) -> None:
    serial = Certificate.from_der(bench.pki.cert("person")).serial_number
    held = bench.pki.crl("sub-g2-state", bench.day(1), entries=[(serial, bench.day(0), "certificateHold")])
    verdict = bench.judge(bench.document(bench.signer()), [crl(held), *bench.status()])
    assert outcome(verdict) == ("TOTAL-PASSED", None)


def test_expired_without_proof(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer("expired")), bench.status("expired"))
    assert outcome(verdict) == ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE")


def test_not_yet_valid(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer("not-yet-valid")), bench.status("not-yet-valid"))
    assert outcome(verdict) == ("TOTAL-FAILED", "NOT_YET_VALID")


def test_wrong_key_usage(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer("wrong-usage")), bench.status("wrong-usage"))
    assert outcome(verdict) == ("INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE")


def test_short_key(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer("rsa1024")), bench.status("rsa1024"))
    assert outcome(verdict) == ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE")
    assert {c.id: c.result for c in verdict.signatures[0].checks}["crypto_strength"] == "failed"


def test_missing_signing_certificate(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer(include=[])), bench.status())
    assert outcome(verdict) == ("INDETERMINATE", "NO_SIGNING_CERTIFICATE_FOUND")


@pytest.mark.parametrize("label", ["ec", "rsa3072", "agency", "software", "public-business", "crl-only"])
def test_kinds_of_certificates(bench: Bench, label: str) -> None:
    assert outcome(bench.judge(bench.document(bench.signer(label)), bench.status(label))) == ("TOTAL-PASSED", None)


def test_pss(bench: Bench) -> None:
    assert outcome(bench.judge(bench.document(bench.signer("pss", pss=True)), bench.status("pss"))) == (
        "TOTAL-PASSED",
        None,
    )


def test_crl_instead_of_ocsp(bench: Bench) -> None:
    evidence = [crl(bench.pki.crl("sub-g2-state", bench.now)), crl(bench.pki.crl("root-g2", bench.now))]
    verdict = bench.judge(bench.document(bench.signer()), evidence)
    assert outcome(verdict) == ("TOTAL-PASSED", None)
    assert verdict.signatures[0].chain[0].source == "crl"


def test_stale_crl(bench: Bench) -> None:
    evidence = [crl(bench.pki.crl("sub-g2-state", bench.day(1))), *bench.status()[1:]]
    assert outcome(bench.judge(bench.document(bench.signer()), evidence)) == ("INDETERMINATE", "TRY_LATER")


def test_ocsp_unknown_is_never_good(bench: Bench) -> None:
    evidence = [ocsp(bench.pki.ocsp("person", "unknown", at=bench.now)), *bench.status()[1:]]
    verdict = bench.judge(bench.document(bench.signer()), evidence)
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")
    assert "revocation_answer_unknown" in codes(verdict)


def test_supplied_crl_that_revokes_counts_beside_a_good_answer(bench: Bench) -> None:
    serial = Certificate.from_der(bench.pki.cert("no-urls")).serial_number
    revoking = bench.pki.crl("sub-g2-state", bench.now, entries=[(serial, bench.day(5), "keyCompromise")])
    verdict = bench.judge(bench.document(bench.signer("no-urls")), [crl(revoking), *bench.status("no-urls")])
    assert outcome(verdict) == ("INDETERMINATE", "REVOKED_NO_POE")


def test_at_judges_in_the_past(bench: Bench) -> None:
    at = bench.day(-70)
    evidence = bench.status("expired", at)
    verdict = bench.judge(bench.document(bench.signer("expired")), evidence, at=at)
    assert outcome(verdict) == ("TOTAL-PASSED", None)
    assert verdict.validation_time == at


def test_a_judgement_about_the_past_says_what_it_takes_for_granted(bench: Bench) -> None:
    document = bench.document(bench.signer("expired-recently"))
    status = bench.status("expired-recently", bench.day(10))
    verdict = bench.judge(document, status, at=bench.day(10.5))
    assert outcome(verdict) == ("TOTAL-PASSED", None)
    assert "validation_time_given" in codes(verdict, "warn")
    assert "validation_time_given" not in codes(bench.judge(document, status))
    assert "validation_time_given" not in codes(bench.judge(document, status, at=bench.now))


def test_changes_after(bench: Bench) -> None:
    from signsvc.types import Change, Grade

    def judged(*changes: Change) -> object:
        scope = Scope("REVISION", 1, 2, (), changes)
        return bench.judge(bench.document(bench.signer(), scope=scope), bench.status())

    bad = judged(Change(2, Grade.UNDEFINED, pages=(1,)))
    assert outcome(bad) == ("TOTAL-FAILED", "FORMAT_FAILURE")  # type: ignore[arg-type]
    assert str(bad.signatures[0].as_signed_indication) == "TOTAL-PASSED"  # type: ignore[attr-defined]
    forbidden = judged(Change(2, Grade.ANNOTATION, permitted=False))
    assert outcome(forbidden) == ("TOTAL-FAILED", "FORMAT_FAILURE")  # type: ignore[arg-type]
    assert outcome(judged(Change(2, Grade.FORM_OR_SIGNATURE, permitted=True))) == ("TOTAL-PASSED", None)  # type: ignore[arg-type]


def test_wanted(bench: Bench) -> None:
    signer = bench.signer()
    found = wanted(bench.document(signer, bench.token(bench.day(5), signer)))
    assert [c.der for c in found] == [bench.pki.cert("person"), bench.pki.cert("tsa1")]


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("person", None),
        ("expired", "certificate_expired"),
        ("not-yet-valid", "certificate_not_yet_valid"),
        ("revoked", "certificate_revoked"),
        ("suspended", "certificate_suspended"),
        ("wrong-usage", "certificate_not_for_signing"),
        ("unknown", "certificate_path_unknown"),
        ("of-revoked-ca", "certificate_revoked"),
    ],
)
def test_check_before_signing(bench: Bench, label: str, code: str | None) -> None:
    verdict = check_certificate(
        Certificate.from_der(bench.pki.cert(label)),
        pool=[Certificate.from_der(der) for der in bench.pki.chain(label)],
        material=bench.material(),
        evidence=bench.status(label),
        policy=bench.policy,
        now=bench.now,
    )
    assert verdict.code == code
    assert verdict.ok is (code is None)


def test_check_before_signing_without_status(bench: Bench) -> None:
    verdict = check_certificate(
        Certificate.from_der(bench.pki.cert("person")),
        pool=[Certificate.from_der(der) for der in bench.pki.chain("person")],
        material=bench.material(),
        evidence=[],
        policy=bench.policy,
        now=bench.now,
    )
    assert verdict.code == "certificate_status_unknown"
    assert len(verdict.chain) == 3


def test_long_ago_is_not_now(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer()), bench.status(at=bench.now - 40 * DAY))
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")
