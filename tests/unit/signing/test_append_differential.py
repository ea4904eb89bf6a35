"""Our own writer beside pyHanko's: the same fields, the same verdict of our reader, files that other programs take."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.formats import pades
from signsvc.formats.pades.append_view import OwnWriter
from signsvc.formats.pades.selfcheck import check_written
from signsvc.formats.pades.write import SignatureSpec, extend_revision, sign_revision
from signsvc.formats.pades.write_open import open_writer
from signsvc.formats.pdf import Document
from signsvc.signing.appearance import text_stamp
from signsvc.types import EvidenceItem, EvidenceKind, Grade, Origin
from tests.pdf_writer import PdfWriter

WHEN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FORM = b" /AcroForm 20 0 R"
WIDGET = b" /Type /Annot /Subtype /Widget /Rect [0 0 0 0] /P 3 0 R"
EMPTY = b"<< /FT /Sig /T (Empty)%s >>" % WIDGET


def _page(extra: bytes) -> bytes:
    return PdfWriter().page()[:-2] + extra + b">>"


def _field_in(style: str, **objects: bytes) -> bytes:
    made = {20: b"<< /Fields [21 0 R] /DA (/Helv 0 Tf) >>", 21: EMPTY, 3: _page(b" /Annots [21 0 R] ")}
    made |= {int(key[1:]): value for key, value in objects.items()}
    return PdfWriter(extra=made, style=style, catalog=FORM).data


def _updated(style: str) -> bytes:
    pdf = PdfWriter(style=style)
    pdf.update({4: b"<< /Length 2 >>\nstream\nq \nendstream"}, style=style)
    return pdf.data


SHAPES: dict[str, Callable[[], bytes]] = {
    "table": lambda: PdfWriter().data,
    "streams": lambda: PdfWriter(style="stream").data,
    "three-pages": lambda: PdfWriter(3).data,
    "updated-table": lambda: _updated("table"),
    "updated-streams": lambda: _updated("stream"),
    "no-newline-at-the-end": PdfWriter().data.rstrip,
    "form": lambda: _field_in("table"),
    "form-in-streams": lambda: _field_in("stream"),
    "indirect-fields": lambda: _field_in("table", o20=b"<< /Fields 22 0 R /SigFlags 1 >>", o22=b"[21 0 R]"),
    "indirect-annots": lambda: _field_in("stream", o3=_page(b" /Annots 23 0 R "), o23=b"[21 0 R]"),
    "kids": lambda: _field_in(
        "table",
        o20=b"<< /Fields [24 0 R] >>",
        o21=EMPTY.replace(b"/FT", b"/Parent 24 0 R /FT"),
        o24=b"<< /T (Group) /Kids [21 0 R] >>",
    ),
    "direct-form": lambda: (
        PdfWriter(extra={21: EMPTY, 3: _page(b" /Annots [21 0 R] ")}, catalog=b" /AcroForm << /Fields [21 0 R] >>").data
    ),
    "old-version": lambda: PdfWriter().data.replace(b"%PDF-1.7", b"%PDF-1.4"),
    "catalog-version": lambda: PdfWriter(catalog=b" /Version /2.0").data,
    "extensions": lambda: PdfWriter(catalog=b" /Extensions << /ADBE << /BaseVersion /1.7 /ExtensionLevel 8 >> >>").data,
    "shown-field": lambda: _field_in(
        "table",
        o21=EMPTY.replace(b"/Rect [0 0 0 0]", b"/Rect [100 100 300 180]"),
        o3=_page(b" /Annots [21 0 R] /Rotate 270 "),
    ),
    "rotated": lambda: PdfWriter(extra={3: _page(b" /Rotate 90 ")}).data,
}
SPECS = {
    "new": SignatureSpec(WHEN, reason="Phê duyệt /ByteRange [0 1 2 3]", location="Hà Nội", contact="a(b)\\"),
    "certify": SignatureSpec(WHEN, certify=2),
}


def _signed(data: bytes, plan: Any, sign: Any, spec: SignatureSpec, *, own: bool) -> tuple[bytes, Any]:
    stream = io.BytesIO(data)
    opened = open_writer(stream, own=own)
    assert isinstance(opened.writer, OwnWriter) is own
    written = sign_revision(stream, plan, spec, sign, opened=opened)
    assert check_written(stream, plan, written, before=len(data)) is None
    return stream.getvalue(), written


def _seen(data: bytes) -> dict[str, Any]:
    view = pades.read(data)
    document = Document(data)
    catalog = document.last.catalog
    form = document.last.dictionary(catalog["AcroForm"]) or {}
    return {
        "signatures": [
            (s.field, s.sub_filter, s.scope.type, s.scope.revision, [f.code for f in s.findings])
            for s in view.signatures
        ],
        "findings": [finding.code for finding in view.findings],
        "pages": view.pages,
        "revisions": view.revisions,
        "catalog": sorted(catalog),
        "version": catalog.get("Version"),
        "extensions": catalog.get("Extensions"),
        "form": sorted(form),
        "flags": form.get("SigFlags"),
        "fields": len(document.last.array(form.get("Fields"))),
        "annots": len(document.last.array(document.last.pages()[0][1].get("Annots"))),
        "trailer": {"Root", "ID", "Prev", "Size"} <= set(document.last.trailer),
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", SPECS)
def test_both_writers_say_the_same(
    shape: str,
    kind: str,
    plan_for: Callable[..., Any],
    pdfsig: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    data, (plan, sign) = SHAPES[shape](), plan_for()
    ours, _ = _signed(data, plan, sign, SPECS[kind], own=True)
    theirs, _ = _signed(data, plan, sign, SPECS[kind], own=False)
    assert ours.startswith(data)
    assert _seen(ours) == _seen(theirs)
    path = tmp_path / "ours.pdf"
    path.write_bytes(ours)
    said = pdfsig(path)
    assert "Signature is Valid" in said
    assert "Total document signed" in said
    checked = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("shape", ["form", "form-in-streams", "indirect-fields", "direct-form", "indirect-annots"])
def test_an_existing_field_is_filled(shape: str, plan_for: Callable[..., Any], pdfsig: Any, tmp_path: Path) -> None:
    data, (plan, sign) = SHAPES[shape](), plan_for()
    spec = SignatureSpec(WHEN, field="Empty")
    ours, written = _signed(data, plan, sign, spec, own=True)
    theirs, _ = _signed(data, plan, sign, spec, own=False)
    assert written.field == "Empty"
    assert _seen(ours) == _seen(theirs)
    (tmp_path / "ours.pdf").write_bytes(ours)
    assert "Signature is Valid" in pdfsig(tmp_path / "ours.pdf")


@pytest.mark.parametrize("shape", ["table", "streams", "rotated", "three-pages", "form-in-streams", "shown-field"])
def test_a_visible_signature_looks_the_same(shape: str, plan_for: Callable[..., Any], tmp_path: Path) -> None:
    data, (plan, sign) = SHAPES[shape](), plan_for()
    where: dict[str, Any] = {"field": "Empty"} if shape == "shown-field" else {"rect": (50, 60, 250, 140), "page": -1}
    spec = SignatureSpec(WHEN, appearance=text_stamp(("Người ký: Nguyễn Văn Á",), frame=True), **where)
    shown = []
    for own in (True, False):
        path = tmp_path / f"{own}.pdf"
        path.write_bytes(_signed(data, plan, sign, spec, own=own)[0])
        command: list[str] = ["pdftoppm", "-r", "50", str(path)]
        shown.append(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)
        checked = subprocess.run(["qpdf", "--check", path], capture_output=True, timeout=60, check=False)
        assert checked.returncode == 0, checked.stderr
    path.write_bytes(data)
    assert shown[0] == shown[1]
    assert shown[0] != subprocess.run(command, capture_output=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("extra", [b" /Lock << /Type /SigFieldLock /Action /All >>", b" /SV << /Ff 0 >>"])
def test_what_a_field_asks_is_left_to_pyhanko(extra: bytes, plan_for: Callable[..., Any]) -> None:
    data, (plan, sign) = _field_in("table", o21=EMPTY.replace(b" >>", extra + b" >>")), plan_for()
    ours, _ = _signed(data, plan, sign, SignatureSpec(WHEN, field="Empty"), own=True)
    assert (b"/FieldMDP" in ours[len(data) :]) is (b"/Lock" in extra)
    assert b"/SigRef" not in ours[len(data) :] or b"/Lock" in extra


@pytest.mark.parametrize("style", ["table", "stream"])
def test_a_second_signature_and_an_archive_leave_the_first_whole(
    style: str, plan_for: Callable[..., Any], pki: test_pki.Pki, pdfsig: Any, tmp_path: Path
) -> None:
    def stamp(digest: bytes, name: str) -> bytes:
        return pki.timestamp(digest, hash=name)

    stream = io.BytesIO(PdfWriter(style=style).data)
    plan, sign = plan_for()
    sign_revision(stream, plan, SignatureSpec(WHEN), sign)
    second, other = plan_for("agency")
    sign_revision(stream, second, SignatureSpec(WHEN), other, timestamp=stamp, timestamp_room=9000)
    items = [EvidenceItem(EvidenceKind.CERTIFICATE, der, Origin.SUPPLIED) for der in pki.chain("agency")]
    items.append(EvidenceItem(EvidenceKind.OCSP, pki.ocsp("agency"), Origin.SUPPLIED))
    archive = extend_revision(stream, items, timestamp=stamp, timestamp_room=9000)
    assert archive is not None
    size = len(stream.getvalue())
    assert extend_revision(stream, items) is None
    assert len(stream.getvalue()) == size  # nothing was new
    view = pades.read(stream.getvalue())
    assert [s.field for s in view.signatures] == ["Signature1", "Signature2"]
    assert [t.field for t in view.timestamps] == ["Timestamp1"]
    assert len(view.evidence) == len(items)
    assert view.findings == ()
    for signature in view.signatures:
        grades = {change.grade for change in signature.scope.changes_after}
        assert grades <= {Grade.EXTENSION, Grade.FORM_OR_SIGNATURE}
    path = tmp_path / "archive.pdf"
    path.write_bytes(stream.getvalue())
    assert pdfsig(path).count("Signature is Valid") == 2
    assert subprocess.run(["qpdf", "--check", path], capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    "data",
    [PdfWriter(style="hybrid").data, PdfWriter().data + b"more\n"],
    ids=["hybrid", "octets-after"],
)
def test_other_shapes_are_left_to_pyhanko(data: bytes) -> None:
    assert not isinstance(open_writer(io.BytesIO(data)).writer, OwnWriter)


def test_a_stream_that_changed_in_between_is_refused(plan_for: Callable[..., Any]) -> None:
    from signsvc.errors import DocumentError

    stream = io.BytesIO(PdfWriter().data)
    opened = open_writer(stream)
    stream.seek(0, 2)
    stream.write(b"\n")
    plan, sign = plan_for()
    with pytest.raises(DocumentError):
        sign_revision(stream, plan, SignatureSpec(WHEN), sign, opened=opened)


def test_the_trailer_goes_on(plan_for: Callable[..., Any]) -> None:
    data = PdfWriter(style="stream").data
    plan, sign = plan_for()
    ours, _ = _signed(data, plan, sign, replace(SPECS["new"]), own=True)
    old, new = Document(data).last.trailer, Document(ours).last.trailer
    assert new["Prev"] == int(re.findall(rb"startxref\s+(\d+)", data)[-1])
    assert isinstance(new["Size"], int)
    assert isinstance(old["Size"], int)
    assert new["Size"] > old["Size"]
    assert new["Root"] == old["Root"]
