"""``signsvc trust`` as scripts call it: exit codes, JSON, words."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import test_pki


class Cli:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "SIGNSVC_DATA_DIR": str(folder / "data")}
        for name in [name for name in self.env if name.startswith("SIGNSVC_") and name != "SIGNSVC_DATA_DIR"]:
            del self.env[name]

    def __call__(self, *arguments: str, status: int = 0, mode: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from signsvc.cli import main; main()", "trust", *arguments],
            cwd=self.folder,
            env={**self.env, **({"SIGNSVC_MODE": mode} if mode else {})},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def json(self, *arguments: str, status: int = 0, mode: str | None = None) -> Any:
        return json.loads(self(*arguments, "--json", status=status, mode=mode).stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def files(pki: test_pki.Pki, tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "files"
    folder.mkdir()
    for label in ("root-g2", "root-g1", "sub-g2-state", "person"):
        (folder / f"{label}.crt").write_bytes(pki.cert(label))
    (folder / "notes.txt").write_text("not a certificate")
    return {path.stem: path for path in folder.iterdir()}


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_certificate_goes_in_and_out_by_its_fingerprint(cli: Cli, files: dict[str, Path]) -> None:
    root = files["root-g2"]
    refused = cli("install", "cong-vu", str(root), status=4)
    assert fingerprint(root) in refused.stderr
    assert "certificate_not_pinned" in refused.stderr
    done = cli.json("install", "cong-vu", str(root), "--confirm", fingerprint(root).upper())
    assert [item["kind"] for file in done["files"] for item in file["installed"]] == ["anchor"]
    shown = cli.json("show", "cong-vu")
    assert [item["sha256"] for item in shown["installed"]] == [fingerprint(root)]
    assert len(shown["missing"]) == 10
    assert "✓ anchor" in cli("show", "cong-vu").stdout
    counts = {p["id"]: p["anchors"] for p in cli.json("list")["profiles"]}
    assert counts == {"cong-cong": 0, "cong-vu": 1, "test": 0}
    cli("remove", "cong-vu", fingerprint(root))
    assert cli.json("show", "cong-vu")["installed"] == []
    assert "certificate_not_installed" in cli("remove", "cong-vu", fingerprint(root), status=4).stderr


def test_one_refusal_among_several_files_is_told_and_the_rest_is_installed(cli: Cli, files: dict[str, Path]) -> None:
    wanted = [str(files["root-g2"]), str(files["person"]), str(files["notes"])]
    options = [x for name in ("root-g2", "person") for x in ("--confirm", fingerprint(files[name]))]
    done = cli.json("install", "test", *wanted, *options, status=4)
    assert [len(file["installed"]) for file in done["files"]] == [1, 0, 0]
    assert [file.get("problem", {}).get("code") for file in done["files"]] == [
        None,
        "certificate_not_installable",
        "invalid_request",
    ]


def test_a_whole_directory_in_trial_mode_only(cli: Cli, files: dict[str, Path], tmp_path: Path) -> None:
    folder = str(files["person"].parent)
    cli("install", "test", "--all-from", folder, status=4)
    cli("install", "cong-vu", "--all-from", folder, status=4, mode="trial")
    assert cli.json("show", "test")["installed"] == []
    done = cli.json("install", "test", "--all-from", folder, mode="trial")
    assert sorted(item["kind"] for file in done["files"] for item in file["installed"]) == [
        "anchor",
        "anchor",
        "intermediate",
    ]
    empty = tmp_path / "empty"
    empty.mkdir()
    cli("install", "test", "--all-from", str(empty), status=4, mode="trial")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("install", "test"), 64),
        (("install", "test", "/nonexistent.crt"), 64),
        (("show",), 64),
        (("frobnicate",), 64),
        (("show", "unknown"), 4),
        (("remove", "test", "zz"), 4),
    ],
)
def test_mistakes(cli: Cli, arguments: tuple[str, ...], status: int) -> None:
    done = cli(*arguments, status=status)
    assert done.stderr
    assert "Traceback" not in done.stderr
