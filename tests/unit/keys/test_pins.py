"""Secrets and where they come from."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest

from signsvc.errors import ConfigError, TokenError
from signsvc.keys.pins import MAX_PIN, PinSource, Secret, prompt, resolve

PIN = "73914628"


def test_a_secret_shows_nothing() -> None:
    secret = Secret(PIN)
    assert secret.reveal() == PIN
    assert PIN not in f"{secret} {secret!r} {secret!s} {secret:>20} {[secret]} {vars(type(secret))}"
    assert secret == Secret(PIN)
    assert secret != Secret("1")
    assert secret != PIN
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(secret)


@pytest.mark.parametrize(
    "spec", [PIN, "", "pin", "env:", "env:A=B", "file:", "fd:", "fd:-1", "fd:x", "prompt:x", "FILE:/a"]
)
def test_a_malformed_source_is_not_repeated(spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PinSource.parse(spec)
    assert PIN not in str(caught.value)
    assert PIN not in repr(caught.value)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_line_end_is_not_part_of_the_pin(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "pin"
    path.write_text(f" {PIN} {ending}")
    path.chmod(0o400)
    found = resolve(PinSource.parse(f"file:{path}"))
    assert found.secret.reveal() == f" {PIN} "
    assert found.warnings == ()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_open_to_others_is_told(tmp_path: Path, mode: int, warned: bool) -> None:
    path = tmp_path / "pin"
    path.write_text(PIN)
    path.chmod(mode)
    assert bool(resolve(PinSource.parse(f"file:{path}")).warnings) is warned


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"1" * (MAX_PIN + 1)])
def test_no_usable_pin(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pin"
    path.write_bytes(content)
    with pytest.raises(TokenError) as caught:
        resolve(PinSource.parse(f"file:{path}"))
    assert caught.value.code == "pin_required"


def test_missing_sources(tmp_path: Path) -> None:
    for spec in (f"file:{tmp_path}/none", f"file:{tmp_path}", "env:SIGNSVC_NO_SUCH", "fd:9999"):
        with pytest.raises(TokenError) as caught:
            resolve(PinSource.parse(spec))
        assert caught.value.code == "pin_required"
        assert caught.value.data["hint"] == spec


def test_environment_and_descriptor(tmp_path: Path) -> None:
    assert resolve(PinSource("env", "X"), {"X": PIN}).secret == Secret(PIN)
    path = tmp_path / "pin"
    path.write_text(PIN)
    with path.open("rb") as file:
        source = PinSource.parse(f"fd:{file.fileno()}")
        assert resolve(source).secret == Secret(PIN)
        assert resolve(source).secret == Secret(PIN), "a file can be read again after a restart"


def test_a_relative_file_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pin").write_text(PIN)
    monkeypatch.chdir(tmp_path)
    source = PinSource.parse("file:pin")
    monkeypatch.chdir("/")
    assert resolve(source).secret == Secret(PIN)
    assert PinSource.parse(str(source)) == source


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    def no_terminal(*_: object) -> int:
        raise OSError

    monkeypatch.setattr(os, "open", no_terminal)
    with pytest.raises(TokenError) as caught:
        prompt()
    assert caught.value.code == "pin_required"
