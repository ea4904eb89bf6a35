"""What another signing engine writes, and what another reader says of it."""

from __future__ import annotations

import hashlib
import random
from io import BytesIO

import pytest
from asn1crypto import algos, keys, x509
from asn1crypto import cms as reference
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils.generic import ArrayObject, NumberObject, StreamObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.signers.pdf_cms import SimpleSigner
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.formats import cms
from signsvc.formats.cms import signing_certificate
from tests.unit.cms.cms_builder import digest_of


def private_key(pki: test_pki.Pki, label: str) -> keys.PrivateKeyInfo:
    return keys.PrivateKeyInfo.load(
        pki.key(label).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def registry(pki: test_pki.Pki, label: str) -> SimpleCertificateStore:
    store = SimpleCertificateStore()
    store.register_multiple([x509.Certificate.load(c) for c in pki.chain(label)])
    return store


@pytest.fixture(scope="module")
def signed_pdf(pki: test_pki.Pki) -> bytes:
    writer = PdfFileWriter()
    contents = writer.add_object(StreamObject(stream_data=b"q Q"))
    box = ArrayObject([NumberObject(n) for n in (0, 0, 100, 100)])
    writer.insert_page(PageObject(contents=contents, media_box=box))
    blank = BytesIO()
    writer.write(blank)
    signer = SimpleSigner(
        signing_cert=x509.Certificate.load(pki.cert("person")),
        signing_key=private_key(pki, "person"),
        cert_registry=registry(pki, "person"),
    )
    stamper = DummyTimeStamper(
        tsa_cert=x509.Certificate.load(pki.cert("tsa1")),
        tsa_key=private_key(pki, "tsa1"),
        certs_to_embed=registry(pki, "tsa1"),
    )
    metadata = signers.PdfSignatureMetadata(
        field_name="S", md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
    )
    out = signers.sign_pdf(IncrementalPdfFileWriter(blank), metadata, signer=signer, timestamper=stamper)
    return bytes(out.getvalue())


def parts(pdf: bytes) -> tuple[bytes, bytes]:
    """(Contents, covered octets), by the gap of the ByteRange."""
    start = pdf.index(b"/Contents <") + len(b"/Contents ")
    end = pdf.index(b">", start) + 1
    return bytes.fromhex(pdf[start + 1 : end - 1].decode()), pdf[:start] + pdf[end:]


def test_a_pades_signature_with_a_timestamp(pki: test_pki.Pki, signed_pdf: bytes) -> None:
    contents, covered = parts(signed_pdf)
    view = cms.read(contents, subject="S", digest=digest_of(covered))
    assert view.findings == ()
    signer = view.signers[0]
    assert signer.findings == ()
    assert signer.digest_matches is True
    certificate, findings = signing_certificate(signer)
    assert certificate is not None
    assert certificate.der == pki.cert("person")
    assert findings == ()
    algorithm = resolve(signer.value.algorithm_oid, signer.value.parameters, signer.value.digest_oid)
    assert (
        verify_value(certificate, algorithm, signer.value.value, message=signer.value.message) is SignatureCheck.VALID
    )
    (stamp,) = signer.timestamps
    assert stamp.kind == "signature"
    assert stamp.imprint_matches is True
    assert stamp.signer is not None
    assert stamp.signer.digest_matches is True
    assert stamp.nonce is not None
    assert set(stamp.findings) == set()


def test_damaged_structures_against_another_reader(signed_pdf: bytes) -> None:
    """Whatever we read as a signature, the other reader decodes to the same signed octets and value."""
    contents, covered = parts(signed_pdf)
    whole = cms.read(contents, subject="S", digest=digest_of(covered))
    octets = contents[: whole.end]
    rng = random.Random(11)
    compared = 0
    for _ in range(300):
        mutant = bytearray(octets)
        mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
        view = cms.read(bytes(mutant), subject="S", digest=digest_of(covered))
        if not view.signers or any(f.code == "cms_ber" for f in view.findings):
            continue
        info = reference.ContentInfo.load(bytes(mutant))
        theirs = info["content"]["signer_infos"][0]
        ours = view.signers[0]
        assert theirs["signature"].contents == ours.value.value
        assert b"\x31" + theirs["signed_attrs"].dump()[1:] == ours.value.message
        digest = algos.DigestAlgorithm.load(theirs["digest_algorithm"].dump())
        assert digest["algorithm"].dotted == ours.digest_oid
        compared += 1
    assert compared > 200


def test_the_value_covers_what_is_said(signed_pdf: bytes) -> None:
    contents, covered = parts(signed_pdf)
    signer = cms.read(contents, subject="S", digest=digest_of(covered + b" ")).signers[0]
    assert signer.digest_matches is False
    assert signer.value.message is not None
    assert hashlib.sha256(covered).digest() in signer.value.message
