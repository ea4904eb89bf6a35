"""EU DSS and signsvc on ASiC containers, both ways: each takes what the other signs and raises, at every level."""

from __future__ import annotations

from datetime import timedelta

import pytest

import test_pki
from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.formats import asic
from signsvc.formats.asic import extend, write
from signsvc.formats.asic.write import AsicSpec, Kind
from signsvc.formats.xades.write import XmlPlan
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, Indication, Original
from signsvc.validation import policies, validate
from test_pki.responders import Responders
from tests.interop.dss_place import DssPlace
from tests.support.signed_cms import LEVELS, evidence, stamper
from tests.unit.formats.asic.asic_bench import repacked

SIGNERS = ("person", "ec")
FILES = (Original("văn bản+1.txt", "xin chào".encode()), Original("bảng 2%.csv", b"1,2\n"))


@pytest.fixture(scope="module")
def place(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> DssPlace:
    made = DssPlace.made("AsicHarness", tmp_path_factory.mktemp("asic"), pki, responders, SIGNERS)
    for file in FILES:
        (made.path / file.name).write_bytes(bytes(file.data or b""))
    return made


def judged(pki: test_pki.Pki, data: bytes, more: tuple[EvidenceItem, ...] = ()) -> DocumentVerdict:
    root = Certificate.from_der(pki.roots["root-g2"])
    material = TrustMaterial(("test",), (TrustAnchor(root, "root-g2"),), ())
    now = test_pki.pki.now() + timedelta(minutes=5)
    return validate(asic.read(data), material=material, evidence=more, policy=policies.load("hon-hop"), now=now)


def plan(pki: test_pki.Pki, label: str) -> XmlPlan:
    certificate = Certificate.from_der(pki.cert(label))
    scheme = SignatureScheme.ECDSA if label == "ec" else SignatureScheme.RSA_PKCS1
    chain = tuple(Certificate.from_der(one) for one in pki.chain(label)[1:-1])
    return XmlPlan(certificate, SignatureAlgorithm(scheme, "sha256"), test_pki.pki.now(), chain)


def sign(pki: test_pki.Pki, kind: Kind, label: str = "person", existing: bytes | None = None) -> bytes:
    if existing is None:
        made = write.prepare(FILES[:1] if kind is Kind.S else FILES, plan(pki, label), AsicSpec(kind=kind))
    else:
        made = write.prepare_further(existing, plan(pki, label))
    return write.complete(made, pki.sign_data(label, made.octets, "sha256", False))


def raised_now(pki: test_pki.Pki, data: bytes, level: str, *labels: str) -> bytes:
    """Raised to `level` at present, which is when DSS judges."""
    now, steps = test_pki.pki.now(), LEVELS.index(level)
    if steps >= 1:
        data = extend.signature_timestamp(data, stamper(pki, now))
    if steps >= 2:
        data = extend.validation_data(data, evidence(pki, *labels, "tsa1", at=now))
    if steps >= 3:
        data = extend.archive_timestamp(data, stamper(pki, now))
    return data


def test_dss_takes_our_containers(place: DssPlace) -> None:
    """Both kinds, both keys, every level; B-LT and B-LTA with nothing but what they carry; two signatures."""
    pki = place.pki
    lines, wanted = [], {}

    def ask(name: str, data: bytes, own: str, *answers: tuple[str, str, str]) -> None:
        (place.path / name).write_bytes(data)
        lines.append(("verify", name, own))
        wanted[name] = list(answers)

    for level in LEVELS:
        passed = (f"XAdES-BASELINE-{level[2:].upper()}", "TOTAL_PASSED", "null")
        own = "1" if level in ("b-lt", "b-lta") else ""
        for kind in Kind:
            for label in SIGNERS:
                made = raised_now(pki, sign(pki, kind, label), level, label)
                ask(f"ours-{kind}-{level}-{label}", made, own, passed)
            two = sign(pki, kind, "ec", sign(pki, kind))
            ask(f"two-{kind}-{level}", raised_now(pki, two, level, "person", "ec"), own, passed, passed)
    whole = raised_now(pki, sign(pki, Kind.E), "b-lta", "person")
    altered = repacked(whole, {FILES[1].name: b"other"})
    ask("altered", altered, "1", ("XAdES-BASELINE-LTA", "TOTAL_FAILED", "HASH_FAILURE"))
    assert place.run(*lines) == wanted


def test_we_take_containers_of_dss(place: DssPlace) -> None:
    """Both kinds, XAdES and CAdES, every level: the same level here, and TOTAL-PASSED; XAdES raised by us as well."""
    pki = place.pki
    lines = []
    for form in ("XAdES", "CAdES"):
        for kind in ("E", "S"):
            for level in LEVELS:
                files = ",".join(file.name for file in (FILES if kind == "E" else FILES[:1]))
                name = f"theirs-{form}-{kind}-{level}"
                lines.append(("sign", name, level[2:].upper(), form, kind, "person", "RSA", files))
    place.run(*lines)
    checks, wanted = [], {}
    for _, name, level, form, *_ in lines:
        data = (place.path / name).read_bytes()
        more = tuple(evidence(pki, "person", "tsa1", at=test_pki.pki.now())) if level in ("B", "T") else ()
        verdict = judged(pki, data, more)
        (found,) = verdict.signatures
        assert (found.level, found.indication) == (f"B-{level}", Indication.TOTAL_PASSED), (name, found.findings)
        assert verdict.indication is Indication.TOTAL_PASSED, (name, verdict.findings)
        assert found.scope.type == "FULL", name
        assert {one.matches for one in found.covered} == {True}
        altered = judged(pki, repacked(data, {FILES[0].name: b"other"}), more)
        assert altered.indication is Indication.TOTAL_FAILED, name
        if form == "XAdES":
            further = raised_now(pki, sign(pki, Kind.E, "ec", data), "b-lta", "person", "ec")
            again = judged(pki, further)
            assert again.indication is Indication.TOTAL_PASSED, (name, [s.findings for s in again.signatures])
            (place.path / f"more-{name}").write_bytes(further)
            checks.append(("verify", f"more-{name}", "1"))
            wanted[f"more-{name}"] = [("XAdES-BASELINE-LTA", "TOTAL_PASSED", "null")] * 2
    assert place.run(*checks) == wanted


def test_dss_raises_our_containers(place: DssPlace) -> None:
    pki = place.pki
    lines = []
    for kind in Kind:
        for at, level in enumerate(LEVELS[:-1]):
            (place.path / f"base-{kind}-{level}").write_bytes(raised_now(pki, sign(pki, kind), level, "person"))
            above = LEVELS[at + 1][2:].upper()
            lines.append(("raise", f"raised-{kind}-{above}", above, "XAdES", f"base-{kind}-{level}"))
    place.run(*lines)
    for _, name, level, _, _ in lines:
        more = tuple(evidence(pki, "person", "tsa1", at=test_pki.pki.now())) if level == "T" else ()
        (found,) = judged(pki, (place.path / name).read_bytes(), more).signatures
        assert (found.level, found.indication) == (f"B-{level}", Indication.TOTAL_PASSED), (name, found.findings)
