"""The corners of SignedData: what stands in its sets and attributes beside the ordinary, and what becomes of it."""

from __future__ import annotations

import pytest

import test_pki
from signsvc.formats import cms
from signsvc.formats.cms import signing_certificate
from signsvc.types import EvidenceKind, Level, Origin, SignerView
from test_pki import der, signatures
from test_pki.timestamps import attribute
from tests.unit.cms.cms_builder import Signer, codes, digest_of
from tests.unit.cms.cms_builder import cms as build

COUNTER, TOKEN = "1.2.840.113549.1.9.6", "1.2.840.113549.1.9.16.2.14"
CONTENT_TYPE, DIGEST, ESS = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.47"


def read(encoded: bytes) -> cms.CmsView:
    return cms.read(encoded, subject="S", digest=digest_of())


def only(encoded: bytes) -> SignerView:
    (signer,) = read(encoded).signers
    return signer


# What the view says.


def test_attributes_are_listed_as_written(pki: test_pki.Pki) -> None:
    unknown = attribute("1.2.3.4", der.null())
    place = attribute(
        "1.2.840.113549.1.9.16.2.17",
        der.seq(der.explicit(0, der.tlv(0x0C, b"VN")), der.explicit(1, der.tlv(0x0C, "Hà Nội".encode()))),
    )
    signer = only(build(Signer(pki, extra=(unknown, place), unsigned=(attribute("1.2.3.5", der.null()),))))
    assert set(signer.signed_attributes) == {CONTENT_TYPE, DIGEST, ESS, "1.2.3.4", "1.2.840.113549.1.9.16.2.17"}
    assert signer.unsigned_attributes == ("1.2.3.5",)
    assert signer.claimed_place == ("VN", "Hà Nội")
    assert signer.findings == ()
    bare = only(build(Signer(pki, signed=False)))
    assert bare.signed_attributes == ()


@pytest.mark.parametrize(
    ("oid", "name"),
    [
        ("1.2.840.113549.1.9.16.2.21", "complete-certificate-references"),
        ("1.2.840.113549.1.9.16.2.22", "complete-revocation-references"),
        ("1.2.840.113549.1.9.16.2.25", "cades-c-time-stamp"),
        ("1.2.840.113549.1.9.16.2.26", "cert-crl-time-stamp"),
        ("0.4.0.1733.2.2", "long-term-validation"),
        ("0.4.0.19122.1.2", "complete-certificate-references-v2"),
    ],
)
def test_references_to_values_are_seen(pki: test_pki.Pki, oid: str, name: str) -> None:
    signer = only(build(Signer(pki, unsigned=(attribute(oid, der.seq()),))))
    assert [(f.code, f.data["attribute"], f.level) for f in signer.findings] == [
        ("cms_references_not_used", name, Level.INFO)
    ]


@pytest.mark.parametrize(
    "oid", ["1.2.840.113549.1.9.16.2.23", "1.2.840.113549.1.9.16.2.24", "1.2.840.113549.1.9.16.2.27", COUNTER, TOKEN]
)
def test_unsigned_attributes_among_the_signed(pki: test_pki.Pki, oid: str) -> None:
    signer = only(build(Signer(pki, extra=(attribute(oid, der.seq()),))))
    assert codes(signer.findings) == ["cms_attribute_misplaced"]
    assert signer.counter_signatures == ()
    assert signer.timestamps == ()


def test_values_of_one_attribute_out_of_order(pki: test_pki.Pki) -> None:
    """What other readers re-encode before they verify must be DER down to the values."""
    sorted_values, others = (der.integer(1), der.null()), (der.null(), der.integer(1))
    good = der.seq(der.oid("1.2.3.4"), der.tlv(0x31, *sorted_values))
    bad = der.seq(der.oid("1.2.3.4"), der.tlv(0x31, *others))
    assert codes(only(build(Signer(pki, extra=(good,)))).findings) == []
    assert codes(only(build(Signer(pki, extra=(bad,)))).findings) == ["cms_signed_attributes_order"]


# Sets of SignedData.


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        (der.explicit(0, der.null()), "cms_certificate_choice_ignored"),  # PKCS#6 extended certificate
        (der.explicit(1, der.null()), "cms_certificate_choice_ignored"),  # attribute certificate, version 1
        (der.explicit(2, der.seq(der.integer(1))), "cms_certificate_choice_ignored"),  # and version 2
        (der.explicit(3, der.oid("1.2.3")), "cms_certificate_choice_ignored"),  # another format
        (der.octets(b"x"), "cms_certificate_unreadable"),
        (der.explicit(4, der.null()), "cms_certificate_unreadable"),
        (der.integer(5), "cms_certificate_unreadable"),
        (der.seq(), "cms_certificate_unreadable"),
        (b"\x80\x01x", "cms_certificate_unreadable"),
    ],
)
def test_kinds_of_certificates(pki: test_pki.Pki, choice: bytes, code: str) -> None:
    view = read(build(Signer(pki), certs=(choice, *pki.chain("person"), choice)))
    assert codes(view.findings) == [code]
    assert [c.der for c in view.certificates] == pki.chain("person")
    assert signing_certificate(view.signers[0])[0] is not None


def test_kinds_of_revocation_information(pki: test_pki.Pki) -> None:
    crl, answer = pki.crl("sub-g2-state"), pki.ocsp("person")
    basic = der.content(der.children(der.children(der.children(answer)[1])[0])[1])
    info = [
        crl,
        der.implicit(1, der.oid("1.3.6.1.5.5.7.16.2") + answer),
        der.implicit(1, der.oid("1.3.6.1.5.5.7.48.1.1") + basic),
        der.implicit(1, der.oid("1.3.6.1.5.5.7.16.4") + der.null()),  # SCVP
    ]
    constructed = [bytes((one[0] | 0x20,)) + one[1:] for one in info]
    view = read(build(Signer(pki), crls=constructed))
    assert codes(view.findings) == ["cms_revocation_choice_ignored"]
    found = [(e.kind, e.der, e.origin) for e in view.evidence if e.kind is not EvidenceKind.CERTIFICATE]
    assert found == [
        (EvidenceKind.CRL, crl, Origin.CMS),
        (EvidenceKind.OCSP, answer, Origin.CMS),
        (EvidenceKind.OCSP, basic, Origin.CMS),
    ]


def test_other_revocation_values_are_told(pki: test_pki.Pki) -> None:
    crl = pki.crl("sub-g2-state")
    values = der.seq(der.explicit(0, der.seq(crl)), der.explicit(2, der.seq(der.oid("1.2.3"), der.null())))
    for oid in ("1.2.840.113549.1.9.16.2.24", "1.2.840.113583.1.1.8"):
        view = read(build(Signer(pki, unsigned=(attribute(oid, values),))))
        assert codes(view.findings) == ["cms_revocation_choice_ignored"]
        assert [(e.kind, e.origin) for e in view.signers[0].evidence][-1] == (EvidenceKind.CRL, Origin.REVINFO)


def test_digest_algorithms_are_checked(pki: test_pki.Pki) -> None:
    assert codes(only(build(Signer(pki), digests=("sha512",))).findings) == ["cms_digest_algorithm_unlisted"]
    assert codes(only(build(Signer(pki), digests=("sha512", "sha256"))).findings) == []
    assert codes(only(build(Signer(pki), digests=())).findings) == ["cms_digest_algorithm_unlisted"]
    plain = build(Signer(pki))
    listed = der.set_of(signatures.digest_algorithm("sha256"))
    broken = der.tlv(0x31, der.tlv(0x31, der.content(signatures.digest_algorithm("sha256"))))
    assert codes(read(plain.replace(listed, broken)).findings) == ["cms_unreadable"]


@pytest.mark.parametrize("tag", [0xA0, 0x30, 0x04])
def test_algorithm_protection_of_another_kind(pki: test_pki.Pki, tag: int) -> None:
    """RFC 6211 §2: a signature is protected under [1], a MAC under [2]; nothing else stands there."""
    value = der.seq(signatures.digest_algorithm("sha256"), der.tlv(tag, der.oid("1.2.840.113549.1.1.11"), der.null()))
    signer = only(build(Signer(pki, extra=(attribute("1.2.840.113549.1.9.52", value),))))
    assert codes(signer.findings) == ["cms_signed_attribute_malformed"]
    mac = der.seq(signatures.digest_algorithm("sha256"), der.tlv(0xA2, der.oid("1.2.840.113549.2.9")))
    signer = only(build(Signer(pki, extra=(attribute("1.2.840.113549.1.9.52", mac),))))
    assert codes(signer.findings) == ["cms_algorithm_protection_differs"]


# Signing-certificate references.


def _reference(pki: test_pki.Pki, *, digest: str | None, issuer_serial: bytes = b"", extra: bytes = b"") -> bytes:
    value = der.octets(signatures.digest(pki.cert("person"), digest or "sha256"))
    algorithm = signatures.digest_algorithm(digest) if digest else b""
    return attribute(ESS, der.seq(der.seq(der.seq(algorithm, value, issuer_serial), extra)))


@pytest.mark.parametrize("digest", [None, "sha256", "sha384", "sha512", "sha1"])
def test_reference_digests(pki: test_pki.Pki, digest: str | None) -> None:
    """RFC 5035 §4: SHA-256 where no algorithm is written; written out although it is the default, too."""
    signer = only(build(Signer(pki, extra=(_reference(pki, digest=digest),), without=(ESS,))))
    certificate, findings = signing_certificate(signer)
    assert certificate is not None
    assert certificate.der == pki.cert("person")
    assert findings == ()


def test_reference_that_names_the_chain_too(pki: test_pki.Pki) -> None:
    """The first identifier is the signer's (RFC 5035 §3); the others only limit the path."""
    other = der.seq(der.octets(signatures.digest(pki.cert("sub-g2-state"), "sha256")))
    signer = only(build(Signer(pki, extra=(_reference(pki, digest=None, extra=other),), without=(ESS,))))
    assert len(signer.references) == 1
    assert signing_certificate(signer)[1] == ()


@pytest.mark.parametrize(
    "value",
    [
        der.seq(),
        der.seq(der.seq()),
        der.seq(der.seq(der.seq())),
        der.seq(der.seq(der.seq(der.integer(1)))),
        der.seq(der.seq(der.octets(b"x"))),
        der.octets(b"x"),
        der.seq(der.seq(der.seq(der.octets(b"x"), der.seq(der.integer(1))))),
        der.seq(der.seq(der.seq(der.octets(b"x"), der.seq(der.seq(), der.octets(b"1"))))),
    ],
)
def test_malformed_references(pki: test_pki.Pki, value: bytes) -> None:
    signer = only(build(Signer(pki, extra=(attribute(ESS, value),), without=(ESS,))))
    assert codes(signer.findings) == ["cms_signed_attribute_malformed"]
    assert signer.findings[0].level is Level.FAIL
