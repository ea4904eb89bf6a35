"""A folder in which EU DSS signs, raises and judges with the keys and responders of the test hierarchy."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import test_pki
from test_pki.responders import Responders
from tests.interop.conftest import JAVA, _build

CAS = ("root-g2", "sub-g2-state", "sub-g2-software", "sub-g2-tsa")
_SHARED = "Dss"  # what all harnesses stand on


@dataclass(frozen=True)
class DssPlace:
    """`harness` is the Java class that works on `path`, with the responders that it may ask."""

    harness: str
    path: Path
    pki: test_pki.Pki
    responders: Responders

    @classmethod
    def made(
        cls, harness: str, path: Path, pki: test_pki.Pki, responders: Responders, signers: Iterable[str]
    ) -> DssPlace:
        """With the keys and certificates of `signers`; the harness is compiled where that has not been done."""
        _build()
        with (JAVA / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            written = max((JAVA / f"{name}.java").stat().st_mtime for name in (harness, _SHARED))
            built = JAVA / "classes" / f"{harness}.class"
            if not built.is_file() or built.stat().st_mtime < written:
                command = ["javac", "-cp", "lib/*", "-sourcepath", ".", "-d", "classes", f"{harness}.java"]
                subprocess.run(command, cwd=JAVA, check=True, timeout=300)
        for folder in ("anchors", "others", "crls", "ocsps"):
            (path / folder).mkdir()
        for label in CAS:
            (path / ("anchors" if label == "root-g2" else "others") / f"{label}.crt").write_bytes(pki.cert(label))
            (path / "crls" / f"{label}.crl").write_bytes(pki.crl(label))
        for label in signers:
            key = pki.key(label).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            (path / f"{label}.p8").write_bytes(key)
            (path / f"{label}.crt").write_bytes(pki.cert(label))
            (path / "ocsps" / f"{label}.ocsp").write_bytes(pki.ocsp(label, at=test_pki.pki.now()))
        return cls(harness, path, pki, responders)

    def run(self, *lines: tuple[str, ...]) -> dict[str, list[tuple[str, str, str]]]:
        """What DSS says of each file that is to be verified: (level, indication, sub-indication) by signature."""
        (self.path / "list.tsv").write_text("".join("\t".join(line) + "\n" for line in lines), "utf-8")
        options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dsun.jnu.encoding=UTF-8"]
        command = ["java", *options, "-cp", f"{JAVA / 'lib'}/*:{JAVA / 'classes'}", self.harness]
        command += [str(self.path), self.responders.url("/tsa/1")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={"LC_ALL": "C.UTF-8"})
        assert done.returncode == 0, done.stderr[-3000:]
        found = {}
        for line in done.stdout.splitlines():
            name, *rest = line.split("\t")
            found[name] = [(rest[i], rest[i + 1], rest[i + 2]) for i in range(0, len(rest), 3)]
        return found

    def octets(self, name: str) -> bytes:
        return (self.path / name).read_bytes()
