"""Counter-signatures (RFC 5652 §11.4): read out of the CMS, each judged by itself, proven by their own tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from signsvc.formats import cms
from signsvc.types import DocumentVerdict, DocumentView, Indication, Scope, SignatureVerdict, SignatureView
from test_pki import Pki, der
from test_pki.timestamps import attribute
from tests.unit.cms.cms_builder import Signer, digest_of
from tests.unit.cms.cms_builder import cms as build
from tests.unit.validation.validation_bench import DAY, Bench

COUNTER, TOKEN = "1.2.840.113549.1.9.6", "1.2.840.113549.1.9.16.2.14"


def _value(pki: Pki, label: str = "person") -> bytes:
    """The signature value that `Signer(pki, label)` makes; PKCS#1 v1.5 makes the same every time."""
    signer = Signer(pki, label)
    signer.encoded()
    return signer.value


def _counter(pki: Pki, above: bytes, label: str = "person2", **changes: Any) -> Signer:
    return Signer(pki, label, content=above, content_type=None, **changes)


def _judged(
    bench: Bench, *counters: bytes, certs: Sequence[str] = ("person", "person2", "agency"), **changes: Any
) -> tuple[DocumentVerdict, tuple[SignatureVerdict, ...]]:
    pki = bench.pki
    unsigned = (attribute(COUNTER, *counters),)
    embedded = list(dict.fromkeys(one for label in certs for one in pki.chain(label)))
    view = cms.read(build(Signer(pki, unsigned=unsigned), certs=embedded), subject="S", digest=digest_of())
    signature = SignatureView("S", "CAdES", "B-B", view.signers[0], Scope("FULL", 1, 1), **changes)
    document = DocumentView("application/pkcs7-signature", 0, bytes(32), (signature,))
    evidence = [item for label in ("person", "person2", "agency", "tsa1") for item in bench.status(label)]
    verdict = bench.judge(document, list({item.id: item for item in evidence}.values()))
    return verdict, verdict.signatures[0].counter_signatures


def test_sound_ones_pass(bench: Bench) -> None:
    above = _value(bench.pki)
    verdict, found = _judged(
        bench, _counter(bench.pki, above).encoded(), _counter(bench.pki, above, "agency").encoded()
    )
    assert verdict.indication is Indication.TOTAL_PASSED
    assert [(v.id, v.indication) for v in found] == [
        ("S-counter1", Indication.TOTAL_PASSED),
        ("S-counter2", Indication.TOTAL_PASSED),
    ]
    names = [v.certificate.der if v.certificate else None for v in found]
    assert names == [bench.pki.cert("person2"), bench.pki.cert("agency")]
    assert all(f.subject != "S" for v in found for f in v.findings)


@pytest.mark.parametrize(
    ("change", "sub"),
    [
        (lambda pki, above: _counter(pki, b"another value"), "HASH_FAILURE"),
        (lambda pki, above: _counter(pki, above, signature=bytes(256)), "SIG_CRYPTO_FAILURE"),
        (lambda pki, above: _counter(pki, above, without=("1.2.840.113549.1.9.4",)), "HASH_FAILURE"),
    ],
)
def test_false_ones_fail_alone(bench: Bench, change: Callable[[Pki, bytes], Signer], sub: str) -> None:
    verdict, (found,) = _judged(bench, change(bench.pki, _value(bench.pki)).encoded())
    assert verdict.indication is Indication.TOTAL_PASSED
    assert (found.indication, str(found.sub_indication)) == (Indication.TOTAL_FAILED, sub)


def test_one_of_another_signature_fails(bench: Bench) -> None:
    """It signs a value, and that value only."""
    other = _value(bench.pki, "agency")
    verdict, (found,) = _judged(bench, _counter(bench.pki, other).encoded())
    assert verdict.indication is Indication.TOTAL_PASSED
    assert str(found.sub_indication) == "HASH_FAILURE"


def test_a_malformed_one_hides_no_other(bench: Bench) -> None:
    above = _value(bench.pki)
    good = _counter(bench.pki, above).encoded()
    verdict, found = _judged(bench, der.seq(der.integer(1)), good)
    assert verdict.indication is Indication.TOTAL_PASSED
    assert "cms_counter_signature_malformed" in {f.code for f in verdict.signatures[0].findings}
    assert [v.indication for v in found] == [Indication.TOTAL_PASSED]


def test_without_signed_attributes(bench: Bench) -> None:
    """The value itself is signed then."""
    verdict, (found,) = _judged(bench, _counter(bench.pki, _value(bench.pki), signed=False).encoded())
    assert verdict.indication is Indication.TOTAL_PASSED
    assert found.indication is Indication.TOTAL_PASSED


def test_one_upon_another(bench: Bench) -> None:
    pki = bench.pki
    lower = _counter(pki, _value(pki))
    lower.encoded()
    upper = _counter(pki, lower.value, "agency").encoded()
    whole = replace(lower, unsigned=(attribute(COUNTER, upper),)).encoded()
    verdict, (found,) = _judged(bench, whole)
    assert verdict.indication is Indication.TOTAL_PASSED
    assert [v.id for v in found.counter_signatures] == ["S-counter1-counter1"]
    assert found.counter_signatures[0].indication is Indication.TOTAL_PASSED


def test_its_own_timestamp_proves_it(bench: Bench) -> None:
    """The token is over the counter-signature's value, and proves nothing for the signature above."""
    pki = bench.pki
    lower = _counter(pki, _value(pki))
    lower.encoded()
    token = pki.timestamp(hashlib.sha256(lower.value).digest(), at=bench.now - DAY)
    whole = replace(lower, unsigned=(attribute(TOKEN, token),)).encoded()
    verdict, (found,) = _judged(bench, whole)
    assert found.time_source == "timestamp"
    assert found.best_signature_time == bench.now - DAY
    assert [t.indication for t in found.timestamps] == [Indication.TOTAL_PASSED]
    assert verdict.signatures[0].time_source == "claimed"
    assert verdict.signatures[0].best_signature_time is None


def test_document_timestamps_prove_them_too(bench: Bench) -> None:
    """A token over the revision covers the CMS with all that is in it."""
    pki = bench.pki
    unsigned = (attribute(COUNTER, _counter(pki, _value(pki)).encoded()),)
    embedded = list(dict.fromkeys(one for label in ("person", "person2") for one in pki.chain(label)))
    view = cms.read(build(Signer(pki, unsigned=unsigned), certs=embedded), subject="S", digest=digest_of())
    scope = Scope("REVISION", 1, 2)
    signature = SignatureView("S", "PAdES", "B-LTA", view.signers[0], scope)
    stamped = bench.token(bench.now - DAY, kind="document", over=b"revision", revision=1)
    document = DocumentView("application/pdf", 0, bytes(32), (signature,), (stamped,), revisions=2)
    evidence = [item for label in ("person", "person2", "tsa1") for item in bench.status(label)]
    verdict = bench.judge(document, list({item.id: item for item in evidence}.values()))
    (found,) = verdict.signatures[0].counter_signatures
    assert found.best_signature_time == verdict.signatures[0].best_signature_time == bench.now - DAY
