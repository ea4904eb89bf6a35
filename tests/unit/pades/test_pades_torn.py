"""Signatures in files that were damaged as well as changed: a torn signature is not no signature."""

from __future__ import annotations

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.formats import pades
from tests.pdf_writer import PdfWriter


def torn(data: bytes) -> bytes:
    """The file with its first signature's dictionary made unreadable, as many octets."""
    return data.replace(b"/Contents <", b"/Contents {", 1).replace(b"/Type /Sig ", b"/Type /Sig)", 1)


def test_an_unreadable_signature_that_was_taken_out_is_found(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    pdf.fields = []
    pdf.update({1: pdf.catalog()})
    (signature,) = pades.read(torn(pdf.data)).signatures
    assert signature.field == "Signature"
    assert {f.code for f in signature.findings if f.level == "fail"} >= {"signature_dictionary_unreadable"}


def test_a_file_in_need_of_repair_with_nothing_but_timestamps_is_unreadable(pki: test_pki.Pki) -> None:
    """Whether it held a signature can no longer be told, so it is not said to hold none."""
    pdf = PdfWriter()
    pdf.sign(pki, room=10_000)
    pdf.sign(pki, name="T", sub_filter="ETSI.RFC3161", kind=b" /Type /DocTimeStamp", extra=b"", room=14_000)
    data = torn(pdf.data)
    broken = data[: data.rindex(b"startxref")] + b"startxref\n1\n%%EOF\n"
    with pytest.raises(DocumentError) as caught:
        pades.read(broken)
    assert caught.value.code == "document_unreadable"
