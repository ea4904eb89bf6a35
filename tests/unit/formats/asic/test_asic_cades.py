"""Containers with CAdES signatures, and with timestamps alone: manifests, renewals, and what was done to the files."""

from __future__ import annotations

import pytest

from signsvc.formats import asic
from signsvc.formats.cades import extend as cades_extend
from signsvc.types import DocumentVerdict, Original
from tests.unit.formats.asic.asic_bench import AsicBench, E, S, manifest, packed, repacked, unpacked
from tests.unit.formats.xades.xades_bench import codes, outcome, passed

FILES = {"a.txt": b"one", "d/b.txt": b"two"}
URIS = {"a.txt": b"one", "d%2Fb.txt": b"two"}


def tokens(verdict: DocumentVerdict) -> list[tuple[str, str | None]]:
    return [(str(t.indication), str(t.sub_indication) if t.sub_indication else None) for t in verdict.timestamps]


def reasons(verdict: DocumentVerdict, number: int) -> set[str]:
    return {f.code for f in verdict.timestamps[number].findings}


@pytest.fixture(scope="module")
def with_manifest(asic_bench: AsicBench) -> bytes:
    listed = manifest("META-INF/signature001.p7s", URIS)
    return packed(
        E,
        [
            *FILES.items(),
            ("META-INF/ASiCManifest001.xml", listed),
            ("META-INF/signature001.p7s", asic_bench.cms(listed)),
        ],
    )


def test_an_asic_e_with_cades(asic_bench: AsicBench, with_manifest: bytes) -> None:
    verdict = asic_bench.judge(with_manifest)
    passed(verdict, "B-B")
    signature = verdict.signatures[0]
    assert (signature.format, signature.scope.type) == ("CAdES", "FULL")
    assert [(one.name, one.matches, one.size, one.media_type) for one in signature.covered] == [
        ("a.txt", True, 3, "text/plain"),
        ("d/b.txt", True, 3, "text/plain"),
    ]


def test_an_asic_s_with_cades(asic_bench: AsicBench) -> None:
    made = packed(S, [("a.txt", b"one"), ("META-INF/signature.p7s", asic_bench.cms(b"one"))])
    verdict = asic_bench.judge(made)
    passed(verdict, "B-B")
    assert [(one.name, one.matches) for one in verdict.signatures[0].covered] == [("a.txt", True)]
    assert verdict.signatures[0].scope.type == "FULL"
    changed = asic_bench.judge(repacked(made, {"a.txt": b"two"}))
    assert outcome(changed)[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")
    without = packed(E, [("a.txt", b"one"), ("META-INF/signature.p7s", asic_bench.cms(b"one"))])
    verdict = asic_bench.judge(without)
    assert outcome(verdict)[0][:2] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    assert "asic_manifest_missing" in codes(verdict)


def test_files_under_a_manifest(asic_bench: AsicBench, with_manifest: bytes) -> None:
    changed = asic_bench.judge(repacked(with_manifest, {"d/b.txt": b"2"}))
    assert outcome(changed)[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")
    gone = asic_bench.judge(repacked(with_manifest, {"a.txt": None}))
    assert outcome(gone)[0][:2] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    renamed = asic_bench.judge(repacked(with_manifest, {}, {"a.txt": "c.txt"}))
    assert {"asic_file_missing", "asic_file_renamed", "asic_file_uncovered"} <= codes(renamed)
    added = asic_bench.judge(repacked(with_manifest, {"new.txt": b"new"}))
    passed(added, "B-B")
    assert added.signatures[0].scope.type == "PARTIAL"
    assert "asic_file_uncovered" in codes(added)
    # A manifest made for the new content is not the one that was signed.
    lying = manifest("META-INF/signature001.p7s", {**URIS, "a.txt": b"uno"})
    forged = asic_bench.judge(repacked(with_manifest, {"a.txt": b"uno", "META-INF/ASiCManifest001.xml": lying}))
    assert outcome(forged)[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")
    # A second manifest for one signature is not used, whichever of the two is over the files.
    doubled = asic_bench.judge(repacked(with_manifest, {"META-INF/ASiCManifest002.xml": lying}))
    assert "asic_manifest_unusable" in {f.code for f in doubled.findings}
    broken = asic_bench.judge(repacked(with_manifest, {"META-INF/ASiCManifest001.xml": b"<x/>"}))
    assert outcome(broken)[0][:2] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    cut = asic_bench.judge(repacked(with_manifest, {"META-INF/signature001.p7s": b"0\x03\x02\x01\x01"}))
    assert outcome(cut)[0][:2] == ("TOTAL-FAILED", "FORMAT_FAILURE")


def test_a_timestamp_alone(asic_bench: AsicBench) -> None:
    made = packed(S, [("a.txt", b"one"), ("META-INF/timestamp.tst", asic_bench.token(b"one", 10))])
    verdict = asic_bench.judge(made)
    assert str(verdict.indication) == "NO-SIGNATURE"
    assert tokens(verdict) == [("TOTAL-PASSED", None)]
    assert asic.read(made).timestamps[0].scope is not None
    assert verdict.timestamps[0].scope is not None
    assert verdict.timestamps[0].scope.type == "FULL"
    changed = asic_bench.judge(repacked(made, {"a.txt": b"two"}))
    assert tokens(changed) == [("TOTAL-FAILED", "HASH_FAILURE")]
    two = asic_bench.judge(repacked(made, {"b.txt": b"two"}))
    assert tokens(two) == [("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")]
    assert "asic_s_files" in {f.code for f in two.findings}


def test_a_timestamp_over_several_files(asic_bench: AsicBench) -> None:
    listed = manifest("META-INF/timestamp001.tst", URIS)
    held = [
        *FILES.items(),
        ("META-INF/ASiCManifest001.xml", listed),
        ("META-INF/timestamp001.tst", asic_bench.token(listed, 10)),
    ]
    verdict = asic_bench.judge(packed(E, held))
    assert tokens(verdict) == [("TOTAL-PASSED", None)]
    more = asic_bench.judge(packed(E, [*held, ("c.txt", b"three")]))
    assert tokens(more) == [("TOTAL-PASSED", None)]
    assert [f.data["name"] for f in more.findings if f.code == "asic_file_uncovered"] == ["c.txt"]


def renewed(asic_bench: AsicBench, first_day: float = 10, again_day: float = 20) -> bytes:
    """A timestamp-only ASiC-S whose token was renewed by a second one over an archive manifest."""
    first = asic_bench.token(b"one", first_day)
    listed = manifest("META-INF/timestamp001.tst", {"a.txt": b"one", "META-INF/timestamp.tst": first})
    return packed(
        S,
        [
            ("a.txt", b"one"),
            ("META-INF/timestamp.tst", first),
            ("META-INF/ASiCArchiveManifest.xml", listed),
            ("META-INF/timestamp001.tst", asic_bench.token(listed, again_day, tsa="tsa2")),
        ],
    )


def test_renewals_of_timestamps(asic_bench: AsicBench) -> None:
    made = renewed(asic_bench)
    assert (
        tokens(asic_bench.judge(made, evidence=asic_bench.xml.status("tsa1", "tsa2", at=asic_bench.xml.now)))
        == [("TOTAL-PASSED", None)] * 2
    )
    view = asic.read(made)
    assert f"timestamp:{view.timestamps[0].id}" in view.timestamps[1].proves
    gone = asic_bench.judge(repacked(made, {"a.txt": None}))
    assert tokens(gone)[1] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    assert "asic_file_missing" in reasons(gone, 1)


def test_a_renewal_keeps_a_token_whose_certificate_has_expired(asic_bench: AsicBench) -> None:
    bench = asic_bench.xml
    bench.pki.add("asic-old-tsa", "tsa1", not_after=bench.day(40))
    first = bench.stamp(bench.day(10), "asic-old-tsa")
    import hashlib

    token = first(hashlib.sha256(b"one").digest(), "sha256")
    alone = packed(S, [("a.txt", b"one"), ("META-INF/timestamp.tst", token)])
    listed = manifest("META-INF/timestamp001.tst", {"a.txt": b"one", "META-INF/timestamp.tst": token})
    made = repacked(
        alone,
        {
            "META-INF/ASiCArchiveManifest.xml": listed,
            "META-INF/timestamp001.tst": asic_bench.token(listed, 35),
        },
    )
    now = bench.day(60)
    evidence = [*bench.status("asic-old-tsa", at=bench.day(35)), *bench.status("tsa1", at=now)]
    assert tokens(asic_bench.judge(made, evidence=evidence, now=now)) == [("TOTAL-PASSED", None)] * 2
    assert tokens(asic_bench.judge(alone, evidence=evidence, now=now))[0][0] != "TOTAL-PASSED"


def test_a_broken_archive_manifest_leaves_the_renewal_alone(asic_bench: AsicBench) -> None:
    """Of two renewals the first is broken: its token fails, the second is judged by what it lists."""
    first = asic_bench.token(b"one", 10)
    one = manifest("META-INF/timestamp001.tst", {"a.txt": b"one", "META-INF/timestamp.tst": first})
    second = asic_bench.token(one, 15)
    broken = one.replace(b"text/plain", b"text/html!")
    two = manifest(
        "META-INF/timestamp002.tst",
        {"a.txt": b"one", "META-INF/timestamp.tst": first, "META-INF/timestamp001.tst": second},
    )
    made = packed(
        S,
        [
            ("a.txt", b"one"),
            ("META-INF/timestamp.tst", first),
            ("META-INF/timestamp001.tst", second),
            ("META-INF/timestamp002.tst", asic_bench.token(two, 20)),
            ("META-INF/ASiCArchiveManifest1.xml", broken),
            ("META-INF/ASiCArchiveManifest.xml", two),
        ],
    )
    assert tokens(asic_bench.judge(made)) == [
        ("TOTAL-PASSED", None),
        ("TOTAL-FAILED", "HASH_FAILURE"),
        ("TOTAL-PASSED", None),
    ]


def test_an_archive_manifest_over_a_signature(asic_bench: AsicBench) -> None:
    listed = manifest("META-INF/signature001.p7s", URIS)
    signature = asic_bench.cms(listed)
    archived = manifest(
        "META-INF/timestamp001.tst",
        {**URIS, "META-INF/ASiCManifest001.xml": listed, "META-INF/signature001.p7s": signature},
    )
    made = packed(
        E,
        [
            *FILES.items(),
            ("META-INF/ASiCManifest001.xml", listed),
            ("META-INF/signature001.p7s", signature),
            ("META-INF/ASiCArchiveManifest001.xml", archived),
            ("META-INF/timestamp001.tst", asic_bench.token(archived, 12)),
        ],
    )
    verdict = asic_bench.judge(made)
    assert outcome(verdict)[0][0] == "TOTAL-PASSED"
    assert tokens(verdict) == [("TOTAL-PASSED", None)]
    assert verdict.signatures[0].best_signature_time == verdict.timestamps[0].gen_time


def test_an_archive_manifest_makes_an_archive_of_a_signature_with_its_data(asic_bench: AsicBench) -> None:
    bench = asic_bench.xml
    listed = manifest("META-INF/signature001.p7s", URIS)
    signature = cades_extend.signature_timestamp(asic_bench.cms(listed), bench.stamp(bench.day(10)))
    signature = cades_extend.validation_data(signature, bench.status("person", "tsa1", at=bench.day(11)))
    names = {"META-INF/ASiCManifest001.xml": listed, "META-INF/signature001.p7s": signature}
    archived = manifest("META-INF/timestamp001.tst", {**URIS, **names})
    token = asic_bench.token(archived, 12, tsa="tsa2")
    held = [*FILES.items(), *names.items()]
    passed(asic_bench.judge(packed(E, held)), "B-LT")
    held += [("META-INF/ASiCArchiveManifest001.xml", archived), ("META-INF/timestamp001.tst", token)]
    evidence = bench.status("person", "tsa1", "tsa2", at=bench.now)
    passed(asic_bench.judge(packed(E, held), evidence=evidence), "B-LTA")
    part = asic_bench.judge(repacked(packed(E, held), {"a.txt": b"1"}), evidence=evidence)
    assert outcome(part)[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")
    assert tokens(part) == [("TOTAL-FAILED", "HASH_FAILURE")]


def test_a_token_over_a_xades_file_proves_its_signatures(asic_bench: AsicBench) -> None:
    made = asic_bench.sign((Original("a.txt", b"one"),))
    held = unpacked(made)
    name = "META-INF/signatures001.xml"
    archived = manifest("META-INF/timestamp001.tst", {"a.txt": b"one", name: held[name]})
    more = {"META-INF/ASiCArchiveManifest.xml": archived, "META-INF/timestamp001.tst": asic_bench.token(archived, 12)}
    verdict = asic_bench.judge(repacked(made, more))
    passed(verdict, "B-B")
    assert verdict.signatures[0].best_signature_time == verdict.timestamps[0].gen_time


def test_several_signature_files_have_names_of_their_own(asic_bench: AsicBench, with_manifest: bytes) -> None:
    listed = manifest("META-INF/signature002.p7s", {"a.txt": b"one"})
    made = repacked(
        with_manifest,
        {"META-INF/ASiCManifest002.xml": listed, "META-INF/signature002.p7s": asic_bench.cms(listed, "agency")},
    )
    verdict = asic_bench.judge(made)
    passed(verdict, "B-B", "B-B")
    assert len({s.id for s in verdict.signatures}) == 2
    assert [s.scope.type for s in verdict.signatures] == ["FULL", "PARTIAL"]
    assert [f.data["name"] for f in verdict.signatures[1].findings if f.code == "asic_file_uncovered"] == ["d/b.txt"]


def test_an_evidence_record_is_said_to_be_unused(asic_bench: AsicBench, with_manifest: bytes) -> None:
    verdict = asic_bench.judge(repacked(with_manifest, {"META-INF/evidencerecord.ers": b"x"}))
    assert "asic_evidence_record_not_used" in {f.code for f in verdict.findings}


def test_originals_of_entries_are_read_when_asked(asic_bench: AsicBench, with_manifest: bytes) -> None:
    from signsvc.formats.asic.files import EntryFile, resolver
    from signsvc.formats.zip import open_container

    found = resolver(open_container(with_manifest))
    original = found("./d%2Fb.txt")
    assert isinstance(original, EntryFile)
    assert isinstance(original, Original)
    assert (original.name, original.data, original.size) == ("d/b.txt", b"two", 3)
    assert original.digest("1.2.3") is None
    assert found("d%252Fb.txt") is None
    assert found("../a.txt") is None
    assert found("") is None
