"""Number and date, filled in by the agency's signature: the person's before it stays whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signsvc.errors import DocumentError
from signsvc.formats.pades.fill import FieldText
from signsvc.formats.pades.form_fields import listed
from signsvc.formats.pades.prepare_fields import fields_of
from signsvc.formats.pades.write import SignatureSpec, sign_revision
from signsvc.formats.pdf import Document, Stream
from signsvc.signing import fields
from signsvc.signing.appearance import text_stamp
from signsvc.signing.appearance.layout import Fonts
from tests.unit.signing.appearance_pages import WHEN, document, run

PERSON = {
    "name": "NguoiKy",
    "rect": [330, 180, 470, 240],
    "lock": {"action": "Exclude", "fields": ["so", "ngay", "CoQuan"]},
}
PLAIN = {"name": "NguoiKy", "rect": [330, 180, 470, 240]}
AGENCY = {"name": "CoQuan", "rect": [250, 170, 350, 250]}
NUMBER = {"name": "so", "kind": "text", "rect": [60, 735, 250, 755]}
DATE = {"name": "ngay", "kind": "text", "rect": [300, 735, 560, 755]}
TEXTS = {"so": "Số: 12/QĐ-UBND", "ngay": "Hà Nội, ngày 03 tháng 02 năm 2026"}


def texts(given: dict[str, str], required: bool = True) -> tuple[FieldText, ...]:
    made = []
    for name, value in given.items():
        left, center, right = (text_stamp((value,), size=13, least=6, align=one) for one in ("left", "center", "right"))
        made.append(FieldText(name, value, (left, center, right), required))
    return tuple(made)


@pytest.fixture
def step(plan_for: Callable[..., Any]) -> Callable[..., bytes]:
    def sign(data: bytes, label: str, **spec: Any) -> bytes:
        plan, key = plan_for(label)
        stream = io.BytesIO(data)
        sign_revision(stream, plan, SignatureSpec(WHEN, **spec), key)
        return stream.getvalue()

    return sign


def laid(tmp_path: Path, wanted: list[Any], **page: Any) -> bytes:
    source, target = tmp_path / "in.pdf", tmp_path / "laid.pdf"
    source.write_bytes(document(**page))
    fields.prepare(source, target, fields.parse(wanted), fonts=Fonts())
    return target.read_bytes()


@pytest.mark.parametrize("person", [PERSON, PLAIN], ids=["locked", "plain"])
@pytest.mark.parametrize("rotate", [0, 180])
def test_filled_and_shown(person: dict[str, Any], rotate: int, step: Any, tmp_path: Path) -> None:
    first = step(laid(tmp_path, [person, AGENCY, NUMBER, DATE], rotate=rotate), "person", field="NguoiKy")
    second = step(first, "agency", field="CoQuan", texts=texts(TEXTS))
    assert second.startswith(first)
    assert {f.name: f.value for f in fields_of(second) if f.kind == "text"} == TEXTS
    path = tmp_path / "out.pdf"
    path.write_bytes(second)
    run("qpdf", "--check", path)
    shown = run("pdftotext", "-layout", path, "-").decode()
    for text in TEXTS.values():
        assert shown.count(text) == 1
    assert run("pdfsig", "-nocert", path).decode().count("Signature is Valid.") == 2


def test_refused_where_a_field_is_missing_filled_or_locked(step: Any, tmp_path: Path) -> None:
    data = laid(tmp_path, [PLAIN, NUMBER])
    for base, given, reason in (
        (data, {"ngay": "x"}, "no-such-field"),
        (step(data, "agency", texts=texts({"so": "12"})), {"so": "13"}, "field-filled"),
        (
            step(
                laid(tmp_path, [{**PLAIN, "lock": {"action": "Include", "fields": ["so"]}}, NUMBER]),
                "person",
                field="NguoiKy",
            ),
            {"so": "12"},
            "field-locked",
        ),
    ):
        with pytest.raises(DocumentError) as caught:
            step(base, "agency", texts=texts(given))
        assert (caught.value.code, caught.value.data["reason"]) == ("signing_not_permitted", reason)
    assert step(data, "agency", texts=texts({"ngay": "x"}, required=False))


def test_a_field_on_a_page_with_another_unit_shows_real_sizes(step: Any, tmp_path: Path) -> None:
    """On a page whose unit is two points, 13 points are 13 points."""
    small = {**NUMBER, "rect": [30, 370, 130, 380]}
    data = laid(tmp_path, [small], width=298, height=421, unit=2.0)
    written = Document(step(data, "agency", texts=texts({"so": "12/QĐ-UBND"})))
    (found,) = [one for one in listed(written.last) if one.name == "so"]
    appearances = written.last.dictionary(found.widget.get("AP"))
    shown = written.last.resolve(appearances["N"]) if appearances else None
    assert isinstance(shown, Stream)
    assert shown.dictionary["BBox"] == [0, 0, 200, 20]
