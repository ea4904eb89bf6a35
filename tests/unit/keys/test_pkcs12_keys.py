"""PKCS#12 files: for trials, refused or loud elsewhere."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import SignsvcError
from signsvc.keys import Keyring, Pkcs12Config, Signer, SoftwareKeyWarning, SoftwareSigner, default_algorithm
from signsvc.types import Certificate
from test_pki import PASSWORD, Pki


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SIGNSVC_TEST_P12", PASSWORD.decode())
    return "env:SIGNSVC_TEST_P12"


def test_signs_and_shows_its_chain(pki: Pki, source: str) -> None:
    with Keyring(files=[Pkcs12Config(pki.p12("person"), "me", source)]) as keyring:
        signer = keyring.get("me")
        assert isinstance(signer, Signer)
        assert [c.der for c in signer.certificate_chain] == list(pki.chain("person"))[:2]  # no root in the file
        for scheme in (SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS):
            assert len(signer.sign(bytes(48), SignatureAlgorithm(scheme, "sha384", 48, "sha384"))) == 256
        (info,) = keyring.list()
        assert (info.id, info.kind, info.status, info.key_bits) == ("me", "pkcs12", "ready", 2048)


def test_ec(pki: Pki, source: str) -> None:
    with Keyring(files=[Pkcs12Config(pki.p12("ec"), password_source=source)]) as keyring:
        signer = keyring.get(pki.p12("ec").stem)
        assert signer.sign(bytes(32), default_algorithm(signer.certificate))[0] == 0x30


def test_refused_outside_trial_mode(pki: Pki, source: str) -> None:
    with (
        Keyring(files=[Pkcs12Config(pki.p12("person"), "me", source)], mode="production") as keyring,
        pytest.raises(SignsvcError) as caught,
    ):
        keyring.get("me")
    assert caught.value.code == "configuration_invalid"


def test_loud_where_it_is_allowed(pki: Pki, source: str, caplog: pytest.LogCaptureFixture) -> None:
    config = Pkcs12Config(pki.p12("person"), "me", source)
    with (
        Keyring(files=[config], mode="production", allow_software_keys=True) as keyring,
        caplog.at_level(logging.WARNING),
        pytest.warns(SoftwareKeyWarning, match="me is a software key"),
    ):
        keyring.get("me")
    assert "software key outside trial mode" in caplog.text


@pytest.mark.parametrize(
    ("content", "password", "code"),
    [
        (None, "wrong", "pin_incorrect"),
        (None, None, "pin_required"),
        (b"", "x", "configuration_invalid"),
        (b"not a file of this kind", "x", "configuration_invalid"),
    ],
)
def test_bad_files_and_passwords(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, password: str | None, code: str
) -> None:
    path = tmp_path / "key.p12"
    path.write_bytes(pki.p12("person").read_bytes() if content is None else content)
    monkeypatch.setenv("SIGNSVC_TEST_P12", password or "")
    config = Pkcs12Config(path, "me", "env:SIGNSVC_TEST_P12" if password else None)
    with Keyring(files=[config]) as keyring:
        with pytest.raises(SignsvcError) as caught:
            keyring.get("me")
        assert caught.value.code == code
        assert [i.status for i in keyring.list()] == [code]


def test_a_key_that_is_not_its_certificates_gives_nothing_away(pki: Pki) -> None:
    signer = SoftwareSigner(pki.key("person2"), (Certificate.from_der(pki.cert("person")),))
    with pytest.raises(SignsvcError) as caught:
        signer.sign(bytes(32), default_algorithm(signer.certificate))
    assert caught.value.code == "signature_mismatch"


def test_two_credentials_of_one_id(pki: Pki) -> None:
    config = Pkcs12Config(pki.p12("person"), "me")
    with pytest.raises(SignsvcError) as caught:
        Keyring(files=[config, config])
    assert caught.value.code == "configuration_invalid"
