"""Containers made to pass with other content than was signed, to reach outside, or to cost time."""

from __future__ import annotations

import base64
import hashlib
import time
import tracemalloc

import pytest

from signsvc.errors import DocumentError
from signsvc.formats import asic
from signsvc.formats.zip import File, build
from signsvc.types import Original
from tests.unit.formats.asic.asic_bench import AsicBench, E, S, manifest, packed, repacked, unpacked
from tests.unit.formats.xades.xades_bench import codes, outcome

SIGNATURES = "META-INF/signatures001.xml"


@pytest.fixture(scope="module")
def signed(asic_bench: AsicBench) -> bytes:
    return asic_bench.sign((Original("a.txt", b"signed"), Original("b.txt", b"too")))


def refused(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        asic.read(data)
    return caught.value.code


def test_bombs_as_data_and_as_signature_are_refused_at_once() -> None:
    import struct
    import zlib

    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    crc, packed_octets = 0, b""
    for _ in range(64):
        packed_octets += deflate.compress(bytes(1 << 20))
        crc = zlib.crc32(bytes(1 << 20), crc)
    packed_octets += deflate.flush()
    for name in (b"a.txt", b"META-INF/signatures.xml"):
        shared = (0, 8, 0, 0x21, crc, len(packed_octets), 64 << 20, len(name), 0)
        local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, *shared) + name + packed_octets
        record = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *shared, 0, 0, 0, 0, 0) + name
        made = local + record + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(record), len(local), 0)
        tracemalloc.start()
        began = time.process_time()
        try:
            assert refused(made) == "document_too_complex"
            assert time.process_time() - began < 0.5
            assert tracemalloc.get_traced_memory()[1] < 2 << 20
        finally:
            tracemalloc.stop()


def test_xml_bombs_in_signature_files_and_manifests_are_not_opened(asic_bench: AsicBench, signed: bytes) -> None:
    laughs = b'<!DOCTYPE a [<!ENTITY b "lol">]><a>&b;</a>'
    verdict = asic_bench.judge(repacked(signed, {"META-INF/signatures.xml": laughs}))
    assert str(verdict.indication) == "TOTAL-FAILED"
    assert "asic_signature_file_unreadable" in {f.code for f in verdict.findings}
    verdict = asic_bench.judge(repacked(signed, {"META-INF/ASiCManifest.xml": laughs, "META-INF/manifest.xml": laughs}))
    assert outcome(verdict)[0][0] == "TOTAL-PASSED"
    assert "asic_manifest_unusable" in {f.code for f in verdict.findings}


@pytest.mark.parametrize(
    "uri",
    ["../a.txt", "file:///etc/hostname", "/etc/hostname", "http://127.0.0.1/a.txt", "META-INF/..%2Fa.txt", "A.txt"],
)
def test_manifests_reach_nothing_but_entries_by_their_names(asic_bench: AsicBench, uri: str) -> None:
    listed = manifest("META-INF/signature.p7s", {uri: b"one"})
    made = packed(
        E,
        [("a.txt", b"one"), ("META-INF/ASiCManifest.xml", listed), ("META-INF/signature.p7s", asic_bench.cms(listed))],
    )
    verdict = asic_bench.judge(made)
    assert outcome(verdict)[0][:2] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    assert verdict.signatures[0].scope.type == "PARTIAL"


def test_a_reference_turned_to_another_file_is_told(asic_bench: AsicBench, signed: bytes) -> None:
    """References are under the signature: exchanging files or names breaks one or the other."""
    xml = unpacked(signed)[SIGNATURES]
    turned = repacked(
        signed, {SIGNATURES: xml.replace(b'URI="a.txt"', b'URI="c.txt"'), "c.txt": b"signed", "a.txt": b"evil"}
    )
    assert outcome(asic_bench.judge(turned))[0][0] != "TOTAL-PASSED"
    swapped = repacked(signed, {"a.txt": b"too", "b.txt": b"signed"})
    assert outcome(asic_bench.judge(swapped))[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")


def test_a_signature_taken_from_another_container_covers_nothing_here(asic_bench: AsicBench, signed: bytes) -> None:
    other = packed(E, [("evil.txt", b"evil"), (SIGNATURES, unpacked(signed)[SIGNATURES])])
    verdict = asic_bench.judge(other)
    assert outcome(verdict)[0][:2] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    assert {"asic_file_missing", "asic_file_uncovered"} <= codes(verdict)
    beside = asic_bench.judge(repacked(signed, {"evil.txt": b"evil"}))
    assert "asic_file_uncovered" in codes(beside)
    assert beside.signatures[0].scope.type == "PARTIAL"


def test_a_file_hidden_among_the_signatures_is_not_content(asic_bench: AsicBench) -> None:
    """An ASiC-S whose signed file moved into META-INF, with another at the root."""
    made = asic_bench.sign((Original("a.txt", b"signed"),), kind=asic.Kind.S)
    moved = repacked(made, {"META-INF/a.txt": b"signed", "a.txt": b"evil"})
    assert outcome(asic_bench.judge(moved))[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")
    listed = manifest("META-INF/signature.p7s", {"META-INF/a.txt": b"signed"})
    entries = [
        ("evil.txt", b"evil"),
        ("META-INF/a.txt", b"signed"),
        ("META-INF/ASiCManifest.xml", listed),
        ("META-INF/signature.p7s", asic_bench.cms(listed)),
    ]
    verdict = asic_bench.judge(packed(E, entries))
    assert outcome(verdict)[0][:2] == ("TOTAL-FAILED", "FORMAT_FAILURE")
    assert "asic_nothing_covered" in codes(verdict)


def test_a_manifest_cannot_be_its_own_proof(asic_bench: AsicBench) -> None:
    """Two manifests that name one signature, and one that lists the signature over it."""
    listed = manifest("META-INF/signature.p7s", {"a.txt": b"one"})
    signature = asic_bench.cms(listed)
    looped = manifest("META-INF/signature.p7s", {"a.txt": b"evil", "META-INF/signature.p7s": signature})
    for first, second in ((listed, looped), (looped, listed)):
        made = packed(
            E,
            [
                ("a.txt", b"evil"),
                ("META-INF/ASiCManifest1.xml", first),
                ("META-INF/ASiCManifest2.xml", second),
                ("META-INF/signature.p7s", signature),
            ],
        )
        assert outcome(asic_bench.judge(made))[0][0] == "TOTAL-FAILED"


def test_many_references_and_files_stay_cheap(asic_bench: AsicBench) -> None:
    digest = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    uri = "%81" * 20
    row = (
        f'<asic:DataObjectReference URI="{uri}"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></asic:DataObjectReference>"
    )
    listed = manifest("META-INF/timestamp.tst", {"a.txt": b"one"}).replace(
        b"</asic:ASiCManifest>", (row * 4_999).encode() + b"</asic:ASiCManifest>"
    )
    files = [File(f"f{number}.txt", b"%d" % number) for number in range(4_900)]
    held = [("META-INF/ASiCManifest.xml", listed), ("META-INF/timestamp.tst", asic_bench.token(listed, 10))]
    made = build([File("mimetype", E.encode(), stored=True), *files, *(File(*one) for one in held)])
    began = time.process_time()
    view = asic.read(made)
    assert time.process_time() - began < 4
    assert len(view.timestamps[0].findings) <= 25


def test_too_many_signature_files_are_refused() -> None:
    held = [(f"META-INF/signatures{number}.xml", b"<a/>") for number in range(201)]
    assert refused(packed(E, held)) == "document_too_complex"
    assert refused(packed(S, [("META-INF/signatures.xml", b"\0" * (65 << 20))])) == "document_too_complex"


def test_nothing_but_document_errors_escapes(asic_bench: AsicBench, signed: bytes) -> None:
    import random

    seed = random.Random(20261124)
    listed = manifest("META-INF/timestamp.tst", {"a.txt": b"signed"})
    whole = unpacked(signed) | {
        "META-INF/ASiCManifest.xml": listed,
        "META-INF/timestamp.tst": asic_bench.token(listed, 10),
        "META-INF/signature.p7s": asic_bench.cms(b"signed"),
    }
    names = [name for name in whole if name.startswith("META-INF") or name == "mimetype"]
    for _ in range(300):
        name = seed.choice(names)
        octets = bytearray(whole[name])
        for _ in range(seed.randint(1, 3)):
            at = seed.randrange(len(octets))
            octets[at : at + seed.randint(0, 4)] = seed.randbytes(seed.randint(0, 4))
        made = build([File(one, bytes(octets) if one == name else data) for one, data in whole.items()])
        try:
            asic.read(made)
        except DocumentError:
            pass
