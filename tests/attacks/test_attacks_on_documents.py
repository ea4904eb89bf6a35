"""Forged and damaged files, changed files, hidden signatures: what is said of each.

Every row gives the exact indication and sub-indication of the document, and a finding that must be among those told.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import test_pki
from tests.attacks.court import (
    FAILED,
    FORMAT,
    HASH,
    PASSED,
    UNKNOWN,
    UNSIGNED,
    Court,
    check,
)
from tests.attacks.malformed_documents import EVERY
from tests.attacks.pdf_documents import Signed
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import ROOM, maker, signed


@pytest.fixture(scope="module")
def court(pki: test_pki.Pki) -> Court:
    return Court(pki)


@pytest.fixture(scope="module")
def honest(pki: test_pki.Pki) -> bytes:
    """One file as the signer left it."""
    return signed(pki).data


def test_the_honest_file_passes(court: Court, honest: bytes) -> None:
    check(court(honest), PASSED, None)


# What was done to the document afterwards.


@pytest.fixture
def really_signed(pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forgers' files carry a signature that holds."""
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)


@pytest.mark.parametrize("name", EVERY)
def test_changed_afterwards(name: str, court: Court, really_signed: None) -> None:
    """The proof that the signer signed stays; the document is not what was signed."""
    verdict = court(EVERY[name][0]("table").data)
    check(verdict, FORMAT, "changed_undefined")
    assert str(verdict.signatures[0].as_signed_indication) == PASSED
    assert str(verdict.signatures[0].indication) == FAILED


def _range(text: str) -> Callable[[bytes], bytes]:
    """The honest file with another /ByteRange of the same length; ``{b} {a} {r}`` stand for its numbers."""

    def edit(data: bytes) -> bytes:
        found = re.search(rb"/ByteRange \[0 (\d+) (\d+) (\d+)\] *", data)
        assert found is not None
        b, a, r = (int(number) for number in found.groups())
        value = text.format(b=b, a=a, r=r, less=b - 1, nine=b - 9, end=a + r)
        return data[: found.start()] + value.encode().ljust(len(found[0])) + data[found.end() :]

    return edit


def _contents(make: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """The honest file with other octets, as many, in the place of ``<...>``."""

    def edit(data: bytes) -> bytes:
        found = re.search(rb"<[0-9a-f]{1000,}>", data)
        assert found is not None
        made = make(found[0])
        assert len(made) == len(found[0])
        return data[: found.start()] + made + data[found.end() :]

    return edit


def _filled(start: bytes, fill: bytes = b" ", end: bytes = b"") -> Callable[[bytes], bytes]:
    return _contents(lambda old: start + fill * (len(old) - len(start) - len(end)) + end)


def _swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        assert len(old) == len(new)
        assert old in data
        return data.replace(old, new)

    return edit


OCTETS: dict[str, tuple[Callable[[bytes], bytes], str, str]] = {
    # Universal signature forgery: the range.
    "range-missing": (_swap(b"/ByteRange", b"/ByteRangX"), FORMAT, "byte_range_missing"),
    "range-empty": (_range("/ByteRange []"), FORMAT, "byte_range_malformed"),
    "range-null": (_range("/ByteRange null"), FORMAT, "byte_range_malformed"),
    "range-zeros": (_range("/ByteRange [0 0 0 0]"), FORMAT, "byte_range_malformed"),
    "range-negative-length": (_range("/ByteRange [0 {b} {a} -1]"), FORMAT, "byte_range_malformed"),
    "range-negative-offset": (_range("/ByteRange [-1 {b} {a} {r}]"), FORMAT, "byte_range_malformed"),
    "range-huge": (_range("/ByteRange [0 {b} {a} 99999999]"), FORMAT, "byte_range_malformed"),
    "range-over-itself": (_range("/ByteRange [0 {b} {less} {r}]"), FORMAT, "byte_range_overlaps"),
    "range-two-numbers": (_range("/ByteRange [0 {b}]"), FORMAT, "byte_range_malformed"),
    "range-odd": (_range("/ByteRange [0 {b} {a}]"), FORMAT, "byte_range_malformed"),
    "range-name": (_range("/ByteRange /X"), FORMAT, "byte_range_malformed"),
    "range-string": (_range("/ByteRange (0 1 2 3)"), FORMAT, "byte_range_malformed"),
    "range-real": (_range("/ByteRange [0.0 {b} {a} {r}]"), FORMAT, "byte_range_malformed"),
    "range-reference": (_range("/ByteRange 4 0 R"), FORMAT, "byte_range_malformed"),
    "range-from-one": (_range("/ByteRange [1 {less} {a} {r}]"), FORMAT, "byte_range_malformed"),
    "range-wider-gap": (_range("/ByteRange [0 {nine} {a} {r}]"), FORMAT, "byte_range_gap"),
    "range-gap-to-the-end": (_range("/ByteRange [0 {b} {end} 0]"), FORMAT, "byte_range_gap"),
    # ... and the signature itself.
    "contents-missing": (_swap(b"/Contents", b"/Contentz"), FORMAT, "signature_contents_missing"),
    "contents-empty": (_filled(b"<>"), FORMAT, "signature_contents_empty"),
    "contents-null": (_filled(b"null"), FORMAT, "signature_contents_missing"),
    "contents-number": (_filled(b"12"), FORMAT, "signature_contents_missing"),
    "contents-reference": (_filled(b"4 0 R"), FORMAT, "signature_contents_missing"),
    "contents-one-octet": (_filled(b"<00>"), FORMAT, "byte_range_gap"),
    "contents-zeros": (_filled(b"<", b"0", b">"), FORMAT, "signature_contents_empty"),
    "contents-junk": (_filled(b"<", b"d", b">"), FORMAT, "cms_unreadable"),
    "contents-only-a-type": (_filled(b"<300b06092a864886f70d010702", b"0", b">"), FORMAT, "cms_unreadable"),
    "contents-short-string": (_contents(lambda old: old[:-500] + b">" + b" " * 499), FORMAT, "byte_range_gap"),
    "contents-comment-in-padding": (
        _contents(lambda old: old[:-20] + b">%   free room here\n"),
        FORMAT,
        "byte_range_gap",
    ),
    "contents-literal-string": (
        _contents(
            lambda old: (
                b"("
                + b"".join(b"\\%03o" % c for c in bytes.fromhex(old[1:8001].decode()))
                + b")"
                + b" " * (len(old) - 2 - 4 * 4000)
            )
        ),
        FORMAT,
        "byte_range_gap",
    ),
    "flipped-content": (_swap(b"Xin ch", b"Xin cg"), HASH, "digest_mismatch"),
    "flipped-header": (_swap(b"%PDF-1.7", b"%PDF-1.6"), HASH, "digest_mismatch"),
    "other-claimed-time": (_swap(b"/M (D:2", b"/M (D:1"), HASH, "digest_mismatch"),
    "sub-filter-unknown": (
        _swap(b"ETSI.CAdES.detached", b"ETSI.CAdES.detachex"),
        UNKNOWN,
        "signature_sub_filter_unknown",
    ),
    "sub-filter-missing": (_swap(b"/SubFilter", b"/SubFiltex"), UNKNOWN, "signature_sub_filter_missing"),
    "type-other": (_swap(b"/Type /Sig ", b"/Type /Sic "), HASH, "signature_type_wrong"),
    # Signature wrapping.
    "swa-moved-tail": (
        lambda d: d.replace(b" /M (D:", b" " * 50 + b" /M (D:"),
        HASH,
        "document_needs_repair",
    ),
    # Incremental saving without a revision.
    "one-octet-behind": (lambda d: d + b"x", FORMAT, "document_octets_after_end"),
    "object-behind": (
        lambda d: d + b"4 0 obj\n<< /Length 0 >>\nstream\n\nendstream\nendobj\n",
        FORMAT,
        "document_octets_after_end",
    ),
    "object-and-trailer-behind": (
        lambda d: d + b"4 0 obj\n<< >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n" + d[d.rindex(b"startxref") :],
        FORMAT,
        "document_octets_after_end",
    ),
    "junk-before-the-header": (lambda d: b"junk\n" + d, FORMAT, "document_needs_repair"),
    # A download that broke off is no unsigned document.
    "cut-off-behind-the-signature": (lambda d: d[:-40], FORMAT, "byte_range_malformed"),
    "cut-off-inside-the-signature": (lambda d: d[:-3000], FORMAT, "signature_dictionary_unreadable"),
}


@pytest.mark.parametrize("name", OCTETS)
def test_octets(name: str, court: Court, honest: bytes) -> None:
    edit, expected, finding = OCTETS[name]
    check(court(edit(honest)), expected, finding)


# Signatures that somebody hides.


def _forgotten(pki: test_pki.Pki) -> bytes:
    """A whole new file behind the signed one, without /Prev."""
    pdf = signed(pki)
    pdf.prev, pdf.fields, pdf.annotations = None, [], []
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>"
    pdf.update({1: pdf.catalog(), 2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", 3: page})
    return pdf.data


def _unlisted(pki: test_pki.Pki, free: tuple[int, ...] = (), **more: bytes) -> bytes:
    pdf = signed(pki)
    number, holder = pdf.size - 2, pdf.size - 1
    pdf.fields, pdf.annotations = [], []
    objects = {1: pdf.catalog(), 3: pdf.page()} | {number if k == "value" else holder: v for k, v in more.items()}
    pdf.update(objects, free=tuple(number + n for n in free))
    return pdf.data


def _rewritten(pki: test_pki.Pki, old: bytes, new: bytes) -> bytes:
    """The signature dictionary written again with other words."""
    pdf = signed(pki)
    number = pdf.size - 2
    at = pdf.data.rindex(b"\n%d 0 obj\n" % number)
    written = pdf.data[pdf.data.index(b"obj\n", at) + 4 : pdf.data.index(b"\nendobj", at)]
    assert old in written
    pdf.update({number: written.replace(old, new)})
    return pdf.data


def _other_catalog(pki: test_pki.Pki) -> bytes:
    """A catalog that lay in the signed file, switched on by a trailer."""
    pdf = PdfWriter(
        extra={
            30: b"<< /Type /Catalog /Pages 31 0 R >>",
            31: b"<< /Type /Pages /Count 1 /Kids [32 0 R] >>",
            32: b"<< /Type /Page /Parent 31 0 R /MediaBox [0 0 595 842] >>",
        }
    )
    pdf.sign(pki, room=ROOM, cms=maker(pki))
    trailer = b"xref\n0 0\ntrailer\n<< /Size %d /Root 30 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    return pdf.data + trailer % (pdf.size, pdf.prev, len(pdf.data))


def _in_no_field(pki: test_pki.Pki) -> bytes:
    pdf = signed(pki)
    pdf.update(
        {
            pdf.size - 1: b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (Signature) /V %d 0 R /P 3 0 R >>"
            % (pdf.size - 2)
        }
    )
    return pdf.data


def _shadow_signature(pki: test_pki.Pki) -> bytes:
    """A second field that holds a copy of the first signature."""
    pdf = signed(pki)
    number = pdf.size - 2
    at = pdf.data.rindex(b"\n%d 0 obj\n" % number)
    written = pdf.data[pdf.data.index(b"obj\n", at) + 4 : pdf.data.index(b"\nendobj", at)]
    copy = pdf.new(2)
    pdf.fields.append(copy + 1)
    field = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Hai) /V %d 0 R /P 3 0 R /Rect [0 0 0 0] >>" % copy
    pdf.update({copy: written, copy + 1: field, 1: pdf.catalog()})
    return pdf.data


HIDDEN: dict[str, tuple[Callable[[test_pki.Pki], bytes], str]] = {
    "new-file-behind": (_forgotten, "signature_removed"),
    "field-gone": (_unlisted, "signature_removed"),
    "field-and-value-freed": (lambda pki: _unlisted(pki, (0, 1)), "signature_removed"),
    "numbers-used-again": (lambda pki: _unlisted(pki, value=b"<< >>", field=b"null"), "signature_removed"),
    "other-catalog": (_other_catalog, "signature_removed"),
    "field-of-another-kind": (_in_no_field, "signature_removed"),
    "rewritten-as-timestamp": (
        lambda pki: _rewritten(pki, b"ETSI.CAdES.detached", b"ETSI.RFC3161"),
        "signature_dictionary_replaced",
    ),
    "rewritten-without-range": (lambda pki: _rewritten(pki, b"/ByteRange", b"/ByteRangX"), "signature_removed"),
    "rewritten-with-a-name": (
        lambda pki: _rewritten(pki, b"/Type /Sig", b"/Type /Sig /Name (Chu tich)"),
        "signature_dictionary_replaced",
    ),
    "copied-into-another-field": (_shadow_signature, "byte_range_gap"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden(name: str, court: Court, pki: test_pki.Pki) -> None:
    make, finding = HIDDEN[name]
    verdict = court(make(pki))
    check(verdict, FORMAT, finding)
    assert verdict.signatures


def test_attached_document_is_no_signature_of_ours(court: Court, honest: bytes) -> None:
    attached = b"<< /Type /EmbeddedFile /Length %d >>\nstream\n%s\nendstream" % (len(honest), honest)
    check(court(PdfWriter(extra={20: attached}).data), UNSIGNED, None)
