"""Containers with XAdES: made, added to, raised, judged; and what was done to their files is told."""

from __future__ import annotations

import io
import zipfile
from urllib.parse import quote

import pytest

from signsvc.errors import DocumentError, RequestError
from signsvc.formats import asic, xades
from signsvc.formats.asic import extend
from signsvc.formats.asic.write import AsicSpec, Kind, prepare, prepare_further
from signsvc.formats.zip import open_container
from signsvc.types import Original
from tests.unit.formats.asic.asic_bench import FILES, AsicBench, E, S, packed, repacked, unpacked
from tests.unit.formats.xades.xades_bench import codes, outcome, passed

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
PDF = "văn bản.pdf"
SIGNATURES = "META-INF/signatures001.xml"


@pytest.fixture(scope="module")
def signed(asic_bench: AsicBench) -> bytes:
    return asic_bench.sign(media_types=("application/pdf", "text/plain"))


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("level", LEVELS)
def test_every_kind_reaches_every_level(asic_bench: AsicBench, kind: Kind, level: str) -> None:
    made = asic_bench.sign(FILES[:1] if kind is Kind.S else FILES, kind=kind)
    before = unpacked(made)
    if level != "B-B":
        made = asic_bench.raised(made, level)
    verdict = asic_bench.judge(made, evidence=[] if level in ("B-LT", "B-LTA") else None)
    passed(verdict, level)
    assert not {f.code for f in verdict.findings if f.code.startswith(("zip", "asic"))}
    signature = verdict.signatures[0]
    assert signature.format == "XAdES"
    assert signature.scope.type == "FULL"
    files = FILES[:1] if kind is Kind.S else FILES
    assert [(one.kind, one.name, one.matches, one.size) for one in signature.covered] == [
        ("file", file.name, True, file.size) for file in files
    ]
    assert asic.read(made).media_type == (S if kind is Kind.S else E)
    after = unpacked(made)
    assert [name for name in after if after[name] != before[name]] == ([] if level == "B-B" else [list(after)[-1]])


def test_other_programs_can_open_it(signed: bytes) -> None:
    assert signed[30:38] == b"mimetype"
    assert signed[38 : 38 + len(E)] == E.encode()
    with zipfile.ZipFile(io.BytesIO(signed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["mimetype", *(f.name for f in FILES), "META-INF/manifest.xml", SIGNATURES]
        listed = archive.read("META-INF/manifest.xml").decode()
    assert 'full-path="văn bản.pdf" manifest:media-type="application/pdf"' in listed
    xml = unpacked(signed)[SIGNATURES].decode()
    for file in FILES:
        assert f'URI="{quote(file.name, safe="/+")}"' in xml
    media = asic.read(signed).signatures[0].covered
    assert [one.media_type for one in media] == ["application/pdf", "text/plain", "application/octet-stream"]


@pytest.mark.parametrize("kind", list(Kind))
def test_further_signatures_leave_the_first_alone(asic_bench: AsicBench, kind: Kind) -> None:
    first = asic_bench.sign(FILES[:1] if kind is Kind.S else FILES, kind=kind)
    first = asic_bench.raised(first, "B-LTA")
    both = asic_bench.further(first)
    passed(asic_bench.judge(both), "B-LTA", "B-B")
    one, two = open_container(first), open_container(both)
    for entry in one.entries:
        other = two.find(entry.name)
        assert other is not None
        if entry.name != "META-INF/signatures.xml":
            assert first[entry.start : entry.end] == both[other.start : other.end]
    ids = [view.field for view in asic.read(both).signatures]
    raised = extend.signature_timestamp(both, asic_bench.xml.stamp(asic_bench.xml.day(13)), signature_id=ids[1])
    passed(asic_bench.judge(raised), "B-LTA", "B-T")
    with pytest.raises(RequestError):
        extend.signature_timestamp(both, asic_bench.xml.stamp(asic_bench.xml.day(13)), signature_id="sig-none")
    third = asic_bench.further(raised, "ec")
    passed(asic_bench.judge(third), "B-LTA", "B-T", "B-B")


def test_two_archive_timestamps_outlive_the_certificates(asic_bench: AsicBench) -> None:
    """The signer's, its CA's and the first authority's certificates have expired; that of the second has not."""
    bench = asic_bench.xml
    bench.pki.add("asic-ca", "ca-public1", not_after=bench.day(400))
    bench.pki.add("asic-signer", "person", issuer="asic-ca", not_after=bench.day(200))
    bench.pki.add("asic-tsa", "tsa1", issuer="asic-ca", not_after=bench.day(250))
    made = extend.signature_timestamp(asic_bench.sign(label="asic-signer"), bench.stamp(bench.day(10), "asic-tsa"))
    made = extend.validation_data(made, bench.status("asic-signer", "asic-tsa", at=bench.day(11)))
    once = extend.archive_timestamp(made, bench.stamp(bench.day(12), "asic-tsa"))
    twice = extend.validation_data(once, bench.status("asic-tsa", at=bench.day(240)))
    twice = extend.archive_timestamp(twice, bench.stamp(bench.day(241)))
    now = bench.day(500)
    today = bench.status("tsa1", at=now)
    passed(asic_bench.judge(twice, evidence=today, now=now), "B-LTA")
    assert outcome(asic_bench.judge(once, evidence=today, now=now))[0][0] == "INDETERMINATE"
    changed = asic_bench.judge(repacked(twice, {PDF: b"other"}), evidence=today, now=now)
    assert outcome(changed)[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")


def test_changed_missing_renamed_and_added_files_are_told(asic_bench: AsicBench, signed: bytes) -> None:
    changed = asic_bench.judge(repacked(signed, {PDF: b"other"}))
    assert outcome(changed)[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")
    assert ("asic_file_altered", PDF) in {(f.code, f.data.get("name")) for f in changed.signatures[0].findings}
    assert [one.matches for one in changed.signatures[0].covered] == [False, True, True]

    gone = asic_bench.judge(repacked(signed, {PDF: None}))
    assert outcome(gone)[0][:2] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    assert "asic_file_missing" in codes(gone)
    assert "asic_file_renamed" not in codes(gone)

    renamed = asic_bench.judge(repacked(signed, {}, {PDF: "khác.pdf"}))
    assert outcome(renamed)[0][:2] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    found = {f.code: dict(f.data) for f in renamed.signatures[0].findings}
    assert found["asic_file_renamed"]["name"] == "khác.pdf"
    assert found["asic_file_uncovered"]["name"] == "khác.pdf"

    added = asic_bench.judge(repacked(signed, {"thêm.txt": b"new"}))
    passed(added, "B-B")
    assert added.signatures[0].scope.type == "PARTIAL"
    assert [f.data["name"] for f in added.signatures[0].findings if f.code == "asic_file_uncovered"] == ["thêm.txt"]

    many = asic_bench.judge(repacked(signed, {f"{n}.txt": b"new" for n in range(30)}))
    left = [f for f in many.signatures[0].findings if f.code in ("asic_file_uncovered", "asic_files_uncovered")]
    assert len(left) == 21
    assert left[-1].data["count"] == 10


def test_a_signature_over_none_of_the_files_is_refused(asic_bench: AsicBench) -> None:
    from tests.unit.formats.xades.xades_bench import Packaging

    alone = asic_bench.xml.sign(None, packaging=Packaging.ENVELOPING, files=(Original("x", b"inside"),))
    verdict = asic_bench.judge(packed(E, [("a.txt", b"shown"), (SIGNATURES, alone)]))
    assert outcome(verdict)[0][:2] == ("TOTAL-FAILED", "FORMAT_FAILURE")
    assert {"asic_nothing_covered", "asic_signatures_root"} <= codes(verdict)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (None, "asic_mimetype_missing"),
        (E.encode() + b"\n", "asic_mimetype_inexact"),
        (b"text/plain", "asic_mimetype_unknown"),
    ],
)
def test_what_the_mimetype_is_short_of_is_a_finding(
    asic_bench: AsicBench, signed: bytes, written: bytes | None, code: str
) -> None:
    verdict = asic_bench.judge(repacked(signed, {"mimetype": written}))
    passed(verdict, "B-B")
    assert code in {f.code for f in verdict.findings}


def test_the_place_of_the_mimetype_is_a_finding(asic_bench: AsicBench, signed: bytes) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in reversed(unpacked(signed).items()):
            archive.writestr(name, data)
    verdict = asic_bench.judge(out.getvalue())
    passed(verdict, "B-B")
    assert "asic_mimetype_place" in {f.code for f in verdict.findings}


def test_two_files_in_an_asic_s_are_a_format_failure(asic_bench: AsicBench) -> None:
    made = asic_bench.sign(FILES[:1], kind=Kind.S)
    verdict = asic_bench.judge(repacked(made, {"thêm.txt": b"second"}))
    assert outcome(verdict)[0][:2] == ("TOTAL-FAILED", "FORMAT_FAILURE")
    assert str(verdict.indication) == "TOTAL-FAILED"


def test_a_signature_file_that_cannot_be_read_hides_no_other(asic_bench: AsicBench, signed: bytes) -> None:
    verdict = asic_bench.judge(
        repacked(signed, {"META-INF/signatures000.xml": b"<broken", "META-INF/signatures2.xml": b"<a/>"})
    )
    passed(verdict, "B-B")
    assert str(verdict.indication) == "TOTAL-FAILED"
    assert {"asic_signature_file_unreadable", "asic_signature_file_empty"} <= {f.code for f in verdict.findings}


def test_names_in_code_pages_and_plus_signs(asic_bench: AsicBench) -> None:
    raw = "Übung.txt".encode("cp852")
    name = raw.decode("cp437")
    for reference in ("Übung.txt", name):
        made = asic_bench.sign((Original(reference, b"content"), Original("a+b.txt", b"plus")))
        # The name as old programs write it: octets of their code page, not marked as UTF-8.
        container = unpacked(made)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for held, data in container.items():
                archive.writestr("n" * len(raw) if held == reference else held, data)
        verdict = asic_bench.judge(out.getvalue().replace(b"n" * len(raw), raw))
        passed(verdict, "B-B")
    swapped = asic_bench.judge(repacked(made, {}, {"a+b.txt": "a b.txt"}))
    assert "asic_file_missing" in codes(swapped)


def test_a_changed_octet_never_passes_with_changed_content(asic_bench: AsicBench) -> None:
    small = asic_bench.sign((Original("a.txt", b"noi dung"),))
    container = open_container(small)
    entry = container.entries[1]
    truth = container.read(entry)
    for at in range(entry.start, entry.end):
        made = bytearray(small)
        made[at] ^= 0x20
        try:
            view = asic.read(bytes(made))
        except DocumentError:
            continue
        signer = view.signatures[0].signer
        assert signer is None or signer.digest_matches is not True or unpacked(bytes(made)).get("a.txt") == truth


def test_what_cannot_be_made_is_refused(asic_bench: AsicBench, signed: bytes) -> None:
    plan = asic_bench.xml.plan()
    for files in ((), FILES, (Original("d/a.txt", b""),), (Original("a", None),)):
        with pytest.raises(RequestError):
            prepare(files, plan, AsicSpec(kind=Kind.S))
    for name in ("META-INF/x", "mimetype", "../x", "meta-inf/x", "a/", "/a", "a\\b"):
        with pytest.raises(DocumentError):
            prepare((Original(name, b""),), plan)
    with pytest.raises(DocumentError):
        prepare((Original("a", b"1"), Original("a", b"2")), plan)
    with pytest.raises(DocumentError, match="container_not_asic"):
        prepare_further(packed("text/plain", [("a", b"")]), plan)
    with pytest.raises(DocumentError, match="container_not_extendable"):
        prepare_further(packed(E, [("a", b""), ("META-INF/signature.p7s", b"")]), plan)
    with pytest.raises(DocumentError, match="container_not_extendable"):
        extend.signature_timestamp(packed(E, [("a", b"")]), lambda *_: b"")
    assert asic.read(packed(E, [("a", b"")])).signatures == ()


def test_the_parts_stand_alone(signed: bytes) -> None:
    """The signature file is XAdES by itself, over the files given beside it."""
    view = xades.read(unpacked(signed)[SIGNATURES], originals=FILES)
    assert view.signatures[0].signer is not None
    assert view.signatures[0].signer.digest_matches is True
