"""``signsvc config check``: each thing that stops the service is named with what mends it, and stops no other check."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from signsvc.cli import config
from signsvc.cli.root import main


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("SIGNSVC_DATA_DIR", str(place))
    monkeypatch.setenv("SIGNSVC_CONFIG", str(tmp_path / "signsvc.toml"))
    (tmp_path / "signsvc.toml").write_text('mode = "production"\n')
    return place


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", "--json"])
    assert ended.value.code == 4  # no root is installed
    return {line["what"]: line for line in json.loads(capsys.readouterr().out)}


def test_the_runtime_directory_must_be_private(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = data / "run"
    monkeypatch.setenv("SIGNSVC_RUNTIME_DIR", str(run))  # a deep temporary directory would have a short one elsewhere
    assert lines(capsys)["run_dir"]["ok"] is True
    run.mkdir(mode=0o700)
    assert lines(capsys)["run_dir"]["ok"] is True
    run.chmod(0o750)
    found = lines(capsys)["run_dir"]
    assert found["ok"] is False
    assert found["mend"] == f"install -d -o signsvc -m 0700 {run}"
    run.rmdir()
    run.symlink_to(data)
    assert lines(capsys)["run_dir"]["ok"] is False


def test_a_database_that_does_not_open_is_one_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys)["api keys"]["ok"] is None
    for rest in data.glob("signsvc.db*"):
        rest.unlink()
    (data / "signsvc.db").write_bytes(b"no database " * 100)
    found = lines(capsys)
    assert found["database"]["ok"] is False
    assert "not a database" in found["database"]["detail"]
    assert {"data_dir", "trust", "credentials"} <= found.keys()


def test_a_pin_file_of_somebody_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = tmp_path / "token-pin"
    pin.touch(mode=0o400)
    assert config._pin("token office", f"file:{pin}").ok is True
    pin.chmod(0o444)
    assert config._pin("token office", f"file:{pin}").ok is None
    # Root may read everything: the answer of a user who may not.
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(pin))
    line = config._pin("token office", f"file:{pin}")
    assert (line.ok, line.mend) == (False, f"chown {os.geteuid()} {pin}")


def test_lines_are_in_both_languages(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(capsys)
    assert found["credentials"]["detail"] == "no signing key: this service verifies only"
    assert found["credentials"]["detail_vi"] == "chưa có khóa ký: dịch vụ này chỉ kiểm tra chữ ký"
    with pytest.raises(SystemExit):
        main(["config", "check"])
    shown = capsys.readouterr().out
    assert "chưa cài chứng thư gốc nào: không chữ ký nào đạt TOTAL-PASSED / no root certificate is installed" in shown
    assert f"✓ data_dir: {data}\n" in shown


@pytest.mark.parametrize(
    ("credential", "ok", "detail"),
    [
        ('key = "/nowhere.key"\ncertificate = "/nowhere.crt"', False, "/nowhere.key does not exist"),
        ('key = "{here}"', False, "key needs its certificate"),
        ('key = "{here}"\ncertificate = "{here}"', False, "the key of a file in production mode"),
        ('csc = {{ url = "http://ky.example.vn/csc/v2", credential = "a" }}', False, "called by https"),
        ('csc = {{ url = "https://ky.example.vn/rssp", credential = "a" }}', False, "ends with /csc/v1 or /csc/v2"),
        ('csc = {{ url = "https://ky.example.vn/csc/v2", credential = "a" }}', True, "at https://ky.example.vn/csc/v2"),
    ],
)
def test_keys_that_are_on_no_token(
    data: Path, capsys: pytest.CaptureFixture[str], credential: str, ok: bool, detail: str
) -> None:
    place = data.parent / "signsvc.toml"
    written = credential.format(here=place)
    place.write_text(f'mode = "production"\n[[credentials]]\nid = "thu"\n{written}\n')
    found = lines(capsys)["credential thu"]
    assert found["ok"] is ok
    assert detail in found["detail"]


def test_secrets_of_a_remote_key(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data.parent / "signsvc.toml").write_text(
        '[[credentials]]\nid = "thu"\npin = "env:PATH"\n[credentials.csc]\nurl = "https://ky.example.vn/csc/v2"\n'
        'credential = "a"\nusername = "u"\npassword = "file:/nowhere"\n'
    )
    found = lines(capsys)["credential thu"]  # the last line of that name
    assert (found["ok"], found["detail"]) == (False, "password file /nowhere does not exist")
