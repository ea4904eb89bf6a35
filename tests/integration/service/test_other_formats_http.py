"""XML, CMS and containers over HTTP: signed at once, in batches, in two steps, raised later."""

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

from signsvc.keys.signer import default_algorithm
from signsvc.services import Services
from tests.support.service import Answer, Service

XML = "<a xmlns='urn:x'><b Id='b'>Ủy ban %d</b></a>"
FORMATS = {
    "xades": ("application/xml", "application/xml"),
    "cades": ("application/octet-stream", "application/pkcs7-signature"),
    "asic-e-xades": ("application/octet-stream", "application/vnd.etsi.asic-e+zip"),
}


def form(parts: list[tuple[str, str | None, bytes]]) -> tuple[bytes, dict[str, str]]:
    body = b""
    for name, filename, data in parts:
        where = f'; filename="{filename}"' if filename else ""
        body += f'--cut\r\nContent-Disposition: form-data; name="{name}"{where}\r\n\r\n'.encode() + data + b"\r\n"
    return body + b"--cut--\r\n", {"Content-Type": "multipart/form-data; boundary=cut"}


def verified(service: Service, signed: bytes, original: bytes | None) -> dict[str, Any]:
    parts = [("document", "signed", signed)] + ([("original", "a.bin", original)] if original is not None else [])
    body, headers = form(parts)
    found: dict[str, Any] = service.call("POST", "/v1/verify", body, headers).json
    return found


@pytest.mark.parametrize("form_name", FORMATS)
def test_signed_raised_and_verified(form_name: str, service: Service) -> None:
    sent, answered = FORMATS[form_name]
    data = (XML % 1).encode()
    headers = {"Content-Type": sent, "Accept": answered, "Content-Disposition": 'attachment; filename="a.xml"'}
    query = f"/v1/sign?profile={form_name}-b-t&credential=person"
    answer = service.call("POST", query, data, headers)
    assert (answer.status, answer.headers["content-type"]) == (200, answered), answer.body
    assert answer.headers["signsvc-level"] == ("CAdES-B-T" if form_name == "cades" else "XAdES-B-T")
    detached = data if form_name == "cades" else None
    report = verified(service, answer.body, detached)
    assert (report["indication"], report["signatures"][0]["level"]) == ("TOTAL-PASSED", "B-T")
    parts = [("document", "signed", answer.body), ("level", None, b"B-LTA")]
    body, typed = form(parts + ([("original", "a.bin", data)] if detached else []))
    raised = service.call("POST", "/v1/extend", body, {**typed, "Accept": answered})
    assert raised.status == 200, raised.body
    report = verified(service, raised.body, detached)
    assert (report["indication"], report["signatures"][0]["level"]) == ("TOTAL-PASSED", "B-LTA")


@pytest.mark.parametrize("form_name", FORMATS)
def test_in_two_steps(form_name: str, service: Service, services: Services) -> None:
    data = (XML % (100 + len(form_name))).encode()
    signer = services.keyring.get("person")
    params = json.dumps({"profile": f"{form_name}-b-t"}).encode()
    body, headers = form([("document", "a.xml", data), ("params", None, params)])
    created = service.call("POST", "/v1/signing-sessions", body, headers)
    assert created.status == 201, created.body
    where = f"/v1/signing-sessions/{created.json['id']}"

    def put(what: str, content: Any) -> Answer:
        typed = {"Content-Type": "application/json"}
        return service.call("PUT", f"{where}/{what}", json.dumps(content).encode(), typed)

    chain = [base64.b64encode(c.der).decode() for c in signer.certificate_chain]
    session = put("certificate", {"certificates": chain}).json
    (document,) = session["documents"]
    assert (document["state"], document["revision"]) == ("prepared", None)
    digest = hashlib.sha256(base64.b64decode(document["to_be_signed"]["attributes"])).digest()
    wrong = put("signatures", {"signatures": [{"id": 1, "value": base64.b64encode(bytes(256)).decode()}]})
    assert (wrong.status, wrong.code) == (422, "signature_mismatch")
    value = signer.sign(digest, default_algorithm(signer.certificate))
    done = put("signatures", {"signatures": [{"id": 1, "value": base64.b64encode(value).decode()}]}).json
    (document,) = done["documents"]
    assert document["state"] == "completed", document["problem"]
    assert document["document"]["media_type"] == FORMATS[form_name][1]
    signed = service.call("GET", document["document"]["href"])
    report = verified(service, signed.body, data if form_name == "cades" else None)
    assert (report["indication"], report["signatures"][0]["level"]) == ("TOTAL-PASSED", "B-T")


@pytest.mark.parametrize("form_name", FORMATS)
def test_with_a_key_of_this_machine(form_name: str, service: Service, tmp_path: Path) -> None:
    source = tmp_path / "a.xml"
    source.write_bytes((XML % (200 + len(form_name))).encode())
    command = [sys.executable, "-m", "signsvc", "session", "sign", str(source), "--credential", "person", "--json"]
    command += ["--service", f"http://{service.bind}", "--api-key-source", "env:KEY", "--profile", f"{form_name}-b-b"]
    environment = {**os.environ, **service.installation.environment, "KEY": service.key}
    done = subprocess.run(
        [*command, "--out-dir", str(tmp_path / "out")], capture_output=True, text=True, env=environment, timeout=100
    )
    assert done.returncode == 0, done.stderr + done.stdout
    target = Path(json.loads(done.stdout)["output"]["path"])
    ending = {"xades": ".xml", "cades": ".xml.p7s", "asic-e-xades": ".xml.asice"}[form_name]
    assert target.name == f"a{ending}"
    original = source.read_bytes() if form_name == "cades" else None
    assert verified(service, target.read_bytes(), original)["indication"] == "TOTAL-PASSED"


def test_digests_alone(service: Service) -> None:
    data = b"content that stays"
    headers = {"Content-Type": "application/octet-stream"}
    signed = service.call("POST", "/v1/sign?profile=cades-b-t&credential=person", data, headers).body
    asked = {
        "document": {"content": base64.b64encode(signed).decode()},
        "digests": [{"algorithm": "sha-256", "digest": base64.b64encode(hashlib.sha256(data).digest()).decode()}],
    }
    typed = {"Content-Type": "application/json"}
    answer = service.call("POST", "/v1/verify-hashes", json.dumps(asked).encode(), typed)
    assert answer.status == 200, answer.body
    assert answer.json["indication"] == "TOTAL-PASSED"
    asked["digests"][0]["digest"] = base64.b64encode(bytes(32)).decode()  # type: ignore[index]
    other = service.call("POST", "/v1/verify-hashes", json.dumps(asked).encode(), typed).json
    assert other["indication"] != "TOTAL-PASSED"
    asked["digests"] = []
    assert service.call("POST", "/v1/verify-hashes", json.dumps(asked).encode(), typed).status == 422
