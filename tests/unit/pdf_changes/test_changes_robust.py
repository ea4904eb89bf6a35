"""The comparison neither breaks nor depends on how references are found."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signsvc.formats.pdf import Document, LimitError, PdfError, PdfLimits
from signsvc.formats.pdf.change_usages import Usages
from signsvc.formats.pdf.changes import compare
from signsvc.types import Grade
from tests.attacks.pdf_documents import ATTACKS, Signed, stream

NAMES = sorted(ATTACKS)


def usages(document: Document) -> tuple[Usages, set[int]]:
    interest = {number for revision in document.revisions[1:] for number in revision.own_numbers()}
    return Usages(document, interest), interest


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
def test_the_scan_finds_what_parsing_everything_finds(style: str) -> None:
    for name in NAMES:
        document = Document(ATTACKS[name][0](style).data)
        quick, interest = usages(document)
        thorough, _ = usages(document)
        for index in range(len(document.revisions)):
            for number in interest:
                ours = sorted(quick.of(number, index), key=repr)
                assert ours == sorted(thorough._thorough(number, index).users, key=repr), (name, number, index)


def test_unusual_references_are_found() -> None:
    for written in (
        b"90 0 R",
        b"90\n0\tR",
        b"90\x000\x00R",
        b"+90 0 R",
        b"0000000000090 0 R",
        b"90 %a\n0 R",
        b"90 0%R\rR",
        b"90" + b" " * 80 + b"0 R",
    ):
        pdf = Signed(extra={6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents [4 0 R %s] >>" % written})
        pdf.update({90: stream(b"BT ET")})
        change = compare(Document(pdf.data), 2)[-1]
        assert change.reasons == ("dangling_reference_filled",), written


def test_what_only_looks_like_a_reference_is_none() -> None:
    """In streams, strings and comments, and in objects that nothing knows."""
    for extra in (
        {22: stream(b"[90 0 R] << /Contents 90 0 R >> %\n90 0 R")},
        {22: b"[(90 0 R) <90> (x 90 0 %\nR )]"},
        {22: b"[1 %% 90 0 R\n2]"},
    ):
        pdf = Signed(extra=extra)
        pdf.update({90: stream(b"BT ET")})
        assert compare(Document(pdf.data), 2)[-1].grade is Grade.EXTENSION, extra
    data = Signed().data
    at = data.index(b"1 0 obj")
    pdf = Signed()
    pdf.data = data + b"77 0 obj\n[90 0 R]\nendobj\n"
    pdf.update({90: stream(b"BT ET")})
    assert at > 0
    change = compare(Document(pdf.data), 2)[-1]
    assert (change.grade, change.reasons) == (Grade.UNDEFINED, ("object_unlisted",))


def test_streams_of_large_files_are_left_out_but_nothing_else() -> None:
    noise = random.Random(1).randbytes(1 << 20).replace(b"endstream", b"")
    for content, grade in ((b"[4 0 R]", Grade.EXTENSION), (b"[4 0 R 90 0 R]", Grade.UNDEFINED)):
        pdf = Signed(
            extra={
                6: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents %s >>" % content,
                22: stream(noise + b" 90 0 R "),
            }
        )
        pdf.update({90: stream(b"BT ET")})
        assert compare(Document(pdf.data), 2)[-1].grade is grade


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(NAMES), st.sampled_from(["table", "stream"]), st.randoms(use_true_random=False))
def test_damaged_updates_never_break_it(name: str, style: str, chance: random.Random) -> None:
    data = bytearray(ATTACKS[name][0](style).data)
    start = data.rindex(b"%%EOF", 0, len(data) - 8)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(start if chance.random() < 0.7 else 0, len(data))
        data[place] = chance.choice(b"0123456789 <>[]()/R%xnf\n") if chance.random() < 0.8 else chance.randrange(256)
    try:
        document = Document(bytes(data), PdfLimits(tokens=200_000))
    except PdfError:
        return
    for index in range(len(document.revisions)):
        try:
            changes = compare(document, index)
        except LimitError:
            continue
        assert len(changes) == len(document.revisions) - 1 - index


def hostile(kind: str, size: int) -> Signed:
    many = range(100, 100 + size)
    refs = b" ".join(b"%d 0 R" % n for n in many)
    if kind == "annotations":
        box = b"<< /Type /Annot /Subtype /Stamp /Rect [%d 1 %d 2] >>"
        pdf = Signed(extra={n: box % (n, n + 1) for n in many})
        pdf.annotations.extend(many)
        pdf.update({3: pdf.page()})
        pdf.annotations.extend(n + size for n in many)
        pdf.update({3: pdf.page(), **{n + size: box % (n + 20_000, n + 20_001) for n in many}})
    elif kind == "direct annotations":
        notes = [b"<< /Subtype /Text /Rect [0 0 1 1] /Contents (%d) >>" % n for n in many]
        pdf = Signed(page_extra=b"")
        pdf.update({3: pdf.page().replace(b"/Annots [", b"/Annots [" + b" ".join(notes))})
        pdf.update({3: pdf.page().replace(b"/Annots [", b"/Annots [" + b" ".join(reversed(notes)))})
    elif kind == "reached":
        pdf = Signed(extra={n: b"[%d 0 R]" % (n + 1) for n in many}, catalog=b" /PieceInfo [%s]" % refs)
        pdf.update({n: b"[%d 0 R 1]" % (n + 1) for n in many})
    elif kind == "unreached":
        pdf = Signed(extra={n: b"[%d 0 R]" % (n + 1) for n in many})
        pdf.update({n: b"[%d 0 R 1]" % (n + 1) for n in many})
    elif kind == "dangling":
        pdf = Signed(extra={22: b"[%s]" % refs})
        pdf.update(dict.fromkeys(many, b"[1]"))
    elif kind == "freed":
        pdf = Signed(extra={n: b"[%d 0 R]" % (n + 1) for n in many})
        pdf.update({90: b"[]"}, free=tuple(many))
    else:
        pdf = Signed(extra={22: b"[%s]" % refs})
        for number in range(size // 40):
            pdf.update({22: b"[%s]" % refs, number % 20 + 60: b"[%d]" % number})
    return pdf


@pytest.mark.parametrize(
    "kind", ["annotations", "direct annotations", "reached", "unreached", "dangling", "freed", "revisions"]
)
def test_hostile_sizes(kind: str) -> None:
    data = hostile(kind, 4000).data
    document = Document(data)
    assert document.repair is None
    start = time.process_time()
    for index in range(2, len(document.revisions)):
        if index < 5 or kind != "revisions":
            compare(document, index)
    assert time.process_time() - start < 2.5, len(data)
