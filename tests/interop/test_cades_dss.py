"""EU DSS and signsvc on CMS files, both ways: each takes what the other signs and raises, at every level."""

from __future__ import annotations

from datetime import timedelta

import pytest

import test_pki
from signsvc.formats import cades
from signsvc.formats.cades import extend
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, Indication, Original
from signsvc.validation import policies, validate
from test_pki.responders import Responders
from tests.interop.dss_place import DssPlace
from tests.support.signed_cms import CONTENT, LEVELS, evidence, original, sign, stamper

# Kind -> key and scheme. DSS signs with the same ones.
KINDS = {"rsa": ("person", "RSA"), "pss": ("person", "PSS"), "ec": ("ec", "EC")}
SIGNERS = ("person", "ec", "person2")
DETACHED, INSIDE = "DETACHED", "ENVELOPING"


@pytest.fixture(scope="module")
def place(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> DssPlace:
    made = DssPlace.made("CadesHarness", tmp_path_factory.mktemp("cades"), pki, responders, SIGNERS)
    (made.path / "content").write_bytes(CONTENT)
    (made.path / "other").write_bytes(CONTENT + b".")
    return made


def judged(
    pki: test_pki.Pki, data: bytes, originals: tuple[Original, ...], more: tuple[EvidenceItem, ...] = ()
) -> DocumentVerdict:
    root = Certificate.from_der(pki.roots["root-g2"])
    material = TrustMaterial(("test",), (TrustAnchor(root, "root-g2"),), ())
    view = cades.read(data, originals=originals)
    now = test_pki.pki.now() + timedelta(minutes=5)
    return validate(view, material=material, evidence=more, policy=policies.load("hon-hop"), now=now)


def raised_now(pki: test_pki.Pki, data: bytes, level: str, *labels: str) -> bytes:
    """Raised to `level` at present, which is when DSS judges."""
    now, steps = test_pki.pki.now(), LEVELS.index(level)
    if steps >= 1:
        data = extend.signature_timestamp(data, stamper(pki, now))
    if steps >= 2:
        data = extend.validation_data(data, evidence(pki, *labels, "tsa1", at=now))
    if steps >= 3:
        data = extend.archive_timestamp(data, stamper(pki, now), originals=(original(),))
    return data


def test_dss_takes_ours(place: DssPlace) -> None:
    """Every level, key and packaging; B-LT and B-LTA with nothing but what they carry."""
    pki = place.pki
    lines, wanted = [], {}
    for level in LEVELS:
        for kind, (label, scheme) in KINDS.items():
            for detached in (True, False):
                name = f"ours-{kind}-{level}-{detached}"
                data = sign(pki, label, pss=scheme == "PSS", detached=detached, media_type="text/plain")
                (place.path / name).write_bytes(raised_now(pki, data, level, label))
                own = "1" if level in ("b-lt", "b-lta") else ""
                lines.append(("verify", name, "content" if detached else "", own))
                wanted[name] = [(f"CAdES-BASELINE-{level[2:].upper()}", "TOTAL_PASSED", "null")]
    (place.path / "altered").write_bytes((place.path / "ours-rsa-b-lta-True").read_bytes())
    lines.append(("verify", "altered", "other", "1"))
    wanted["altered"] = [("CAdES-BASELINE-LTA", "TOTAL_FAILED", "HASH_FAILURE")]
    assert place.run(*lines) == wanted


def test_dss_takes_several_counter_signatures_and_renewals(place: DssPlace) -> None:
    pki = place.pki
    several = sign(pki, "ec", existing=sign(pki), content=original())
    (place.path / "several").write_bytes(raised_now(pki, several, "b-lta", "person", "ec"))
    countered = sign(pki, "person2", existing=several, counter=2)
    (place.path / "countered").write_bytes(countered)
    renewed = raised_now(pki, sign(pki), "b-lta", "person")
    now = test_pki.pki.now()
    renewed = extend.validation_data(renewed, evidence(pki, "tsa1", at=now))
    renewed = extend.archive_timestamp(renewed, stamper(pki, now + timedelta(seconds=1)), originals=(original(),))
    (place.path / "renewed").write_bytes(renewed)
    found = place.run(
        ("verify", "several", "content", "1"),
        ("verify", "countered", "content", ""),
        ("verify", "renewed", "content", "1"),
    )
    passed = "TOTAL_PASSED"
    assert found["several"] == [("CAdES-BASELINE-LTA", passed, "null")] * 2
    assert found["renewed"] == [("CAdES-BASELINE-LTA", passed, "null")]
    assert sorted(found["countered"])[:2] == [("CAdES-BASELINE-B", passed, "null")] * 2
    ((counter, indication, _),) = [one for one in found["countered"] if one[0].startswith("counter:")]
    assert indication == passed, counter


def test_we_take_those_of_dss(place: DssPlace) -> None:
    """Every level, key and packaging: the same level here, and TOTAL-PASSED; raised further by us, both pass."""
    pki = place.pki
    lines = [
        ("sign", f"theirs-{kind}-{level}-{packaging}", level[2:].upper(), packaging, label, scheme, "")
        for level in LEVELS
        for kind, (label, scheme) in KINDS.items()
        for packaging in (DETACHED, INSIDE)
    ]
    place.run(*lines)
    checks, wanted = [], {}
    for _, name, level, packaging, label, _, _ in lines:
        data = (place.path / name).read_bytes()
        given = (original(),) if packaging == DETACHED else ()
        more = tuple(evidence(pki, label, "tsa1", at=test_pki.pki.now())) if level in ("B", "T") else ()
        (found,) = judged(pki, data, given, more).signatures
        assert (found.level, found.indication) == (f"B-{level}", Indication.TOTAL_PASSED), (name, found.findings)
        if given:
            (altered,) = judged(pki, data, (original(b"other"),), more).signatures
            assert altered.indication is Indication.TOTAL_FAILED
        else:
            assert cades.content(data) == CONTENT
        further = raised_now(pki, data, "b-lta", label)
        (again,) = judged(pki, further, given).signatures
        assert (again.level, again.indication) == ("B-LTA", Indication.TOTAL_PASSED), (name, again.findings)
        (place.path / f"more-{name}").write_bytes(further)
        checks.append(("verify", f"more-{name}", "content" if given else "", "1"))
        wanted[f"more-{name}"] = [("CAdES-BASELINE-LTA", "TOTAL_PASSED", "null")]
    assert place.run(*checks) == wanted


def test_dss_adds_to_ours(place: DssPlace) -> None:
    """A second signer and each next level by DSS on our files; all signatures stay good here."""
    pki = place.pki
    (place.path / "base").write_bytes(sign(pki))
    (place.path / "archived").write_bytes(raised_now(pki, sign(pki), "b-lta", "person"))
    raises = [("raise", f"raised-{level}", level, "base") for level in ("T", "LT", "LTA")]
    raises.append(("raise", "renewed", "LTA", "archived"))
    place.run(("sign", "beside", "B", DETACHED, "ec", "EC", "base"), *raises)
    data = (place.path / "beside").read_bytes()
    more = tuple(evidence(pki, "person", "ec", "tsa1", at=test_pki.pki.now()))
    verdict = judged(pki, data, (original(),), more)
    assert [(s.level, s.indication) for s in verdict.signatures] == [("B-B", Indication.TOTAL_PASSED)] * 2
    for level in ("T", "LT", "LTA"):
        (found,) = judged(pki, (place.path / f"raised-{level}").read_bytes(), (original(),), more).signatures
        assert (found.level, found.indication) == (f"B-{level}", Indication.TOTAL_PASSED), found.findings
    (renewed,) = judged(pki, (place.path / "renewed").read_bytes(), (original(),), more).signatures
    assert (renewed.level, renewed.indication) == ("B-LTA", Indication.TOTAL_PASSED), renewed.findings
    assert [t.indication for t in renewed.timestamps] == [Indication.TOTAL_PASSED] * 3
