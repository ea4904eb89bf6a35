"""Every octet of a signature changed: nothing escapes, and no changed octet is both covered and accepted."""

from __future__ import annotations

import hashlib
import os
import random

import pytest

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.asn1 import DerError
from signsvc.formats import cms
from signsvc.formats.cms import signing_certificate
from signsvc.types import CertificateRef, Level, SignerView
from test_pki.timestamps import attribute
from tests.unit.cms.cms_builder import Signer, digest_of
from tests.unit.cms.cms_builder import cms as build

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
FLIPS = (0x01, 0x80, 0xFF, 0x20) if FULL else (0x01,)


@pytest.fixture(scope="module")
def encoded(pki: test_pki.Pki) -> bytes:
    plain = Signer(pki)
    plain.encoded()
    token = pki.timestamp(hashlib.sha256(plain.value).digest())
    unsigned = (attribute("1.2.840.113549.1.9.16.2.14", token),)
    return build(Signer(pki, signature=plain.value, unsigned=unsigned), crls=(pki.crl("sub-g2-state"),), version=1)


def accepted(signer: SignerView) -> bool:
    """No failing finding, the digest matches and the value verifies with the signing certificate."""
    certificate, findings = signing_certificate(signer)
    if certificate is None or signer.digest_matches is not True:
        return False
    if any(f.level is Level.FAIL for f in (*findings, *signer.findings)):
        return False
    value = signer.value
    try:
        algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
    except DerError:
        return False
    return verify_value(certificate, algorithm, value.value, message=value.message) is SignatureCheck.VALID


def said(signer: SignerView) -> tuple[object, ...]:
    """What the signature itself states: must be the same wherever a mutant is accepted."""
    return (signer.value.message, signer.value.value, signer.references, signer.claimed_time, signer.content_type_oid)


def test_every_octet(encoded: bytes) -> None:
    whole = cms.read(encoded, subject="S", digest=digest_of()).signers[0]
    assert accepted(whole)
    wrong_document = cms.read(encoded, subject="S", digest=digest_of(b"changed")).signers[0]
    assert not accepted(wrong_document)
    survivors = 0
    start = encoded.index(whole.value.message[1:] if whole.value.message else b"?")  # [0] signed attributes
    end = start + len(whole.value.message or b"") - 1
    value_at = encoded.index(whole.value.value)
    for flip in FLIPS:
        for place in range(len(encoded)):
            mutant = bytearray(encoded)
            mutant[place] ^= flip
            view = cms.read(bytes(mutant), subject="S", digest=digest_of())
            if any(f.level is Level.FAIL for f in view.findings):
                continue
            for signer in view.signers:
                if accepted(signer):
                    survivors += 1
                    assert said(signer) == said(whole)
                    assert not start <= place < end, place
                    assert not value_at <= place < value_at + len(whole.value.value), place
    # Most of the file is certificates, lists and tokens that the signature itself does not cover.
    assert survivors > 0


def test_every_truncation_and_random_damage(encoded: bytes) -> None:
    rng = random.Random(20_26)
    for end in range(0, len(encoded), 1 if FULL else 7):
        view = cms.read(encoded[:end], subject="S", digest=digest_of())
        assert view.signers == ()
        assert view.findings
    for _ in range(5_000 if FULL else 500):
        mutant = bytearray(encoded)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(mutant))
            choice = rng.random()
            if choice < 0.4:
                mutant[at] = rng.randrange(256)
            elif choice < 0.7:
                del mutant[at : at + rng.randint(1, 40)]
            else:
                mutant[at:at] = rng.randbytes(rng.randint(1, 20))
        for signer in cms.read(bytes(mutant), subject="S", digest=digest_of()).signers:
            signing_certificate(signer)


def test_unknown_reference_digest_names_nobody(pki: test_pki.Pki) -> None:
    from signsvc.formats.cms.ess import matches
    from signsvc.types import Certificate

    assert not matches(CertificateRef("1.2.3", b""), Certificate.from_der(pki.cert("person")))
