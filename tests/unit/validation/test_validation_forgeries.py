"""Revocation data and trust that somebody bent: forged list issuers, floods, lists that forget, anchors that issue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signsvc.trust import TrustAnchor
from signsvc.types import Certificate, Origin
from test_pki import der
from tests.unit.validation.validation_bench import DAY, Bench, certificate, codes, crl, ocsp, outcome

PASSED = ("TOTAL-PASSED", None)
OPEN = ("INDETERMINATE", "TRY_LATER")
REVOKED = ("INDETERMINATE", "REVOKED_NO_POE")
ISSUING_POINT = "2.5.29.28"


def serial(bench: Bench, label: str) -> int:
    return Certificate.from_der(bench.pki.cert(label)).serial_number


@pytest.mark.parametrize("issuer", ["person2", "ca-public1", "sub-g2-party", "sub-g2-revoked"])
def test_list_by_a_namesake_of_the_authority(bench: Bench, issuer: str) -> None:
    """Whoever can sign a certificate can give it the CA's name: an end entity, another CA, a CA that was revoked.

    The list that it signs must not clear the revoked signer, with or without the true list beside it.
    """
    label = f"namesake-of-{issuer}"
    bench.pki.add(label, "sub-g2-state-rekeyed", issuer=issuer)
    forged = crl(bench.pki.crl(label, bench.now, entries=[]))
    known = [certificate(c) for c in (bench.pki.cert(label), bench.pki.cert(issuer))]
    document = bench.document(bench.signer("revoked"), evidence=[forged, *known])
    assert outcome(bench.judge(document, bench.status("revoked")[1:])) == OPEN
    assert outcome(bench.judge(document, bench.status("revoked"))) == REVOKED


def test_list_by_an_end_certificate_with_the_name_of_the_authority(bench: Bench) -> None:
    """The same parent certified it, but not for signing lists."""
    bench.pki.add("named-leaf", "sub-g2-state-rekeyed", ca=False, path_len=None, key_usage=("digitalSignature",))
    bench.pki.add("bare-leaf", "sub-g2-state-rekeyed", ca=False, path_len=None, key_usage=())
    for label in ("named-leaf", "bare-leaf"):
        listed = crl(bench.pki.crl(label, bench.now, entries=[]))
        evidence = [listed, certificate(bench.pki.cert(label)), *bench.status()[1:]]
        assert outcome(bench.judge(bench.document(bench.signer()), evidence)) == OPEN


def test_a_flood_inside_the_document_hides_no_list_from_outside(bench: Bench) -> None:
    good = [ocsp(bench.pki.ocsp("person", "good", at=bench.now - DAY / 2)), *bench.status()[1:]]
    junk = [ocsp(b"0%d" % number) for number in range(1100)]
    entries = [(serial(bench, "person"), bench.day(1), "keyCompromise")]
    supplied = crl(bench.pki.crl("sub-g2-state", bench.now, entries=entries), origin=Origin.SUPPLIED)
    verdict = bench.judge(bench.document(bench.signer(), evidence=[*good, *junk]), [supplied])
    assert outcome(verdict) == REVOKED
    assert "evidence_unreadable" in codes(verdict)


def test_list_from_after_the_expiry_lifts_no_suspension(bench: Bench) -> None:
    """Suspended when it signed, expired since: the list that no longer names it says nothing."""
    bench.pki.add("held-then-expired", "person", not_after=bench.day(25))
    early = crl(bench.pki.crl("sub-g2-state", bench.day(5), entries=[]))
    entries = [(serial(bench, "held-then-expired"), bench.day(6), "certificateHold")]
    held = crl(bench.pki.crl("sub-g2-state", bench.day(9), entries=entries))
    late = crl(bench.pki.crl("sub-g2-state", bench.now, entries=[]))
    signer = bench.signer("held-then-expired")
    document = bench.document(signer, bench.token(bench.day(8), signer))
    rest = [*bench.status("held-then-expired")[1:], *bench.status("tsa1")]
    for evidence in ([early, held], [early, held, late], [late, held, early]):
        verdict = bench.judge(document, [*evidence, *rest])
        assert outcome(verdict) == OPEN
        assert "certificate_on_hold" in codes(verdict)
    lifted = crl(bench.pki.crl("sub-g2-state", bench.day(12), entries=[]))
    assert outcome(bench.judge(document, [early, held, lifted, late, *rest])) == PASSED


def test_trusted_end_certificate_issues_nothing(bench: Bench) -> None:
    """An anchor that says it is an authority for timestamps is no authority for persons."""
    bench.pki.add("by-tsa", "person", issuer="tsa1")
    material = bench.material(anchors=(TrustAnchor(Certificate.from_der(bench.pki.cert("tsa1")), "tsa1"),))
    signer = bench.signer("by-tsa", include=[bench.pki.cert("by-tsa"), bench.pki.cert("tsa1")])
    answer = ocsp(bench.pki.ocsp("by-tsa", "good", at=bench.now))
    verdict = bench.judge(bench.document(signer), [answer], material=material)
    assert outcome(verdict) == ("INDETERMINATE", "CERTIFICATE_CHAIN_GENERAL_FAILURE")
    assert "issuer_may_not_issue" in codes(verdict)


def test_anchor_that_signs_itself_ends_with_its_sunset(bench: Bench) -> None:
    trusted = TrustAnchor(Certificate.from_der(bench.pki.add("own-root", "person", issuer="own-root")), "own-root")
    signer = bench.signer("own-root", key="person", include=[trusted.certificate.der])
    document = bench.document(signer)
    assert outcome(bench.judge(document, material=bench.material(anchors=(trusted,)))) == PASSED
    ended = bench.material(anchors=(replace(trusted, sunset=bench.day(1)),))
    assert outcome(bench.judge(document, material=ended)) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND_NO_POE")


@pytest.mark.parametrize(
    ("responder", "include"),
    [("root-g2", ()), ("below-a-person", ("below-a-person", "person2")), ("person2", ("person2",))],
)
def test_responders_that_the_authority_did_not_delegate(bench: Bench, responder: str, include: tuple[str, ...]) -> None:
    bench.pki.add("below-a-person", "ocsp-sub-g2-state", issuer="person2", key="person2", not_after=bench.day(400))
    answer = bench.pki.ocsp(
        "person", "good", at=bench.now, signer=responder, include=tuple(bench.pki.cert(c) for c in include)
    )
    assert outcome(bench.judge(bench.document(bench.signer()), [ocsp(answer), *bench.status()[1:]])) == OPEN


def test_answer_about_another_serial_number(bench: Bench) -> None:
    answer = ocsp(bench.pki.ocsp("person2", "good", at=bench.now))
    assert outcome(bench.judge(bench.document(bench.signer()), [answer, *bench.status()[1:]])) == OPEN


def _uri(text: bytes) -> bytes:
    return der.explicit(0, der.explicit(0, der.implicit(6, text)))


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (der.seq(_uri(b"http://crl.test-ca.gov.vn.test/crl/sub-g2-state.crl")), PASSED),
        (der.seq(_uri(b"http://crl.test-ca.gov.vn.test/crl/part-2.crl")), OPEN),
        (der.seq(der.implicit(1, b"\xff")), PASSED),  # users only
        (der.seq(der.implicit(2, b"\xff")), OPEN),  # authorities only
        (der.seq(der.implicit(3, b"\x06\x40")), OPEN),  # some reasons
        (der.seq(der.implicit(5, b"\xff")), OPEN),  # attribute certificates
    ],
)
def test_partitioned_lists(bench: Bench, point: bytes, expected: tuple[str, str | None]) -> None:
    listed = crl(bench.pki.crl("sub-g2-state", bench.now, extra=((ISSUING_POINT, True, point),)))
    assert outcome(bench.judge(bench.document(bench.signer()), [listed, *bench.status()[1:]])) == expected
