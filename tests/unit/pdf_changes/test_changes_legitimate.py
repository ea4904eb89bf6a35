"""What real writers append is graded for what it is, and judged against what signatures forbid."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from signsvc.formats.pdf import Document
from signsvc.formats.pdf.changes import compare
from signsvc.types import Change, Grade
from tests.attacks.pdf_documents import (
    ARRAY,
    COMMENT,
    FILE,
    NOTE,
    TAGS,
    TEXT,
    TEXT_SHOWN,
    XMP,
    Signed,
    shown,
    stream,
    text_field,
)
from tests.pdf_writer import PdfWriter

STYLES = pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
CERT = stream(b"\x30\x00")
VRI = b"0123456789ABCDEF0123456789ABCDEF01234567"
XMP_STREAM = stream(b"<?xpacket?><x:xmpmeta>2</x:xmpmeta>", b"/Type /Metadata /Subtype /XML")


def last(pdf: PdfWriter) -> Change:
    document = Document(pdf.data)
    assert document.repair is None
    return compare(document, 2)[-1]


Objects = Callable[[Signed], dict[int, bytes]]
DEFINED: dict[str, tuple[Grade, Objects, dict[str, object]]] = {
    "store": (Grade.EXTENSION, lambda p: {90: CERT, 91: b"<< /Type /DSS /Certs [90 0 R] >>", 1: p.catalog()[:-3] + b" /DSS 91 0 R >>"}, {}),
    "store, direct": (Grade.EXTENSION, lambda p: {90: CERT, 1: p.catalog()[:-3] + b" /DSS << /CRLs [90 0 R] /OCSPs [] >> >>"}, {}),
    "store with VRI": (Grade.EXTENSION, lambda p: {90: CERT, 1: p.catalog()[:-3] + b" /DSS << /VRI << /%s << /Cert [90 0 R] /TU (D:2026) >> >> >> >>" % VRI}, {}),
    "store array in place": (Grade.EXTENSION, lambda p: {90: CERT, ARRAY: b"[22 0 R 90 0 R]"}, {"catalog": b" /DSS << /Certs 15 0 R >>", "extra": {ARRAY: b"[22 0 R]"}}),
    "store in place": (Grade.EXTENSION, lambda p: {90: CERT, ARRAY: b"<< /Certs [22 0 R 90 0 R] >>"}, {"catalog": b" /DSS 15 0 R", "extra": {ARRAY: b"<< /Certs [22 0 R] >>"}}),
    "VRI in place": (Grade.EXTENSION, lambda p: {90: CERT, ARRAY: b"<< /%s << /Cert [90 0 R] >> >>" % VRI}, {"catalog": b" /DSS << /VRI 15 0 R >>", "extra": {ARRAY: b"<< >>"}}),
    "store leaves something out": (Grade.EXTENSION, lambda p: {ARRAY: b"<< /Certs [] >>"}, {"catalog": b" /DSS 15 0 R", "extra": {ARRAY: b"<< /Certs [22 0 R] >>"}}),
    "odd VRI key": (Grade.UNREACHED, lambda p: {90: CERT, 1: p.catalog()[:-3] + b" /DSS << /VRI << /Sig1 << /Cert [90 0 R] >> >> >> >>"}, {}),
    "foreign key in the store": (Grade.UNREACHED, lambda p: {1: p.catalog()[:-3] + b" /DSS << /Foo 1 >> >>"}, {}),
    "store dropped": (Grade.UNREACHED, lambda p: {1: p.catalog().replace(b"/DSS", b"/Dropped null /X")[: -len(b" /X 15 0 R >>")] + b" >>"}, {"catalog": b" /DSS 15 0 R", "extra": {ARRAY: b"<< >>"}}),
    "extensions and version": (Grade.EXTENSION, lambda p: {1: p.catalog()[:-3] + b" /Version /2.0 /Extensions << /ESIC << /BaseVersion /1.7 /ExtensionLevel 2 >> >> >>"}, {}),
    "metadata": (Grade.EXTENSION, lambda p: {90: XMP_STREAM, 1: p.catalog().replace(b"/Metadata 20 0 R", b"/Metadata 90 0 R")}, {}),
    "metadata in place": (Grade.EXTENSION, lambda p: {XMP: XMP_STREAM}, {}),
    "nothing new": (Grade.EXTENSION, lambda p: {TEXT: text_field(b"100"), 3: p.page(), 4: stream(b"BT /F1 12 Tf 72 720 Td (Xin ch\\340o) Tj ET")}, {}),
    "numbers and strings written differently": (Grade.EXTENSION, lambda p: {TEXT: text_field(b"100", box=b"[300.0 700 400. +720]").replace(b"(So)", b"<536F>")}, {}),
    "direct for indirect": (Grade.EXTENSION, lambda p: {90: b"[0 0 595 842]", 3: p.page().replace(b"/MediaBox [0 0 595 842]", b"/MediaBox 90 0 R")}, {}),
    "object nothing uses": (Grade.UNREACHED, lambda p: {FILE: stream(b"khac")}, {}),
    "objects that use each other": (Grade.UNREACHED, lambda p: {90: b"[91 0 R 1 0 R]", 91: b"[90 0 R]", FILE: stream(b"khac")}, {"extra": {ARRAY: b"[22 0 R]"}}),
    "field filled": (Grade.FORM_OR_SIGNATURE, lambda p: {TEXT: text_field(b"200", 90), 90: shown(b"200")}, {}),
    "field filled, appearance in place": (Grade.FORM_OR_SIGNATURE, lambda p: {TEXT: text_field(b"200"), TEXT_SHOWN: shown(b"200")}, {}),
    "field filled, appearance object in place": (Grade.FORM_OR_SIGNATURE, lambda p: {TEXT: text_field(b"200").replace(b"/AP << /N 11 0 R >>", b"/AP 15 0 R"), ARRAY: b"<< /N 90 0 R >>", 90: shown(b"200")}, {"extra": {TEXT: text_field(b"100").replace(b"/AP << /N 11 0 R >>", b"/AP 15 0 R"), ARRAY: b"<< /N 11 0 R >>"}}),
    "field emptied": (Grade.FORM_OR_SIGNATURE, lambda p: {TEXT: text_field(b"", 90), 90: shown(b"")}, {}),
    "field formatted by script": (Grade.FORM_OR_SIGNATURE, lambda p: {TEXT: text_field(b"1234", 90, b" /F 4 /AA << /F 22 0 R >>"), 90: shown(b"1,234.00")}, {"extra": {TEXT: text_field(b"100", rest=b" /F 4 /AA << /F 22 0 R >>")}}),
    "font for a new appearance": (Grade.FORM_OR_SIGNATURE, lambda p: {90: b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>", 1: p.catalog().replace(b"/F1 5 0 R", b"/F1 5 0 R /F2 90 0 R")}, {"form": b" /DR << /Font << /F1 5 0 R >> >>"}),
    "empty signature field": (Grade.FORM_OR_SIGNATURE, lambda p: {90: b"<< /FT /Sig /T (Sau) /Rect [0 0 0 0] >>", 1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R ")}, {}),
    "signature with a widget of its own": (Grade.FORM_OR_SIGNATURE, lambda p: {90: b"<< /FT /Sig /T (Sau) /Kids [91 0 R] /V 92 0 R >>", 91: b"<< /Type /Annot /Subtype /Widget /Parent 90 0 R /Rect [400 20 500 60] >>", 92: b"<< /Type /Sig /Contents <3000> >>", 1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "), 3: p.page().replace(b"/Annots [", b"/Annots [91 0 R ")}, {}),
    "signature named in the tags": (Grade.FORM_OR_SIGNATURE, lambda p: {
        90: b"<< /FT /Sig /T (Sau) /Subtype /Widget /StructParent 0 /P 3 0 R /V 92 0 R /Rect [400 20 500 60] >>", 91: b"<< /S /Form /P 17 0 R /Pg 3 0 R /K << /Type /OBJR /Obj 90 0 R >> >>", 92: b"<< /Type /Sig /Contents <3000> >>",
        TAGS: b"<< /Type /StructTreeRoot /K [91 0 R] /ParentTree << /Nums [0 91 0 R] >> /ParentTreeNextKey 1 >>", 1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "), 3: p.page().replace(b"/Annots [", b"/Annots [90 0 R ")}, {}),
    "document timestamp": (Grade.EXTENSION, lambda p: {90: b"<< /FT /Sig /T (TS) /Subtype /Widget /F 132 /P 3 0 R /V 92 0 R /Rect [0 0 0 0] >>", 92: b"<< /Type /DocTimeStamp /SubFilter /ETSI.RFC3161 /Contents <3000> >>", 1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "), 3: p.page().replace(b"/Annots [", b"/Annots [90 0 R ")}, {}),
    "comment": (Grade.ANNOTATION, lambda p: {90: NOTE, 3: p.page().replace(b"/Annots [", b"/Annots [90 0 R ")}, {}),
    "free text beside the fields": (Grade.ANNOTATION, lambda p: {90: b"<< /Type /Annot /Subtype /FreeText /Rect [72 100 200 120] /Contents (Y kien) >>", 3: p.page().replace(b"/Annots [", b"/Annots [90 0 R ")}, {}),
    "comment answered": (Grade.ANNOTATION, lambda p: {COMMENT: NOTE[:-3] + b" /Popup 90 0 R /M (D:2026) >>", 90: b"<< /Type /Annot /Subtype /Popup /Parent 19 0 R /Rect [0 0 9 9] >>", 3: p.page().replace(b"/Annots [", b"/Annots [90 0 R ")}, {}),
}  # fmt: skip


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
