"""Batches on the command line: a record that survives kill -9, and a token that comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from signsvc.cli import batch
from signsvc.errors import RequestError, TokenError
from signsvc.samples import path as sample
from tests.support.installation import Installation

COUNT = 12
# Test runners may have interrupts ignored, which children inherit.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from signsvc.cli.root import main
main()
"""


def command(installation: Installation, out: Path, *more: str) -> list[str]:
    documents = sorted(str(p) for p in (out.parent / "in").glob("*.pdf"))
    options = ["--credential", "person", "--profile", "pades-b-b", "--out-dir", str(out), "--resume", *more]
    return [sys.executable, "-m", "signsvc", "sign", *options, *documents]


def test_a_killed_batch_goes_on_where_it_was(installation: Installation, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "in").mkdir()
    base = sample("van-ban.pdf").read_bytes()
    for number in range(COUNT):
        (tmp_path / "in" / f"{number:02}.pdf").write_bytes(base + b"%% %d\n" % number)
    environment = {**os.environ, **installation.environment}
    process = subprocess.Popen(
        command(installation, out), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.pdf"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    before = {p.name: p.read_bytes() for p in out.glob("*.pdf")}
    assert 3 <= len(before) < COUNT
    again = subprocess.run(command(installation, out), env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("signed before") == len(before)
    after = {p.name: p.read_bytes() for p in out.glob("*.pdf")}
    assert len(after) == COUNT
    assert all(after[name] == content for name, content in before.items())
    assert all(content.count(b"/ByteRange") == 1 for content in after.values())
    # A document that is not what it was is refused; the others are not touched.
    (tmp_path / "in" / "00.pdf").write_bytes(base)
    third = subprocess.run(command(installation, out, "--json"), env=environment, capture_output=True, check=False)
    assert third.returncode == 4
    (line,) = third.stdout.splitlines()
    assert json.loads(line)["problem"]["code"] == "invalid_request"
    assert {p.name: p.read_bytes() for p in out.glob("*.pdf")} == after


def test_ctrl_c_leaves_whole_files_and_a_record(installation: Installation, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        (tmp_path / "in" / f"{number:02}.pdf").write_bytes(sample("van-ban.pdf").read_bytes())
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *command(installation, out, "--jobs", "2")[3:]],
        env={**os.environ, **installation.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("*.pdf")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 4
    recorded = [json.loads(line) for line in (out / batch.NAME).read_bytes().splitlines() if line]
    signed = {Path(line["target"]).name for line in recorded if "signed" in line}
    assert {p.name for p in out.iterdir()} == {batch.NAME, *signed}


class Token:
    """Stands for the work with a token that is away for some calls."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.calls = 0

    def __call__(self, source: Path, target: Path) -> Any:
        self.calls += 1
        if self.calls <= self.away:
            raise TokenError("token_removed")
        return "signed"


def test_a_token_that_comes_back_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch, "_LOOK_SECONDS", 0.01)
    token = Token(3)
    assert batch.patient(token, 30)(tmp_path, tmp_path) == "signed"  # type: ignore[comparison-overlap]
    assert capsys.readouterr().err.count("plug it in again") == 1
    with pytest.raises(TokenError):
        batch.patient(Token(1000), 0.05)(tmp_path, tmp_path)


def test_a_signature_that_was_not_yet_on_record_is_found(tmp_path: Path) -> None:
    source, target = tmp_path / "a.pdf", tmp_path / "b.pdf"
    source.write_bytes(b"document")
    journal = batch.Journal(tmp_path / "j")
    assert not journal.signed_before(source, target)
    journal.begin(source, target)
    assert not batch.Journal(tmp_path / "j").signed_before(source, target)
    target.write_bytes(b"document and its signature")
    with (tmp_path / "j").open("ab") as file:
        file.write(b'{"source": "cut')  # where a power cut left it
    assert batch.Journal(tmp_path / "j").signed_before(source, target)
    target.write_bytes(b"something else")
    with pytest.raises(RequestError):
        batch.Journal(tmp_path / "j").signed_before(source, target)
