"""Bad input over HTTP on real parts: each has its own problem code, nothing half-written remains, the service goes on."""

from __future__ import annotations

import base64
import json
import resource
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from signsvc.services import Services
from signsvc.settings import Settings
from signsvc.store import Scope
from signsvc.web import create_app
from test_pki.responders import Responders
from tests.support.installation import Installation

SAMPLE = (resources.files("signsvc.samples") / "van-ban.pdf").read_bytes()


class Door:
    """A caller of the application."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self.settings = settings
        self._client = create_app(settings, services).test_client()
        secret = services.store.api_keys.create("test", [Scope.ADMIN], now=datetime.now(UTC)).secret
        self._headers = {"Authorization": f"Bearer {secret}"}

    def post(self, path: str, data: bytes = SAMPLE, kind: str = "application/pdf", **query: str) -> Any:
        return self._client.post(
            path, query_string=query, data=data, content_type=kind, headers=self._headers, buffered=True
        )

    def sign(self, data: bytes = SAMPLE, *, profile: str = "pades-b-b", credential: str = "p12-person") -> Any:
        return self.post("/v1/sign", data, profile=profile, credential=credential)

    def problem(self, response: Any) -> dict[str, Any]:
        assert response.mimetype == "application/problem+json", response.data[:200]
        found: dict[str, Any] = json.loads(response.data)
        assert list((self.settings.data_dir / "spool").iterdir()) == []
        return found


@pytest.fixture(scope="module")
def door(installation: Installation, services: Services) -> Door:
    return Door(installation.settings, services)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("locked")
    (place / "a.pdf").write_bytes(SAMPLE)
    subprocess.run(
        ["qpdf", "--encrypt", "opensesame", "owner", "256", "--", place / "a.pdf", place / "b.pdf"], check=True
    )
    return (place / "b.pdf").read_bytes()


@pytest.mark.parametrize("path", ["/v1/verify", "/v1/sign"])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_document"),
        (b"\x89PNG\r\n\x1a\n not a PDF", "unsupported_format"),
        (b"\xd0\xcf\x11\xe0 neither", "unsupported_format"),
        (b"%PDF-1.7\n", "document_unreadable"),
        (b"%PDF-1.7\n" + bytes(4096), "document_unreadable"),
        (SAMPLE[:60], "document_unreadable"),
    ],
)
def test_what_is_no_document(door: Door, path: str, data: bytes, code: str) -> None:
    query = {"profile": "pades-b-b", "credential": "p12-person"} if path == "/v1/sign" else {}
    assert door.problem(door.post(path, data, **query))["code"] == code


def test_truncated_documents_are_never_signed(door: Door) -> None:
    for size in (len(SAMPLE) // 3, len(SAMPLE) - 40):
        response = door.sign(SAMPLE[:size])
        assert response.status_code == 422
        assert door.problem(response)["code"] == "document_unreadable"


@pytest.mark.parametrize("path", ["/v1/verify", "/v1/sign"])
def test_unknown_password(door: Door, locked: bytes, path: str) -> None:
    query = {"profile": "pades-b-b", "credential": "p12-person"} if path == "/v1/sign" else {}
    response = door.post(path, locked, **query)
    assert door.problem(response)["code"] == "encrypted_document"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"profile": "none", "credential": "p12-person"}, "profile_not_found"),
        ({"profile": "pades-b-b", "credential": "none"}, "credential_not_found"),
        ({"profile": "pades-b-b", "credential": "p12-expired"}, "certificate_expired"),
        ({"profile": "pades-b-b", "credential": "p12-not-yet-valid"}, "certificate_not_yet_valid"),
        ({"profile": "pades-b-b", "credential": "p12-revoked"}, "certificate_revoked"),
        ({"profile": "pades-b-b", "credential": "p12-wrong-usage"}, "certificate_not_for_signing"),
    ],
)
def test_refused_before_signing(door: Door, responders: Responders, query: dict[str, str], code: str) -> None:
    found = door.problem(door.sign(profile=query["profile"], credential=query["credential"]))
    assert found["code"] == code
    assert "?" not in found["localized"]["message"]
    assert not any(path.startswith("/tsa") for path in responders.requests)


def test_other_content_types_and_policies(door: Door) -> None:
    assert door.problem(door.post("/v1/verify", kind="text/plain"))["code"] == "wrong_content_type"
    assert door.problem(door.post("/v1/verify", policy="none"))["code"] == "policy_not_found"


@pytest.mark.parametrize(
    ("fault", "code"),
    [("down", "tsa_unavailable"), ("refuse", "tsa_unavailable"), ("wrong_imprint", "tsa_invalid_token")],
)
def test_timestamp_authorities_down_or_lying(door: Door, responders: Responders, fault: str, code: str) -> None:
    responders.fault("/tsa/", fault)
    found = door.problem(door.sign(profile="pades-b-t"))
    assert (found["code"], found["retryable"]) == (code, True)
    responders.clear()
    assert door.sign(profile="pades-b-t").status_code == 200


def test_wrong_pin_is_tried_once(installation: Installation, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text("00000000")
    settings = installation.settings
    wrong = settings.model_copy(
        update={
            "data_dir": tmp_path / "data",
            "tokens": tuple(t.model_copy(update={"pin": f"file:{pin}"}) for t in settings.tokens),
        }
    )
    shutil.copytree(settings.trust_dir, wrong.trust_dir)
    with Services(wrong, workers=1) as services:
        door = Door(wrong, services)
        for _ in range(3):
            found = door.problem(door.sign(credential="person"))
            assert found["code"] == "pin_incorrect"
            assert "00000000" not in json.dumps(found)


def test_token_absent(installation: Installation, tmp_path: Path) -> None:
    settings = installation.settings
    absent = settings.model_copy(
        update={
            "data_dir": tmp_path / "data",
            "tokens": tuple(t.model_copy(update={"token": "elsewhere"}) for t in settings.tokens),
            "credentials": tuple(
                c.model_copy(update={"token": "elsewhere"}) for c in settings.credentials if c.pkcs12 is None
            ),
        }
    )
    shutil.copytree(settings.trust_dir, absent.trust_dir)
    with Services(absent, workers=1) as services:
        door = Door(absent, services)
        found = door.problem(door.sign(credential="person"))
        assert (found["code"], found["retryable"]) == ("token_not_present", True)


def test_disk_full(door: Door) -> None:
    """A limit on file size stands in for the full disk: writing fails in the same way, for this process alone."""
    large = SAMPLE + b"%" + bytes(8 << 20)
    head = b'--b\r\nContent-Disposition: form-data; name="document"; filename="a.pdf"\r\n\r\n'
    text = b'{"document": {"content": "' + base64.b64encode(large) + b'"}}'
    bodies = (
        (large, "application/pdf"),
        (head + large + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        (text, "application/json"),
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, hard))
    try:
        responses = [door.post("/v1/verify", data, kind) for data, kind in bodies]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for response in responses:
        found = door.problem(response)
        assert (found["code"], found["status"], found["retryable"]) == ("storage_full", 507, True)
    assert door.post("/v1/verify").status_code == 200


def test_an_ordinary_file_has_no_signature(door: Door) -> None:
    response = door.post("/v1/verify")
    assert response.status_code == 200
    assert response.get_json()["indication"] == "NO-SIGNATURE"


def test_sign_then_verify(door: Door) -> None:
    signed = door.sign(profile="pades-b-lta", credential="agency")
    assert signed.status_code == 200, signed.data[:300]
    report = door.post("/v1/verify", signed.data).get_json()
    assert report["indication"] == "TOTAL-PASSED", report["signatures"][0]["messages"]
    assert report["signatures"][0]["level"] == "B-LTA"
    page = door._client.get(f"/v1/reports/{report['id']}.html", headers=door._headers)
    assert "Chữ ký hợp lệ" in page.text
