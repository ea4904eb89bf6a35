"""Shapes of CMS found in the field, each with its right answer by the whole validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.formats import cades
from signsvc.formats.cades import extend, write
from signsvc.formats.cms import claims
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, EvidenceKind, Indication, Origin, Original
from test_pki import der
from test_pki.timestamps import attribute, signing_certificate
from tests.support.signed_cms import DAY, evidence, original, plan, raised, sign, spec, stamper
from tests.unit.cms.cms_builder import DOCUMENT, Signer, codes
from tests.unit.cms.cms_builder import cms as build

Judge = Callable[..., DocumentVerdict]
GIVEN = (Original("d", DOCUMENT),)


def outcome(verdict: DocumentVerdict) -> tuple[str, str | None]:
    (found,) = verdict.signatures
    return str(found.indication), str(found.sub_indication) if found.sub_indication else None


def status(pki: test_pki.Pki, *labels: str) -> tuple[EvidenceItem, ...]:
    return tuple(evidence(pki, *(labels or ("person",)), at=pki.epoch + 29 * DAY))


def test_both_versions_of_the_certificate_reference(judge: Judge, pki: test_pki.Pki) -> None:
    """Shape 23: version 1 by SHA-1 and version 2, both matching."""
    both = Signer(pki, extra=(signing_certificate(pki.cert("person"), "sha1"),))
    view = cades.read(build(both), originals=GIVEN)
    assert view.signatures[0].signer is not None
    assert len(view.signatures[0].signer.references) == 2
    assert "cms_references_contradict" not in codes(judge(build(both), GIVEN, status(pki)).signatures[0].findings)
    other = Signer(pki, extra=(signing_certificate(pki.cert("person2"), "sha1"),))
    found = judge(build(other, certs=[*pki.chain("person"), pki.cert("person2")]), GIVEN, status(pki)).signatures[0]
    assert found.indication is not Indication.TOTAL_PASSED


def test_certificates_that_share_a_key_or_a_serial(judge: Judge, pki: test_pki.Pki) -> None:
    """Shape 24: the digest of the signing-certificate attribute decides, whatever stands before it."""
    serial = Certificate.from_der(pki.cert("person")).serial_number
    same_key = pki.issue("person", serial=serial + 1)
    same_serial = pki.issue("person2", serial=serial)
    data = build(Signer(pki), certs=[same_key, same_serial, *pki.chain("person")])
    (found,) = judge(data, GIVEN, status(pki)).signatures
    assert found.indication is Indication.TOTAL_PASSED, found.findings
    assert found.certificate is not None
    assert found.certificate.der == pki.cert("person")


@pytest.mark.parametrize("broken", ["salt", "digest", "signature"])
def test_parameters_that_cannot_be(broken: str, judge: Judge, pki: test_pki.Pki) -> None:
    """Shape 29: a clear failure, no crash."""
    hashed = der.seq(der.oid("2.16.840.1.101.3.4.2.1"), der.null())
    mask = der.seq(der.oid("1.2.840.113549.1.1.8"), hashed)
    salt = der.seq(der.explicit(0, hashed), der.explicit(1, mask), der.explicit(2, der.integer(1_000)))
    changes = {
        "salt": {"pss": True, "algorithm": der.seq(der.oid("1.2.840.113549.1.1.10"), salt)},
        "digest": {"digest_algorithm": der.seq(der.oid("1.2.3.4"))},
        "signature": {"algorithm": der.seq(der.oid("1.2.3.4"))},
    }[broken]
    verdict = judge(build(Signer(pki, **changes)), GIVEN, status(pki))  # type: ignore[arg-type]
    (found,) = verdict.signatures
    assert found.indication is Indication.TOTAL_FAILED
    assert any(f.level == "fail" for f in found.findings)


def test_an_answer_without_its_responder(judge: Judge, pki: test_pki.Pki) -> None:
    """Shape 30: used where the responder is known otherwise, else as if it were not there."""
    moment = pki.epoch + 12 * DAY
    bare = pki.ocsp("person", at=moment, include=())
    rest = [i for i in evidence(pki, "person", "tsa1", at=moment) if i.der != pki.ocsp("person", at=moment)]
    rest = [i for i in rest if i.kind is not EvidenceKind.OCSP or i.der == pki.ocsp("tsa1", at=moment)]
    items = [*rest, EvidenceItem(EvidenceKind.OCSP, bare, Origin.NETWORK)]
    stamped = extend.signature_timestamp(sign(pki), stamper(pki, pki.epoch + 10 * DAY))
    data = extend.validation_data(stamped, items)
    assert outcome(judge(data, (original(),))) == ("INDETERMINATE", "TRY_LATER")
    whole = pki.ocsp("person", at=moment)
    responder = next(c for c in _certificates(whole) if c)
    known = extend.validation_data(data, [EvidenceItem(EvidenceKind.CERTIFICATE, responder, Origin.NETWORK)])
    assert outcome(judge(known, (original(),))) == ("TOTAL-PASSED", None)


def _certificates(response: bytes) -> list[bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import ocsp

    return [c.public_bytes(Encoding.DER) for c in ocsp.load_der_ocsp_response(response).certificates]


def test_claims_are_signed_and_told(judge: Judge, pki: test_pki.Pki) -> None:
    place = claims.signer_location("VN", "Hà Nội", ("Số 1", "Đường Hùng Vương"))
    made = replace(
        plan(pki), attributes=(claims.commitment_type("approval"), claims.claimed_roles(["KT. CHỦ TỊCH"]), place)
    )
    prepared = write.prepare(original(), made, spec(pki, media_type="application/pdf"))
    data = write.complete(prepared, pki.sign_data("person", prepared.octets))
    view = cades.read(data, originals=(original(),)).signatures[0]
    assert view.signer is not None
    assert view.level == "B-B"
    assert view.claimed_time == pki.epoch + 9 * DAY
    assert view.signer.claimed_roles == ("KT. CHỦ TỊCH",)
    assert view.signer.claimed_place == ("VN", "Hà Nội", "Số 1", "Đường Hùng Vương")
    assert view.signer.commitment_oids == ("1.2.840.113549.1.9.16.6.5",)
    assert view.covered[0].media_type == "application/pdf"
    assert outcome(judge(data, (original(),), status(pki))) == ("TOTAL-PASSED", None)
    for nothing in ({}, {"postal": ["x"] * 7}):
        with pytest.raises(ValueError, match="place"):
            claims.signer_location(**nothing)  # type: ignore[arg-type]


def test_an_archive_timestamp_says_nothing_of_another_signature(judge: Judge, pki: test_pki.Pki) -> None:
    """One of two is archived: the other's revocation data is proven, its signature is not."""
    data = raised(pki, sign(pki, "ec", existing=sign(pki), content=original()), "b-lt", labels=("person", "ec"))
    stamped = extend.archive_timestamp(
        data, stamper(pki, pki.epoch + 13 * DAY), signature_id="signature-1", originals=(original(),)
    )
    view = cades.read(stamped, originals=(original(),))
    assert [s.level for s in view.signatures] == ["B-LTA", "B-LT"]
    first = view.signatures[0].signer
    assert first is not None
    assert "signature:signature-2" not in first.timestamps[-1].proves


def test_several_originals_and_signers_that_disagree(pki: test_pki.Pki) -> None:
    """All SignerInfos of a file are over one content: the original that most of them name, the first of equals."""
    data = build(
        Signer(pki, content=b"other"), Signer(pki, "person2"), certs=[*pki.chain("person"), pki.cert("person2")]
    )
    view = cades.read(data, originals=(Original("d", DOCUMENT), Original("o", b"other")))
    states = [(s.covered[0].name, s.covered[0].matches) for s in view.signatures]
    assert states == [("d", False), ("d", True)]


def test_large_content_is_read_in_little_time(pki: test_pki.Pki) -> None:
    import time

    content = bytes(40_000_000)
    data = sign(pki, content=Original("big", content), detached=False)
    began = time.process_time()
    view = cades.read(data)
    spent = time.process_time() - began
    assert view.signatures[0].signer is not None
    assert view.signatures[0].signer.digest_matches is True
    assert spent < 1.0  # both digests, of the file and of the content, are most of it


def test_a_thousand_of_everything_is_bounded(pki: test_pki.Pki) -> None:
    import time

    one = Signer(pki).encoded()
    many = build(*([one] * 1_000), certs=[*pki.chain("person")])
    junk = attribute("1.2.3.4", der.octets(b"x"))
    deep = build(
        Signer(pki, unsigned=(junk,) * 400),
        crls=[der.seq(der.integer(n)) for n in range(1_000)],
        certs=pki.chain("person") * 40,
    )
    began = time.process_time()
    assert len(cades.read(many, originals=GIVEN).signatures) == 20
    assert len(cades.read(deep, originals=GIVEN).signatures) == 1
    assert time.process_time() - began < 2.0
    with pytest.raises(DocumentError):
        cades.read(b"\x30\x80" * 5_000)


def test_expired_before_it_was_stamped(judge: Judge, pki: test_pki.Pki) -> None:
    """A timestamp proves nothing about a signature by a certificate that had ended."""
    label = pki.add("ended", "person", not_after=pki.epoch + 5 * DAY) and "ended"
    data = raised(pki, sign(pki, label), "b-lta", originals=(original(),), labels=(label,))
    found = judge(data, (original(),), now=pki.epoch + timedelta(days=30)).signatures[0]
    assert found.indication is not Indication.TOTAL_PASSED
