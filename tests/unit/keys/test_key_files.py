"""Private key files beside certificate files; ML-DSA keys among them, which sign messages and not digests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa

from signsvc.algorithms import SignatureAlgorithm, SignatureCheck, SignatureScheme, verify_value
from signsvc.errors import SignsvcError
from signsvc.keys import KeyFileConfig, Keyring, Signer, default_algorithm, offered_algorithms
from signsvc.keys.configured import from_settings
from signsvc.keys.signer import MAX_MESSAGE, check_request
from signsvc.settings import CredentialSettings, Settings
from signsvc.types import Certificate
from test_pki import Pki, certificates

KINDS: dict[str, Any] = {
    "ml-dsa-44": (mldsa.MLDSA44PrivateKey, 2420),
    "ml-dsa-65": (mldsa.MLDSA65PrivateKey, 3309),
    "ml-dsa-87": (mldsa.MLDSA87PrivateKey, 4627),
}
PKCS8 = serialization.PrivateFormat.PKCS8
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
NO_PASSWORD = serialization.NoEncryption()

Files = Callable[..., KeyFileConfig]


@pytest.fixture
def files(pki: Pki, tmp_path: Path) -> Files:
    """A configuration whose files hold a key of this kind, or of a label of the hierarchy, and its certificate."""

    def make(kind: str, encoding: Any = PEM, password: str | None = None) -> KeyFileConfig:
        if kind in KINDS:
            key: Any = KINDS[kind][0].from_seed_bytes(bytes(32))
            above = pki.issuer("person")
            leaf = certificates.build(kind, pki.spec("person"), pki.epoch, key, pki.key(above), pki.cert(above))
        else:
            key, leaf = pki.key(kind), pki.cert(kind)
        hidden = serialization.BestAvailableEncryption(password.encode()) if password else NO_PASSWORD
        (tmp_path / "key").write_bytes(key.private_bytes(encoding, PKCS8, hidden))
        (tmp_path / "leaf.crt").write_bytes(leaf)
        (tmp_path / "ca.crt").write_bytes(pki.cert(pki.issuer("person")))
        return KeyFileConfig(tmp_path / "key", tmp_path / "leaf.crt", "me", (tmp_path / "ca.crt",))

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_ml_dsa_signs_messages(files: Files, pki: Pki, kind: str) -> None:
    with Keyring(files=[files(kind)]) as keyring:
        signer = keyring.get("me")
        assert isinstance(signer, Signer)
        assert [c.der for c in signer.certificate_chain[1:]] == [pki.cert(pki.issuer("person"))]
        algorithm = default_algorithm(signer.certificate)
        assert (algorithm.name, algorithm.digest) == (kind, None)
        message = b"signed attributes" * 100
        value = signer.sign(message, algorithm)
        assert len(value) == KINDS[kind][1]
        assert verify_value(signer.certificate, algorithm, value, message=message) is SignatureCheck.VALID
        assert verify_value(signer.certificate, algorithm, value, message=message[1:]) is SignatureCheck.INVALID
        (info,) = keyring.list()
        assert (info.kind, info.status, info.key_type, info.algorithms) == ("file", "ready", kind, (kind,))


@pytest.mark.parametrize(
    "algorithm",
    [
        SignatureAlgorithm(SignatureScheme.ML_DSA_87, None),
        SignatureAlgorithm(SignatureScheme.ML_DSA_65, "sha512"),
        SignatureAlgorithm(SignatureScheme.ECDSA, "sha256"),
        SignatureAlgorithm(SignatureScheme.RSA_PKCS1, None),
    ],
    ids=lambda a: a.name,
)
def test_an_algorithm_of_another_key(files: Files, algorithm: SignatureAlgorithm) -> None:
    with Keyring(files=[files("ml-dsa-65")]) as keyring, pytest.raises(SignsvcError) as caught:
        keyring.get("me").sign(bytes(32), algorithm)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize("message", [b"", bytes(MAX_MESSAGE + 1)], ids=["empty", "long"])
def test_messages_of_no_signature(files: Files, message: bytes) -> None:
    with Keyring(files=[files("ml-dsa-44")]) as keyring:
        signer = keyring.get("me")
        algorithm = default_algorithm(signer.certificate)
        with pytest.raises(SignsvcError) as caught:
            signer.sign(message, algorithm)
    assert caught.value.code == "invalid_request"


def test_tokens_and_remote_services_are_not_asked_to_sign_messages(files: Files) -> None:
    certificate = Certificate.from_der(files("ml-dsa-65").certificate.read_bytes())
    assert offered_algorithms(certificate) == ()
    with pytest.raises(SignsvcError) as caught:
        check_request(certificate, bytes(32), default_algorithm(certificate))
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize("kind", ["person", "ec", "pss-only", "ml-dsa-65"])
@pytest.mark.parametrize("encoding", [PEM, DER], ids=["pem", "der"])
@pytest.mark.parametrize("password", ["mật khẩu", None], ids=["password", "plain"])
def test_every_form(
    files: Files, kind: str, encoding: Any, password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNSVC_TEST_KEY", "mật khẩu")  # named for a key without one too: it does not matter then
    config = replace(files(kind, encoding, password), password_source="env:SIGNSVC_TEST_KEY")
    with Keyring(files=[config]) as keyring:
        signer = keyring.get("me")
        assert signer.sign(bytes(32), default_algorithm(signer.certificate))


@pytest.mark.parametrize("encoding", [PEM, DER], ids=["pem", "der"])
@pytest.mark.parametrize(("given", "code"), [("wrong", "pin_incorrect"), (None, "pin_required")])
def test_passwords(files: Files, encoding: Any, given: str | None, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = files("ec", encoding, "right")
    if given:
        monkeypatch.setenv("SIGNSVC_TEST_KEY", given)
        config = replace(config, password_source="env:SIGNSVC_TEST_KEY")
    with Keyring(files=[config]) as keyring:
        with pytest.raises(SignsvcError) as caught:
            keyring.get("me")
        assert caught.value.code == code
        assert [i.status for i in keyring.list()] == [code]


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
@pytest.mark.parametrize("source", [None, "env:SIGNSVC_TEST_KEY"])
def test_files_that_hold_no_key(
    files: Files, content: bytes, source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNSVC_TEST_KEY", "x")
    config = replace(files("ec"), password_source=source)
    config.path.write_bytes(content)
    with Keyring(files=[config]) as keyring, pytest.raises(SignsvcError) as caught:
        keyring.get("me")
    assert caught.value.code == "configuration_invalid"


def test_refused_outside_trial_mode(files: Files) -> None:
    with Keyring(files=[files("ec")], mode="production") as keyring, pytest.raises(SignsvcError) as caught:
        keyring.get("me")
    assert caught.value.code == "configuration_invalid"


def test_a_key_of_another_certificate(files: Files, pki: Pki) -> None:
    config = files("ml-dsa-65")
    other = mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(31) + b"x")
    config.path.write_bytes(other.private_bytes(PEM, PKCS8, NO_PASSWORD))
    with Keyring(files=[config]) as keyring:
        signer = keyring.get("me")
        algorithm = default_algorithm(signer.certificate)
        with pytest.raises(SignsvcError) as caught:
            signer.sign(b"message", algorithm)
    assert caught.value.code == "signature_mismatch"


def test_settings_name_a_key_with_its_certificate(files: Files, tmp_path: Path) -> None:
    config = files("ml-dsa-44")
    credential = CredentialSettings(id="thu", key=config.path, certificate=config.certificate, chain=config.chain)
    settings = Settings(mode="trial", data_dir=tmp_path, credentials=(credential,))
    with from_settings(settings) as keyring:
        assert keyring.get("thu").certificate.key_type == "ml-dsa-44"
    alone = settings.model_copy(update={"credentials": (CredentialSettings(id="thu", key=config.path),)})
    with pytest.raises(SignsvcError) as caught:
        from_settings(alone)
    assert caught.value.code == "configuration_invalid"
