"""Files that are damaged or odd: judged where there is one reading, left open where programs mend them differently."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.formats import pades
from tests.attacks.court import FORMAT, MISSING, PASSED, UNSIGNED, Court, check, told
from tests.pdf_writer import HEADER, PdfWriter

Damage = Callable[[bytes], bytes]


def replaced(old: bytes, new: bytes) -> Damage:
    def damage(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new)

    return damage


def substituted(old: bytes, new: bytes) -> Damage:
    def damage(data: bytes) -> bytes:
        assert re.search(old, data)
        return re.sub(old, new, data, count=1)

    return damage


# What stood in the file before it was signed; the signature's own revision is sound.  Name -> damage of the first
# revision, the answer, a finding.
BEFORE: dict[str, tuple[Damage, str, str | None]] = {
    # One reading, and every consumer has it.
    "prev-0": (replaced(b"/Root 1 0 R", b"/Root 1 0 R /Prev 0"), PASSED, None),
    "no-end-mark": (replaced(b"%%EOF\n", b""), PASSED, None),
    "rows-of-19-octets": (lambda d: d.replace(b" n \n", b" n\n").replace(b" f \n", b" f\n"), PASSED, None),
    "no-size": (substituted(rb"/Size \d+ ", b""), PASSED, None),
    "blanks-before-the-table": (replaced(b"xref\n0", b" \r\nxref\n0"), PASSED, None),
    # Programs mend these, each in its own way: integrity is judged, coverage is not known.
    "no-table": (replaced(b"xref\n0", b"xrxf\n0"), MISSING, "document_needs_repair"),
    "no-trailer": (replaced(b"trailer", b"trxiler"), MISSING, "document_needs_repair"),
    "prev-outside": (replaced(b"/Root 1 0 R", b"/Root 1 0 R /Prev 99999999"), MISSING, "document_needs_repair"),
    "prev-into-text": (replaced(b"/Root 1 0 R", b"/Root 1 0 R /Prev 20"), MISSING, "document_needs_repair"),
    # The table can be read and leads to other objects than it says, or nowhere.
    "a-row-of-another-shape": (substituted(rb"(n \n\d{10}) 00000 n", rb"\1 00000 x"), MISSING, "signature_pages_not_found"),
    "numbers-off-by-one": (substituted(rb"xref\n0 (\d+)", rb"xref\n1 \1"), MISSING, "signature_pages_not_found"),
}  # fmt: skip


@pytest.mark.parametrize("name", BEFORE)
def test_damage_that_was_signed(pki: test_pki.Pki, name: str) -> None:
    damage, outcome, finding = BEFORE[name]
    pdf = PdfWriter(pages=2)
    pdf.data = damage(pdf.data)
    found = re.search(rb"(?<=\n)\s*x(re|rx)f", pdf.data)
    assert found
    pdf.prev = found.start()
    pdf.sign(pki)
    (signature,) = pades.read(pdf.data).signatures
    assert signature.signer is not None
    assert signature.signer.digest_matches is True
    check(Court(pki)(pdf.data), outcome, finding)


def test_pages_that_stand_elsewhere(pki: test_pki.Pki) -> None:
    """The row of one page, or of what it shows, leads to another object."""
    for number in (2, 4, 6):
        pdf = PdfWriter(pages=2)
        at = re.findall(rb"(\d{10}) 00000 n", pdf.data)[number - 1]
        other = re.findall(rb"(\d{10}) 00000 n", pdf.data)[4]
        pdf.data = pdf.data.replace(at + b" 00000 n", other + b" 00000 n")
        pdf.sign(pki)
        check(Court(pki)(pdf.data), MISSING, "signature_pages_not_found")
        assert "document_pages_not_found" in {finding.code for finding in pades.read(pdf.data).findings}


def test_a_sound_revision_stays_signed_under_a_damaged_one(pki: test_pki.Pki) -> None:
    pdf = PdfWriter(pages=2)
    pdf.sign(pki)
    pdf.update({2: b"<< /Type /Pages /Count 2 /Kids [3 0 R 6 0 R] >>"})
    rows = re.findall(rb"\d{10} 00000 n", pdf.data)
    data = pdf.data[: pdf.data.rindex(rows[-1])] + rows[0] + pdf.data[pdf.data.rindex(rows[-1]) + len(rows[0]) :]
    (signature,) = Court(pki)(data).signatures
    assert signature.as_signed_indication == PASSED
    assert signature.indication != PASSED


# Octets before the header.


def _behind(lead: bytes) -> PdfWriter:
    """A file with `lead` before its header and offsets that count from the first octet."""
    pdf = PdfWriter.__new__(PdfWriter)
    pdf.__dict__.update(
        fields=[], annotations=[], catalog_extra=b"", pages=1, data=lead + HEADER, prev=None, size=6
    )  # fmt: skip
    content = b"<< /Length 2 >>\nstream\nq \nendstream"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    pages = b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"
    pdf.update({1: pdf.catalog(), 2: pages, 3: pdf.page(), 4: content, 5: font})
    return pdf


def test_octets_before_the_header_with_one_reading(pki: test_pki.Pki) -> None:
    for lead in (b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000):
        pdf = _behind(lead)
        pdf.sign(pki)
        check(Court(pki)(pdf.data), PASSED, "document_octets_before_header")


def test_octets_before_the_header_and_an_object_that_only_a_mended_file_shows(pki: test_pki.Pki) -> None:
    decoy = b"\n4 0 obj\n<< /Length 6 >>\nstream\n(evil)\nendstream\nendobj\n"
    for behind in (False, True):
        pdf = _behind(b"\r\n")
        if behind:
            pdf.data += b"%" + decoy  # in front of the signature's revision, behind the object that is in force
        else:
            pdf.update({30: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(decoy), decoy)})
        pdf.sign(pki)
        check(Court(pki)(pdf.data), MISSING, "signature_read_differently")


def test_octets_that_were_put_before_a_signed_file(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    for lead in (b"\n", b"junk\n" * 10):
        check(Court(pki)(lead + pdf.data), FORMAT, "document_octets_before_header")
    with pytest.raises(DocumentError) as caught:
        pades.read(b"x" * 2000 + pdf.data)
    assert caught.value.code == "document_unreadable"


# Files that are cut short: a signature that has left a trace is not no signature.


def test_cut_anywhere_it_is_never_passed_and_never_silently_unsigned(pki: test_pki.Pki) -> None:
    for style in ("table", "stream"):
        pdf = PdfWriter(style=style)
        base = len(pdf.data)
        pdf.sign(pki)
        court = Court(pki)
        first_trace = min(pdf.data.index(word, base) for word in (b"/SigFlags", b"/Type /Sig", b"/FT /Sig"))
        whole = len(pdf.data) - 1  # the line end behind the end mark
        cuts = [*range(base - 60, base + 420, 9), *range(base + 420, whole - 400, 2500), *range(whole - 400, whole, 9)]
        for cut in cuts:
            try:
                outcome, codes = told(court(pdf.data[:cut]))
            except DocumentError as error:
                assert error.code == "document_unreadable"  # noqa: PT017
                assert cut < base
                continue
            assert not outcome.startswith(PASSED), cut
            if outcome == UNSIGNED:
                assert cut <= first_trace + len(b"/Type /Sig"), cut
                assert cut <= base or "document_octets_after_end" in codes or not pdf.data[base:cut].strip(), cut


@pytest.mark.parametrize(
    "trace", [b"/Type /Sig ", b"/Type/DocTimeStamp", b"/FT /Sig", b"/SubFilter /adbe.pkcs7.detached", b"/SigFlags 3"]
)
def test_traces_behind_the_last_revision(pki: test_pki.Pki, trace: bytes) -> None:
    check(Court(pki)(PdfWriter().data + b"9 0 obj\n<< " + trace), MISSING, "signature_torn")


def test_octets_without_a_trace_are_no_signature(pki: test_pki.Pki) -> None:
    for tail in (b"9 0 obj\n<< /Type /Signage /Length 3", b"/FT /Signature", b"some words"):
        check(Court(pki)(PdfWriter().data + tail), UNSIGNED, "document_octets_after_end")


@pytest.mark.parametrize("value", [b"/V 40 0 R", b"/V 9 5 R", b"/V 10 0 R", b"/V 11 0 R", b"/V 12 0 R"])
def test_a_field_whose_value_is_gone(pki: test_pki.Pki, value: bytes) -> None:
    pdf = PdfWriter(extra={9: b"<< /FT /Sig /T (Agency) %s >>" % value, 10: b"7", 12: b"<< >>"})
    pdf.fields.append(9)
    pdf.update({1: pdf.catalog()})
    pdf.update({}, free=(11,))
    verdict = Court(pki)(pdf.data)
    if value == b"/V 12 0 R":  # a dictionary, though it says nothing
        check(verdict, FORMAT, "byte_range_missing")
    else:
        check(verdict, MISSING, "signature_torn")
        assert pades.read(pdf.data).signatures[0].field == "Agency"


@pytest.mark.parametrize("value", [b"", b"/V null", b"/V 10 0 R"])
def test_an_empty_field_is_no_signature(pki: test_pki.Pki, value: bytes) -> None:
    pdf = PdfWriter(extra={9: b"<< /FT /Sig /T (Agency) %s >>" % value, 10: b"null"})
    pdf.fields.append(9)  # with /SigFlags 3, as many programs write it for empty fields
    pdf.update({1: pdf.catalog()})
    verdict = Court(pki)(pdf.data)
    assert told(verdict)[0] == UNSIGNED
    assert pades.read(pdf.data).empty_fields == ("Agency",)


def test_a_signature_whose_object_is_freed_later_is_found_once(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki)
    pdf.update({}, free=(written.dictionary,))
    (signature,) = pades.read(pdf.data).signatures
    assert "signature_removed" in {finding.code for finding in signature.findings}


def test_rows_of_a_cross_reference_stream_that_are_cut_short(pki: test_pki.Pki) -> None:
    """The last row of the predictor lacks octets: nothing is made up for it."""
    import zlib

    pdf = PdfWriter(style="stream")
    data = pdf.data
    found = list(re.finditer(rb"/Length (\d+)[^>]*>>\nstream\n", data))[-1]
    start, size = found.end(), int(found[1])
    rows = zlib.decompress(data[start : start + size])
    short = zlib.compress(rows[:-1])
    short += b" " * (size - len(short))
    assert len(short) == size
    pdf.data = data[:start] + short + data[start + size :]
    pdf.sign(pki)
    check(Court(pki)(pdf.data), MISSING, "document_needs_repair")
