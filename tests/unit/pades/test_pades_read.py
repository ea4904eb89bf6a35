"""Reading signatures from PDF files: legitimate shapes, forged ones, odd ones."""

from __future__ import annotations

import gc

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.formats import pades
from signsvc.types import Grade, SignatureView
from signsvc.types.views import DocumentView
from tests.pdf_writer import PdfWriter


def codes(view: SignatureView) -> set[str]:
    found = {finding.code for finding in view.findings}
    return found | ({finding.code for finding in view.signer.findings} if view.signer else set())


def failing(view: SignatureView) -> set[str]:
    found = {f.code for f in view.findings if f.level == "fail"}
    return found | ({f.code for f in view.signer.findings if f.level == "fail"} if view.signer else set())


def only(view: DocumentView) -> SignatureView:
    assert len(view.signatures) == 1
    return view.signatures[0]


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
@pytest.mark.parametrize("signed", ["table", "stream", "hybrid"])
def test_a_signature_is_read_whatever_the_file_looks_like(pki: test_pki.Pki, style: str, signed: str) -> None:
    pdf = PdfWriter(pages=3, style=style)
    written = pdf.sign(pki, style=signed)
    view = pades.read(pdf.data)
    signature = only(view)
    assert not failing(signature)
    assert signature.signer is not None
    assert signature.signer.digest_matches is True
    assert signature.scope.type == "FULL"
    assert (signature.scope.revision, signature.scope.of) == (2, 2)
    assert signature.scope.byte_ranges == ((0, written.before), (written.after, written.end - written.after))
    assert signature.level == "B-B"
    assert signature.field == "Signature"
    assert signature.page == 1
    assert signature.rect == (10.0, 20.0, 110.0, 60.0)
    assert signature.claimed_time is not None
    assert signature.claimed_time.isoformat() == "2026-01-01T20:04:05+00:00"
    assert (view.pages, view.revisions, view.pdf_version) == (3, 2, "1.7")


def test_levels_follow_what_is_there(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki, timestamped=True)
    assert only(pades.read(pdf.data)).level == "B-T"
    pdf.store(pki)
    view = pades.read(pdf.data)
    assert only(view).level == "B-LT"
    assert {item.revision for item in view.evidence} == {3}
    pdf.sign(pki, name="T", sub_filter="ETSI.RFC3161", kind=b" /Type /DocTimeStamp", extra=b"")
    view = pades.read(pdf.data)
    assert only(view).level == "B-LTA"
    (stamp,) = view.timestamps
    assert stamp.imprint_matches is True
    assert f"signature:{view.signatures[0].id}" in stamp.proves
    assert {item.id for item in view.evidence} <= set(stamp.proves)
    assert "revision:4" in stamp.proves


def test_a_store_after_the_last_timestamp_is_no_archive(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    pdf.sign(pki, name="T", sub_filter="ETSI.RFC3161", kind=b" /Type /DocTimeStamp", extra=b"")
    pdf.store(pki)
    view = pades.read(pdf.data)
    assert only(view).level == "B-LT"
    status = [item.id for item in view.evidence if item.kind != "certificate"]
    assert len(status) == 2
    assert not set(status) & set(view.timestamps[0].proves)


def test_a_timestamp_before_a_signature_proves_nothing_for_it(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki, name="T", sub_filter="ETSI.RFC3161", kind=b"", extra=b"")
    pdf.sign(pki)
    view = pades.read(pdf.data)
    assert only(view).level == "B-B"
    assert view.timestamps[0].imprint_matches is True
    assert f"signature:{only(view).id}" not in view.timestamps[0].proves


def test_a_timestamp_that_calls_itself_a_signature_is_no_archive(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    pdf.store(pki)
    pdf.sign(pki, name="T", sub_filter="ETSI.RFC3161", extra=b"")
    view = pades.read(pdf.data)
    assert only(view).level == "B-B"
    assert [f.code for f in view.timestamps[0].findings] == ["timestamp_type_sig"]


def test_only_timestamps_and_an_empty_field(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    number = pdf.new()
    pdf.fields.append(number)
    pdf.update({number: b"<< /FT /Sig /T (leer) >>", 1: pdf.catalog()})
    pdf.sign(pki, name="T", sub_filter="ETSI.RFC3161", kind=b" /Type /DocTimeStamp", extra=b"")
    view = pades.read(pdf.data)
    assert view.signatures == ()
    assert len(view.timestamps) == 1
    assert view.empty_fields == ("leer",)


def test_evidence_that_a_newer_store_leaves_out_stays(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    pdf.store(pki)
    pdf.store(pki, values={"Certs": [pki.cert("agency")]})
    view = pades.read(pdf.data)
    assert {item.revision for item in view.evidence} == {3, 4}


@pytest.mark.parametrize(
    ("sub_filter", "expected"), [("adbe.pkcs7.detached", "PKCS7-B"), ("adbe.pkcs7.sha1", "PKCS7-B")]
)
def test_pkcs7(pki: test_pki.Pki, sub_filter: str, expected: str) -> None:
    pdf = PdfWriter()
    pdf.sign(pki, sub_filter=sub_filter)
    signature = only(pades.read(pdf.data))
    assert signature.level == expected
    assert signature.signer is not None
    assert signature.signer.digest_matches is True


def test_raw_rsa(pki: test_pki.Pki) -> None:
    from signsvc.algorithms import SignatureCheck, resolve, verify_value
    from signsvc.types import Certificate
    from test_pki import der

    pdf = PdfWriter()
    extra = b" /Cert <%s>" % pki.cert("person").hex().encode()
    pdf.sign(pki, sub_filter="adbe.x509.rsa_sha1", extra=extra, cms=b"\x04\x01\x01")
    data = pdf.data
    before = data.index(b"<040101")
    after = data.index(b">", before) + 1
    value = der.octets(pki.sign_data("person", data[:before] + data[after:], "sha1"))
    pdf.data = data[: before + 1] + value.hex().encode().ljust(after - before - 2, b"0") + data[after - 1 :]
    signature = only(pades.read(pdf.data))
    assert signature.level == "PDF-NOT-ETSI"
    assert signature.signer is not None
    made = signature.signer.value
    algorithm = resolve(made.algorithm_oid, made.parameters, made.digest_oid)
    certificate = Certificate.from_der(pki.cert("person"))
    assert verify_value(certificate, algorithm, made.value, digest=made.digest) is SignatureCheck.VALID


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (b"", "M"),
        (b" /M (D:20260101) /Cert <00>", "Cert"),
    ],
)
def test_not_baseline_is_said_and_still_judged(pki: test_pki.Pki, extra: bytes, reason: str) -> None:
    pdf = PdfWriter()
    pdf.sign(pki, extra=extra)
    signature = only(pades.read(pdf.data))
    assert signature.level == "BES"
    assert [f.data["reason"] for f in signature.findings if f.code == "pades_not_baseline"] == [reason]
    assert signature.signer is not None
    assert signature.signer.digest_matches


# What does not cover what it should.


def swap(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    assert len(new) <= len(old)
    return data.replace(old, new.ljust(len(old)))


@pytest.mark.parametrize(
    "value",
    [b"[]", b"null", b"[0 0 0 0]", b"[0 -5 10 20]", b"[-1 5 10 20]", b"[0 5 10 99999999999]", b"[0 10]", b"[0 1 2]",
     b"/Name", b"(text)", b"[0 5.0 10 20]", b"7 0 R", b"true"],
)  # fmt: skip
def test_byte_range_variants(pki: test_pki.Pki, value: bytes) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    at = pdf.data.index(b"/ByteRange") + 11
    end = pdf.data.index(b"]", at) + 1
    view = pades.read(pdf.data[:at] + value.ljust(end - at) + pdf.data[end:])
    signature = only(view)
    assert failing(signature) & {"byte_range_malformed", "byte_range_gap"}
    assert signature.scope.type == "PARTIAL"
    assert signature.signer is None or not signature.signer.digest_matches


def test_byte_range_missing(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    signature = only(pades.read(pdf.data.replace(b"/ByteRange", b"/ByteRanga")))
    assert "byte_range_missing" in failing(signature)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"/SubFilter /ETSI.CAdES.detached", b"/SubFilter /ETSI.CAdES.detachee", "signature_sub_filter_unknown"),
        (b"/SubFilter /", b"/SubFilta  /", "signature_sub_filter_missing"),
        (b"/Type /Sig", b"/Type /Sog", "signature_type_wrong"),
    ],
)
def test_unknown_kinds_are_never_unsigned(pki: test_pki.Pki, old: bytes, new: bytes, code: str) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    signature = only(pades.read(pdf.data.replace(old, new)))
    assert code in failing(signature)
    if "sub_filter" in code:  # nothing may be said about the digest of a format that is not known
        assert failing(signature) == {code}
        assert signature.signer is not None
        assert signature.signer.digest_matches is None


@pytest.mark.parametrize("value", [b"", b"<>", b"null", b"4 0 R", b"<00>", b"<" + b"0" * 200 + b">", b"<3003020100>"])
def test_contents_variants(pki: test_pki.Pki, value: bytes) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki)
    data = pdf.data[: written.before] + value.ljust(written.after - written.before) + pdf.data[written.after :]
    if not value:
        data = data.replace(b"/Contents", b"         ")
    signature = only(pades.read(data))
    assert failing(signature)
    assert signature.signer is None or not signature.signer.digest_matches


def test_gap_as_a_literal_string_is_found(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki)
    value = bytes.fromhex(pdf.data[written.before + 1 : written.after - 1].decode())
    plain = value.rstrip(b"\0")
    text = (
        b"(" + plain.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)").replace(b"\r", b"\\r") + b")"
    )
    injected = text + b" /Name (Someone else)"
    data = pdf.data[: written.before] + injected.ljust(written.after - written.before) + pdf.data[written.after :]
    signature = only(pades.read(data))
    assert "byte_range_gap" in failing(signature)
    assert signature.scope.type == "PARTIAL"


@pytest.mark.parametrize("injected", [b"> /Name (X) /Z <", b">%comment\n<", b"> <", b"zz", b" "])
def test_gap_with_anything_else(pki: test_pki.Pki, injected: bytes) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki)
    at = written.after - 2 - len(injected)
    signature = pades.read(pdf.data[:at] + injected + pdf.data[at + len(injected) :]).signatures[0]
    assert failing(signature)
    assert signature.scope.type == "PARTIAL"


@pytest.mark.parametrize(
    "appended",
    [
        b"x",
        b"\n7 0 obj\n<< /Evil true >>\nendobj\n",
        b"junk " * 1000,
        b"\n9 0 obj\n<< >>\nendobj\n%%EOF\n",
        b"% comment\n",
    ],
)
def test_appended_octets_are_never_unchanged(pki: test_pki.Pki, appended: bytes) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    signature = only(pades.read(pdf.data + appended))
    assert signature.scope.type == "REVISION"
    assert [change.grade for change in signature.scope.changes_after] == [Grade.UNDEFINED]
    assert not failing(signature)


def test_appended_trailer_at_the_old_section(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    appended = b"7 0 obj\n<< >>\nendobj\ntrailer\n<< /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (pdf.prev or 0)
    signature = only(pades.read(pdf.data + appended))
    assert [change.grade for change in signature.scope.changes_after] == [Grade.UNDEFINED]


def test_appended_white_space_is_a_warning(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    signature = only(pades.read(pdf.data + b"\r\n \n"))
    assert signature.scope.type == "FULL"
    assert "document_white_space_after_end" in codes(signature)
    assert not failing(signature)


def test_a_signature_taken_out_is_still_found(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    pdf.update({1: b"<< /Type /Catalog /Pages 2 0 R >>"})
    signature = only(pades.read(pdf.data))
    assert "signature_removed" in codes(signature)
    assert signature.field == "Signature"
    assert signature.signer is not None
    assert signature.signer.digest_matches
    assert Grade.UNDEFINED in {change.grade for change in signature.scope.changes_after}


def test_a_replaced_dictionary_is_read_in_its_own_revision(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki, extra=b" /M (D:20260101) /Name (A)")
    start = pdf.data.index(b"\n%d 0 obj\n" % written.dictionary)
    value = pdf.data[pdf.data.index(b"<<", start) : pdf.data.index(b"endobj", written.after)].strip()
    pdf.update({written.dictionary: value.replace(b"/Name (A)", b"/Name (B)")})
    signature = only(pades.read(pdf.data))
    assert signature.name == "A"
    assert "signature_dictionary_replaced" in failing(signature)


def test_a_rewritten_equal_dictionary_is_no_replacement(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki)
    start = pdf.data.index(b"\n%d 0 obj\n" % written.dictionary)
    value = pdf.data[pdf.data.index(b"<<", start) : pdf.data.index(b"endobj", written.after)].strip()
    pdf.update({written.dictionary: value})
    assert not failing(only(pades.read(pdf.data)))


def test_a_copied_dictionary_covers_nothing_of_its_own(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki)
    start = pdf.data.index(b"\n%d 0 obj\n" % written.dictionary)
    value = pdf.data[pdf.data.index(b"<<", start) : pdf.data.index(b"endobj", written.after)].strip()
    copy = pdf.new(2)
    pdf.fields.append(copy + 1)
    pdf.update({copy: value, copy + 1: b"<< /FT /Sig /T (Copy) /V %d 0 R >>" % copy, 1: pdf.catalog()})
    first, second = pades.read(pdf.data).signatures
    assert not failing(first)
    assert (second.field, failing(second)) == ("Copy", {"byte_range_gap"})


def test_one_dictionary_in_two_fields(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    number = pdf.new()
    pdf.fields.append(number)
    pdf.sign(pki, objects={number: b"<< /FT /Sig /T (Zwei) /V %d 0 R >>" % pdf.size})
    signature = only(pades.read(pdf.data))
    assert (signature.field, signature.other_fields) == ("Zwei", ("Signature",))
    assert not failing(signature)


def test_a_dictionary_in_no_field(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki)
    data = pdf.data
    before, _, rest = data.rpartition(b"/AcroForm")
    assert written
    signature = only(pades.read(before + b"/AcroFirm" + rest))
    assert "signature_in_no_field" in codes(signature)


def test_several_signatures(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    for index, label in enumerate(("person", "agency", "ec", "rsa3072")):
        pdf.sign(pki, label, name=f"S{index}")
    view = pades.read(pdf.data)
    assert [s.field for s in view.signatures] == ["S0", "S1", "S2", "S3"]
    assert [s.scope.revision for s in view.signatures] == [2, 3, 4, 5]
    assert all(s.signer is not None and s.signer.digest_matches for s in view.signatures)
    assert not any(failing(s) for s in view.signatures)


def test_one_malformed_signature_hides_no_other(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki, name="S0")
    bad = pdf.new(2)
    pdf.fields.append(bad + 1)
    pdf.update({bad: b"<< /Type /Sig /ByteRange [ /Contents", bad + 1: b"<< /FT /Sig /T (Bad) /V %d 0 R >>" % bad,
                1: pdf.catalog()})  # fmt: skip
    first, second = pades.read(pdf.data).signatures
    assert first.signer is not None
    assert first.signer.digest_matches
    assert "signature_dictionary_unreadable" in failing(second)


def test_field_tree_with_shared_nodes(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    first = pdf.new(40)
    objects = {
        first + i: b"<< /T (n%d) /Kids [%d 0 R %d 0 R] >>" % (i, first + i + 1, first + i + 1) for i in range(39)
    }
    objects[first + 39] = b"<< /T (loop) /Kids [%d 0 R] >>" % first
    pdf.fields.append(first)
    pdf.sign(pki, objects=objects)
    view = pades.read(pdf.data)
    assert not failing(only(view))
    assert "field_listed_twice" in {f.code for f in view.findings}


def test_a_file_that_needs_repair(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    broken = pdf.data.replace(b"startxref\n%d\n" % (pdf.prev or 0), b"startxref\n%d\n" % 10 ** (len(str(pdf.prev)) - 1))
    view = pades.read(broken)
    signature = only(view)
    assert "document_needs_repair" in {f.code for f in view.findings}
    assert failing(signature) == {"document_coverage_unknown"}
    whole = pades.read(pdf.data + b"\nstartxref\n12\n%%EOF\n")
    assert only(whole).signer is not None
    assert only(whole).signer.digest_matches is True  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty_document"), (b"not a pdf", "document_unreadable"), (b"\x00" * 5000, "document_unreadable")],
)
def test_what_cannot_be_read(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        pades.read(data)
    assert caught.value.code == code


def test_any_covered_octet_counts(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki, room=10000)
    places = [*range(0, written.before, 7), *range(written.after, written.end, 7)]
    for place in places:
        data = bytearray(pdf.data)
        data[place] ^= 0x11
        try:
            view = pades.read(bytes(data))
        except DocumentError:
            continue
        for signature in view.signatures:
            matches = signature.signer is not None and signature.signer.digest_matches
            assert not matches or failing(signature), place


def test_any_truncation(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    written = pdf.sign(pki, room=10000)
    for end in range(0, written.end - 1, 61):
        try:
            view = pades.read(pdf.data[:end])
        except DocumentError:
            continue
        for signature in view.signatures:
            assert failing(signature), end


@pytest.mark.parametrize("style", ["table", "stream"])
def test_reading_leaves_nothing_to_the_garbage_collector(pki: test_pki.Pki, style: str) -> None:
    pdf = PdfWriter(pages=3, style=style)
    pdf.sign(pki, style=style)
    pdf.store(pki)
    pades.read(pdf.data)
    gc.collect()
    gc.disable()
    try:
        assert pades.read(pdf.data).signatures
        assert gc.collect() == 0
    finally:
        gc.enable()
