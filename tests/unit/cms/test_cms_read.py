"""What ordinary and odd CMS structures say, by RFC 5652 and the shapes found in the field."""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

import pytest

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.formats import cms
from signsvc.formats.cms import signing_certificate
from signsvc.types import Certificate, EvidenceKind, Level, Origin, SignerView
from test_pki import certificates, der, signatures
from test_pki.timestamps import attribute
from test_pki.timestamps import signing_certificate as ess
from tests.unit.cms.cms_builder import DATA, DOCUMENT, Signer, codes, digest_of
from tests.unit.cms.cms_builder import cms as build

SIGNING_TIME = "1.2.840.113549.1.9.5"


def read(encoded: bytes, document: bytes | None = DOCUMENT) -> cms.CmsView:
    return cms.read(encoded, subject="S", digest=digest_of(document) if document is not None else None)


def only(encoded: bytes) -> SignerView:
    view = read(encoded)
    assert len(view.signers) == 1
    return view.signers[0]


def value_check(signer: SignerView, certificate: Certificate | None = None) -> SignatureCheck:
    if certificate is None:
        certificate, _ = signing_certificate(signer)
        assert certificate is not None
    value = signer.value
    return verify_value(
        certificate,
        resolve(value.algorithm_oid, value.parameters, value.digest_oid),
        value.value,
        message=value.message,
        digest=value.digest,
    )


def test_an_ordinary_signature(pki: test_pki.Pki) -> None:
    encoded = build(Signer(pki))
    view = read(encoded + bytes(5000))
    assert view.findings == ()
    assert view.end == len(encoded)
    assert view.encapsulated is None
    assert [c.der for c in view.certificates] == pki.chain("person")
    assert {(e.kind, e.origin) for e in view.evidence} == {(EvidenceKind.CERTIFICATE, Origin.CMS)}
    signer = view.signers[0]
    assert signer.findings == ()
    assert signer.digest_matches is True
    assert signer.content_type_oid == DATA
    certificate, findings = signing_certificate(signer)
    assert certificate is not None
    assert certificate.der == pki.cert("person")
    assert findings == ()
    assert value_check(signer) is SignatureCheck.VALID


@pytest.mark.parametrize(
    ("label", "digest", "pss"), [("ec", "sha256", False), ("rsa3072", "sha512", False), ("pss", "sha256", True)]
)
def test_keys_and_digests(pki: test_pki.Pki, label: str, digest: str, pss: bool) -> None:
    signer = only(build(Signer(pki, label, digest=digest, pss=pss), digests=(digest,)))
    assert signer.findings == ()
    assert signer.digest_matches is True
    assert value_check(signer) is SignatureCheck.VALID


def test_another_document_is_noticed(pki: test_pki.Pki) -> None:
    view = read(build(Signer(pki)), b"something else")
    assert view.signers[0].digest_matches is False


def test_content_not_at_hand(pki: test_pki.Pki) -> None:
    assert read(build(Signer(pki)), None).signers[0].digest_matches is None


def test_octets_after_the_structure(pki: test_pki.Pki) -> None:
    encoded = build(Signer(pki))
    assert codes(read(encoded + b"\0\0\xde\xad").findings) == ["cms_octets_after"]


def test_encapsulated_sha1_of_the_ranges(pki: test_pki.Pki) -> None:
    """Shape 15: adbe.pkcs7.sha1."""
    sha1 = hashlib.sha1(DOCUMENT).digest()
    encoded = build(Signer(pki, content=sha1), content=sha1)
    view = read(encoded)
    assert view.encapsulated == sha1
    assert view.signers[0].digest_matches is True
    # SHA-1 binds the document, whatever the signature's own digest: policies judge it by date.
    assert view.signers[0].digest_oid == "1.3.14.3.2.26"
    assert view.signers[0].value.digest_oid == "2.16.840.1.101.3.4.2.1"
    assert value_check(view.signers[0]) is SignatureCheck.VALID
    assert read(encoded, b"changed").signers[0].digest_matches is False


def test_encapsulated_empty_or_other_content(pki: test_pki.Pki) -> None:
    """Shape 16: own content never stands for the document."""
    empty = read(build(Signer(pki, content=b""), content=b""))
    assert empty.signers[0].digest_matches is False
    assert codes(empty.findings) == ["cms_content_empty"]
    other = read(build(Signer(pki, content=b"other"), content=b"other"))
    assert other.signers[0].digest_matches is False
    same = read(build(Signer(pki), content=DOCUMENT))
    assert same.signers[0].digest_matches is True
    assert codes(same.findings) == ["cms_content_encapsulated"]
    alone = cms.read(build(Signer(pki), content=DOCUMENT), subject="S", digest=None)
    assert alone.signers[0].digest_matches is True
    assert alone.findings == ()


def test_several_signers(pki: test_pki.Pki) -> None:
    """Shape 17: both are handed on; the PDF reader refuses them."""
    view = read(build(Signer(pki), Signer(pki, "person2")))
    assert [s.digest_matches for s in view.signers] == [True, True]
    assert len({s.serial_number for s in view.signers}) == 2


def test_no_signer(pki: test_pki.Pki) -> None:
    assert codes(read(build(certs=pki.chain("person"))).findings) == ["cms_signer_missing"]


def test_no_certificates_is_still_read(pki: test_pki.Pki) -> None:
    """Shape 18."""
    signer = only(build(Signer(pki), certs=()))
    assert codes(signing_certificate(signer)[1]) == ["cms_signing_certificate_missing"]
    found, findings = signing_certificate(signer, [Certificate.from_der(pki.cert("person"))])
    assert found is not None
    assert findings == ()


def test_signed_attributes_out_of_order(pki: test_pki.Pki) -> None:
    """Shape 21."""
    ordered = sorted(Signer(pki).ordinary().values())
    signer = only(build(Signer(pki, attributes=ordered[::-1])))
    assert "cms_signed_attributes_order" in codes(signer.findings)
    assert signer.findings[0].level is Level.FAIL
    assert value_check(signer) is SignatureCheck.VALID


def test_signing_time_twice_spoils_one_signer_only(pki: test_pki.Pki) -> None:
    """Shape 22."""
    time = attribute(SIGNING_TIME, der.time(pki.epoch))
    other = attribute(SIGNING_TIME, der.generalized_time(pki.epoch))
    view = read(build(Signer(pki, extra=(time, other)), Signer(pki, "person2", extra=(time,))))
    assert "cms_signed_attribute_repeated" in codes(view.signers[0].findings)
    assert view.signers[1].findings == ()
    assert view.signers[1].claimed_time == pki.epoch
    two = attribute(SIGNING_TIME, der.time(pki.epoch), der.generalized_time(pki.epoch))
    assert codes(only(build(Signer(pki, extra=(two,)))).findings) == ["cms_signed_attribute_values"]


def test_signing_certificate_in_both_versions(pki: test_pki.Pki) -> None:
    """Shape 23, and its contradiction."""
    signer = only(build(Signer(pki, extra=(ess(pki.cert("person"), "sha1"),))))
    assert len(signer.references) == 2
    assert signing_certificate(signer)[1] == ()
    wrong = only(build(Signer(pki, extra=(ess(pki.cert("person2"), "sha1"),))))
    pool = [Certificate.from_der(pki.cert("person2"))]
    assert codes(signing_certificate(wrong, pool)[1]) == ["cms_references_contradict"]


def test_certificates_that_share_a_key_or_a_serial(pki: test_pki.Pki) -> None:
    """Shape 24: the digest of the reference decides, then the signer identifier."""
    twin = pki.issue("person", not_after=pki.epoch, serial=Certificate.from_der(pki.cert("person")).serial_number)
    signer = only(build(Signer(pki), certs=(twin, *pki.chain("person"))))
    assert signing_certificate(signer)[0] == Certificate.from_der(pki.cert("person"))
    bare = only(build(Signer(pki, without=("1.2.840.113549.1.9.16.2.47",)), certs=(twin, *pki.chain("person"))))
    assert codes(signing_certificate(bare)[1]) == ["cms_reference_absent", "cms_signer_ambiguous"]
    # The same issuer and serial number, another key: the key that made the signature decides.
    other = pki.issue("person", key="person2", serial=Certificate.from_der(pki.cert("person")).serial_number)
    bare = only(build(Signer(pki, without=("1.2.840.113549.1.9.16.2.47",)), certs=(other, *pki.chain("person"))))
    assert signing_certificate(bare)[0] == Certificate.from_der(pki.cert("person"))


def test_reference_that_no_certificate_has(pki: test_pki.Pki) -> None:
    signer = only(build(Signer(pki, without=("1.2.840.113549.1.9.16.2.47",), extra=(ess(pki.cert("agency")),))))
    found, findings = signing_certificate(signer)
    assert found == Certificate.from_der(pki.cert("person"))
    assert codes(findings) == ["cms_reference_digest_differs"]
    assert findings[0].sub == "NO_SIGNING_CERTIFICATE_FOUND"


def test_reference_with_another_issuer_serial_warns(pki: test_pki.Pki) -> None:
    digest = signatures.digest(pki.cert("person"))
    issuer = der.seq(der.seq(der.explicit(4, certificates.field(pki.cert("g1-person"), "issuer"))), der.integer(7))
    wrong = attribute("1.2.840.113549.1.9.16.2.47", der.seq(der.seq(der.seq(der.octets(digest), issuer))))
    signer = only(build(Signer(pki, without=("1.2.840.113549.1.9.16.2.47",), extra=(wrong,))))
    assert codes(signing_certificate(signer)[1]) == ["cms_reference_issuer_serial_differs"]


def test_key_identifier_names_the_signer(pki: test_pki.Pki) -> None:
    identifier = Certificate.from_der(pki.cert("person")).subject_key_identifier
    assert identifier is not None
    signer = only(build(Signer(pki, identifier=der.implicit(0, identifier), version=3), version=3))
    assert signer.subject_key_identifier == identifier
    assert signer.findings == ()
    assert signing_certificate(signer)[1] == ()


def test_detached_content_of_another_type(pki: test_pki.Pki) -> None:
    """Shape 25."""
    signer = only(build(Signer(pki, content_type="1.2.3.4"), content_type="1.2.3.4"))
    assert signer.digest_matches is True
    assert signer.findings == ()
    assert signer.content_type_oid == "1.2.3.4"
    wrong = only(build(Signer(pki), content_type="1.2.3.4"))
    assert codes(wrong.findings) == ["cms_content_type_differs"]


@pytest.mark.parametrize(
    ("oid", "code"),
    [("1.2.840.113549.1.9.3", "cms_content_type_missing"), ("1.2.840.113549.1.9.4", "cms_message_digest_missing")],
)
def test_missing_attributes(pki: test_pki.Pki, oid: str, code: str) -> None:
    signer = only(build(Signer(pki, without=(oid,))))
    assert codes(signer.findings) == [code]
    if oid.endswith("9.4"):
        assert signer.digest_matches is False


def test_signed_without_attributes(pki: test_pki.Pki) -> None:
    signer = only(build(Signer(pki, signed=False)))
    assert codes(signer.findings) == ["cms_signed_attributes_absent"]
    assert signer.value.message is None
    assert signer.value.digest == hashlib.sha256(DOCUMENT).digest()
    assert value_check(signer) is SignatureCheck.VALID
    changed = read(build(Signer(pki, signed=False)), b"changed").signers[0]
    assert value_check(changed) is SignatureCheck.INVALID
    inside = read(build(Signer(pki, signed=False, content=b"x"), content=b"x")).signers[0]
    assert inside.digest_matches is False


def test_algorithms_that_contradict(pki: test_pki.Pki) -> None:
    signer = only(build(Signer(pki, algorithm=signatures.signature_algorithm(pki.key("person"), "sha384"))))
    assert codes(signer.findings) == ["cms_algorithms_differ"]


def test_unknown_digest_and_long_salt(pki: test_pki.Pki) -> None:
    """Shape 29."""
    unknown = only(build(Signer(pki, digest_algorithm=der.seq(der.oid("1.2.3.4")))))
    assert "cms_digest_unknown" in codes(unknown.findings)
    assert unknown.digest_matches is False
    mgf = der.seq(der.oid("1.2.840.113549.1.1.8"), signatures.digest_algorithm("sha256"))
    for salt, expected in ((600, "cms_signature_algorithm_malformed"), (400, None)):
        parameters = der.seq(
            der.explicit(0, signatures.digest_algorithm("sha256")),
            der.explicit(1, mgf),
            der.explicit(2, der.integer(salt)),
        )
        pss = only(build(Signer(pki, algorithm=der.seq(der.oid("1.2.840.113549.1.1.10"), parameters))))
        assert codes(pss.findings) == ([expected] if expected else [])
        if expected is None:
            assert value_check(pss) is SignatureCheck.INVALID


def test_algorithm_protection(pki: test_pki.Pki) -> None:
    def protection(digest: str) -> bytes:
        algorithm = signatures.signature_algorithm(pki.key("person"), "sha256")
        return attribute("1.2.840.113549.1.9.52", der.seq(signatures.digest_algorithm(digest), b"\xa1" + algorithm[1:]))

    assert only(build(Signer(pki, extra=(protection("sha256"),)))).findings == ()
    wrong = only(build(Signer(pki, extra=(protection("sha512"),))))
    assert codes(wrong.findings) == ["cms_algorithm_protection_differs"]


def test_policy_commitment_and_roles(pki: test_pki.Pki) -> None:
    policy = attribute(
        "1.2.840.113549.1.9.16.2.15",
        der.seq(der.oid("1.2.3"), der.seq(signatures.digest_algorithm("sha256"), der.octets(b"h" * 32))),
    )
    commitment = attribute("1.2.840.113549.1.9.16.2.16", der.seq(der.oid("1.2.840.113549.1.9.16.6.5")))
    role = der.seq(der.oid("2.5.4.12"), der.set_of(der.utf8("TM. Ủy ban nhân dân")))
    roles = attribute("0.4.0.19122.1.1", der.seq(der.explicit(0, der.seq(role))))
    signer = only(build(Signer(pki, extra=(policy, commitment, roles))))
    assert signer.findings == ()
    assert signer.policy_oid == "1.2.3"
    assert signer.policy_digest == ("2.16.840.1.101.3.4.2.1", b"h" * 32)
    assert signer.commitment_oids == ("1.2.840.113549.1.9.16.6.5",)
    assert signer.claimed_roles == ("TM. Ủy ban nhân dân",)


def test_revocation_values_by_place(pki: test_pki.Pki) -> None:
    crl, ocsp, above = pki.crl("sub-g2-state"), pki.ocsp("person"), pki.crl("root-g2")
    basic = der.content(der.children(der.children(der.children(ocsp)[1])[0])[1])
    values = der.seq(der.explicit(0, der.seq(crl)), der.explicit(1, der.seq(ocsp)))
    adobe = attribute("1.2.840.113583.1.1.8", values)
    cades = attribute("1.2.840.113549.1.9.16.2.24", der.seq(der.explicit(1, der.seq(basic))))
    more = attribute("1.2.840.113549.1.9.16.2.23", der.seq(pki.cert("tsa1")))
    other = der.tlv(0xA1, der.oid("1.3.6.1.5.5.7.16.2"), pki.ocsp("person2"))
    view = read(build(Signer(pki, extra=(adobe,), unsigned=(cades, more)), crls=(above, other), version=5))
    signer = view.signers[0]
    assert signer.findings == ()
    found = {(e.kind, e.der): e.origin for e in signer.evidence}
    assert found[(EvidenceKind.CRL, crl)] is Origin.REVINFO
    assert found[(EvidenceKind.OCSP, ocsp)] is Origin.REVINFO
    assert found[(EvidenceKind.OCSP, basic)] is Origin.REVINFO
    assert found[(EvidenceKind.CRL, above)] is Origin.CMS
    assert found[(EvidenceKind.OCSP, other[4 + 10 :])] is Origin.CMS
    assert found[(EvidenceKind.CERTIFICATE, pki.cert("tsa1"))] is Origin.CMS


def test_unsigned_attributes_cannot_speak_for_the_signer(pki: test_pki.Pki) -> None:
    time = attribute(SIGNING_TIME, der.time(pki.epoch))
    broken = der.seq(der.oid("1.2.840.113549.1.9.16.2.24"), der.integer(1))
    signer = only(build(Signer(pki, unsigned=(time, broken))))
    assert signer.claimed_time is None
    assert codes(signer.findings) == ["cms_unsigned_attribute_ignored", "cms_unsigned_attribute_malformed"]
    assert all(f.level is not Level.FAIL for f in signer.findings)


def test_counter_signatures(pki: test_pki.Pki) -> None:
    plain = Signer(pki)
    plain.encoded()
    inner = Signer(pki, "person2", content=plain.value, content_type=None)
    other = Signer(pki, "person2", content=b"another value", content_type=None)
    signer = only(
        build(
            Signer(
                pki,
                signature=plain.value,
                unsigned=(attribute("1.2.840.113549.1.9.6", inner.encoded(), other.encoded()),),
            ),
            certs=[*pki.chain("person"), pki.cert("person2")],
        )
    )
    assert [c.digest_matches for c in signer.counter_signatures] == [True, False]
    assert value_check(signer.counter_signatures[0]) is SignatureCheck.VALID
    assert signer.digest_matches is True


def test_counter_signatures_are_bounded_in_depth(pki: test_pki.Pki) -> None:
    inner: tuple[bytes, ...] = ()
    for _ in range(8):
        inner = (attribute("1.2.840.113549.1.9.6", Signer(pki, content_type=None, unsigned=inner).encoded()),)
    signer = only(build(Signer(pki, unsigned=inner)))
    depth = 0
    while signer.counter_signatures:
        signer = signer.counter_signatures[0]
        depth += 1
    assert depth == 3
    assert "cms_too_many" in codes(signer.findings)


def test_unreadable_certificate_is_skipped(pki: test_pki.Pki) -> None:
    attribute_certificate = b"\xa1" + der.seq(der.integer(1))[1:]
    view = read(build(Signer(pki), certs=(der.seq(der.integer(1)), attribute_certificate, *pki.chain("person"))))
    assert codes(view.findings) == ["cms_certificate_unreadable", "cms_certificate_choice_ignored"]
    assert view.signers[0].digest_matches is True
    assert len(view.certificates) == 3


def test_counts_are_bounded(pki: test_pki.Pki) -> None:
    many = [pki.issue("person", serial=n + 1) for n in range(3)] * 100
    assert len(read(build(Signer(pki), certs=many)).certificates) == 3
    view = read(build(*[Signer(pki).encoded()] * 25, certs=pki.chain("person")))
    assert len(view.signers) == 20
    assert codes(view.findings) == ["cms_too_many"]


@pytest.mark.parametrize("octets", [b"", b"\0" * 50, b"\x30", b"\x30\x80", b"junk" * 10, b"\x30\x82\xff\xff"])
def test_what_is_no_cms(octets: bytes) -> None:
    view = read(octets)
    assert codes(view.findings) == ["cms_unreadable"]
    assert view.signers == ()
    assert view.findings[0].sub == "FORMAT_FAILURE"


def test_openssl_makes_what_we_read(pki: test_pki.Pki, tmp_path: Path) -> None:
    """Another implementation's output, strict and streamed (BER with pieces)."""
    from cryptography.hazmat.primitives import serialization

    (tmp_path / "key.pem").write_bytes(
        pki.key("person").private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    from cryptography import x509

    (tmp_path / "cert.pem").write_bytes(
        x509.load_der_x509_certificate(pki.cert("person")).public_bytes(serialization.Encoding.PEM)
    )
    (tmp_path / "doc").write_bytes(DOCUMENT)
    common = ["openssl", "cms", "-sign", "-binary", "-in", "doc", "-signer", "cert.pem", "-inkey", "key.pem"]
    for extra, code in (
        (["-cades"], []),
        (["-cades", "-md", "sha512"], []),
        (["-nodetach", "-cades"], ["cms_content_encapsulated"]),
        (["-noattr"], []),
        (["-keyid", "-cades"], []),
        (["-stream", "-nodetach", "-cades"], ["cms_content_encapsulated", "cms_ber"]),
    ):
        out = tmp_path / "out.der"
        subprocess.run([*common, "-outform", "DER", "-out", out, *extra], cwd=tmp_path, check=True, capture_output=True)
        view = read(out.read_bytes() + bytes(64))
        assert codes(view.findings) == code, extra
        signer = view.signers[0]
        assert signer.digest_matches is True
        assert value_check(signer) is SignatureCheck.VALID
        assert view.end == out.stat().st_size
        if "-noattr" not in extra:
            assert signer.findings == ()
            assert (signer.claimed_time is not None) is True


def test_a_certificate_with_a_malformed_key_is_no_exception(pki: test_pki.Pki) -> None:
    parts = der.children(der.children(pki.cert("person"))[0])
    parts[6] = der.seq()
    rest = der.children(pki.cert("person"))[1:]
    broken = Certificate.from_der(der.seq(der.seq(*parts), *rest))
    signer = only(build(Signer(pki, without=("1.2.840.113549.1.9.16.2.47",)), certs=(broken.der, pki.cert("person"))))
    assert value_check(signer, broken) is SignatureCheck.UNSUPPORTED
    assert signing_certificate(signer)[0] == Certificate.from_der(pki.cert("person"))


def test_unsigned_damage_never_hides_the_signature(pki: test_pki.Pki) -> None:
    """An empty choice beside an archive timestamp that lists it."""
    digest = hashlib.sha256(b"\xa1\x00").digest()
    index = der.seq(der.seq(), der.seq(der.octets(digest)), der.seq())
    from test_pki import timestamps

    info = timestamps.tst_info(digest, at=pki.epoch, algorithm="sha256", policy="1.2", serial=1, nonce=None)
    token = timestamps.signed_data(
        info,
        hashlib.sha256(info).digest(),
        pki.key("tsa1"),
        pki.cert("tsa1"),
        content_type=timestamps.TST_INFO,
        unsigned=[attribute("0.4.0.19122.1.5", index)],
    )
    encoded = build(Signer(pki, unsigned=(attribute("0.4.0.1733.2.4", token),)), crls=(b"\xa1\x00",))
    signer = only(encoded)
    assert signer.digest_matches is True
    assert codes(signer.timestamps[0].findings)[-1] == "timestamp_archive_not_computed"


def test_hostile_counts_cost_little(pki: test_pki.Pki) -> None:
    """Megabytes of two-octet elements wherever a list may stand."""
    many = b"\x30\x00" * 90_000
    values = attribute("1.2.840.113549.1.9.16.2.24", der.seq(der.explicit(0, der.seq(many))))
    token = attribute("1.2.840.113549.1.9.16.2.14", der.seq(many))
    unknown = der.seq(der.oid("1.2.3"), der.tlv(0x31, many))
    start = time.process_time()
    signer = only(build(Signer(pki, unsigned=(*[values] * 20, *[token] * 20, *[unknown] * 20))))
    assert time.process_time() - start < 5  # measured 1.1; unbounded it took 20
    assert signer.digest_matches is True
    assert value_check(signer) is SignatureCheck.VALID
    assert codes(read(build(Signer(pki), certs=(many,))).findings) == ["cms_unreadable"]
