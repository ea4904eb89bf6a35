"""Every way of changing a signed file is seen and named."""

from __future__ import annotations

import pytest

from signsvc.formats import pades
from signsvc.formats.pdf import Document
from signsvc.formats.pdf.changes import compare
from signsvc.messages import catalogue
from signsvc.types import Grade
from tests.attacks.malformed_documents import EVERY
from tests.attacks.pdf_documents import Signed


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
@pytest.mark.parametrize("name", EVERY)
def test_attack(name: str, style: str) -> None:
    make, reasons = EVERY[name]
    document = Document(make(style).data)
    assert document.repair is None
    changes = compare(document, 2)
    assert changes[-1].grade is Grade.UNDEFINED, changes
    assert reasons & set(changes[-1].reasons), changes
    assert all(reason in catalogue() for change in changes for reason in change.reasons)


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
def test_nothing_after_the_signature(style: str) -> None:
    document = Document(Signed(style).data)
    assert len(document.revisions) == 3
    assert compare(document, 2) == ()


@pytest.mark.parametrize("name", EVERY)
def test_the_signature_says_so(name: str) -> None:
    """By the road that a verification takes, whatever became of the form."""
    view = pades.read(EVERY[name][0]("table").data)
    assert view.signatures
    assert any(change.grade is Grade.UNDEFINED for change in view.signatures[0].scope.changes_after)


PAINTED = b"1 1 1 rg 0 0 595 842 re f"
SMALL, WHOLE = b"[400 20 500 60]", b"[0 0 595 842]"


def _later_field(box: bytes, shows: bytes, value: bytes = b"", rest: bytes = b"") -> Document:
    """A signature field that was added after the signature."""
    pdf = Signed()
    field = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Moi) /P 3 0 R /Rect %s /AP << /N 91 0 R >>%s%s >>"
    objects = {
        90: field % (box, value, rest),
        91: b"<< /Type /XObject /Subtype /Form /BBox [0 0 1 1] /Length %d >>\nstream\n%s\nendstream"
        % (len(shows), shows),
        92: b"<< /Type /DocTimeStamp /SubFilter /ETSI.RFC3161 /ByteRange [0 1 2 3] /Contents <00> >>",
        93: b"<< /Type /Sig /SubFilter /ETSI.CAdES.detached /ByteRange [0 1 2 3] /Contents <00> >>",
        1: pdf.catalog().replace(b"/Fields [", b"/Fields [90 0 R "),
        3: pdf.page().replace(b"/Annots [", b"/Annots [90 0 R "),
    }
    pdf.update(objects)
    return Document(pdf.data)


@pytest.mark.parametrize(
    ("box", "shows", "value", "rest", "reason"),
    [
        (SMALL, PAINTED, b"", b"", "field_shows_without_signature"),
        (SMALL, PAINTED, b" /V 92 0 R", b"", "field_shows_without_signature"),
        (SMALL, b"", b"", b" /MK << /BG [1 1 1] >>", "field_shows_without_signature"),
        (WHOLE, b"", b"", b"", "signature_covers_page"),
        (WHOLE, PAINTED, b" /V 93 0 R", b"", "signature_covers_page"),
        (SMALL, PAINTED, b" /V 93 0 R", b"", None),
        (SMALL, b"% DSBlank\n", b"", b"", None),
        (SMALL, b"/Tx BMC\nEMC", b" /V 92 0 R", b" /MK << >>", None),
        (b"[0 0 0 0]", PAINTED, b" /V 92 0 R", b"", None),
    ],
)
def test_what_a_later_signature_field_may_show(
    box: bytes, shows: bytes, value: bytes, rest: bytes, reason: str | None
) -> None:
    """Whoever signs answers for the image of his signature; nobody does for that of an empty field or a timestamp."""
    (change,) = compare(_later_field(box, shows, value, rest), 2)
    if reason is None:
        assert change.grade is not Grade.UNDEFINED, change
    else:
        assert change.grade is Grade.UNDEFINED
        assert reason in change.reasons


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
@pytest.mark.parametrize("inside", [False, True])
def test_object_that_only_a_rebuilt_file_has(style: str, inside: bool) -> None:
    """Programs that give up on the cross-references look for objects: also between them, and inside streams."""
    pdf = Signed(style)
    hidden = b"\n4 0 obj\n<< /Length 0 >>\nstream\n\nendstream\nendobj\n"
    metadata = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>' + (hidden if inside else b"")
    before = len(pdf.data)
    if not inside:
        pdf.data += hidden
    pdf.update(
        {20: b"<< /Type /Metadata /Subtype /XML /Length %d >>\nstream\n%s\nendstream" % (len(metadata), metadata)},
        style=style,
    )
    assert len(pdf.data) > before
    (change,) = compare(Document(pdf.data), 2)
    assert "object_unlisted" in change.reasons
    assert change.grade is not Grade.EXTENSION
