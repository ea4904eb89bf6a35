"""Objects and filters from octets."""

from __future__ import annotations

import base64
import math
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signsvc.formats.pdf import LimitError, Name, PdfBool, PdfError, PdfString, Ref, filters
from signsvc.formats.pdf.parser import Parser
from signsvc.formats.pdf.stream import Budget


def read(octets: bytes) -> object:
    return Parser(octets, tokens=10_000_000, depth=256).read(0)[0]


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"null", None),
        (b"true", PdfBool.TRUE),
        (b"12 ", 12),
        (b"-7", -7),
        (b"+7", 7),
        (b"1.5", 1.5),
        (b"-.5", -0.5),
        (b"4.", 4.0),
        (b"--3", -3.0),
        (b"/Na#6De", "Name"),
        (b"/", ""),
        (b"(a(b)c)", b"a(b)c"),
        (b"(a\\(b)", b"a(b"),
        (b"(a\\)b)", b"a)b"),
        (b"(\\\\)", b"\\"),
        (b"(\\101\\1012\\7)", b"AA2\x07"),
        (b"(a\\\nb\\\r\nc\rd\r\ne)", b"abc\nd\ne"),
        (b"(a\\n\\r\\t\\b\\f\\q)", b"a\n\r\t\b\fq"),
        (b"()", b""),
        (b"<48 65\n6c6C6>", b"Hell`"),
        (b"<>", b""),
        (b"12 0 R", Ref(12, 0)),
        (b"[12 % c\n 0 R]", [Ref(12, 0)]),
        (b"[1 0 R 2 3 4 0 R]", [Ref(1, 0), 2, 3, Ref(4, 0)]),
        (b"[1 0 RG]", PdfError),
        (b"<</A/B/C[1(x)<</D null>>]>>", {"A": "B", "C": [1, b"x", {"D": None}]}),
        (b"<< /A >>", PdfError),
        (b"<< 1 2 >>", PdfError),
        (b"[ >>", PdfError),
        (b"]", PdfError),
        (b"(abc", PdfError),
        (b"(abc\\", PdfError),
        (b"<4x>", PdfError),
        (b"9" * 5000, PdfError),
        (b"", PdfError),
        (b"% only a comment", PdfError),
        (b"[" * 300, PdfError),
        (b"[" * 100 + b"]" * 100, None),
    ],
)
def test_values(octets: bytes, value: object) -> None:
    if value is PdfError:
        with pytest.raises(PdfError):
            read(octets)
    elif octets.startswith(b"[["):
        read(octets)
    else:
        assert read(octets) == value


def test_types_are_told_apart() -> None:
    assert read(b"true") != 1
    assert read(b"[true]") != [1]
    assert isinstance(read(b"/Name"), Name)
    assert isinstance(read(b"(x)"), PdfString)
    assert type(read(b"1")) is int
    assert read(b"(x)") == read(b"<78>")
    assert read(b"0") == read(b"0.0")


def test_the_budget_of_tokens_holds() -> None:
    with pytest.raises(LimitError):
        Parser(b"[" + b"null " * 1000 + b"]", tokens=500, depth=10).read(0)


@pytest.mark.parametrize("octets", [b"(" * 200_000, b"(" * 200_000 + b")" * 200_000, b"%x\n" * 200_000, b"1 " * 200_000,
                                    b"[" + b"1 0 " * 100_000 + b"]", b"<" * 200_000, b"/" * 200_000])  # fmt: skip
def test_long_input_costs_linear_time(octets: bytes) -> None:
    parser = Parser(octets, tokens=1_000_000, depth=256)
    pos = 0
    try:
        while pos < len(octets):
            _, pos = parser.read(pos)
    except PdfError:
        pass
    assert parser.tokens > 0


@pytest.mark.parametrize("octets", [b"[" + b"null " * 1000 + b"]", b"<<" + b"/K 1 " * 500 + b">>",
                                    b"(" + b"\\n" * 1000 + b")", b"/" + b"a" * 70_000])  # fmt: skip
def test_an_object_that_is_too_large_is_malformed(octets: bytes) -> None:
    parser = Parser(octets, tokens=10_000, depth=10, most=500)
    with pytest.raises(PdfError) as raised:
        parser.read(0)
    assert not isinstance(raised.value, LimitError)


def plainly(octets: bytes) -> object:
    """As it is read where every reference stands by itself."""
    return read(octets.replace(b" R", b"  R"))


@pytest.mark.parametrize("count", [8, 9, 10, 11, 500, 4096 + 9, 4096 + 10, 4096 + 11, 9000])
@pytest.mark.parametrize("after", [b"", b" ", b"(x)", b"/N", b"<< /A 1 0 R >>", b" 7", b" 7 0", b" true", b"%x 1 0 R\n", b"[1 0 R]",
                                   b" 1 0  R 2 0 R", b" 1\n0 R 2 0 R",
                                   b" 12345678901 0 R", b" 1 123456 R"])  # fmt: skip
def test_a_run_of_references_is_what_they_are_one_by_one(count: int, after: bytes) -> None:
    octets = b"[" + b"\n".join(b"%d %d R" % (n % 300, n % 2) for n in range(count)) + after + b"]"
    found = read(octets)
    assert found == plainly(octets)
    assert isinstance(found, list)
    assert found[:count] == [Ref(n % 300, n % 2) for n in range(count)]


@pytest.mark.parametrize("after", [b"x", b" 1 0 Rx", b" 1 0R", b" 1 0 R.", b" R"])
def test_a_run_of_references_hides_no_mistake(after: bytes) -> None:
    octets = b"[" + b" ".join(b"%d 0 R" % n for n in range(50)) + after + b"]"
    for way in (read, plainly):
        with pytest.raises(PdfError):
            way(octets)


def test_a_dictionary_takes_no_run_of_references() -> None:
    with pytest.raises(PdfError, match="key"):
        read(b"<< /A" + b" 1 0 R" * 51 + b">>")


def test_references_that_are_known_cost_an_eighth_but_count_in_their_object() -> None:
    octets = b"[" + b" ".join(b"%d 0 R" % n for n in range(2000)) + b"]"
    parser = Parser(octets, tokens=100_000, depth=10)
    spent = []
    for _ in range(2):
        before = parser.tokens
        parser.read(0)
        spent.append(before - parser.tokens)
    assert spent[0] > 2000
    assert spent[1] < 300
    narrow = Parser(octets, tokens=100_000, depth=10, most=1500)
    for _ in range(2):
        with pytest.raises(PdfError, match="object too large"):
            narrow.read(0)
    scarce = Parser(octets, tokens=1000, depth=10)
    with pytest.raises(LimitError):
        scarce.read(0)


def test_escapes_cost_tokens() -> None:
    for octets in (b"(" + b"\\n" * 500 + b")", b"(" + b"\r" * 500 + b")", b"/" + b"#41" * 500):
        parser = Parser(octets, tokens=10_000, depth=10)
        parser.read(0)
        assert parser.tokens < 9_500


def test_parsers_of_two_buffers_share_names() -> None:
    parser = Parser(b"<< /Type /Page >>", tokens=1000, depth=10)
    first, _ = parser.read(0)
    second, _ = parser.beside(b"<< /Type /Pa#67e >>").read(0)
    assert first == second == {"Type": Name("Page")}
    assert [type(key) for value in (first, second) for key in value] == [str, str]  # type: ignore[union-attr]


@pytest.mark.parametrize("key", [b"1", b"(A)", b"[/A]", b"<< /A 1 >>", b"1 0 R", b"true", b"null", b"0.5"])
def test_keys_are_names(key: bytes) -> None:
    parser = Parser(b"<< /A 1 /B 2 >> << " + key + b" 1 >>", tokens=1000, depth=10)
    _, pos = parser.read(0)
    with pytest.raises(PdfError, match="no name"):
        parser.read(pos)


def test_positions_of_strings() -> None:
    octets = b"<< /A (x) /B << /Contents <00ff> >> /C [(y)] >>"
    spans: list = []
    value, _ = Parser(octets, tokens=1000, depth=10).read(0, None, spans)
    found = {span.key: octets[span.start : span.end] for span in spans}
    assert found == {"A": b"(x)", "Contents": b"<00ff>"}
    assert next(span.owner for span in spans if span.key == "Contents") is value["B"]  # type: ignore[index,call-overload]


def test_duplicate_keys_are_counted() -> None:
    parser = Parser(b"<< /A 1 /#41 2 >>", tokens=1000, depth=10)
    assert parser.read(0)[0] == {"A": 2}
    assert parser.duplicates == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_nothing_but_our_errors(octets: bytes) -> None:
    try:
        read(octets)
    except PdfError:
        pass


# Filters.


def decode(raw: bytes, limit: int = 1 << 20, most: int = 160 << 20, **entries: object) -> bytes:
    return filters.decode(raw, entries, limit, Budget(most, most).spend)  # type: ignore[arg-type]


@pytest.mark.parametrize("predictor", range(5))
def test_png_predictors(predictor: int) -> None:
    rows = [bytes((7 * i + 3 * j) & 255 for j in range(10)) for i in range(6)]
    out, above = b"", bytes(10)
    for row in rows:
        line = bytearray()
        for i, octet in enumerate(row):
            left = row[i - 2] if i >= 2 else 0
            corner = above[i - 2] if i >= 2 else 0
            p = left + above[i] - corner
            nearest = min((abs(p - left), 0, left), (abs(p - above[i]), 1, above[i]), (abs(p - corner), 2, corner))[2]
            line.append((octet - (0, left, above[i], (left + above[i]) // 2, nearest)[predictor]) & 255)
        out += bytes([predictor]) + line
        above = row
    parameters = {"Predictor": 15, "Columns": 5, "Colors": 2}
    assert decode(zlib.compress(out), Filter=Name("FlateDecode"), DecodeParms=parameters) == b"".join(rows)


def test_chains_and_other_filters() -> None:
    text = b"Some text, some more text." * 9
    packed = zlib.compress(text)
    assert decode(packed.hex().encode() + b">", Filter=[Name("ASCIIHexDecode"), Name("Fl")]) == text
    assert decode(base64.a85encode(packed) + b"~>", Filter=[Name("ASCII85Decode"), Name("FlateDecode")]) == text
    assert decode(b"\x02abc\xfed\x80", Filter=Name("RunLengthDecode")) == b"abcddd"
    assert decode(bytes.fromhex("800b6050220c0c8501"), Filter=Name("LZWDecode")) == bytes.fromhex(
        "2d2d2d2d2d412d2d2d42"
    )
    assert decode(b"as is") == b"as is"


@pytest.mark.parametrize(
    ("raw", "name"),
    [(b"zz", "FlateDecode"), (b"xx>", "ASCIIHexDecode"), (b"{|}", "ASCII85Decode"), (b"x", "NoDecode")],
)
def test_malformed_data(raw: bytes, name: str) -> None:
    with pytest.raises(PdfError):
        decode(raw, Filter=Name(name))


def test_bombs_are_stopped() -> None:
    bomb = zlib.compress(bytes(50 << 20))
    with pytest.raises(LimitError):
        decode(bomb, limit=1 << 20, Filter=Name("FlateDecode"))
    with pytest.raises(LimitError):
        decode(zlib.compress(bomb), limit=1 << 20, Filter=[Name("FlateDecode")] * 2)
    with pytest.raises(LimitError):
        decode(b"", Filter=[Name("FlateDecode")] * 20)
    with pytest.raises(LimitError):
        decode(b"\x81x" * 20_000, limit=1 << 20, Filter=Name("RunLengthDecode"))


@pytest.mark.parametrize(
    ("raw", "names", "parameters"),
    [
        (b" " * (9 << 20), ["ASCIIHexDecode"], {}),
        (b"\x80\x40\x20\x10\x08\x04\x02\x01\x00" * 60_000, ["LZWDecode"], {}),  # begins anew with each code
        (b"\xff" * 500_000, ["RunLengthDecode"], {}),
        (b"zzzzz" * 100_000, ["ASCII85Decode"], {}),
        ((b"\x04" + bytes(1000)) * 500, [], {"Predictor": 15, "Columns": 1000}),
        (bytes(500_000), [], {"Predictor": 2, "Columns": 1000}),
    ],
)
def test_what_no_octet_comes_of_is_counted(raw: bytes, names: list[str], parameters: dict[str, int]) -> None:
    """Steps that cost and yield little, or whose yield a later step swallows."""
    listed = [Name("FlateDecode"), *map(Name, names)]
    with pytest.raises(LimitError):
        decode(zlib.compress(raw), limit=10 << 20, most=9 << 20, Filter=listed, DecodeParms=[parameters])


def test_what_is_inflated_before_an_error_is_counted() -> None:
    damaged = zlib.compress(bytes(5 << 20))[:-4] + b"oops"
    budget = Budget(160 << 20, 48 << 20)
    with pytest.raises(PdfError):
        filters.decode(damaged, {"Filter": Name("FlateDecode")}, budget.most, budget.spend)
    assert 150 << 20 < budget.left < 155 << 20


def test_numbers_are_finite() -> None:
    value = read(b"1" + b"0" * 20 + b".5")
    assert isinstance(value, float)
    assert math.isfinite(value)
