"""Hostile certificates, evidence and tokens: nothing raises, nothing forged passes, nothing takes long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from signsvc.asn1 import DerError
from signsvc.formats import cms
from signsvc.types import Certificate, DocumentView, EvidenceItem, Indication
from signsvc.validation import check_certificate, wanted
from tests.unit.validation.validation_bench import Bench, certificate, crl, digester, ocsp, outcome

SEED = 20261123
ROUNDS = 300


def _mutations(data: bytes, rounds: int = ROUNDS) -> Iterator[bytes]:
    """Copies with one octet changed, at places spread over the whole."""
    source = random.Random(SEED)
    for _ in range(rounds):
        at = source.randrange(len(data))
        yield data[:at] + bytes([data[at] ^ 1 << source.randrange(8)]) + data[at + 1 :]


@pytest.mark.parametrize("which", ["person", "sub-g2-state", "root-g2"])
def test_mutated_certificates(bench: Bench, which: str) -> None:
    signer = bench.signer()
    evidence = bench.status()
    passed = read = 0
    for mutant in _mutations(bench.pki.cert(which)):
        try:
            changed = Certificate(mutant)
        except DerError:
            continue
        read += 1
        kept = tuple(c for c in signer.certificates if c.der != bench.pki.cert(which))
        view = bench.document(replace(signer, certificates=(*kept, changed), references=(), evidence=()))
        wanted(view)
        verdict = bench.judge(view, evidence)
        check_certificate(
            changed,
            pool=signer.certificates,
            material=bench.material(),
            evidence=evidence,
            policy=bench.policy,
            now=bench.now,
        )
        # A changed root is no anchor and not needed; any other change breaks the issuer's signature.
        passed += verdict.indication is Indication.TOTAL_PASSED
    assert read > ROUNDS // 4
    assert passed == (read if which == "root-g2" else 0)


def test_mutated_anchor(bench: Bench) -> None:
    """An anchor as it is installed decides; odd extensions in it do not raise."""
    from signsvc.trust import TrustAnchor

    document, evidence = bench.document(bench.signer()), bench.status()
    for mutant in _mutations(bench.pki.cert("root-g2"), 100):
        try:
            anchor = TrustAnchor(Certificate(mutant), "mutant")
        except DerError:
            continue
        bench.judge(document, evidence, material=bench.material(anchors=(anchor,)))


@pytest.mark.parametrize("kind", ["ocsp", "crl"])
def test_mutated_revocation_data_never_makes_a_status(bench: Bench, kind: str) -> None:
    """Data that revokes, changed anywhere: it still revokes or counts for nothing, and is never good."""
    signer = bench.document(bench.signer("revoked"))
    make: Callable[[bytes], EvidenceItem] = ocsp if kind == "ocsp" else crl
    data = bench.pki.ocsp("revoked", at=bench.now) if kind == "ocsp" else bench.pki.crl("sub-g2-state", bench.now)
    others = bench.status("revoked")[1:]
    for mutant in _mutations(data):
        found = outcome(bench.judge(signer, [make(mutant), *others]))
        assert found in (("INDETERMINATE", "REVOKED_NO_POE"), ("INDETERMINATE", "TRY_LATER"))


def test_mutated_tokens_prove_nothing(bench: Bench) -> None:
    signer = bench.signer("expired")
    good = bench.token(bench.day(-100), signer)
    evidence = [*bench.status("expired", at=bench.day(-99)), *bench.status("tsa1")]
    assert outcome(bench.judge(bench.document(signer, good), evidence)) == ("TOTAL-PASSED", None)
    # Certificates inside the token are not under its signature: what stays proven is the same signed time.
    proven = 0
    for mutant in _mutations(good.token):
        token = cms.read_timestamp(
            mutant, id="t1", kind="signature", digest=digester(signer.value.value), proves=("signature:s1",)
        )
        verdict = bench.judge(bench.document(signer, token), evidence)
        if verdict.indication is Indication.TOTAL_PASSED:
            proven += 1
            assert token.gen_time == good.gen_time
            assert token.signer is not None
            assert good.signer is not None
            assert token.signer.value.value == good.signer.value.value
    assert proven < ROUNDS


def test_mutated_signatures_never_pass_changed(bench: Bench) -> None:
    """Over every octet of the signature value and of the signed attributes."""
    signer = bench.signer()
    evidence = bench.status()
    assert signer.value.message is not None
    for mutant in _mutations(signer.value.message, 60):
        verdict = bench.judge(bench.document(replace(signer, value=replace(signer.value, message=mutant))), evidence)
        assert outcome(verdict) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")
    for mutant in _mutations(signer.value.value, 60):
        verdict = bench.judge(bench.document(replace(signer, value=replace(signer.value, value=mutant))), evidence)
        assert outcome(verdict) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")


def test_a_bag_of_same_named_authorities(bench: Bench) -> None:
    """Thirty CAs of one name that issue each other: no N! walk, and the true path is still found."""
    names = [f"bag-{n}" for n in range(30)]
    subject = bench.pki.spec("sub-g2-state").subject
    for index, name in enumerate(names):
        if name not in bench.pki.labels():
            key = ("person", "person2", "agency", "short", "expired", "revoked")[index % 6]
            above = names[index - 1] if index else "root-unknown"
            bench.pki.add(name, "sub-g2-state", key=key, subject=subject, issuer=above, path_len=None)
    bag = [certificate(bench.pki.cert(name)) for name in names]
    started = time.perf_counter()
    verdict = bench.judge(bench.document(bench.signer()), [*bag, *bench.status()])
    assert time.perf_counter() - started < 1
    assert outcome(verdict) == ("TOTAL-PASSED", None)


def test_many_signatures_and_timestamps_cost_their_number(bench: Bench) -> None:
    """200 signatures, each with a token, under 50 document timestamps."""
    signer = bench.signer()
    token = bench.token(bench.day(5), signer)
    single = bench.document(signer, token)
    archive = bench.token(bench.day(6), kind="document", name="d", over=b"file", revision=2)
    signatures = tuple(
        replace(
            single.signatures[0],
            id=f"s{n}",
            signer=replace(signer, timestamps=(replace(token, id=f"t{n}", proves=(f"signature:s{n}",)),)),
        )
        for n in range(200)
    )
    document: DocumentView = replace(
        single, signatures=signatures, timestamps=tuple(replace(archive, id=f"d{n}") for n in range(50))
    )
    started = time.perf_counter()
    verdict = bench.judge(document, bench.full())
    assert time.perf_counter() - started < 3
    assert outcome(verdict) == ("TOTAL-PASSED", None)


def test_a_thousand_lists(bench: Bench) -> None:
    base = bench.pki.crl("ca-unknown", bench.now)
    junk = [crl(mutant) for mutant in _mutations(base, 900)]
    started = time.perf_counter()
    verdict = bench.judge(bench.document(bench.signer()), [*bench.status(), *junk])
    assert time.perf_counter() - started < 2
    assert outcome(verdict) == ("TOTAL-PASSED", None)


@pytest.mark.parametrize("year", [1, 9999])
def test_times_at_the_ends_of_the_calendar(bench: Bench, year: int) -> None:
    """Validity, claimed time, revocation and token times that nothing can be added to or taken from."""
    edge = datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, 23, 59, 59, tzinfo=UTC)
    written = edge.replace(year=1111) if year == 1 else edge
    leaf = bench.pki.issue("person", not_before=written if year == 1 else bench.day(-1), not_after=written)
    leaf = leaf.replace(b"11110101", b"00010101")
    signer = bench.signer(leaf, key="person", include=[leaf, *bench.pki.chain("person")[1:]], claimed=edge)
    serial = Certificate.from_der(leaf).serial_number
    listed = bench.pki.crl("sub-g2-state", bench.day(1), entries=[(serial, written, "keyCompromise")], next_update=None)
    token = replace(bench.token(bench.day(10), signer), gen_time=edge, accuracy=1e9)
    documents = [
        bench.document(signer),
        bench.document(signer, token),
        bench.document(bench.signer(claimed=edge), replace(token, kind="content"), token),
    ]
    for document in documents:
        bench.judge(document, [crl(listed), *bench.full()])
        bench.judge(document, [crl(listed), *bench.full()], at=edge)
