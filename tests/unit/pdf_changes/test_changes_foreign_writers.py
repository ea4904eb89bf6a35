"""What iText, PDFBox, OpenPDF and MuPDF append to signed files beside the usual, and what must not pass in its shape."""

from __future__ import annotations

import pytest

from signsvc.formats.pdf import Document
from signsvc.formats.pdf.changes import compare
from signsvc.types import Change, Grade
from tests.attacks.pdf_documents import TAGS, TEXT, Signed, shown, stream

STYLES = ("table", "stream", "hybrid")
TOP = b"<< /Type /StructElem /S /Document /P 17 0 R /K [%s] >>"
ROOT = b"<< /Type /StructTreeRoot /K [60 0 R 61 0 R] /ParentTree << /Nums [%s] >> /ParentTreeNextKey %d%s >>"
TREE = {60: TOP % b"", 61: TOP % b"", TAGS: ROOT % (b"", 0, b"")}
TAGGED = {
    90: b"<< /FT /Sig /T (Sau) /Subtype /Widget /StructParent 0 /P 3 0 R /V 92 0 R /Rect [400 20 500 60] >>",
    91: b"<< /S /Form /P 60 0 R /Pg 3 0 R /K << /Type /OBJR /Obj 90 0 R >> >>",
    92: b"<< /Type /Sig /Contents <3000> >>",
    60: TOP % b"91 0 R",
    TAGS: ROOT % (b"0 91 0 R", 1, b""),
}
CHOICE = b"<< /FT /Ch /Ff 131072 /T (So) /Opt [(a) (b)] /Subtype /Widget /P 3 0 R /Rect [300 700 400 720]%s >>"
EMPTY = b"<< /FT /Sig /T (So) /Subtype /Widget /P 3 0 R /Rect %s%s >>"
BOX, NOWHERE, ELSEWHERE = b"[300 700 400 720]", b"[0 0 0 0]", b"[72 700 300 740]"
VALUE = b"<< /Type /Sig /Contents <3000> >>"
FONTS = {60: b"<< /Font 61 0 R >>", 61: b"<< /F1 5 0 R >>"}
DINGBATS = b"<< /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >>"
DRAWS = stream(b"BT /ZaDb 12 Tf (a) Tj ET", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources 60 0 R")


def last(pdf: Signed) -> Change:
    return compare(Document(pdf.data), 1)[-1]


def tagged(style: str, extra: dict[int, bytes]) -> Signed:
    pdf = Signed(style, extra=TREE | extra)
    catalog = pdf.catalog().replace(b"/Fields [", b"/Fields [90 0 R ")
    page = pdf.page().replace(b"/Annots [", b"/Annots [90 0 R ")
    pdf.update(TAGGED | {1: catalog, 3: page}, style=style)
    return pdf


@pytest.mark.parametrize("style", STYLES)
def test_a_structure_root_that_its_elements_name_may_name_a_new_signature(style: str) -> None:
    change = last(tagged(style, {}))
    assert (change.grade, change.reasons) == (Grade.FORM_OR_SIGNATURE, ("signature_field_visible",))


@pytest.mark.parametrize("user", [b"<< /P 17 0 R >>", b"<< /Type /Annot /S /X /P 17 0 R /Subtype /Text >>"])
def test_a_structure_root_that_something_else_names_stays(user: bytes) -> None:
    change = last(tagged("table", {15: user}))
    assert (change.grade, "object_changed" in change.reasons) == (Grade.UNDEFINED, True)


def test_a_structure_root_that_its_elements_name_keeps_the_rest() -> None:
    pdf = Signed("table", extra=TREE)
    pdf.update({TAGS: ROOT % (b"", 0, b" /RoleMap << /P /Artifact >>")})
    assert (last(pdf).grade, last(pdf).reasons) == (Grade.UNDEFINED, ("structure_changed",))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("more", "grade"),
    [
        ({}, Grade.FORM_OR_SIGNATURE),
        ({TEXT: CHOICE % b"", 15: DRAWS}, Grade.UNDEFINED),
        ({15: b"<< /Type /Page /Parent 2 0 R /Resources << /Font 61 0 R >> >>"}, Grade.UNDEFINED),
    ],
)
def test_fonts_of_the_form_grow_where_nothing_else_draws_with_them(
    style: str, more: dict[int, bytes], grade: Grade
) -> None:
    pdf = Signed(style, form=b" /DR 60 0 R", extra=FONTS | more, page_extra=b" /X 15 0 R" if more else b"")
    pdf.update({61: b"<< /F1 5 0 R /ZaDb 90 0 R >>", 90: DINGBATS}, style=style)
    assert last(pdf).grade is grade


def test_fonts_of_the_form_stay() -> None:
    pdf = Signed("table", form=b" /DR 60 0 R", extra=FONTS)
    pdf.update({61: b"<< /F1 90 0 R >>", 90: DINGBATS})
    assert (last(pdf).grade, last(pdf).reasons) == (Grade.UNDEFINED, ("form_resources_changed",))


@pytest.mark.parametrize(
    ("more", "grade"),
    [
        (b" /V (b) /TI 0 /AP << /N 90 0 R >>", Grade.FORM_OR_SIGNATURE),
        (b" /TI 1", Grade.UNDEFINED),
    ],
)
def test_a_choice_may_say_its_first_item_when_it_is_filled(more: bytes, grade: Grade) -> None:
    pdf = Signed("table", extra={TEXT: CHOICE % b""})
    pdf.update({TEXT: CHOICE % more, 90: shown(b"b")})
    assert last(pdf).grade is grade


@pytest.mark.parametrize(
    ("box", "value", "grade"),
    [
        (NOWHERE, b" /V 90 0 R", Grade.FORM_OR_SIGNATURE),
        (BOX, b" /V 90 0 R", Grade.FORM_OR_SIGNATURE),
        (ELSEWHERE, b" /V 90 0 R", Grade.UNDEFINED),
        (NOWHERE, b"", Grade.UNDEFINED),
    ],
)
def test_an_empty_signature_field_takes_no_room_only_when_it_is_signed(box: bytes, value: bytes, grade: Grade) -> None:
    pdf = Signed("table", extra={TEXT: EMPTY % (BOX, b"")})
    pdf.update({TEXT: EMPTY % (box, value), 90: VALUE})
    assert last(pdf).grade is grade


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (b"595.303937007874", b"595.30396", True),
        (b"841.889763779528", b"841.88978", True),
        (b"-0.333333333", b"-.33333334", True),
        (b"595", b"595.00003", True),
        (b"595.303937007874", b"595.3045", False),
        (b"0.5", b"-0.5", False),
        (b"0", b"0.0000001", False),
        (b"5953039370", b"5953039371", False),
    ],
)
def test_numbers_may_be_rounded_to_32_bits(before: bytes, after: bytes, same: bool) -> None:
    pdf = Signed("table", page_extra=b" /UserUnit " + before)
    pdf.page_extra = b" /UserUnit " + after
    pdf.update({3: pdf.page()})
    assert last(pdf).reasons == (() if same else ("page_content_changed",))


@pytest.mark.parametrize(
    ("more", "grade"),
    [
        (b" /V (12) /DA (0 0 0 rg /Helv 0 Tf) /Ff 0 /AP << /N 90 0 R >>", Grade.FORM_OR_SIGNATURE),
        (b"", Grade.UNDEFINED),
    ],
)
def test_a_filled_field_may_say_its_border(more: bytes, grade: Grade) -> None:
    field = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (So) /P 3 0 R /F 4 /Rect [300 700 400 720]%s >>"
    pdf = Signed("table", extra={TEXT: field % b""})
    pdf.update({TEXT: field % (b" /BS << /S /S /W 1 >>" + more), 90: shown(b"12")})
    assert last(pdf).grade is grade
