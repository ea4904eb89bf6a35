"""Signatures of every packaging and level: made here, judged by the one engine, accepted by xmlsec1."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from signsvc.errors import DocumentError, RequestError
from signsvc.formats.xades import extend, read
from signsvc.formats.xades.elements import ProductionPlace
from signsvc.formats.xades.write import XmlSpec, prepare
from tests.unit.formats.xades.xades_bench import (
    INVOICE,
    Packaging,
    XadesBench,
    codes,
    digest_only,
    original,
    outcome,
    passed,
)

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
FILES = (original("hợp đồng.pdf", b"%PDF-1.7 \x00\xff"), original("b.txt", b"xin ch\xc3\xa0o"))
PACKAGINGS = {
    "enveloped": (INVOICE, {}),
    "part": (INVOICE, {"references": ("data",)}),
    "parallel": (INVOICE, {"references": ("data", "other"), "packaging": Packaging.PARALLEL}),
    "enveloping": (None, {"files": FILES, "packaging": Packaging.ENVELOPING, "media_types": ("application/pdf",)}),
    "detached": (None, {"files": FILES, "packaging": Packaging.DETACHED}),
    "detached-inside": (INVOICE, {"files": FILES, "packaging": Packaging.DETACHED}),
}


@pytest.mark.parametrize("packaging", PACKAGINGS)
def test_every_packaging_reaches_every_level(xades_bench: XadesBench, packaging: str) -> None:
    data, spec = PACKAGINGS[packaging]
    signed = xades_bench.sign(data, **spec)
    originals = FILES if packaging.startswith("detached") else ()
    for level in LEVELS:
        made = signed if level == "B-B" else xades_bench.raised(signed, level, originals=originals)
        evidence = [] if level in ("B-LT", "B-LTA") else None  # what is inside is enough
        passed(xades_bench.judge(made, evidence=evidence, originals=originals), level)


@pytest.mark.parametrize(
    ("label", "pss", "digest"), [("ec", False, "sha256"), ("person", True, "sha512"), ("person", False, "sha384")]
)
def test_algorithms(xades_bench: XadesBench, label: str, pss: bool, digest: str) -> None:
    plan = xades_bench.plan(label, pss=pss, digest=digest)
    passed(xades_bench.judge(xades_bench.sign(label=label, plan=plan)), "B-B")


@pytest.mark.parametrize("level", LEVELS)
def test_xmlsec1_accepts(xades_bench: XadesBench, tmp_path: Path, level: str) -> None:
    made = xades_bench.sign()
    made = made if level == "B-B" else xades_bench.raised(made, level)
    assert _xmlsec1(tmp_path, made)
    assert not _xmlsec1(tmp_path, made.replace(b"Khac Id=", b"Khac Ix=", 1))


def _xmlsec1(directory: Path, data: bytes) -> bool:
    path = directory / "signed.xml"
    path.write_bytes(data)
    option = ["--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"]
    done = subprocess.run(["xmlsec1", "--verify", "--insecure", *option, str(path)], capture_output=True)
    return done.returncode == 0


def test_what_the_signer_says_is_read_again(xades_bench: XadesBench) -> None:
    place = ProductionPlace("Hà Nội", "1 Hùng Vương", "", "100000", "VN")
    made = xades_bench.sign(
        roles=("Giám đốc <A&B>", "Kế toán"), commitments=("1.2.840.113549.1.9.16.6.5", "1.2.3.4"), place=place
    )
    signature = read(made).signatures[0]
    assert signature.signer is not None
    assert signature.signer.claimed_roles == ("Giám đốc <A&B>", "Kế toán")
    assert signature.signer.commitment_oids == ("1.2.840.113549.1.9.16.6.5", "1.2.3.4")
    assert signature.signer.claimed_place == ("VN", "Hà Nội", "100000", "1 Hùng Vương")
    assert signature.claimed_time == xades_bench.day(9)
    assert signature.format == "XAdES"
    assert [one.media_type for one in signature.covered] == ["text/xml"]
    assert b"KeyValue" not in made


@pytest.mark.parametrize(
    ("codec", "declared"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-8-sig", "utf-8"), ("us-ascii", "US-ASCII")],
)
def test_documents_in_every_encoding(xades_bench: XadesBench, codec: str, declared: str) -> None:
    data = INVOICE.decode().replace("UTF-8", declared).encode(codec, "xmlcharrefreplace")
    made = xades_bench.raised(xades_bench.sign(data, roles=("Giám đốc",)), "B-LTA")
    passed(xades_bench.judge(made, evidence=[]), "B-LTA")
    assert made.startswith(data[:200])
    assert "Giám đốc" in made.decode(codec) or codec == "us-ascii"


@pytest.mark.parametrize(
    "data",
    [
        b"<a/>",
        b"<a x='1>2' y=\"/>\"/><?pi <a?><!-- </a> -->",
        b"<a></a><?one <?two ?><!--x-->\n<?three -->?>",
        b"<p:a xmlns:p='urn:p'\n/>",
        b"<a xmlns:ds='urn:other' xmlns:xades='urn:x'><ds:b/></a>",
    ],
)
def test_ends_of_documents(xades_bench: XadesBench, data: bytes) -> None:
    passed(xades_bench.judge(xades_bench.raised(xades_bench.sign(data), "B-LTA"), evidence=[]), "B-LTA")


def test_octets_of_the_document_stay(xades_bench: XadesBench) -> None:
    at = INVOICE.rindex(b"</h:HDon>")
    made = xades_bench.raised(xades_bench.sign(), "B-LTA")
    assert made.startswith(INVOICE[:at])
    assert made.endswith(INVOICE[at:])


def test_signatures_beside_each_other_stay_valid(xades_bench: XadesBench) -> None:
    made = xades_bench.sign(xades_bench.sign(xades_bench.sign(), "ec"), references=("data",))
    passed(xades_bench.judge(made), "B-B", "B-B", "B-B")
    first = read(made).signatures[0].field
    raised = xades_bench.raised(made, "B-LTA", signature_id=first)
    assert [level for *_, level in outcome(xades_bench.judge(raised))] == ["B-LTA", "B-B", "B-B"]
    every = extend.signature_timestamp(raised, xades_bench.stamp(xades_bench.day(14)))
    passed(xades_bench.judge(every), "B-LTA", "B-T", "B-T")


def test_a_counter_signature(xades_bench: XadesBench) -> None:
    made = xades_bench.sign()
    parent = read(made).signatures[0].field
    countered = xades_bench.sign(made, "ec", parent=parent)
    verdict = xades_bench.judge(countered)
    passed(verdict, "B-B")
    (counter,) = verdict.signatures[0].counter_signatures
    assert str(counter.indication) == "TOTAL-PASSED"
    raised = xades_bench.raised(countered, "B-LTA")
    passed(xades_bench.judge(raised), "B-LTA")
    archive = read(raised).signatures[0].signer.timestamps[-1]  # type: ignore[union-attr]
    assert "signature:sig-1-counter1" in archive.proves


def test_two_archive_timestamps_outlive_the_certificates(xades_bench: XadesBench) -> None:
    """The signer's, its CA's and the first authority's certificates have expired; the authority of the second archive
    timestamp is still there, and says so itself."""
    bench = xades_bench
    pki = bench.pki
    pki.add("xades-ca", "ca-public1", not_after=bench.day(400))
    pki.add("xades-signer", "person", issuer="xades-ca", not_after=bench.day(200))
    pki.add("xades-tsa", "tsa1", issuer="xades-ca", not_after=bench.day(250))
    made = bench.sign(label="xades-signer", plan=bench.plan("xades-signer"))
    made = extend.signature_timestamp(made, bench.stamp(bench.day(10), "xades-tsa"))
    made = extend.validation_data(made, bench.status("xades-signer", "xades-tsa", at=bench.day(11)))
    once = extend.archive_timestamp(made, bench.stamp(bench.day(12), "xades-tsa"))
    twice = extend.validation_data(once, bench.status("xades-tsa", at=bench.day(240)))
    twice = extend.archive_timestamp(twice, bench.stamp(bench.day(241)))
    signer = read(twice).signatures[0].signer
    assert signer is not None
    assert signer.unsigned_attributes == (
        "SignatureTimeStamp", "TimeStampValidationData", "CertificateValues", "RevocationValues", "ArchiveTimeStamp",
        "TimeStampValidationData", "ArchiveTimeStamp",
    )  # fmt: skip
    now = bench.day(500)
    today = bench.status("tsa1", at=now)
    passed(bench.judge(twice, evidence=today, now=now), "B-LTA")
    assert outcome(bench.judge(once, evidence=today, now=now))[0][0] == "INDETERMINATE"


def test_validation_data_is_added_once(xades_bench: XadesBench) -> None:
    made = xades_bench.raised(xades_bench.sign(), "B-LT")
    again = extend.validation_data(made, xades_bench.status("person", "tsa1", at=xades_bench.day(11)))
    held = read(made).signatures[0].signer.evidence  # type: ignore[union-attr]
    assert len({item.id for item in held}) == len(held)
    assert read(again).signatures[0].signer.unsigned_attributes == (  # type: ignore[union-attr]
        "SignatureTimeStamp", "TimeStampValidationData", "CertificateValues", "RevocationValues",
    ) or again == made  # fmt: skip


def test_digests_alone_are_enough_to_sign_and_to_verify(xades_bench: XadesBench) -> None:
    files = tuple(digest_only(one.name, bytes(one.data or b"")) for one in FILES)
    made = xades_bench.sign(None, files=files, packaging=Packaging.DETACHED)
    passed(xades_bench.judge(made, originals=files), "B-B")
    passed(xades_bench.judge(made, originals=FILES), "B-B")
    assert outcome(xades_bench.judge(made))[0][:2] == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    with pytest.raises(DocumentError) as caught:
        extend.archive_timestamp(made, xades_bench.stamp(xades_bench.day(10)), originals=files)
    assert (caught.value.code, caught.value.data) == ("signature_not_extendable", {"reason": "signed-data-missing"})


@pytest.mark.parametrize(
    ("data", "spec", "code"),
    [
        (INVOICE, {"references": ("none",)}, "xml_element_not_found"),
        (b"<a><b Id='x'/><b ID='x'/></a>", {"references": ("x",)}, "xml_element_not_found"),
        (None, {}, "invalid_request"),
        (INVOICE, {"files": FILES}, "invalid_request"),
        (INVOICE, {"packaging": Packaging.PARALLEL}, "invalid_request"),
        (None, {"packaging": Packaging.ENVELOPING, "files": (digest_only("a", b""),)}, "invalid_request"),
        (None, {"packaging": Packaging.DETACHED, "files": FILES, "digest": "sha1", "media_types": ("a",) * 3}, "invalid_request"),
    ],
)  # fmt: skip
def test_requests_that_cannot_be_met(
    xades_bench: XadesBench, data: bytes | None, spec: dict[str, object], code: str
) -> None:
    with pytest.raises(RequestError) as caught:
        prepare(data, xades_bench.plan(), XmlSpec(**spec))  # type: ignore[arg-type]
    assert caught.value.code == code


def test_changed_octets_fail(xades_bench: XadesBench) -> None:
    made = xades_bench.sign()
    assert outcome(xades_bench.judge(made.replace(b'a="1"', b'a="7"', 1)))[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")
    time = f"{xades_bench.day(9):%Y-%m-%dT%H:%M:%SZ}".encode()
    other = f"{xades_bench.day(9) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}".encode()
    assert outcome(xades_bench.judge(made.replace(time, other, 1)))[0][:2] == ("TOTAL-FAILED", "HASH_FAILURE")
    assert outcome(xades_bench.judge(made.replace(b'-signed"></ds', b'-signed"></ds', 1)))[0][0] == "TOTAL-PASSED"


def test_an_archive_timestamp_notices_every_change_before_it(xades_bench: XadesBench) -> None:
    made = xades_bench.raised(xades_bench.sign(), "B-LTA")
    at = made.index(b"<xades:CertificateValues")
    altered = made[:at] + b"<!-- -->" + made[at:]
    comments = read(altered).signatures[0].signer.timestamps[-1]  # type: ignore[union-attr]
    assert comments.imprint_matches is True  # comments are no part of the canonical form
    at = made.index(b"</ds:X509Data>")
    altered = made[:at] + b"<ds:X509SubjectName>CN=x</ds:X509SubjectName>" + made[at:]
    stamps = read(altered).signatures[0].signer.timestamps  # type: ignore[union-attr]
    assert [stamp.imprint_matches for stamp in stamps] == [True, False]
    assert codes(xades_bench.judge(altered)) & {"timestamp_not_valid"}
