"""Documents that were changed after signing, by the ways forgers use (written here, octet by octet).

Each attack takes the writer of a signed file and appends what the forger would.  `ATTACKS` names for each the reasons
of which at least one must be given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from tests.pdf_writer import PdfWriter

TEXT, TEXT_SHOWN, PREPARED, COVER, LOOSE, ARRAY, FONT, TAGS, LENGTH = 10, 11, 12, 13, 14, 15, 16, 17, 18
COMMENT, XMP, HOLDER, FILE = 19, 20, 21, 22


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def shown(text: bytes) -> bytes:
    return stream(
        b"/Tx BMC BT /F1 12 Tf 0 g (%s) Tj ET EMC" % text,
        b"/Type /XObject /Subtype /Form /BBox [0 0 100 20] /Resources << /Font << /F1 5 0 R >> >>",
    )


def text_field(
    value: bytes, shows: int = TEXT_SHOWN, rest: bytes = b" /F 4", box: bytes = b"[300 700 400 720]"
) -> bytes:
    return (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (So) /V (%s) /DA (/F1 12 Tf 0 g) /P 3 0 R /Rect %s"
        b" /AP << /N %d 0 R >>%s >>" % (value, box, shows, rest)
    )


COVERING = b"<< /Type /Annot /Subtype /Square /Rect [72 700 200 740] /IC [1 1 1] /AP << /N 12 0 R >> /P 3 0 R >>"
NOTE = b"<< /Type /Annot /Subtype /Text /Rect [500 700 520 720] /Contents (Xem lai) /P 3 0 R >>"


@dataclass
class Signed(PdfWriter):
    """A file with a form, comments, tags and metadata, signed once; revisions 1 and 2, of which 2 is the signature."""

    style: str = "table"
    page_extra: bytes = b""
    catalog_more: bytes = b""
    extra: dict[int, bytes] = field(default_factory=dict)
    signature: int = 0
    # The signature itself: octets, or what makes them from those covered; comparing revisions needs no real one.
    cms: ClassVar[bytes | Callable[[bytes], bytes]] = b"\x30\x00"
    room: ClassVar[int] = 64

    def __init__(self, style: str = "table", *, page_extra: bytes = b"", catalog: bytes = b"", form: bytes = b"",
                 extra: dict[int, bytes] | None = None, sign: bytes = b"", lock: bytes = b"") -> None:  # fmt: skip
        self.page_extra, self.form_extra = page_extra, form
        self.style = style
        objects = {
            TEXT: text_field(b"100"),
            TEXT_SHOWN: shown(b"100"),
            PREPARED: shown(b"999"),
            COVER: COVERING,
            LOOSE: b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (Khac) /V (999) /P 3 0 R /Rect [1 1 2 2] >>",
            COMMENT: NOTE,
            XMP: stream(b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>', b"/Type /Metadata /Subtype /XML"),
            TAGS: b"<< /Type /StructTreeRoot /K [] /ParentTree << /Nums [] >> /ParentTreeNextKey 0 >>",
            FILE: stream(b"dinh kem"),
        } | (extra or {})
        super().__init__(
            pages=3, extra=objects, style=style, catalog=catalog or b" /Metadata 20 0 R /StructTreeRoot 17 0 R"
        )
        self.fields, self.annotations = [TEXT], [TEXT, COVER, COMMENT]
        self.update({1: self.catalog(), 3: self.page()}, style=style)
        made = self.sign(None, cms=self.cms, style=style, room=self.room, name="Ky", extra=sign, field_extra=lock)  # type: ignore[arg-type]
        self.signature, self.signed_field = made.dictionary, made.field

    def page(self, index: int = 0) -> bytes:
        return super().page(index)[:-3] + (self.page_extra if index == 0 else b"") + b" >>"

    def catalog(self) -> bytes:
        form = self.form_extra
        return super().catalog().replace(b"/SigFlags 3", b"/SigFlags 3" + form) if form else super().catalog()

    def with_catalog(self, more: bytes, **objects: bytes) -> None:
        self.update({1: self.catalog()[:-3] + more + b" >>"}, style=self.style)

    def with_page(self, old: bytes, new: bytes, objects: dict[int, bytes] | None = None) -> None:
        page = self.page()
        assert old in page
        self.update({3: page.replace(old, new), **(objects or {})}, style=self.style)

    def annotate(self, value: bytes, objects: dict[int, bytes] | None = None) -> int:
        number = self.new()
        self.annotations.append(number)
        self.update({number: value, 3: self.page(), **(objects or {})}, style=self.style)
        return number

    def append(self, raw: bytes) -> None:
        """Octets as they are, with ``{at}`` for the offset where they begin."""
        self.data += raw


Attack = Callable[[str], PdfWriter]
ATTACKS: dict[str, tuple[Attack, set[str]]] = {}


def attack(*reasons: str) -> Callable[[Attack], Attack]:
    def register(made: Attack) -> Attack:
        ATTACKS[made.__name__] = made, set(reasons)
        return made

    return register


def simple(
    name: str, objects: dict[int, bytes] | Callable[[Signed], dict[int, bytes]], *reasons: str, **options: object
) -> None:
    def made(style: str) -> PdfWriter:
        pdf = Signed(style, **options)  # type: ignore[arg-type]
        pdf.update(objects(pdf) if callable(objects) else objects, style=style)
        return pdf

    ATTACKS[name] = made, set(reasons)


NEW_CONTENT = stream(b"BT /F1 12 Tf 72 720 Td (Gia mao) Tj ET")
JAVASCRIPT = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"

simple("content_rewritten", {4: NEW_CONTENT}, "page_content_changed")
simple(
    "content_replaced",
    lambda p: {90: NEW_CONTENT, 3: p.page().replace(b"/Contents 4 0 R", b"/Contents 90 0 R")},
    "page_content_changed",
)
simple(
    "content_appended",
    lambda p: {90: NEW_CONTENT, 3: p.page().replace(b"/Contents 4 0 R", b"/Contents [4 0 R 90 0 R]")},
    "page_content_changed",
)
simple("content_dropped", lambda p: {3: p.page().replace(b"/Contents 4 0 R", b"")}, "page_content_changed")
simple("font_rewritten", {5: b"<< /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >>"}, "page_content_changed")
simple(
    "resources_replaced",
    lambda p: {
        3: p.page().replace(b"/F1 5 0 R", b"/F1 90 0 R"),
        90: b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>",
    },
    "page_content_changed",
)
simple(
    "page_cropped",
    lambda p: {3: p.page().replace(b"/Contents", b"/CropBox [0 0 10 10] /Contents")},
    "page_content_changed",
)
simple("page_turned", lambda p: {3: p.page().replace(b"/Contents", b"/Rotate 180 /Contents")}, "page_content_changed")
simple(
    "page_action",
    lambda p: {3: p.page().replace(b"/Contents", b"/AA << /O %s >> /Contents" % JAVASCRIPT)},
    "page_changed",
)
simple(
    "page_added",
    {
        2: b"<< /Type /Pages /Count 4 /Kids [3 0 R 6 0 R 7 0 R 90 0 R] >>",
        90: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    },
    "page_added",
)
simple("page_removed", {2: b"<< /Type /Pages /Count 2 /Kids [3 0 R 7 0 R] >>"}, "page_removed")
simple("pages_swapped", {2: b"<< /Type /Pages /Count 3 /Kids [6 0 R 3 0 R 7 0 R] >>"}, "pages_replaced")
simple(
    "page_tree_replaced",
    lambda p: {
        1: p.catalog().replace(b"/Pages 2 0 R", b"/Pages 90 0 R"),
        90: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
    },
    "page_removed",
)
simple(
    "tree_gives_resources", {2: b"<< /Type /Pages /Count 3 /Kids [3 0 R 6 0 R 7 0 R] /Rotate 90 >>"}, "pages_replaced"
)
for _name, _value, _reason in (
    ("open_action", b" /OpenAction " + JAVASCRIPT, "action_added"),
    ("document_action", b" /AA << /WC %s >>" % JAVASCRIPT, "action_added"),
    ("javascript_names", b" /Names << /JavaScript << /Names [(a) %s] >> >>" % JAVASCRIPT, "catalog_names_changed"),
    ("attachment", b" /Names << /EmbeddedFiles << /Names [(a) << /Type /Filespec /F (a) /EF << /F 22 0 R >> >>] >> >>", "catalog_names_changed"),
    ("outlines", b" /Outlines << /Count 0 >>", "catalog_changed"),
    ("layers", b" /OCProperties << /OCGs [] /D << >> >>", "optional_content_changed"),
    ("usage_rights", b" /Perms << /UR3 << /Type /Sig >> >>", "permissions_changed"),
    ("viewer_preferences", b" /ViewerPreferences << /HideToolbar true >>", "catalog_changed"),
):  # fmt: skip
    simple(_name, lambda p, v=_value: {1: p.catalog()[:-3] + v + b" >>"}, _reason)  # type: ignore[misc]

simple("form_gone", lambda p: {1: b"<< /Type /Catalog /Pages 2 0 R" + p.catalog_extra + b" >>"}, "form_removed")
simple("signature_field_gone", lambda p: {1: p.catalog().replace(b" %d 0 R]" % p.signed_field, b"]")}, "field_removed")
simple(
    "signature_overwritten",
    lambda p: {p.signature: b"<< /Type /Sig /Filter /Adobe.PPKLite /Contents <3000> /ByteRange [0 1 2 3] >>"},
    "signature_dictionary_changed",
)
simple(
    "signature_value_gone",
    lambda p: {p.signed_field: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Ky) /P 3 0 R /Rect [10 20 110 60] >>"},
    "signature_value_changed",
)
simple(
    "signature_value_swapped",
    lambda p: {
        90: b"<< /Type /Sig /Contents <3000> >>",
        p.signed_field: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Ky) /V 90 0 R /P 3 0 R /Rect [10 20 110 60] >>",
    },
    "signature_value_changed",
)
simple(
    "signature_shows_another",
    lambda p: {
        90: shown(b"Giam doc"),
        p.signed_field: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Ky) /V %d 0 R /P 3 0 R /Rect [10 20 110 60] /AP << /N 90 0 R >> >>"
        % p.signature,
    },
    "appearance_changed",
)
simple(
    "signature_moved",
    lambda p: {
        p.signed_field: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Ky) /V %d 0 R /P 3 0 R /Rect [210 20 310 60] >>"
        % p.signature
    },
    "field_changed",
)
# shadow: hide, replace, hide and replace
simple("hide_by_removed_cover", lambda p: {3: p.page().replace(b"13 0 R", b"")}, "annotation_removed")
simple("hide_by_emptied_cover", {COVER: b"null"}, "annotation_changed", "object_changed", "page_content_changed")
simple("hide_by_invisible_cover", {COVER: COVERING[:-3] + b" /F 2 >>"}, "annotation_changed")
simple("cover_moved", {COVER: COVERING.replace(b"[72 700 200 740]", b"[0 0 1 1]")}, "annotation_changed")
simple("cover_repainted", {PREPARED: shown(b"")}, "page_content_changed", "object_changed", "appearance_without_value")
simple("replace_by_appearance", {TEXT: text_field(b"100", PREPARED)}, "appearance_without_value")
simple("replace_by_appearance_in_place", {TEXT_SHOWN: shown(b"999")}, "appearance_without_value")
simple("replace_by_prepared_appearance", {TEXT: text_field(b"999", PREPARED)}, "appearance_prepared")
simple("replace_by_other_text", {TEXT: text_field(b"200", 90), 90: shown(b"999")}, "appearance_differs")
simple("field_hidden", {TEXT: text_field(b"100", rest=b" /F 2")}, "field_visibility_changed")
simple(
    "field_hidden_while_filled",
    {TEXT: text_field(b"200", 90, b" /F 34"), 90: shown(b"200")},
    "field_visibility_changed",
)
simple("field_moved", {TEXT: text_field(b"100", box=b"[72 710 150 730]")}, "field_changed")
simple("field_action", {TEXT: text_field(b"100", rest=b" /F 4 /AA << /K %s >>" % JAVASCRIPT)}, "action_added")
simple("field_renamed", {TEXT: text_field(b"100").replace(b"(So)", b"(Ngay)")}, "field_changed")
simple("field_becomes_page", {TEXT: text_field(b"100").replace(b"/Type /Annot", b"/Type /Page")}, "field_changed")
simple(
    "text_field_added",
    lambda p: {
        90: text_field(b"1").replace(b"(So)", b"(Them)"),
        1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "),
    },
    "field_added",
)
simple(
    "prepared_field_attached", lambda p: {1: p.catalog().replace(b"/Fields [", b"/Fields [14 0 R ")}, "field_prepared"
)
simple("prepared_widget_shown", lambda p: {3: p.page().replace(b"/Annots [", b"/Annots [14 0 R ")}, "widget_added")
simple(
    "field_listed_twice", lambda p: {1: p.catalog().replace(b"/Fields [", b"/Fields [10 0 R ")}, "field_listed_again"
)
simple(
    "signature_takes_name",
    lambda p: {
        90: b"<< /FT /Sig /T (Ky) /Rect [0 0 0 0] >>",
        1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "),
    },
    "field_name_taken",
)
simple(
    "signature_name_with_period",
    lambda p: {
        90: b"<< /FT /Sig /T (A.B) /Rect [0 0 0 0] >>",
        1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "),
    },
    "field_name_taken",
)
simple(
    "signature_reuses_value",
    lambda p: {
        90: b"<< /FT /Sig /T (Ky2) /V %d 0 R /Rect [0 0 0 0] >>" % p.signature,
        1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "),
    },
    "signature_value_prepared",
)
simple(
    "signature_runs_script",
    lambda p: {
        90: b"<< /FT /Sig /T (Ky2) /A %s /Rect [0 0 0 0] >>" % JAVASCRIPT,
        1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "),
    },
    "action_added",
)
simple(
    "form_fonts_replaced",
    lambda p: {
        1: p.catalog().replace(b"/F1 5 0 R", b"/F1 90 0 R"),
        90: b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>",
    },
    "form_resources_changed",
    form=b" /DR << /Font << /F1 5 0 R >> >>",
)
simple(
    "xfa_replaced",
    lambda p: {1: p.catalog().replace(b"/XFA 22 0 R", b"/XFA 90 0 R"), 90: stream(b"<xdp/>")},
    "form_xfa_changed",
    form=b" /XFA 22 0 R",
)
simple(
    "calculation_order", lambda p: {1: p.catalog().replace(b"/SigFlags 3", b"/SigFlags 3 /CO [10 0 R]")}, "form_changed"
)
# comments
simple("note_rewritten", {COMMENT: NOTE.replace(b"Xem lai", b"Dong y")}, "annotation_changed")
simple("note_runs_script", {COMMENT: NOTE[:-3] + b" /A %s >>" % JAVASCRIPT}, "action_added")
simple(
    "annotations_reordered",
    lambda p: {3: p.page().replace(b"10 0 R 13 0 R", b"13 0 R 10 0 R")},
    "annotation_order_changed",
)
for _name, _value, _reason in (
    ("free_text_over_signature", b"<< /Type /Annot /Subtype /FreeText /Rect [10 20 110 60] /Contents (Giam doc) >>", "annotation_over_field"),
    ("stamp_over_field", b"<< /Type /Annot /Subtype /Stamp /Rect [290 690 410 730] >>", "annotation_over_field"),
    ("watermark", b"<< /Type /Annot /Subtype /Watermark /Rect [0 0 595 842] >>", "annotation_kind"),
    ("screen", b"<< /Type /Annot /Subtype /Screen /Rect [0 0 595 842] >>", "annotation_kind"),
    ("unknown_annotation", b"<< /Type /Annot /Subtype /Foo /Rect [0 0 595 842] >>", "annotation_kind"),
    ("link_runs_script", b"<< /Type /Annot /Subtype /Link /Rect [0 0 595 842] /A %s >>" % JAVASCRIPT, "action_added"),
    ("widget_without_field", b"<< /Type /Annot /Subtype /Widget /Rect [0 0 595 842] >>", "widget_added"),
    ("stamp_shows_prepared", b"<< /Type /Annot /Subtype /Stamp /Rect [1 800 9 810] /AP << /N 12 0 R >> >>", "appearance_prepared"),
):  # fmt: skip
    ATTACKS[_name] = (lambda style, v=_value: _annotated(style, v)), {_reason}  # type: ignore[misc]


def _annotated(style: str, value: bytes) -> PdfWriter:
    pdf = Signed(style)
    pdf.annotate(value)
    return pdf


# references that wait for their object
simple(
    "dangling_content",
    {90: NEW_CONTENT},
    "dangling_reference_filled",
    extra={6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents [4 0 R 90 0 R] >>"},
)
simple(
    "dangling_behind_comment",
    {90: NEW_CONTENT},
    "dangling_reference_filled",
    extra={6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents [4 0 R 90 0 %x\nR] >>"},
)
simple(
    "dangling_with_sign",
    {90: NEW_CONTENT},
    "dangling_reference_filled",
    extra={6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents [4 0 R +90 0 R] >>"},
)
simple(
    "dangling_far_apart",
    {90: NEW_CONTENT},
    "dangling_reference_filled",
    extra={
        6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents [4 0 R 90"
        + b" " * 99
        + b"0"
        + b"\n" * 99
        + b"R] >>"
    },
)
simple(
    "length_elsewhere",
    {LENGTH: b"3"},
    "object_changed",
    "page_content_changed",
    extra={
        6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 23 0 R >>",
        23: b"<< /Length 18 0 R >>\nstream\nBT ET\nendstream",
        LENGTH: b"5",
    },
)
# one object in two roles
simple("certificates_are_content", {ARRAY: b"[4 0 R 90 0 R]", 90: NEW_CONTENT}, "page_content_changed",
       catalog=b" /DSS << /Certs 15 0 R >>", extra={ARRAY: b"[4 0 R]", 6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 15 0 R >>"})  # fmt: skip
simple("certificate_is_content", {FILE: NEW_CONTENT}, "page_content_changed",
       catalog=b" /DSS << /Certs [22 0 R] >>", extra={6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 22 0 R >>"})  # fmt: skip
simple("metadata_is_content", {XMP: stream(b"BT ET", b"/Type /Metadata /Subtype /XML")}, "page_content_changed",
       extra={6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 20 0 R >>"})  # fmt: skip
simple("vri_is_fonts", {ARRAY: b"<< /F1 90 0 R >>", 90: b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"}, "page_content_changed",
       catalog=b" /DSS << /VRI 15 0 R >>", extra={ARRAY: b"<< /F1 5 0 R >>", 6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font 15 0 R >> >>"})  # fmt: skip
simple("fields_are_pages", {ARRAY: b"[3 0 R]"}, "page_content_changed", "object_changed", "page_removed", "pages_replaced",
       catalog=b" /AcroForm << /Fields 15 0 R >>", extra={ARRAY: b"[3 0 R 6 0 R 7 0 R]", 2: b"<< /Type /Pages /Count 3 /Kids 15 0 R >>"})  # fmt: skip
simple("appearance_is_content", {TEXT: text_field(b"200"), TEXT_SHOWN: shown(b"200")}, "page_content_changed",
       extra={6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 11 0 R >>"})  # fmt: skip
simple(
    "tags_speak_otherwise",
    lambda p: {
        TAGS: b"<< /Type /StructTreeRoot /K [90 0 R] /ParentTree << /Nums [] >> /ParentTreeNextKey 0 >>",
        90: b"<< /S /P /P 17 0 R /ActualText (Khac) /K 0 /Pg 3 0 R >>",
    },
    "structure_changed",
)
simple("tags_removed", lambda p: {1: p.catalog().replace(b"/StructTreeRoot 17 0 R", b"")}, "structure_changed")
simple(
    "metadata_is_no_xmp",
    lambda p: {1: p.catalog().replace(b"/Metadata 20 0 R", b"/Metadata 90 0 R"), 90: NEW_CONTENT},
    "metadata_malformed",
)


@attack("object_freed")
def font_freed(style: str) -> PdfWriter:
    pdf = Signed(style)
    pdf.update({FILE: stream(b"x")}, free=(5,), style=style)
    return pdf


@attack("page_content_changed")
def generation_raised(style: str) -> PdfWriter:
    """The page's content gets another generation: what refers to it finds nothing."""
    pdf = Signed(style)
    at = len(pdf.data)
    pdf.data += b"4 1 obj\n%s\nendobj\n" % NEW_CONTENT
    table = len(pdf.data)
    pdf.data += b"xref\n4 1\n%010d 00001 n \ntrailer\n<< /Size 99 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        at, pdf.prev or 0, table)  # fmt: skip
    return pdf


@attack("page_content_changed")
def hide_and_replace(style: str) -> PdfWriter:
    """The signed octets hold a second object 4 that nothing uses; only a cross-reference row is appended."""
    pdf = Signed(style, extra={FILE: stream(b"4 0 obj\n%s\nendobj\n" % NEW_CONTENT)})
    at = pdf.data.index(b"4 0 obj\n<<  /Length")
    table = len(pdf.data)
    pdf.data += b"xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size 99 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        at, pdf.prev or 0, table)  # fmt: skip
    return pdf


@attack("object_stream_replaced")
def packed_objects_replaced(style: str) -> PdfWriter:
    """Where objects are packed, the object stream that holds them is written anew."""
    pdf = Signed("stream")
    found = next(n for n in range(1, 60) if b"\n%d 0 obj\n<< /Type /ObjStm" % n in pdf.data)
    body = b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"
    pdf.update({found: stream(b"5 0 " + body, b"/Type /ObjStm /N 1 /First 4")}, plain=(found,))
    return pdf


@attack("object_stream_replaced")
def packed_objects_freed(style: str) -> PdfWriter:
    pdf = Signed("stream")
    found = next(n for n in range(1, 60) if b"\n%d 0 obj\n<< /Type /ObjStm" % n in pdf.data)
    pdf.update({90: b"[]"}, free=(found,), plain=(90,))
    return pdf


@attack("page_added", "pages_replaced", "object_changed")
def field_is_page_tree(style: str) -> PdfWriter:
    """A node of the page tree that calls itself a signature field gets a kid that is a page and a signature field."""
    tree = b"<< /Type /Pages /Count 3 /Kids [3 0 R 6 0 R 7 0 R%s] /FT /Sig /T (Cay) >>"
    pdf = Signed(style, extra={2: tree % b""})
    pdf.update({2: tree % b" 90 0 R", 90: b"<< /Type /Page /FT /Sig /T (Trang) /Parent 2 0 R /MediaBox [0 0 9 9] >>"})
    return pdf


@attack("field_malformed", "page_added")
def field_is_nameless_page_tree(style: str) -> PdfWriter:
    tree = b"<< /Kids [3 0 R 6 0 R 7 0 R%s] /FT /Sig /T (Cay) >>"
    pdf = Signed(style, extra={2: tree % b""})
    pdf.update({2: tree % b" 90 0 R", 90: b"<< /FT /Sig /T (Trang) /Parent 2 0 R /Contents 4 0 R >>"})
    return pdf


@attack("dangling_reference_filled")
def packed_objects_supplied(style: str) -> PdfWriter:
    """Rows of the signed revision name an object stream that comes only later."""
    pdf = Signed(style, page_extra=b"")
    at = len(pdf.data)
    rows = bytes([2, 0, 0, 0, 91, 0, 0])
    pdf.data += (
        b"92 0 obj\n<< /Type /XRef /Size 95 /W [1 4 2] /Index [90 1] /Length 7 /Root 1 0 R /Prev %d >>\nstream\n%s\nendstream\nendobj\n"
        b"startxref\n%d\n%%%%EOF\n" % (pdf.prev or 0, rows, at)
    )
    pdf.prev, pdf.size = at, 95
    pdf.update({91: stream(b"90 0 [(Gia mao)]", b"/Type /ObjStm /N 1 /First 5")}, plain=(91,))
    return pdf


__all__ = ["ATTACKS", "NEW_CONTENT", "Signed", "shown", "stream", "text_field"]
