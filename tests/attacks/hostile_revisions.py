"""Files whose signatures and revisions are made to cost (see `hostile_files`)."""

from __future__ import annotations

import test_pki
from test_pki import signatures, timestamps
from tests.attacks.hostile_files import ROOM, hostile, signed, stream
from tests.pdf_writer import PdfWriter

FAKE = b"<< /Type /Sig /Filter /A /SubFilter /ETSI.CAdES.detached /ByteRange [0 %d %d %d] /Contents <3080> >>"


# Signatures, revisions, ranges


@hostile(20, 80, 300)
def many_signatures(pki: test_pki.Pki, size: int) -> bytes:
    pdf = PdfWriter()
    for index in range(size):
        pdf.sign(pki, name=f"S{index}", room=9000)
    return pdf.data


@hostile(100, 1_500, 20_000)
def many_false_signatures(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {100 + i: FAKE % (10 + i, 20 + i, 30) for i in range(size)})


@hostile(2, 30, 200)
def ranges_that_share_nothing(pki: test_pki.Pki, size: int) -> bytes:
    """Each gap stands before 30 MB that are hashed again for each signature, by three digests."""
    made = []
    for digest in ("sha256", "sha384", "sha512"):
        wrong = signatures.digest(b"x", digest)
        made.append(timestamps.signed_data(None, wrong, pki.key("ec"), pki.cert("ec"), digest=digest))
    wait = b"[0 ********** ********** **********]"
    fake = b"<< /Type /Sig /SubFilter /ETSI.CAdES.detached /ByteRange %s /Contents <%s> >>"
    extra = {100 + i: fake % (wait, made[i % 3].hex().encode()) for i in range(size)}
    data = bytearray(PdfWriter(extra=extra | {100 + size: stream(b"%" * (30 << 20))}).data)
    at = data.find(wait)
    while at >= 0:
        before = data.index(b"<", at)
        after = data.index(b">", before) + 1
        data[at : at + len(wait)] = (b"[0 %d %d %d]" % (before, after, len(data) - after)).ljust(len(wait))
        at = data.find(wait, after)
    return bytes(data)


def _catalog_again(pdf: PdfWriter, times: int) -> bytes:
    """The file with so many revisions more, each of which writes the catalog anew."""
    parts, at, prev = [], len(pdf.data), pdf.prev or 0
    for _ in range(times):
        body = b"1 0 obj\n%s\nendobj\n" % pdf.catalog()
        table = at + len(body)
        part = body + b"xref\n1 1\n%010d 00000 n \ntrailer\n<< /Size %d /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
            at, pdf.size, prev, table)  # fmt: skip
        parts.append(part)
        at += len(part)
        prev = table
    return pdf.data + b"".join(parts)


@hostile(100, 1_000, 5_000)
def revisions_after_a_signature(pki: test_pki.Pki, size: int) -> bytes:
    pdf = PdfWriter()
    pdf.sign(pki, room=ROOM)
    return _catalog_again(pdf, size)


@hostile(10, 100, 1_000)
def revisions_that_rewrite_a_large_form(pki: test_pki.Pki, size: int) -> bytes:
    """Every revision writes the list of 2,000 fields anew."""
    pdf = PdfWriter(extra={1000 + i: b"<< /FT /Tx /T (f%d) /V (x) >>" % i for i in range(2000)})
    pdf.fields = list(range(1000, 3000))
    pdf.update({1: pdf.catalog()})
    pdf.sign(pki, room=ROOM)
    return _catalog_again(pdf, size)


@hostile(20, 200, 1_500)
def signatures_removed_from_many_fields(pki: test_pki.Pki, size: int) -> bytes:
    """Many revisions, each with its own form and a dictionary that later fields do not hold."""
    pdf = PdfWriter(extra={1000 + i: b"<< /FT /Sig /T (f%d) >>" % i for i in range(500)})
    parts, at, prev = [], len(pdf.data), pdf.prev or 0
    listed = b" ".join(b"%d 0 R" % (1000 + i) for i in range(500))
    for index in range(size):
        objects = {
            1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%s %d 0 R] >> >>" % (listed, 5000 + 2 * index),
            5000 + 2 * index: b"<< /FT /Sig /T (S%d) /V %d 0 R >>" % (index, 5001 + 2 * index),
            5001 + 2 * index: FAKE % (10, 20, index),
        }
        out, rows = b"", b""
        for number, value in objects.items():
            rows += b"%d 1\n%010d 00000 n \n" % (number, at + len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, value)
        table = at + len(out)
        part = out + b"xref\n%strailer\n<< /Size 9000 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
            rows,
            prev,
            table,
        )
        parts.append(part)
        at += len(part)
        prev = table
    return pdf.data + b"".join(parts)


# Objects that take turns: small revisions that make a reader compare large values again and again


def turns(pdf: PdfWriter, size: int, first: dict[int, bytes], second: dict[int, bytes]) -> bytes:
    """`size` revisions after those of `pdf` that write `first` and `second` in turn."""
    parts, at, prev = [], len(pdf.data), pdf.prev or 0
    for index in range(size):
        body = rows = b""
        for number, value in (first if index % 2 else second).items():
            rows += b"%d 1\n%010d 00000 n \n" % (number, at + len(body))
            body += b"%d 0 obj\n%s\nendobj\n" % (number, value)
        table = at + len(body)
        parts.append(
            b"%sxref\n%strailer\n<< /Size %d /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
            % (body, rows, pdf.size, prev, table)
        )
        at += len(parts[-1])
        prev = table
    return pdf.data + b"".join(parts)


def lists_of(size: int) -> dict[int, bytes]:
    """Two equal lists of as many references, as objects 50 and 51, and what they refer to from 100 on."""
    listed = b"[%s]" % b" ".join(b"%d 0 R" % (100 + i) for i in range(size))
    return {50: listed, 51: listed[:-1] + b" ]"}


@hostile(10, 300, 3_000)
def annotation_lists_take_turns(pki: test_pki.Pki, size: int) -> bytes:
    note = b"<< /Type /Annot /Subtype /Text /Rect [%d 500 %d 520] /Contents (x) >>"
    extra = lists_of(2000) | {100 + i: note % (i, i + 9) for i in range(2000)}
    extra[51] = b"[%s]" % b" ".join(b"%d 0 R" % (100 + i) for i in range(1999, 1000, -1))
    pdf = PdfWriter(extra=extra)
    pdf.sign(pki, room=ROOM)
    page = b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Annots %d 0 R >>"
    return turns(pdf, size, {3: page % 50}, {3: page % 51})


@hostile(10, 300, 3_000)
def form_lists_take_turns(pki: test_pki.Pki, size: int) -> bytes:
    pdf = PdfWriter(extra=lists_of(2000) | {100 + i: b"<< /FT /Tx /T (f%d) >>" % i for i in range(2000)})
    pdf.sign(pki, room=ROOM)
    catalog = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /SigFlags 3 /Fields %d 0 R >> >>"
    return turns(pdf, size, {1: catalog % 50}, {1: catalog % 51})


@hostile(10, 300, 3_000)
def page_lists_take_turns(pki: test_pki.Pki, size: int) -> bytes:
    pdf = PdfWriter(extra=lists_of(2000) | {100 + i: b"<< /Type /Page /Parent 2 0 R >>" for i in range(2000)})
    pdf.sign(pki, room=ROOM)
    tree = b"<< /Type /Pages /Count 2000 /Kids %d 0 R >>"
    return turns(pdf, size, {2: tree % 50}, {2: tree % 51})


@hostile(10, 300, 3_000)
def pages_without_parents_take_turns(pki: test_pki.Pki, size: int) -> bytes:
    """Where a page stands can only be told by walking the whole tree, which each revision makes another one."""
    extra = {100 + i: b"<< /Type /Page /Contents 4 0 R >>" for i in range(2000)}
    kids = b" ".join(b"%d 0 R" % n for n in extra)
    pdf = PdfWriter(extra=extra | {2: b"<< /Type /Pages /Count 2001 /Kids [%s 3 0 R] >>" % kids})
    pdf.sign(pki, room=ROOM)
    page = b"<< /Type /Page /Contents 4 0 R /Rotate %d >>"
    return turns(pdf, size, {2099: page % 90}, {2099: page % 180})


@hostile(10, 300, 3_000)
def stores_take_turns(pki: test_pki.Pki, size: int) -> bytes:
    pdf = PdfWriter(extra=lists_of(2000) | {100: stream(pki.cert("person"))})
    pdf.sign(pki, room=ROOM)
    catalog = pdf.catalog()[:-3] + b" /DSS << /Certs %d 0 R >> >>"
    return turns(pdf, size, {1: catalog % 50}, {1: catalog % 51})


@hostile(10, 300, 3_000)
def tags_take_turns(pki: test_pki.Pki, size: int) -> bytes:
    extra = lists_of(2000) | {100 + i: b"<< /S /P /P 52 0 R /K %d >>" % i for i in range(2000)}
    pdf = PdfWriter(extra=extra, catalog=b" /StructTreeRoot 52 0 R")
    pdf.sign(pki, room=ROOM)
    root = b"<< /Type /StructTreeRoot /K %d 0 R /ParentTree << /Nums %d 0 R >> >>"
    return turns(pdf, size, {52: root % (50, 50)}, {52: root % (51, 51)})


@hostile(10, 300, 3_000)
def equal_values_behind_references(pki: test_pki.Pki, size: int) -> bytes:
    """Many objects are written again, each with a reference to another copy of one large value."""
    large = b"[%s]" % (b"1 " * 20_000)
    extra = {50: large, 51: large} | {100 + i: b"<< /X 50 0 R /Y 50 0 R >>" for i in range(size)}
    pdf = PdfWriter(extra=extra)
    pdf.sign(pki, room=ROOM)
    pdf.update({100 + i: b"<< /X 51 0 R /Y 51 0 R >>" for i in range(size)})
    return pdf.data


# Objects that many others refer to: who uses what a revision touches is asked again and again


@hostile(10, 300, 3_000)
def object_named_often_takes_turns(pki: test_pki.Pki, size: int) -> bytes:
    """One array names an object 100,000 times; each revision writes that object anew."""
    named = b"[%s]" % (b"50 0 R " * 100_000)
    pdf = PdfWriter(extra={50: b"<< /X 0 >>", 51: named}, catalog=b" /PieceInfo 51 0 R")
    pdf.sign(pki, room=ROOM)
    return turns(pdf, size, {50: b"<< /X 1 >>"}, {50: b"<< /X 2 >>"})


@hostile(10, 300, 3_000)
def object_with_many_users_takes_turns(pki: test_pki.Pki, size: int) -> bytes:
    """As before by 20,000 objects that the catalog leads to."""
    users = {100 + i: b"<< /A 50 0 R >>" for i in range(20_000)}
    named = b"[%s]" % b" ".join(b"%d 0 R" % number for number in users)
    pdf = PdfWriter(extra=users | {50: b"<< /X 0 >>", 51: named}, catalog=b" /PieceInfo 51 0 R")
    pdf.sign(pki, room=ROOM)
    return turns(pdf, size, {50: b"<< /X 1 >>"}, {50: b"<< /X 2 >>"})


@hostile(10, 300, 3_000)
def object_that_nothing_shown_uses_takes_turns(pki: test_pki.Pki, size: int) -> bytes:
    """As before by a chain of 20,000 objects that nothing leads to."""
    users = {100 + i: b"<< /A %d 0 R >>" % (100 + i + 1) for i in range(20_000)}
    pdf = PdfWriter(extra=users | {20_100: b"<< /X 0 >>"})
    pdf.sign(pki, room=ROOM)
    return turns(pdf, size, {20_100: b"<< /X 1 >>"}, {20_100: b"<< /X 2 >>"})


@hostile(10, 100, 400)
def revisions_that_list_what_they_touch(pki: test_pki.Pki, size: int) -> bytes:
    """Every revision writes the list of 2,000 fields anew; the last one writes all fields."""
    pdf = PdfWriter(extra={1000 + i: b"<< /FT /Tx /T (f%d) /V (x) >>" % i for i in range(2000)})
    pdf.fields = list(range(1000, 3000))
    pdf.update({1: pdf.catalog()})
    pdf.sign(pki, room=ROOM)
    pdf.data = turns(pdf, size, {1: pdf.catalog()}, {1: pdf.catalog()[:-3] + b" >>"})
    pdf.prev = int(pdf.data[pdf.data.rindex(b"startxref") + 9 :].split()[0])
    pdf.update({1000 + i: b"<< /FT /Tx /T (f%d) /V (y) >>" % i for i in range(2000)})
    return pdf.data


__all__ = ["turns"]
