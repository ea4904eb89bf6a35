"""EU DSS, pdfsig and openssl accept what we sign, at every level and with every kind of key."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing import SignParams, profiles
from tests.interop.conftest import Question

LEVELS = ("b-b", "b-t", "b-lt", "b-lta")
# Kind of key -> credential and scheme. All on SoftHSM2 but the key declared id-RSASSA-PSS, which it does not take.
KEYS = {
    "rsa": ("person", "pkcs1v15"),
    "rsa3072": ("rsa3072", "pkcs1v15"),
    "ec": ("ec", "pkcs1v15"),
    "rsa-pss": ("person", "pss"),
    "pss-only": ("p12-pss-only", "pss"),
}
CAS = ("root-g2", "sub-g2-state", "sub-g2-software", "sub-g2-tsa")

Ask = Callable[[Sequence[Question]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def signed(services: Services, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Every level by every kind of key, over the office document."""
    directory = tmp_path_factory.mktemp("signed")
    found: dict[tuple[str, str], Path] = {}
    for level in LEVELS:
        for kind, (credential, scheme) in KEYS.items():
            target = directory / f"{kind}-{level}.pdf"
            services.signing.sign(
                sample("van-ban.pdf"),
                target,
                profile=replace(profiles.load(f"pades-{level}"), scheme=scheme),
                signer=services.keyring.get(credential),
                params=SignParams(reason="Phê duyệt", location="Hà Nội"),
            )
            found[level, kind] = target
    return found


@pytest.fixture(scope="module")
def evidence(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, ...]]:
    """Anchor, intermediates and CRLs as files."""
    directory = tmp_path_factory.mktemp("evidence")
    for label in CAS:
        (directory / f"{label}.crt").write_bytes(pki.cert(label))
        (directory / f"{label}.crl").write_bytes(pki.crl(label))
    return {
        "anchors": (directory / "root-g2.crt",),
        "intermediates": tuple(directory / f"{label}.crt" for label in CAS[1:]),
        "crls": tuple(directory / f"{label}.crl" for label in CAS),
    }


def test_dss_passes_every_level_and_key(
    dss: Ask, signed: dict[tuple[str, str], Path], evidence: dict[str, tuple[Path, ...]]
) -> None:
    """B-B and B-T get CRLs from files, B-LT and B-LTA only what they carry themselves, leaf chain included."""
    questions = []
    for (level, _), path in signed.items():
        bare = level in ("b-b", "b-t")
        questions.append(
            Question(
                path,
                evidence["anchors"],
                evidence["intermediates"] if bare else (),
                evidence["crls"] if bare else (),
            )
        )
    for ((level, kind), _), answer in zip(signed.items(), dss(questions), strict=True):
        (signature,) = answer["signatures"]
        assert signature["indication"] == "TOTAL_PASSED", (level, kind, answer)
        assert signature["format"] == f"PAdES-BASELINE-{level[2:].upper()}", (level, kind, answer)
        assert signature["intact"], (level, kind, answer)
        assert not signature["undefined_changes"], (level, kind, answer)


def test_dss_refuses_without_the_root(dss: Ask, signed: dict[tuple[str, str], Path]) -> None:
    (answer,) = dss([Question(signed["b-lta", "rsa"])])
    assert answer["signatures"][0]["indication"] == "INDETERMINATE"


@pytest.mark.parametrize(("level", "credential"), [("b-t", "person"), ("b-lta", "ec")])
def test_dss_accepts_claimed_roles_and_commitments(
    level: str,
    credential: str,
    dss: Ask,
    services: Services,
    evidence: dict[str, tuple[Path, ...]],
    tmp_path: Path,
) -> None:
    target = tmp_path / "claims.pdf"
    params = SignParams.from_json({"capacity": ["KT. CHỦ TỊCH"], "role": "PHÓ CHỦ TỊCH", "commitment": "origin"})
    signer = services.keyring.get(credential)
    services.signing.sign(
        sample("van-ban.pdf"), target, profile=profiles.load(f"pades-{level}"), signer=signer, params=params
    )
    bare = level == "b-t"
    question = Question(
        target,
        evidence["anchors"],
        evidence["intermediates"] if bare else (),
        evidence["crls"] if bare else (),
    )
    (answer,) = dss([question])
    (signature,) = answer["signatures"]
    (ours,) = services.verifier.verify(target).signatures
    assert signature["indication"] == "TOTAL_PASSED", answer
    assert ours["indication"] == "TOTAL-PASSED"
    assert signature["format"] == f"PAdES-BASELINE-{level[2:].upper()}", answer
    assert ours["level"] == level.upper()
    said = subprocess.run(["pdfsig", "-nocert", str(target)], capture_output=True, text=True, check=True).stdout
    assert "Signature is Valid" in said


def test_dss_sees_two_signatures_on_one_file(
    dss: Ask, services: Services, evidence: dict[str, tuple[Path, ...]], tmp_path: Path
) -> None:
    """The person first, then the agency: both stay valid, here and there."""
    first, second = tmp_path / "first.pdf", tmp_path / "second.pdf"
    profile = profiles.load("pades-b-lta")
    services.signing.sign(sample("van-ban.pdf"), first, profile=profile, signer=services.keyring.get("person"))
    services.signing.sign(first, second, profile=profile, signer=services.keyring.get("agency"))
    (answer,) = dss([Question(second, evidence["anchors"])])
    assert [s["indication"] for s in answer["signatures"]] == ["TOTAL_PASSED", "TOTAL_PASSED"]
    ours = services.verifier.verify(second)
    assert [s["indication"] for s in ours.signatures] == ["TOTAL-PASSED", "TOTAL-PASSED"]


def test_dss_accepts_document_timestamps(
    dss: Ask,
    services: Services,
    signed: dict[tuple[str, str], Path],
    evidence: dict[str, tuple[Path, ...]],
    tmp_path: Path,
) -> None:
    """In a document that nobody signed, and over a signature at B-B, which is B-T then."""
    alone, over = tmp_path / "alone.pdf", tmp_path / "over.pdf"
    services.signing.timestamp(sample("van-ban.pdf"), alone)
    services.signing.timestamp(signed["b-b", "rsa"], over)
    rest = evidence["anchors"], evidence["intermediates"], evidence["crls"]
    first, second = dss([Question(alone, *rest), Question(over, *rest)])
    for answer in (first, second):
        (stamp,) = answer["document_timestamps"]
        assert stamp["intact"], answer
        assert stamp["valid"], answer
        assert stamp["scopes"] == ["FULL"], answer
    assert first["signatures"] == []
    assert second["signatures"][0]["indication"] == "TOTAL_PASSED", second


# Without "pss-only": NSS, which pdfsig uses, does not take keys declared id-RSASSA-PSS (DSS and openssl do).
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["rsa", "rsa3072", "ec", "rsa-pss"])
def test_pdfsig_finds_the_signature_valid(level: str, kind: str, signed: dict[tuple[str, str], Path]) -> None:
    done = subprocess.run(["pdfsig", "-nocert", str(signed[level, kind])], capture_output=True, text=True)
    first, *others = done.stdout.split("Signature #")[1:]
    assert "Signature is Valid" in first, done.stdout
    # It does not judge document timestamps, but must find the archive timestamp over the whole file.
    assert len(others) == (1 if level == "b-lta" else 0)
    last = others[0] if others else first
    if level != "b-lt":
        assert "  - Total document signed" in last, done.stdout


@pytest.mark.parametrize("kind", KEYS)
def test_openssl_verifies_the_extracted_cms(
    kind: str, signed: dict[tuple[str, str], Path], evidence: dict[str, tuple[Path, ...]], tmp_path: Path
) -> None:
    data = signed["b-b", kind].read_bytes()
    found = re.search(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", data)
    assert found is not None
    start, length, second, rest = (int(number) for number in found.groups())
    content, cms, roots = tmp_path / "content", tmp_path / "cms.der", tmp_path / "roots.pem"
    content.write_bytes(data[start : start + length] + data[second : second + rest])
    encoded = bytes.fromhex(data[start + length + 1 : second - 1].decode())
    cms.write_bytes(encoded[: 4 + int.from_bytes(encoded[2:4], "big")])
    with roots.open("wb") as bundle:
        for certificate in (*evidence["anchors"], *evidence["intermediates"]):
            pem = subprocess.run(["openssl", "x509", "-inform", "DER", "-in", str(certificate)], capture_output=True)
            bundle.write(pem.stdout)
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(cms), "-content", str(content)]
    command += ["-CAfile", str(roots), "-purpose", "any", "-cades", "-out", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    content.write_bytes(content.read_bytes() + b" ")
    assert subprocess.run(command, capture_output=True).returncode != 0
