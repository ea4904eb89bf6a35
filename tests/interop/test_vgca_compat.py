"""Signatures in the format of the government's own tools: ours, DSS, pdfsig and openssl take them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

import test_pki
from signsvc.formats import pades
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing import SignParams, profiles
from tests.interop.conftest import Question

Ask = Callable[[Sequence[Question]], list[dict[str, Any]]]
CAS = ("root-g2", "sub-g2-state", "sub-g2-software", "sub-g2-tsa")


@pytest.fixture(scope="module")
def files(services: Services, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A person's signature, and an agency's behind it."""
    directory = tmp_path_factory.mktemp("vgca")
    one, two = directory / "one.pdf", directory / "two.pdf"
    for source, target, credential in ((sample("van-ban.pdf"), one, "person"), (one, two, "agency")):
        services.signing.sign(
            Path(source),
            target,
            profile=profiles.load("vgca-compat"),
            signer=services.keyring.get(credential),
            params=SignParams(reason="Phê duyệt"),
        )
    return one, two


def test_what_it_is_made_of(files: tuple[Path, Path], services: Services, pki: test_pki.Pki) -> None:
    first, second = pades.read(files[1].read_bytes()).signatures
    for found in (first, second):
        assert (found.sub_filter, found.format, found.level) == ("adbe.pkcs7.detached", "PKCS7", "PKCS7-T")
        assert found.signer is not None
        assert found.signer.claimed_time == found.claimed_time
        assert pki.cert("root-g2") in [certificate.der for certificate in found.signer.certificates]
    assert (first.certification, second.certification) == (2, None)
    report = services.verifier.verify(files[1]).signatures
    assert [(s["indication"], s["as_signed"]["indication"]) for s in report] == [("TOTAL-PASSED", "TOTAL-PASSED")] * 2
    assert b"/ESIC" not in files[0].read_bytes()


def test_dss_and_pdfsig_take_it(files: tuple[Path, Path], dss: Ask, pki: test_pki.Pki, tmp_path: Path) -> None:
    for label in CAS:
        (tmp_path / f"{label}.crt").write_bytes(pki.cert(label))
        (tmp_path / f"{label}.crl").write_bytes(pki.crl(label))
    anchors = (tmp_path / "root-g2.crt",)
    crls = tuple(tmp_path / f"{label}.crl" for label in CAS)
    (answer,) = dss([Question(files[1], anchors, tuple(tmp_path / f"{label}.crt" for label in CAS[1:]), crls)])
    assert [s["indication"] for s in answer["signatures"]] == ["TOTAL_PASSED"] * 2, answer
    assert {s["format"] for s in answer["signatures"]} == {"PKCS7-T"}, answer
    said = subprocess.run(["pdfsig", "-nocert", files[1]], capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout.count("Signature is Valid") == 2, said.stdout
    assert said.stdout.count("adbe.pkcs7.detached") == 2, said.stdout


def test_openssl_takes_the_cms(files: tuple[Path, Path], tmp_path: Path, pki: test_pki.Pki) -> None:
    data = files[0].read_bytes()
    found = re.search(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", data)
    assert found is not None
    start, length, second, rest = (int(number) for number in found.groups())
    content, cms, root = tmp_path / "content", tmp_path / "cms.der", tmp_path / "root.pem"
    content.write_bytes(data[start : start + length] + data[second : second + rest])
    cms.write_bytes(bytes.fromhex(data[start + length + 1 : second - 1].decode()))
    root.write_bytes(load_der_x509_certificate(pki.cert("root-g2")).public_bytes(Encoding.PEM))
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", cms, "-content", content]
    command += ["-CAfile", root, "-purpose", "any", "-out", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
