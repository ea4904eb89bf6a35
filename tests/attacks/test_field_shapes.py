"""Shapes found in the field, each with its right answer through the whole road from octets to the verdict.

The numbers are those under which these shapes are known here; a row names its function in `SHAPES`.  Three need more
than a file and stand elsewhere:

19 an empty user password   tests/integration/verification/test_ordinary_big_files.py (verified), and
                            tests/unit/signing/test_pades_gate.py (its permission bits, when signing)
22 beside a second signer   tests/unit/cms/test_cms_read.py::test_signing_time_twice_spoils_one_signer_only
27 archive-timestamp-v3     tests/unit/cms/test_cms_timestamps.py::test_archive_timestamp_and_later_certificates
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.formats import pades
from signsvc.types import DocumentVerdict, Grade
from test_pki import der, signatures, timestamps
from test_pki.pki import now as pki_now
from tests.attacks.court import FAILED, FORMAT, HASH, OPEN, PASSED, UNSIGNED, VALUE, WEAK, Court, told
from tests.attacks.verdicts import Judge
from tests.pdf_writer import PdfWriter, make_cms
from tests.support.signed_pdf import maker
from tests.unit.cms.cms_builder import Signer, cms
from tests.unit.cms.test_cms_ber import loosen

STAMP = {"sub_filter": "ETSI.RFC3161", "kind": b" /Type /DocTimeStamp", "extra": b"", "room": 14_000}
Make = Callable[[test_pki.Pki], bytes]


@dataclass(frozen=True)
class Shape:
    """`levels` of the signatures; `finding` must be told, `silent` must not."""

    make: Make
    expected: str
    levels: tuple[str, ...] = ("B-B",)
    finding: str | None = None
    silent: str | None = None
    as_signed: str | None = None  # of every signature
    more: Callable[[DocumentVerdict], bool] = lambda _: True


def file(pki: test_pki.Pki, *steps: Callable[[PdfWriter], object], **options: Any) -> bytes:
    pdf = PdfWriter(**options)
    for step in steps:
        step(pdf)
    return pdf.data


def sign(pki: test_pki.Pki, **options: Any) -> Callable[[PdfWriter], object]:
    return lambda pdf: pdf.sign(pki, **options)


def stamp(pki: test_pki.Pki, **options: Any) -> Callable[[PdfWriter], object]:
    return lambda pdf: pdf.sign(pki, **({"name": "Time"} | STAMP | options))


def store(pki: test_pki.Pki, **options: Any) -> Callable[[PdfWriter], object]:
    return lambda pdf: pdf.store(pki, **options)


def update(objects: Callable[[PdfWriter], dict[int, bytes]]) -> Callable[[PdfWriter], object]:
    return lambda pdf: pdf.update(objects(pdf))


def built(pki: test_pki.Pki, *certificates: bytes, **options: Any) -> Callable[[bytes], bytes]:
    """A CMS of the builder over the covered octets; `certificates` stand in it in place of the chain."""
    return lambda covered: cms(Signer(pki, content=covered, **options), certs=certificates or None)


def two_fields(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter()
    number = pdf.new()
    pdf.fields.append(number)
    pdf.sign(pki, objects={number: b"<< /FT /Sig /T (Zwei) /V %d 0 R >>" % pdf.size})
    return pdf.data


def only_timestamps(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter()
    number = pdf.new()
    pdf.fields.append(number)
    pdf.update({number: b"<< /FT /Sig /T (leer) >>", 1: pdf.catalog()})
    stamp(pki)(pdf)
    return pdf.data


def indexed(pki: test_pki.Pki) -> bytes:
    """A store whose /VRI has /TU and /TS."""
    pdf = PdfWriter()
    pdf.sign(pki, timestamped=True)
    pdf.store(pki)
    entry = b"/VRI << /%s << /TU (D:20260101000000Z) /TS %d 0 R /Cert [%d 0 R] >> >>"
    text = pdf.data.rindex(b"/Certs [")
    number = int(pdf.data[text + 8 :].split()[0])
    start = pdf.data.rindex(b"<< /Certs")
    held = pdf.data[start : pdf.data.index(b"\nendobj", start)]
    index = int(pdf.catalog_extra.split()[1])
    pdf.update({index: held[:-2] + entry % (b"A" * 40, number, number) + b" >>"})
    return pdf.data


FIELD = (
    b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (So) /V (%s) /DA (/F1 9 Tf) /F 2 /P 3 0 R /Rect [300 700 400 720] >>"
)


def locked(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter(extra={9: FIELD % b"1", 10: b"<< /Type /SigFieldLock /Action /Include /Fields [(Signature)] >>"})
    pdf.fields, pdf.annotations = [9], [9]
    pdf.update({1: pdf.catalog(), 3: pdf.page()})
    pdf.sign(pki, field_extra=b" /Lock 10 0 R")
    pdf.update({9: FIELD % b"2"})
    return pdf.data


def rewritten(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter(extra={9: b"<< /Border [0 0 1] /Name (abc) /Box [0 0 595 842] >>"}, catalog=b" /PieceInfo 9 0 R")
    pdf.sign(pki)
    pdf.update({9: b"<< /Name <616263> /Box [0.0 0 595.00 842] /Border [0 0.0 1] >>"})
    return pdf.data


def tagged(pki: test_pki.Pki) -> bytes:
    root = b"<< /Type /StructTreeRoot /K [%s] /ParentTree << /Nums [%s] >> /ParentTreeNextKey %d >>"
    pdf = PdfWriter(extra={17: root % (b"", b"", 0)}, catalog=b" /StructTreeRoot 17 0 R /MarkInfo << /Marked true >>")
    pdf.sign(pki, name="First")
    tag, widget = pdf.size + 5, pdf.size + 1
    pdf.sign(
        pki, name="Second", rect=b" /Rect [200 20 300 60]", field_extra=b" /StructParent 0",
        objects={tag: b"<< /S /Form /P 17 0 R /Pg 3 0 R /K << /Type /OBJR /Obj %d 0 R >> >>" % widget,
                 17: root % (b"%d 0 R" % tag, b"0 %d 0 R" % tag, 1)},
    )  # fmt: skip
    return pdf.data


def overlapping(pki: test_pki.Pki) -> bytes:
    """A second dictionary whose range reaches into the gap of the first."""
    pdf = PdfWriter()
    first = pdf.sign(pki, name="S0")
    number = pdf.new(2)
    pdf.fields.append(number + 1)
    middle = (first.before + first.after) // 2
    value = b"<< /Type /Sig /SubFilter /ETSI.CAdES.detached /ByteRange [0 %d %d 900] /Contents <%s> >>"
    pdf.update({number: value % (middle, first.after - 9, make_cms(pki, "person", b"x", "ETSI").hex().encode()),
                number + 1: b"<< /FT /Sig /T (S1) /V %d 0 R /Rect [0 0 0 0] >>" % number, 1: pdf.catalog()})  # fmt: skip
    return pdf.data


def carriage_return(pki: test_pki.Pki, after: dict[int, bytes] | None = None) -> bytes:
    pdf = PdfWriter()
    number = pdf.new(2)
    pdf.fields.append(number + 1)
    wait = b"<< /Type /Sig /SubFilter /ETSI.CAdES.detached /M (D:20260101000000Z) /ByteRange [0 %s %s %s] /Contents <%s> >>"
    pdf.update({1: pdf.catalog(), number: wait % (*[b"*" * 10] * 3, b"0" * 16_000),
                number + 1: b"<< /FT /Sig /T (S) /V %d 0 R /Rect [0 0 0 0] >>" % number})  # fmt: skip
    pdf.data = pdf.data[:-1] + b"\r"
    pdf.fill(pki, "person", number)
    if after:
        pdf.update(after)
    return pdf.data


def touching(pki: test_pki.Pki) -> bytes:
    """Two comments that overlap before signing; a third one far away afterwards."""
    note = b"<< /Type /Annot /Subtype /Square /Rect [%d %d %d %d] /P 3 0 R >>"
    pdf = PdfWriter(extra={9: note % (300, 300, 400, 400), 10: note % (350, 350, 450, 450)})
    pdf.annotations = [9, 10]
    pdf.update({3: pdf.page()})
    pdf.sign(pki)
    pdf.annotations.append(90)
    pdf.update({90: note % (10, 700, 20, 710), 3: pdf.page()})
    return pdf.data


def page_added(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter(pages=2)
    pdf.sign(pki)
    pdf.update({90: pdf.page(1), 2: b"<< /Type /Pages /Count 3 /Kids [3 0 R 6 0 R 90 0 R] >>"})
    return pdf.data


def page_removed(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter(pages=2)
    pdf.sign(pki)
    pdf.update({2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"})
    return pdf.data


def certified(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter()
    number = pdf.size
    pdf.catalog_extra = b" /Perms << /DocMDP %d 0 R >>" % number
    reference = b" /Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << /Type /TransformParams /P 1 /V /1.2 >> >>]"
    pdf.sign(pki, extra=b" /M (D:20260102030405+07'00')" + reference)
    pdf.store(pki)
    pdf.catalog_extra += b" /Perms << /DocMDP %d 0 R >>" % number
    pdf.update({1: pdf.catalog()})
    stamp(pki, rect=b" /Rect [0 0 0 0]", field_extra=b" /F 132")(pdf)
    return pdf.data


def with_content(content: Callable[[bytes], bytes]) -> Callable[[test_pki.Pki], Callable[[bytes], bytes]]:
    def for_(pki: test_pki.Pki) -> Callable[[bytes], bytes]:
        def make(covered: bytes) -> bytes:
            held = content(covered)
            return timestamps.signed_data(
                held, hashlib.sha256(held).digest(), pki.key("person"), pki.cert("person"),
                attributes=[timestamps.signing_certificate(pki.cert("person"))], include=pki.chain("person")[:-1],
            )  # fmt: skip

        return make

    return for_


def two_signers(pki: test_pki.Pki) -> Callable[[bytes], bytes]:
    return lambda covered: cms(Signer(pki, content=covered), Signer(pki, "person2", content=covered))


def commitment() -> bytes:
    return timestamps.attribute("1.2.840.113549.1.9.16.2.16", der.seq(der.oid("1.2.840.113549.1.9.16.6.5")))


def signing_time() -> bytes:
    return timestamps.attribute("1.2.840.113549.1.9.5", der.time(pki_now()))


def other_time() -> bytes:
    return timestamps.attribute("1.2.840.113549.1.9.5", der.time(pki_now().replace(year=2025)))


def both_references(pki: test_pki.Pki) -> Callable[[bytes], bytes]:
    return built(pki, extra=(timestamps.signing_certificate(pki.cert("person"), "sha1"),))


def twin(pki: test_pki.Pki) -> Callable[[bytes], bytes]:
    from test_pki.certificates import serial_number

    same = pki.issue("person", not_after=pki.epoch, serial=serial_number(pki.cert("person")))
    return built(pki, same, *pki.chain("person"))


def unordered(pki: test_pki.Pki) -> Callable[[bytes], bytes]:
    def make(covered: bytes) -> bytes:
        found = sorted(Signer(pki, content=covered).ordinary().values(), reverse=True)
        return cms(Signer(pki, content=covered, attributes=found))

    return make


def long_salt(pki: test_pki.Pki) -> Callable[[bytes], bytes]:
    mask = der.seq(der.oid("1.2.840.113549.1.1.8"), signatures.digest_algorithm("sha256"))
    parts = (signatures.digest_algorithm("sha256"), mask, der.integer(400))
    parameters = der.seq(*(der.explicit(n, part) for n, part in enumerate(parts)))
    return built(pki, algorithm=der.seq(der.oid("1.2.840.113549.1.1.10"), parameters))


def borrowed_token(pki: test_pki.Pki) -> Callable[[bytes], bytes]:
    token = timestamps.attribute("1.2.840.113549.1.9.16.2.14", pki.timestamp(hashlib.sha256(b"another value").digest()))
    return built(pki, unsigned=(token,))


def ber(pki: test_pki.Pki) -> Callable[[bytes], bytes]:
    return lambda covered: loosen(cms(Signer(pki, content=covered)), 3)


def graded(grade: Grade) -> Callable[[DocumentVerdict], bool]:
    return lambda verdict: {c.grade for c in verdict.signatures[0].scope.changes_after} == {grade}


def nothing_proven(verdict: DocumentVerdict) -> bool:
    return verdict.signatures[0].time_source != "timestamp" and len(verdict.timestamps) == 1


SHAPES: dict[str, Shape] = {
    "01 one dictionary in two fields": Shape(two_fields, PASSED),
    "02 timestamp before the signature": Shape(lambda p: file(p, stamp(p), sign(p)), PASSED, more=nothing_proven),
    "03 only timestamps": Shape(only_timestamps, UNSIGNED, (), more=lambda v: len(v.timestamps) == 1),
    "04 timestamp without type": Shape(lambda p: file(p, sign(p, timestamped=True), store(p), stamp(p, kind=b"")), PASSED, ("B-LTA",)),
    "04 timestamp that says Sig": Shape(
        lambda p: file(p, sign(p, timestamped=True), store(p), stamp(p, kind=b" /Type /Sig")), PASSED, ("B-LT",), "timestamp_type_sig"),
    "05 store after the last timestamp": Shape(lambda p: file(p, sign(p), stamp(p), store(p)), PASSED, ("B-LT",)),
    "06 newer store omits evidence": Shape(
        lambda p: file(p, sign(p, timestamped=True), store(p), store(p, values={"Certs": [p.cert("agency")]})), PASSED, ("B-LT",)),
    "07 store with an index": Shape(indexed, PASSED, ("B-LT",)),
    "08 lock on its own field": Shape(locked, PASSED, silent="changed_not_permitted", more=graded(Grade.FORM_OR_SIGNATURE)),
    "09 rewritten alike": Shape(rewritten, PASSED, more=graded(Grade.EXTENSION)),
    "10 tags of a new widget": Shape(tagged, PASSED, ("B-B", "B-B"), more=graded(Grade.FORM_OR_SIGNATURE)),
    "11 overlapping ranges": Shape(overlapping, FORMAT, ("B-B", "BES"), "byte_range_gap"),
    "12 revision that ends in CR": Shape(carriage_return, PASSED),
    "13 comments that touched before": Shape(touching, PASSED, silent="annotation_overlaps", more=graded(Grade.ANNOTATION)),
    "14 page added": Shape(page_added, FORMAT, finding="page_added", as_signed=PASSED,
                           more=lambda v: v.signatures[0].scope.changes_after[-1].pages == (3,)),
    "14 page removed": Shape(page_removed, FORMAT, finding="page_removed", as_signed=PASSED,
                             more=lambda v: v.signatures[0].scope.changes_after[-1].pages == (2,)),
    "15 adbe.pkcs7.sha1": Shape(lambda p: file(p, sign(p, sub_filter="adbe.pkcs7.sha1")), WEAK, ("PKCS7-B",)),
    "16 empty content": Shape(lambda p: file(p, sign(p, cms=with_content(lambda _: b"")(p))), HASH, finding="cms_content_empty"),
    "16 another document": Shape(lambda p: file(p, sign(p, cms=with_content(lambda _: b"another")(p))), HASH),
    "17 two signers": Shape(lambda p: file(p, sign(p, cms=two_signers(p))), FORMAT, ("BES",), "signature_several_signers"),
    "18 reason and commitment": Shape(
        lambda p: file(p, sign(p, cms=built(p, extra=(commitment(),)), extra=b" /M (D:20260101) /Reason (duyet)")), PASSED, ("BES",)),
    "18 no time": Shape(lambda p: file(p, sign(p, extra=b"")), PASSED, ("BES",), "pades_not_baseline"),
    "18 no certificates": Shape(
        lambda p: file(p, sign(p, cms=lambda c: cms(Signer(p, content=c), certs=()))), f"{OPEN}/NO_SIGNING_CERTIFICATE_FOUND", ("BES",)),
    "20 P=1, store and timestamp": Shape(certified, PASSED, ("B-LTA",), silent="changed_not_permitted"),
    "21 attributes out of order": Shape(lambda p: file(p, sign(p, cms=unordered(p))), FORMAT, finding="cms_signed_attributes_order"),
    "22 signing-time twice, then another": Shape(
        lambda p: file(p, sign(p, cms=built(p, extra=(signing_time(), other_time()))), sign(p, name="Second", rect=b" /Rect [200 20 300 60]")),
        FORMAT, ("BES", "B-B"), "cms_signed_attribute_repeated"),
    "23 reference v1 and v2": Shape(lambda p: file(p, sign(p, cms=both_references(p))), PASSED),
    "24 twin of key and serial": Shape(lambda p: file(p, sign(p, cms=twin(p))), PASSED),
    "25 content of another type": Shape(
        lambda p: file(p, sign(p, cms=lambda c: cms(Signer(p, content=c, content_type="1.2.3.4"), content_type="1.2.3.4"))), PASSED, ("BES",)),
    "26 BER": Shape(lambda p: file(p, sign(p, cms=ber(p))), PASSED, ("BES",), "cms_ber"),
    "28 timestamp of another signature": Shape(lambda p: file(p, sign(p, cms=borrowed_token(p))), PASSED, ("B-B",),
                                               more=lambda v: str(v.signatures[0].timestamps[0].sub_indication) == "HASH_FAILURE"),
    "29 salt too long": Shape(lambda p: file(p, sign(p, cms=long_salt(p))), VALUE),
    "29 unknown digest": Shape(
        lambda p: file(p, sign(p, cms=built(p, digest_algorithm=der.seq(der.oid("1.2.3.4"))))), f"{FAILED}/HASH_FAILURE", finding="cms_digest_unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shape(name: str, pki: test_pki.Pki) -> None:
    shape = SHAPES[name]
    verdict = Court(pki)(shape.make(pki))
    outcome, codes = told(verdict)
    levels = tuple(s.level for s in verdict.signatures)
    assert (outcome, levels) == (shape.expected, shape.levels), codes
    assert shape.finding is None or shape.finding in codes, codes
    assert shape.silent not in codes, codes
    assert shape.as_signed is None or {str(s.as_signed_indication) for s in verdict.signatures} == {shape.as_signed}
    assert shape.more(verdict), verdict


def test_the_malformed_one_of_two_is_alone(pki: test_pki.Pki) -> None:
    """11 and 22: the neighbour of a malformed signature is judged by itself."""
    for name, place in (("11 overlapping ranges", 0), ("22 signing-time twice, then another", 1)):
        verdict = Court(pki)(SHAPES[name].make(pki))
        assert str(verdict.signatures[place].as_signed_indication) == PASSED, name
        assert str(verdict.signatures[1 - place].as_signed_indication) == FAILED, name


def test_the_revision_that_ends_in_cr_is_recovered(pki: test_pki.Pki) -> None:
    """12: byte-exact, and it passes by itself."""
    later = carriage_return(pki, {5: b"<< /Type /Font >>"})
    (signature,) = pades.read(later).signatures
    signed = pades.signed_revision(later, signature.scope)
    assert signed.endswith(b"%%EOF\r")
    assert later.startswith(signed)
    assert told(Court(pki)(signed))[0] == PASSED


@pytest.mark.parametrize("known", [True, False])
def test_answer_without_its_responder(known: bool, pki: test_pki.Pki, tmp_path: Path) -> None:
    """30: used if its responder's certificate is known elsewhere, else ignored."""
    at = pki_now()
    pdf = PdfWriter()
    pdf.sign(pki, timestamped=True)
    more = [pki.cert("ocsp-sub-g2-state")] if known else []
    certificates = [*pki.chain("person"), *pki.chain("tsa1")[:-1], *more]
    lists = [pki.crl(label, at) for label in ("root-g2", "sub-g2-tsa")]
    answers = [pki.ocsp("person", "good", at, include=()), pki.ocsp("tsa1", "good", at)]
    pdf.store(pki, values={"Certs": certificates, "CRLs": lists, "OCSPs": answers})
    report = Judge(pki, tmp_path).report(pdf.data)
    expected = ("TOTAL-PASSED", None) if known else ("INDETERMINATE", "TRY_LATER")
    assert (report["indication"], report["sub_indication"]) == expected


def test_baseline_maker_is_baseline(pki: test_pki.Pki) -> None:
    """What the rows differ from."""
    assert told(Court(pki)(file(pki, sign(pki, cms=maker(pki)))))[0] == PASSED
