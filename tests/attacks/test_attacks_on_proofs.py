"""Forged signatures, times and validation data in sound files: what is said of each.

Every row gives the exact indication and sub-indication of the document, and a finding that must be among those told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import test_pki
from test_pki import certificates, der, signatures, timestamps
from test_pki.pki import now as pki_now
from tests.attacks.court import (
    FAILED,
    FORMAT,
    HASH,
    LATER,
    NO_POE,
    OPEN,
    PASSED,
    VALUE,
    WEAK,
    Court,
    check,
)
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import ROOM, claiming, maker, signed, stamp, token, values


@pytest.fixture(scope="module")
def court(pki: test_pki.Pki) -> Court:
    return Court(pki)


# The CMS.


def _cms(pki: test_pki.Pki, covered: bytes, label: str = "person", **changes: Any) -> bytes:
    options: dict[str, Any] = {
        "content": None,
        "content_digest": hashlib.sha256(covered).digest(),
        "key": pki.key(label),
        "certificate": pki.cert(label),
        "attributes": [timestamps.signing_certificate(pki.cert(label))],
        "include": pki.chain(label)[:-1],
    }
    return timestamps.signed_data(**options | changes)


def _parts(cms: bytes) -> list[bytes]:
    """The fields of a SignedData."""
    return der.children(der.children(der.children(cms)[1])[0])


def _with_signers(pki: test_pki.Pki, covered: bytes, *labels: str) -> bytes:
    made = [_parts(_cms(pki, covered, label)) for label in labels]
    body = made[0] if made else _parts(_cms(pki, covered))
    signers = der.set_of(*(info for parts in made for info in der.children(parts[-1])))
    return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, der.seq(*body[:-1], signers)))


def _bare(pki: test_pki.Pki, signed_octets: bytes, content: tuple[bytes, ...] = ()) -> bytes:
    """A SignerInfo without signed attributes over these octets."""
    certificate, key = pki.cert("person"), pki.key("person")
    info = der.seq(
        der.integer(1),
        der.seq(certificates.field(certificate, "issuer"), certificates.field(certificate, "serial")),
        signatures.digest_algorithm("sha256"),
        signatures.signature_algorithm(key, "sha256", False),
        der.octets(signatures.sign(key, signed_octets, "sha256", False)),
    )
    body = der.seq(
        der.integer(1),
        der.set_of(signatures.digest_algorithm("sha256")),
        der.seq(der.oid(timestamps.DATA), *(der.explicit(0, der.octets(one)) for one in content)),
        der.explicit(0, *sorted(pki.chain("person")[:-1])),
        der.set_of(info),
    )
    return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, body))


def _attributes(pki: test_pki.Pki, *more: bytes) -> list[bytes]:
    return [timestamps.signing_certificate(pki.cert("person")), *more]


def _stolen_attributes(pki: test_pki.Pki, covered: bytes) -> bytes:
    """Signed attributes of a true signature passed off as content that is signed without attributes."""
    true = _parts(_cms(pki, b"another document"))
    info = der.children(der.children(true[-1])[0])
    attributes = b"\x31" + info[3][1:]
    stolen = der.seq(*info[:3], *info[4:])
    body = der.seq(
        *true[:2],
        der.seq(der.oid(timestamps.DATA), der.explicit(0, der.octets(attributes))),
        *true[3:-1],
        der.set_of(stolen),
    )
    return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, body))


def _unordered(pki: test_pki.Pki, covered: bytes) -> bytes:
    """Signed attributes in an order that is not DER's, signed so."""
    digest = timestamps.attribute("1.2.840.113549.1.9.4", der.octets(hashlib.sha256(covered).digest()))
    kind = timestamps.attribute("1.2.840.113549.1.9.3", der.oid(timestamps.DATA))
    ordered = sorted([digest, kind, *_attributes(pki)], reverse=True)
    whole = b"".join(ordered)
    as_set = der.set_of(*ordered)
    head = as_set[: len(as_set) - len(whole)]
    parts = _parts(_cms(pki, covered))
    info = der.children(der.children(parts[-1])[0])
    value = signatures.sign(pki.key("person"), head + whole, "sha256", False)
    forged = der.seq(*info[:3], b"\xa0" + head[1:] + whole, info[4], der.octets(value))
    return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, der.seq(*parts[:-1], der.set_of(forged))))


def _info(pki: test_pki.Pki, covered: bytes, change: Callable[[list[bytes]], list[bytes]], **options: Any) -> bytes:
    """An honest CMS with the parts of its SignerInfo changed: version, signer, digest, attributes, algorithm, value."""
    parts = _parts(_cms(pki, covered, **options))
    info = der.seq(*change(der.children(der.children(parts[-1])[0])))
    return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, der.seq(*parts[:-1], der.set_of(info))))


def _outer(pki: test_pki.Pki, covered: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """An honest CMS with the parts of its SignedData changed."""
    parts = change(_parts(_cms(pki, covered)))
    return der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, der.seq(*parts)))


def _indefinite(encoded: bytes, depth: int) -> bytes:
    """The element in BER: lengths left open in its outer layers."""
    if not depth or not encoded[0] & 0x20:
        return encoded
    inside = b"".join(_indefinite(one, depth - 1) for one in der.children(encoded))
    return encoded[:1] + b"\x80" + inside + b"\0\0"


def _countersigned(pki: test_pki.Pki, covered: bytes, over: bytes | None) -> bytes:
    """With a counter-signature over the value (`over` None), or over something else."""

    def unsigned(value: bytes) -> list[bytes]:
        digest = timestamps.attribute("1.2.840.113549.1.9.4", der.octets(hashlib.sha256(over or value).digest()))
        attributes = der.set_of(digest, timestamps.signing_certificate(pki.cert("person2")))
        key, certificate = pki.key("person2"), pki.cert("person2")
        counter = der.seq(
            der.integer(1),
            der.seq(certificates.field(certificate, "issuer"), certificates.field(certificate, "serial")),
            signatures.digest_algorithm("sha256"),
            b"\xa0" + attributes[1:],
            signatures.signature_algorithm(key, "sha256"),
            der.octets(signatures.sign(key, attributes)),
        )
        return [timestamps.attribute("1.2.840.113549.1.9.6", counter)]

    return _cms(pki, covered, unsigned=unsigned)


_RSA_SHA512 = der.seq(der.oid("1.2.840.113549.1.1.13"), der.null())
_ECDSA = der.seq(der.oid("1.2.840.10045.4.3.2"))
_ED25519 = der.seq(der.oid("1.3.101.112"))
_ML_DSA = der.seq(der.oid("2.16.840.1.101.3.4.3.18"))
_PSS_DEFAULTS = der.seq(der.oid("1.2.840.113549.1.1.10"), der.seq())
_PROTECTION = timestamps.attribute(
    "1.2.840.113549.1.9.52",
    der.seq(signatures.digest_algorithm("sha512"), der.tlv(0xA1, der.content(_RSA_SHA512))),
)

Make = Callable[[test_pki.Pki, bytes], bytes]
CMS: dict[str, tuple[Make, str, str]] = {
    "another-document-inside": (
        lambda p, c: _cms(p, c, content=b"other", content_digest=hashlib.sha256(b"other").digest()),
        HASH,
        "digest_mismatch",
    ),
    "another-document-inside-our-digest": (lambda p, c: _cms(p, c, content=b"other"), HASH, "digest_mismatch"),
    "empty-content-inside": (
        lambda p, c: _cms(p, c, content=b"", content_digest=hashlib.sha256(b"").digest()),
        HASH,
        "cms_content_empty",
    ),
    "sha1-of-the-document-inside": (
        lambda p, c: _cms(
            p,
            c,
            content=hashlib.sha1(c, usedforsecurity=False).digest(),
            content_digest=hashlib.sha256(hashlib.sha1(c, usedforsecurity=False).digest()).digest(),
        ),
        WEAK,
        "algorithm_not_reliable",
    ),
    "stolen-signed-attributes": (_stolen_attributes, HASH, "digest_mismatch"),
    "no-signed-attributes-other-octets": (lambda p, c: _bare(p, b"other"), VALUE, "signature_value_wrong"),
    "two-signers": (lambda p, c: _with_signers(p, c, "person", "person2"), FORMAT, "signature_several_signers"),
    "no-signer": (_with_signers, FORMAT, "cms_signer_missing"),
    "attributes-out-of-order": (_unordered, FORMAT, "cms_signed_attributes_order"),
    "message-digest-twice": (
        lambda p, c: _cms(
            p, c, attributes=_attributes(p, timestamps.attribute("1.2.840.113549.1.9.4", der.octets(bytes(32))))
        ),
        HASH,
        "cms_signed_attribute_repeated",
    ),
    "reference-to-another-certificate": (
        lambda p, c: _cms(
            p, c, attributes=[timestamps.signing_certificate(p.cert("person2"))], include=p.chain("person")[:-1]
        ),
        f"{OPEN}/NO_SIGNING_CERTIFICATE_FOUND",
        "cms_reference_digest_differs",
    ),
    "anothers-key": (lambda p, c: _cms(p, c, key=p.key("person2")), VALUE, "signature_value_wrong"),
    "namesake-certificate": (
        lambda p, c: _cms(
            p,
            c,
            certificate=p.issue("person", key="person2", issuer="ca-unknown"),
            key=p.key("person2"),
            attributes=[timestamps.signing_certificate(p.issue("person", key="person2", issuer="ca-unknown"))],
            include=[p.issue("person", key="person2", issuer="ca-unknown"), *p.chain("person")[:-1]],
        ),
        f"{OPEN}/NO_CERTIFICATE_CHAIN_FOUND",
        "no_certificate_chain",
    ),
    "token-as-signature": (lambda p, c: p.timestamp(hashlib.sha256(c).digest()), HASH, "digest_mismatch"),
    "algorithm-of-another-digest": (
        lambda p, c: _info(p, c, lambda i: [*i[:4], _RSA_SHA512, *i[5:]]),
        VALUE,
        "cms_algorithms_differ",
    ),
    "algorithm-of-another-key": (
        lambda p, c: _info(p, c, lambda i: [*i[:4], _ECDSA, *i[5:]]),
        VALUE,
        "signature_value_wrong",
    ),
    "algorithm-of-a-plain-scheme": (
        lambda p, c: _info(p, c, lambda i: [*i[:4], _ED25519, *i[5:]]),
        VALUE,
        "signature_value_wrong",
    ),
    "algorithm-on-trial": (
        lambda p, c: _info(p, c, lambda i: [*i[:4], _ML_DSA, *i[5:]]),
        VALUE,
        "algorithm_experimental",
    ),
    "pss-of-defaults": (
        lambda p, c: _info(p, c, lambda i: [*i[:4], _PSS_DEFAULTS, *i[5:]]),
        VALUE,
        "cms_algorithms_differ",
    ),
    "pss-without-parameters": (
        lambda p, c: _info(p, c, lambda i: [*i[:4], der.seq(der.oid("1.2.840.113549.1.1.10")), *i[5:]]),
        VALUE,
        "cms_signature_algorithm_malformed",
    ),
    "unknown-algorithm": (
        lambda p, c: _info(p, c, lambda i: [*i[:4], der.seq(der.oid("1.2.3.4")), *i[5:]]),
        VALUE,
        "cms_signature_algorithm_unknown",
    ),
    "protected-algorithms-differ": (
        lambda p, c: _cms(p, c, attributes=_attributes(p, _PROTECTION)),
        VALUE,
        "cms_algorithm_protection_differs",
    ),
    "content-type-differs": (
        lambda p, c: _outer(p, c, lambda b: [*b[:2], der.seq(der.oid("1.2.840.113549.1.9.16.1.4")), *b[3:]]),
        FORMAT,
        "cms_content_type_differs",
    ),
    "attributes-taken-away": (
        lambda p, c: _info(p, c, lambda i: [*i[:3], *i[4:]]),
        VALUE,
        "signature_value_wrong",
    ),
    "attributes-made-unsigned": (
        lambda p, c: _info(p, c, lambda i: [*i[:3], *i[4:], b"\xa1" + i[3][1:]]),
        VALUE,
        "cms_unsigned_attribute_ignored",
    ),
    "empty-value": (lambda p, c: _info(p, c, lambda i: [*i[:5], der.octets(b"")]), VALUE, "cms_signature_empty"),
    "value-with-a-zero-before-it": (
        lambda p, c: _info(p, c, lambda i: [*i[:5], der.octets(b"\0" + der.content(i[5]))]),
        VALUE,
        "signature_value_wrong",
    ),
    "attribute-certificate-beside": (
        lambda p, c: _outer(
            p, c, lambda b: [*b[:3], der.explicit(0, *der.children(b[3]), der.explicit(2, der.null())), *b[4:]]
        ),
        PASSED,
        "cms_certificate_choice_ignored",
    ),
    "lengths-left-open": (lambda p, c: _indefinite(_cms(p, c), 4), PASSED, "cms_ber"),
    "octets-after-it": (lambda p, c: _cms(p, c) + b"\xde\xad\xbe\xef", PASSED, "cms_octets_after"),
    "counter-signed": (lambda p, c: _countersigned(p, c, None), PASSED, None),
    "counter-signature-of-another": (lambda p, c: _countersigned(p, c, b"another value"), PASSED, None),
    "not-a-cms": (lambda p, c: b"\x30\x03\x02\x01\x00", FORMAT, "cms_unreadable"),
}


@pytest.mark.parametrize("name", CMS)
def test_cms(name: str, court: Court, pki: test_pki.Pki) -> None:
    make, expected, finding = CMS[name]
    pdf = PdfWriter()
    pdf.sign(pki, room=ROOM, cms=lambda covered: make(pki, covered))
    check(court(pdf.data), expected, finding)


# Time.


def _late(pki: test_pki.Pki, *tokens: Any, **options: Any) -> PdfWriter:
    """Signed by one whose certificate has expired since; what was known of it while it was valid stands inside."""
    pdf = signed(pki, "expired-recently", tokens=tokens, **options)
    pdf.store(pki, values=values(pki, "expired-recently", at=pki.epoch + 12 * DAY))
    return pdf


def _stamped(pki: test_pki.Pki, made: Any, **entries: Any) -> bytes:
    pdf = _late(pki)
    stamp(pdf, pki, made)
    return pdf.data


def _stamped_first(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter()
    stamp(pdf, pki, token(pki, pki.epoch + 10 * DAY))
    pdf.sign(
        pki, "expired-recently", name="Sau", room=ROOM, extra=claiming(pki.epoch), cms=maker(pki, "expired-recently")
    )
    pdf.store(pki, values=values(pki, "expired-recently", at=pki.epoch + 12 * DAY))
    return pdf.data


def _stamped_as_signature(pki: test_pki.Pki) -> bytes:
    """A document timestamp whose dictionary says that it is a signature proves nothing."""
    pdf = _late(pki)
    made = token(pki, pki.epoch + 12.2 * DAY)
    pdf.sign(pki, name="Dau", sub_filter="ETSI.RFC3161", kind=b" /Type /Sig", cms=made, extra=b"")
    return pdf.data


DAY = timedelta(days=1)
TIME: dict[str, tuple[Callable[[test_pki.Pki], bytes], str, str | None]] = {
    "honest": (lambda p: _late(p, token(p, p.epoch + 12 * DAY)).data, PASSED, None),
    "no-token": (lambda p: _late(p).data, NO_POE, "certificate_expired"),
    "claimed-time-only": (lambda p: _late(p, claimed=p.epoch + 5 * DAY).data, NO_POE, "certificate_expired"),
    "of-another-signature": (
        lambda p: _late(p, token(p, p.epoch + 12 * DAY, over=b"other")).data,
        NO_POE,
        "timestamp_imprint_mismatch",
    ),
    "broken": (lambda p: _late(p, token(p, p.epoch + 12 * DAY, flip=True)).data, NO_POE, "signature_value_wrong"),
    "unknown-authority": (
        lambda p: _late(p, token(p, p.epoch + 12 * DAY, tsa="tsa-unknown")).data,
        NO_POE,
        "no_certificate_chain",
    ),
    "no-purpose": (
        lambda p: _late(p, token(p, p.epoch + 12 * DAY, tsa="tsa-no-eku")).data,
        NO_POE,
        "tsa_certificate_purpose",
    ),
    "by-a-person": (
        lambda p: _late(p, token(p, p.epoch + 12 * DAY, tsa="person2")).data,
        NO_POE,
        "tsa_certificate_purpose",
    ),
    "expired-authority": (
        lambda p: _late(p, token(p, p.epoch + 12 * DAY, tsa="tsa-expired")).data,
        NO_POE,
        "timestamp_outside_certificate",
    ),
    "authority-expired-since": (
        lambda p: _late(p, token(p, p.epoch + 12 * DAY, tsa="tsa-short")).data,
        NO_POE,
        "certificate_expired",
    ),
    "sha1-imprint": (
        lambda p: _late(p, token(p, p.epoch + 12 * DAY, hash="sha1")).data,
        NO_POE,
        "algorithm_not_reliable",
    ),
    "sha1-token": (
        lambda p: _late(p, token(p, p.epoch + 12 * DAY, digest="sha1")).data,
        NO_POE,
        "algorithm_not_reliable",
    ),
    "future": (
        lambda p: _late(p, token(p, pki_now() + DAY)).data,
        NO_POE,
        "timestamp_in_future",
    ),
    "after-the-expiry": (lambda p: _late(p, token(p, p.epoch + 25 * DAY)).data, NO_POE, "signed_after_expiry"),
    "before-the-certificate": (
        lambda p: _late(p, token(p, p.epoch - 500 * DAY)).data,
        f"{FAILED}/NOT_YET_VALID",
        "certificate_not_yet_valid",
    ),
    "document-timestamp": (lambda p: _stamped(p, token(p, p.epoch + 12.2 * DAY)), PASSED, None),
    "document-timestamp-of-another-file": (
        lambda p: _stamped(p, token(p, p.epoch + 12.2 * DAY, over=b"other")),
        NO_POE,
        "timestamp_imprint_mismatch",
    ),
    "document-timestamp-before-the-signature": (_stamped_first, NO_POE, "certificate_expired"),
    "document-timestamp-as-signature": (_stamped_as_signature, NO_POE, "timestamp_type_sig"),
    "content-timestamp-is-no-proof": (
        lambda p: _late(p, content_tokens=[token(p, p.epoch + 5 * DAY)]).data,
        NO_POE,
        "certificate_expired",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TIME)
def test_time(name: str, court: Court, pki: test_pki.Pki) -> None:
    """No trick with time revives the signature of an expired certificate."""
    make, expected, finding = TIME[name]
    labels = ("tsa1", "person2", "tsa-no-eku", "tsa-short", "tsa-expired", "tsa-unknown")
    check(court(make(pki), *labels), expected, finding)


# Validation data that the forger adds.


def _injected(pki: test_pki.Pki, label: str, **more: list[bytes]) -> bytes:
    pdf = signed(pki, label)
    certs = [pki.cert(name) for name in ("person2", "sub-g2-state", "root-g2")]
    held = {"Certs": certs, "CRLs": [pki.crl("root-g2", pki_now())]}
    pdf.store(pki, values={key: held.get(key, []) + more.get(key, []) for key in ("Certs", "CRLs", "OCSPs")})
    return pdf.data


def _namesake_list(pki: test_pki.Pki) -> bytes:
    pki.add("attack-namesake", "sub-g2-state-rekeyed", issuer="person2")
    forged = pki.crl("attack-namesake", pki_now(), entries=[])
    return _injected(pki, "revoked", Certs=[pki.cert("attack-namesake")], CRLs=[forged])


def _own_responder(pki: test_pki.Pki) -> bytes:
    pki.add("attack-responder", "ocsp-sub-g2-state", issuer="person2", key="person2", not_after=timedelta(days=400))
    include = (pki.cert("attack-responder"), pki.cert("person2"))
    answer = pki.ocsp("revoked", "good", at=pki_now(), signer="attack-responder", include=include)
    return _injected(pki, "revoked", OCSPs=[answer])


DATA: dict[str, tuple[Callable[[test_pki.Pki], bytes], str]] = {
    "list-by-a-namesake": (_namesake_list, LATER),
    "answer-by-a-responder-of-my-own": (_own_responder, LATER),
    "answer-signed-by-another": (
        lambda p: _injected(p, "revoked", OCSPs=[p.ocsp("revoked", "good", at=pki_now(), signer="ocsp-sub-g2-party")]),
        LATER,
    ),
    "answer-about-another": (lambda p: _injected(p, "revoked", OCSPs=[p.ocsp("person", at=pki_now())]), LATER),
    "old-answer-replayed": (
        lambda p: _injected(p, "revoked", OCSPs=[p.ocsp("revoked", at=p.epoch - 20 * DAY)]),
        LATER,
    ),
    "list-of-another-authority": (
        lambda p: _injected(p, "revoked", CRLs=[p.crl("sub-g2-party", pki_now())]),
        LATER,
    ),
    "true-list-beside-the-forged-one": (
        lambda p: _injected(
            p,
            "revoked",
            CRLs=[p.crl("sub-g2-state", pki_now())],
            OCSPs=[p.ocsp("revoked", "good", at=pki_now())],
        ),
        f"{OPEN}/REVOKED_NO_POE",
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_injected_data(name: str, court: Court, pki: test_pki.Pki) -> None:
    """Nothing that the thief of a revoked key puts into the file clears him."""
    make, expected = DATA[name]
    check(court(make(pki), "agency"), expected, None)
