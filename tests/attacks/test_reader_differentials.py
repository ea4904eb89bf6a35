"""Changes after signing that one program shows and another does not: what is ambiguous is never called harmless.

Each of these files once passed, while a viewer in common use (poppler, MuPDF, PDFium) showed other content than before.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import test_pki
from tests.attacks.court import FORMAT, PASSED, Court, check, told
from tests.attacks.pdf_documents import Signed, stream
from tests.support.signed_pdf import maker

OTHER = stream(b"BT /F1 40 Tf 72 500 Td (Gia mao) Tj ET")
Forger = Callable[[], tuple[bytes, bytes]]  # the signed file, and what was made of it
FORGERS: dict[str, tuple[Forger, str]] = {}


def forger(reason: str) -> Callable[[Forger], Forger]:
    def register(made: Forger) -> Forger:
        FORGERS[made.__name__] = made, reason
        return made

    return register


@pytest.mark.parametrize("name", FORGERS)
def test_what_another_program_shows(name: str, pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)
    make, reason = FORGERS[name]
    before, after = make()
    assert told(Court(pki)(before))[0] == PASSED
    check(Court(pki)(after), FORMAT, reason)


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
