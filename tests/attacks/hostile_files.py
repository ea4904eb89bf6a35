"""Files made to cost: one generator per class of attack, each for three sizes, written here octet by octet.

`CLASSES` names for each class its generator and the three numbers it takes: one an ordinary file might have, one at
which stock readers hang, and one beyond every limit.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import test_pki
from tests.pdf_writer import HEADER, PdfWriter

Make = Callable[[test_pki.Pki, int], bytes]
ROOM = 12_000


@dataclass(frozen=True)
class HostileClass:
    make: Make
    sizes: tuple[int, int, int]


CLASSES: dict[str, HostileClass] = {}


def hostile(*sizes: int) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        assert len(sizes) == 3
        CLASSES[make.__name__] = HostileClass(make, sizes)  # type: ignore[arg-type]
        return make

    return register


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def deflated(data: bytes, entries: bytes = b"") -> bytes:
    return stream(zlib.compress(data, 9), b"/Filter /FlateDecode " + entries)


def zeros(count: int) -> bytes:
    """`count` zero octets, deflated, without ever standing in memory."""
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    return (
        b"".join(packer.compress(block[: min(1 << 20, count - at)]) for at in range(0, count, 1 << 20)) + packer.flush()
    )


def signed(
    pki: test_pki.Pki, extra: dict[int, bytes] | None = None, *, fields: tuple[int, ...] = (), catalog: bytes = b"",
    pages: int = 1, update: dict[int, bytes] | None = None, cms: Callable[[bytes], bytes] | None = None,
) -> bytes:  # fmt: skip
    """A file with `extra` objects, `fields` in its form, a signature, and an `update` after it; `cms` makes the
    structure for the SHA-256 of the covered octets."""
    pdf = PdfWriter(pages=pages, extra=extra, catalog=catalog)
    pdf.fields.extend(fields)
    if cms is None:
        pdf.sign(pki, room=ROOM)
    else:
        made = cms(bytes(32))
        written = pdf.sign(pki, room=2 * len(made) + 1000, cms=made)
        data = pdf.data
        value = cms(hashlib.sha256(data[: written.before] + data[written.after :]).digest()).hex().encode()
        pdf.data = data[: written.before + 1] + value.ljust(2 * len(made) + 1000, b"0") + data[written.after - 1 :]
    if update is not None:
        pdf.update(update)
    return pdf.data


def tail(body: bytes, at: int) -> bytes:
    return HEADER + body + b"startxref\n%d\n%%%%EOF\n" % (len(HEADER) + at)


# Cross-reference sections


@hostile(100_000, 10_000_000, 1_000_000_000)
def xref_rows_of_no_width(pki: test_pki.Pki, size: int) -> bytes:
    return tail(b"1 0 obj\n" + stream(b"", b"/Type /XRef /Size 5 /Root 2 0 R /W [0 0 0] /Index [0 %d]" % size), 0)


@hostile(100_000, 5_000_000, 40_000_000)
def xref_rows_deflated(pki: test_pki.Pki, size: int) -> bytes:
    raw = zeros(4 * size)
    entries = b"/Type /XRef /Size %d /Root 2 0 R /W [1 2 1] /Filter /FlateDecode" % size
    return tail(b"1 0 obj\n" + stream(raw, entries) + b"\nendobj\n", 0)


@hostile(10, 200, 2000)
def xref_rows_deflated_in_many_sections(pki: test_pki.Pki, size: int) -> bytes:
    raw = zeros(4 * 20_000)
    body, prev = b"", b""
    for _ in range(size):
        at = len(HEADER) + len(body)
        entries = b"/Type /XRef /Size 20000 /Root 2 0 R /W [1 2 1] /Filter /FlateDecode" + prev
        body += b"1 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (stream(raw, entries), at)
        prev = b" /Prev %d" % at
    return HEADER + body


def revision_of_rows(pki: test_pki.Pki, count: int, row: bytes) -> bytes:
    """A signed file, and a revision whose cross-references say `row` of `count` objects."""
    pdf = PdfWriter()
    pdf.sign(pki, room=ROOM)
    at = len(pdf.data)
    entries = b"/Type /XRef /Size %d /Root 1 0 R /W [1 4 1] /Index [100 %d] /Prev %d" % (
        count + 100,
        count,
        pdf.prev or 0,
    )
    body = deflated(row * count, entries)
    return pdf.data + b"%d 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (count + 100, body, at)


@hostile(10_000, 390_000, 1_900_000)
def free_rows_in_a_later_revision(pki: test_pki.Pki, size: int) -> bytes:
    return revision_of_rows(pki, size, b"\0" * 6)


@hostile(10_000, 119_000, 1_900_000)
def rows_in_a_later_revision(pki: test_pki.Pki, size: int) -> bytes:
    """All of them lead to one object, which is another one."""
    return revision_of_rows(pki, size, b"\1\0\0\0\x0f\0")


@hostile(10_000, 990_000, 1_900_000)
def loose_rows(pki: test_pki.Pki, size: int) -> bytes:
    """A table whose rows are read one by one, since they are not 20 octets each."""
    table = b"".join(b"%d 0 n\n" % n for n in range(10_000, 10_000 + size))
    body = b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    rows = b"xref\n1 %d\n%strailer\n<< /Size %d /Root 1 0 R >>\n" % (size, table, size + 1)
    return tail(body + rows, len(body))


@hostile(1_000, 20_000, 100_000)
def sections_in_a_chain(pki: test_pki.Pki, size: int) -> bytes:
    body = [
        HEADER,
        b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] >>\nendobj\n",
    ]
    at, prev = sum(map(len, body)), b""
    for _ in range(size):
        part = b"xref\n1 1\n%010d 00000 n \ntrailer\n<< /Size 3 /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (
            len(HEADER), prev, at)  # fmt: skip
        prev = b" /Prev %d" % at
        body.append(part)
        at += len(part)
    return b"".join(body)


@hostile(10**4, 10**9, 10**300)
def numbers_that_promise_much(pki: test_pki.Pki, size: int) -> bytes:
    """Sizes, counts and first numbers that a reader might allocate for."""
    objects = deflated(b"9 0 null", b"/Type /ObjStm /N %d /First 4 /Extends 50 0 R" % size)
    pdf = PdfWriter(extra={50: objects, 51: b"<< /Type /Pages /Count %d /Kids [3 0 R] >>" % size})
    pdf.sign(pki, room=ROOM)
    pdf.update({4: stream(b"BT ET")}, trailer=b" /Size %d" % size)
    return pdf.data


@hostile(100, 10_000, 1_000_000)
def prev_to_itself_and_forward(pki: test_pki.Pki, size: int) -> bytes:
    data = signed(pki)
    at = len(data)
    return data + b"xref\n0 0\ntrailer\n<< /Root 1 0 R /Prev %d >>\n%s\nstartxref\n%d\n%%%%EOF\n" % (
        at,
        b" " * size,
        at,
    )


# Shared and circular nodes


@hostile(16, 24, 2000)
def fields_listed_twice(pki: test_pki.Pki, size: int) -> bytes:
    extra = {100 + i: b"<< /T (n) /Kids [%d 0 R %d 0 R] >>" % (101 + i, 101 + i) for i in range(size)}
    extra[100 + size] = b"<< /T (end) /FT /Sig /Kids [100 0 R] >>"
    return signed(pki, extra, fields=(100,), update={5: b"<< >>"})


@hostile(100, 5_000, 50_000)
def fields_in_depth(pki: test_pki.Pki, size: int) -> bytes:
    extra = {100 + i: b"<< /T (name) /Kids [%d 0 R] >>" % (101 + i) for i in range(size)}
    extra[100 + size] = b"<< /T (end) /FT /Tx >>"
    return signed(pki, extra, fields=(100,), update={100 + size: b"<< /T (end) /FT /Tx /V (x) >>"})


@hostile(10, 100, 1000)
def fields_with_long_names_in_depth(pki: test_pki.Pki, size: int) -> bytes:
    name = b"n" * 20_000
    extra = {
        100 + i: b"<< /T (%s) /Kids [%d 0 R %d 0 R] >>" % (name, 101 + i, 10_000 + i) for i in range(size)
    } | {10_000 + i: b"<< /T (leaf) /FT /Sig >>" for i in range(size)}  # fmt: skip
    return signed(pki, extra, fields=(100,), update={10_000: b"<< /T (leaf) /FT /Sig /F 4 >>"})


@hostile(16, 24, 2000)
def objects_shared_below_the_catalog(pki: test_pki.Pki, size: int) -> bytes:
    extra = {100 + i: b"[%d 0 R %d 0 R]" % (101 + i, 101 + i) for i in range(size)}
    extra[100 + size] = b"(end)"
    return signed(pki, extra, catalog=b" /Names 100 0 R", update={100 + size: b"(changed)"})


@hostile(16, 24, 2000)
def pages_listed_twice(pki: test_pki.Pki, size: int) -> bytes:
    extra = {100 + i: b"<< /Type /Pages /Kids [%d 0 R %d 0 R] >>" % (101 + i, 101 + i) for i in range(size)}
    extra[100 + size] = b"<< /Type /Page /Parent 100 0 R >>"
    extra[2] = b"<< /Type /Pages /Count 1 /Kids [3 0 R 100 0 R] >>"
    return signed(pki, extra, update={100 + size: b"<< /Type /Page /Parent 2 0 R /Rotate 90 >>"})


@hostile(100, 5_000, 100_000)
def pages_in_depth(pki: test_pki.Pki, size: int) -> bytes:
    extra = {100 + i: b"<< /Type /Pages /Parent %d 0 R /Kids [%d 0 R] >>" % (99 + i, 101 + i) for i in range(size)}
    extra[100 + size] = b"<< /Type /Page /Parent %d 0 R >>" % (99 + size)
    extra[2] = b"<< /Type /Pages /Count 1 /Kids [3 0 R 100 0 R] >>"
    return signed(pki, extra, update={100 + size: b"<< /Type /Page /Parent %d 0 R /Rotate 90 >>" % (99 + size)})


@hostile(100, 1_000, 5_000)
def annotations_shared_by_pages(pki: test_pki.Pki, size: int) -> bytes:
    """One list of annotations under every page: pages times annotations."""
    first, listed = 10 + size, 9 + size
    extra = {
        first + i: b"<< /Type /Annot /Subtype /Text /Rect [%d 500 %d 520] /Contents (x) >>" % (i, i + 20)
        for i in range(size)
    }
    extra[listed] = b"[%s]" % b" ".join(b"%d 0 R" % (first + i) for i in range(size))
    pdf = PdfWriter(pages=size, extra=extra)
    shared = {
        pdf._page_number(i): b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Annots %d 0 R >>" % listed
        for i in range(1, size)
    }
    pdf.update(shared)
    pdf.sign(pki, room=ROOM)
    number = pdf.new()
    pdf.update({number: b"<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (y) >>",
                listed: extra[listed][:-1] + b" %d 0 R]" % number})  # fmt: skip
    return pdf.data


@hostile(100, 10_000, 1_000_000)
def one_kid_many_times(pki: test_pki.Pki, size: int) -> bytes:
    extra = {2: b"<< /Type /Pages /Count 1 /Kids [%s] >>" % (b"3 0 R " * size)}
    return signed(pki, extra, update={4: stream(b"BT ET")})


@hostile(500, 5_000, 50_000)
def references_in_a_chain(pki: test_pki.Pki, size: int) -> bytes:
    extra = {100 + i: b"%d 0 R" % (101 + i) for i in range(size)} | {100 + size: b"<< /T (x) /FT /Sig >>"}
    return signed(pki, extra, fields=(100,), catalog=b" /Names 100 0 R", update={100 + size: b"<< /T (y) /FT /Sig >>"})


@hostile(1, 100, 10_000)
def lengths_that_wait_for_themselves(pki: test_pki.Pki, size: int) -> bytes:
    extra = {100 + i: b"<< /Length %d 0 R >>\nstream\nx\nendstream" % (100 + (i + 1) % size) for i in range(size)}
    return signed(
        pki, extra, catalog=b" /Metadata 100 0 R", update={1: b"<< /Type /Catalog /Pages 2 0 R /Metadata 100 0 R >>"}
    )


@hostile(2, 100, 5_000)
def object_streams_inside_each_other(pki: test_pki.Pki, size: int) -> bytes:
    """The rows say that each object stream stands inside the next, the last inside the first."""
    pdf = PdfWriter()
    rows = b"".join(bytes([2]) + (100 + (i + 1) % size).to_bytes(4, "big") + bytes(2) for i in range(size))
    at = len(pdf.data)
    raw = zlib.compress(rows)
    number = 100 + size
    pdf.data += (
        b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 2] /Index [100 %d] /Filter /FlateDecode /Length %d /Root 100 0 R"
        b" /Prev %d >>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n"
    ) % (number, number + 1, size, len(raw), pdf.prev or 0, raw, at)
    return pdf.data


# Long and deep values


@hostile(50_000, 2_000_000, 10_000_000)
def nulls(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {9: b"<< /FT /Tx /T (x) /X [" + b"null " * size + b"] >>"}, fields=(9,), update={5: b"<< >>"})


@hostile(50_000, 5_000_000, 20_000_000)
def parentheses(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {9: b"<< /FT /Tx /T " + b"(" * size + b")" * size + b" >>"}, fields=(9,))


@hostile(50_000, 5_000_000, 20_000_000)
def parentheses_never_closed(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {9: b"<< /FT /Tx /T " + b"(" * size + b" >>"}, fields=(9,))


@hostile(50_000, 5_000_000, 40_000_000)
def escapes_in_strings(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {9: b"<< /FT /Tx /T (" + b"\\n" * (size // 2) + b") >>"}, fields=(9,), update={5: b"<< >>"})


@hostile(50_000, 5_000_000, 40_000_000)
def escapes_in_names(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {9: b"<< /FT /Tx /T (x) /" + b"#41" * (size // 3) + b" 1 >>"}, fields=(9,))


@hostile(50_000, 5_000_000, 100_000_000)
def one_long_string(pki: test_pki.Pki, size: int) -> bytes:
    update = {9: b"<< /FT /Tx /T (x) /V (y) >>"}
    return signed(pki, {9: b"<< /FT /Tx /T (x) /V <" + b"41" * (size // 2) + b"> >>"}, fields=(9,), update=update)


@hostile(10_000, 1_000_000, 4_000_000)
def comments(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {9: b"<< /FT /Tx " + b"%abcdefgh\n" * size + b" >>"}, fields=(9,))


@hostile(500, 50_000, 5_000_000)
def nested_arrays(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {9: b"<< /FT /Tx /X " + b"[" * size + b"]" * size + b" >>"}, fields=(9,))


@hostile(500, 50_000, 1_000_000)
def nested_dictionaries(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, {9: b"<</A" * size + b" 1 " + b">>" * size}, fields=(9,))


@hostile(5_000, 500_000, 10_000_000)
def digits(pki: test_pki.Pki, size: int) -> bytes:
    extra = {9: b"<< /FT /Sig /T (x) /Rect [0 0 %s 1.%s] >>" % (b"9" * size, b"9" * size)}
    return signed(pki, extra, fields=(9,), update={9: extra[9][:-3] + b"/F 4 >>"})


@hostile(1_000, 100_000, 2_000_000)
def keys_of_one_dictionary(pki: test_pki.Pki, size: int) -> bytes:
    body = b"".join(b"/K%d %d" % (i, i) for i in range(size))
    return signed(pki, {9: b"<< /FT /Tx /T (x) " + body + b" >>"}, fields=(9,), update={9: b"<< /FT /Tx /T (x) >>"})


@hostile(10_000, 500_000, 4_000_000)
def words_that_look_like_objects(pki: test_pki.Pki, size: int) -> bytes:
    junk = b"1 0 obj /ByteRange endobj "
    return signed(pki, {9: stream(junk * (size // 4)), 10: b"(" + junk * (size // 4) + b")"}, update={5: b"<< >>"})


@hostile(10_000, 500_000, 4_000_000)
def white_space_inside_references(pki: test_pki.Pki, size: int) -> bytes:
    return signed(
        pki, {9: b"[4" + b" " * size + b"0" + b"\n" * size + b"R]"}, catalog=b" /Names 9 0 R", update={5: b"<< >>"}
    )


@hostile(10_000, 500_000, 4_000_000)
def white_space_and_comments_after_the_end(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki) + b" " * size + b"%" + b"%" * size + b"\n" + b"startxref " * (size // 100)


# Filters


@hostile(1 << 20, 100 << 20, 1 << 30)
def bomb_in_an_object_stream(pki: test_pki.Pki, size: int) -> bytes:
    raw = zeros(size)
    body = stream(raw, b"/Type /ObjStm /N 5 /First 100 /Filter /FlateDecode")
    pdf = PdfWriter(extra={50: body})
    at = len(pdf.data)
    rows = bytes([2, 0, 0, 0, 50, 0, 0])
    pdf.data += (
        b"52 0 obj\n<< /Type /XRef /Size 60 /W [1 4 2] /Index [51 1] /Length 7 /Root 51 0 R /Prev %d >>\nstream\n%s\n"
        b"endstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (pdf.prev or 0, rows, at)
    )
    return pdf.data


@hostile(1, 3, 200)
def bombs_in_the_store(pki: test_pki.Pki, size: int) -> bytes:
    raw = zeros(45 << 20)
    pdf = PdfWriter()
    pdf.sign(pki, room=ROOM)
    first = pdf.new(size)
    objects = {first + i: stream(raw, b"/Filter /FlateDecode") for i in range(size)}
    pdf.catalog_extra = b" /DSS << /Certs [%s] >>" % b" ".join(b"%d 0 R" % n for n in objects)
    pdf.update({1: pdf.catalog(), **objects})
    return pdf.data


@hostile(2, 4, 200)
def filters_upon_filters(pki: test_pki.Pki, size: int) -> bytes:
    raw = zeros(200 << 20)
    for _ in range(min(size, 6) - 1):
        raw = zlib.compress(raw, 9)
    filters = b"/Filter [%s]" % (b" /FlateDecode" * size)
    pdf = PdfWriter(extra={50: stream(raw, filters)}, catalog=b" /DSS << /CRLs [50 0 R] >> /Metadata 50 0 R")
    pdf.sign(pki, room=ROOM)
    return pdf.data


@hostile(10_000, 1_000_000, 30_000_000)
def run_lengths_and_ascii(pki: test_pki.Pki, size: int) -> bytes:
    extra = {
        50: stream(b"\x81\x00" * (size // 2) + b"\x80", b"/Filter /RunLengthDecode"),
        51: stream(b"z" * size + b"~>", b"/Filter /ASCII85Decode"),
        52: stream(b"0" * size + b">", b"/Filter /ASCIIHexDecode"),
        53: stream(b"\x80" * size, b"/Filter /LZWDecode"),
    }
    pdf = PdfWriter(extra=extra, catalog=b" /DSS << /Certs [50 0 R 51 0 R 52 0 R 53 0 R] >>")
    pdf.sign(pki, room=ROOM)
    return pdf.data


@hostile(1 << 20, 40 << 20, 400 << 20)
def predictor_over_a_bomb(pki: test_pki.Pki, size: int) -> bytes:
    parameters = b"/Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 1 /Colors 1 >>"
    pdf = PdfWriter(extra={50: stream(zeros(size), parameters)}, catalog=b" /DSS << /Certs [50 0 R] >>")
    pdf.sign(pki, room=ROOM)
    return pdf.data


@hostile(1, 10, 100)
def filters_that_yield_nothing(pki: test_pki.Pki, size: int) -> bytes:
    """LZW codes that only begin anew, and white space where digits should be, inflated from little."""
    anew = zlib.compress(b"\x80\x40\x20\x10\x08\x04\x02\x01\x00" * (5 << 20), 9)
    blank = zlib.compress(b" " * (45 << 20), 9)
    extra = {50 + i: stream(anew, b"/Filter [/FlateDecode /LZWDecode]") for i in range(size)}
    extra |= {1050 + i: stream(blank, b"/Filter [/FlateDecode /ASCIIHexDecode]") for i in range(size)}
    listed = b" ".join(b"%d 0 R" % n for n in sorted(extra, reverse=True))
    pdf = PdfWriter(extra=extra, catalog=b" /DSS << /Certs [%s] >>" % listed)
    pdf.sign(pki, room=ROOM)
    return pdf.data


@hostile(1_000, 100_000, 2_000_000)
def objects_in_one_object_stream(pki: test_pki.Pki, size: int) -> bytes:
    head = b"".join(b"%d %d " % (1000 + i, 2 * i) for i in range(size))
    body = deflated(head + b"1 " * size, b"/Type /ObjStm /N %d /First %d" % (size, len(head)))
    pdf = PdfWriter(extra={50: body})
    at = len(pdf.data)
    rows = b"".join(bytes([2, 0, 0, 0, 50]) + min(i, 65535).to_bytes(2, "big") for i in range(size))
    raw = zlib.compress(rows)
    pdf.data += (
        b"60 0 obj\n<< /Type /XRef /Size %d /W [1 4 2] /Index [1000 %d] /Filter /FlateDecode /Length %d /Root 1 0 R"
        b" /Prev %d >>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n"
    ) % (1000 + size, size, len(raw), pdf.prev or 0, raw, at)
    pdf.prev, pdf.size = at, 1000 + size
    pdf.sign(pki, room=ROOM)
    pdf.update({5: b"<< >>"})
    return pdf.data


__all__ = ["CLASSES", "ROOM", "HostileClass", "hostile", "signed", "stream"]
