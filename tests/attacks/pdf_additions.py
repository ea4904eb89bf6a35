"""What real writers append to signed files, with the grade it deserves: nothing here is an attack."""

from __future__ import annotations

from collections.abc import Callable

from signsvc.types import Grade
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

CERT = stream(b"\x30\x00")
VRI = b"0123456789ABCDEF0123456789ABCDEF01234567"
XMP_STREAM = stream(b'<x:xmpmeta xmlns:x="adobe:ns:meta/">2</x:xmpmeta>', b"/Type /Metadata /Subtype /XML")

Objects = Callable[[Signed], dict[int, bytes]]
DEFINED: dict[str, tuple[Grade, Objects, dict[str, object]]] = {
    "store": (Grade.EXTENSION, lambda p: {90: CERT, 91: b"<< /Type /DSS /Certs [90 0 R] >>", 1: p.catalog()[:-3] + b" /DSS 91 0 R >>"}, {}),
    "store, direct": (Grade.EXTENSION, lambda p: {90: CERT, 1: p.catalog()[:-3] + b" /DSS << /CRLs [90 0 R] /OCSPs [] >> >>"}, {}),
    "store with VRI": (Grade.EXTENSION, lambda p: {90: CERT, 1: p.catalog()[:-3] + b" /DSS << /VRI << /%s << /Cert [90 0 R] /TU (D:2026) >> >> >> >>" % VRI}, {}),
    "store array in place": (Grade.EXTENSION, lambda p: {90: CERT, ARRAY: b"[22 0 R 90 0 R]"}, {"catalog": b" /DSS << /Certs 15 0 R >>", "extra": {ARRAY: b"[22 0 R]"}}),
    "store in place": (Grade.EXTENSION, lambda p: {90: CERT, ARRAY: b"<< /Certs [22 0 R 90 0 R] >>"}, {"catalog": b" /DSS 15 0 R", "extra": {ARRAY: b"<< /Certs [22 0 R] >>"}}),
    "VRI in place": (Grade.EXTENSION, lambda p: {90: CERT, ARRAY: b"<< /%s << /Cert [90 0 R] >> >>" % VRI}, {"catalog": b" /DSS << /VRI 15 0 R >>", "extra": {ARRAY: b"<< >>"}}),
    "store value in place": (Grade.EXTENSION, lambda p: {FILE: CERT}, {"catalog": b" /DSS << /OCSPs [22 0 R] >>"}),
    "store value in place, in two lists": (Grade.EXTENSION, lambda p: {FILE: CERT}, {"catalog": b" /DSS << /Certs 15 0 R /VRI << /%s << /Cert [22 0 R] >> >> >>" % VRI, "extra": {ARRAY: b"[22 0 R]"}}),
    "store value no stream any more": (Grade.UNREACHED, lambda p: {FILE: b"(khac)"}, {"catalog": b" /DSS << /OCSPs [22 0 R] >>"}),
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

__all__ = ["DEFINED", "Objects"]
