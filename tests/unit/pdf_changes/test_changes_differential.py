"""Our comparison of revisions beside pyHanko's on legitimate files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, DiffResult, ModificationLevel

import signsvc
import test_pki
from signsvc.formats.pades import write
from signsvc.formats.pdf import Document
from signsvc.formats.pdf.changes import compare
from signsvc.types import EvidenceItem, EvidenceKind, Grade, Origin
from tests.attacks.pdf_additions import DEFINED
from tests.attacks.pdf_documents import ATTACKS, Signed
from tests.pdf_writer import PdfWriter

SAMPLES = Path(signsvc.__file__).parent / "samples"
# What stock pyHanko calls these grades at most.
LEVELS = {
    Grade.EXTENSION: ModificationLevel.LTA_UPDATES,
    Grade.UNREACHED: ModificationLevel.LTA_UPDATES,
    Grade.FORM_OR_SIGNATURE: ModificationLevel.FORM_FILLING,
}


class Maker:
    """A document that pyHanko and the service's own writer extend."""

    def __init__(self, data: bytes, pki: test_pki.Pki) -> None:
        self.data, self.pki = data, pki
        self.signer = signers.SimpleSigner.load_pkcs12(str(pki.p12("person")), passphrase=test_pki.PASSWORD)

    def writer(self) -> IncrementalPdfFileWriter:
        writer = IncrementalPdfFileWriter(BytesIO(self.data), strict=False)
        if writer.security_handler is not None:
            writer.encrypt(b"")
        return writer

    def sign(self, name: str, *, box: Any = (10, 10, 90, 60), new: bool = True, **metadata: Any) -> Maker:
        spec = fields.SigFieldSpec(name, box=box) if new else None
        meta = signers.PdfSignatureMetadata(field_name=name, **metadata)
        self.data = signers.sign_pdf(self.writer(), meta, signer=self.signer, new_field_spec=spec).getvalue()  # type: ignore[attr-defined]
        return self

    def store(self, label: str = "person") -> Maker:
        evidence = [EvidenceItem(EvidenceKind.CERTIFICATE, der, Origin.DSS, 1) for der in self.pki.chain(label)]
        stream = BytesIO(self.data)
        write.extend_revision(stream, evidence)
        self.data = stream.getvalue()
        return self

    def stamp(self, label: str = "tsa1") -> Maker:
        evidence = [EvidenceItem(EvidenceKind.CERTIFICATE, der, Origin.DSS, 1) for der in self.pki.chain(label)]
        stream = BytesIO(self.data)
        write.extend_revision(
            stream, evidence, timestamp=lambda digest, _: self.pki.timestamp(digest), timestamp_room=12000
        )
        self.data = stream.getvalue()
        return self

    def change(self, how: Callable[[IncrementalPdfFileWriter], None]) -> Maker:
        writer = self.writer()
        how(writer)
        out = BytesIO()
        writer.write(out)
        self.data = out.getvalue()
        return self


def metadata(writer: IncrementalPdfFileWriter) -> None:
    info = generic.DictionaryObject({pdf_name("/Title"): generic.TextStringObject("Công văn")})
    writer.set_info(writer.add_object(info))


def text_field(*, value: str = "") -> bytes:
    return (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (So) /V (%s) /DA (/F1 12 Tf 0 g) /F 4 /P 3 0 R"
        b" /Rect [300 700 400 720] >>" % value.encode()
    )


def form(style: str = "table") -> bytes:
    pdf = PdfWriter(pages=3, style=style)
    number = pdf.new()
    pdf.fields.append(number)
    pdf.annotations.append(number)
    pdf.update({number: text_field(), 1: pdf.catalog(), 3: pdf.page()}, style=style)
    return pdf.data


def fill(writer: IncrementalPdfFileWriter) -> None:
    found = writer.root["/AcroForm"]["/Fields"][0]
    found[pdf_name("/V")] = generic.TextStringObject("123")
    content = generic.StreamObject(
        {
            pdf_name("/Subtype"): pdf_name("/Form"),
            pdf_name("/BBox"): generic.ArrayObject(map(generic.NumberObject, (0, 0, 100, 20))),
        },
        stream_data=b"/Tx BMC BT /F1 12 Tf 0 g (123) Tj ET EMC",
    )
    found[pdf_name("/AP")] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(content)})
    writer.update_container(found)


def qpdf(tmp_path: Path, *arguments: str, data: bytes | None = None) -> bytes:
    source, target = tmp_path / "in.pdf", tmp_path / "out.pdf"
    source.write_bytes(data or PdfWriter(pages=5).data)
    subprocess.run(["qpdf", *arguments, str(source), str(target)], check=True)
    return target.read_bytes()


def lta(data: bytes, pki: test_pki.Pki) -> bytes:
    made = Maker(data, pki)
    for name in ("A", "B", "C"):
        made.sign(name, box=None if name == "B" else (10, 10, 90, 60)).store().stamp()
    return made.stamp("tsa2").data


def empty_fields(data: bytes, pki: test_pki.Pki) -> bytes:
    made = Maker(data, pki)
    made.change(
        lambda w: [
            fields.append_signature_field(w, fields.SigFieldSpec(n, box=(10, y, 90, y + 40)))
            for n, y in (("A", 10), ("B", 60))
        ]
    )  # type: ignore[arg-type,return-value]
    made.sign("A", new=False, certify=True, docmdp_permissions=fields.MDPPerm.FILL_FORMS)
    return made.sign("B", new=False).store().stamp().data


def filled(data: bytes, pki: test_pki.Pki) -> bytes:
    made = Maker(data, pki).sign("A", certify=True, docmdp_permissions=fields.MDPPerm.FILL_FORMS)
    return made.change(fill).sign("B", box=None).data


def certified(data: bytes, pki: test_pki.Pki) -> bytes:
    made = Maker(data, pki).sign("A", certify=True, docmdp_permissions=fields.MDPPerm.NO_CHANGES)
    return made.store().stamp().data


def titled(data: bytes, pki: test_pki.Pki) -> bytes:
    return Maker(data, pki).sign("A").change(metadata).sign("B").data


CASES: dict[str, Callable[[test_pki.Pki, Path], bytes]] = {
    "three B-LTA": lambda pki, _: lta(PdfWriter(pages=5).data, pki),
    "three B-LTA, object streams": lambda pki, _: lta(PdfWriter(pages=5, style="stream").data, pki),
    "three B-LTA, hybrid": lambda pki, _: lta(PdfWriter(pages=5, style="hybrid").data, pki),
    "three B-LTA, office": lambda pki, _: lta((SAMPLES / "van-ban.pdf").read_bytes(), pki),
    "three B-LTA, scan": lambda pki, _: lta((SAMPLES / "ban-quet.pdf").read_bytes(), pki),
    "linearized": lambda pki, path: lta(qpdf(path, "--linearize"), pki),
    "qpdf object streams": lambda pki, path: lta(qpdf(path, "--object-streams=generate"), pki),
    "qpdf of the office file": lambda pki, path: lta(
        qpdf(path, "--linearize", "--object-streams=generate", data=(SAMPLES / "van-ban.pdf").read_bytes()), pki
    ),
    "encrypted AES-256": lambda pki, path: lta(qpdf(path, "--encrypt", "", "o", "256", "--"), pki),
    "encrypted AES-128": lambda pki, path: lta(
        qpdf(path, "--allow-weak-crypto", "--encrypt", "", "o", "128", "--use-aes=y", "--"), pki
    ),
    "prepared fields, P=2": lambda pki, _: empty_fields(PdfWriter(pages=5).data, pki),
    "prepared fields in the office file": lambda pki, _: empty_fields((SAMPLES / "van-ban.pdf").read_bytes(), pki),
    "form filled, P=2": lambda pki, _: filled(form(), pki),
    "form filled, P=2, object streams": lambda pki, _: filled(form("stream"), pki),
    "P=1, then store and timestamp": lambda pki, _: certified(PdfWriter(pages=5).data, pki),
    "document information": lambda pki, _: titled(PdfWriter(pages=5).data, pki),
}  # fmt: skip


def review(reader: PdfFileReader, index: int) -> object:
    """What stock pyHanko says of the revisions after `index`; None where it cannot compare (no form before)."""
    try:
        return DEFAULT_DIFF_POLICY.review_file(reader, index)
    except PdfReadError:
        return None


@pytest.mark.parametrize("case", CASES)
def test_what_pyhanko_accepts_is_defined(case: str, pki: test_pki.Pki, tmp_path: Path) -> None:
    data = CASES[case](pki, tmp_path)
    document = Document(data)
    reader = PdfFileReader(BytesIO(data), strict=False)
    if reader.encrypted:
        reader.decrypt(b"")
    assert document.repair is None
    # pyHanko counts the two sections of a linearized file as two revisions
    more = reader.xrefs.total_revisions - len(document.revisions)
    assert more == ("linearize" in case or case == "qpdf of the office file")
    first = min(signature.signed_revision for signature in reader.embedded_signatures) - more
    for index in range(first, len(document.revisions) - 1):
        changes = compare(document, index)
        theirs = review(reader, index + more) if index == first else None
        assert len(changes) == len(document.revisions) - 1 - index
        assert [change for change in changes if change.grade is Grade.UNDEFINED] == []
        # in encrypted files pyHanko takes a visible signature for validation data: it does not look behind its proxies
        if isinstance(theirs, DiffResult) and not reader.encrypted:
            assert max(LEVELS[change.grade] for change in changes) <= theirs.modification_level
        assert all(change.permitted is not False for change in changes)


# Where stock pyHanko is content with what is refused here, and why it is refused.
STRICTER = {
    "replace_by_appearance": "what a field shows changes and its value does not",
    "replace_by_appearance_in_place": "the same, in the stream itself",
    "replace_by_prepared_appearance": "an appearance that lay unused in the signed file is switched on",
    "replace_by_other_text": "the new appearance shows another text than the new value",
    "field_hidden": "a field of the signed file vanishes",
    "field_hidden_while_filled": "the same, under cover of a new value",
    "signature_runs_script": "a new field carries an action",
    "form_fonts_replaced": "a font of the form is exchanged, and with it what fields show",
    "dangling_content": "page content that the signed file names and only the later revision holds",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_refused_here_and_accepted_there(name: str) -> None:
    data = ATTACKS[name][0]("table").data
    theirs = review(PdfFileReader(BytesIO(data), strict=False), 2)
    assert isinstance(theirs, DiffResult) is (name in STRICTER)


# What is graded here and refused by stock pyHanko: comments (it has no rule for P=3), odd but harmless stores, objects
# that nothing shows, arrays and values of the store rewritten in their place, tags, direct for indirect.
LENIENT = {
    "store array in place", "odd VRI key", "foreign key in the store", "store dropped", "direct for indirect",
    "object nothing uses", "objects that use each other", "signature named in the tags", "comment",
    "free text beside the fields", "comment answered", "store value in place", "store value in place, in two lists",
    "store value no stream any more",
}  # fmt: skip


@pytest.mark.parametrize("case", DEFINED)
def test_what_is_graded_here_and_refused_there(case: str) -> None:
    _, objects, options = DEFINED[case]
    pdf = Signed(**options)  # type: ignore[arg-type]
    pdf.update(objects(pdf))
    theirs = review(PdfFileReader(BytesIO(pdf.data), strict=False), 2)
    assert isinstance(theirs, DiffResult) is (case not in LENIENT)
