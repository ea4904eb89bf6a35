"""Changes after signing that one program shows and another does not: what is ambiguous is never called harmless.

Each of these files once passed, while a viewer in common use (poppler, MuPDF, PDFium) showed other content than before.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import test_pki
from tests.attacks.court import FORMAT, MISSING, PASSED, Court, check, told
from tests.attacks.pdf_documents import Signed, stream, text_field
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import maker

OTHER = stream(b"BT /F1 40 Tf 72 500 Td (Gia mao) Tj ET")
Forger = Callable[[], tuple[bytes, bytes]]  # the signed file, and what was made of it
FORGERS: dict[str, tuple[Forger, str]] = {}
UNCLEAR = {
    "page_with_an_odd_keyword",
    "page_with_a_key_too_many",
    "reference_without_a_blank",
    "offset_behind_the_end",
}


def forger(reason: str) -> Callable[[Forger], Forger]:
    def register(made: Forger) -> Forger:
        FORGERS[made.__name__] = made, reason
        return made

    return register


def _append(pdf: Signed, objects: list[tuple[int, bytes, bool]], *, tail: bytes = b"startxref\n%d\n%%%%EOF\n") -> bytes:
    """An update of `objects`: number, value, and whether the cross-references list it."""
    out, rows = bytearray(pdf.data), b""
    for number, value, listed in objects:
        if listed:
            rows += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, value)
    at = len(out)
    out += b"xref\n%strailer\n<< /Size 100 /Root 1 0 R /Prev %d >>\n" % (rows, pdf.prev) + tail % at
    return bytes(out)


@forger("object_unlisted")
def start_far_from_the_end() -> tuple[bytes, bytes]:
    """Programs look for startxref near the end, and else take the last object of every number."""
    pdf = Signed()
    tail = b"startxref" + b"\n" * 3000 + b"%d\n%%%%EOF\n"
    return pdf.data, _append(pdf, [(4, OTHER, False), (99, b"null", True)], tail=tail)


@forger("object_unlisted")
def unlisted_in_an_object_stream() -> tuple[bytes, bytes]:
    pdf = Signed()
    held = b"3 0 << /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"
    return pdf.data, _append(pdf, [(99, stream(held, b"/Type /ObjStm /N 1 /First 4"), True)])


@forger("object_unlisted")
def trailer_without_a_table() -> tuple[bytes, bytes]:
    pdf = Signed()
    base = pdf.data
    pdf.data += b"trailer\n<< /Size 9 /Root 90 0 R >>\n"
    return base, _append(pdf, [(99, b"null", True)])


@forger("page_content_changed")
def reference_with_another_generation() -> tuple[bytes, bytes]:
    """To some programs a generation says nothing; by the standard the reference is null."""
    pdf = Signed()
    page = pdf.page().replace(b"/Contents", b"/CropBox 90 7 R /Contents")
    return pdf.data, _append(pdf, [(3, page, True), (90, b"[0 0 200 100]", True)])


@forger("page_content_changed")
def reference_to_what_others_can_read() -> tuple[bytes, bytes]:
    pdf = Signed(extra={60: b"[0 0 200 100 what]"})
    page = pdf.page().replace(b"/Contents", b"/CropBox 60 0 R /Contents")
    return pdf.data, _append(pdf, [(3, page, True)])


# one object in two roles: the page draws by the names of a dictionary whose entries may change

FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >>"
ONE, MANY = (stream(b"BT /F1 40 Tf 72 400 Td (%s dong) Tj ET" % text, FORM) for text in (b"100", b"999"))


class _Drawn(Signed):
    """A form whose first page finds `resources` and draws `content`."""

    def __init__(self, resources: bytes, content: bytes, extra: dict[int, bytes], page: bytes = b"", **more: bytes):
        self._resources = resources
        super().__init__(extra={4: stream(content), **extra}, page_extra=page, **more)  # type: ignore[arg-type]

    def page(self, index: int = 0) -> bytes:
        return super().page(index).replace(b"<< /Font << /F1 5 0 R >> >>", self._resources)


@forger("object_in_two_roles")
def page_is_its_resources() -> tuple[bytes, bytes]:
    pdf = _Drawn(b"<< /XObject 3 0 R >>", b"/Tabs Do", {50: ONE}, b" /Tabs 50 0 R")
    page = pdf.page().replace(b"/Tabs 50", b"/Tabs 90")
    return pdf.data, _append(pdf, [(3, page, True), (90, MANY, True)])


@forger("object_in_two_roles")
def field_is_resources() -> tuple[bytes, bytes]:
    field = text_field(b"100").replace(b"/V (100)", b"/V 50 0 R")
    pdf = _Drawn(b"<< /XObject 10 0 R >>", b"/V Do", {10: field, 50: ONE})
    return pdf.data, _append(pdf, [(10, field.replace(b"/V 50", b"/V 90"), True), (90, MANY, True)])


@forger("object_in_two_roles")
def comment_is_resources() -> tuple[bytes, bytes]:
    note = b"<< /Type /Annot /Subtype /Text /Rect [500 700 520 720] /P 3 0 R /Popup 50 0 R >>"
    pdf = _Drawn(b"<< /XObject 19 0 R >>", b"/Popup Do", {19: note, 50: ONE})
    return pdf.data, _append(pdf, [(19, note.replace(b"/Popup 50", b"/Popup 90"), True), (90, MANY, True)])


@pytest.mark.parametrize("key", [b"Extensions", b"MarkInfo"])
def test_catalog_is_a_list_of_fonts(key: bytes, pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Differences [65 /%s] >> >>"
    text = b"BT /%s 40 Tf 72 500 Td (A) Tj ET" % key
    pdf = _Drawn(b"<< /Font 1 0 R >>", text, {50: font % b"one"}, catalog=b" /%s 50 0 R" % key)
    catalog = pdf.catalog().replace(b"/%s 50" % key, b"/%s 90" % key)
    check(Court(pki)(pdf.data), PASSED, None)
    after = _append(pdf, [(1, catalog, True), (90, font % b"nine", True)])
    check(Court(pki)(after), FORMAT, "object_in_two_roles")


@forger("object_in_two_roles")
def catalog_is_a_list_of_patterns() -> tuple[bytes, bytes]:
    def tile(octets: bytes) -> bytes:
        return stream(octets, b"/Subtype /XML /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] /XStep 9")

    text = b"/Pattern cs /Metadata scn 0 0 595 842 re f"
    pdf = _Drawn(b"<< /Pattern 1 0 R >>", text, {20: tile(b"1 1 2 2 re f")}, catalog=b" /Metadata 20 0 R")
    return pdf.data, _append(pdf, [(20, tile(b"1 1 8 8 re f"), True)])


@forger("document_end_displaced")
def blanks_after_the_end() -> tuple[bytes, bytes]:
    """Nothing but white space, over a file in which an object stands that the cross-references leave out."""
    pdf = Signed()
    return pdf.data, pdf.data + b" " * 3000


# what is filled in, signed or noted afterwards covers what was signed

BLANK = stream(b"", b"/Type /XObject /Subtype /Form /BBox [0 0 595 842]")
SHEET = stream(b"1 g 0 0 595 842 re f 0 g BT /F1 40 Tf 72 500 Td (Gia mao) Tj ET", FORM)
PAGE = b"[0 0 595 842]"


@forger("field_covers_page")
def text_field_of_a_page() -> tuple[bytes, bytes]:
    pdf = Signed(extra={10: text_field(b"", 50, box=PAGE), 50: BLANK})
    return pdf.data, _append(pdf, [(10, text_field(b"Gia mao", 90, box=PAGE), True), (90, SHEET, True)])


@forger("field_covers_page")
def button_of_a_page() -> tuple[bytes, bytes]:
    def button(state: bytes, shows: int) -> bytes:
        return (
            b"<< /Type /Annot /Subtype /Widget /FT /Btn /T (So) /V /%s /AS /%s /F 4 /P 3 0 R /Rect %s"
            b" /AP << /N << /Yes %d 0 R /Off %d 0 R >> >> >>" % (state, state, PAGE, shows, shows)
        )

    pdf = Signed(extra={10: button(b"Off", 50), 50: BLANK})
    return pdf.data, _append(pdf, [(10, button(b"Yes", 90), True), (90, SHEET, True)])


@forger("appearance_differs")
def all_fields_drawn_again() -> tuple[bytes, bytes]:
    """A field that shows 100 and holds 999 shows 999 where programs are told to draw."""
    pdf = Signed(extra={10: text_field(b"999")})
    pdf.form_extra = b" /NeedAppearances true"
    return pdf.data, _append(pdf, [(1, pdf.catalog(), True)])


@forger("form_changed")
def all_fields_in_white() -> tuple[bytes, bytes]:
    field = text_field(b"100").replace(b"/DA (/F1 12 Tf 0 g)", b"")
    pdf = Signed(extra={10: field}, form=b" /NeedAppearances true /DA (/F1 12 Tf 0 g)")
    before = pdf.data
    pdf.form_extra = pdf.form_extra.replace(b"0 g", b"1 g")
    return before, _append(pdf, [(1, pdf.catalog(), True)])


@forger("annotation_over_field")
def highlight_with_a_picture() -> tuple[bytes, bytes]:
    pdf = Signed()
    before = pdf.data
    pdf.annotations.append(91)
    note = b"<< /Subtype /Highlight /Rect [290 690 410 730] /F 4 /AP << /N 90 0 R >> >>"
    return before, _append(pdf, [(3, pdf.page(), True), (90, SHEET, True), (91, note, True)])


@forger("annotation_malformed")
def place_of_five_numbers() -> tuple[bytes, bytes]:
    pdf = Signed()
    before = pdf.data
    pdf.annotations.append(91)
    note = b"<< /Subtype /Stamp /Rect [0 0 595 842 0] /F 4 /AP << /N 90 0 R >> >>"
    return before, _append(pdf, [(3, pdf.page(), True), (90, SHEET, True), (91, note, True)])


def test_timestamp_shows_a_page(pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may have a timestamp made; one in a field that waited for a signature shows nothing."""
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)
    field = b"<< /Subtype /Widget /FT /Sig /T (Sau) /F 4 /P 3 0 R /Rect %s%s >>"
    pdf = Signed(extra={10: field % (PAGE, b"")})
    check(Court(pki)(pdf.data), PASSED, None)
    number = pdf.new(2)
    stamp = b"<< /Type /DocTimeStamp /Filter /Adobe.PPKLite /SubFilter /ETSI.RFC3161 /ByteRange [0 %s %s %s] /Contents <%s> >>"
    filled = field % (PAGE, b" /V %d 0 R /AP << /N %d 0 R >>" % (number, number + 1))
    pdf.update({number: stamp % (*[b"*" * 10] * 3, b"0" * 24000), 10: filled, number + 1: SHEET}, plain=(number,))
    pdf.fill(pki, "tsa1", number, sub_filter="ETSI.RFC3161")
    check(Court(pki)(pdf.data), FORMAT, "field_shows_without_signature")
    check(Court(pki)(pdf.data), FORMAT, "signature_covers_page")


# the signed revision is written so that not every program reads all of it


class _OwnContent(Signed):
    """A form whose first page draws object 60, which no other page does, and says `more`."""

    def __init__(self, more: bytes = b"", written: bytes = b"60 0 R") -> None:
        self._written = written
        super().__init__(extra={60: stream(b"BT /F1 12 Tf 72 720 Td (100) Tj ET")}, page_extra=more)

    def page(self, index: int = 0) -> bytes:
        return super().page(index).replace(b"/Contents 4 0 R", b"/Contents [4 0 R %s]" % self._written)


@forger("page_content_changed")
def page_with_an_odd_keyword() -> tuple[bytes, bytes]:
    pdf = _OwnContent(b" /Tabs what")
    return pdf.data, _append(pdf, [(60, OTHER, True)])


@forger("page_content_changed")
def page_with_a_key_too_many() -> tuple[bytes, bytes]:
    pdf = _OwnContent(b" /Tabs")
    return pdf.data, _append(pdf, [(60, OTHER, True)])


@forger("object_changed")
def reference_without_a_blank() -> tuple[bytes, bytes]:
    pdf = _OwnContent(written=b"60 0R")
    return pdf.data, _append(pdf, [(60, OTHER, True)])


@forger("object_beyond_revision")
def offset_behind_the_end(room: int = 60_000) -> tuple[bytes, bytes]:
    """At the time of signing there is nothing where the cross-references lead."""
    pdf = _OwnContent.__new__(_OwnContent)
    written = PdfWriter.update

    def update(self: PdfWriter, objects: dict[int, bytes], **options: object) -> None:
        written(self, objects, **options)  # type: ignore[arg-type]
        at = self.data.find(b"\n60 0 obj") + 1
        if at and b"%010d 00000 n" % at in self.data:
            self.data = self.data.replace(b"%010d 00000 n" % at, b"%010d 00000 n" % room).replace(
                b"\n60 0 obj", b"\n%9 0 obj"
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PdfWriter, "update", update)
        pdf.__init__()  # type: ignore[misc]
    filler = b"99 0 obj\n%s\nendobj\n" % stream(b" " * (room - len(pdf.data) - 200))
    data = pdf.data + filler.ljust(room - len(pdf.data), b"\n") + b"60 %\n0 obj\n" + OTHER + b"\nendobj\n"
    rows = b"99 1\n%010d 00000 n \n" % len(pdf.data)
    tail = b"xref\n%strailer\n<< /Size 100 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    return pdf.data, data + tail % (rows, pdf.prev or 0, len(data))


def _long_stream(length: bytes, room: int = 60_000) -> tuple[bytes, bytes]:
    """At the time of signing programs look for the end of the stream; later it stands where the length says."""
    text = b"BT /F1 20 Tf 72 700 Td (Ban hop dong) Tj ET"
    pdf = Signed(extra={4: b"<< %s >>\nstream\n%s\nendstream" % (length, text), 60: b"%d" % room})
    end = pdf.data.index(text) + room
    out = bytearray(pdf.data + b"\n99 0 obj\n%s " % OTHER[: OTHER.index(b"endstream")])
    out += b"q Q".ljust(end - len(out)) + b"\nendstream\nendobj\n"
    rows = b"99 1\n%010d 00000 n \n" % (len(pdf.data) + 1)
    tail = b"xref\n%strailer\n<< /Size 100 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    return pdf.data, bytes(out) + tail % (rows, pdf.prev or 0, len(out))


@forger("object_beyond_revision")
def stream_that_ends_behind_the_end() -> tuple[bytes, bytes]:
    return _long_stream(b"/Length 60000")


@forger("object_beyond_revision")
def stream_whose_length_stands_elsewhere() -> tuple[bytes, bytes]:
    return _long_stream(b"/Length 60 0 R")


@forger("object_beyond_revision")
def stream_with_its_length_escaped() -> tuple[bytes, bytes]:
    return _long_stream(b"/#4Cen#67th%\n+60000")


@forger("object_unreadable")
def object_cut_by_the_next() -> tuple[bytes, bytes]:
    """Some programs read an object of an object stream up to where the next one begins."""
    pdf = Signed("stream")
    page = pdf.page().replace(b" /Contents 4 0 R", b"")[:-3]
    head = b"3 0 91 %d " % len(page)
    held = stream(head + page + b" /Contents 4 0 R >>", b"/Type /ObjStm /N 2 /First %d" % len(head))
    out = bytearray(pdf.data)
    rows = {3: (2, 98, 0), 91: (2, 98, 1), 98: (1, len(out), 0)}
    out += b"98 0 obj\n%s\nendobj\n" % held
    rows[150] = (1, len(out), 0)
    index = b" ".join(b"%d 1" % number for number in rows)
    data = b"".join(
        bytes([kind]) + where.to_bytes(4, "big") + extra.to_bytes(2, "big") for kind, where, extra in rows.values()
    )
    entries = b"/Type /XRef /Size 200 /W [1 4 2] /Index [%s] /Root 1 0 R /Prev %d" % (index, pdf.prev or 0)
    at = len(out)
    out += b"150 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (stream(data, entries), at)
    return pdf.data, bytes(out)


@pytest.mark.parametrize("damage", [b"/Tipe /ObjStm", b"/Type /ObjStm /Filter /None"])
def test_users_in_an_object_stream_that_others_can_read(
    damage: bytes, pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What draws the form stands where only other programs look: the form may not change."""
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)
    pdf = _Drawn(b"70 0 R", b"/X Do", {50: ONE})
    held = b"70 0 << /Font << /F1 5 0 R >> /XObject << /X 50 0 R >> >>"
    packed = stream(held, b"/Type /ObjStm /N 1 /First 5").replace(b"/Type /ObjStm", damage)
    rows = b"".join(bytes([kind]) + where.to_bytes(4, "big") + b"\0\0" for kind, where in ((2, 71), (1, len(pdf.data))))
    at = len(pdf.data) + len(b"71 0 obj\n%s\nendobj\n" % packed)
    entries = b"/Type /XRef /Size 100 /W [1 4 2] /Index [70 2] /Root 1 0 R /Prev %d" % pdf.prev
    table = b"72 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (stream(rows, entries), at)
    pdf.data += b"71 0 obj\n%s\nendobj\n" % packed + table
    pdf.prev, pdf.size = at, 100
    pdf.sign(pki, name="Hai", cms=maker(pki))
    outcome, codes = told(Court(pki)(_append(pdf, [(50, MANY, True)])))
    assert outcome == FORMAT
    assert "object_unreadable" in codes


def test_signature_that_is_a_comment(pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text box whose text is the unsigned value of a signature: pages then show what anybody writes there."""
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)
    box = b" /Subtype /FreeText /Rect [50 300 500 600] /DA (/F1 12 Tf 0 g) /F 4"
    check(Court(pki)(Signed(sign=box).data), FORMAT, "signature_is_annotation")


def test_hidden_rows_behind_the_end(pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed revision takes no cross-references from octets that were appended to it."""
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)
    written, room = PdfWriter.update, 60_000

    def update(self: PdfWriter, objects: dict[int, bytes], **options: object) -> None:
        more = {} if self.prev else {"trailer": b" /XRefStm %d" % room}
        written(self, objects, **(options | more))  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PdfWriter, "update", update)
        pdf = _OwnContent(written=b"70 0 R")
    out = bytearray(pdf.data)
    places = [len(out)]
    out += b"99 0 obj\n%s\nendobj\n" % OTHER
    row = b"\x01" + places[0].to_bytes(4, "big") + b"\x00\x00"
    out += b"\n" * (room - len(out))
    places.append(len(out))
    out += b"98 0 obj\n%s\nendobj\n" % stream(row, b"/Type /XRef /Size 200 /W [1 4 2] /Index [70 1]")
    rows = b"98 2\n%010d 00000 n \n%010d 00000 n \n" % (places[1], places[0])
    trailer = b"trailer\n<< /Size 100 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (pdf.prev or 0, len(out))
    assert told(Court(pki)(bytes(out + b"xref\n" + rows + trailer)))[0] == MISSING


@pytest.mark.parametrize("name", FORGERS)
def test_what_another_program_shows(name: str, pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)
    make, reason = FORGERS[name]
    before, after = make()
    first = told(Court(pki)(before))[0]
    # a signed page that not every program reads makes it unclear from the start what was signed
    assert first == (MISSING if name in UNCLEAR else PASSED)
    outcome, codes = told(Court(pki)(after))
    assert outcome in ((FORMAT, MISSING) if name in UNCLEAR else (FORMAT,))
    assert reason in codes
