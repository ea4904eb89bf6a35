"""Timestamps in documents and beside files: over HTTP, on the command line, and what openssl and DSS say of them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import test_pki
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing import profiles
from test_pki.responders import Responders
from tests.pdf_writer import PdfWriter
from tests.support.installation import Installation, install
from tests.support.service import Service, running

PDF = sample("van-ban.pdf").read_bytes()
JSON = {"Content-Type": "application/json"}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def service(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(install(tmp_path_factory.mktemp("stamping"), pki, responders), workers=1) as found:
        yield found


@pytest.fixture
def run(installation: Installation) -> Run:
    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "signsvc", *map(str, arguments)]
        env = {**os.environ, **installation.environment}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    return call


def stamps(service: Service, content: bytes) -> list[str]:
    return [t["indication"] for t in service.verify(content).json["timestamps"]]


# over HTTP -----------------------------------------------------------------------------------------------------------
def test_a_document_comes_back_with_its_timestamp(service: Service) -> None:
    answer = service.call("POST", "/v1/timestamp", PDF, {"Content-Type": "application/pdf"})
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["signsvc-level"] == "timestamp"
    assert answer.body.startswith(PDF)
    assert stamps(service, answer.body) == ["TOTAL-PASSED"]
    again = service.call("POST", "/v1/timestamp", answer.body, {"Content-Type": "application/pdf"})
    assert stamps(service, again.body) == ["TOTAL-PASSED"] * 2


def test_forms_of_the_request_and_of_the_answer(service: Service) -> None:
    boundary = "x5d8"
    form = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="document"; filename="a.pdf"\r\n'
        f"Content-Type: application/pdf\r\n\r\n"
    ).encode() + PDF
    form += f"\r\n--{boundary}--\r\n".encode()
    sent = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Accept": "application/json"}
    answer = service.call("POST", "/v1/timestamp", form, sent | {"Idempotency-Key": "once"})
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["signature"]["level"], found["signature"]["timestamp"]["tsa"]) == ("timestamp", "tsa1")
    kept = service.call("GET", found["document"]["href"]).body
    assert stamps(service, kept) == ["TOTAL-PASSED"]
    replayed = service.call("POST", "/v1/timestamp", form, sent | {"Idempotency-Key": "once"})
    assert replayed.headers["idempotency-replayed"] == "true"
    assert replayed.json["id"] == found["id"]
    tiny = PdfWriter().data
    assert len(tiny) < 2900  # whose base64 is no longer than a question about a digest may be
    for content in (tiny, PDF):
        body = json.dumps({"document": {"content": base64.b64encode(content).decode()}})
        stamped = service.call("POST", "/v1/timestamp", body, JSON)
        assert stamped.status == 200, stamped.body
        assert stamped.body.startswith(content)


def test_what_is_no_document_to_stamp(service: Service, responders: Responders) -> None:
    assert service.call("POST", "/v1/timestamp", b"no PDF", {"Content-Type": "application/pdf"}).status in (415, 422)
    other = service.call("POST", "/v1/timestamp?level=B-T", PDF, {"Content-Type": "application/pdf"})
    assert other.code == "invalid_request"
    responders.fault("/tsa", "wrong_imprint")
    lied = service.call("POST", "/v1/timestamp", PDF, {"Content-Type": "application/pdf"})
    assert lied.code == "tsa_invalid_token"
    described = service.call("GET", "/openapi.json").json
    bodies = described["paths"]["/v1/timestamp"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"application/json", "application/pdf", "multipart/form-data"}


# on the command line ----------------------------------------------------------------------------------------------
def test_documents_by_the_command_line(run: Run, tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(PDF)
    done = run("timestamp", tmp_path / "a.pdf", tmp_path / "b.pdf", "--json")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a["output"]["path"] for a in answers] == [str(tmp_path / f"{n}-timestamp.pdf") for n in ("a", "b")]
    verified = json.loads(run("verify", tmp_path / "a-timestamp.pdf", "--json").stdout)
    assert [t["indication"] for t in verified["timestamps"]] == ["TOTAL-PASSED"]


@pytest.mark.parametrize("form", ["tsr", "tst"])
def test_openssl_verifies_a_token_beside_any_file(form: str, run: Run, pki: test_pki.Pki, tmp_path: Path) -> None:
    document, roots = tmp_path / "so-lieu.csv", tmp_path / "roots.pem"
    document.write_text("năm,số\n2026,1\n", "utf-8")
    done = run("timestamp", "--detached", "--form", form, document)
    assert done.returncode == 0, done.stderr
    assert "tsa1" in done.stdout
    for label in ("root-g2", "sub-g2-tsa"):
        pem = subprocess.run(["openssl", "x509", "-inform", "DER"], input=pki.cert(label), capture_output=True)
        with roots.open("ab") as file:
            file.write(pem.stdout)
    command = ["openssl", "ts", "-verify", "-data", str(document), "-in", f"{document}.{form}"]
    command += ["-CAfile", str(roots), *(["-token_in"] if form == "tst" else [])]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    document.write_text("năm,số\n2026,2\n", "utf-8")
    assert subprocess.run(command, capture_output=True).returncode != 0


def test_waiting_for_an_authority(run: Run, services: Services, responders: Responders, tmp_path: Path) -> None:
    signed = tmp_path / "a.pdf"
    services.signing.sign(
        sample("van-ban.pdf"), signed, profile=profiles.load("pades-b-b"), signer=services.keyring.get("p12-person")
    )
    responders.fault("/tsa", "down")
    before = responders.requests["/tsa/1"]
    refused = run("extend", signed, "--level", "B-T")
    assert (refused.returncode, "tsa_unavailable" in refused.stderr) == (4, True)
    asked = responders.requests["/tsa/1"] - before
    assert asked == 1

    def recover() -> None:
        deadline = time.monotonic() + 60
        while responders.requests["/tsa/1"] - before < 2 * asked + 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        responders.clear("/tsa")

    thread = threading.Thread(target=recover)
    thread.start()
    done = run("extend", signed, "--level", "B-T", "--wait", "60")
    thread.join()
    assert done.returncode == 0, done.stderr
    assert "tsa_unavailable" in done.stderr  # said while it waits
    (found,) = services.verifier.verify(tmp_path / "a-b-t.pdf").signatures
    assert (found["indication"], found["level"]) == ("TOTAL-PASSED", "B-T")


def test_waiting_ends(run: Run, responders: Responders, tmp_path: Path) -> None:
    responders.fault("/tsa", "down")
    (tmp_path / "a.pdf").write_bytes(PDF)
    started = time.monotonic()
    done = run("timestamp", tmp_path / "a.pdf", "--wait", "1.5")
    assert (done.returncode, done.stderr.count("tsa_unavailable") >= 2) == (4, True)
    assert time.monotonic() - started < 20
    assert [p.name for p in tmp_path.iterdir()] == ["a.pdf"]
