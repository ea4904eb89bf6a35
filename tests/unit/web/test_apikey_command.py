"""``signsvc apikey`` shows a secret once and never again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from signsvc.cli.apikey import apikey
from signsvc.cli.serve import address
from signsvc.errors import RequestError


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("SIGNSVC_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def test_road(runner: CliRunner) -> None:
    made = runner.invoke(apikey, ["create", "--name", "văn thư", "--scope", "sign", "--scope", "read", "--json"])
    key = json.loads(made.stdout)
    assert key["scopes"] == ["read", "sign"]
    plain = runner.invoke(apikey, ["create", "--name", "b", "--scope", "verify"])
    assert plain.stdout.strip().startswith("sk_")
    listed = runner.invoke(apikey, ["list", "--json"])
    lines = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [line["name"] for line in lines] == ["văn thư", "b"]
    assert key["secret"] not in listed.output
    revoked = runner.invoke(apikey, ["revoke", key["id"], "--json"])
    assert json.loads(revoked.stdout)["disabled_at"]
    assert key["id"] in runner.invoke(apikey, ["list"], env={"COLUMNS": "200"}).stdout


def test_mistakes(runner: CliRunner) -> None:
    assert runner.invoke(apikey, ["create", "--name", "x"]).exit_code == 2  # the root command turns it into 64
    assert runner.invoke(apikey, ["create", "--name", "x", "--scope", "all"]).exit_code == 2
    assert isinstance(runner.invoke(apikey, ["revoke", "key_0"]).exception, RequestError)


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:81", "http://[::1]:81"),
        (":82", "http://127.0.0.1:82"),
        ("h:1", "http://h:1"),
    ],
)
def test_addresses(bind: str, url: str) -> None:
    assert address(bind) == url
    assert address(bind, tls=True) == url.replace("http:", "https:")
