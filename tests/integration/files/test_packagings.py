"""Profiles of a site's own: how signature and document stand to each other, and which elements are signed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import test_pki
from test_pki.responders import Responders
from tests.support.installation import Installation, install

XML = b"<a><b Id='data'>Uy ban</b><c>free</c></a>"
PROFILES = {
    "xades-enveloping": 'extends = "xades-b-t"\npackaging = "enveloping"\n',
    "xades-detached": 'extends = "xades-b-t"\npackaging = "detached"\n',
    "cades-enveloping": 'extends = "cades-b-t"\npackaging = "enveloping"\n',
    "xades-part": 'extends = "xades-b-t"\nreferences = ["data"]\n',
}


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    found = install(tmp_path_factory.mktemp("packagings"), pki, responders)
    directory = found.data_dir / "profiles"
    directory.mkdir(parents=True)
    for name, text in PROFILES.items():
        (directory / f"{name}.toml").write_text(f'id = "{name}"\nversion = "1"\n{text}')
    return found


def run(house: Installation, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "signsvc", *map(str, words)],
        env={**os.environ, **house.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def answered(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def signed(house: Installation, pki: test_pki.Pki, path: Path, profile: str) -> Path:
    pin = house.directory / "pin"
    pin.write_bytes(test_pki.PASSWORD)
    key = ("--pkcs12", pki.p12("person"), "--pin-source", f"file:{pin}")
    answer = answered(run(house, "sign", path, *key, "--profile", profile, "--json"))
    assert "problem" not in answer, answer
    return Path(answer["output"]["path"])


@pytest.mark.parametrize(
    ("profile", "ending", "detached"),
    [
        ("xades-enveloping", ".xades.xml", False),
        ("xades-detached", ".xades.xml", True),
        ("cades-enveloping", ".p7m", False),
    ],
)
def test_each_packaging(
    profile: str, ending: str, detached: bool, house: Installation, pki: test_pki.Pki, tmp_path: Path
) -> None:
    path = tmp_path / "tệp số 1.bin"
    path.write_bytes(b"any octets \x00\xff")
    target = signed(house, pki, path, profile)
    assert target.name == path.name + ending
    away = path.rename(tmp_path / "khác.bin")
    beside = ["--original", away] if detached else []
    report = answered(run(house, "verify", target, *beside, "--json"))
    (signature,) = report["signatures"]
    assert (report["indication"], signature["level"], signature["scope"]["type"]) == ("TOTAL-PASSED", "B-T", "FULL")
    if detached:
        away.write_bytes(b"other")
        changed = answered(run(house, "verify", target, *beside, "--json"))
        assert (changed["indication"], changed["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")


def test_a_part_of_a_document(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(XML)
    target = signed(house, pki, path, "xades-part")
    report = answered(run(house, "verify", target, "--json"))
    (signature,) = report["signatures"]
    assert [one["name"] for one in signature["covered"]] == ["/a/b"]
    assert (report["indication"], signature["scope"]["type"]) == ("TOTAL-PASSED", "PARTIAL")
    assert "xml_signature_covers_part" in {m["code"] for m in signature["messages"]}
    target.write_bytes(target.read_bytes().replace(b"free", b"else"))
    assert answered(run(house, "verify", target, "--json"))["indication"] == "TOTAL-PASSED"
    wanted = answered(run(house, "verify", target, "--must-cover", "/a/c", "--json"))
    assert wanted["sub_indication"] == "SIG_CONSTRAINTS_FAILURE"
    path.write_bytes(b"<a><b/></a>")
    pin = house.directory / "pin"
    key = ("--pkcs12", pki.p12("person"), "--pin-source", f"file:{pin}")
    assert answered(run(house, "sign", path, *key, "--profile", "xades-part", "--json"))["problem"]["code"] == (
        "xml_element_not_found"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "xades-b-t"\npackaging = "container"\n', "packaging"),
        ('extends = "pades-b-t"\npackaging = "detached"\n', "packaging"),
        ('extends = "cades-b-t"\nreferences = ["x"]\n', "references"),
        ('extends = "xades-b-t"\n[certify]\nwhen = "first"\n', "certify"),
        ('extends = "cades-b-t"\n[metadata]\nreason = "x"\n', "metadata"),
        ('extends = "asic-e-xades-b-t"\n[appearance]\nshown = "always"\n', "shown"),
    ],
)
def test_profiles_that_make_no_sense(text: str, said: str, house: Installation, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'id = "mine"\nversion = "1"\n{text}')
    done = run(house, "profile", "check", path)
    assert done.returncode != 0
    assert said in done.stderr + done.stdout
