"""Cross-references, revisions and objects of whole files, ordinary and hostile."""

from __future__ import annotations

import re
import subprocess
import time
import zlib
from pathlib import Path

import pytest

from signsvc.formats.pdf import Document, EncryptedError, LimitError, PdfError, Ref, Stream
from signsvc.formats.pdf.headers import headers
from signsvc.formats.pdf.xref import PACKED, PLAIN
from tests.pdf_writer import PdfWriter


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
def test_every_kind_of_cross_reference(style: str) -> None:
    pdf = PdfWriter(pages=4, style=style)
    document = Document(pdf.data)
    assert document.repair is None
    assert len(document.last.pages()) == 4
    content = document.last.get(Ref(4, 0))
    assert isinstance(content, Stream)
    assert content.decode().startswith(b"BT")
    assert document.last.get(Ref(5, 0))["BaseFont"] == "Times-Roman"  # type: ignore[index,call-overload]


@pytest.mark.parametrize("first", ["table", "stream", "hybrid"])
@pytest.mark.parametrize("then", ["table", "stream", "hybrid"])
def test_each_revision_has_its_own_view(first: str, then: str) -> None:
    pdf = PdfWriter(pages=2, style=first)
    end = len(pdf.data)
    pdf.update({5: b"<< /BaseFont /Courier >>", 20: b"(new)"}, style=then)
    pdf.update({20: b"(newer)"}, free=(5,))
    document = Document(pdf.data)
    assert document.repair is None
    old, middle, last = document.revisions
    assert (old.end, old.eof) == (end, end - 1)
    assert [r.value({"x": Ref(20, 0)}, "x") for r in document.revisions] == [None, b"new", b"newer"]
    assert [bool(r.get(Ref(5, 0))) for r in document.revisions] == [True, True, False]
    assert old.get(Ref(5, 0))["BaseFont"] == "Times-Roman"  # type: ignore[index,call-overload]
    assert middle.get(Ref(5, 0))["BaseFont"] == "Courier"  # type: ignore[index,call-overload]
    assert {5, 20} <= set(middle.own_numbers())
    assert set(last.own_numbers()) == {5, 20}
    assert [index for index, _ in document.history(20)] == [1, 2]
    assert document.revision_ending(end) is old
    assert document.revision_ending(end - 1) is old
    assert document.revision_ending(end - 2) is None


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "plain.pdf"
    path.write_bytes(
        PdfWriter(pages=12, extra={200: b"(Xin ch\\303\\240o)", 201: b"[200 0 R]"}, catalog=b" /X 201 0 R").data
    )
    return path


def qpdf(source: Path, *arguments: str) -> bytes:
    target = source.with_name("out.pdf")
    subprocess.run(["qpdf", *arguments, str(source), str(target)], check=True, capture_output=True)
    return target.read_bytes()


@pytest.mark.parametrize("streams", ["disable", "generate"])
def test_linearized_files_are_one_revision(sample: Path, streams: str) -> None:
    data = qpdf(sample, "--linearize", f"--object-streams={streams}")
    document = Document(data)
    assert document.repair is None
    assert len(document.revisions) == 1
    assert len(document.last.pages()) == 12
    assert document.last.end == len(data)
    pdf = PdfWriter()
    pdf.data, pdf.prev, pdf.size = data, int(re.findall(rb"startxref\s+(\d+)", data)[-1]), 500
    root = document.last.root
    assert root is not None
    pdf.update({400: b"(later)"})
    pdf.data = pdf.data.replace(b"/Root 1 0 R /Prev", b"/Root %d 0 R /Prev" % root.num)
    again = Document(pdf.data)
    assert again.repair is None
    assert [r.get(Ref(400, 0)) for r in again.revisions] == [None, b"later"]
    assert again.revisions[0].end == len(data)


@pytest.mark.parametrize(
    "arguments",
    [
        ("40",),
        ("128",),
        ("128", "--use-aes=y"),
        ("128", "--force-V4"),
        ("128", "--cleartext-metadata", "--use-aes=y"),
        ("256",),
        ("256", "--force-R5"),
    ],
)
@pytest.mark.parametrize("streams", ["disable", "generate"])
def test_encrypted_files_open_without_a_password(sample: Path, arguments: tuple[str, ...], streams: str) -> None:
    data = qpdf(
        sample, "--allow-weak-crypto", f"--object-streams={streams}", "--encrypt", "", "owner", *arguments, "--"
    )
    document = Document(data)
    assert document.repair is None
    (text,) = document.last.array(document.last.catalog["X"])
    assert document.last.resolve(text) == b"Xin ch\xc3\xa0o"
    content = document.last.value(document.last.pages()[0][1], "Contents")
    assert isinstance(content, Stream)
    assert b"72 720 Td" in content.decode()


def test_unknown_password(sample: Path) -> None:
    data = qpdf(sample, "--encrypt", "secret", "owner", "256", "--")
    with pytest.raises(EncryptedError):
        Document(data)
    assert Document(data, password=b"secret").repair is None


# Files that are broken, and files made to cost.


def test_trailing_octets() -> None:
    pdf = PdfWriter()
    assert Document(pdf.data + b" \r\n").trailing is None
    assert Document(pdf.data + b"\n1 0 obj").trailing == len(pdf.data) + 1


@pytest.mark.parametrize(
    "change",
    [
        lambda d: re.sub(rb"startxref\n\d+", b"startxref\n7", d),
        lambda d: re.sub(rb"startxref\n\d+", b"startxref\n99999999", d),
        lambda d: d.replace(b"startxref", b"startxxxx"),
        lambda d: d.replace(b"xref\n0 ", b"xrxf\n0 "),
        lambda d: d.replace(b"/Root 1 0 R", b"/Root 9 0 R"),
        lambda d: re.sub(rb"/Root 1 0 R", b"/Root 1 0 R /Prev 99999", d),
        lambda d: re.sub(rb"(startxref\n)(\d+)", rb"\1\2", d.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev (x)")),
    ],
)
def test_files_that_need_repair_say_so(change) -> None:  # type: ignore[no-untyped-def]
    document = Document(change(PdfWriter().data))
    assert document.repair is not None
    assert document.revisions == ()
    with pytest.raises(PdfError):
        _ = document.last


def test_prev_to_itself() -> None:
    data = PdfWriter().data
    at = int(re.findall(rb"startxref\n(\d+)", data)[-1])
    document = Document(data.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % at))
    assert document.repair == "cross-reference sections form a loop"


def xref_stream(widths: bytes, index: bytes, rows: bytes) -> bytes:
    raw = zlib.compress(rows)
    body = (
        b"%%PDF-1.7\n1 0 obj\n<< /Type /XRef /Size 9 /W %s /Index %s /Root 1 0 R /Filter /FlateDecode /Length %d >>\n"
        b"stream\n%s\nendstream\nendobj\n"
    ) % (widths, index, len(raw), raw)
    return body + b"startxref\n9\n%%EOF\n"


@pytest.mark.parametrize(
    ("widths", "index", "rows"),
    [
        (b"[0 0 0]", b"[0 1000000000]", b""),
        (b"[1 0 0]", b"[0 10000000]", b""),
        (b"[1 2 1]", b"[0 5000000]", bytes(20_000_000)),
        (b"[1 2 1]", b"[0 1 0 1]", bytes(8)),
        (b"[1 2 1]", b"[0 -1]", bytes(8)),
        (b"[1 99 1]", b"[0 1]", bytes(200)),
        (b"[1 2 1]", b"[999999999 1]", bytes(4)),
    ],
)
def test_cross_reference_streams_made_to_cost(widths: bytes, index: bytes, rows: bytes) -> None:
    began = time.process_time()
    limit = ""
    try:
        assert Document(xref_stream(widths, index, rows)).repair is not None
    except LimitError as error:
        limit = error.limit
    assert limit in ("", "rows", "decoded")
    assert time.process_time() - began < 1


def test_many_sections() -> None:
    pdf = PdfWriter()
    for _ in range(1000):
        pdf.update({5: b"<< >>"})
    began = time.process_time()
    document = Document(pdf.data)
    assert len(document.revisions) == 1001
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "objects",
    [
        {9: b"<< /Length 9 0 R >>\nstream\nabc\nendstream"},
        {9: b"<< /Length 10 0 R >>\nstream\nabc\nendstream", 10: b"<< /Length 9 0 R >>\nstream\nabc\nendstream"},
        {9: b"<< /Length 99 >>\nstream\nabc\nendstream"},
        {9: b"<< /Length -1 >>\nstream\nabc\nendstream"},
        {9: b"<< >>\nstream\nabc\nendstream"},
        {9: b"<< /Length 3 /Filter 9 0 R >>\nstream\nabc\nendstream"},
    ],
)
def test_streams_without_a_sound_length(objects: dict[int, bytes]) -> None:
    stream = Document(PdfWriter(extra=objects).data).last.get(Ref(9, 0))
    assert isinstance(stream, Stream)
    with pytest.raises(PdfError):
        stream.decode()


def test_reference_chains_end() -> None:
    chain = {n: b"%d 0 R" % (n + 1) for n in range(100, 5100)}
    document = Document(PdfWriter(extra={**chain, 9: b"9 0 R"}).data)
    for number in (9, 100):
        with pytest.raises(PdfError):
            document.last.resolve(Ref(number, 0))


def test_page_trees_with_shared_nodes_and_loops() -> None:
    nodes = {n: b"<< /Kids [%d 0 R %d 0 R] >>" % (n + 1, n + 1) for n in range(100, 140)}
    nodes[140] = b"<< /Type /Pages /Kids [3 0 R 100 0 R 2 0 R] >>"
    nodes[2] = b"<< /Type /Pages /Kids [100 0 R] >>"
    assert len(Document(PdfWriter(extra=nodes).data).last.pages()) == 1


def test_the_length_of_each_revision_counts() -> None:
    pdf = PdfWriter(extra={9: b"<< /Length 10 0 R >>\nstream\nabcdef\nendstream", 10: b"6"})
    pdf.update({10: b"99"})
    first, second = (r.get(Ref(9, 0)) for r in Document(pdf.data).revisions)
    assert isinstance(first, Stream)
    assert first.decode() == b"abcdef"
    assert isinstance(second, Stream)
    with pytest.raises(PdfError):
        second.decode()


@pytest.mark.parametrize("buffer", [
    b"12 0 obj", b"x 12 0 obj<<", b"9 12\t\r\n0\x00obj ", b"endobj\n1234567890 12345 obj[", b"12 0  obj",
    b"99 12" + b" " * 500 + b"0" + b"\n" * 5000 + b"obj", b"2 0 R 12 0 obj\n3 0 object endobj obj 0obj",
    b"0123456789012 0 obj 12 123456 obj 3 0obj 12 0 %c\nobj 3obj 0  0 obj",
])  # fmt: skip
def test_headers_are_found_where_the_pattern_finds_them(buffer: bytes) -> None:
    pattern = re.compile(rb"(?<![0-9])\d{1,10}+[\x00\t\n\x0c\r ]++\d{1,5}+[\x00\t\n\x0c\r ]++obj(?![A-Za-z0-9])")
    for end in (len(buffer), len(buffer) - 1):
        assert list(headers(buffer, 0, end)) == [found.start() for found in pattern.finditer(buffer, 0, end)]


def test_headers_are_found_in_a_stretch() -> None:
    buffer = b"77 0 obj (12 0 obj) 4 0 obj"
    assert list(headers(buffer, 1, len(buffer))) == [1, 10, 20]
    assert list(headers(buffer, 10, 18)) == [10]


def test_an_object_that_is_too_large_is_read_once() -> None:
    document = Document(PdfWriter(extra={9: b"[" + b"null " * 600_000 + b"]"}).data)
    for _ in range(50):
        with pytest.raises(PdfError) as raised:
            document.last.get(Ref(9, 0))
        assert not isinstance(raised.value, LimitError)
    assert document.last.catalog["Type"] == "Catalog"


def test_what_is_kept_is_bounded() -> None:
    large = b"[" + b"/Name " * 90_000 + b"]"
    document = Document(PdfWriter(extra={20 + n: large for n in range(20)}).data)
    for n in range(20):
        document.last.get(Ref(20 + n, 0))
        assert sum(len(value) for value in document._cache.values() if isinstance(value, list)) < 1_100_000


def test_comments_between_trailer_and_startxref() -> None:
    data = PdfWriter().data.replace(b"startxref", b"%iText-5.5.13\nstartxref")
    assert Document(data).repair is None


def test_rows_of_nineteen_octets() -> None:
    data = re.sub(rb"(\d{10} \d{5} [nf]) \n", rb"\1\n", PdfWriter().data)
    assert Document(data).repair is None
    assert len(Document(data).last.pages()) == 1


def test_an_empty_second_table_that_names_a_stream() -> None:
    """The shape that a widespread office program saves: all objects again in a stream, an empty table beside it."""
    pdf = PdfWriter(pages=2)
    first = pdf.prev
    pdf.update({9: b"(packed)"}, style="stream")
    stream_at = pdf.prev
    body = pdf.data[: pdf.data.rindex(b"startxref")]
    at = len(body)
    data = body + (
        b"xref\r\n0 0\r\ntrailer\r\n<</Size %d /Root 1 0 R /Prev %d /XRefStm %d>>\r\nstartxref\r\n%d\r\n%%%%EOF"
        % (pdf.size, first, stream_at, at)
    )
    document = Document(data)
    assert document.repair is None
    assert [r.get(Ref(9, 0)) for r in document.revisions] == [None, b"packed"]
    assert document.last.end == len(data)
    assert len(document.last.pages()) == 2


@pytest.mark.parametrize("offset", [2**63, 2**64 - 1])
def test_offsets_that_no_file_reaches(offset: int) -> None:
    pdf = PdfWriter()
    rows = b"\1" + offset.to_bytes(8, "big") + b"\0\0"
    section = (
        b"60 0 obj\n<< /Type /XRef /Size 61 /W [1 8 2] /Index [%d 1] /Length 11 /Root 1 0 R /Prev %d >>\nstream\n%s\n"
        b"endstream\nendobj\nstartxref\n%d\n%%%%EOF\n"
    )
    data = pdf.data + section % (4, pdf.prev or 0, rows, len(pdf.data))
    with pytest.raises(PdfError):
        Document(data).last.get(Ref(4, 0))
    # where it is the catalog, the file needs repair
    assert Document(pdf.data + section % (1, pdf.prev or 0, rows, len(pdf.data))).repair is not None


def test_objects_far_behind_their_object_stream() -> None:
    packed = b"<< /Type /ObjStm /N 1 /First %d /Length 6 >>\nstream\n4 0 42\nendstream" % 2**63
    pdf = PdfWriter(extra={30: packed})
    rows = b"\2\0\0\0\x1e\0\0"
    data = pdf.data + (
        b"60 0 obj\n<< /Type /XRef /Size 61 /W [1 4 2] /Index [4 1] /Length 7 /Root 1 0 R /Prev %d >>\nstream\n%s\n"
        b"endstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (pdf.prev or 0, rows, len(pdf.data))
    )
    with pytest.raises(PdfError):
        Document(data).last.get(Ref(4, 0))


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
def test_rows_in_bulk_say_what_rows_one_by_one_say(style: str) -> None:
    extra = {n: b"<< /N %d >>" % n for n in range(20, 40)}
    pdf = PdfWriter(extra=extra, style=style)
    pdf.update({21: b"[1]", 50: b"<< /Length 1 >>\nstream\nx\nendstream"}, style=style, free=(22,))
    for revision in Document(pdf.data).revisions:
        for section in revision.sections:
            for rows in (section.rows, section.hidden) if section.hidden else (section.rows,):
                for block in rows.blocks:
                    for kind in (PLAIN, PACKED):
                        one_by_one = [e.where for n in range(block.size) if (e := rows.entry(block, n)).kind == kind]
                        found = list(rows.wheres(block, kind))
                        assert sorted(set(found)) == sorted(set(one_by_one))
                        assert kind == PACKED or found == one_by_one


def test_malformed_rows_are_left_out_in_bulk() -> None:
    data = PdfWriter(extra=dict.fromkeys(range(20, 40), b"<< >>")).data
    at = data.index(b"00000 n", data.rindex(b"xref\n", 0, data.rindex(b"startxref")) + 200)
    data = data[:at] + b"0x000 n" + data[at + 7 :]
    rows = Document(data).last.sections[0].rows
    sound = []
    for block in rows.blocks:
        for offset in range(block.size):
            try:
                entry = rows.entry(block, offset)
            except PdfError:
                continue
            sound += [entry.where] * (entry.kind == PLAIN)
    assert [where for block in rows.blocks for where in rows.wheres(block, PLAIN)] == sound
    assert len(sound) == rows.count - 2  # the first one is free


@pytest.mark.parametrize(("depth", "pages"), [(200, 1), (300, None)])
def test_a_page_tree_has_a_bounded_depth(depth: int, pages: int | None) -> None:
    extra = {100 + n: b"<< /Type /Pages /Kids [%d 0 R] >>" % (101 + n) for n in range(depth)}
    extra |= {100 + depth: b"<< /Type /Page >>", 2: b"<< /Type /Pages /Count 1 /Kids [100 0 R] >>"}
    last = Document(PdfWriter(extra=extra).data).last
    if pages is not None:
        assert len(last.pages()) == pages
    else:
        with pytest.raises(PdfError, match="too deep"):
            last.pages()
