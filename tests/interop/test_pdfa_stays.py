"""Signing keeps PDF/A what it is: veraPDF before and after."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from signsvc.services import Services
from signsvc.signing import SignParams, Visible, profiles
from tests.interop.pdfa_bases import pdfa
from tests.unit.signing.appearance_pages import METADATA, seal

JAVA = Path(__file__).parent / "java" / "verapdf"


@pytest.fixture(scope="session")
def verapdf() -> Callable[[Sequence[Path]], list[tuple[str, str, str]]]:
    """`verapdf(files)`: flavour, ``true`` or ``false``, and the rules that fail, of each file."""
    with (JAVA.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list((JAVA / "lib").glob("validation-model-*.jar")):
            command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
            subprocess.run(command, cwd=JAVA, check=True, timeout=600)
        source, built = JAVA / "VeraHarness.java", JAVA / "classes" / "VeraHarness.class"
        if not built.is_file() or built.stat().st_mtime < source.stat().st_mtime:
            command = ["javac", "-cp", "lib/*", "-d", "classes", source.name]
            subprocess.run(command, cwd=JAVA, check=True, timeout=300)

    def ask(files: Sequence[Path]) -> list[tuple[str, str, str]]:
        place = f"{JAVA / 'lib'}/*:{JAVA / 'classes'}"
        command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", place, "VeraHarness", *map(str, files)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=300)
        found = [tuple(line.split("\t")) for line in done.stdout.decode().splitlines()]
        assert len(found) == len(files)
        return [(flavour, complies, rules) for flavour, complies, rules in found]

    return ask


CLAIMS = ("1b", "2b", "2u", "2a", "3b")
PLACE = {"page": 1, "rect": [60, 120, 270, 190]}


def test_signing_keeps_pdfa(
    tmp_path: Path, services: Services, verapdf: Callable[[Sequence[Path]], list[tuple[str, str, str]]]
) -> None:
    """Every part and conformance at every level; visible where the level is the lowest and the highest."""
    files: dict[Path, str] = {}
    for claim in CLAIMS:
        base = tmp_path / f"{claim}.pdf"
        base.write_bytes(pdfa(claim))
        files[base] = claim
        for level in profiles.LEVELS:
            for shown in (False, True) if level in ("B-B", "B-LTA") else (False,):
                target = tmp_path / f"{claim}-{level}-{shown}.pdf"
                services.signing.sign(
                    base,
                    target,
                    profile=profiles.load(f"pades-{level.lower()}"),
                    signer=services.keyring.get("p12-person"),
                    params=SignParams.from_json({"reason": "Phê duyệt", "visible": PLACE} if shown else {}),
                )
                files[target] = claim
    wrong = {
        path.name: said
        for path, said in zip(files, verapdf(list(files)), strict=True)
        if said != (files[path], "true", "")
    }
    assert wrong == {}


TEMPLATED = ("simple", "ky-phe-duyet", "dong-dau", "phu-luc", "sao-y", "sao-luc", "trich-sao", "so-ngay")


def test_templates_with_pictures_keep_pdfa(
    tmp_path: Path, services: Services, verapdf: Callable[[Sequence[Path]], list[tuple[str, str, str]]]
) -> None:
    """Embedded fonts, colours, and a seal on transparent ground: in PDF/A-1 by a mask of one bit, unless that is given up."""
    allowing = tmp_path / "own.toml"
    allowing.write_text('extends = "pades-b-b"\nid = "own"\nversion = "1"\n[pdfa]\ntransparency = "allow"')
    profile = profiles.load("pades-b-b")
    expected: dict[Path, tuple[str, str, str]] = {}

    def sign(claim: str, template: str, profile: profiles.Profile) -> Path:
        base, target = tmp_path / f"{claim}.pdf", tmp_path / f"{claim}-{template}-{profile.id}.pdf"
        base.write_bytes(pdfa(claim))
        services.signing.sign(
            base,
            target,
            profile=profile,
            signer=services.keyring.get("p12-agency"),
            params=SignParams(
                visible=Visible(page=1, rect=(60, 120, 270, 240), template=template, picture=seal()),
                metadata=METADATA,
                role="GIÁM ĐỐC",
            ),
        )
        return target

    for claim in ("1b", "2b", "3b"):
        for template in TEMPLATED:
            expected[sign(claim, template, profile)] = (claim, "true", "")
    broken = sign("1b", "dong-dau", profiles.check(allowing))
    *said, (flavour, complies, rules) = verapdf([*expected, broken])
    assert {p.name: s for (p, e), s in zip(expected.items(), said, strict=True) if s != e} == {}
    assert (flavour, complies) == ("1b", "false")
    assert "6.4" in rules


def test_verapdf_can_say_no(tmp_path: Path, verapdf: Callable[[Sequence[Path]], list[tuple[str, str, str]]]) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(pdfa("2b").replace(b"/OutputIntents [11 0 R]", b"/OutputIntentz [11 0 R]"))
    ((flavour, complies, rules),) = verapdf([path])
    assert (flavour, complies) == ("2b", "false")
    assert rules
