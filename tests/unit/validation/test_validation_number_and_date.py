"""Number and date stamped after the person signed: every shape of it, under the policies that do and do not allow it."""

from __future__ import annotations

import pytest

from signsvc.formats import pades
from signsvc.types import DocumentVerdict
from signsvc.validation import policies, validate
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import maker
from tests.unit.validation.validation_bench import Bench, codes, outcome

CERTIFIED = b" /Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << /V /1.2 /P %d >> >>]"
HEADING = b"[60 700 200 720]"  # of a page 842 points high
SHOWN = b"BT /F1 12 Tf 0 0 Td (So: 12/QD-UBND) Tj ET"
BROKEN = ("TOTAL-FAILED", "FORMAT_FAILURE")
PASSED = ("TOTAL-PASSED", None)


def issued(
    bench: Bench,
    *,
    level: int | None = 2,
    kind: bytes = b"FreeText",
    rect: bytes = HEADING,
    by: str | None = "agency",
    page: int = 0,
    extra: bytes = b"",
    broken: bool = False,
) -> bytes:
    """A person signs (certifying at `level`), then somebody stamps number and date and signs in the same revision."""
    pki = bench.pki
    pdf = PdfWriter(pages=2)
    pdf.sign(pki, room=48_000, extra=CERTIFIED % level if level else b"", cms=maker(pki))
    number = pdf.new(2)
    stamp = b"<< /Type /Annot /Subtype /%s /F 4 /Rect %s /Contents (12) /AP << /N %d 0 R >>%s >>" % (
        kind, rect, number + 1, extra)  # fmt: skip
    shown = b"<< /Type /XObject /Subtype /Form /BBox [0 0 140 20] /Length %d >>\nstream\n%s\nendstream" % (
        len(SHOWN), SHOWN)  # fmt: skip
    objects = {number: stamp, number + 1: shown}
    if page:
        objects[6] = pdf.page(1).replace(b" >> >> >>", b" >> >> /Annots [%d 0 R] >>" % number)
    else:
        pdf.annotations.append(number)
    if by is None:
        pdf.update({**objects, 3: pdf.page()})
    else:
        pdf.sign(pki, by, name="Agency", room=48_000, cms=maker(pki, by, flip=broken), objects=objects,
                 rect=b" /Rect [300 20 400 60]")  # fmt: skip
    return pdf.data


def judge(bench: Bench, data: bytes, policy: str = "cong-vu") -> DocumentVerdict:
    evidence = {item.id: item for label in ("person", "agency", "person2") for item in bench.status(label)}
    return validate(
        pades.read(data),
        material=bench.material(),
        evidence=tuple(evidence.values()),
        policy=policies.load(policy),
        now=bench.now,
    )


@pytest.mark.parametrize("kind", [b"FreeText", b"Stamp"])
def test_stamped_by_the_agency(bench: Bench, kind: bytes) -> None:
    data = issued(bench, kind=kind)
    verdict = judge(bench, data)
    assert outcome(verdict) == PASSED
    assert "number_and_date_stamped" in codes(verdict, "warn")
    assert [str(s.indication) for s in verdict.signatures] == ["TOTAL-PASSED"] * 2
    for policy in ("cong-cong", "hon-hop", "luu-tru"):
        strict = judge(bench, data, policy)
        assert outcome(strict) == BROKEN, policy
        assert str(strict.signatures[0].as_signed_indication) != "TOTAL-FAILED"
        # An archive asks for timestamps: there the agency's signature does not vouch for its stamp.
        assert ("number_and_date_stamped" in codes(strict, "fail")) is (policy != "luu-tru")


@pytest.mark.parametrize(
    "changes",
    [
        {"by": "person2"},  # another person is no agency
        {"by": None},  # stamped by nobody who signs
        {"broken": True},  # the agency's signature does not hold
        {"rect": b"[60 500 200 520]"},  # in the midst of the text
        {"rect": b"[60 600 200 720]"},  # reaches down into it
        {"page": 1},
        {"kind": b"Square"},
        {"kind": b"Text"},
        {"level": 1},  # the person's signature permits no further signature either
        {"extra": b" /AA << >>"},
    ],
    ids=lambda changes: next(iter(changes.items()))[0] + "-" + str(next(iter(changes.values()))),
)
def test_what_is_no_number_and_date(bench: Bench, changes: dict[str, object]) -> None:
    verdict = judge(bench, issued(bench, **changes))  # type: ignore[arg-type]
    assert str(verdict.signatures[0].indication) == "TOTAL-FAILED"
    assert str(verdict.signatures[0].as_signed_indication) == "TOTAL-PASSED"
    assert "number_and_date_stamped" not in codes(verdict)


def test_where_comments_are_permitted_nothing_needs_to_be_put_up_with(bench: Bench) -> None:
    for level in (None, 3):
        verdict = judge(bench, issued(bench, level=level), "hon-hop")
        assert outcome(verdict) == PASSED
        assert "changed_annotation" in codes(verdict, "warn")
        assert "number_and_date_stamped" not in codes(verdict)


def test_a_page_that_is_turned_has_its_heading_elsewhere(bench: Bench) -> None:
    pki = bench.pki
    pdf = PdfWriter()
    turned = pdf.page().replace(b"/MediaBox", b"/Rotate 180 /MediaBox")
    pdf.page = lambda index=0: turned.replace(  # type: ignore[method-assign]
        b" >> >> >>", b" >> >> /Annots [%s] >>" % b" ".join(b"%d 0 R" % n for n in pdf.annotations)
    )
    pdf.update({3: turned})
    pdf.sign(pki, room=48_000, extra=CERTIFIED % 2, cms=maker(pki))
    number = pdf.new()
    pdf.annotations.append(number)
    note = b"<< /Type /Annot /Subtype /FreeText /F 4 /Rect %s /Contents (12) >>" % HEADING
    pdf.sign(pki, "agency", name="Agency", room=48_000, cms=maker(pki, "agency"), objects={number: note},
             rect=b" /Rect [300 20 400 60]")  # fmt: skip
    verdict = judge(bench, pdf.data)
    assert "number_and_date_stamped" not in codes(verdict)
    assert str(verdict.signatures[0].indication) == "TOTAL-FAILED"
