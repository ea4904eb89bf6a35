"""What real writers append is graded for what it is, and judged against what signatures forbid."""

from __future__ import annotations

import time

import pytest

from signsvc.formats.pdf import Document
from signsvc.formats.pdf.changes import compare
from signsvc.types import Change, Grade
from tests.attacks.pdf_additions import DEFINED, Objects
from tests.attacks.pdf_documents import (
    ARRAY,
    FILE,
    Signed,
    shown,
    stream,
)
from tests.pdf_writer import PdfWriter

STYLES = pytest.mark.parametrize("style", ["table", "stream", "hybrid"])


def last(pdf: PdfWriter) -> Change:
    document = Document(pdf.data)
    assert document.repair is None
    return compare(document, 2)[-1]


@STYLES
@pytest.mark.parametrize("case", DEFINED)
def test_defined(case: str, style: str) -> None:
    grade, objects, options = DEFINED[case]
    pdf = Signed(style, **options)  # type: ignore[arg-type]
    pdf.update(objects(pdf), style=style)
    change = last(pdf)
    assert change.grade is grade, change
    assert change.permitted is None


@STYLES
def test_free_objects_that_nothing_uses(style: str) -> None:
    pdf = Signed(style)
    pdf.update({90: b"[]"}, free=(FILE, 77), style=style)
    assert last(pdf).grade is Grade.UNREACHED


def certified(level: int) -> dict[str, object]:
    reference = (
        b" /Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << /P %d /V /1.2 >> >>]" % level
    )
    return {"sign": reference}


STEPS: dict[Grade, Objects] = {
    grade: DEFINED[case][1]
    for grade, case in (
        (Grade.EXTENSION, "store"),
        (Grade.FORM_OR_SIGNATURE, "field filled"),
        (Grade.ANNOTATION, "comment"),
        (Grade.UNREACHED, "object nothing uses"),
    )
} | {Grade.UNDEFINED: lambda p: {4: stream(b"BT ET")}}
ORDER = [Grade.EXTENSION, Grade.UNREACHED, Grade.FORM_OR_SIGNATURE, Grade.ANNOTATION, Grade.UNDEFINED]


@pytest.mark.parametrize("grade", ORDER)
@pytest.mark.parametrize(("level", "allowed"), [(1, 2), (2, 3), (3, 4)])
def test_certification_level(level: int, allowed: int, grade: Grade) -> None:
    pdf = Signed(**certified(level))  # type: ignore[arg-type]
    pdf.update(STEPS[grade](pdf))
    change = last(pdf)
    assert change.grade is grade
    assert change.permitted is (ORDER.index(grade) < allowed)


@pytest.mark.parametrize(
    ("lock", "permitted"),
    [
        (b"<< /Action /All >>", False),
        (b"<< /Action /Include /Fields [(So)] >>", False),
        (b"<< /Action /Include /Fields [(Ky)] >>", True),
        (b"<< /Action /Exclude /Fields [(So)] >>", True),
        (b"<< /Action /Exclude /Fields [(Ky)] >>", False),
        (b"<< /Action /Include /Fields [(Ky)] /P 1 >>", False),
        (b"<< /Action /Include /Fields [(Ky)] /P 2 >>", True),
    ],
)
@pytest.mark.parametrize("indirect", [False, True])
def test_locks(lock: bytes, permitted: bool, indirect: bool) -> None:
    pdf = Signed(lock=b" /Lock 15 0 R" if indirect else b" /Lock " + lock, extra={ARRAY: lock})
    pdf.update(STEPS[Grade.FORM_OR_SIGNATURE](pdf))
    change = last(pdf)
    assert change.grade is Grade.FORM_OR_SIGNATURE
    assert change.fields == ("So",)
    assert change.permitted is permitted


def test_field_mdp_of_the_signature() -> None:
    reference = b" /Reference [<< /TransformMethod /FieldMDP /TransformParams << /Action /Include /Fields [(So)] >> >>]"
    pdf = Signed(sign=reference)
    pdf.update(STEPS[Grade.FORM_OR_SIGNATURE](pdf))
    assert last(pdf).permitted is False


def test_a_later_lock_does_not_reach_back() -> None:
    """A second signature locks a field that is filled afterwards: only the second one is hurt."""
    pdf = Signed()
    pdf.sign(None, cms=b"\x30\x00", room=64, name="Hai", field_extra=b" /Lock << /Action /All >>")  # type: ignore[arg-type]
    pdf.update(STEPS[Grade.FORM_OR_SIGNATURE](pdf))
    document = Document(pdf.data)
    assert [change.permitted for change in compare(document, 2)] == [None, None]
    assert [change.permitted for change in compare(document, 3)] == [False]


def test_timestamps_pass_a_lock_on_all_fields() -> None:
    pdf = Signed(lock=b" /Lock << /Action /All >>")
    pdf.update(DEFINED["document timestamp"][1](pdf))
    assert last(pdf).permitted is True
    pdf.fields.append(90)
    pdf.update(
        {
            93: b"<< /FT /Sig /T (Moi) /Rect [0 0 0 0] /V 94 0 R >>",
            94: b"<< /Type /Sig /Contents <3000> >>",
            1: pdf.catalog().replace(b"/Fields [", b"/Fields [93 0 R "),
        }
    )
    assert last(pdf).permitted is False


def test_a_visible_signature_is_told_with_its_page() -> None:
    pdf = Signed()
    pdf.sign(None, cms=b"\x30\x00", room=64, name="Hai")  # type: ignore[arg-type]
    change = last(pdf)
    assert change.grade is Grade.FORM_OR_SIGNATURE
    assert change.pages == (1,)
    assert set(change.reasons) == {"signature_field_visible", "signature_overlaps"}


def test_prepared_field_is_signed_later() -> None:
    empty = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Dau) /P 3 0 R /Rect [400 20 500 60]%s >>"
    pdf = Signed(form=b"", extra={FILE: empty % b""})
    pdf.fields.append(FILE)
    pdf.annotations.append(FILE)
    pdf.update({1: pdf.catalog(), 3: pdf.page()})
    document = Document(pdf.data)
    assert compare(document, 2)[0].reasons[0] == "field_prepared"
    pdf.update(
        {FILE: empty % b" /V 95 0 R /AP << /N 96 0 R >>", 95: b"<< /Type /Sig /Contents <3000> >>", 96: shown(b"Dau")}
    )
    change = last(pdf)
    assert change.grade is Grade.FORM_OR_SIGNATURE
    assert change.fields == ("Dau",)


def test_many_revisions_cost_what_they_add() -> None:
    """Each signature is compared with all that follow, yet time grows with the file alone."""

    def per_octet(count: int) -> float:
        pdf = Signed()
        for number in range(count):
            pdf.sign(None, cms=b"\x30\x00", room=64, name=f"Ky{number}")  # type: ignore[arg-type]
        times = []
        for _ in range(3):
            document = Document(pdf.data)
            start = time.perf_counter()
            for index in range(2, len(document.revisions)):
                compare(document, index)
            times.append(time.perf_counter() - start)
        assert min(times) < 2
        return min(times) / len(pdf.data)

    per_octet(5)
    assert per_octet(80) < 4 * per_octet(10)


@pytest.mark.parametrize("style", ["table", "stream"])
def test_thousands_of_pages(style: str) -> None:
    pdf = PdfWriter(pages=2500, style=style)
    pdf.sign(None, cms=b"\x30\x00", room=64, style=style)  # type: ignore[arg-type]
    pdf.update({90_000: b"[]", 2490: pdf.page(1)[:-3] + b" /Rotate 90 >>"}, style=style)
    start = time.perf_counter()
    change = compare(Document(pdf.data), 1)[-1]
    assert time.perf_counter() - start < 1.5
    assert change.pages == (2486,)
    assert change.grade is Grade.UNDEFINED


def test_chained_bookmarks() -> None:
    """400 outline entries, each naming the next and a page."""
    count = 400
    entries = {
        100 + i: b"<< /Title (Muc %d) /Parent 99 0 R /Next %d 0 R /Prev %d 0 R /Dest [3 0 R /Fit] >>"
        % (i, 101 + i, 99 + i)
        for i in range(count)
    }
    entries[99] = b"<< /Type /Outlines /First 100 0 R /Last %d 0 R /Count %d >>" % (99 + count, count)
    pdf = Signed(extra=entries, catalog=b" /Outlines 99 0 R")
    pdf.sign(None, cms=b"\x30\x00", room=64, name="Hai")  # type: ignore[arg-type]
    assert last(pdf).grade is Grade.FORM_OR_SIGNATURE
    pdf.update({250: entries[250].replace(b"Muc", b"Gia")})
    assert last(pdf).grade is Grade.UNDEFINED


def test_shared_nodes_are_visited_once() -> None:
    """Each object names the next one twice: 2^40 paths, forty objects."""
    chain = {100 + i: b"[%d 0 R %d 0 R]" % (101 + i, 101 + i) for i in range(40)}
    pdf = Signed(extra=chain | {140: b"(a)"}, catalog=b" /PieceInfo 100 0 R")
    pdf.update({140: b"(b)"})
    start = time.perf_counter()
    assert last(pdf).grade is Grade.UNDEFINED
    assert time.perf_counter() - start < 1
