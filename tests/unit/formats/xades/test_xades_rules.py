"""What files of other makers look like, and what only looks like XAdES: each with its one right answer."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from signsvc.formats import xmlsig
from signsvc.formats.xades import elements, extend, imprint, insert, read
from signsvc.formats.xades.names import EXCLUSIVE, XADES, XADES111, XADES122, XADES141
from signsvc.formats.xades.nodes import DS
from signsvc.types import Certificate, SignatureView, SignerView
from tests.unit.formats.xades.xades_bench import INVOICE, Packaging, XadesBench, codes, original, outcome, passed

Patch = pytest.MonkeyPatch
V2 = ("<xades:SigningCertificateV2>", "</xades:SigningCertificateV2>")


def _edited(patch: Patch, name: str, edit: Any) -> None:
    """What `elements.<name>` writes goes through `edit` before it is digested."""
    made = getattr(elements, name)
    patch.setattr(elements, name, lambda *a, **k: edit(made(*a, **k)))


def _added(data: bytes, text: str, after: int | None = None) -> bytes:
    (target,) = insert.chosen(xmlsig.parse(data))
    return insert.added(data, [insert.Addition(target, text, after)])


def _only(data: bytes) -> tuple[SignatureView, SignerView]:
    (signature,) = read(data).signatures
    assert signature.signer is not None
    return signature, signature.signer


def _v1(certificate: Certificate, issuer: str) -> str:
    digest = base64.b64encode(certificate.sha256).decode()
    return (
        f'<xades:SigningCertificate><xades:Cert><xades:CertDigest><ds:DigestMethod xmlns:ds="{DS}" '
        f'Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue xmlns:ds="{DS}">{digest}'
        f'</ds:DigestValue></xades:CertDigest><xades:IssuerSerial xmlns:ds="{DS}"><ds:X509IssuerName>{issuer}'
        f"</ds:X509IssuerName><ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber>"
        "</xades:IssuerSerial></xades:Cert></xades:SigningCertificate>"
    )


@pytest.mark.parametrize("issuer", ["C=VN,\n  O=Test", "CN=another name altogether", ""])
def test_31_the_digest_of_the_certificate_decides(xades_bench: XadesBench, monkeypatch: Patch, issuer: str) -> None:
    certificate = xades_bench.plan().certificate

    def edit(text: str) -> str:
        start, end = text.index(V2[0]), text.index(V2[1]) + len(V2[1])
        return text[:start] + _v1(certificate, issuer) + text[end:]

    _edited(monkeypatch, "signed_properties", edit)
    verdict = xades_bench.judge(xades_bench.sign())
    passed(verdict, "BES")
    assert "cms_reference_issuer_serial_differs" not in codes(verdict)


def test_31_a_reference_to_another_certificate_fails(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    other = Certificate.from_der(xades_bench.pki.cert("agency"))

    def edit(text: str) -> str:
        start, end = text.index(V2[0]), text.index(V2[1]) + len(V2[1])
        return text[:start] + _v1(other, "") + text[end:]

    _edited(monkeypatch, "signed_properties", edit)
    verdict = xades_bench.judge(xades_bench.sign())
    assert outcome(verdict)[0][0] != "TOTAL-PASSED"
    assert "cms_reference_digest_differs" in codes(verdict) or "signature_value_wrong" in codes(verdict)


def test_32_the_certificate_may_stand_among_the_values_alone(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    _edited(monkeypatch, "key_info", lambda _: "")
    made = xades_bench.sign()
    chain = xades_bench.pki.chain("person")[:-1]
    passed(xades_bench.judge(_added(made, elements.values(chain, (), ()))), "BES")


def test_33_several_tokens_in_one_timestamp(xades_bench: XadesBench) -> None:
    made = extend.signature_timestamp(xades_bench.sign(), xades_bench.stamp(xades_bench.day(10)))
    wrong = base64.b64encode(xades_bench.pki.timestamp(bytes(32), at=xades_bench.day(10)))
    holder = b"<xades:EncapsulatedTimeStamp>"
    for token, matching in ((wrong, [True, False]), (None, [True, True])):
        start = made.index(holder)
        end = made.index(b"</xades:EncapsulatedTimeStamp>")
        token = token or made[start + len(holder) : end]
        at = end + len(b"</xades:EncapsulatedTimeStamp>")
        several = made[:at] + holder + token + b"</xades:EncapsulatedTimeStamp>" + made[at:]
        signature, signer = _only(several)
        assert signature.level == "T"
        assert [stamp.imprint_matches for stamp in signer.timestamps] == matching


def test_34_a_reference_without_uri(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    _edited(monkeypatch, "signed_info", lambda text: text.replace(' URI="a.txt"', "", 1))
    one = original("a.txt", b"one")
    made = xades_bench.sign(None, files=(one,), packaging=Packaging.DETACHED)
    assert b"a.txt" not in made
    passed(xades_bench.judge(made, originals=[original("renamed.txt", b"one")]), "B-B")
    assert outcome(xades_bench.judge(made))[0][1] == "SIGNED_DATA_NOT_FOUND"
    none = [original("b.txt", b"two"), original("c.txt", b"three")]
    assert outcome(xades_bench.judge(made, originals=none))[0][1] == "SIGNED_DATA_NOT_FOUND"


def test_35_empty_ids_are_no_ids(xades_bench: XadesBench) -> None:
    data = b'<a><b Id=""/><c Id="" ID=""/><d Id="data"/></a>'
    passed(xades_bench.judge(xades_bench.sign(data)), "B-B")
    passed(xades_bench.judge(xades_bench.sign(data, references=("data",))), "B-B")


def test_36_a_counter_signature_without_type(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    made = xades_bench.sign()
    parent = read(made).signatures[0].field
    _edited(
        monkeypatch,
        "signed_info",
        lambda text: text.replace(' Type="http://uri.etsi.org/01903#CountersignedSignature"', "", 1),
    )
    verdict = xades_bench.judge(xades_bench.sign(made, "ec", parent=parent))
    passed(verdict, "B-B")
    assert [str(c.indication) for c in verdict.signatures[0].counter_signatures] == ["TOTAL-PASSED"]


def test_36_what_is_wrong_with_a_counter_signature_is_its_own(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    made = xades_bench.sign()
    parent = read(made).signatures[0].field
    countered = xades_bench.sign(made, "ec", parent=parent)
    at = countered.rindex(b'-value">') + len(b'-value">') + 5
    broken = countered[:at] + (b"A" if countered[at] != 65 else b"B") + countered[at + 1 :]
    verdict = xades_bench.judge(broken)
    passed(verdict, "B-B")
    assert [str(c.indication) for c in verdict.signatures[0].counter_signatures] == ["TOTAL-FAILED"]
    # one that signs something else than its parent's value
    monkeypatch.setattr(
        elements,
        "countersigned_reference",
        lambda name, _: elements.ReferenceText(name, "#data", None, None, elements.canonical()),
    )
    unrelated = xades_bench.judge(xades_bench.sign(made, "ec", parent=parent))
    passed(unrelated, "B-B")
    (counter,) = unrelated.signatures[0].counter_signatures
    assert str(counter.indication) == "TOTAL-FAILED"
    assert "xades_counter_signature_unrelated" in {f.code for f in counter.findings}


def test_37_empty_values_make_no_level(xades_bench: XadesBench) -> None:
    made = extend.signature_timestamp(xades_bench.sign(), xades_bench.stamp(xades_bench.day(10)))
    empty = f'<xades:CertificateValues xmlns:xades="{XADES}"/><xades:RevocationValues xmlns:xades="{XADES}"/>'
    passed(xades_bench.judge(_added(made, empty)), "B-T")


def test_a_timestamp_of_another_signature_proves_nothing(xades_bench: XadesBench) -> None:
    stamp = xades_bench.pki.timestamp(hashlib.sha256(b"another").digest(), at=xades_bench.day(10))
    made = _added(xades_bench.sign(), elements.timestamp("SignatureTimeStamp", "ts", stamp))
    verdict = xades_bench.judge(made)
    passed(verdict, "B-B")
    assert "timestamp_not_valid" in codes(verdict)


# What only looks like signed properties


def test_two_qualifying_properties_count_for_nothing(xades_bench: XadesBench) -> None:
    made = xades_bench.sign()
    fake = f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#x"/></ds:Object></ds:Signature>'
    verdict = xades_bench.judge(made.replace(b"</ds:Signature>", fake.encode(), 1))
    assert outcome(verdict) == [("TOTAL-FAILED", "FORMAT_FAILURE", "XML-NOT-ETSI")]
    assert "xades_qualifying_properties_repeated" in codes(verdict)


def test_properties_of_the_document_are_not_the_signers(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    fake = f'<SignedProperties xmlns="{XADES}" Id="fake"><SignedSignatureProperties/></SignedProperties>'
    data = INVOICE.replace(b"<h:Khac", fake.encode() + b"<h:Khac")
    made = elements.properties_reference
    monkeypatch.setattr(elements, "properties_reference", lambda name, _: made(name, "fake"))
    verdict = xades_bench.judge(xades_bench.sign(data))
    assert outcome(verdict) == [("TOTAL-FAILED", "FORMAT_FAILURE", "XML-NOT-ETSI")]
    assert "xades_signed_properties_misplaced" in codes(verdict)
    assert verdict.signatures[0].claimed_time is None


def test_properties_that_a_transform_takes_away_are_not_signed(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    monkeypatch.setattr(elements, "canonical", elements.without_signatures)
    made = xades_bench.sign()
    signature, signer = _only(made)
    assert signature.level == "XML-NOT-ETSI"
    assert (signature.claimed_time, signer.references) == (None, ())
    assert "xades_properties_unsigned" in {f.code for f in signer.findings}


def test_a_reference_to_the_properties_without_type(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    _edited(
        monkeypatch,
        "signed_info",
        lambda text: text.replace(' Type="http://uri.etsi.org/01903#SignedProperties"', "", 1),
    )
    verdict = xades_bench.judge(xades_bench.sign())
    passed(verdict, "BES")
    assert len(verdict.signatures[0].covered) == 1


def test_a_target_that_is_another_signature(xades_bench: XadesBench) -> None:
    verdict = xades_bench.judge(xades_bench.sign().replace(b' Target="#', b' Target="#x', 1))
    passed(verdict, "B-B")
    assert "xades_target_differs" in codes(verdict)


def test_properties_that_must_be_signed_are_ignored_elsewhere(xades_bench: XadesBench) -> None:
    claimed = f'<xades:SignerRoleV2 xmlns:xades="{XADES}"><xades:ClaimedRoles><xades:ClaimedRole>x</xades:ClaimedRole>'
    made = _added(xades_bench.sign(), f"{claimed}</xades:ClaimedRoles></xades:SignerRoleV2>")
    verdict = xades_bench.judge(made)
    passed(verdict, "B-B")
    assert verdict.signatures[0].claimed_roles == ()
    assert "xades_unsigned_property_ignored" in codes(verdict)


@pytest.mark.parametrize("edition", [XADES111, XADES122])
def test_older_editions(xades_bench: XadesBench, monkeypatch: Patch, edition: str) -> None:
    monkeypatch.setattr(elements, "XADES", edition)
    monkeypatch.setattr(elements, "SIGNED_PROPERTIES_TYPE", f"{edition}SignedProperties")
    made = xades_bench.sign()
    passed(xades_bench.judge(made), "BES")
    assert _only(made)[0].claimed_time == xades_bench.day(9)
    stamped = elements.timestamp(
        "SignatureTimeStamp", "t", xades_bench.pki.timestamp(bytes(32), at=xades_bench.day(10))
    )
    held = f'<u:UnsignedProperties xmlns:u="{edition}"><u:UnsignedSignatureProperties>{stamped}'
    held += "</u:UnsignedSignatureProperties></u:UnsignedProperties></xades:QualifyingProperties>"
    signer = _only(made.replace(b"</xades:QualifyingProperties>", held.encode(), 1))[1]
    assert [stamp.imprint_matches for stamp in signer.timestamps] == [False]


def test_plain_xml_signatures(xades_bench: XadesBench, monkeypatch: Patch) -> None:
    def edit(parts: tuple[str, str]) -> tuple[str, str]:
        start, end = parts[1].index("<ds:Object><xades:Q"), parts[1].index("</ds:Signature>")
        return parts[0], parts[1][:start] + parts[1][end:]

    from signsvc.formats.xades import write

    monkeypatch.setattr(
        elements,
        "properties_reference",
        lambda name, _: elements.ReferenceText(name, "#data", None, None, elements.canonical()),
    )
    _edited(monkeypatch, "signature", edit)
    assert write.elements is elements
    made = xades_bench.sign()
    signature, _ = _only(made)
    assert (signature.format, signature.level) == ("XMLDSig", "XML-NOT-ETSI")
    passed(xades_bench.judge(made), "XML-NOT-ETSI")


# Timestamps over content, and of older kinds


@pytest.mark.parametrize("kind", ["AllDataObjectsTimeStamp", "IndividualDataObjectsTimeStamp"])
def test_content_timestamps(xades_bench: XadesBench, monkeypatch: Patch, kind: str) -> None:
    files = (original("a.txt", b"one"), original("b.txt", b"two"))
    over = b"onetwo" if kind.startswith("All") else b"two"
    token = xades_bench.pki.timestamp(hashlib.sha256(over).digest(), at=xades_bench.day(8))

    def edit(text: str) -> str:
        identifier = text.split('ObjectReference="#')[2].partition('"')[0]
        include = "" if kind.startswith("All") else f'<xades:Include URI="#{identifier}" referencedData="true"/>'
        stamp = (
            f"<xades:{kind}>{include}<xades:EncapsulatedTimeStamp>{base64.b64encode(token).decode()}"
            f"</xades:EncapsulatedTimeStamp></xades:{kind}></xades:SignedDataObjectProperties>"
        )
        return text.replace("</xades:SignedDataObjectProperties>", stamp, 1)

    _edited(monkeypatch, "signed_properties", edit)
    made = xades_bench.sign(None, files=files, packaging=Packaging.DETACHED)
    passed(xades_bench.judge(made, originals=files), "B-B")
    (stamp,) = read(made, originals=files).signatures[0].signer.timestamps  # type: ignore[union-attr]
    assert (stamp.kind, stamp.imprint_matches) == ("content", True)
    (stamp,) = read(made).signatures[0].signer.timestamps  # type: ignore[union-attr]
    assert stamp.imprint_matches is None


@pytest.mark.parametrize("edition", [XADES, XADES141])
def test_archive_timestamps_of_both_editions(xades_bench: XadesBench, edition: str) -> None:
    """Edition 1.3.2 leaves out objects that a reference covers, 1.4.1 takes them twice."""
    files = (original("a.txt", b"one"),)
    made = xades_bench.raised(xades_bench.sign(None, files=files, packaging=Packaging.ENVELOPING), "B-LT")
    document = xmlsig.parse(made)
    (target,) = insert.chosen(document)
    signature = xmlsig.read_signature(document, target.element, subject="")
    pieces = imprint.archive(document, signature, EXCLUSIVE, target.properties, every_object=edition == XADES141)
    token = xades_bench.pki.timestamp(hashlib.sha256(b"".join(pieces)).digest(), at=xades_bench.day(12))
    stamp = elements.timestamp("ArchiveTimeStamp", "t", token).replace(XADES141, edition)
    archived = _added(made, stamp)
    passed(xades_bench.judge(archived, evidence=[]), "B-LTA" if edition == XADES141 else "LTA")


def test_any_validation_data_counts(xades_bench: XadesBench) -> None:
    made = xades_bench.raised(xades_bench.sign(), "B-LT")
    assert b"TimeStampValidationData" in made
    renamed = made.replace(b"TimeStampValidationData", b"AnyValidationData")
    passed(xades_bench.judge(renamed, evidence=[]), "B-LT")


def test_damaged_properties_are_findings(xades_bench: XadesBench) -> None:
    made = xades_bench.raised(xades_bench.sign(), "B-LTA")
    for tag in (
        b"EncapsulatedTimeStamp>",
        b"EncapsulatedX509Certificate>",
        b"EncapsulatedCRLValue>",
        b"EncapsulatedOCSPValue>",
    ):
        damaged = made.replace(b"<xades:" + tag, b"<xades:" + tag + b"!", 1)
        verdict = xades_bench.judge(damaged)
        assert codes(verdict) & {"xades_property_malformed", "xades_values_unreadable"}, tag
        assert outcome(verdict)[0][0] == "TOTAL-PASSED"


def test_many_timestamps_are_bounded(xades_bench: XadesBench) -> None:
    token = xades_bench.pki.timestamp(bytes(32), at=xades_bench.day(10))
    made = _added(xades_bench.sign(), elements.timestamp("ArchiveTimeStamp", "t", token) * 70)
    _, signer = _only(made)
    assert len(signer.timestamps) == 50
    assert sum(stamp.imprint_matches is False for stamp in signer.timestamps) == 10
    assert "xades_too_many" in {f.code for f in signer.findings}
