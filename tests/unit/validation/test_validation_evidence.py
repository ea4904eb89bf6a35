"""What revocation data can know, who may have produced it, and until when a signature can be checked."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from signsvc.algorithms import DatedRow
from signsvc.asn1 import encode
from signsvc.types import Certificate, CertificateStatus, Change, Grade, Scope
from signsvc.validation import Role
from test_pki import der
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
OPEN = ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE")


def _expired_and_asked_today(bench: Bench, *extra: tuple[str, bool, bytes]) -> tuple[str, str | None]:
    """Signed and timestamped in time by a certificate that has expired since; the responder is asked today."""
    signer = bench.signer("expired")
    answer = bench.pki.ocsp("expired", "good", at=bench.now, extra=extra)
    evidence = [ocsp(answer), *bench.status("expired")[1:], *bench.status("tsa1")]
    return outcome(bench.judge(bench.document(signer, bench.token(bench.day(-100), signer)), evidence))


def test_answer_from_after_the_expiry(bench: Bench) -> None:
    assert _expired_and_asked_today(bench) == OPEN


@pytest.mark.parametrize(("day", "expected"), [(-365, PASSED), (-50, OPEN)])
def test_archive_cutoff(bench: Bench, day: float, expected: tuple[str, str | None]) -> None:
    cutoff = ("1.3.6.1.5.5.7.48.1.6", False, der.generalized_time(bench.day(day)))
    assert _expired_and_asked_today(bench, cutoff) == expected


@pytest.mark.parametrize(("right", "expected"), [(True, PASSED), (False, OPEN)])
def test_cert_hash(bench: Bench, right: bool, expected: tuple[str, str | None]) -> None:
    digest = hashlib.sha256(bench.pki.cert("expired") if right else b"other").digest()
    value = der.seq(der.seq(der.oid("sha256"), der.null()), der.octets(digest))
    assert _expired_and_asked_today(bench, ("1.3.36.8.3.13", False, value)) == expected


def test_cert_hash_of_another_certificate_is_no_good_answer(bench: Bench) -> None:
    value = der.seq(der.seq(der.oid("sha256"), der.null()), der.octets(b"\0" * 32))
    answer = bench.pki.ocsp("person", "good", at=bench.now, extra=(("1.3.36.8.3.13", False, value),))
    verdict = bench.judge(bench.document(bench.signer()), [ocsp(answer), *bench.status()[1:]])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")


def test_responder_must_be_valid_when_it_answered(bench: Bench) -> None:
    dates = {"not_before": bench.day(-50), "not_after": bench.day(10)}
    bench.pki.add("ocsp-ended", "ocsp-sub-g2-state", nocheck=False, **dates)
    answer = bench.pki.ocsp("person", "good", at=bench.now, signer="ocsp-ended")
    verdict = bench.judge(bench.document(bench.signer()), [ocsp(answer), *bench.status()[1:]])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")


def test_list_with_unknown_critical_extension(bench: Bench) -> None:
    """It gives no good status, but what it revokes is revoked."""
    odd = (("1.2.3.4", True, der.null()),)
    others = bench.status()[1:]
    good = crl(bench.pki.crl("sub-g2-state", bench.now, extra=odd))
    assert outcome(bench.judge(bench.document(bench.signer()), [good, *others])) == ("INDETERMINATE", "TRY_LATER")
    serial = Certificate.from_der(bench.pki.cert("person")).serial_number
    listed = bench.pki.crl("sub-g2-state", bench.now, entries=[(serial, bench.day(0), "keyCompromise")], extra=odd)
    assert outcome(bench.judge(bench.document(bench.signer()), [crl(listed), *others])) == (
        "INDETERMINATE",
        "REVOKED_NO_POE",
    )


def test_delta_list_revokes_and_clears_nothing(bench: Bench) -> None:
    delta = (("2.5.29.27", True, der.integer(1)),)
    others = bench.status()[1:]
    empty = crl(bench.pki.crl("sub-g2-state", bench.now, entries=[], extra=delta))
    assert outcome(bench.judge(bench.document(bench.signer()), [empty, *others])) == ("INDETERMINATE", "TRY_LATER")
    serial = Certificate.from_der(bench.pki.cert("person")).serial_number
    naming = bench.pki.crl("sub-g2-state", bench.now, entries=[(serial, bench.day(0), "superseded")], extra=delta)
    assert outcome(bench.judge(bench.document(bench.signer()), [crl(naming), *bench.status()])) == (
        "INDETERMINATE",
        "REVOKED_NO_POE",
    )


def test_revocation_that_a_later_list_forgot(bench: Bench) -> None:
    serial = Certificate.from_der(bench.pki.cert("person")).serial_number
    then = bench.pki.crl("sub-g2-state", bench.day(5), entries=[(serial, bench.day(4), "keyCompromise")])
    verdict = bench.judge(bench.document(bench.signer()), [crl(then), *bench.status()])
    assert outcome(verdict) == ("INDETERMINATE", "REVOKED_NO_POE")


def test_suspended_again(bench: Bench) -> None:
    serial = Certificate.from_der(bench.pki.cert("person")).serial_number
    held = bench.pki.crl("sub-g2-state", bench.now, entries=[(serial, bench.day(29), "certificateHold")])
    good = ocsp(bench.pki.ocsp("person", "good", at=bench.day(10)))
    verdict = bench.judge(bench.document(bench.signer()), [crl(held), good, *bench.status()[1:]])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")
    assert verdict.signatures[0].chain[0].status is CertificateStatus.ON_HOLD


def test_answers_of_today_count_for_a_judgement_about_the_past(bench: Bench) -> None:
    document = bench.document(bench.signer("revoked-later"))
    assert outcome(bench.judge(document, bench.status("revoked-later"), at=bench.day(10))) == PASSED
    assert outcome(bench.judge(document, bench.status("revoked-later"))) == ("INDETERMINATE", "REVOKED_NO_POE")


@pytest.mark.parametrize("signed", [True, False])
def test_revocation_values_in_the_signed_attributes_are_as_old_as_the_signature(bench: Bench, signed: bool) -> None:
    """Five years on the responder has expired: its answer counts where the timestamp over the signature covers it."""
    from test_pki.timestamps import attribute

    answer, listed = bench.pki.ocsp("person", at=bench.day(20)), bench.pki.crl("root-g2", bench.day(20), 30 * DAY)
    values = der.seq(der.explicit(0, der.seq(listed)), der.explicit(1, der.seq(answer)))
    archival = attribute("1.2.840.113583.1.1.8", values)
    signer = bench.signer(attributes=[archival] if signed else [])
    document = bench.document(signer, bench.token(bench.day(20), signer), evidence=[ocsp(answer), crl(listed)])
    later = bench.now + 5 * YEAR
    verdict = bench.judge(document, bench.status("tsa1", at=later), now=later)
    assert outcome(verdict) == (PASSED if signed else ("INDETERMINATE", "REVOCATION_OUT_OF_BOUNDS_NO_POE"))


# Names, order and algorithms of tokens.


@pytest.mark.parametrize(("label", "warns"), [("tsa1", False), ("tsa2", True)])
def test_name_in_the_token(bench: Bench, label: str, warns: bool) -> None:
    signer = bench.signer()
    name = Certificate.from_der(bench.pki.cert(label)).subject_der
    token = replace(bench.token(bench.day(10), signer), tsa_name_der=encode(0xA4, name))
    verdict = bench.judge(bench.document(signer, token), bench.full())
    assert outcome(verdict) == PASSED
    assert verdict.signatures[0].time_source == "timestamp"
    assert ("tsa_name_differs" in token_codes(verdict)) is warns


def test_authority_that_orders_its_tokens_is_held_to_it(bench: Bench) -> None:
    signer = bench.signer()
    content = bench.token(bench.day(10) + DAY / 86400, kind="content", name="c1", over=b"content", accuracy=1)
    stamped = bench.token(bench.day(10), signer, accuracy=1)
    ordered = bench.document(signer, replace(content, ordering=True), replace(stamped, ordering=True))
    assert outcome(bench.judge(ordered, bench.full())) == ("INDETERMINATE", "TIMESTAMP_ORDER_FAILURE")


def test_document_timestamp_that_claims_to_be_older(bench: Bench) -> None:
    signer = bench.signer()
    late = bench.token(bench.day(10), kind="document", name="d1", over=b"file", revision=2)
    document = bench.document(signer, bench.token(bench.day(20), signer), document_tokens=[late])
    assert outcome(bench.judge(document, bench.full())) == ("INDETERMINATE", "TIMESTAMP_ORDER_FAILURE")


def test_signature_algorithm_of_the_token(bench: Bench) -> None:
    signer = bench.signer()
    token = bench.token(bench.day(10), signer)
    rows = {**bench.policy.algorithms}
    rows[Role.TOKEN] = tuple(
        DatedRow(r.algorithm, r.min_bits, bench.day(15) if r.algorithm == "rsa-pkcs1v15" else r.not_after)
        for r in rows[Role.TOKEN]
    )
    verdict = bench.judge(bench.document(signer, token), bench.full(), algorithms=rows)
    assert verdict.signatures[0].time_source == "claimed"
    assert verdict.signatures[0].timestamps[0].sub_indication == "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    assert str(verdict.signatures[0].indication) == "TOTAL-PASSED"


def test_failed_document_timestamp_is_told(bench: Bench) -> None:
    broken = bench.token(bench.day(10), kind="document", name="d1", over=b"file", revision=2, flip=True)
    verdict = bench.judge(bench.document(bench.signer(), document_tokens=[broken]), bench.full())
    assert outcome(verdict) == PASSED
    assert "timestamp_not_valid" in codes(verdict, "warn")


def test_reference_to_another_certificate(bench: Bench) -> None:
    from test_pki import timestamps

    wrong = timestamps.signing_certificate(bench.pki.cert("person2"))
    signer = bench.signer(reference=None, attributes=[wrong])
    verdict = bench.judge(bench.document(signer), bench.status())
    assert str(verdict.indication) == "INDETERMINATE"
    assert "cms_reference_digest_differs" in codes(verdict, "fail")


# Until when a signature can be checked.


def test_extend_before(bench: Bench) -> None:
    signer = bench.signer()
    leaf = Certificate.from_der(bench.pki.cert("person"))
    stamped = bench.token(bench.day(20), signer, tsa="tsa1")
    evidence = [replace(e, revision=2) for e in bench.full(at=bench.day(21))]
    archive = bench.token(bench.day(22), kind="document", name="d1", over=b"file", revision=3)

    def ends(level: str, **parts: object) -> object:
        tokens = parts.pop("tokens", ())
        document = bench.document(signer, *tokens, level=level, **parts)  # type: ignore[misc, arg-type]
        verdict = bench.judge(document, bench.full())
        assert outcome(verdict) == PASSED
        return verdict.signatures[0].extend_before

    responder = Certificate.from_der(bench.pki.cert("ocsp-sub-g2-state"))
    authority = Certificate.from_der(bench.pki.cert("tsa1"))
    assert ends("B-B") == leaf.not_after
    assert ends("B-T", tokens=[stamped]) == leaf.not_after
    assert ends("B-LT", tokens=[stamped], evidence=evidence) == responder.not_after
    scope = Scope("REVISION", 1, 3, (), (Change(3, Grade.EXTENSION),))
    assert (
        ends("B-LTA", tokens=[stamped], evidence=evidence, document_tokens=[archive], scope=scope)
        == authority.not_after
    )


def test_extend_before_an_algorithm_ends(bench: Bench) -> None:
    rows = {**bench.policy.algorithms}
    for role in (Role.SIGNATURE, Role.CERTIFICATE):
        rows[role] = tuple(
            replace(r, not_after=bench.now + YEAR) if r.algorithm == "rsa-pkcs1v15" else r for r in rows[role]
        )
    verdict = bench.judge(bench.document(bench.signer()), bench.status(), algorithms=rows)
    assert verdict.signatures[0].extend_before == bench.now + YEAR


def test_nothing_to_extend_where_it_did_not_pass(bench: Bench) -> None:
    assert bench.judge(bench.document(bench.signer())).signatures[0].extend_before is None


def test_list_whose_issuer_stands_below_what_it_judges(bench: Bench) -> None:
    """A CA that gave one of its own the root's name cannot have it clear itself."""
    bench.pki.add(
        "under-root-name",
        "sub-g2-party",
        subject=bench.pki.spec("root-g2").subject,
        issuer="sub-g2-state",
        key="sub-g2-party",
    )
    listed = crl(bench.pki.crl("under-root-name", bench.now, entries=[]))
    known = certificate(bench.pki.cert("under-root-name"))
    verdict = bench.judge(bench.document(bench.signer()), [bench.status()[0], listed, known])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")
    assert [str(e.status) for e in verdict.signatures[0].chain] == ["good", "unknown", "not_checked"]


def test_answer_with_unknown_critical_extension(bench: Bench) -> None:
    answer = bench.pki.ocsp("person", "good", at=bench.now, extra=(("1.2.3.4", True, der.null()),))
    verdict = bench.judge(bench.document(bench.signer()), [ocsp(answer), *bench.status()[1:]])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")


def test_token_dated_before_its_authority(bench: Bench) -> None:
    """A back-dated token: its certificate did not exist yet at the time that it names."""
    bench.pki.add("tsa-young", "tsa1", not_before=bench.day(5))
    signer = bench.signer()
    evidence = [*bench.full(), *bench.status("tsa-young")]
    for day, source in ((4, "claimed"), (6, "timestamp")):
        token = bench.token(bench.day(day), signer, tsa="tsa-young")
        verdict = bench.judge(bench.document(signer, token), evidence)
        assert verdict.signatures[0].time_source == source
    young = bench.judge(bench.document(signer, bench.token(bench.day(4), signer, tsa="tsa-young")), evidence)
    assert "timestamp_outside_certificate" in token_codes(young)


def test_archive_timestamp_whose_index_lists_what_is_gone(bench: Bench) -> None:
    """EN 319 122-1 §5.5.2: such an index is invalid.  The signature timestamp stays, and with it the level below."""
    from tests.unit.cms.test_cms_timestamps import archive

    chain = tuple(bench.pki.chain("person"))
    for certs, indication, level in ((chain, "TOTAL-PASSED", "B-LTA"), (chain[:1], "TOTAL-FAILED", "B-LT")):
        signer = archive(bench.pki, certs=certs, listed=chain)
        document = bench.document(None)
        view = replace(document.signatures[0], id="S", signer=signer, level="B-LTA")
        verdict = bench.judge(replace(document, signatures=(view,)), bench.full())
        found = verdict.signatures[0]
        archived = next(t for t in found.timestamps if t.kind == "archive")
        assert (str(archived.indication), found.level) == (indication, level)
