"""The document as it was signed comes out byte-exact, whatever was added to it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import test_pki
from signsvc.cli.root import main
from tests.pdf_writer import PdfWriter


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    return int(caught.value.code or 0)


@pytest.fixture
def changed(pki: test_pki.Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, bytes, bytes]:
    """A file with two signatures and a change behind them, and the file as each of them left it."""
    monkeypatch.setenv("SIGNSVC_DATA_DIR", str(tmp_path / "data"))
    pdf = PdfWriter()
    pdf.sign(pki, name="First")
    first = pdf.data
    pdf.sign(pki, "agency", name="Second")
    second = pdf.data
    pdf.update({4: b"<< /Length 4 >>\nstream\nBT ET\nendstream"})
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf.data)
    return path, first, second


def test_each_signature_gives_its_own_document(
    changed: tuple[Path, bytes, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, first, second = changed
    one, two, default = (tmp_path / name for name in ("1.pdf", "2.pdf", "3.pdf"))
    assert call("revision", path, "--signature", "First", "--out", one) == 0
    capfd.readouterr()
    assert call("revision", path, "--signature", "signature-2", "--out", two, "--json") == 0
    answer = json.loads(capfd.readouterr().out)
    assert call("revision", path, "--out", default) == 0
    assert (one.read_bytes(), two.read_bytes(), default.read_bytes()) == (first, second, first)
    assert answer["output"] == {"path": str(two), "size": len(second), "sha256": hashlib.sha256(second).hexdigest()}
    assert (answer["revision"], answer["of"]) == (3, 4)


def test_what_cannot_be_given(
    changed: tuple[Path, bytes, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, first, _ = changed
    out = tmp_path / "out.pdf"
    assert call("revision", path, "--signature", "Third", "--out", out) == 4
    assert "revision_not_found" in capfd.readouterr().err
    assert call("revision", tmp_path / "missing.pdf", "--out", out) == 4
    partial = tmp_path / "partial.pdf"
    partial.write_bytes(first.replace(b"/ByteRange", b"/ByteRanga"))
    assert call("revision", partial, "--out", out) == 4
    assert not out.exists()
    out.write_bytes(b"kept")
    assert call("revision", path, "--out", out) == 4
    assert out.read_bytes() == b"kept"
    assert call("revision", path) == 64
