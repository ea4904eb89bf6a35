"""Validation with time and long-term validation: what timestamps prove, and what they cannot mend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from signsvc.types import Certificate, Scope
from tests.unit.validation.validation_bench import (
    DAY,
    YEAR,
    Bench,
    certificate,
    codes,
    crl,
    ocsp,
    outcome,
    token_codes,
)

PASSED = ("TOTAL-PASSED", None)


def test_timestamp_gives_the_time(bench: Bench) -> None:
    signer = bench.signer()
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(20), signer), level="B-T"), bench.full())
    assert outcome(verdict) == PASSED
    signature = verdict.signatures[0]
    assert signature.best_signature_time == bench.day(20)
    assert signature.time_source == "timestamp"
    assert signature.level == "B-T"
    assert signature.timestamps[0].tsa == "Test TSA 1"
    assert {c.id: c.result for c in signature.checks}["timestamp"] == "passed"
    assert codes(verdict, "warn") == set()


# The four false passes of verdict-rules §1.


def test_timestamp_after_the_certificate_expired(bench: Bench) -> None:
    later = bench.now + 4 * YEAR
    leaf = bench.pki.issue("person", not_before=bench.day(-300), not_after=bench.day(-100))
    signer = bench.signer(leaf, key="person", include=[leaf, *bench.pki.chain("person")[1:]])
    evidence = [
        ocsp(bench.pki.ocsp(leaf, "good", at=bench.day(-110), issuer="sub-g2-state")),
        *bench.full(at=later),
    ]
    verdict = bench.judge(bench.document(signer, bench.token(later - DAY, signer)), evidence, now=later)
    assert outcome(verdict) == ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE")
    assert "signed_after_expiry" in codes(verdict, "fail")


def test_authority_revoked_before_the_timestamp(bench: Bench) -> None:
    signer = bench.signer("of-revoked-ca")
    verdict = bench.judge(
        bench.document(signer, bench.token(bench.day(20), signer)),
        [*bench.status("of-revoked-ca"), *bench.status("tsa1")],
    )
    assert outcome(verdict) == ("INDETERMINATE", "REVOKED_CA_NO_POE")


def _expired_signer(bench: Bench) -> tuple[bytes, bytes]:
    """A certificate that expired at day -60 and the list of today that no longer names it."""
    return bench.pki.cert("expired"), bench.pki.crl("sub-g2-state", bench.now, entries=[])


def test_list_from_after_the_expiry_does_not_know_the_certificate(bench: Bench) -> None:
    signer = bench.signer("expired")
    evidence = [crl(_expired_signer(bench)[1]), crl(bench.pki.crl("root-g2", bench.now)), *bench.status("tsa1")]
    document = bench.document(signer, bench.token(bench.day(-100), signer))
    assert outcome(bench.judge(document, evidence)) == ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE")


@pytest.mark.parametrize("how", ["expiredCertsOnCRL", "policy", "profile"])
def test_list_that_keeps_expired_certificates_does(bench: Bench, how: str) -> None:
    from test_pki import der

    signer = bench.signer("expired")
    extra = ()
    ca = Certificate.from_der(bench.pki.cert("sub-g2-state")).sha256
    policy, material = {}, bench.material()
    if how == "expiredCertsOnCRL":
        extra = (("2.5.29.60", False, der.generalized_time(bench.day(-365))),)
    elif how == "policy":
        policy = {"keeps_expired_since": {ca: bench.day(-365)}}
    else:
        material = bench.material(keeps_expired_since={ca: bench.day(-365)})
    listed = bench.pki.crl("sub-g2-state", bench.now, entries=[], extra=extra)
    evidence = [crl(listed), crl(bench.pki.crl("root-g2", bench.now)), *bench.status("tsa1")]
    document = bench.document(signer, bench.token(bench.day(-100), signer))
    assert outcome(bench.judge(document, evidence, material=material, **policy)) == PASSED
    # Without a timestamp the certificate is known not to be revoked, and that is all.
    bare = bench.judge(bench.document(signer), evidence, material=material, **policy)
    assert outcome(bare) == ("INDETERMINATE", "OUT_OF_BOUNDS_NOT_REVOKED")


def test_list_older_than_the_certificate_says_nothing(bench: Bench) -> None:
    leaf = bench.pki.issue("person", not_before=bench.day(29), not_after=bench.day(400))
    signer = bench.signer(leaf, key="person", include=[leaf, *bench.pki.chain("person")[1:]])
    old = bench.pki.crl("sub-g2-state", bench.day(28), next_update=30 * DAY)
    verdict = bench.judge(bench.document(signer), [crl(old), *bench.status()[1:]])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")


# Revocation and time.


def test_revoked_after_the_proven_time(bench: Bench) -> None:
    signer = bench.signer("revoked-later")
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(10), signer)), bench.full("revoked-later"))
    assert outcome(verdict) == PASSED
    assert "certificate_revoked_later" in codes(verdict, "info")


def test_revoked_before_the_proven_time(bench: Bench) -> None:
    signer = bench.signer("revoked")
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(10), signer)), bench.full("revoked"))
    assert outcome(verdict) == ("INDETERMINATE", "REVOKED_NO_POE")


def test_on_hold_only_after_the_proven_time(bench: Bench) -> None:
    signer = bench.signer("suspended")
    good = bench.document(signer, bench.token(bench.day(-6), signer))
    assert outcome(bench.judge(good, bench.full("suspended"))) == PASSED
    bad = bench.document(signer, bench.token(bench.day(-4), signer))
    assert outcome(bench.judge(bad, bench.full("suspended"))) == ("INDETERMINATE", "TRY_LATER")


def test_before_the_certificate(bench: Bench) -> None:
    signer = bench.signer()
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(-301), signer)), bench.full())
    assert outcome(verdict) == ("TOTAL-FAILED", "NOT_YET_VALID")


def test_authority_revoked_later_needs_proven_revocation_data(bench: Bench) -> None:
    """Of a CA revoked at day -10: signed at day -20, status of day -19 with and without a proof of its age."""
    signer = bench.signer("of-revoked-ca")
    status = ocsp(bench.pki.ocsp("of-revoked-ca", "good", at=bench.day(-19)), revision=1)
    above = [crl(bench.pki.crl("root-g2", bench.now, next_update=30 * DAY)), *bench.status("tsa1")]
    stamped = bench.token(bench.day(-20), signer)
    plain = bench.document(signer, stamped, evidence=[status])
    assert outcome(bench.judge(plain, above)) == ("INDETERMINATE", "REVOKED_CA_NO_POE")
    archive = bench.token(bench.day(-15), kind="document", name="d1", over=b"file", revision=2)
    proven = bench.document(
        signer, stamped, evidence=[status], document_tokens=[archive], scope=Scope("REVISION", 1, 2)
    )
    assert outcome(bench.judge(proven, above)) == PASSED
    late = bench.token(bench.day(-5), kind="document", name="d1", over=b"file", revision=2)
    unproven = replace(proven, timestamps=(late,))
    assert outcome(bench.judge(unproven, above)) == ("INDETERMINATE", "REVOKED_CA_NO_POE")


def test_old_revocation_data_whose_issuer_expired(bench: Bench) -> None:
    """Ten years on: the responder has expired; only an archive timestamp says that its answer is old."""
    signer = bench.signer()
    evidence = [replace(item, revision=1) for item in bench.status(at=bench.day(21))]
    later = bench.now + 5 * YEAR
    tsa = bench.status("tsa1", at=later)
    stamped = bench.token(bench.day(20), signer)
    document = bench.document(signer, stamped, evidence=evidence)
    assert outcome(bench.judge(document, tsa, now=later)) == ("INDETERMINATE", "REVOCATION_OUT_OF_BOUNDS_NO_POE")
    archive = bench.token(bench.day(25), kind="document", name="d1", over=b"file", revision=2)
    renewed = replace(document, timestamps=(archive,))
    assert outcome(bench.judge(renewed, tsa, now=later)) == PASSED


def test_good_bt_lt_stays_good_after_the_signer_expired(bench: Bench) -> None:
    signer = bench.signer()
    later = bench.now + 3 * YEAR
    document = bench.document(signer, bench.token(bench.day(20), signer), evidence=bench.full(at=bench.day(21)))
    assert outcome(bench.judge(document, now=later)) == PASSED
    bare = bench.document(signer, evidence=bench.full(at=bench.day(21)))
    assert outcome(bench.judge(bare, now=later)) == ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE")


def test_current_status_may_be_demanded(bench: Bench) -> None:
    from signsvc.validation import Freshness

    signer = bench.signer()
    document = bench.document(signer, bench.token(bench.day(-20), signer), evidence=bench.full(at=bench.day(-19)))
    assert outcome(bench.judge(document)) == PASSED
    strict = bench.judge(document, freshness=Freshness(at="now"))
    assert outcome(strict) == ("INDETERMINATE", "TRY_LATER")


# Content timestamps: the lower bound.


def _content(bench: Bench, label: str, day: float) -> tuple[object, object]:
    signer = bench.signer(label)
    return signer, bench.token(bench.day(day), kind="content", name="c1", over=b"content")


def test_made_after_revocation(bench: Bench) -> None:
    signer, content = _content(bench, "revoked", 5)
    stamped = bench.token(bench.day(10), signer)  # type: ignore[arg-type]
    verdict = bench.judge(bench.document(signer, content, stamped), bench.full("revoked"))  # type: ignore[arg-type]
    assert outcome(verdict) == ("TOTAL-FAILED", "REVOKED")


def test_made_after_expiry(bench: Bench) -> None:
    signer, content = _content(bench, "expired", -10)
    verdict = bench.judge(bench.document(signer, content), bench.full("expired"))  # type: ignore[arg-type]
    assert outcome(verdict) == ("TOTAL-FAILED", "EXPIRED")


def test_content_timestamp_after_the_signature_timestamp(bench: Bench) -> None:
    signer, content = _content(bench, "person", 10)
    early = bench.token(bench.day(5), signer)  # type: ignore[arg-type]
    verdict = bench.judge(bench.document(signer, content, early), bench.full())  # type: ignore[arg-type]
    assert outcome(verdict) == ("INDETERMINATE", "TIMESTAMP_ORDER_FAILURE")


def test_order_allows_for_accuracy(bench: Bench) -> None:
    signer = bench.signer()
    content = bench.token(bench.day(10) + DAY / 86400, kind="content", name="c1", over=b"content", accuracy=1)
    stamped = bench.token(bench.day(10), signer, accuracy=1)
    assert outcome(bench.judge(bench.document(signer, content, stamped), bench.full())) == PASSED


# Tokens are judged themselves.


def test_one_bad_token_never_spoils_a_good_one(bench: Bench) -> None:
    signer = bench.signer()
    broken = bench.token(bench.day(1), signer, name="t0", flip=True)
    verdict = bench.judge(bench.document(signer, broken, bench.token(bench.day(20), signer)), bench.full())
    assert outcome(verdict) == PASSED
    assert verdict.signatures[0].best_signature_time == bench.day(20)
    assert verdict.signatures[0].timestamps[0].sub_indication == "SIG_CRYPTO_FAILURE"
    assert "timestamp_not_valid" in codes(verdict, "warn")


def test_token_of_another_signature(bench: Bench) -> None:
    other = bench.token(bench.day(20), bench.signer("ec"))
    signer = bench.signer()
    stolen = replace(other, imprint_matches=False)
    verdict = bench.judge(bench.document(signer, stolen, level="B-T"), bench.full())
    assert outcome(verdict) == PASSED
    signature = verdict.signatures[0]
    assert signature.level == "B-B"
    assert signature.timestamps[0].sub_indication == "HASH_FAILURE"
    assert signature.time_source == "claimed"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"tsa": "tsa-no-eku"}, "tsa_certificate_purpose"),
        ({"tsa": "tsa-wrong-eku"}, "tsa_certificate_purpose"),
        ({"tsa": "tsa1", "key_usage": ("keyEncipherment",)}, "tsa_certificate_purpose"),
        ({"tsa": "tsa-unknown"}, "no_certificate_chain"),
        ({"tsa": "tsa-expired"}, "certificate_expired"),
        ({"tsa": "tsa-revoked"}, "certificate_revoked"),
        ({"key": "tsa2"}, "signature_value_wrong"),
        ({"hash": "sha1"}, "algorithm_not_reliable"),
    ],
)
def test_bad_tokens_prove_nothing(bench: Bench, options: dict[str, Any], code: str) -> None:
    signer = bench.signer()
    token = bench.token(bench.day(10), signer, **options)
    tsa = options.get("tsa", "tsa1")
    evidence = [*bench.full(), *(bench.status(tsa) if tsa != "tsa-unknown" else [])]
    verdict = bench.judge(bench.document(signer, token), evidence)
    assert outcome(verdict) == PASSED
    assert verdict.signatures[0].time_source == "claimed"
    assert code in token_codes(verdict)


@pytest.mark.parametrize("tsa", ["tsa-eku-not-critical", "tsa-two-ekus"])
def test_shared_purpose(bench: Bench, tsa: str) -> None:
    """RFC 3161 §2.3: timestamping is the only purpose, and critical.  A policy may put up with others by name."""
    signer = bench.signer()
    document = bench.document(signer, bench.token(bench.day(10), signer, tsa=tsa))
    evidence = [*bench.status(), *bench.status(tsa)]
    verdict = bench.judge(document, evidence)
    assert verdict.signatures[0].time_source == "claimed"
    assert str(verdict.signatures[0].timestamps[0].sub_indication) == "CHAIN_CONSTRAINTS_FAILURE"
    lenient = bench.judge(document, evidence, levels={"tsa_certificate_purpose_shared": "warn"})
    assert lenient.signatures[0].time_source == "timestamp"
    assert "tsa_certificate_purpose_shared" in token_codes(lenient)


def test_token_from_the_future(bench: Bench) -> None:
    signer = bench.signer()
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(31), signer)), bench.full())
    assert verdict.signatures[0].timestamps[0].sub_indication == "TIMESTAMP_ORDER_FAILURE"
    assert verdict.signatures[0].time_source == "claimed"


def test_sha1_imprint_counts_only_while_it_was_reliable(bench: Bench) -> None:
    """A SHA-1 imprint with a newer, strong timestamp over it from before its end stays; without one it does not."""
    signer = bench.signer()
    weak = bench.token(bench.day(10), signer, hash="sha1")
    strong = bench.token(bench.day(12), kind="document", name="d1", over=b"file", revision=2)
    document = bench.document(signer, weak, document_tokens=[strong])
    from signsvc.algorithms import DatedRow
    from signsvc.validation import Role

    rows = {**bench.policy.algorithms}
    rows[Role.IMPRINT] = (DatedRow("sha1", 0, bench.day(15)), DatedRow("sha256", 0, None))
    with_renewal = bench.judge(document, bench.full(), algorithms=rows)
    assert with_renewal.signatures[0].best_signature_time == bench.day(10)
    alone = bench.judge(replace(document, timestamps=()), bench.full(), algorithms=rows)
    assert alone.signatures[0].time_source == "claimed"
    assert "algorithm_not_reliable_no_proof" in token_codes(alone)


def test_expired_authority_with_and_without_renewal(bench: Bench) -> None:
    """tsa-short ends at day 20: its token holds only where a newer one from before that day covers it."""
    signer = bench.signer()
    short = bench.token(bench.day(5), signer, tsa="tsa-short")
    evidence = [*bench.full(), *bench.status("tsa-short", at=bench.day(6))]
    alone = bench.judge(bench.document(signer, short), evidence)
    assert alone.signatures[0].timestamps[0].sub_indication == "OUT_OF_BOUNDS_NO_POE"
    for day, passed in ((15, True), (25, False)):
        renewal = bench.token(bench.day(day), kind="document", name="d1", over=b"file", revision=2)
        verdict = bench.judge(bench.document(signer, short, document_tokens=[renewal]), evidence)
        assert outcome(verdict) == PASSED
        expected = bench.day(5) if passed else bench.day(25)
        assert verdict.signatures[0].best_signature_time == expected


def test_document_timestamp_before_the_signature_proves_nothing_for_it(bench: Bench) -> None:
    signer = bench.signer()
    earlier = bench.token(bench.day(3), kind="document", name="d1", over=b"file", revision=1)
    document = bench.document(signer, document_tokens=[earlier], scope=Scope("FULL", 2, 2), level="B-T")
    verdict = bench.judge(document, bench.full())
    assert verdict.signatures[0].time_source == "claimed"
    assert verdict.signatures[0].level == "B-B"
    assert str(verdict.timestamps[0].indication) == "TOTAL-PASSED"


def test_anchor_sunset(bench: Bench) -> None:
    from signsvc.trust import TrustAnchor

    root = Certificate.from_der(bench.pki.cert("root-g2"))
    public = Certificate.from_der(bench.pki.cert("root-public"))
    bench.pki.add("tsa-public", "tsa1", issuer="ca-public1")
    material = bench.material(anchors=(TrustAnchor(root, "G2", bench.day(15)), TrustAnchor(public, "public")))
    sub = Certificate.from_der(bench.pki.cert("sub-g2-state"))
    signer = bench.signer()
    evidence = [replace(e, revision=1) for e in [*bench.status(at=bench.day(11)), *bench.status("tsa-public")]]
    stamped = bench.token(bench.day(10), signer, tsa="tsa-public")
    archive = bench.token(bench.day(12), kind="document", name="d1", over=b"file", revision=2, tsa="tsa-public")
    before = bench.document(signer, stamped, evidence=evidence, document_tokens=[archive])
    assert outcome(bench.judge(before, material=material)) == PASSED
    late = bench.document(signer, bench.token(bench.day(20), signer, tsa="tsa-public"), evidence=evidence)
    verdict = bench.judge(late, material=material, known_since={sub.sha256: bench.day(-100)})
    assert outcome(verdict) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND_NO_POE")
    # Signed in time, but nothing proves that the intermediate is as old.
    known_signer = bench.document(signer, stamped, evidence=evidence)
    lone = bench.judge(known_signer, material=material)
    assert lone.signatures[0].sub_indication in ("NO_CERTIFICATE_CHAIN_FOUND_NO_POE", "NO_POE")


def test_claimed_time_seven_hours_ahead(bench: Bench) -> None:
    signer = bench.signer(claimed=bench.day(20) + DAY * 7 / 24)
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(20), signer)), bench.full())
    assert outcome(verdict) == PASSED
    assert "claimed_time_local_as_utc" in codes(verdict, "info")
    assert codes(verdict, "warn") == set()


def test_claimed_time_after_the_proof(bench: Bench) -> None:
    signer = bench.signer(claimed=bench.day(23))
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(20), signer)), bench.full())
    assert "claimed_time_after_proof" in codes(verdict, "warn")


def test_timestamp_demanded_and_delay(bench: Bench) -> None:
    signer = bench.signer(claimed=bench.day(18))
    bare = bench.judge(bench.document(signer), bench.full(), timestamp="required")
    assert outcome(bare) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")
    stamped = bench.document(signer, bench.token(bench.day(20), signer), level="B-T")
    assert outcome(bench.judge(stamped, bench.full(), timestamp="required")) == PASSED
    delayed = bench.judge(stamped, bench.full(), timestamp_delay=3600)
    assert outcome(delayed) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")
    assert outcome(bench.judge(stamped, bench.full(), required_level="B-LT")) == (
        "INDETERMINATE",
        "SIG_CONSTRAINTS_FAILURE",
    )


def test_demanded_level_needs_valid_timestamps(bench: Bench) -> None:
    """Anybody can make a token over the value: a policy that demands a level demands one that counts."""
    signer = bench.signer()
    unknown = bench.token(bench.day(10), signer, tsa="tsa-unknown")
    refused = bench.judge(bench.document(signer, unknown, level="B-T"), bench.full(), required_level="B-T")
    assert outcome(refused) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")
    assert "level_too_low" in codes(refused)
    assert refused.signatures[0].level == "B-T"  # what is there is still named
    trusted = bench.token(bench.day(10), signer, name="t2")
    assert (
        outcome(bench.judge(bench.document(signer, unknown, trusted, level="B-T"), bench.full(), required_level="B-T"))
        == PASSED
    )
    archive = bench.token(bench.day(20), kind="document", name="d1", over=b"all", revision=2, tsa="tsa-unknown")
    held = bench.document(signer, trusted, level="B-LTA", scope=Scope("REVISION", 1, 2), document_tokens=[archive])
    assert outcome(bench.judge(held, bench.full(), required_level="B-LT")) == PASSED
    assert outcome(bench.judge(held, bench.full(), required_level="B-LTA")) == (
        "INDETERMINATE",
        "SIG_CONSTRAINTS_FAILURE",
    )


# What a timestamp does not prove.


def test_what_stands_inside_a_document_timestamp_is_not_proven_by_it(bench: Bench) -> None:
    """The responder expired in year 4: an answer of its key that somebody put into the token's own octets since."""
    signer = bench.signer()
    later = bench.now + 5 * YEAR
    stamped = bench.token(bench.day(20), signer)
    answer = ocsp(bench.pki.ocsp("person", at=bench.day(21)))
    rest = [crl(bench.pki.crl("root-g2", bench.day(21), next_update=30 * DAY)), *bench.status("tsa1", at=later)]
    archive = bench.token(bench.day(25), kind="document", name="d1", over=b"file", revision=2)
    outside = bench.document(
        signer,
        stamped,
        evidence=[replace(answer, revision=1)],
        document_tokens=[archive],
        scope=Scope("REVISION", 1, 2),
    )
    assert outcome(bench.judge(outside, rest, now=later)) == PASSED
    held = replace(archive, evidence=(answer,))
    inside = bench.document(signer, stamped, document_tokens=[held], scope=Scope("REVISION", 1, 2))
    assert outcome(bench.judge(inside, rest, now=later)) == ("INDETERMINATE", "REVOCATION_OUT_OF_BOUNDS_NO_POE")
    # A later timestamp covers those octets, so from then on they are proven: here while the responder was valid.
    again = bench.token(bench.day(26), kind="document", name="d2", over=b"file2", revision=3)
    covered = replace(inside, timestamps=(held, again))
    assert outcome(bench.judge(covered, rest, now=later)) == PASSED


@pytest.mark.parametrize("reference", ["sha256", None])
def test_certificate_that_the_signature_does_not_name(bench: Bench, reference: str | None) -> None:
    """Its CA was revoked later: whoever holds that key can issue a certificate for the signer's key, with any dates."""
    signer = bench.signer("of-revoked-ca", reference=reference)
    evidence = [
        ocsp(bench.pki.ocsp("of-revoked-ca", "good", at=bench.day(-19)), revision=1),
        crl(bench.pki.crl("root-g2", bench.now, next_update=30 * DAY)),
        *bench.status("tsa1"),
    ]
    early = bench.token(bench.day(-15), kind="document", name="d1", over=b"file", revision=2)
    stamped = bench.token(bench.day(-20), signer)
    document = bench.document(
        signer, stamped, evidence=evidence[:1], document_tokens=[early], scope=Scope("REVISION", 1, 2)
    )
    assert outcome(bench.judge(document, evidence[1:])) == PASSED  # inside the signature that the archive covers
    outside = replace(signer, certificates=(), evidence=())
    moved = bench.document(
        outside, stamped, evidence=evidence[:1], document_tokens=[early], scope=Scope("REVISION", 1, 2)
    )
    known = [certificate(der) for der in bench.pki.chain("of-revoked-ca")]
    verdict = bench.judge(moved, [*known, *evidence[1:]], known_since=_known(bench, "sub-g2-revoked"))
    assert outcome(verdict) == (PASSED if reference else ("INDETERMINATE", "NO_POE"))


def _known(bench: Bench, label: str) -> dict[bytes, object]:
    return {Certificate.from_der(bench.pki.cert(label)).sha256: bench.day(-300)}
