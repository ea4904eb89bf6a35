"""``signsvc sign`` and ``extend`` beside PDF: XAdES, CAdES and ASiC at every level, verified by ``signsvc verify``."""

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

XML = '<?xml version="1.0" encoding="UTF-8"?>\n<?x y?><a xmlns="urn:x" xml:lang="vi"><b Id="b">Ủy ban &amp; x</b></a>\n'.encode()
FORMATS = {
    "xades": (XML, "van-ban.xml", "XAdES", ""),
    "cades": (b"any octets \x00\x01", "tep.bin", "CAdES", ".p7s"),
    "asic-s-xades": (b"any octets", "tep.bin", "XAdES", ".asics"),
    "asic-e-xades": ("Ủy ban".encode(), "tệp số 1+.txt", "XAdES", ".asice"),
}


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("files"), pki, responders)


def run(house: Installation, *words: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "signsvc", *map(str, words)],
        env={**os.environ, **house.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def signed(
    house: Installation, pki: test_pki.Pki, path: Path, profile: str, label: str = "person", *more: object
) -> Any:
    key = (house.directory / "pin", pki.p12(label))
    key[0].write_bytes(test_pki.PASSWORD)
    return run(
        house, "sign", path, "--pkcs12", key[1], "--pin-source", f"file:{key[0]}", "--profile", profile, "--json", *more
    )


def beside(form: str, path: Path) -> list[object]:
    return ["--original", path] if form == "cades" else []


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LT", "B-LTA"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_level(form: str, level: str, house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    data, name, family, ending = FORMATS[form]
    path = tmp_path / name
    path.write_bytes(data)
    label = "ec" if level == "B-T" else "person"
    answer = signed(house, pki, path, f"{form}-{level.lower()}", label)
    assert "problem" not in answer, answer
    target = Path(answer["output"]["path"])
    assert target.name == (name + ending if ending else "van-ban-signed.xml")
    assert answer["signature"]["level"] == level
    report = run(house, "verify", target, *beside(form, path), "--json")
    assert report["indication"] == "TOTAL-PASSED", report["signatures"]
    (signature,) = report["signatures"]
    assert (signature["format"], signature["level"]) == (family, level)
    assert [one["matches"] for one in signature["covered"]] == [True]
    if form.startswith("asic"):
        assert signature["covered"][0]["name"] == name
    if form == "xades":
        assert target.read_bytes().startswith(XML[: XML.index(b"</a>")])  # what was there is there, octet for octet


@pytest.mark.parametrize("form", FORMATS)
def test_raised_step_by_step(form: str, house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    data, name, _, _ = FORMATS[form]
    path = tmp_path / name
    path.write_bytes(data)
    target = Path(signed(house, pki, path, f"{form}-b-b")["output"]["path"])
    for level in ("B-T", "B-LTA", "B-LTA"):
        answer = run(house, "extend", target, "--level", level, "--out", target, *beside(form, path), "--json")
        assert "problem" not in answer, answer
        assert answer["signature"]["level"] == level
    report = run(house, "verify", target, *beside(form, path), "--json")
    assert report["indication"] == "TOTAL-PASSED"
    assert [t["kind"] for t in report["signatures"][0]["timestamps"]] == ["signature", "archive", "archive"]


def test_two_sign_one_document(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    for form in ("xades", "asic-e-xades"):
        data, name, _, _ = FORMATS[form]
        path = tmp_path / name
        path.write_bytes(data)
        first = Path(signed(house, pki, path, f"{form}-b-b")["output"]["path"])
        out = tmp_path / f"both-{first.name}"
        answer = signed(house, pki, first, f"{form}-b-b", "agency", "--out", out)
        assert "problem" not in answer, answer
        report = run(house, "verify", out, "--json")
        assert [s["indication"] for s in report["signatures"]] == ["TOTAL-PASSED"] * 2, report["messages"]


def test_changed_content_fails(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    data, name, _, _ = FORMATS["xades"]
    path = tmp_path / name
    path.write_bytes(data)
    target = Path(signed(house, pki, path, "xades-b-b")["output"]["path"])
    target.write_bytes(target.read_bytes().replace(b"ban &amp;", b"ban &lt;"))
    report = run(house, "verify", target, "--json")
    assert (report["indication"], report["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")
    detached = tmp_path / "tep.bin"
    detached.write_bytes(b"one")
    signature = Path(signed(house, pki, detached, "cades-b-b")["output"]["path"])
    assert run(house, "verify", signature, "--json")["indication"] == "TOTAL-PASSED"  # over the file beside it
    detached = detached.rename(tmp_path / "elsewhere.bin")
    assert run(house, "verify", signature, "--json")["sub_indication"] == "SIGNED_DATA_NOT_FOUND"
    detached.write_bytes(b"two")
    other = run(house, "verify", signature, "--original", detached, "--json")
    assert (other["indication"], other["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")


@pytest.mark.parametrize(
    ("profile", "more", "code"),
    [
        ("xades-b-b", (), "unsupported_format"),
        ("cades-b-b", ("--reason", "x"), "invalid_request"),
        ("asic-e-xades-b-b", ("--field", "x"), "invalid_request"),
    ],
)
def test_refused(
    profile: str, more: tuple[str, ...], code: str, house: Installation, pki: test_pki.Pki, tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"no xml")
    assert signed(house, pki, path, profile, "person", *more)["problem"]["code"] == code
    assert list(tmp_path.iterdir()) == [path]
