"""Our reader beside pyHanko's on what pyHanko writes and reads."""

from __future__ import annotations

import subprocess
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter

import test_pki
from signsvc.formats import pades
from signsvc.types import Grade
from tests.pdf_writer import PdfWriter


def signed(data: bytes, pki: test_pki.Pki, field: str, **metadata: Any) -> bytes:
    signer = signers.SimpleSigner.load_pkcs12(str(pki.p12("person")), passphrase=test_pki.PASSWORD)
    assert signer is not None
    writer = IncrementalPdfFileWriter(BytesIO(data), strict=False)
    if writer.security_handler is not None:
        writer.encrypt(b"")
    meta = signers.PdfSignatureMetadata(field_name=field, **metadata)
    spec = SigFieldSpec(field, box=(10, 10, 90, 60))
    return signers.sign_pdf(writer, meta, signer=signer, new_field_spec=spec).getvalue()  # type: ignore[no-any-return,attr-defined]


def prepare(tmp_path: Path, *arguments: str) -> bytes:
    source, target = tmp_path / "in.pdf", tmp_path / "out.pdf"
    source.write_bytes(PdfWriter(pages=5).data)
    subprocess.run(["qpdf", *arguments, str(source), str(target)], check=True)
    return target.read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--object-streams=disable",),
        ("--object-streams=generate",),
        ("--linearize",),
        ("--linearize", "--object-streams=generate"),
        ("--encrypt", "", "o", "256", "--"),
        ("--allow-weak-crypto", "--encrypt", "", "o", "128", "--use-aes=y", "--"),
        ("--allow-weak-crypto", "--encrypt", "", "o", "128", "--"),
    ],
    ids=" ".join,
)
def test_the_same_signatures(pki: test_pki.Pki, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    data = prepare(tmp_path, *arguments)
    data = signed(data, pki, "First", reason="Lý do", location="Hà Nội", subfilter=SigSeedSubFilter.PADES)
    data = signed(data, pki, "Second", name="Người ký", subfilter=SigSeedSubFilter.ADOBE_PKCS7_DETACHED)
    view = pades.read(data)
    reader = PdfFileReader(BytesIO(data))
    if reader.encrypted:
        reader.decrypt(b"")
    theirs = reader.embedded_signatures
    assert [s.field for s in view.signatures] == [s.field_name for s in theirs]
    for ours, other in zip(view.signatures, theirs, strict=True):
        other.compute_integrity_info()
        assert ours.signer is not None
        assert ours.signer.digest_matches is True
        assert ours.scope.type == ("FULL" if ours.field == "Second" else "REVISION")
        assert [number for pair in ours.scope.byte_ranges for number in pair] == [int(n) for n in other.byte_range]
        assert ours.claimed_time == other.self_reported_timestamp
        assert not [f for f in ours.findings if f.level == "fail"]
    assert [s.level for s in view.signatures] == ["B-B", "PKCS7-B"]
    assert (view.signatures[0].reason, view.signatures[0].location) == ("Lý do", "Hà Nội")
    assert view.signatures[1].name == "Người ký"
    assert [s.page for s in view.signatures] == [1, 1]
    assert view.pages == 5
    assert view.revisions == 3


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
def test_the_same_coverage(pki: test_pki.Pki, style: str) -> None:
    from pyhanko.sign.validation.status import SignatureCoverageLevel

    data = signed(PdfWriter(pages=2, style=style).data, pki, "First", subfilter=SigSeedSubFilter.PADES)
    data = signed(data, pki, "Second", subfilter=SigSeedSubFilter.PADES)
    view = pades.read(data)
    theirs = PdfFileReader(BytesIO(data), strict=False).embedded_signatures
    levels = [embedded.evaluate_signature_coverage() for embedded in theirs]
    assert levels == [SignatureCoverageLevel.ENTIRE_REVISION, SignatureCoverageLevel.ENTIRE_FILE]
    assert [s.scope.type for s in view.signatures] == ["REVISION", "FULL"]
    assert [s.scope.revision for s in view.signatures] == [2, 3]
    (change,) = view.signatures[0].scope.changes_after
    assert change.grade is Grade.FORM_OR_SIGNATURE


def test_certification_and_locks(pki: test_pki.Pki) -> None:
    from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm

    signer = signers.SimpleSigner.load_pkcs12(str(pki.p12("person")), passphrase=test_pki.PASSWORD)
    assert signer is not None
    writer = IncrementalPdfFileWriter(BytesIO(PdfWriter().data))
    meta = signers.PdfSignatureMetadata(field_name="C", certify=True, docmdp_permissions=MDPPerm.NO_CHANGES)
    lock = FieldMDPSpec(FieldMDPAction.INCLUDE, fields=["C", "D"])
    spec = SigFieldSpec("C", field_mdp_spec=lock)
    data = signers.sign_pdf(writer, meta, signer=signer, new_field_spec=spec).getvalue()  # type: ignore[attr-defined]
    (signature,) = pades.read(data).signatures
    assert signature.certification == 1
    assert signature.lock == "Include C, D"


@pytest.mark.parametrize("count", [400, 2500])
def test_long_chains_and_many_pages(pki: test_pki.Pki, count: int) -> None:
    first = 6 + count
    outline = {
        first + i: b"<< /Title (x) /Parent %d 0 R /Prev %d 0 R /Next %d 0 R >>"
        % (first + count, first + i - 1, first + i + 1)
        for i in range(count)
    }
    outline[first + count] = b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (
        first,
        first + count - 1,
        count,
    )
    pdf = PdfWriter(pages=count, extra=outline, catalog=b" /Outlines %d 0 R" % (first + count))
    pdf.sign(pki)
    pdf.store(pki)
    began = time.process_time()
    view = pades.read(pdf.data)
    assert time.process_time() - began < 2
    assert view.pages == count
    (signature,) = view.signatures
    assert signature.signer is not None
    assert signature.signer.digest_matches is True


def test_many_signatures_cost_linear_time(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    for index in range(60):
        pdf.sign(pki, name=f"S{index}", room=9000)
    began = time.process_time()
    view = pades.read(pdf.data)
    assert time.process_time() - began < 2
    assert len(view.signatures) == 60
    assert all(s.signer is not None and s.signer.digest_matches for s in view.signatures)
