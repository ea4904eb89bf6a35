"""Fixtures for the foreign verifiers: the DSS harness compiled once per session."""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

JAVA = Path(__file__).parent / "java"


@dataclass(frozen=True, slots=True)
class Question:
    """One document for DSS, with the trust and evidence it may use (DER files)."""

    document: Path
    anchors: tuple[Path, ...] = ()
    intermediates: tuple[Path, ...] = ()
    crls: tuple[Path, ...] = ()
    at: datetime | None = None

    def line(self) -> str:
        lists = (",".join(map(str, files)) for files in (self.anchors, self.intermediates, self.crls))
        moment = str(int(self.at.timestamp() * 1000)) if self.at else ""
        return "\t".join((str(self.document), *lists, moment))


def _build() -> None:
    """Fetch the jars and compile the harness where that has not been done; safe between parallel test workers."""
    with (JAVA / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = ("dss-validation", "dss-xades", "dss-asic-xades", "dss-asic-cades")
        held = [list((JAVA / "lib").glob(f"{name}-[0-9]*.jar")) for name in names]
        if not all(held):
            command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
            subprocess.run(command, cwd=JAVA, check=True, timeout=600)
        source, built = JAVA / "DssHarness.java", JAVA / "classes" / "DssHarness.class"
        if not built.is_file() or built.stat().st_mtime < source.stat().st_mtime:
            command = ["javac", "-cp", "lib/*", "-d", "classes", source.name]
            subprocess.run(command, cwd=JAVA, check=True, timeout=300)


@pytest.fixture(scope="session")
def dss(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict[str, Any]]]:
    """`dss(questions)`: what EU DSS says of each, in order, from one Java process.

    A file gets `seconds` of processor time.  Pictures of pages are not compared: drawing a note changes the objects that
    are then compared, so that untouched files seem changed.
    """
    _build()

    def ask(questions: Sequence[Question], seconds: int = 60) -> list[dict[str, Any]]:
        listing = tmp_path_factory.mktemp("dss") / "list.tsv"
        listing.write_text("".join(q.line() + "\n" for q in questions), "utf-8")
        # a run is too short for the second compiler
        options = [
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            f"-Dseconds={seconds}",
            "-cp",
            f"{JAVA / 'lib'}/*:{JAVA / 'classes'}",
        ]
        command = ["java", *options, "DssHarness", str(listing)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=600)
        answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
        assert len(answers) == len(questions)
        return answers

    return ask
