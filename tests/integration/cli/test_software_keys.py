"""``signsvc sign --pkcs12`` without any configuration: it works, and says loudly what it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import test_pki
from signsvc.samples import path as sample


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SIGNSVC_")}
    return {**kept, "SIGNSVC_DATA_DIR": str(tmp_path / "data"), "PASS": test_pki.PASSWORD.decode()}


def run(environment: dict[str, str], *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "signsvc", *map(str, arguments)]
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def test_no_configuration_is_needed(environment: dict[str, str], pki: test_pki.Pki, tmp_path: Path) -> None:
    target, root = tmp_path / "a.pdf", tmp_path / "root.crt"
    root.write_bytes(pki.cert("root-g2"))
    arguments = ["--pkcs12", pki.p12("person"), "--pin-source", "env:PASS", "--profile", "pades-b-b", "--json"]
    done = run(environment, "sign", sample("van-ban.pdf"), *arguments, "--out", target, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["signature"]["level"] == "B-B"
    assert "CẢNH BÁO" in done.stderr
    assert "WARNING: signing with a software key outside trial mode" in done.stderr
    assert environment["PASS"] not in done.stdout + done.stderr
    done = run(environment, "verify", target, "--json", "--offline", "--trust-anchor", root, cwd=tmp_path)
    assert done.returncode == 2  # no status of the certificate without the network
    checks = {c["id"]: c["result"] for c in json.loads(done.stdout)["signatures"][0]["checks"]}
    assert (checks["integrity"], checks["chain"], checks["revocation"]) == ("passed", "passed", "unknown")


def test_trial_mode_does_not_warn(environment: dict[str, str], pki: test_pki.Pki, tmp_path: Path) -> None:
    arguments = ["--pkcs12", pki.p12("person"), "--pin-source", "env:PASS", "--profile", "pades-b-b"]
    target = tmp_path / "a.pdf"
    trial = {**environment, "SIGNSVC_MODE": "trial"}
    done = run(trial, "sign", sample("van-ban.pdf"), *arguments, "--out", target, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CẢNH BÁO" not in done.stderr


@pytest.mark.parametrize(
    ("password", "code"), [("wrong", "pin_incorrect"), (None, "pin_required")], ids=["wrong", "none"]
)
def test_passwords(
    environment: dict[str, str], pki: test_pki.Pki, tmp_path: Path, password: str | None, code: str
) -> None:
    env = {k: v for k, v in environment.items() if k != "PASS"} | ({"PASS": password} if password else {})
    arguments = ["--pkcs12", pki.p12("person"), "--pin-source", "env:PASS", "--profile", "pades-b-b"]
    done = run(env, "sign", sample("van-ban.pdf"), *arguments, "--out", tmp_path / "a.pdf", cwd=tmp_path)
    assert done.returncode == 4
    assert f"[{code}]" in done.stderr
    assert not (tmp_path / "a.pdf").exists()
