"""What must hold of signed files of every level and build, whatever octet is changed, cut off or added.

A file passes only where every signature covers what its signer signed and nothing undefined came after; whatever else
is said, it is said by a verdict or by a `DocumentError`.
"""

from __future__ import annotations

import io
import os
import random
import re
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import test_pki
from signsvc.formats import cms
from tests.attacks.verdicts import AUTHORITIES, Document, Judge
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import ROOM, claiming, maker, stamp, token, values

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
EXAMPLES = 1_500 if FULL else 100
EVERY = 1 if FULL else 10  # one octet in so many
FILES = 23
STYLES = ("table", "stream", "hybrid")
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
REWRITTEN = {
    "linearized": ("--linearize",),
    "linearized and packed": ("--linearize", "--object-streams=generate"),
    "rc4": ("--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=n", "--"),
    "aes128": ("--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=y", "--"),
    "aes256": ("--encrypt", "", "owner", "256", "--"),
}
CERTIFIED = b" /Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << /Type /TransformParams /V /1.2 /P %d >> >>]"
IDENTIFIER = rb"/ID ?\[ ?<[0-9a-f]*> ?<[0-9a-f]*> ?\]"
BLANKS = b"\0\t\n\f\r "
ONE = st.integers(0, FILES - 1)
PLACE = st.floats(0, 1, exclude_max=True)

repeatable = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not FULL,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Bench:
    judge: Judge
    documents: dict[str, Document]
    # of each document: what each signature or timestamp covers, by its id
    ranges: dict[str, dict[str, list[list[int]]]]

    def pick(self, number: int) -> str:
        return sorted(self.documents)[number]

    def codes(self, data: bytes) -> set[str]:
        return _codes(self.judge.report(data))


def _codes(value: Any) -> set[str]:
    """Codes of all findings of a report."""
    if isinstance(value, list):
        return {code for item in value for code in _codes(item)}
    if not isinstance(value, dict):
        return set()
    own = {value["code"]} if "code" in value and "level" in value else set()
    return own | {code for item in value.values() for code in _codes(item)}


@pytest.fixture(scope="module")
def bench(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    directory = tmp_path_factory.mktemp("properties")
    judge = Judge(pki, directory, supplied=AUTHORITIES)
    files = {f"{level} {style}": _signed(pki, level, style) for level in LEVELS for style in STYLES}
    files |= {name: _rewritten(pki, directory, options) for name, options in REWRITTEN.items()}
    files["two signatures"] = _signed(pki, "B-LT", "table", before=_signed(pki, "B-T", "stream"))
    files["two archives"] = _signed(pki, "B-LTA", "stream", before=_signed(pki, "B-LTA", "table"))
    tight = PdfWriter()
    tight.sign(pki, room=8_500)
    tight.update({1: tight.catalog()})
    for level in (1, 2, 3):
        files[f"certified {level}"] = _signed(pki, "B-T", "table", extra=CERTIFIED % level)
    files["tight"] = tight
    documents = {name: judge.document(name, _octets(file)) for name, file in files.items()}
    ranges = {}
    for name, document in documents.items():
        report = judge.report(document.data)
        ranges[name] = {
            found["id"]: found["scope"]["byte_ranges"]
            for found in (*report["signatures"], *report["timestamps"])
            if found.get("scope")
        }
    return Bench(judge, documents, ranges)


def _octets(file: PdfWriter | bytes) -> bytes:
    return file if isinstance(file, bytes) else file.data


def _signed(
    pki: test_pki.Pki, level: str, style: str, *, extra: bytes = b"", before: PdfWriter | None = None
) -> PdfWriter:
    at = pki.epoch + timedelta(days=9)
    tokens = [] if level == "B-B" else [token(pki, at)]
    pdf = before or PdfWriter(pages=2, style=style)
    name = f"Signature{len(pdf.fields)}"
    pdf.sign(pki, name=name, style=style, room=ROOM // 2, extra=claiming(at) + extra, cms=maker(pki, tokens=tokens))
    if level in ("B-LT", "B-LTA"):
        pdf.store(pki, values=values(pki, "person", "tsa1", at=at + timedelta(minutes=1)))
    if level == "B-LTA":
        stamp(pdf, pki, token(pki, at + timedelta(minutes=2)), name=f"Stamp{len(pdf.fields)}")
    return pdf


def _rewritten(pki: test_pki.Pki, directory: Path, options: tuple[str, ...]) -> bytes:
    """What qpdf makes of a file, signed by pyHanko."""
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers

    source, made = directory / "source.pdf", directory / "made.pdf"
    source.write_bytes(PdfWriter(pages=2).data)
    subprocess.run(["qpdf", *options, str(source), str(made)], check=True, capture_output=True)
    writer = IncrementalPdfFileWriter(io.BytesIO(made.read_bytes()))
    if writer.prev.encrypted:
        writer.encrypt(b"")
    signer = signers.SimpleSigner.load_pkcs12(str(pki.p12("person")), passphrase=test_pki.pki.PASSWORD)
    assert signer is not None
    metadata = signers.PdfSignatureMetadata(field_name="First", subfilter=fields.SigSeedSubFilter.PADES)
    return bytes(signers.sign_pdf(writer, metadata, signer=signer).getvalue())


def test_every_kind_of_file_is_there_and_passes(bench: Bench) -> None:
    assert len(bench.documents) == len(LEVELS) * len(STYLES) + len(REWRITTEN) + 6 == FILES
    assert b"/Linearized" in bench.documents["linearized"].data
    assert b"/Encrypt" in bench.documents["aes256"].data
    assert len(bench.ranges["two archives"]) == 4
    for document in bench.documents.values():
        assert document.pages is not None
        assert bench.judge.wrong(document, document.data) is None
        assert bench.judge.last == "TOTAL-PASSED"


def _covered(ranges: list[list[int]], place: int) -> bool:
    return any(start <= place < start + length for start, length in ranges)


def _flipped(bench: Bench, name: str, place: int, flip: int) -> None:
    """One octet changed: who covers it fails."""
    document = bench.documents[name]
    data = bytearray(document.data)
    data[place] ^= flip
    about = (name, place, flip)
    assert bench.judge.wrong(document, bytes(data)) is None, about
    touched = {own for own, ranges in bench.ranges[name].items() if _covered(ranges, place)}
    if any(own.startswith("signature") for own in touched):
        assert bench.judge.last != "TOTAL-PASSED", about
    elif touched and bench.judge.last == "TOTAL-PASSED":
        report = bench.judge.report(bytes(data))
        assert not [t for t in report["timestamps"] if t["id"] in touched and t["indication"] == "TOTAL-PASSED"], about


@repeatable
@given(ONE, PLACE, st.integers(1, 255))
def test_a_changed_octet(bench: Bench, number: int, place: float, flip: int) -> None:
    name = bench.pick(number)
    _flipped(bench, name, int(place * len(bench.documents[name].data)), flip)


def test_each_octet_of_one_file(bench: Bench) -> None:
    """Covered, in the gap and behind the end: at full all of them, else each tenth."""
    name = "tight"
    data = bench.documents[name].data
    (ranges,) = bench.ranges[name].values()
    gap = data[ranges[0][1] : ranges[1][0]]
    first, last = ranges[0][1], ranges[1][0]
    value = bytes.fromhex(gap[1:-1].decode())
    end = cms.read(value, subject="s", digest=None).end
    # what the gap holds that is signed, or is the signature
    (signer,) = cms.read(value, subject="s", digest=None).signers
    start = value.index(signer.value.value)
    signed = range(first + 1 + 2 * start, first + 1 + 2 * (start + len(signer.value.value)))
    rng = random.Random(0)
    places = rng.sample(range(len(data)), len(data) // EVERY)
    answers: dict[str, int] = {}
    for place in [first, last - 1, signed[0], signed[-1], first + 2 + 2 * end, last - 2, *places]:
        flip = 1 << (place * 7 % 8)
        _flipped(bench, name, place, flip)
        said = bench.judge.last
        changed = chr(data[place] ^ flip)
        digit = first < place < last - 1 and changed in "0123456789abcdefABCDEF"
        same = digit and changed.lower() == chr(data[place])
        answers[said] = answers.get(said, 0) + 1
        if first <= place < last and not digit:
            assert said == "TOTAL-FAILED", place  # the gap is a hexadecimal string or nothing
        if digit and not same and place in signed:
            assert said == "TOTAL-FAILED", place
        if same:
            assert said == "TOTAL-PASSED", place
        if digit and not same and place > first + 2 * end:
            altered = bytearray(data)
            altered[place] ^= flip
            # octets after the CMS are signed by nobody and are seen
            assert "cms_octets_after" in bench.codes(bytes(altered)), place
    assert {"TOTAL-PASSED", "TOTAL-FAILED"} <= answers.keys()


@repeatable
@given(ONE, PLACE)
def test_cut_off_anywhere(bench: Bench, number: int, place: float) -> None:
    name = bench.pick(number)
    document = bench.documents[name]
    size = 1 + int(place * (len(document.data) - 1))
    cut = document.data[:size]
    assert bench.judge.wrong(document, cut) is None, (name, size)
    ends = sorted(ranges[-1][0] + ranges[-1][1] for ranges in bench.ranges[name].values())
    whole = [end for end in ends if end - 1 <= size]  # the last octet covered is the line break after the end mark
    if bench.judge.last == "TOTAL-PASSED":
        assert whole, (name, size)
        assert not cut[whole[-1] :].strip(BLANKS) or _is_whole_revision(document.data, size), (name, size)
    if whole or re.search(rb"/ByteRange \[[ 0-9]+\]\s*/Contents <[0-9a-f]{1000,}>", cut):
        assert bench.judge.last != "NO-SIGNATURE", (name, size)  # what was signed once is not unsigned


def _is_whole_revision(data: bytes, size: int) -> bool:
    return data[:size].rstrip(BLANKS).endswith(b"%%EOF")


TAILS = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.text("xref trailer<>/01 \n%EOF", min_size=1, max_size=80).map(str.encode),
    st.builds(lambda blanks, tail: bytes(blanks) + tail, st.lists(st.sampled_from(list(BLANKS))), st.binary(min_size=1, max_size=9)),
    st.sampled_from([b"%%EOF\n", b"\nstartxref\n0\n%%EOF\n", b"1 0 obj\n<< >>\nendobj\n", b"\xef\xbb\xbf", b"%"]),
)  # fmt: skip


@repeatable
@given(ONE, TAILS)
def test_octets_added(bench: Bench, number: int, tail: bytes) -> None:
    name = bench.pick(number)
    document = bench.documents[name]
    assert bench.judge.wrong(document, document.data + tail) is None, (name, tail)
    if tail.strip(BLANKS):
        assert bench.judge.last != "TOTAL-PASSED", (name, tail)


@repeatable
@given(ONE, st.lists(st.sampled_from(list(BLANKS)), min_size=1, max_size=2_000).map(bytes))
def test_white_space_added(bench: Bench, number: int, tail: bytes) -> None:
    """It shows nothing and is said to be there."""
    name = bench.pick(number)
    document = bench.documents[name]
    assert bench.judge.wrong(document, document.data + tail) is None, (name, tail)
    assert bench.judge.last == "TOTAL-PASSED", (name, tail)
    if any(ranges[-1][0] + ranges[-1][1] == len(document.data) for ranges in bench.ranges[name].values()):
        assert "document_white_space_after_end" in bench.codes(document.data + tail)


def test_another_file_added(bench: Bench) -> None:
    for name, document in bench.documents.items():
        for other in (bench.documents["B-LTA table"], bench.documents["linearized"], document):
            for between in (b"", b"\n"):
                data = document.data + between + other.data
                assert bench.judge.wrong(document, data) is None, (name, other.name)
                assert bench.judge.last != "TOTAL-PASSED", (name, other.name)


OBJECTS = st.lists(st.tuples(PLACE, PLACE, st.integers(-1, 20), st.integers(0, 9)), min_size=1, max_size=3)


@repeatable
@given(ONE, OBJECTS)
def test_a_revision_added(bench: Bench, number: int, objects: list[tuple[float, float, int, int]]) -> None:
    """Objects of the file in the place of others, in a later revision with right cross-references."""
    document = bench.documents[bench.pick(number)]
    found = re.findall(rb"(?:^|\n)(\d+) 0 obj\s(.{0,3000}?)\s*endobj", document.data, re.DOTALL)
    values = [*(value for _, value in found), b"null", b"[]", b"<< >>"]
    out, rows = bytearray(document.data), {}
    for place, taken, reference, which in objects:
        value = values[int(taken * len(values))]
        if reference >= 0:
            value = _other_reference(value, reference, which)
        own = int(found[int(place * len(found))][0])
        rows[own] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (own, value)
    at = len(out)
    kept = [re.findall(entry, document.data)[-1:] for entry in (rb"/Root \d+ 0 R", rb"/Encrypt \d+ 0 R", IDENTIFIER)]
    last = re.findall(rb"startxref\s+(\d+)", document.data)[-1]
    entries = b" ".join(one for each in kept for one in each)
    out += b"xref\n" + b"".join(b"%d 1\n%010d 00000 n \n" % row for row in sorted(rows.items()))
    out += b"trailer\n<< /Size 400 /Prev %s %s >>\nstartxref\n%d\n%%%%EOF\n" % (last, entries, at)
    assert bench.judge.wrong(document, bytes(out)) is None, document.name


def _other_reference(value: bytes, number: int, which: int) -> bytes:
    found = list(re.finditer(rb"\d+ 0 R", value))
    if not found:
        return value
    at = found[which % len(found)]
    return value[: at.start()] + b"%d 0 R" % number + value[at.end() :]


@repeatable
@given(st.binary(max_size=400), st.sampled_from([b"", b"%PDF-1.7\n"]))
def test_octets_that_were_never_a_document(bench: Bench, octets: bytes, head: bytes) -> None:
    """No exception but ours, nothing passes."""
    document = bench.documents["B-B table"]
    wrong = bench.judge.wrong(document, head + octets or b"\0")
    assert wrong is None
    assert bench.judge.last != "TOTAL-PASSED"
