"""Files made to cost or to confuse: each gets an answer in bounded time."""

from __future__ import annotations

import mmap
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.formats import pades
from signsvc.types import Grade
from tests.pdf_writer import PdfWriter, make_cms

FAKE = b"<< /Type /Sig /Filter /A /SubFilter /ETSI.CAdES.detached /ByteRange [0 10 20 30] /Contents <3080> >>"


def stream(body: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body)


HOSTILE = {
    "nulls in a field": {9: b"<< /FT /Tx /T (x) /X [" + b"null " * 500_000 + b"] >>"},
    "parentheses": {9: b"<< /FT /Tx /T " + b"(" * 500_000 + b")" * 500_000 + b" >>"},
    "comments": {9: b"<< /FT /Tx " + b"%abc\n" * 500_000 + b" >>"},
    "nesting": {9: b"<< /FT /Tx /X " + b"[" * 5000 + b"]" * 5000 + b" >>"},
    "keys in a stream": {9: stream(b"/ByteRange " * 150_000)},
    "objects in a stream": {9: stream(b"1 0 obj /ByteRange " * 150_000)},
    "obj in a stream": {9: stream(b"obj " * 500_000 + b"/ByteRange ")},
    "a broken object": {9: b"<< /A [" + b"/ByteRange " * 150_000},
    "an embedded file": {9: stream(b"7 0 obj\n" + FAKE + b"\nendobj")},
    "a field that contains itself": {9: b"<< /T (x) /FT /Sig /Kids [9 0 R 9 0 R] >>"},
    "deep fields": {9: b"<< /T (x) /Kids [100 0 R] >>"}
    | {100 + i: b"<< /T (y) /Kids [%d 0 R] >>" % (101 + i) for i in range(5000)},
    "long integers": {9: b"<< /T (x) /X " + b"9" * 100_000 + b" >>"},
    "a reference chain": {9: b"100 0 R"} | {100 + i: b"%d 0 R" % (101 + i) for i in range(5000)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_costs_are_bounded_and_the_signature_is_found(pki: test_pki.Pki, name: str) -> None:
    pdf = PdfWriter(extra=HOSTILE[name])
    pdf.fields.append(9)
    pdf.sign(pki, room=10_000)
    began = time.process_time()
    view = pades.read(pdf.data)
    assert time.process_time() - began < 2
    (signature,) = [s for s in view.signatures if s.field == "Signature"]
    assert signature.signer is not None
    assert signature.signer.digest_matches is True
    assert not [f for f in signature.findings if f.level == "fail"]


def test_many_dictionaries(pki: test_pki.Pki) -> None:
    pdf = PdfWriter(extra={100 + i: FAKE for i in range(1500)})
    pdf.sign(pki, room=10_000)
    began = time.process_time()
    view = pades.read(pdf.data)
    assert time.process_time() - began < 2
    assert len(view.signatures) == 1501
    with pytest.raises(DocumentError) as caught:
        pades.read(PdfWriter(extra={100 + i: FAKE for i in range(2001)}).data)
    assert caught.value.code == "document_too_complex"
    assert caught.value.data == {"limit": "signatures"}


def test_many_revisions_fields_pages_objects(pki: test_pki.Pki) -> None:
    extra = {10_000 + i: b"<< /FT /Tx /T (f%d) >>" % i for i in range(1000)}
    extra |= {20_000 + i: b"<< /A %d 0 R >>" % i for i in range(20_000)}
    pdf = PdfWriter(pages=5000, extra=extra)
    pdf.fields = list(range(10_000, 11_000))
    pdf.sign(pki, room=10_000)
    for _ in range(100):
        pdf.update({5: b"<< >>"})
    began = time.process_time()
    view = pades.read(pdf.data)
    assert time.process_time() - began < 5
    assert view.pages == 5000
    assert view.revisions == 102


def test_store_made_to_cost(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    number = pdf.new(3)
    many = b" ".join([b"%d 0 R" % number] * 100_000)
    pdf.catalog_extra = b" /DSS << /Certs %d 0 R /OCSPs [4 0 R 3 0 R null 5] /VRI << /A %d 0 R /B 7 >> >>" % (
        number + 1,
        number + 2,
    )
    pdf.update({1: pdf.catalog(), number: stream(pki.cert("person")), number + 1: b"[" + many + b"]",
                number + 2: b"<< /Cert %d 0 R /TU (D:2026) >>" % (number + 1)})  # fmt: skip
    began = time.process_time()
    view = pades.read(pdf.data)
    assert time.process_time() - began < 2
    assert {item.kind.value for item in view.evidence} == {"certificate", "ocsp"}
    assert "dss_unreadable" in {f.code for f in view.findings}
    assert view.signatures[0].level == "B-B"


def test_mutations_raise_nothing_else(pki: test_pki.Pki) -> None:
    chance = random.Random(20261123)
    pdf = PdfWriter(pages=2, style="hybrid")
    pdf.sign(pki, timestamped=True, style="stream")
    pdf.store(pki)
    pdf.sign(pki, name="T", sub_filter="ETSI.RFC3161", kind=b" /Type /DocTimeStamp", extra=b"", room=12_000)
    tokens = [b"/Kids", b"/V", b"<<", b">>", b"[", b"]", b"(", b")", b"obj", b"endobj", b"stream", b"/Prev", b"null",
              b"99999999999", b"-1", b"1 0 R", b"xref", b"trailer", b"startxref", b"%%EOF", b"/Length", b"%", b"\r"]  # fmt: skip
    places = [m.start() for m in re.finditer(rb"[^0-9a-f]", pdf.data)]
    for _ in range(400):
        data = bytearray(pdf.data)
        for _ in range(chance.choice((1, 2, 5))):
            at = chance.choice(places)
            what = chance.choice(tokens)
            kind = chance.randrange(4)
            if kind == 0:
                data[at] = chance.randrange(256)
            elif kind == 1:
                data[at : at + len(what)] = what
            elif kind == 2:
                data[at:at] = what
            else:
                del data[at : at + chance.choice((1, 5, 50))]
        try:
            view = pades.read(bytes(data))
        except DocumentError:
            continue
        for signature in view.signatures:
            failed = [f for f in signature.findings if f.level == "fail"]
            if signature.signer is None or not signature.signer.digest_matches or failed:
                continue
            (_, before), (after, length) = signature.scope.byte_ranges
            assert data[:before] == pdf.data[:before]
            assert data[after : after + length] == pdf.data[after : after + length]
            assert (
                after + length == len(data) or signature.scope.type == "REVISION" or not data[after + length :].strip()
            )
            if signature.scope.type == "REVISION":
                assert signature.scope.changes_after


def test_mapped_files_are_read_alike(pki: test_pki.Pki, tmp_path: Path) -> None:
    pdf = PdfWriter()
    pdf.sign(pki, timestamped=True)
    pdf.store(pki)
    path = tmp_path / "file.pdf"
    path.write_bytes(pdf.data)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert pades.read(mapped) == pades.read(pdf.data)


def test_reading_imports_nothing_heavy() -> None:
    code = "import sys, signsvc.formats.pades; print(*[m for m in ('pyhanko', 'asn1crypto', 'pydantic', 'requests') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


# Odd but legitimate, and odd CMS.


def test_a_revision_that_ends_in_a_carriage_return(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.fields.append(pdf.size + 1)
    number = pdf.new(2)
    pdf.update({1: pdf.catalog(), number + 1: b"<< /FT /Sig /T (S) /V %d 0 R >>" % number,
                number: b"<< /Type /Sig /SubFilter /ETSI.CAdES.detached /ByteRange [0 %s %s %s] /Contents <%s> >>"
                % (*[b"*" * 10] * 3, b"0" * 10_000)})  # fmt: skip
    pdf.data = pdf.data[:-1] + b"\r"
    pdf.fill(pki, "person", number)
    signed = pdf.data
    pdf.update({5: b"<< >>"})
    view = pades.read(pdf.data)
    (signature,) = view.signatures
    assert signature.scope.revision == 2
    assert pades.signed_revision(pdf.data, signature.scope) == signed
    assert not [f for f in signature.findings if f.level == "fail"]


def test_usage_rights_are_no_signature(pki: test_pki.Pki) -> None:
    pdf = PdfWriter(
        extra={9: FAKE[:-2] + b" /Reference [<< /TransformMethod /UR3 >>] >>"}, catalog=b" /Perms << /UR3 9 0 R >>"
    )
    view = pades.read(pdf.data)
    assert view.signatures == ()
    assert [f.code for f in view.findings] == ["usage_rights_signature"]


def test_two_signers_in_one_signature(pki: test_pki.Pki) -> None:
    from test_pki import der, timestamps

    def both(one: bytes, two: bytes) -> bytes:
        def body(octets: bytes) -> list[bytes]:
            return der.children(der.content(der.children(octets)[1]))

        first, second = body(one), body(two)
        infos = der.set_of(*der.children(first[-1]), *der.children(second[-1]))
        return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, der.seq(*first[:-1], infos)))

    assert timestamps
    covered = b"other"
    pdf = PdfWriter()
    pdf.sign(pki, cms=both(make_cms(pki, "person", covered, "ETSI"), make_cms(pki, "agency", covered, "ETSI")))
    (signature,) = pades.read(pdf.data).signatures
    assert "signature_several_signers" in {f.code for f in signature.findings}


@pytest.mark.parametrize("content", [b"", b"another document", b"x" * 20])
def test_content_inside_is_compared_with_the_ranges(pki: test_pki.Pki, content: bytes) -> None:
    import hashlib

    from test_pki.timestamps import signed_data, signing_certificate

    cms = signed_data(content, hashlib.sha256(content).digest(), pki.key("person"), pki.cert("person"),
                      attributes=[signing_certificate(pki.cert("person"))], include=[pki.cert("person")])  # fmt: skip
    pdf = PdfWriter()
    pdf.sign(pki, cms=cms)
    (signature,) = pades.read(pdf.data).signatures
    assert signature.signer is not None
    assert signature.signer.digest_matches is False


def test_encrypted_texts_are_read(pki: test_pki.Pki, tmp_path: Path) -> None:
    source, target = tmp_path / "a.pdf", tmp_path / "b.pdf"
    pdf = PdfWriter(extra={9: b"<< /FT /Sig /T (Tr\\341ng) >>"})
    pdf.fields.append(9)
    pdf.update({1: pdf.catalog()})
    source.write_bytes(pdf.data)
    subprocess.run(["qpdf", "--encrypt", "", "o", "256", "--", source, target], check=True)
    view = pades.read(target.read_bytes())
    assert view.empty_fields == ("Tráng",)
    subprocess.run(["qpdf", "--encrypt", "u", "o", "256", "--", source, target], check=True)
    with pytest.raises(DocumentError) as caught:
        pades.read(target.read_bytes())
    assert caught.value.code == "encrypted_document"
    assert pades.read(target.read_bytes(), password=b"u").empty_fields == ("Tráng",)


def test_later_revisions_are_never_silent(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    pdf.update({4: b"<< /Length 4 >>\nstream\nBT ET\nendstream"})
    (signature,) = pades.read(pdf.data).signatures
    assert [change.grade for change in signature.scope.changes_after] == [Grade.UNDEFINED]


def test_many_fields_that_share_dictionaries(pki: test_pki.Pki) -> None:
    extra = {100 + i: FAKE for i in range(500)}
    extra |= {5000 + i: b"<< /FT /Sig /T (f%d) /V %d 0 R >>" % (i, 100 + i % 500) for i in range(10_000)}
    pdf = PdfWriter(extra=extra)
    pdf.fields = list(range(5000, 15_000))
    pdf.sign(pki, room=10_000)
    began = time.process_time()
    view = pades.read(pdf.data)
    assert time.process_time() - began < 2
    assert len(view.signatures) == 501
    assert len(view.signatures[0].other_fields) == 19


def test_a_dictionary_written_in_its_field(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    number = pdf.new()
    pdf.fields.append(number)
    value = b"<< /Type /Sig /SubFilter /ETSI.CAdES.detached /ByteRange [0 %s %s %s] /Contents <%s> /M (D:2026) >>" % (
        *[b"*" * 10] * 3,
        b"0" * 10_000,
    )
    pdf.update({1: pdf.catalog(), number: b"<< /FT /Sig /T (Direct) /V %s >>" % value})
    pdf.fill(pki, "person", number)
    (signature,) = pades.read(pdf.data).signatures
    assert (signature.field, signature.level, signature.scope.type) == ("Direct", "B-B", "FULL")
    pdf.update({number: b"<< /FT /Sig /T (Direct) >>"})
    (signature,) = pades.read(pdf.data).signatures
    assert "signature_removed" in {f.code for f in signature.findings}


def test_a_dictionary_in_an_object_stream_covers_nothing(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    number = pdf.new(2)
    pdf.fields.append(number + 1)
    pdf.update(
        {1: pdf.catalog(), number: FAKE, number + 1: b"<< /FT /Sig /T (S) /V %d 0 R >>" % number}, style="stream"
    )
    (signature,) = pades.read(pdf.data).signatures
    assert signature.scope.type == "PARTIAL"
    assert "byte_range_gap" in {f.code for f in signature.findings}


def test_signature_that_an_appended_file_forgets(pki: test_pki.Pki) -> None:
    """A whole new file behind the signed one, without /Prev: no revision knows the signature, its octets still stand.

    The same octets inside an attachment are no signature of this file.
    """
    pdf = PdfWriter()
    pdf.sign(pki)
    signed = pdf.data
    pdf.prev, pdf.fields, pdf.annotations = None, [], []
    pdf.update(
        {
            1: pdf.catalog(),
            2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
        }
    )
    (signature,) = pades.read(pdf.data).signatures
    assert {"signature_removed", "byte_range_not_at_revision_end"} <= {f.code for f in signature.findings}
    assert signature.scope.type == "PARTIAL"
    attached = b"<< /Type /EmbeddedFile /Length %d >>\nstream\n%s\nendstream" % (len(signed), signed)
    assert not pades.read(PdfWriter(extra={20: attached}).data).signatures


def test_octets_before_the_header(pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some readers count offsets from the header: what was appended must not be another file to them."""
    from tests import pdf_writer

    monkeypatch.setattr(pdf_writer, "HEADER", b"\xef\xbb\xbf" + pdf_writer.HEADER)
    pdf = PdfWriter()
    pdf.sign(pki)
    pdf.store(pki)
    view = pades.read(pdf.data)
    assert "document_octets_before_header" in {f.code for f in view.findings}
    assert [change.grade for change in view.signatures[0].scope.changes_after] == [Grade.EXTENSION]
    at = int(pdf.data[pdf.data.rindex(b"startxref") + 10 :].split()[0])
    # The same update, its table behind three blanks: the other readers begin to read here.
    shadow = pdf.data[:at] + b"   " + pdf.data[at:]
    (_, *more) = pades.read(shadow).signatures[0].scope.changes_after
    assert [c.grade for c in more] == [Grade.UNDEFINED]
    assert more[0].reasons == ("changes_not_compared",)


@pytest.mark.parametrize(
    ("level", "certification"), [(b"1", 1), (b"3", 3), (b"0", 1), (b"4", 1), (b"(3)", 1), (b"3.0", 1)]
)
def test_certification_level_that_is_none(pki: test_pki.Pki, level: bytes, certification: int) -> None:
    """What is shown as the level is what later changes are held to."""
    reference = b" /Reference [<< /TransformMethod /DocMDP /TransformParams << /P %s >> >>]" % level
    pdf = PdfWriter()
    pdf.sign(pki, extra=reference)
    number = pdf.new()
    pdf.annotations.append(number)
    pdf.update({number: b"<< /Type /Annot /Subtype /Text /Rect [9 9 20 20] /P 3 0 R >>", 3: pdf.page()})
    (signature,) = pades.read(pdf.data).signatures
    assert signature.certification == certification
    assert [change.permitted for change in signature.scope.changes_after] == [certification == 3]
