"""``signsvc session sign``: a key of this machine, a service elsewhere; and what the signer's side refuses to sign."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signsvc.errors import DocumentError
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing.sessions import signer_side
from signsvc.types import Certificate
from tests.support.service import Service


def run(service: Service, *arguments: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **service.installation.environment, "KEY": service.key}
    command = [sys.executable, "-m", "signsvc", "session", "sign", *map(str, arguments)]
    command += ["--service", f"http://{service.bind}", "--api-key-source", "env:KEY", "--profile", "pades-b-t"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)


def test_a_token_here_and_a_service_there(service: Service, services: Services, tmp_path: Path) -> None:
    files = [tmp_path / "một.pdf", tmp_path / "hai.pdf"]
    for number, path in enumerate(files):
        path.write_bytes(sample("van-ban.pdf").read_bytes() + b"%% command %d\n" % number)
    broken = tmp_path / "hỏng.pdf"
    broken.write_bytes(b"%PDF-1.7\n")
    done = run(
        service, *files, broken, "--credential", "person", "--out-dir", tmp_path / "out", "--reason", "Duyệt", "--json"
    )
    assert done.returncode == 4, done.stderr
    *signed, failed = map(json.loads, done.stdout.splitlines())
    assert failed["problem"]["code"] == "document_unreadable"
    for path, line in zip(files, signed, strict=True):
        target = tmp_path / "out" / path.name
        assert line["output"]["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
        assert target.read_bytes().startswith(path.read_bytes())
        (found,) = services.verifier.verify(target).signatures
        assert (found["indication"], found["level"], found["reason"]) == ("TOTAL-PASSED", "B-T", "Duyệt")
    assert not (tmp_path / "out" / broken.name).exists()
    again = run(service, files[0], "--credential", "p12-expired")
    assert (again.returncode, "certificate_expired" in again.stderr) == (4, True)
    assert run(service, files[0], "--credential", "ec").returncode == 0  # what failed was canceled: nobody holds it


def test_the_key_is_not_shown_to_the_network(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-")
    environment = {**os.environ, **service.installation.environment, "KEY": "x"}
    command = [sys.executable, "-m", "signsvc", "session", "sign", str(tmp_path / "a.pdf"), "--credential", "person"]
    command += ["--api-key-source", "env:KEY", "--profile", "x", "--service", "http://kyso.example.vn"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, "https://" in done.stderr) == (64, True)


def test_what_the_signers_side_refuses(service: Service, services: Services, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(sample("van-ban.pdf").read_bytes() + b"% refused\n")
    signer = services.keyring.get("person")
    body = {"profile": "pades-b-b", "documents": [{"content": base64.b64encode(path.read_bytes()).decode()}]}
    kind = {"Content-Type": "application/json"}
    place = service.call("POST", "/v1/signing-sessions", json.dumps(body).encode(), kind).headers["location"]
    chain = {"certificates": [base64.b64encode(c.der).decode() for c in signer.certificate_chain]}
    (document,) = service.call("PUT", f"{place}/certificate", json.dumps(chain).encode(), kind).json["documents"]
    added = service.call("GET", document["revision"]["href"]).body
    gap = (document["revision"]["gap"]["start"], document["revision"]["gap"]["end"])
    attributes = base64.b64decode(document["to_be_signed"]["attributes"])

    def check(
        file: Path = path,
        added: bytes = added,
        gap: tuple[int, int] = gap,
        attributes: bytes = attributes,
        certificate: Certificate = signer.certificate,
    ) -> str:
        try:
            signer_side.check(file, added, gap, attributes, certificate, "sha256")
        except DocumentError as error:
            return str(error.data["reason"])
        return "signed"

    assert check() == "signed"
    other = tmp_path / "b.pdf"
    other.write_bytes(path.read_bytes().replace(b"% refused", b"% changed"))
    size = path.stat().st_size
    assert check(file=other) == "attributes-digest"
    assert check(added=added + b" ") == "attributes-digest"
    assert check(gap=(gap[0] - 2, gap[1])) in ("attributes-digest", "attributes-revision")
    assert check(gap=(size - 10, gap[1])) == "attributes-revision"
    assert check(gap=(gap[0], size + len(added) + 1)) == "attributes-revision"
    assert check(added=added.replace(b"0000", b"00a0", 1)) in ("attributes-revision", "attributes-digest")
    assert check(certificate=services.keyring.get("ec").certificate) == "attributes-certificate"
    assert check(attributes=attributes[:-1]) == "attributes-form"
    assert check(attributes=b"") == "attributes-form"
    twice = attributes[:1] + b"\x82" + (2 * 25).to_bytes(2) + attributes[2:27] * 2
    assert check(attributes=twice) == "attributes-form"
    for scheme, digest in (("rsa-pkcs1v15", "sha1"), ("dsa", "sha256"), ("rsa-pss", "md5")):
        with pytest.raises(DocumentError):
            signer_side.algorithm(scheme, digest)
    assert service.call("DELETE", place).status == 200
