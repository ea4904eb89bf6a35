"""Everything that `openssl cms` and `openssl smime` write, read here: a table of shapes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.formats import cms
from signsvc.formats.cms import signing_certificate
from signsvc.types import Certificate, SignerView
from tests.unit.cms.cms_builder import DOCUMENT, codes, digest_of

INSIDE, BER, ABSENT = "cms_content_encapsulated", "cms_ber", "cms_signed_attributes_absent"
PSS = ("-keyopt", "rsa_padding_mode:pss")

# shape: (command, key, options, what is said of the structure, of the signer, the algorithm with salt and mask digest)
SHAPES: dict[str, tuple[str, str, tuple[str, ...], list[str], list[str], str]] = {
    "plain": ("cms", "person", (), [], [], "rsa-pkcs1v15-sha256"),
    "cades": ("cms", "person", ("-cades",), [], [], "rsa-pkcs1v15-sha256"),
    "sha1": ("cms", "person", ("-md", "sha1"), [], [], "rsa-pkcs1v15-sha1"),
    "sha224": ("cms", "person", ("-md", "sha224"), [], [], "rsa-pkcs1v15-sha224"),
    "sha384": ("cms", "rsa3072", ("-md", "sha384"), [], [], "rsa-pkcs1v15-sha384"),
    "sha3": ("cms", "person", ("-md", "sha3-512"), [], [], "rsa-pkcs1v15-sha3_512"),
    "small-key": ("cms", "rsa1024", (), [], [], "rsa-pkcs1v15-sha256"),
    "pss-longest-salt": ("cms", "person", PSS, [], [], "rsa-pss-sha256 222 sha256"),
    "pss-no-salt": ("cms", "person", (*PSS, "-keyopt", "rsa_pss_saltlen:0"), [], [], "rsa-pss-sha256 0 sha256"),
    "pss-sha512": (
        "cms", "person", (*PSS, "-keyopt", "rsa_pss_saltlen:64", "-md", "sha512"), [], [], "rsa-pss-sha512 64 sha512",
    ),
    "pss-mask-by-sha1": (
        "cms", "person", (*PSS, "-keyopt", "rsa_mgf1_md:sha1", "-keyopt", "rsa_pss_saltlen:20"), [], [],
        "rsa-pss-sha256 20 sha1",
    ),
    "pss-all-defaults": (
        "cms", "person", (*PSS, "-keyopt", "rsa_pss_saltlen:20", "-md", "sha1"), [], [], "rsa-pss-sha1 20 sha1",
    ),
    "ec": ("cms", "ec", (), [], [], "ecdsa-sha256"),
    "ec-sha512": ("cms", "ec", ("-md", "sha512"), [], [], "ecdsa-sha512"),
    "ec-cades-sha384": ("cms", "ec", ("-md", "sha384", "-cades"), [], [], "ecdsa-sha384"),
    "no-capabilities": ("cms", "person", ("-nosmimecap",), [], [], "rsa-pkcs1v15-sha256"),
    "no-certificates": ("cms", "person", ("-nocerts",), [], [], "rsa-pkcs1v15-sha256"),
    "no-attributes": ("cms", "person", ("-noattr",), [], [ABSENT], "rsa-pkcs1v15-sha256"),
    "no-attributes-pss": ("cms", "person", ("-noattr", *PSS), [], [ABSENT], "rsa-pss-sha256 222 sha256"),
    "by-key-identifier": ("cms", "person", ("-keyid",), [], [], "rsa-pkcs1v15-sha256"),
    "content-inside": ("cms", "person", ("-nodetach",), [INSIDE], [], "rsa-pkcs1v15-sha256"),
    "content-inside-bare": ("cms", "ec", ("-nodetach", "-noattr"), [INSIDE], [ABSENT], "ecdsa-sha256"),
    "other-content-type": (
        "cms", "person", ("-nodetach", "-econtent_type", "1.2.3.4"), [INSIDE], [], "rsa-pkcs1v15-sha256",
    ),
    "streamed": ("cms", "person", ("-stream", "-nodetach"), [INSIDE, BER], [], "rsa-pkcs1v15-sha256"),
    "streamed-ec-bare": ("cms", "ec", ("-stream", "-nodetach", "-noattr"), [INSIDE, BER], [ABSENT], "ecdsa-sha256"),
    "pkcs7": ("smime", "person", (), [], [], "rsa-pkcs1v15-sha256"),
    "pkcs7-bare": ("smime", "person", ("-noattr",), [], [ABSENT], "rsa-pkcs1v15-sha256"),
    "pkcs7-streamed": ("smime", "person", ("-nodetach", "-indef", "-stream"), [INSIDE, BER], [], "rsa-pkcs1v15-sha256"),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, certificates and the document as files."""
    path = tmp_path_factory.mktemp("openssl")
    for label in ("person", "person2", "ec", "rsa1024", "rsa3072"):
        key = pki.key(label).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificate = x509.load_der_x509_certificate(pki.cert(label)).public_bytes(Encoding.PEM)
        (path / f"{label}.key").write_bytes(key)
        (path / f"{label}.crt").write_bytes(certificate)
    (path / "doc").write_bytes(DOCUMENT)
    return path


def _made(place: Path, command: str, key: str, *options: str) -> bytes:
    common = ["openssl", command, "-sign", "-binary", "-in", "doc", "-outform", "DER"]
    signer = ["-signer", f"{key}.crt", "-inkey", f"{key}.key"]
    return subprocess.run([*common, *signer, *options], cwd=place, check=True, capture_output=True, timeout=60).stdout


def _checked(pki: test_pki.Pki, view: cms.CmsView, key: str, index: int = 0) -> tuple[SignatureCheck, str]:
    signer = view.signers[index]
    certificate, _ = signing_certificate(signer, [Certificate.from_der(pki.cert(key))])
    assert certificate is not None
    assert certificate.der == pki.cert(key)
    value = signer.value
    algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
    assert algorithm is not None
    check = verify_value(certificate, algorithm, value.value, message=value.message, digest=value.digest)
    extra = f" {algorithm.salt_length} {algorithm.mgf_digest}" if algorithm.mgf_digest else ""
    return check, algorithm.name + extra


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_openssl(shape: str, place: Path, pki: test_pki.Pki) -> None:
    command, key, options, structure, of_signer, algorithm = SHAPES[shape]
    encoded = _made(place, command, key, *options)
    view = cms.read(encoded + bytes(64), subject="S", digest=digest_of())
    assert codes(view.findings) == structure
    assert view.end == len(encoded)
    (signer,) = view.signers
    assert codes(signer.findings) == of_signer
    assert signer.digest_matches is True
    assert _checked(pki, view, key) == (SignatureCheck.VALID, algorithm)
    assert bool(signer.signed_attributes) is (ABSENT not in of_signer)
    other = cms.read(encoded, subject="S", digest=digest_of(b"another document"))
    assert other.signers[0].digest_matches is False or _checked(pki, other, key)[0] is SignatureCheck.INVALID


def test_several_signers_of_openssl(place: Path, pki: test_pki.Pki) -> None:
    more = ("-signer", "person2.crt", "-inkey", "person2.key", "-signer", "ec.crt", "-inkey", "ec.key", "-cades")
    view = cms.read(_made(place, "cms", "person", *more), subject="S", digest=digest_of())
    assert view.findings == ()
    found = set()
    for index, signer in enumerate(view.signers):
        assert signer.digest_matches is True
        assert signer.findings == ()
        (name,) = (key for key in ("person", "person2", "ec") if _named(pki, signer, key))
        assert _checked(pki, view, name, index)[0] is SignatureCheck.VALID
        found.add(name)
    assert found == {"person", "person2", "ec"}


def _named(pki: test_pki.Pki, signer: SignerView, key: str) -> bool:
    certificate = signing_certificate(signer)[0]
    return certificate is not None and certificate.der == pki.cert(key)
