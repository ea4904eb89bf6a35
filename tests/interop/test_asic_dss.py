"""EU DSS and signsvc on ASiC containers, both ways: each takes what the other signs and raises, at every level."""

from __future__ import annotations

import fcntl
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import test_pki
from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.formats import asic
from signsvc.formats.asic import extend, write
from signsvc.formats.asic.write import AsicSpec, Kind
from signsvc.formats.xades.write import XmlPlan
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, Indication, Original
from signsvc.validation import policies, validate
from test_pki.responders import Responders
from tests.interop.conftest import JAVA, _build
from tests.support.signed_cms import LEVELS, evidence, stamper
from tests.unit.formats.asic.asic_bench import repacked

CAS = ("root-g2", "sub-g2-state", "sub-g2-software", "sub-g2-tsa")
SIGNERS = ("person", "ec")
FILES = (Original("văn bản+1.txt", "xin chào".encode()), Original("bảng 2%.csv", b"1,2\n"))


@dataclass(frozen=True)
class AsicPlace:
    """A folder for the harness, with the responders that it may ask."""

    path: Path
    pki: test_pki.Pki
    responders: Responders

    def run(self, *lines: tuple[str, ...]) -> dict[str, list[tuple[str, str, str]]]:
        """What DSS says of each file that is to be verified: (level, indication, sub-indication) by signature."""
        (self.path / "list.tsv").write_text("".join("\t".join(line) + "\n" for line in lines), "utf-8")
        options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dsun.jnu.encoding=UTF-8"]
        command = ["java", *options, "-cp", f"{JAVA / 'lib'}/*:{JAVA / 'classes'}", "AsicHarness"]
        command += [str(self.path), self.responders.url("/tsa/1")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={"LC_ALL": "C.UTF-8"})
        assert done.returncode == 0, done.stderr[-3000:]
        found = {}
        for line in done.stdout.splitlines():
            name, *rest = line.split("\t")
            found[name] = [(rest[i], rest[i + 1], rest[i + 2]) for i in range(0, len(rest), 3)]
        return found


@pytest.fixture(scope="module")
def place(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> AsicPlace:
    _build()
    with (JAVA / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        source, built = JAVA / "AsicHarness.java", JAVA / "classes" / "AsicHarness.class"
        if not built.is_file() or built.stat().st_mtime < source.stat().st_mtime:
            command = ["javac", "-cp", "lib/*", "-d", "classes", source.name]
            subprocess.run(command, cwd=JAVA, check=True, timeout=300)
    path = tmp_path_factory.mktemp("asic")
    for folder in ("anchors", "others", "crls", "ocsps"):
        (path / folder).mkdir()
    for label in CAS:
        (path / ("anchors" if label == "root-g2" else "others") / f"{label}.crt").write_bytes(pki.cert(label))
        (path / "crls" / f"{label}.crl").write_bytes(pki.crl(label))
    for label in SIGNERS:
        key = pki.key(label).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        (path / f"{label}.p8").write_bytes(key)
        (path / f"{label}.crt").write_bytes(pki.cert(label))
        (path / "ocsps" / f"{label}.ocsp").write_bytes(pki.ocsp(label, at=test_pki.pki.now()))
    for file in FILES:
        (path / file.name).write_bytes(bytes(file.data or b""))
    return AsicPlace(path, pki, responders)


def judged(pki: test_pki.Pki, data: bytes, more: tuple[EvidenceItem, ...] = ()) -> DocumentVerdict:
    root = Certificate.from_der(pki.roots["root-g2"])
    material = TrustMaterial(("test",), (TrustAnchor(root, "root-g2"),), ())
    now = test_pki.pki.now() + timedelta(minutes=5)
    return validate(asic.read(data), material=material, evidence=more, policy=policies.load("hon-hop"), now=now)


def plan(pki: test_pki.Pki, label: str) -> XmlPlan:
    certificate = Certificate.from_der(pki.cert(label))
    scheme = SignatureScheme.ECDSA if label == "ec" else SignatureScheme.RSA_PKCS1
    chain = tuple(Certificate.from_der(one) for one in pki.chain(label)[1:-1])
    return XmlPlan(certificate, SignatureAlgorithm(scheme, "sha256"), test_pki.pki.now(), chain)


def sign(pki: test_pki.Pki, kind: Kind, label: str = "person", existing: bytes | None = None) -> bytes:
    if existing is None:
        made = write.prepare(FILES[:1] if kind is Kind.S else FILES, plan(pki, label), AsicSpec(kind=kind))
    else:
        made = write.prepare_further(existing, plan(pki, label))
    return write.complete(made, pki.sign_data(label, made.octets, "sha256", False))


def raised_now(pki: test_pki.Pki, data: bytes, level: str, *labels: str) -> bytes:
    """Raised to `level` at present, which is when DSS judges."""
    now, steps = test_pki.pki.now(), LEVELS.index(level)
    if steps >= 1:
        data = extend.signature_timestamp(data, stamper(pki, now))
    if steps >= 2:
        data = extend.validation_data(data, evidence(pki, *labels, "tsa1", at=now))
    if steps >= 3:
        data = extend.archive_timestamp(data, stamper(pki, now))
    return data


def test_dss_takes_our_containers(place: AsicPlace) -> None:
    """Both kinds, both keys, every level; B-LT and B-LTA with nothing but what they carry; two signatures."""
    pki = place.pki
    lines, wanted = [], {}

    def ask(name: str, data: bytes, own: str, *answers: tuple[str, str, str]) -> None:
        (place.path / name).write_bytes(data)
        lines.append(("verify", name, own))
        wanted[name] = list(answers)

    for level in LEVELS:
        passed = (f"XAdES-BASELINE-{level[2:].upper()}", "TOTAL_PASSED", "null")
        own = "1" if level in ("b-lt", "b-lta") else ""
        for kind in Kind:
            for label in SIGNERS:
                made = raised_now(pki, sign(pki, kind, label), level, label)
                ask(f"ours-{kind}-{level}-{label}", made, own, passed)
            two = sign(pki, kind, "ec", sign(pki, kind))
            ask(f"two-{kind}-{level}", raised_now(pki, two, level, "person", "ec"), own, passed, passed)
    whole = raised_now(pki, sign(pki, Kind.E), "b-lta", "person")
    altered = repacked(whole, {FILES[1].name: b"other"})
    ask("altered", altered, "1", ("XAdES-BASELINE-LTA", "TOTAL_FAILED", "HASH_FAILURE"))
    assert place.run(*lines) == wanted


def test_we_take_containers_of_dss(place: AsicPlace) -> None:
    """Both kinds, XAdES and CAdES, every level: the same level here, and TOTAL-PASSED; XAdES raised by us as well."""
    pki = place.pki
    lines = []
    for form in ("XAdES", "CAdES"):
        for kind in ("E", "S"):
            for level in LEVELS:
                files = ",".join(file.name for file in (FILES if kind == "E" else FILES[:1]))
                name = f"theirs-{form}-{kind}-{level}"
                lines.append(("sign", name, level[2:].upper(), form, kind, "person", "RSA", files))
    place.run(*lines)
    checks, wanted = [], {}
    for _, name, level, form, *_ in lines:
        data = (place.path / name).read_bytes()
        more = tuple(evidence(pki, "person", "tsa1", at=test_pki.pki.now())) if level in ("B", "T") else ()
        verdict = judged(pki, data, more)
        (found,) = verdict.signatures
        assert (found.level, found.indication) == (f"B-{level}", Indication.TOTAL_PASSED), (name, found.findings)
        assert verdict.indication is Indication.TOTAL_PASSED, (name, verdict.findings)
        assert found.scope.type == "FULL", name
        assert {one.matches for one in found.covered} == {True}
        altered = judged(pki, repacked(data, {FILES[0].name: b"other"}), more)
        assert altered.indication is Indication.TOTAL_FAILED, name
        if form == "XAdES":
            further = raised_now(pki, sign(pki, Kind.E, "ec", data), "b-lta", "person", "ec")
            again = judged(pki, further)
            assert again.indication is Indication.TOTAL_PASSED, (name, [s.findings for s in again.signatures])
            (place.path / f"more-{name}").write_bytes(further)
            checks.append(("verify", f"more-{name}", "1"))
            wanted[f"more-{name}"] = [("XAdES-BASELINE-LTA", "TOTAL_PASSED", "null")] * 2
    assert place.run(*checks) == wanted


def test_dss_raises_our_containers(place: AsicPlace) -> None:
    pki = place.pki
    lines = []
    for kind in Kind:
        for at, level in enumerate(LEVELS[:-1]):
            (place.path / f"base-{kind}-{level}").write_bytes(raised_now(pki, sign(pki, kind), level, "person"))
            above = LEVELS[at + 1][2:].upper()
            lines.append(("raise", f"raised-{kind}-{above}", above, "XAdES", f"base-{kind}-{level}"))
    place.run(*lines)
    for _, name, level, _, _ in lines:
        more = tuple(evidence(pki, "person", "tsa1", at=test_pki.pki.now())) if level == "T" else ()
        (found,) = judged(pki, (place.path / name).read_bytes(), more).signatures
        assert (found.level, found.indication) == (f"B-{level}", Indication.TOTAL_PASSED), (name, found.findings)
