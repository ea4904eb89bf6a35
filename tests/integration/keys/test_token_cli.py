"""``signsvc token list`` and ``token test``, as their users start them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from test_pki import PASSWORD, Pki
from test_pki.softhsm import Token
from tests.support.csc_service import CscServer, serving


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", "from signsvc.cli import main; main()", "token", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # no terminal: nobody can be asked
        timeout=60,
    )


def test_list_as_json(softhsm: Token, pki: Pki) -> None:
    done = run("list", "--module", str(softhsm.module), "--json")
    assert done.returncode == 0, done.stderr
    (module,) = json.loads(done.stdout)["modules"]
    assert module["problem"] is None
    slots = {s["token"]["label"]: s for s in module["slots"]}
    found = {c["label"]: c for c in slots[softhsm.label]["certificates"]}
    assert found["ec"]["id"] == "signsvc-test:03"
    assert (found["ec"]["key_type"], found["ec"]["key_bits"]) == ("ec", 256)
    assert found["g1-person"]["key_usage"] == ["non_repudiation"]
    assert found["root-g2"]["id"] is None
    expired = {c["label"]: c["expired"] for c in slots[softhsm.label2]["certificates"]}
    assert expired["expired"]
    assert not expired["person2"]


def test_list_as_a_table(softhsm: Token) -> None:
    done = run("list", "--module", str(softhsm.module))
    assert done.returncode == 0, done.stderr
    for text in ("signsvc-test:01", "Nguyễn Văn An", "đã hết hạn", "rsa 3072", "non_repudiation"):
        assert text in done.stdout


def test_list_goes_on_past_a_broken_module(softhsm: Token) -> None:
    done = run("list", "--module", "/nowhere.so", "--module", str(softhsm.module), "--json")
    assert done.returncode == 0
    first, second = json.loads(done.stdout)["modules"]
    assert first["problem"]["code"] == "configuration_invalid"
    assert second["slots"]
    assert run("list", "--module", "/nowhere.so").returncode == 4


@pytest.mark.parametrize("name", ["signsvc-test:01", "rsa3072", "Lê Đường Cong"])
def test_a_key_that_works(softhsm: Token, name: str) -> None:
    done = run("test", name, "--module", str(softhsm.module), "--pin-source", "env:P", "--json", P=softhsm.pin)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verified"] is True


@pytest.mark.parametrize(
    ("name", "pin", "code"),
    [
        ("signsvc-test:01", None, "pin_required"),
        ("signsvc-test:01", "00000000", "pin_incorrect"),
        ("nobody at all", "12345678", "credential_not_found"),
        ("Phòng Sở", "12345678", "credential_ambiguous"),
    ],
)
def test_a_key_that_does_not(softhsm: Token, name: str, pin: str | None, code: str, tmp_path: Path) -> None:
    source = [] if pin is None else ["--pin-source", f"file:{tmp_path / 'pin'}"]
    (tmp_path / "pin").write_text(pin or "")
    done = run("test", name, "--module", str(softhsm.module), *source)
    assert done.returncode == 4
    assert f"[{code}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_configured_tokens(softhsm: Token, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.write_text(softhsm.pin)
    config = tmp_path / "signsvc.toml"
    config.write_text(
        f'mode = "trial"\n[[tokens]]\nmodule = "{softhsm.module}"\npin = "file:{pin}"\n'
        f'[[credentials]]\nid = "seal"\nmodule = "{softhsm.module}"\ntoken = "{softhsm.label}"\nlabel = "agency"\n'
    )
    done = run("test", "seal", "--json", SIGNSVC_CONFIG=str(config))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["subject"].startswith("C=VN")


def test_keys_that_are_on_no_token(pki: Pki, tmp_path: Path) -> None:
    with serving(CscServer(pki, "person")) as server:
        config = tmp_path / "signsvc.toml"
        config.write_text(
            f'mode = "trial"\ndata_dir = "{tmp_path / "data"}"\n'
            f'[[credentials]]\nid = "tep"\npkcs12 = "{pki.p12("ec")}"\npassword = "env:P"\n'
            '[[credentials]]\nid = "hong"\npkcs12 = "/nowhere.p12"\n'
            '[[credentials]]\nid = "tu-xa"\npin = "env:REMOTE_PIN"\n'
            f'[credentials.csc]\nurl = "{server.url}"\ncredential = "khoa-1"\n'
            'username = "van-phong"\npassword = "env:REMOTE_PASSWORD"\n'
        )
        environment = {
            "SIGNSVC_CONFIG": str(config),
            "P": PASSWORD.decode(),
            "REMOTE_PIN": "246810",
            "REMOTE_PASSWORD": "bi-mat",
        }
        found = json.loads(run("list", "--json", **environment).stdout)
        assert found["modules"] == []
        states = {c["id"]: (c["kind"], c["status"]) for c in found["credentials"]}
        assert states == {
            "tep": ("pkcs12", "ready"),
            "hong": ("pkcs12", "configuration_invalid"),
            "tu-xa": ("csc", "ready"),
        }
        shown = run("list", **environment).stdout
        for text in ("Dịch vụ ký từ xa", "Nguyễn Văn An", "hong: configuration_invalid", "ec 256"):
            assert text in shown
        assert not [m for m, _ in server.calls if m == "credentials/authorize"]  # needs no PIN
        done = run("test", "tu-xa", "--json", **environment)
        assert (done.returncode, json.loads(done.stdout)["verified"]) == (0, True)
