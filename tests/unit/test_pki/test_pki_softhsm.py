"""The tokens, through OpenSC's pkcs11-tool."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

import test_pki
from test_pki import softhsm as tokens


def tool(token: tokens.Token, *arguments: str | Path, label: str = tokens.LABEL) -> subprocess.CompletedProcess[str]:
    command = ["pkcs11-tool", "--module", token.module, "--token-label", label, "--pin", token.pin, *arguments]
    environment = {**os.environ, **token.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def objects(token: tokens.Token, label: str = tokens.LABEL) -> list[str]:
    listed = tool(token, "--login", "--list-objects", label=label)
    assert listed.returncode == 0, listed.stderr
    return sorted(line.split()[-1] for line in listed.stdout.splitlines() if line.strip().startswith("label:"))


@pytest.mark.parametrize("label", ["person", "agency", "rsa3072", "ec", "g1-person"])
def test_keys_sign(softhsm: tokens.Token, pki: test_pki.Pki, tmp_path: Path, label: str) -> None:
    public = pki.key(label).public_key()
    data, out = tmp_path / "data", tmp_path / "signature"
    data.write_bytes(b"van ban" if isinstance(public, rsa.RSAPublicKey) else pki.cert(label)[:32])
    identifier = tokens.KEYS[tokens.LABEL][label].hex()
    mechanism = "SHA256-RSA-PKCS" if isinstance(public, rsa.RSAPublicKey) else "ECDSA"
    done = tool(softhsm, "--sign", "--id", identifier, "-m", mechanism, "-i", data, "-o", out)
    assert done.returncode == 0, done.stderr
    value = out.read_bytes()
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(value, b"van ban", padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        r, s = (int.from_bytes(half, "big") for half in (value[:32], value[32:]))
        public.verify(encode_dss_signature(r, s), data.read_bytes(), ec.ECDSA(Prehashed(hashes.SHA256())))


def test_certificates_lie_beside_the_keys(softhsm: tokens.Token, pki: test_pki.Pki, tmp_path: Path) -> None:
    for label, identifier in tokens.KEYS[tokens.LABEL].items():
        out = tmp_path / label
        tool(softhsm, "--read-object", "--type", "cert", "--id", identifier.hex(), "-o", out)
        assert out.read_bytes() == pki.cert(label)
    held = objects(softhsm)
    assert {"sub-g2-state", "root-g2", "sub-g1-btc", "root-g1"} < set(held)
    assert held.count("person") == 3


def test_private_keys_do_not_leave(softhsm: tokens.Token) -> None:
    listed = tool(softhsm, "--login", "--list-objects", "--type", "privkey").stdout
    assert listed.count("Private Key Object") == len(tokens.KEYS[tokens.LABEL])
    assert listed.count("sensitive") == len(tokens.KEYS[tokens.LABEL])
    assert "extractable" not in listed.replace("never extractable", "")


def test_second_token(softhsm: tokens.Token) -> None:
    assert {"person2", "expired", "revoked"} <= set(objects(softhsm, tokens.LABEL2))
    assert "person" not in objects(softhsm, tokens.LABEL2)


def test_wrong_pin_is_refused(pki: test_pki.Pki, tmp_path: Path) -> None:
    token = tokens.create(pki, tmp_path)
    wrong = tokens.Token(token.module, token.conf, pin="00000000")
    assert "CKR_PIN_INCORRECT" in tool(wrong, "--login", "--list-objects").stderr


def test_creating_twice_changes_nothing_and_another_epoch_renews(pki: test_pki.Pki, tmp_path: Path) -> None:
    token = tokens.create(pki, tmp_path / "token")
    before = objects(token)
    again = tokens.create(pki, tmp_path / "token")
    assert (again, objects(token)) == (token, before)
    moved = test_pki.load(tmp_path / "moved", pki.epoch - timedelta(days=1))
    tokens.create(moved, tmp_path / "token")
    assert objects(token) == before
    tool(token, "--read-object", "--type", "cert", "--id", "01", "-o", tmp_path / "person")
    assert (tmp_path / "person").read_bytes() == moved.cert("person")


def test_missing_module_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MODULES", ("/nowhere/libsofthsm2.so",))
    monkeypatch.delenv("SOFTHSM2_MODULE", raising=False)
    with pytest.raises(FileNotFoundError, match="apt-get install softhsm2"):
        tokens.find_module()
