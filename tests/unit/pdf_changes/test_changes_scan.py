"""References found in bulk, beside references found one by one."""

from __future__ import annotations

import random
import re

import pytest

from signsvc.formats.pdf import Document, Ref, change_scan
from signsvc.formats.pdf.change_usages import Usages
from signsvc.formats.pdf.limits import LimitError, PdfError, PdfLimits
from signsvc.formats.pdf.object_stream import ObjectStream
from signsvc.formats.pdf.xref import read_table
from tests.pdf_writer import PdfWriter

ODD = (b"3\n0 R", b"5 12 R", b"00000000003 0 R", b"R", b"RG", b"obj", b"% c\n", b"0 R 5 R", b"+3 0 R", b"x" * 20)


@pytest.mark.parametrize("odd", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("size", [48, 300, 5_000])
def test_stretches_of_references_say_what_each_of_them_says(
    odd: float, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_scan, "_CHUNK", size)
    chance = random.Random(size)
    bulk = 0
    for _ in range(60):
        usual = [b"3 0 R", b"%d 0 R" % chance.randrange(30), b"[", b"/A", b"<<\n", b"12"]
        weights = [20, 20, 3, 10, 3, 2, *(odd for _ in ODD)]
        words = chance.choices([*usual, *ODD], weights, k=chance.randrange(5, 150))
        data = b"%PDF-1.7 comment of a file\n" + b" ".join(words)
        interest = {chance.randrange(30) for _ in range(chance.choice((1, 3, 40)))}
        every = change_scan._each(data, 0, 0, len(data), len(data))
        # a number of more digits than a reference may have is read to its last ten, and proven by parsing later
        wanted = [hit for hit in every if hit[1] in interest or hit[1] < 0]
        found = []
        for part in change_scan.parts(data, 0, len(data), interest):
            bulk += part.found is None
            hits = change_scan.named(data, part)
            assert {number for _, number in hits} == part.numbers
            found += hits
        assert {hit for hit in found if hit[1] >= 0} >= {
            hit for hit in wanted if hit[1] >= 0 and _regular(data, hit[0])
        }
        assert {at for at, _ in found} <= {at for at, _ in wanted}
    assert bulk or odd == 2.0  # lists this odd are never read in bulk


def _regular(data: bytes, at: int) -> bool:
    return re.search(rb"(?<!\d)\d{1,10} \d R(?![^ ()<>\[\]{}/%\n])", data[max(0, at - 14) : at + 3]) is not None


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
@pytest.mark.parametrize("size", [32, 200, 1 << 18])
def test_users_are_the_same_whatever_the_stretches(style: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_scan, "_CHUNK", size)
    chance = random.Random(7)
    extra = {
        n: b"<< /A [%s] /B 3 0 R >>" % b" ".join(b"%d 0 R" % chance.randrange(20, 70) for _ in range(n % 9))
        for n in range(20, 70)
    }
    pdf = PdfWriter(extra=extra, style=style)
    pdf.update({21: b"[22 0 R 23 0 R]", 22: b"<< /Length 10 >>\nstream\n23 0 R obj\nendstream"}, style=style)
    document = Document(pdf.data)
    asked = list(range(1, 70))
    chance.shuffle(asked)
    usages = Usages(document, set(asked))
    for number in asked:
        for index in range(len(document.revisions)):
            found = usages.of(number, index)
            assert usages._full is None
            assert sorted(found, key=str) == sorted(Usages(document, set()).of(number, index), key=str), number


def test_rows_that_lead_far_are_found_by_their_octets() -> None:
    chance = random.Random(3)
    for _ in range(200):
        offsets = [chance.randrange(10 ** chance.randrange(1, 8)) for _ in range(chance.randrange(1, 30))]
        written = b"\n0 %d\n%s" % (len(offsets), b"".join(b"%010d 00000 n\r\n" % at for at in offsets))
        rows, _ = read_table(written + b"trailer", 0, 1_000)
        for limit in (0, 1, chance.choice(offsets), chance.choice(offsets) + 1, max(offsets), max(offsets) + 1):
            assert rows.lead_beyond(limit) == (max(offsets) >= limit)


@pytest.mark.parametrize(
    ("head", "fits"),
    [
        (b"4 0 5 3 6 6 7 9 8 12 ", True),
        (b"4 0 5 3 6 6 7 9 8 12", True),  # with nothing after it but what the first object begins with
        (b"4 0 5 3 6 6 7 9 8 12 13 ", True),
        (b"4 0\n5 3\r6 6\x007 9\t8 12 ", True),
        (b"4 0 5 3 6 6 7 9 ", False),
        (b"4 0 5 3 6 6 7 9 8 12345678901 ", False),
        (b"4 0 5 3 6 6 7 9 x 12 ", False),
    ],
)
def test_places_in_an_object_stream(head: bytes, fits: bool) -> None:
    body = b" [] [] [] [] []"
    packed = b"<< /Type /ObjStm /N 5 /First %d /Length %d >>\nstream\n%s\nendstream"
    data = PdfWriter(extra={30: packed % (len(head), len(head) + len(body), head + body)}).data
    if not fits:
        with pytest.raises(PdfError):
            Document(data).object_stream(30, 0)
        return
    stream = Document(data).object_stream(30, 0)
    assert stream.places == [(4 + n, len(head) + 3 * n) for n in range(5)]


def test_an_object_stream_with_too_many_objects_is_refused() -> None:
    document = Document(
        PdfWriter(extra={30: b"<< /Type /ObjStm /N 9 /First 2 /Length 1 >>\nstream\nx\nendstream"}).data
    )
    stream = document.get(Ref(30, 0), 0)
    with pytest.raises(LimitError):
        ObjectStream(stream, document.parser, PdfLimits(object_stream=8))  # type: ignore[arg-type]
