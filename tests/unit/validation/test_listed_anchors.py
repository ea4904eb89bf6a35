"""Anchors from trusted lists: since when, until when and what for they count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signsvc.trust import TrustAnchor
from signsvc.types import Certificate
from tests.unit.validation.validation_bench import DAY, Bench, codes, outcome, token_codes


def listed(bench: Bench, label: str, **changes: object) -> TrustAnchor:
    certificate = Certificate.from_der(bench.pki.cert(label))
    return TrustAnchor(certificate, label, profile="tl-vn", **changes)  # type: ignore[arg-type]


def judged(bench: Bench, *anchors: TrustAnchor, at: float = 9) -> tuple[tuple[str, str | None], set[str]]:
    """A signature of `person` with a timestamp nine days after the epoch, under these anchors alone."""
    bench = replace(bench, anchors=anchors)
    signer = bench.signer()
    token = bench.token(bench.day(at), signer)
    verdict = bench.judge(bench.document(signer, token), bench.full())
    return outcome(verdict), codes(verdict) | token_codes(verdict)


PASSED = ("TOTAL-PASSED", None)
NO_CHAIN = ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")


def test_an_issuing_service_is_an_anchor_although_no_root(bench: Bench) -> None:
    found, _ = judged(bench, listed(bench, "sub-g2-state"), listed(bench, "sub-g2-tsa", use="timestamp"))
    assert found == PASSED


def test_it_counts_from_its_status_on(bench: Bench) -> None:
    time = listed(bench, "sub-g2-tsa", use="timestamp")
    assert judged(bench, listed(bench, "sub-g2-state", since=bench.day(8)), time)[0] == PASSED
    found, said = judged(bench, listed(bench, "sub-g2-state", since=bench.day(10)), time)
    assert found == NO_CHAIN
    assert "trust_anchor_not_yet" in said


def test_it_counts_until_it_is_withdrawn(bench: Bench) -> None:
    """From then on nothing new is proven: revocation data of today says nothing, and nothing proves older data."""
    time = listed(bench, "sub-g2-tsa", use="timestamp")
    assert judged(bench, listed(bench, "sub-g2-state", sunset=bench.now + DAY), time)[0] == PASSED
    found, said = judged(bench, listed(bench, "sub-g2-state", sunset=bench.day(10)), time)
    assert found == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND_NO_POE")
    assert "trust_anchor_sunset" in said


def test_an_anchor_for_timestamps_signs_no_document(bench: Bench) -> None:
    found, said = judged(
        bench, listed(bench, "sub-g2-state", use="timestamp"), listed(bench, "sub-g2-tsa", use="timestamp")
    )
    assert found == NO_CHAIN
    assert "trust_anchor_for_timestamps" in said


@pytest.mark.parametrize("label", ["tsa1", "sub-g2-tsa"], ids=["an authority for time", "a CA"])
def test_an_anchor_for_timestamps_signs_no_document_by_who_stamps(bench: Bench, label: str) -> None:
    """What it certified for time, and itself, signs documents with that key."""
    bench = replace(bench, anchors=(listed(bench, "sub-g2-tsa", use="timestamp"),))
    verdict = bench.judge(bench.document(bench.signer(label)), bench.full(label))
    assert verdict.indication == "INDETERMINATE"
    assert "trust_anchor_for_timestamps" in codes(verdict)


def test_a_timestamp_authority_itself_may_be_listed(bench: Bench) -> None:
    time = listed(bench, "tsa1", use="timestamp", since=bench.day(1))
    assert judged(bench, listed(bench, "sub-g2-state"), time)[0] == PASSED
    late = listed(bench, "tsa1", use="timestamp", since=bench.day(20))
    assert "trust_anchor_not_yet" in judged(bench, listed(bench, "sub-g2-state"), late)[1]


def test_an_outdated_list_is_told_and_fails_nothing(bench: Bench) -> None:
    time = listed(bench, "sub-g2-tsa", use="timestamp")
    found, said = judged(bench, listed(bench, "sub-g2-state", listed_until=bench.now - DAY), time)
    assert found == PASSED
    assert "trusted_list_outdated" in said
    assert (
        "trusted_list_outdated"
        not in judged(bench, listed(bench, "sub-g2-state", listed_until=bench.now + DAY), time)[1]
    )
