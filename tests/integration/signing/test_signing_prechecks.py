"""What is refused before the key is touched: profiles' rules and certificates, each with its own code."""

from __future__ import annotations

import io
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import test_pki
from signsvc.errors import SignsvcError
from signsvc.services import Services
from signsvc.signing import SignParams, SignResult, TrustInput, Visible, profiles
from signsvc.types import Certificate
from test_pki.responders import Responders
from tests.interop.pdfa_bases import pdfa


class Untouched:
    """A key whose certificates are read and that must not sign."""

    def __init__(self, pki: test_pki.Pki, label: str) -> None:
        self.certificate_chain = tuple(Certificate.from_der(der) for der in pki.chain(label)[:-1])
        self.certificate = self.certificate_chain[0]

    def sign(self, *_: Any, **__: Any) -> bytes:
        raise AssertionError("the key was touched")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "van-ban.pdf"
    path.write_bytes((resources.files("signsvc.samples") / "van-ban.pdf").read_bytes())
    return path


def made(tmp_path: Path, text: str) -> profiles.Profile:
    (tmp_path / "own.toml").write_text(f'extends = "pades-b-t"\nid = "own"\nversion = "1"\n{text}')
    return profiles.check(tmp_path / "own.toml")


def code_of(
    services: Services, document: Path, profile: profiles.Profile, signer: Any, **options: Any
) -> tuple[str, str]:
    """The problem's code and Vietnamese text; nothing may have been written."""
    target = document.with_name("out.pdf")
    with pytest.raises(SignsvcError) as caught:
        services.signing.sign(document, target, profile=profile, signer=signer, **options)
    assert not target.exists()
    return caught.value.code, caught.value.text("vi")


LEAVES = [
    ("expired", "certificate_expired"),
    ("not-yet-valid", "certificate_not_yet_valid"),
    ("revoked", "certificate_revoked"),
    ("suspended", "certificate_suspended"),
    ("of-revoked-ca", "certificate_revoked"),
    ("wrong-usage", "certificate_not_for_signing"),
    ("unknown", "certificate_path_unknown"),
    ("no-urls", "certificate_status_unknown"),
    ("rsa1024", "key_not_acceptable"),
]


@pytest.mark.parametrize(("label", "code"), LEAVES)
def test_certificates_are_refused_before_the_key_and_any_timestamp(
    label: str, code: str, document: Path, services: Services, responders: Responders, pki: test_pki.Pki
) -> None:
    profile = replace(profiles.load("pades-b-t"), require_path=True)
    found, words = code_of(services, document, profile, Untouched(pki, label))
    assert found == code
    assert "?" not in words.replace("(?)", "")
    assert not [path for path in responders.requests if "/tsa" in str(path)]


RULES = [
    ('[credential]\nholder = "agency"', "person", "certificate_wrong_holder"),
    ('[credential]\norganizations = ["Bộ Thử Nghiệm"]', "person", "certificate_wrong_organization"),
    ('[credential]\npolicies = ["2.16.704.1.1.1.1.99"]', "person", "certificate_wrong_policy"),
    ('[credential]\nissuers = ["Other CA"]', "person", "certificate_wrong_issuer"),
    ('[credential]\nissuers = ["Other CA"]', "unknown", "certificate_path_unknown"),
    ('[credential]\nkey_types = ["ec"]', "person", "key_not_acceptable"),
    ('[credential]\nextended_key_usage = ["1.3.6.1.5.5.7.3.4"]', "person", "certificate_not_for_signing"),
    ('[metadata]\nreason = { value = "Ban hành", fixed = true }', "person", "parameter_fixed"),
    ("[metadata]\ncontact = { required = true }", "person", "parameter_missing"),
    ('[pdfa]\nwhen_not = "refuse"', "person", "pdfa_required"),
    ('[field]\nname = "GiamDoc"\nexisting = true', "person", "signing_not_permitted"),
]


@pytest.mark.parametrize(("text", "label", "code"), RULES)
def test_rules_of_profiles_are_checked_before_the_key(
    text: str,
    label: str,
    code: str,
    document: Path,
    tmp_path: Path,
    services: Services,
    responders: Responders,
    pki: test_pki.Pki,
) -> None:
    params = SignParams(reason="Sao y")
    found, words = code_of(services, document, made(tmp_path, text), Untouched(pki, label), params=params)
    assert found == code
    assert "{" not in words
    assert not [path for path in responders.requests if "/tsa" in str(path)]


def test_transparent_pictures_are_refused_in_pdfa_1(
    document: Path, tmp_path: Path, services: Services, pki: test_pki.Pki
) -> None:
    def seal(alpha: int) -> bytes:
        out = io.BytesIO()
        Image.new("RGBA", (40, 40), (200, 0, 0, alpha)).save(out, "PNG")
        return out.getvalue()

    def wanted(alpha: int, template: str = "ky-phe-duyet") -> SignParams:
        place = Visible(page=1, rect=(60, 120, 160, 190), template=template, picture=seal(alpha))
        return SignParams(visible=place, metadata={"doc_number": "1/QĐ"})

    document.write_bytes(pdfa("1b"))
    refusing = made(tmp_path, '[pdfa]\ntransparency = "refuse"')
    signer = Untouched(pki, "person")
    code, words = code_of(services, document, refusing, signer, params=wanted(90))
    assert (code, "PDF/A-2" in words) == ("pdfa_transparency", True)
    allowing = made(tmp_path, '[pdfa]\ntransparency = "allow"')
    for profile, params in ((refusing, wanted(90, "simple")), (allowing, wanted(90))):
        with pytest.raises(AssertionError, match="the key was touched"):
            services.signing.sign(document, tmp_path / "out.pdf", profile=profile, signer=signer, params=params)
    document.write_bytes(pdfa("2b"))
    with pytest.raises(AssertionError, match="the key was touched"):
        services.signing.sign(document, tmp_path / "out.pdf", profile=refusing, signer=signer, params=wanted(90))


def test_what_the_profile_says_stands_in_the_file(document: Path, tmp_path: Path, services: Services) -> None:
    text = (
        '[metadata]\nreason = "Ban hành"\n[field]\nname = "VanThu{n}"\n[certify]\nwhen = "first"\n'
        '[pdfa]\nwhen_not = "warn"\n[credential]\nholder = "agency"\n'
    )
    profile = replace(made(tmp_path, text), level="B-B", result="passed")

    def sign(source: Path, target: str) -> SignResult:
        signer = services.keyring.get("p12-agency")
        return services.signing.sign(source, tmp_path / target, profile=profile, signer=signer, trust=TrustInput())

    first = sign(document, "one.pdf")
    second = sign(tmp_path / "one.pdf", "two.pdf")
    assert (first.field, second.field) == ("VanThu1", "VanThu2")
    assert [finding.code for finding in first.warnings] == ["pdfa_missing"]
    assert second.report is not None  # at every level, where the result must pass
    entries = services.verifier.verify(tmp_path / "two.pdf").signatures
    assert [(e["indication"], e["reason"]) for e in entries] == [("TOTAL-PASSED", "Ban hành")] * 2
    data = (tmp_path / "two.pdf").read_bytes()
    assert data.count(b"/DocMDP") >= 1
