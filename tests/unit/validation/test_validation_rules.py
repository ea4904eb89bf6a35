"""Rules of certificates, algorithms, signature policies and evidence; every further sub-indication."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signsvc.algorithms import DatedRow
from signsvc.trust import TrustAnchor
from signsvc.types import Certificate, Scope
from signsvc.types.verdicts import Sub
from signsvc.validation import Role
from signsvc.validation.conclude import INDETERMINATE, TOTAL_FAILED
from signsvc.validation.path_checks import check_path
from test_pki import der
from tests.unit.validation.validation_bench import DAY, Bench, certificate, codes, crl, ocsp, outcome

PASSED = ("TOTAL-PASSED", None)


def _fails(bench: Bench, path: list[bytes]) -> set[str]:
    return {f.code for f in check_path([Certificate.from_der(c) for c in path])}


def test_every_sub_indication_has_its_place() -> None:
    assert set(TOTAL_FAILED) | set(INDETERMINATE) == set(Sub)
    assert not set(TOTAL_FAILED) & set(INDETERMINATE)


# RFC 5280 §6.1.


def test_good_paths(bench: Bench) -> None:
    for label in ("person", "g1-person", "public-business", "tsa1", "ec"):
        assert _fails(bench, bench.pki.chain(label)) == set()


def test_leaf_as_issuer(bench: Bench) -> None:
    path = [bench.pki.issue("person2", issuer="person"), *bench.pki.chain("person")]
    assert {"issuer_is_no_ca", "issuer_may_not_issue", "path_length_exceeded"} <= _fails(bench, path)


def test_path_length(bench: Bench) -> None:
    bench.pki.add("sub-below", "sub-g2-party", issuer="sub-g2-state")
    path = [bench.pki.issue("person", issuer="sub-below"), *bench.pki.chain("sub-below")]
    assert _fails(bench, path) == {"path_length_exceeded"}


def test_unknown_critical_extension(bench: Bench) -> None:
    leaf = bench.pki.issue("person", extra=(("1.2.3.4.5", True, der.null()),))
    assert _fails(bench, [leaf, *bench.pki.chain("sub-g2-state")]) == {"critical_extension_unknown"}
    signer = bench.signer(leaf, key="person", include=[leaf, *bench.pki.chain("person")[1:]])
    status = [ocsp(bench.pki.ocsp(leaf, "good", at=bench.now, issuer="sub-g2-state")), *bench.status()]
    verdict = bench.judge(bench.document(signer), status)
    assert outcome(verdict) == ("INDETERMINATE", "CERTIFICATE_CHAIN_GENERAL_FAILURE")
    assert {c.id: c.result for c in verdict.signatures[0].checks}["chain"] == "failed"


def test_malformed_extension(bench: Bench) -> None:
    leaf = bench.pki.issue("person", key_usage=(), extra=(("2.5.29.15", True, b"\x30\x00"),))
    signer = bench.signer(leaf, key="person", include=[leaf, *bench.pki.chain("person")[1:]])
    verdict = bench.judge(bench.document(signer), bench.status())
    assert outcome(verdict) == ("INDETERMINATE", "CERTIFICATE_CHAIN_GENERAL_FAILURE")


def _constraint(permitted: list[bytes] = [], excluded: list[bytes] = []) -> tuple[str, bool, bytes]:  # noqa: B006
    parts = [
        der.explicit(number, *(der.seq(base) for base in bases))
        for number, bases in ((0, permitted), (1, excluded))
        if bases
    ]
    return "2.5.29.30", True, der.seq(*parts)


def _directory(*attributes: tuple[str, str]) -> bytes:
    return der.explicit(4, der.name(attributes))


@pytest.mark.parametrize(
    ("permitted", "excluded", "allowed"),
    [
        ([_directory(("C", "VN"))], [], True),
        ([_directory(("C", "LA"))], [], False),
        ([_directory(("C", "LA")), _directory(("C", "VN"))], [], True),
        ([], [_directory(("C", "VN"), ("L", "Tỉnh Thử Nghiệm"))], False),
        ([der.implicit(1, b"thunghiem.gov.vn.test")], [], True),
        ([der.implicit(1, b"other.test")], [], False),
        ([der.implicit(1, b".vn.test")], [], True),
        ([], [der.implicit(1, b"annv@thunghiem.gov.vn.test")], False),
        ([der.implicit(2, b"example.test")], [], True),
    ],
)
def test_name_constraints(bench: Bench, permitted: list[bytes], excluded: list[bytes], allowed: bool) -> None:
    name = f"constrained-{hash((tuple(permitted), tuple(excluded)))}"
    bench.pki.add(name, "sub-g2-state", extra=(_constraint(permitted, excluded),))
    path = [bench.pki.issue("person", issuer=name), *bench.pki.chain(name)]
    assert _fails(bench, path) == (set() if allowed else {"name_constraint_violated"})


def test_name_constraints_of_other_forms() -> None:
    from signsvc.validation.name_constraints import _within

    dns, uri, address = 0x82, 0x86, 0x87
    assert _within((dns, b"a.gov.vn"), (dns, b"gov.vn"))
    assert not _within((dns, b"agov.vn"), (dns, b"gov.vn"))
    assert _within((uri, b"http://x.gov.vn:80/a?b"), (uri, b".gov.vn"))
    assert not _within((uri, b"http://gov.vn.evil.test/"), (uri, b"gov.vn"))
    assert _within((address, bytes([10, 1, 2, 3])), (address, bytes([10, 0, 0, 0, 255, 0, 0, 0])))
    assert not _within((address, bytes([11, 1, 2, 3])), (address, bytes([10, 0, 0, 0, 255, 0, 0, 0])))


def test_policy_constraints(bench: Bench) -> None:
    """A CA that demands an explicit policy at once: its leaf must carry one that the CA has."""
    demand = ("2.5.29.36", True, der.seq(der.implicit(0, b"\x00")))
    bench.pki.add("demanding", "sub-g2-state", extra=(demand,))
    above = bench.pki.chain("demanding")
    assert _fails(bench, [bench.pki.issue("person", issuer="demanding"), *above]) == set()
    without = bench.pki.issue("person", issuer="demanding", policies=())
    assert _fails(bench, [without, *above]) == {"certificate_policy_missing"}
    other = bench.pki.issue("person", issuer="demanding", policies=("1.2.3.4",))
    assert _fails(bench, [other, *above]) == {"certificate_policy_missing"}
    mapping = ("2.5.29.33", False, der.seq(der.seq(der.oid("2.16.704.1.1.1.1.1"), der.oid("1.2.3.4"))))
    bench.pki.add("mapping", "sub-g2-state", extra=(demand, mapping))
    mapped = bench.pki.issue("person", issuer="mapping", policies=("1.2.3.4",))
    assert _fails(bench, [mapped, *bench.pki.chain("mapping")]) == set()


# Revocation data.


@pytest.mark.parametrize("oid", ["2.5.29.56", "0.4.0.194121.2.1"])
def test_certificates_without_revocation(bench: Bench, oid: str) -> None:
    """noRevAvail (RFC 9608), validity-assured short-term certificates (EN 319 412-1)."""
    leaf = bench.pki.issue("person", extra=((oid, False, der.null()),))
    signer = bench.signer(leaf, key="person", include=[leaf, *bench.pki.chain("person")[1:]])
    verdict = bench.judge(bench.document(signer), bench.status()[1:])
    assert outcome(verdict) == PASSED
    assert "revocation_not_needed" in codes(verdict, "info")
    number = Certificate.from_der(leaf).serial_number
    revoking = bench.pki.crl("sub-g2-state", bench.now, entries=[(number, bench.day(1), "keyCompromise")])
    told = bench.judge(bench.document(signer), [crl(revoking), *bench.status()[1:]])
    assert outcome(told) == ("INDETERMINATE", "REVOKED_NO_POE")  # what revokes counts all the same


def test_authorities_always_need_a_status(bench: Bench) -> None:
    bench.pki.add("carefree-ca", "sub-g2-state", extra=(("2.5.29.56", False, der.null()),))
    bench.pki.add("below-carefree", "person", issuer="carefree-ca")
    signer = bench.signer("below-carefree", key="person")
    leaf, *above = bench.status("below-carefree")
    assert outcome(bench.judge(bench.document(signer), [leaf, *above])) == PASSED
    assert outcome(bench.judge(bench.document(signer), [leaf])) == ("INDETERMINATE", "TRY_LATER")


def test_claimed_time_outside_the_certificate(bench: Bench) -> None:
    signer = bench.signer(claimed=bench.day(-400))
    verdict = bench.judge(bench.document(signer), bench.status())
    assert outcome(verdict) == PASSED  # a claim is only told: nothing rests on it
    assert "claimed_time_outside_certificate" in codes(verdict, "warn")


def test_authority_issued_anew_after_the_signature(bench: Bench) -> None:
    """The CA renewed its certificate under the same key and name: the chain of today serves an older signature."""
    bench.pki.add("renewed-ca", "sub-g2-state", not_before=bench.day(15))
    renewed = bench.pki.cert("renewed-ca")
    signer = bench.signer(include=[bench.pki.cert("person"), renewed])
    document = bench.document(signer, bench.token(bench.day(10), signer))
    verdict = bench.judge(document, [crl(bench.pki.crl("sub-g2-state", bench.now)), *bench.full()[1:]])
    assert outcome(verdict) == PASSED
    assert "ca_newer_than_signature" in codes(verdict, "info")


def test_responder_that_the_ca_revoked(bench: Bench) -> None:
    bench.pki.add("ocsp-on-lists", "ocsp-sub-g2-state", nocheck=False)
    answer = bench.pki.ocsp("person", "good", at=bench.now, signer="ocsp-on-lists")
    others = bench.status()[1:]
    assert outcome(bench.judge(bench.document(bench.signer()), [ocsp(answer), *others])) == PASSED
    serial = Certificate.from_der(bench.pki.cert("ocsp-on-lists")).serial_number
    revoking = bench.pki.crl("sub-g2-state", bench.day(1), entries=[(serial, bench.day(0), "keyCompromise")])
    verdict = bench.judge(bench.document(bench.signer()), [ocsp(answer), crl(revoking), *others])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")


def test_responder_never_answers_for_itself(bench: Bench) -> None:
    leaf = bench.pki.issue(
        "ocsp-sub-g2-state", key_usage=("digitalSignature",), eku=("OCSPSigning", "emailProtection"), nocheck=False
    )
    bench.pki.add(
        "selfish",
        "ocsp-sub-g2-state",
        key_usage=("digitalSignature",),
        eku=("OCSPSigning", "emailProtection"),
        nocheck=False,
    )
    assert leaf
    answer = bench.pki.ocsp("selfish", "good", at=bench.now, signer="selfish")
    signer = bench.signer("selfish")
    verdict = bench.judge(bench.document(signer), [ocsp(answer), *bench.status()[1:]])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")


def test_forged_revocation_data_is_ignored(bench: Bench) -> None:
    serial = Certificate.from_der(bench.pki.cert("person")).serial_number
    forged = bench.pki.crl(
        "sub-g2-state", bench.now, entries=[(serial, bench.day(0), "keyCompromise")], signer="ca-unknown"
    )
    assert outcome(bench.judge(bench.document(bench.signer()), [crl(forged), *bench.status()])) == PASSED


def test_answer_of_another_authority_is_ignored(bench: Bench) -> None:
    answer = bench.pki.ocsp("person", "good", at=bench.now, signer="ocsp-sub-g2-party")
    verdict = bench.judge(bench.document(bench.signer()), [ocsp(answer), *bench.status()[1:]])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")


def test_data_from_the_future_and_unreadable_data(bench: Bench) -> None:
    future = ocsp(bench.pki.ocsp("person", "good", at=bench.now + DAY))
    verdict = bench.judge(bench.document(bench.signer()), [future, crl(b"junk"), *bench.status()[1:]])
    assert outcome(verdict) == ("INDETERMINATE", "TRY_LATER")
    assert "evidence_unreadable" in codes(verdict)


def test_age_limits(bench: Bench) -> None:
    from signsvc.validation import Freshness

    evidence = [ocsp(bench.pki.ocsp("person", "good", at=bench.now - DAY / 2)), *bench.status()[1:]]
    assert outcome(bench.judge(bench.document(bench.signer()), evidence)) == PASSED
    strict = bench.judge(bench.document(bench.signer()), evidence, freshness=Freshness(ocsp_max_age=3600))
    assert outcome(strict) == ("INDETERMINATE", "TRY_LATER")
    endless = ocsp(bench.pki.ocsp("person", "good", at=bench.now - 3 * DAY, next_update=None))
    lasting = bench.judge(bench.document(bench.signer()), [endless, *bench.status()[1:]])
    assert outcome(lasting) == ("INDETERMINATE", "TRY_LATER")


def test_rekeyed_authority_may_sign_the_list(bench: Bench) -> None:
    """A list signed with the CA's newer key, whose certificate has a path of its own."""
    listed = crl(bench.pki.crl("sub-g2-state-rekeyed", bench.now))
    known = certificate(bench.pki.cert("sub-g2-state-rekeyed"))
    verdict = bench.judge(bench.document(bench.signer()), [listed, known, *bench.status()[1:]])
    assert outcome(verdict) == PASSED
    alone = bench.judge(bench.document(bench.signer()), [listed, *bench.status()[1:]])
    assert outcome(alone) == ("INDETERMINATE", "TRY_LATER")


# Algorithms by role and date.


def _rows(bench: Bench, **ends: float | None) -> dict[str, object]:
    """The bench's algorithms with SHA-1 ending on a day per role."""
    rows = dict(bench.policy.algorithms)
    for role, end in ends.items():
        kept = tuple(row for row in rows[Role(role)] if row.algorithm != "sha1")
        rows[Role(role)] = (*kept, DatedRow("sha1", 0, None if end is None else bench.day(end)))
    return {"algorithms": rows}


def test_g1_leaf_by_roles_and_dates(bench: Bench) -> None:
    """SHA-1 chains pass for the role and time that the policy gives them; the pinned intermediate through known_since."""
    signer = bench.signer("g1-state")
    evidence = [replace(e, revision=1) for e in bench.full("g1-state")]
    for item in (bench.pki.crl("sub-g1", bench.day(11)), bench.pki.crl("root-g1", bench.day(11), 30 * DAY)):
        evidence.append(crl(item, revision=1))
    stamped = bench.token(bench.day(10), signer)
    archive = bench.token(bench.day(12), kind="document", name="d1", over=b"file", revision=2)
    document = bench.document(
        signer, stamped, evidence=evidence, document_tokens=[archive], scope=Scope("REVISION", 1, 2)
    )
    sub = Certificate.from_der(bench.pki.cert("sub-g1")).sha256
    dated = _rows(bench, certificate=15, revocation=None)
    plain = bench.judge(replace(document, timestamps=()), **dated)
    assert outcome(plain) == ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")  # the intermediate's signature
    pinned = {"known_since": {sub: bench.day(-100)}}
    known = replace(document, timestamps=())
    assert outcome(bench.judge(known, **pinned, **dated)) == PASSED
    # By the lists of the CA itself: a responder's certificate is judged as any other.
    answers = replace(known, evidence=tuple(e for e in known.evidence if e.kind == "ocsp" or e.revision is None))
    open_ = bench.judge(replace(answers, evidence=(*answers.evidence, evidence[-1])), **pinned, **dated)
    assert outcome(open_) == ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")
    assert outcome(bench.judge(document, **dated)) == PASSED  # inside the CMS, so the archive timestamp proves it
    early = bench.judge(document, known_since={sub: bench.day(-100)}, **_rows(bench, certificate=5, revocation=None))
    assert outcome(early) == ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")
    refused = bench.judge(document, known_since={sub: bench.day(-100)}, **_rows(bench, certificate=None, revocation=5))
    assert outcome(refused)[1] in ("CRYPTO_CONSTRAINTS_FAILURE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")


def test_sha1_signature_before_and_after_its_end(bench: Bench) -> None:
    signer = bench.signer(digest="sha1", reference="sha1")
    stamped = bench.document(signer, bench.token(bench.day(10), signer))
    good = bench.judge(stamped, bench.full(), **_rows(bench, signature=15, reference=15))
    assert outcome(good) == PASSED
    bare = bench.judge(bench.document(signer), bench.full(), **_rows(bench, signature=15, reference=15))
    assert outcome(bare) == ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")
    reference = bench.judge(stamped, bench.full(), **_rows(bench, signature=15, reference=5))
    assert outcome(reference) == ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")
    broken = bench.judge(stamped, bench.full())  # its certificate began long after 2012
    assert outcome(broken) == ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE")


# What else leaves a signature open.


def test_signed_data_not_found(bench: Bench) -> None:
    signer = replace(bench.signer(), digest_matches=None)
    assert outcome(bench.judge(bench.document(signer), bench.status())) == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")


def test_coverage_unknown(bench: Bench) -> None:
    verdict = bench.judge(bench.document(bench.signer(), scope=Scope("PARTIAL", None, None)), bench.status())
    assert outcome(verdict) == ("INDETERMINATE", "GENERIC")


def test_unreadable_signature(bench: Bench) -> None:
    assert outcome(bench.judge(bench.document(None))) == ("TOTAL-FAILED", "FORMAT_FAILURE")


def test_signature_policies(bench: Bench) -> None:
    signer = replace(bench.signer(), policy_oid="1.2.3", policy_digest=("2.16.840.1.101.3.4.2.1", b"\1" * 32))
    document = bench.document(signer)
    assert outcome(bench.judge(document, bench.status())) == ("INDETERMINATE", "SIGNATURE_POLICY_NOT_AVAILABLE")
    known = bench.judge(document, bench.status(), signature_policies={"1.2.3": "01" * 32})
    assert outcome(known) == PASSED
    other = bench.judge(document, bench.status(), signature_policies={"1.2.3": "02" * 32})
    assert outcome(other) == ("INDETERMINATE", "POLICY_PROCESSING_ERROR")


def test_no_proof_of_an_intermediate(bench: Bench) -> None:
    """The anchor's sunset came; signature, status and authority are proven older, the intermediate is not."""
    public = Certificate.from_der(bench.pki.cert("root-public"))
    root = Certificate.from_der(bench.pki.cert("root-g2"))
    material = bench.material(
        anchors=(TrustAnchor(root, "G2", bench.day(25)), TrustAnchor(public, "public")),
        intermediates=(Certificate.from_der(bench.pki.cert("sub-g2-state")),),
    )
    bench.pki.add("tsa-national", "tsa1", issuer="ca-public1")
    signer = bench.signer(include=[bench.pki.cert("person")])
    evidence = [replace(e, revision=1) for e in bench.status(at=bench.day(11))]
    stamped = bench.token(bench.day(10), signer, tsa="tsa-national")
    archive = bench.token(bench.day(12), kind="document", name="d1", over=b"f", revision=2, tsa="tsa-national")
    document = bench.document(signer, stamped, evidence=evidence, document_tokens=[archive])
    verdict = bench.judge(document, bench.status("tsa-national"), material=material)
    assert outcome(verdict) == ("INDETERMINATE", "NO_POE")


def test_counter_signature_fails_alone(bench: Bench) -> None:
    parent = bench.signer()
    counter = bench.signer("person2", content=parent.value.value, flip=True)
    verdict = bench.judge(bench.document(replace(parent, counter_signatures=(counter,))), bench.status())
    assert outcome(verdict) == PASSED
    found = verdict.signatures[0].counter_signatures
    assert [str(c.sub_indication) for c in found] == ["SIG_CRYPTO_FAILURE"]


def test_worst_signature_decides(bench: Bench) -> None:
    good, bad = bench.document(bench.signer()), bench.document(bench.signer(signed=b"x"))
    both = replace(good, signatures=(good.signatures[0], replace(bad.signatures[0], id="s2")))
    verdict = bench.judge(both, bench.status())
    assert outcome(verdict) == ("TOTAL-FAILED", "HASH_FAILURE")
    assert str(verdict.signatures[0].indication) == "TOTAL-PASSED"


def test_policy_levels(bench: Bench) -> None:
    document = bench.document(bench.signer("wrong-usage"))
    relaxed = bench.judge(document, bench.status("wrong-usage"), levels={"certificate_not_for_signing": "warn"})
    assert outcome(relaxed) == PASSED
    assert "certificate_not_for_signing" in codes(relaxed, "warn")
    strict = bench.judge(bench.document(bench.signer()), bench.status(), levels={"timestamp_absent": "fail"})
    assert outcome(strict) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")
    ignored = bench.judge(bench.document(bench.signer()), bench.status(), levels={"timestamp_absent": "ignore"})
    assert codes(ignored, "warn") == set()
