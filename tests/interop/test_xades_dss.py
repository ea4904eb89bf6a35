"""EU DSS and signsvc on XML signatures, both ways: each takes what the other signs, and each raises the other's."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

import test_pki
from signsvc.formats.xades import extend, read
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, Indication, Original
from signsvc.validation import policies, validate
from test_pki.responders import Responders
from tests.interop.dss_place import DssPlace
from tests.support.signed_cms import LEVELS, evidence, stamper
from tests.unit.formats.xades.xades_bench import INVOICE, XadesBench

KINDS = {"rsa": ("person", "RSA"), "pss": ("person", "PSS"), "ec": ("ec", "EC")}
PACKAGINGS = ("ENVELOPED", "ENVELOPING", "DETACHED", "INTERNALLY_DETACHED")
FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
PASSED = "TOTAL_PASSED"
DOCUMENT = INVOICE.replace(b"<h:HDon ", b'<h:HDon Id="goc" ')  # a detached one in the document wants an Id on the root
FILE = Original("a.xml", DOCUMENT)


@pytest.fixture(scope="module")
def place(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> DssPlace:
    made = DssPlace.made("XadesHarness", tmp_path_factory.mktemp("xades"), pki, responders, ("person", "ec"))
    (made.path / "a.xml").write_bytes(DOCUMENT)
    return made


def judged(place: DssPlace, data: bytes, more: tuple[EvidenceItem, ...] = ()) -> DocumentVerdict:
    root = Certificate.from_der(place.pki.roots["root-g2"])
    material = TrustMaterial(("test",), (TrustAnchor(root, "root-g2"),), ())
    now = test_pki.pki.now() + timedelta(minutes=5)
    view = read(data, originals=(FILE,))
    return validate(view, material=material, evidence=more, policy=policies.load("hon-hop"), now=now)


def taken(place: DssPlace, name: str, level: str, data: bytes, more: tuple[EvidenceItem, ...] = ()) -> None:
    verdict = judged(place, data, more)
    said = [(s.indication, s.level) for s in verdict.signatures]
    assert said == [(Indication.TOTAL_PASSED, f"B-{level[2:].upper()}")], (
        name, said, [(f.code, dict(f.data)) for s in verdict.signatures for f in s.findings],
        [(f.code, dict(f.data)) for s in verdict.signatures for t in s.timestamps for f in t.findings],
    )  # fmt: skip


def test_we_take_those_of_dss(place: DssPlace) -> None:
    """Every level and packaging, other keys for one packaging (with SIGNSVC_TEST_FULL=1 for all): the same level here, and TOTAL-PASSED; raised by us, both pass."""
    pki = place.pki
    cases = {
        f"theirs-{kind}-{level}-{packaging}": (level, packaging, *KINDS[kind])
        for level in LEVELS
        for kind in KINDS
        for packaging in PACKAGINGS
        if FULL or kind == "rsa" or packaging == "ENVELOPED"
    }
    place.run(
        *(
            ("sign", name, level[2:].upper(), packaging, label, scheme, "a.xml")
            for name, (level, packaging, label, scheme) in cases.items()
        )
    )
    questions = []
    for name, (level, packaging, label, _) in cases.items():
        data = place.octets(name)
        now = test_pki.pki.now()
        help_needed = level in ("b-b", "b-t")
        taken(place, name, level, data, evidence(pki, label, "tsa1", at=now) if help_needed else ())
        if level == "b-b":
            data = extend.signature_timestamp(data, stamper(pki, now))
        if level in ("b-b", "b-t"):
            data = extend.validation_data(data, evidence(pki, label, "tsa1", at=now))
        if level == "b-lta":
            data = extend.validation_data(data, evidence(pki, "tsa1", at=now))
        data = extend.archive_timestamp(data, stamper(pki, now + timedelta(seconds=2)), originals=(FILE,))
        taken(place, f"raised-{name}", "b-lta", data)
        (place.path / f"raised-{name}").write_bytes(data)
        content = "a.xml" if packaging == "DETACHED" else ""
        questions.append(("verify", f"raised-{name}", content, "1"))
    answers = place.run(*questions)
    assert answers == {question[1]: [("XAdES-BASELINE-LTA", PASSED, "null")] for question in questions}


def test_dss_raises_ours(place: DssPlace) -> None:
    bench = XadesBench(place.pki, policies.load("hon-hop"), test_pki.pki.now(), ())
    (place.path / "ours").write_bytes(bench.sign(INVOICE))
    levels = ("T", "LT", "LTA")
    lines = [("raise", f"ours-{level}", level, "ours", "") for level in levels]
    place.run(*lines)
    for level in levels:
        name = f"ours-{level}"
        more = evidence(place.pki, "person", "tsa1", at=test_pki.pki.now()) if level == "T" else ()
        taken(place, name, f"b-{level.lower()}", place.octets(name), more)
