"""Fields laid out before the first signature, and what others say about them."""

from __future__ import annotations

import base64
import io
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import DocumentError, RequestError
from signsvc.formats import pades
from signsvc.formats.pades.fonts import form_codes
from signsvc.formats.pades.write import SignatureSpec, sign_revision
from signsvc.signing import fields
from signsvc.signing.appearance.layout import Fonts
from tests.pdf_writer import PdfWriter

WHEN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PERSON = {
    "name": "NguoiKy",
    "rect": [300, 100, 500, 180],
    "lock": {"action": "Exclude", "fields": ["so", "ngay", "CoQuan"]},
    "seed": {"formats": ["ETSI.CAdES.detached"], "digests": ["SHA256", "SHA512"], "reasons": ["Phê duyệt"]},
}
AGENCY = {"name": "CoQuan", "page": -1, "rect": [250, 90, 350, 190], "lock": {"action": "All"}}
NUMBER = {"name": "so", "kind": "text", "rect": [80, 740, 200, 758]}
DATE = {"name": "ngay", "kind": "text", "rect": [330, 740, 530, 758]}
ALL = [PERSON, AGENCY, NUMBER, DATE]


@pytest.fixture
def laid(tmp_path: Path) -> Callable[..., tuple[Path, fields.FieldsResult]]:
    def make(data: bytes, wanted: list[Any]) -> tuple[Path, fields.FieldsResult]:
        source, target = tmp_path / "in.pdf", tmp_path / "out.pdf"
        source.write_bytes(data)
        return target, fields.prepare(source, target, fields.parse(wanted), fonts=Fonts())

    return make


@pytest.mark.parametrize("page", [{}, {"stream_xrefs": True}, {"rotate": 90, "crop": (10, 10, 585, 832)}, {"pages": 3}])
def test_fields_are_laid_out(page: dict[str, Any], make_pdf: Callable[..., bytes], laid: Any) -> None:
    data = make_pdf(**page)
    if "rotate" in page:
        wanted: list[Any] = [{**field, "rect": [30, 40, 130, 80]} for field in ALL]
    else:
        wanted = ALL
    target, result = laid(data, wanted)
    written = target.read_bytes()
    assert written.startswith(data)
    assert b"NeedAppearances" not in written
    assert result.added == ("NguoiKy", "CoQuan", "so", "ngay")
    assert [(f["name"], f["kind"], f["filled"], f["rect"]) for f in result.fields] == [
        (f["name"], f.get("kind", "signature"), False, f["rect"]) for f in wanted
    ]
    assert [f["page"] for f in result.fields] == [1, page.get("pages", 1), 1, 1]
    assert result.fields[0]["lock"] == {**PERSON["lock"], "permissions": None}
    assert [f["seeded"] for f in result.fields] == [True, False, False, False]
    assert pades.read(written).empty_fields == ("NguoiKy", "CoQuan")
    checked = subprocess.run(["qpdf", "--check", target], capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, "No syntax or stream encoding errors" in checked.stdout) == (0, True), checked
    seen = subprocess.run(["pdfsig", target], capture_output=True, text=True, timeout=60, check=False)
    assert seen.stdout.count("The signature form field is not signed.") == 2, seen
    shown = subprocess.run(["mutool", "show", target, "form"], capture_output=True, text=True, timeout=60, check=False)
    assert shown.returncode == 0


def test_the_font_of_text_fields_writes_vietnamese(make_pdf: Callable[..., bytes], laid: Any) -> None:
    letters = set(
        "12/QĐ-UBND ngày tháng năm ẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸ ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹđĐ"
    )
    assert letters <= set(form_codes().values())
    target, _ = laid(make_pdf(), [NUMBER])
    listing = subprocess.run(["pdffonts", target], capture_output=True, text=True, timeout=60, check=False)
    assert listing.returncode == 0
    # PDFium draws what is filled in, with the font of the field
    import pypdfium2 as pdfium

    writer = io.BytesIO(target.read_bytes())
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

    update = IncrementalPdfFileWriter(writer)
    field = update.root["/AcroForm"]["/Fields"][0]
    reference = update.root["/AcroForm"]["/Fields"].raw_get(0)
    field["/V"] = generic.TextStringObject("12/QĐ-UBND ệ")
    del field["/AP"]
    update.mark_update(reference)
    out = io.BytesIO()
    update.write(out)
    document = pdfium.PdfDocument(out.getvalue())
    document.init_forms()
    plain = bytes(pdfium.PdfDocument(make_pdf())[0].render(scale=2).buffer)
    filled = bytes(document[0].render(scale=2).buffer)
    assert sum(one != other for one, other in zip(plain, filled, strict=True)) > 600, "nothing is shown"


def test_a_form_that_is_there_keeps_what_it_has(laid: Any) -> None:
    pdf = PdfWriter()
    target, first = laid(pdf.data, [PERSON, NUMBER])
    once = target.read_bytes()
    target, second = laid(once, [DATE])
    assert target.read_bytes().startswith(once)
    assert [f["name"] for f in second.fields] == [*(f["name"] for f in first.fields), "ngay"]
    with pytest.raises(RequestError) as caught:
        laid(once, [NUMBER])
    assert "fields[0].name" in str(caught.value.data["reason"])


def test_signed_documents_get_no_fields(laid: Any, pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    with pytest.raises(DocumentError) as caught:
        laid(pdf.data, [AGENCY])
    assert (caught.value.code, caught.value.data) == ("fields_not_permitted", {"reason": "signed"})


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ({"name": "a.b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 128}, "name"),
        ({"name": "a", "page": 0}, "page"),
        ({"name": "a", "page": True}, "page"),
        ({"name": "a", "page": 2}, "page"),
        ({"name": "a", "kind": "button"}, "kind"),
        ({"name": "a", "kind": "text"}, "rect"),
        ({"name": "a", "rect": [0, 0, 10]}, "rect"),
        ({"name": "a", "rect": [0, 0, 0.5, 10]}, "rect"),
        ({"name": "a", "rect": [0, 0, 596, 10]}, "rect"),
        ({"name": "a", "rect": [0, 0, float("inf"), 10]}, "rect"),
        ({"name": "a", "kind": "text", "rect": [0, 0, 9, 9], "lock": {"action": "All"}}, "fields[0]"),
        ({"name": "a", "lock": {"action": "Include"}}, "lock"),
        ({"name": "a", "lock": {"action": "All", "fields": ["b"]}}, "lock"),
        ({"name": "a", "lock": {"action": "All", "permissions": 1}}, "permissions"),
        ({"name": "a", "seed": {}}, "seed"),
        ({"name": "a", "seed": {"formats": ["adbe.x509.rsa_sha1"]}}, "formats"),
        ({"name": "a", "seed": {"digests": ["SHA1"]}}, "digests"),
        ({"name": "a", "seed": {"issuers": ["AAAA"]}}, "issuers"),
        ({"name": "a", "seed": {"timestamp_url": "ftp://x"}}, "timestamp_url"),
        ({"name": "a", "other": 1}, "fields[0]"),
    ],
)
def test_what_is_no_field(field: dict[str, Any], named: str, make_pdf: Callable[..., bytes], laid: Any) -> None:
    with pytest.raises(RequestError) as caught:
        laid(make_pdf(), [field])
    assert named in str(caught.value.data["reason"])


def test_fields_survive_the_way_to_a_worker(pki: test_pki.Pki) -> None:
    issuer = base64.b64encode(pki.chain("person")[1]).decode()
    seed = {**PERSON["seed"], "issuers": [issuer], "timestamp_url": "http://tsa.example/", "certification": 0}
    made = fields.parse([{**PERSON, "seed": seed}, AGENCY, NUMBER, {"name": "unseen"}])
    assert fields.parse(fields.to_json(made)) == made


def test_person_and_agency_sign_in_prepared_fields(
    make_pdf: Callable[..., bytes], laid: Any, plan_for: Callable[..., Any]
) -> None:
    target, _ = laid(make_pdf(), ALL)
    stream = io.BytesIO(target.read_bytes())
    plan, key = plan_for("person")
    with pytest.raises(DocumentError) as caught:
        sign_revision(io.BytesIO(stream.getvalue()), plan, SignatureSpec(WHEN, field="NguoiKy", reason="x"), key)
    assert caught.value.data["reason"] == "seed-reason"
    sign_revision(stream, plan, SignatureSpec(WHEN, field="NguoiKy", reason="Phê duyệt"), key)
    plan, key = plan_for("agency")
    sign_revision(stream, plan, SignatureSpec(WHEN, field="CoQuan"), key)
    view = pades.read(stream.getvalue())
    assert [s.field for s in view.signatures] == ["NguoiKy", "CoQuan"]
    first = view.signatures[0]
    assert first.scope.changes_after
    assert {change.grade.value for change in first.scope.changes_after} <= {"form-or-signature", "extension"}
    assert not [f.code for f in first.findings if f.level.value == "fail"]
    assert view.empty_fields == ()
