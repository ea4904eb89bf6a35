"""Lists that say something together, what they say of suspicion, and responders that nobody looks after."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from signsvc.types import Certificate, CertificateStatus, EvidenceItem
from test_pki import der, revocation
from tests.unit.validation.validation_bench import DAY, Bench, codes, crl, ocsp, outcome

PASSED = ("TOTAL-PASSED", None)
OPEN = ("INDETERMINATE", "TRY_LATER")
CA = "sub-g2-state"
COMPROMISE, REST = (1, 2), (3, 4, 5, 6, 7, 8)


def scope(reasons: tuple[int, ...] = (), **flags: bool) -> tuple[str, bool, bytes]:
    parts = []
    if flags.get("only_user"):
        parts.append(der.implicit(1, b"\xff"))
    if flags.get("only_ca"):
        parts.append(der.implicit(2, b"\xff"))
    if reasons:
        bits = sum(0x8000 >> n for n in reasons).to_bytes(2, "big")
        parts.append(der.implicit(3, b"\x07" + bits))
    if flags.get("only_attribute"):
        parts.append(der.implicit(5, b"\xff"))
    return ("2.5.29.28", True, der.seq(*parts))


def delta_of(number: int) -> tuple[str, bool, bytes]:
    return ("2.5.29.27", True, der.integer(number))


def listed(bench: Bench, at: datetime, *extra: tuple[str, bool, bytes], **options: Any) -> EvidenceItem:
    options = {"entries": [], **options}
    return crl(bench.pki.crl(CA, at, extra=extra, **options))


def entry(bench: Bench, at: datetime, reason: str) -> tuple[int, datetime, str]:
    return (Certificate.from_der(bench.pki.cert("person")).serial_number, at, reason)


def judged(bench: Bench, *lists: EvidenceItem) -> tuple[str, str | None]:
    return outcome(bench.judge(bench.document(bench.signer()), [*lists, *bench.status()[1:]]))


def test_lists_for_some_reasons_count_together(bench: Bench) -> None:
    one, two = (listed(bench, bench.now, scope(reasons)) for reasons in (COMPROMISE, REST))
    assert judged(bench, one) == judged(bench, two) == OPEN
    assert judged(bench, one, two) == judged(bench, two, one) == PASSED
    assert judged(bench, one, listed(bench, bench.now, scope(REST[1:]))) == OPEN


def test_lists_for_some_reasons_are_as_fresh_as_the_oldest(bench: Bench) -> None:
    new, old = listed(bench, bench.now, scope(COMPROMISE)), listed(bench, bench.day(-20), scope(REST))
    assert judged(bench, new, old) == OPEN
    assert judged(bench, new, old, listed(bench, bench.now - DAY, scope(REST))) == PASSED


def test_one_list_for_some_reasons_revokes(bench: Bench) -> None:
    bad = listed(bench, bench.now, scope(COMPROMISE), entries=[entry(bench, bench.day(0), "keyCompromise")])
    assert judged(bench, bad, *(listed(bench, bench.now, scope(REST)),)) == ("INDETERMINATE", "REVOKED_NO_POE")


def test_parts_by_different_keys_are_not_put_together(bench: Bench) -> None:
    """The other part is signed by a key that may not speak for the authority."""
    one = listed(bench, bench.now, scope(COMPROMISE))
    assert judged(bench, one, listed(bench, bench.now, scope(REST), signer="sub-g2-party")) == OPEN


@pytest.mark.parametrize(("flags", "expected"), [({"only_user": True}, PASSED), ({"only_ca": True}, OPEN),
                                                 ({"only_attribute": True}, OPEN)])  # fmt: skip
def test_the_kind_of_certificate(bench: Bench, flags: dict[str, bool], expected: tuple[str, str | None]) -> None:
    assert judged(bench, listed(bench, bench.now, scope(**flags))) == expected


def test_a_delta_keeps_a_complete_list_fresh(bench: Bench) -> None:
    old = listed(bench, bench.day(-20), number=10)
    assert judged(bench, old) == OPEN
    assert judged(bench, old, listed(bench, bench.now, delta_of(10), number=12)) == PASSED
    assert judged(bench, old, listed(bench, bench.now, delta_of(9), number=12)) == PASSED


@pytest.mark.parametrize(
    ("base", "number", "more"),
    [(11, 12, ()), (10, 10, ()), (5, 9, ()), (10, 12, (scope(only_user=True),))],
    ids=["of a later list", "not newer", "older", "of another scope"],
)
def test_a_delta_that_does_not_continue_the_list(
    bench: Bench, base: int, number: int, more: tuple[tuple[str, bool, bytes], ...]
) -> None:
    old = listed(bench, bench.day(-20), number=10)
    assert judged(bench, old, listed(bench, bench.now, delta_of(base), *more, number=number)) == OPEN


def test_a_stale_delta_proves_nothing_new(bench: Bench) -> None:
    old = listed(bench, bench.day(-20), number=10)
    assert judged(bench, old, listed(bench, bench.day(-10), delta_of(10), number=12)) == OPEN


def test_a_delta_takes_a_suspension_away(bench: Bench) -> None:
    held = listed(bench, bench.day(-3), entries=[entry(bench, bench.day(-4), "certificateHold")], number=10)
    assert judged(bench, held) == OPEN
    assert judged(bench, held, listed(bench, bench.now, delta_of(10), number=11)) == OPEN
    lifted = listed(bench, bench.now, delta_of(10), entries=[entry(bench, bench.day(-1), "removeFromCRL")], number=11)
    assert judged(bench, held, lifted) == PASSED


def test_since_when_the_key_is_suspected_is_told(bench: Bench) -> None:
    serial, at, _ = entry(bench, bench.day(29), "keyCompromise")
    extensions = der.seq(
        der.seq(der.oid("2.5.29.24"), der.octets(der.generalized_time(bench.day(10)))),
        der.seq(der.oid("2.5.29.21"), der.octets(der.enumerated(1))),
    )
    encoded = revocation.crl(
        bench.pki.cert(CA),
        bench.pki.key(CA),
        [der.seq(der.integer(serial), der.time(at), extensions)],
        this_update=bench.now,
        next_update=bench.now + DAY,
        number=5,
    )
    signer = bench.signer()
    evidence = [crl(encoded), *bench.status()[1:], *bench.status("tsa1")]
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(20), signer)), evidence)
    assert "key_suspected_since" in codes(verdict, "warn")
    assert verdict.signatures[0].chain[0].status is CertificateStatus.REVOKED
    answer = ("2.5.29.24", False, der.generalized_time(bench.day(10)))
    told = ocsp(bench.pki.ocsp("person", "revoked", at=bench.now, extra=(answer,)))
    verdict = bench.judge(bench.document(signer, bench.token(bench.day(20), signer)), [told, *evidence[1:]])
    assert "key_suspected_since" in codes(verdict, "warn")


def test_a_responder_that_nobody_looks_after_is_told(bench: Bench) -> None:
    bench.pki.add("ocsp-unchecked", "ocsp-sub-g2-state", nocheck=False)
    answer = ocsp(bench.pki.ocsp("person", "good", at=bench.now, signer="ocsp-unchecked"))
    document = bench.document(bench.signer())
    verdict = bench.judge(document, [answer, *bench.status()[1:]])
    assert outcome(verdict) == PASSED
    assert "ocsp_responder_not_checked" in codes(verdict, "info")
    verdict = bench.judge(document, [answer, listed(bench, bench.now - timedelta(hours=1)), *bench.status()[1:]])
    assert "ocsp_responder_not_checked" not in codes(verdict)
    assert "ocsp_responder_not_checked" not in codes(bench.judge(document, bench.status()))


def test_revoked_out_of_a_suspension_counts_from_its_start(bench: Bench) -> None:
    """On hold since day -6, revoked for good as of day -2: what was signed between was never cleared."""
    held = listed(bench, bench.day(-5), entries=[entry(bench, bench.day(-6), "certificateHold")])
    gone = listed(bench, bench.now, entries=[entry(bench, bench.day(-2), "keyCompromise")])
    rest = [*bench.status()[1:], *bench.status("tsa1")]

    def stamped(at: float, *lists: EvidenceItem) -> tuple[str, str | None]:
        signer = bench.signer()
        return outcome(bench.judge(bench.document(signer, bench.token(bench.day(at), signer)), [*lists, *rest]))

    assert stamped(-4, held, gone) == ("INDETERMINATE", "REVOKED_NO_POE")
    assert stamped(-7, held, gone) == PASSED
    assert stamped(-4, gone) == PASSED
    lifted = listed(bench, bench.day(-4.5))
    assert stamped(-4, held, lifted, gone) == PASSED
    assert stamped(-4, listed(bench, bench.day(-5.5)), held, gone) == ("INDETERMINATE", "REVOKED_NO_POE")


def test_a_responder_that_its_authority_revokes_in_an_answer_of_its_own(bench: Bench) -> None:
    """No list: the authority's own key says that the responder's was stolen, and nothing proves its answer older."""
    bench.pki.add("ocsp-stolen", "ocsp-sub-g2-state", nocheck=False)
    answer = ocsp(bench.pki.ocsp("person", "good", at=bench.now, signer="ocsp-stolen"))
    rest = [answer, *bench.status()[1:]]

    def said(status: str, signer: str) -> tuple[tuple[str, str | None], set[str]]:
        own = bench.pki.ocsp("ocsp-stolen", status, at=bench.now, issuer=CA, signer=signer, revoked_at=bench.day(-3))
        verdict = bench.judge(bench.document(bench.signer()), [ocsp(own), *rest])
        return outcome(verdict), codes(verdict)

    assert said("revoked", CA)[0] == OPEN
    found, told = said("good", CA)
    assert found == PASSED
    assert "ocsp_responder_not_checked" not in told
    # It never clears itself.
    found, told = said("good", "ocsp-stolen")
    assert "ocsp_responder_not_checked" in told
