"""Signatures of Decree 30/2020 through the workers of the service and on the command line, judged by our verifier."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import DocumentError, RequestError
from signsvc.services import Services
from signsvc.settings import AppearanceSettings
from signsvc.signing import SignParams, fields, profiles
from signsvc.signing.visible import Anchor, Beside, Visible
from tests.support.installation import Installation
from tests.unit.signing.appearance_pages import METADATA, document, hand, run, seal

BETWEEN = Anchor("GIÁM ĐỐC", to="Nguyễn Văn An", position="between")


@pytest.fixture(scope="module")
def shared(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    directory = tmp_path_factory.mktemp("images")
    (directory / "hand.png").write_bytes(hand())
    settings = installation.settings.model_copy(update={"appearance": AppearanceSettings(image_dir=directory)})
    with Services(settings, shared_tokens=True, workers=1) as found:
        yield found


@pytest.fixture
def place(shared: Services) -> Path:
    """A directory that workers may write to."""
    import tempfile

    shared.settings.spool_dir.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=shared.settings.spool_dir))


def sign(shared: Services, path: Path, credential: str, params: SignParams, profile: str = "pades-b-b") -> Any:
    params = shared.images.supplied(params, profiles.load(profile).appearance, credential)
    signer = shared.keyring.get(credential)
    return shared.signing.sign(path, path, profile=profiles.load(profile), signer=signer, params=params)


@pytest.mark.parametrize("rotate", [0, 90])
def test_person_and_seal_leave_each_other_whole(rotate: int, shared: Services, place: Path) -> None:
    path = place / "van-ban.pdf"
    path.write_bytes(document(rotate=rotate))
    person = Visible(template="ky-phe-duyet", anchor=BETWEEN, image="hand.png")
    sign(shared, path, "p12-person", SignParams(visible=person, field="GiamDoc"))
    agency = Visible(template="dong-dau", beside=Beside("GiamDoc"), picture=seal())
    result = sign(shared, path, "agency", SignParams(visible=agency, metadata=METADATA))
    assert result.field == "Signature1"
    number = Visible(template="so-ngay", rect=(30, 730, 565, 750))
    sign(shared, path, "agency", SignParams(visible=number, metadata=METADATA))
    found = shared.verifier.verify(path).signatures
    assert [(s["field"], s["indication"], s["as_signed"]["indication"]) for s in found] == [
        (name, "TOTAL-PASSED", "TOTAL-PASSED") for name in ("GiamDoc", "Signature1", "Signature2")
    ]
    run("qpdf", "--check", path)
    assert "Số: 12/QĐ-SNV" in run("pdftotext", "-layout", path, "-").decode()


@pytest.mark.parametrize("template", ["dong-dau", "so-ngay"])
@pytest.mark.parametrize("lock", [{}, {"lock": {"action": "Exclude", "fields": ["so", "ngay", "CoQuan"]}}])
def test_number_and_date_come_with_the_agency(
    template: str, lock: dict[str, Any], shared: Services, place: Path
) -> None:
    path = place / "van-ban.pdf"
    path.write_bytes(document())
    wanted = [
        {"name": "GiamDoc", "rect": [370, 180, 490, 250], **lock},
        {"name": "CoQuan", "rect": [300, 170, 400, 270]},
        {"name": "so", "kind": "text", "rect": [60, 735, 250, 755]},
        {"name": "ngay", "kind": "text", "rect": [300, 735, 560, 755]},
    ]
    shared.signing.prepare_fields(path, path, fields=fields.parse(wanted))
    person = Visible(template="ky-phe-duyet", image="hand.png")
    sign(shared, path, "p12-person", SignParams(visible=person, field="GiamDoc"))
    profile = replace(profiles.load("pades-b-b"), appearance=template)
    wishes: dict[str, Any] = {"field": "CoQuan", "number": "12/QĐ-SNV", "date": "2026-02-03", "location": "Hà Nội"}
    params = SignParams.from_json(wishes)
    if template == "dong-dau":
        params = replace(params, visible=Visible(picture=seal()))
    before = path.read_bytes()
    shared.signing.sign(path, path, profile=profile, signer=shared.keyring.get("agency"), params=params)
    assert path.read_bytes().startswith(before)
    found = shared.verifier.verify(path).signatures
    assert [(s["field"], s["indication"], s["as_signed"]["indication"]) for s in found] == [
        (name, "TOTAL-PASSED", "TOTAL-PASSED") for name in ("GiamDoc", "CoQuan")
    ]
    run("qpdf", "--check", path)
    shown = run("pdftotext", "-layout", path, "-").decode()
    assert (shown.count("12/QĐ-SNV"), shown.count("Hà Nội, ngày 03 tháng 02 năm 2026")) == (1, 1)
    assert run("pdfsig", "-nocert", path).decode().count("Signature is Valid.") == 2


def test_a_number_without_a_place_is_refused(shared: Services, place: Path) -> None:
    path = place / "van-ban.pdf"
    path.write_bytes(document())
    for wishes in ({"number": "12"}, {"date": "2026-02-03"}):
        with pytest.raises(DocumentError) as caught:
            sign(shared, path, "agency", SignParams.from_json(wishes))
        assert caught.value.data["reason"] == "no-such-field"


def test_refused_before_the_key(shared: Services, place: Path) -> None:
    path = place / "van-ban.pdf"
    data = document()
    path.write_bytes(data)
    signer = _Untouched(shared.keyring.get("p12-person"))
    for visible, code in (
        (Visible(template="simple", anchor=Anchor("CHỦ TỊCH")), "anchor_not_found"),
        (Visible(template="dong-dau", beside=Beside("Nobody"), picture=seal()), "signature_field_not_found"),
        (Visible(template="dong-dau", rect=(1, 1, 90, 90), picture=seal()[:99]), "image_unusable"),
    ):
        with pytest.raises(RequestError) as caught:
            shared.signing.sign(
                path, path, profile=profiles.load("pades-b-b"), signer=signer, params=SignParams(visible=visible)
            )
        assert caught.value.code == code
    assert path.read_bytes() == data


class _Untouched:
    def __init__(self, inner: Any) -> None:
        self.certificate = inner.certificate
        self.certificate_chain = inner.certificate_chain

    def sign(self, *_: Any, **__: Any) -> bytes:
        raise AssertionError("the key was used")


def test_on_the_command_line(pki: test_pki.Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import sys

    (tmp_path / "a.pdf").write_bytes(document())
    (tmp_path / "hand.png").write_bytes(hand())
    p12 = Path(str(pki.p12("person")))
    command = [
        Path(sys.executable).with_name("signsvc"), "sign", "a.pdf", "--pkcs12", p12, "--pin-source", "env:PASS",
        "--profile", "pades-b-b", "--template", "ky-phe-duyet", "--image", "hand.png", "--anchor", "GIÁM ĐỐC",
        "--anchor-to", "Nguyễn Văn An", "--number", "12/QĐ-SNV", "--offline", "--json",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "PASS": test_pki.PASSWORD.decode() if isinstance(test_pki.PASSWORD, bytes) else test_pki.PASSWORD,
        "SIGNSVC_DATA_DIR": str(tmp_path / "data"),
    }
    done = subprocess.run(list(map(str, command)), capture_output=True, cwd=tmp_path, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["signature"]["level"] == "B-B"
    images = run("pdfimages", "-list", tmp_path / "a-signed.pdf").decode().splitlines()
    assert [line.split()[2] for line in images[2:]] == ["image", "smask"]


def test_profiles_of_copies_are_visible_unasked(shared: Services, place: Path) -> None:
    path = place / "ban-sao.pdf"
    path.write_bytes(document())
    result = sign(shared, path, "agency", SignParams(metadata=METADATA), profile="sao-y")
    assert result.level == "B-LT"
    lines = run("pdftotext", "-y", "0", "-x", "300", "-W", "300", "-H", "60", path, "-").decode().split("\n")
    assert lines[:2] == ["Sao y", "SỞ NỘI VỤ"]
    with pytest.raises(RequestError, match="image_missing"):
        sign(shared, path, "agency", SignParams(), profile="van-ban-dong-dau")
