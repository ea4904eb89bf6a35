"""What a verdict rests on is kept whole: it is reached again from that alone, and what was changed is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.messages import catalogue
from signsvc.trust import TrustStore
from signsvc.verification import TrustSource, Verifier, VerifyRequest, snapshot
from signsvc.verification.model import Outcome
from signsvc.verification.plain import PlainError, Writer
from test_pki.pki import now as pki_now
from tests.attacks.verdicts import AUTHORITIES
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import ROOM, claiming, maker, stamp, token, values


@pytest.fixture(scope="module")
def outcome(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Of a B-LTA signature with SHA-512, and one of B-B after it."""
    place = tmp_path_factory.mktemp("snapshot")
    at = pki.epoch + timedelta(days=9)
    pdf = PdfWriter(pages=2)
    make = maker(pki, tokens=[token(pki, at)], digest="sha512")
    pdf.sign(pki, room=ROOM // 2, extra=claiming(at), cms=make)
    pdf.store(pki, values=values(pki, "person", "tsa1", at=at + timedelta(minutes=1)))
    stamp(pdf, pki, token(pki, at + timedelta(minutes=2)), name="Stamp")
    pdf.sign(pki, name="Second", room=ROOM // 2, extra=claiming(at), cms=maker(pki))
    (place / "a.pdf").write_bytes(pdf.data)
    anchor = pki.cert("root-g2")
    TrustStore(place / "trust").install("test", anchor, confirm=(hashlib.sha256(anchor).hexdigest(),))
    with Verifier(TrustSource(place / "trust", ("test",)), workers=1) as verifier:
        asked = VerifyRequest(record=True, name="a.pdf", crls=tuple(pki.crl(one, pki_now()) for one in AUTHORITIES))
        return verifier.verify(place / "a.pdf", asked)


def test_the_same_report_again(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome.snapshot is not None
    assert len(outcome.report["signatures"]) == 2
    assert outcome.report["indication"] == "TOTAL-PASSED"
    assert outcome.report["trust"]["anchors"] == 1

    catalogue()  # texts come with the program

    def no_files(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Path, "read_bytes", no_files)
    monkeypatch.setattr(Path, "open", no_files)
    assert snapshot.judge(outcome.snapshot) == outcome.report
    assert snapshot.write(snapshot.read(outcome.snapshot)) == outcome.snapshot


def test_nothing_is_kept_unless_asked(outcome: Outcome, tmp_path: Path) -> None:
    (tmp_path / "b.pdf").write_bytes(PdfWriter().data)
    with Verifier(TrustSource(tmp_path / "none"), workers=1) as verifier:
        assert verifier.verify(tmp_path / "b.pdf").snapshot is None


def test_what_it_is_bound_to(outcome: Outcome) -> None:
    first, second = (s["binding"] for s in outcome.report["signatures"])
    value = base64.b64decode(first["signature_value"])
    assert hashlib.sha256(value).hexdigest() == first["signature_sha256"]
    assert first["data"][0]["ref"].startswith("0 ")
    # SHA-512 and SHA-256 alike: the digest of what is covered is the one that RFC 9321 asks for
    assert all(len(one["data"][0]["sha256"]) == 64 for one in (first, second))
    assert first["signed_bytes_sha256"] != second["signed_bytes_sha256"]


def test_its_octets(outcome: Outcome, pki: test_pki.Pki) -> None:
    assert outcome.snapshot is not None
    found = snapshot.objects(outcome.snapshot)
    for signature in outcome.report["signatures"]:
        for entry in signature["chain"]:
            assert hashlib.sha256(found.certificates[entry["sha256"]]).hexdigest() == entry["sha256"]
    said = {t["id"] for s in outcome.report["signatures"] for t in s["timestamps"]}
    said |= {t["id"] for t in outcome.report["timestamps"]}
    assert said == set(found.timestamps)
    assert found.crls


def test_large_octets_are_kept_apart(outcome: Outcome) -> None:
    assert outcome.snapshot is not None
    core, apart = snapshot.split(outcome.snapshot)
    assert apart
    assert len(core) < len(outcome.snapshot)
    assert snapshot.join(core, apart.__getitem__) == outcome.snapshot
    with pytest.raises(PlainError):
        snapshot.judge(core)


def test_what_was_changed_is_refused(outcome: Outcome) -> None:
    assert outcome.snapshot is not None
    head = json.loads(zlib.decompress(outcome.snapshot))
    name = next(iter(head["objects"]))
    changed = [
        {**head, "version": 2},
        {**head, "objects": {**head["objects"], name: base64.b64encode(b"other").decode()}},
        {**head, "values": {**head["values"], "view": {"o": "Path", "f": {}}}},
        {**head, "values": {**head["values"], "policy": {"o": "Finding", "f": {"code": 1, "no": 2}}}},
        {**head, "values": {k: v for k, v in head["values"].items() if k != "now"}},
        {**head, "values": {**head["values"], "view": {"b": "none"}}},
    ]
    for one in changed:
        with pytest.raises(PlainError):
            snapshot.judge(zlib.compress(json.dumps(one).encode()))
    for octets in (b"", b"nothing", outcome.snapshot[:-40], zlib.compress(b"[]")):
        with pytest.raises(PlainError):
            snapshot.judge(octets)


def test_only_our_own_classes_are_written() -> None:
    with pytest.raises(TypeError):
        Writer().write(Path("/"))
