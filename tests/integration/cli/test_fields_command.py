"""``signsvc fields``: a clerk lays out fields before anybody signs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import test_pki
from signsvc.cli.root import main
from signsvc.formats import pades
from tests.pdf_writer import PdfWriter


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    return int(caught.value.code or 0)


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIGNSVC_DATA_DIR", str(tmp_path / "data"))
    path = tmp_path / "a.pdf"
    path.write_bytes(PdfWriter().data)
    return path


def test_add_and_list(document: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fields = ("--signature", "NguoiKy=1,300,100,500,180", "--signature", "CoQuan=-1", "--text", "so=1,80,740,200,758")
    assert call("fields", "add", document, *fields, "--lock", "NguoiKy=!so,CoQuan", "--lock", "CoQuan=all") == 0
    said = capfd.readouterr().out.splitlines()
    assert said[0].endswith("a-fields.pdf: NguoiKy, CoQuan, so")
    made = document.with_name("a-fields.pdf")
    assert pades.read(made.read_bytes()).empty_fields == ("NguoiKy", "CoQuan")
    assert call("fields", "list", made, "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert [f["name"] for f in found["fields"]] == ["NguoiKy", "CoQuan", "so"]
    assert found["fields"][0]["lock"] == {"action": "Exclude", "fields": ["so", "CoQuan"], "permissions": None}
    assert call("fields", "list", made) == 0
    assert "so  text  1 [80.0, 740.0, 200.0, 758.0]" in capfd.readouterr().out


def test_what_is_refused(document: Path, pki: test_pki.Pki, tmp_path: Path) -> None:
    assert call("fields", "add", document) == 64
    assert call("fields", "add", document, "--text", "so") == 64
    assert call("fields", "add", document, "--signature", "a=1", "--lock", "b=all") == 64
    assert call("fields", "add", document, "--text", "so=1") == 4
    assert call("fields", "list", tmp_path / "none.pdf") == 4
    (tmp_path / "list.json").write_text("{}")
    assert call("fields", "add", document, "--fields", tmp_path / "list.json") == 4
    pdf = PdfWriter()
    pdf.sign(pki)
    document.write_bytes(pdf.data)
    assert call("fields", "add", document, "--signature", "a=1") == 4
    assert not document.with_name("a-fields.pdf").exists()
