"""CMS both ways against BouncyCastle, which has the schemes that OpenSSL 3.0 cannot write: EdDSA and ML-DSA too."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.formats import cms
from signsvc.formats.cms import signing_certificate, write
from signsvc.keys import SoftwareSigner, default_algorithm
from signsvc.types import Certificate
from test_pki import der
from tests.interop.conftest import JAVA
from tests.unit.cms.cms_builder import DOCUMENT, Signer, codes, digest_of
from tests.unit.cms.cms_builder import cms as build
from tests.unit.cms.test_cms_plain_schemes import KEYS, Chain

# What BouncyCastle writes: the algorithm, with salt and mask digest where there are any.
KINDS = {
    "ed25519": "ed25519",
    "ed448": "ed448",
    "ml-dsa-44": "ml-dsa-44",
    "ml-dsa-65": "ml-dsa-65",
    "ml-dsa-87": "ml-dsa-87",
    "rsa": "rsa-pkcs1v15-sha256",
    "rsa-sha3": "rsa-pkcs1v15-sha3_256",
    "rsa-pss": "rsa-pss-sha256",
    "rsa-pss-sha512": "rsa-pss-sha512",
    "ecdsa": "ecdsa-sha256",
    "ecdsa-p521": "ecdsa-sha512",
    "ecdsa-sha3": "ecdsa-sha3_384",
}


@pytest.fixture(scope="module")
def exchange(dss: object, pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """What BouncyCastle signed, and what it says of ours; one Java process (`dss` has its jars at hand)."""
    root = tmp_path_factory.mktemp("bouncycastle")
    (root / "in").mkdir()
    (root / "out").mkdir()
    (root / "content").write_bytes(DOCUMENT)
    for name, encoded in _ours(pki).items():
        (root / "in" / name).write_bytes(encoded)
    command = ["java", "-cp", f"{JAVA / 'lib'}/*", str(JAVA / "CmsHarness.java"), str(root)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=300, text=True)
    return root / "out", dict(line.split("\t") for line in done.stdout.splitlines())


def _ours(pki: test_pki.Pki) -> dict[str, bytes]:
    made = {kind: Chain(pki, kind) for kind in KEYS}
    found = {
        **{kind: chain.cms(DOCUMENT, "shake256" if kind == "ed448" else "sha512") for kind, chain in made.items()},
        **{f"{kind}-flipped": chain.cms(DOCUMENT, flip=True) for kind, chain in made.items()},
        **{f"{kind}-other": chain.cms(b"another document") for kind, chain in made.items()},
        "rsa": build(Signer(pki)),
        "pss": build(Signer(pki, "pss", pss=True)),
        "ec": build(Signer(pki, "ec")),
        **{f"written-{kind}": _written(made[kind]) for kind in made if kind.startswith("ml-dsa")},
    }
    infos = der.children(der.children(der.children(found["rsa"])[1])[0])
    swapped = der.seq(der.oid("1.2.840.113549.1.7.2"), der.explicit(0, der.seq(*infos[:-1], infos[-1][:-1] + b"\0")))
    return {**found, "rsa-flipped": swapped}


def _written(chain: Chain) -> bytes:
    """As a software key signs here."""
    signer = SoftwareSigner(chain.key, (Certificate.from_der(chain.leaf),))
    plan = write.CmsPlan(signer.certificate, default_algorithm(signer.certificate))
    attributes = write.signed_attributes(plan, hashlib.new(plan.digest_name, DOCUMENT).digest())
    return write.signed_data(plan, attributes, signer.sign(write.to_be_signed(plan, attributes), plan.algorithm))


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_signs_verifies_here(kind: str, exchange: tuple[Path, dict[str, str]]) -> None:
    encoded = (exchange[0] / f"{kind}.cms").read_bytes()
    view = cms.read(encoded, subject="S", digest=digest_of())
    assert view.findings == ()
    (signer,) = view.signers
    assert signer.findings == ()
    assert signer.digest_matches is True
    assert "1.2.840.113549.1.9.52" in signer.signed_attributes  # algorithm protection, and it held
    certificate, told = signing_certificate(signer)
    assert certificate is not None
    assert codes(told) == ["cms_reference_absent"]
    value = signer.value
    algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
    assert algorithm is not None
    assert algorithm.name == KINDS[kind]

    def check(octets: bytes, message: bytes | None) -> SignatureCheck:
        return verify_value(certificate, algorithm, octets, message=message, digest=value.digest)

    assert check(value.value, value.message) is SignatureCheck.VALID
    assert check(value.value[:-1] + bytes((value.value[-1] ^ 1,)), value.message) is SignatureCheck.INVALID
    assert check(value.value, (value.message or b"") + b"\0") is SignatureCheck.INVALID
    own = resolve(certificate.signature_oid, certificate.signature_parameters)
    assert verify_value(certificate, own, certificate.signature, message=certificate.tbs_der) is SignatureCheck.VALID


def test_it_says_of_ours_what_we_say(pki: test_pki.Pki, exchange: tuple[Path, dict[str, str]]) -> None:
    answers = exchange[1]
    assert set(answers) == set(_ours(pki))
    sound = {name for name in answers if not name.endswith(("-flipped", "-other"))}
    assert {name for name, answer in answers.items() if answer == "true"} == sound, answers
