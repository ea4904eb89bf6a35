"""Developer extensions of the catalog: what later revisions may declare (ISO 32000-2 §7.12)."""

from __future__ import annotations

import pytest

from signsvc.formats.pdf import Document
from signsvc.formats.pdf.changes import compare
from signsvc.types import Grade
from tests.attacks.pdf_documents import Signed

ADBE = b"/ADBE << /BaseVersion /1.7 /ExtensionLevel 8 >>"
CASES: list[tuple[bytes, Grade, str | None]] = [
    (ADBE + b" /ESIC << /BaseVersion /1.7 /ExtensionLevel 5 >>", Grade.EXTENSION, None),
    (
        ADBE + b" /ISO_ [<< /BaseVersion /2.0 /ExtensionLevel 32001 /ExtensionRevision (:2022) >>"
        b" << /BaseVersion /2.0 /ExtensionLevel 32002 /URL (https://iso.org) >>]",
        Grade.EXTENSION,
        None,
    ),
    (b"/ADBE << /BaseVersion /1.7 /ExtensionLevel 11 >>", Grade.EXTENSION, None),
    (b"", Grade.UNREACHED, "extensions_removed"),
    (b"/ESIC << /BaseVersion /1.7 /ExtensionLevel 5 >>", Grade.UNREACHED, "extensions_removed"),
    (ADBE + b" /ESIC (5)", Grade.UNREACHED, "extensions_malformed"),
    (ADBE + b" /ESIC []", Grade.UNREACHED, "extensions_malformed"),
    (ADBE + b" /ESIC << /BaseVersion (1.7) /ExtensionLevel 5 >>", Grade.UNREACHED, "extensions_malformed"),
    (ADBE + b" /ESIC << /BaseVersion /1.7 /ExtensionLevel 5 /JS (x) >>", Grade.UNREACHED, "extensions_malformed"),
]


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize(("later", "grade", "reason"), CASES)
def test_declarations(later: bytes, grade: Grade, reason: str | None, direct: bool) -> None:
    signed = b"<< %s >>" % ADBE
    if direct:
        pdf = Signed(catalog=b" /Extensions " + signed)
        pdf.update({1: pdf.catalog().replace(signed, b"<< %s >>" % later)})
    else:
        pdf = Signed(catalog=b" /Extensions 15 0 R", extra={15: signed})
        pdf.update({15: b"<< %s >>" % later})
    (change,) = compare(Document(pdf.data), 2)
    assert change.grade is grade, change
    assert change.reasons == ((reason,) if reason else ())


def test_what_is_no_dictionary() -> None:
    pdf = Signed(catalog=b" /Extensions << %s >>" % ADBE)
    pdf.update({1: pdf.catalog().replace(b"<< %s >>" % ADBE, b"22 0 R")})
    (change,) = compare(Document(pdf.data), 2)
    assert change.grade is Grade.UNDEFINED
    assert "catalog_changed" in change.reasons
