"""Comments that may hide what was signed, and those that leave it to be seen."""

from __future__ import annotations

import zlib

import pytest

import test_pki
from signsvc.formats import pades
from signsvc.formats.pdf import Document
from signsvc.formats.pdf.changes import compare
from signsvc.types import Grade
from tests.attacks.court import FORMAT, PASSED, Court, check
from tests.attacks.pdf_documents import Signed, shown, stream, text_field
from tests.support.signed_pdf import maker

SMALL, LARGE = b"[72 300 300 340]", b"[0 0 595 500]"
WHITE = b"q 1 1 1 rg 0 0 100 20 re f Q"
OUTLINE = b"q 1 0 0 RG 2 w 0 0 100 20 re S Q"
LONG = zlib.compress(OUTLINE * 9_000)
TYPED = b"BT /F1 12 Tf 0 g (f B Do) Tj ET"


def annotated(kind: bytes, box: bytes, entries: bytes = b"", drawn: bytes | None = None, sign: bytes = b"") -> Signed:
    pdf = Signed(sign=sign)
    shape = b"/Type /XObject /Subtype /Form /BBox [0 0 100 20]"
    shape += b" /Filter /FlateDecode" if drawn is LONG else b""
    appearance = b" /AP << /N 91 0 R >>" if drawn is not None else b""
    annotation = b"<< /Type /Annot /Subtype /%s /Rect %s%s%s >>" % (kind, box, entries, appearance)
    page = pdf.page().replace(b"/Annots [", b"/Annots [90 0 R ")
    pdf.update({90: annotation, 3: page} | ({91: stream(drawn, shape)} if drawn is not None else {}))
    return pdf


CASES: list[tuple[bytes, bytes, bytes, bytes | None, str | None]] = [
    (b"FreeText", SMALL, b"", WHITE, "annotation_covers_content"),
    (b"FreeText", SMALL, b" /C [1 1 1]", None, "annotation_covers_content"),
    (b"FreeText", SMALL, b"", TYPED.replace(b"f B Do", b"Dong y"), None),
    (b"FreeText", SMALL, b"", None, None),
    (b"Stamp", SMALL, b"", b"/Im0 Do", "annotation_covers_content"),
    (b"Stamp", SMALL, b"", None, "annotation_covers_content"),
    (b"Square", SMALL, b" /IC [1 1 1]", None, "annotation_covers_content"),
    (b"Square", SMALL, b" /C [1 0 0]", None, None),
    (b"Square", LARGE, b"", OUTLINE, None),
    (b"Square", LARGE, b" /IC [1 1 1]", None, "annotation_covers_page"),
    (b"Stamp", LARGE, b"", WHITE, "annotation_covers_page"),
    (b"Highlight", LARGE, b"", WHITE, "annotation_covers_page"),
    (b"Text", LARGE, b"", WHITE, "annotation_covers_page"),
    (b"Ink", SMALL, b" /BS << /W 30 >>", None, "annotation_covers_content"),
    (b"Ink", SMALL, b" /BS << /W 2 >>", None, None),
    (b"Stamp", b"[0 0 0 0]", b"", WHITE, None),
    (b"Stamp", SMALL, b"", LONG, "annotation_covers_content"),  # longer than what is read
]


@pytest.mark.parametrize(("kind", "box", "entries", "drawn", "reason"), CASES)
def test_what_a_comment_hides(kind: bytes, box: bytes, entries: bytes, drawn: bytes | None, reason: str | None) -> None:
    (change,) = compare(Document(annotated(kind, box, entries, drawn).data), 2)
    told = {"annotation_covers_content", "annotation_covers_page"} & set(change.reasons)
    assert told == ({reason} if reason else set()), change
    if reason == "annotation_covers_page":
        assert change.grade is Grade.UNDEFINED
    else:
        assert change.grade is Grade.ANNOTATION or box == LARGE
    if reason:
        numbers = box.strip(b"[]").decode()
        assert change.details == ((reason, "places", f"tr./p. 1 [{numbers}]"),)


def test_a_page_without_content_has_nothing_to_hide() -> None:
    pdf = Signed()
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Annots [%s] >>"
    pdf = Signed(extra={6: page % b""})
    pdf.update({90: b"<< /Type /Annot /Subtype /Square /Rect %s /IC [1 1 1] >>" % SMALL, 6: page % b"90 0 R"})
    (change,) = compare(Document(pdf.data), 2)
    assert change.grade is Grade.ANNOTATION
    assert "annotation_covers_content" not in change.reasons


@pytest.fixture
def really_signed(pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)


@pytest.mark.usefixtures("really_signed")
def test_the_verdict_says_where(pki: test_pki.Pki) -> None:
    """A covering comment is loud in the verdict: the page and the rectangle are in the text of the finding."""
    verdict = Court(pki)(annotated(b"FreeText", SMALL, b" /C [1 1 1]").data)
    check(verdict, PASSED, "annotation_covers_content")
    found = next(f for f in verdict.signatures[0].findings if f.code == "annotation_covers_content")
    assert str(found.level) == "warn"
    assert found.data["places"] == "tr./p. 1 [72 300 300 340]"
    check(Court(pki)(annotated(b"FreeText", LARGE, b" /C [1 1 1]").data), FORMAT, "annotation_covers_page")


CERTIFIED = (
    b" /Reference [<< /Type /SigRef /TransformMethod /DocMDP"
    b" /TransformParams << /Type /TransformParams /V /1.2 /P %d >> >>]"
)


@pytest.mark.usefixtures("really_signed")
@pytest.mark.parametrize(("level", "expected"), [(1, FORMAT), (2, FORMAT), (3, PASSED)])
def test_certified_documents_allow_comments_at_level_three_only(level: int, expected: str, pki: test_pki.Pki) -> None:
    verdict = Court(pki)(annotated(b"FreeText", SMALL, b" /C [1 1 1]", sign=CERTIFIED % level).data)
    check(verdict, expected, "annotation_covers_content")
    codes = {f.code for f in verdict.signatures[0].findings}
    assert ("changed_not_permitted" in codes) is (level < 3)


def test_a_field_with_very_long_text() -> None:
    """What a field shows is compared where it is short; a long text is no reason to refuse the document."""
    pdf = Signed()
    text = b"dai " * 40_000
    pdf.update({10: text_field(text, 90), 90: shown(text)})
    (change,) = compare(Document(pdf.data), 2)
    assert change.grade is Grade.FORM_OR_SIGNATURE


def test_octets_behind_the_end_are_counted() -> None:
    view = pades.read(Signed().data + b"junk")
    change = view.signatures[0].scope.changes_after[-1]
    assert change.reasons == ("document_octets_after_end",)
    assert change.details == (("document_octets_after_end", "count", 4),)
