"""Later revisions with objects that a strict reader cannot read and a lenient one mends; `EVERY` attack with them."""

from __future__ import annotations

from collections.abc import Callable

from tests.attacks.pdf_documents import ATTACKS, Signed, shown, simple

_OTHERS = frozenset(ATTACKS)
STAMP = b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 595 842] /P 3 0 R %s /F 4 >>"


def _with_annotation(value: bytes, listed: bytes = b"90 0 R") -> Callable[[Signed], dict[int, bytes]]:
    return lambda p: {90: value, 3: p.page().replace(b"/Annots [", b"/Annots [%s " % listed)}


for _name, _junk in {"word": b"foo", "number": b"1.2.3", "string": b")", "hex": b"/Z <zz>", "octet": b"\x1c"}.items():
    simple(f"malformed_{_name}", _with_annotation(STAMP % _junk), "object_unreadable")
simple("malformed_unclosed", _with_annotation((STAMP % b"")[:-3]), "object_unreadable")
simple("annotation_of_another_generation", _with_annotation(STAMP % b"", b"90 7 R"), "page_changed")
simple(
    "annotation_that_is_not_there", lambda p: {3: p.page().replace(b"/Annots [", b"/Annots [99 0 R ")}, "page_changed"
)
simple(
    "malformed_field",
    lambda p: {
        90: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Moi) /Rect [0 0 595 842] foo >>",
        1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "),
        3: p.page().replace(b"/Annots [", b"/Annots [90 0 R "),
    },
    "object_unreadable",
)
simple(
    "malformed_appearance",
    lambda p: {
        90: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Moi) /Rect [9 9 99 99] /AP << /N 91 0 R >> >>",
        91: shown(b"999").replace(b"/BBox", b"foo /BBox"),
        1: p.catalog().replace(b"/Fields [", b"/Fields [90 0 R "),
        3: p.page().replace(b"/Annots [", b"/Annots [90 0 R "),
    },
    "object_unreadable",
)

# Stock software is asked about the others alone.
MALFORMED = {name: ATTACKS.pop(name) for name in tuple(ATTACKS) if name not in _OTHERS}
EVERY = ATTACKS | MALFORMED

__all__ = ["EVERY", "MALFORMED"]
