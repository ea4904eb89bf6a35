"""The command line as scripts use it: flags, exit codes, one JSON line a file, nothing else on standard output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.samples import path as sample
from signsvc.types import Certificate
from tests.support.installation import Installation

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(installation: Installation) -> Run:
    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "signsvc", *map(str, arguments)]
        env = {**os.environ, **installation.environment, **environment}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    return call


@pytest.fixture(scope="module")
def signed(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The office document signed with the SoftHSM2 key at B-LTA, by the command line."""
    target = tmp_path_factory.mktemp("signed") / "a.pdf"
    command = [sys.executable, "-m", "signsvc", "sign", str(sample("van-ban.pdf")), "--credential", "person"]
    command += ["--profile", "pades-b-lta", "--out", str(target), "--json"]
    done = subprocess.run(command, env={**os.environ, **installation.environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["signature"]["level"] == "B-LTA"
    assert answer["output"]["size"] == target.stat().st_size
    return target


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_good_file_is_zero_and_says_so_in_vietnamese(run: Run, signed: Path) -> None:
    done = run("verify", signed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Chữ ký hợp lệ (TOTAL-PASSED)" in done.stdout
    assert "Nguyễn Văn An" in done.stdout
    assert "B-LTA" in done.stdout


def test_every_exit_code_and_their_order(run: Run, signed: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    data = bytearray(signed.read_bytes())
    data[200] ^= 1
    broken.write_bytes(data)
    empty = tmp_path / "empty.pdf"
    empty.write_bytes(b"")
    plain = sample("van-ban.pdf")
    nobody = {"SIGNSVC_DATA_DIR": str(tmp_path / "nothing"), "SIGNSVC_TRUST_PROFILES": "[]"}
    assert run("verify", broken).returncode == 1
    assert run("verify", signed, **nobody).returncode == 2
    assert run("verify", plain).returncode == 3
    assert run("verify", empty).returncode == 4
    assert run("verify", tmp_path / "absent.pdf").returncode == 4
    assert run("verify").returncode == 64
    assert run("verify", "--no-such-flag", signed).returncode == 64
    assert run("no-such-verb").returncode == 64
    assert run("verify", signed, plain).returncode == 3
    assert run("verify", signed, plain, broken).returncode == 1
    assert run("verify", broken, empty, signed).returncode == 4


def test_json_is_one_line_a_file_in_order_and_a_bad_file_stops_nothing(run: Run, signed: Path, tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("không phải PDF")
    done = run("verify", "--json", "--jobs", 2, text, signed, sample("van-ban.pdf"), signed)
    first, second, third, fourth = lines(done)
    assert first == {"document": {"name": "note.txt"}, "problem": first["problem"]}
    assert first["problem"]["code"] == "unsupported_format"
    assert [r["indication"] for r in (second, third, fourth)] == ["TOTAL-PASSED", "NO-SIGNATURE", "TOTAL-PASSED"]
    assert done.returncode == 4
    (signature,) = second["signatures"]
    assert signature["field"] == "Signature1"
    assert {c["id"] for c in signature["checks"]} == {
        "integrity", "chain", "revocation", "timestamp", "crypto_strength", "changes",
    }  # fmt: skip
    assert all(change["grade"] == "extension" for change in signature["scope"]["changes_after"])
    assert signature["time_source"] == "timestamp"
    assert len(second["timestamps"]) == 1


def test_a_directory_means_its_files(run: Run, signed: Path, tmp_path: Path) -> None:
    for name in ("b.pdf", "a.pdf"):
        (tmp_path / name).write_bytes(signed.read_bytes())
    (tmp_path / ".hidden").write_bytes(b"x")
    done = run("verify", "--json", tmp_path)
    assert [r["document"]["name"] for r in lines(done)] == ["a.pdf", "b.pdf"]
    assert done.returncode == 0


def test_an_anchor_for_this_call_only(run: Run, signed: Path, pki: test_pki.Pki, tmp_path: Path) -> None:
    root = tmp_path / "root.crt"
    root.write_bytes(pki.cert("root-g2"))
    nobody = {"SIGNSVC_DATA_DIR": str(tmp_path / "nothing"), "SIGNSVC_TRUST_PROFILES": "[]"}
    done = run("verify", "--json", "--offline", "--trust-anchor", root, signed, **nobody)
    (report,) = lines(done)
    assert report["indication"] == "TOTAL-PASSED", report
    assert len(report["supplied_trust_anchors"]) == 1
    (report,) = lines(run("verify", "--json", "--offline", signed, **nobody))
    assert (report["indication"], report["sub_indication"]) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")
    checks = {c["id"]: c["result"] for c in report["signatures"][0]["checks"]}
    assert checks["integrity"] == "passed"


def test_a_supplied_crl_that_revokes_counts(run: Run, pki: test_pki.Pki, tmp_path: Path) -> None:
    """The certificate names no CRL and no OCSP; the caller brings the CRL that revokes it."""
    target, crl = tmp_path / "a.pdf", tmp_path / "ca.crl"
    done = run(
        "sign", sample("van-ban.pdf"), "--pkcs12", pki.p12("no-urls"), "--pin-source", "env:PASS", "--profile",
        "pades-b-b", "--out", target, PASS=test_pki.PASSWORD.decode(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    serial = Certificate.from_der(pki.cert("no-urls")).serial_number
    crl.write_bytes(pki.crl("sub-g2-state", entries=[(serial, pki.epoch, "keyCompromise")]))
    (without,) = lines(run("verify", "--json", target))
    (with_crl,) = lines(run("verify", "--json", "--crl", crl, target))
    assert (without["indication"], without["sub_indication"]) == ("INDETERMINATE", "TRY_LATER")
    assert with_crl["signatures"][0]["chain"][0]["status"] == "revoked"
    assert (with_crl["indication"], with_crl["sub_indication"]) == ("INDETERMINATE", "REVOKED_NO_POE")


def test_at_wants_a_zone_and_judges_that_time(run: Run, signed: Path) -> None:
    assert run("verify", "--at", "2026-01-01T00:00:00", signed).returncode == 64
    assert run("verify", "--at", "yesterday", signed).returncode == 64
    done = run("verify", "--json", "--at", "2040-01-01T00:00:00+07:00", signed)
    assert lines(done)[0]["validation_time"].startswith("2039-12-31T17:00:00")


def test_acceptance_and_reports(run: Run, signed: Path, tmp_path: Path) -> None:
    done = run(
        "verify", "--json", "--accept", "hop-le-co-dau-thoi-gian", "--report", "html", "--report-dir", tmp_path, signed
    )
    (report,) = lines(done)
    wanted = {"rule": "hop-le-co-dau-thoi-gian", "decision": "accept", "reasons": []}
    assert wanted.items() <= report["acceptance"].items()
    assert "Chữ ký hợp lệ" in (tmp_path / "a.pdf.html").read_text("utf-8")
    (report,) = lines(run("verify", "--json", "--accept", "van-ban-ban-hanh", signed))
    assert report["acceptance"]["decision"] == "reject"
    assert run("verify", "--accept", "no-such-rule", signed).returncode == 4


def test_unknown_names_are_refused_once(run: Run, signed: Path, tmp_path: Path) -> None:
    done = run("verify", "--policy", "no-such-policy", signed, signed)
    assert done.returncode == 4
    assert done.stderr.count("policy_not_found") == 1
    out = tmp_path / "x.pdf"
    for arguments in (
        ("--credential", "nobody", "--profile", "pades-b-b"),
        ("--credential", "person", "--profile", "nothing"),
    ):
        done = run("sign", sample("van-ban.pdf"), *arguments, "--out", out)
        assert done.returncode == 4, done.stderr
        assert not out.exists()
    assert run("sign", sample("van-ban.pdf"), "--profile", "pades-b-b").returncode == 64


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("expired", "certificate_expired"),
        ("not-yet-valid", "certificate_not_yet_valid"),
        ("revoked", "certificate_revoked"),
        ("wrong-usage", "certificate_not_for_signing"),
    ],
)
def test_certificates_that_may_not_sign_are_refused(run: Run, label: str, code: str, tmp_path: Path) -> None:
    out = tmp_path / "x.pdf"
    done = run("sign", sample("van-ban.pdf"), "--credential", f"p12-{label}", "--profile", "pades-b-b", "--out", out)
    assert done.returncode == 4
    assert f"[{code}]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_pkcs12_file_with_a_password_from_the_environment(run: Run, pki: test_pki.Pki, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        "sign", sample("van-ban.pdf"), sample("ban-quet.pdf"), "--pkcs12", pki.p12("agency"), "--pin-source", "env:PASS",
        "--profile", "pades-b-b", "--out-dir", out, "--json", PASS=test_pki.PASSWORD.decode(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [r["signature"]["level"] for r in lines(done)] == ["B-B", "B-B"]
    assert run("verify", out).returncode == 0
    assert test_pki.PASSWORD.decode() not in done.stdout + done.stderr


def test_extend_raises_to_each_level(run: Run, tmp_path: Path) -> None:
    start = tmp_path / "b.pdf"
    run("sign", sample("van-ban.pdf"), "--credential", "person", "--profile", "pades-b-b", "--out", start)
    for level in ("B-T", "B-LT", "B-LTA"):
        target = tmp_path / f"{level}.pdf"
        done = run("extend", start, "--level", level, "--out", target, "--json")
        assert done.returncode == 0, done.stderr
        assert run("verify", target).returncode == 0
    assert run("extend", sample("van-ban.pdf"), "--level", "B-T", "--out", tmp_path / "no.pdf").returncode == 4


def test_config_check_names_the_command_that_mends(run: Run, tmp_path: Path) -> None:
    done = run("config", "check", SIGNSVC_DATA_DIR=str(tmp_path / "empty"))
    assert done.returncode == 4
    assert "signsvc trust install" in done.stdout
    assert run("config", "check", "--json").returncode == 0
    assert json.loads(run("config", "show").stdout)["mode"] == "trial"
    assert run("doctor").returncode in (0, 4)
