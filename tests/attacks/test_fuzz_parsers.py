"""Damaged inputs to every parser of hostile octets, and damaged documents to the whole engine; the same ones each run."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

import test_pki
from tests.attacks.mutations import CHANGES, PDF_CHANGES, mutate
from tests.attacks.parsers import PARSERS, TEXT, seeds
from tests.attacks.verdicts import AUTHORITIES, Judge

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
INPUTS = 5_000 if FULL else 300
DOCUMENTS = 10_000 if FULL else 400


@pytest.mark.parametrize("name", PARSERS)
def test_parsers_answer_or_refuse(name: str) -> None:
    saved = seeds(name)
    for data in saved:
        PARSERS[name](data)
    for number in range(INPUTS):
        rng = random.Random(f"{name}/{number}")
        data = mutate(rng, rng.choice(saved), saved, PDF_CHANGES if name in TEXT else CHANGES)
        began = time.process_time()
        PARSERS[name](data)
        assert time.process_time() - began < 2, number


def test_no_damaged_document_passes_for_what_was_signed(pki: test_pki.Pki, tmp_path: Path) -> None:
    judge = Judge(pki, tmp_path, supplied=AUTHORITIES)
    documents = judge.documents(pki)
    saved = [document.data for document in documents]
    answers = set()
    for number in range(DOCUMENTS):
        rng = random.Random(f"damage/{number}")
        document = rng.choice(documents)
        data = mutate(rng, document.data, saved, PDF_CHANGES)
        began = time.process_time()
        assert judge.wrong(document, data) is None, (number, document.name)
        assert time.process_time() - began < 2, (number, document.name)
        answers.add(judge.last)
    assert {"TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE", "document_unreadable"} <= answers


def test_flipping_a_covered_octet_fails(pki: test_pki.Pki, tmp_path: Path) -> None:
    """Of B-LT signatures, octet by octet over all that the signature covers: the answer is never "passed"."""
    judge = Judge(pki, tmp_path)
    document = next(d for d in judge.documents(pki) if d.name == "B-LT table")
    (signature,) = judge.report(document.data)["signatures"]
    (_, first), (second, length) = signature["scope"]["byte_ranges"]
    for place in [*range(0, first, 1 if FULL else 9), *range(second, second + length, 1 if FULL else 5)]:
        data = bytearray(document.data)
        data[place] ^= 1
        assert judge.wrong(document, bytes(data)) is None
        assert judge.last != "TOTAL-PASSED", place


def test_truncated_anywhere(pki: test_pki.Pki, tmp_path: Path) -> None:
    judge = Judge(pki, tmp_path)
    document = next(d for d in judge.documents(pki) if d.name == "B-LTA stream")
    for end in range(1, len(document.data), 60 if FULL else 600):
        assert judge.wrong(document, document.data[:end]) is None, end


@pytest.mark.parametrize("tail", [b"x", b"%%EOF", b"1 0 obj\n<< >>\nendobj\n", b"\nstartxref\n0\n%%EOF\n"])
def test_octets_appended_are_never_unchanged(pki: test_pki.Pki, tmp_path: Path, tail: bytes) -> None:
    judge = Judge(pki, tmp_path)
    for document in judge.documents(pki):
        assert judge.wrong(document, document.data + tail) is None, document.name
        assert judge.last != "TOTAL-PASSED", document.name


def test_every_readable_certificate_can_be_reported(pki: test_pki.Pki) -> None:
    from signsvc.asn1 import DerError
    from signsvc.reports.build import certificate_summary
    from signsvc.types import Certificate

    encoded = pki.cert("person")
    readable = 0
    for place in range(len(encoded)):
        for flip in (0x01, 0x80, 0xFF):
            data = bytearray(encoded)
            data[place] ^= flip
            try:
                certificate = Certificate(bytes(data))
            except DerError:
                continue
            readable += 1
            assert certificate_summary(certificate)["sha256"] == certificate.sha256.hex()
    assert readable > len(encoded)
