"""The document that was meant is the one that is signed: other ones, and those that change meanwhile, are refused."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.keys.signer import Signer
from signsvc.services import Services
from signsvc.signing import SignParams, profiles
from signsvc.signing.service import SigningService
from signsvc.store import Scope
from signsvc.web import create_app
from tests.support.installation import Installation

SAMPLE = (resources.files("signsvc.samples") / "van-ban.pdf").read_bytes()
SHA256 = hashlib.sha256(SAMPLE).hexdigest()
OTHER = "0" * 64


class Meddling:
    """A key during whose use something happens."""

    def __init__(self, inner: Signer, happens: Callable[[], object]) -> None:
        self._inner, self._happens = inner, happens
        self.certificate, self.certificate_chain = inner.certificate, inner.certificate_chain
        self.uses = 0

    def sign(self, *args: Any, **options: Any) -> bytes:
        self.uses += 1
        self._happens()
        return self._inner.sign(*args, **options)


@pytest.fixture(params=["workers", "here"])
def signing(request: pytest.FixtureRequest, services: Services) -> Any:
    if request.param == "workers":
        return services.signing
    return SigningService(services.trust_source, verifier=services.verifier)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "van-ban.pdf"
    path.write_bytes(SAMPLE)
    return path


@pytest.mark.parametrize("same", [True, False])
def test_a_file_that_changes_while_it_is_signed_is_left_alone(
    signing: Any, services: Services, document: Path, tmp_path: Path, same: bool
) -> None:
    profile = profiles.load("pades-b-b")
    signer = Meddling(services.keyring.get("p12-person"), lambda: document.write_bytes(SAMPLE + b"\n% edited\n"))
    target = document if same else tmp_path / "signed.pdf"
    with pytest.raises(DocumentError) as caught:
        signing.sign(document, target, profile=profile, signer=signer, params=SignParams())
    assert (caught.value.code, signer.uses) == ("base_changed", 1)
    assert document.read_bytes() == SAMPLE + b"\n% edited\n"
    assert [path.name for path in tmp_path.iterdir()] == ["van-ban.pdf"]


def test_only_the_file_that_is_meant_is_signed_or_extended(
    signing: Any, services: Services, document: Path, tmp_path: Path
) -> None:
    profile, target = profiles.load("pades-b-b"), tmp_path / "signed.pdf"
    signer = Meddling(services.keyring.get("p12-person"), lambda: None)
    with pytest.raises(DocumentError, match="base_changed"):
        signing.sign(document, target, profile=profile, signer=signer, base_sha256=OTHER)
    with pytest.raises(DocumentError, match="base_changed"):
        signing.extend(document, target, level="B-T", base_sha256=OTHER)
    assert (signer.uses, target.exists()) == (0, False)
    signing.sign(document, target, profile=profile, signer=signer, base_sha256=SHA256)
    assert target.read_bytes().startswith(SAMPLE)


@pytest.fixture
def client(installation: Installation, services: Services) -> Callable[..., Any]:
    key = services.store.api_keys.create("base", [Scope.SIGN], now=datetime.now(UTC)).secret
    flask = create_app(installation.settings, services).test_client()

    def post(path: str, **body: Any) -> Any:
        document = {"content": base64.b64encode(SAMPLE).decode()}
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        return flask.post(f"/v1/{path}", json={"document": document, **body}, headers=headers)

    return post


def test_the_base_is_compared_over_http(client: Callable[..., Any]) -> None:
    wanted = {"profile": "pades-b-b", "credential": "p12-person"}
    answer = client("sign", **wanted, base_sha256=OTHER)
    assert (answer.status_code, answer.json["code"]) == (409, "base_changed")
    answer = client("extend", level="B-T", base_sha256=OTHER)
    assert (answer.status_code, answer.json["code"]) == (409, "base_changed")
    assert client("sign", **wanted, base_sha256="abc").status_code in (400, 422)
    assert client("sign", **wanted, base_sha256=SHA256.upper()).status_code == 200


def test_the_base_is_compared_on_the_command_line(pki: test_pki.Pki, document: Path, tmp_path: Path) -> None:
    password = test_pki.PASSWORD.decode() if isinstance(test_pki.PASSWORD, bytes) else test_pki.PASSWORD
    environment = {**os.environ, "PASS": password, "SIGNSVC_DATA_DIR": str(tmp_path / "data")}

    def run(*options: object) -> tuple[int, str]:
        command = [Path(sys.executable).with_name("signsvc"), *options, "--offline", "--json"]
        done = subprocess.run(list(map(str, command)), capture_output=True, cwd=tmp_path, env=environment, timeout=120)
        return done.returncode, done.stdout.decode()

    sign = ("sign", document, "--pkcs12", pki.p12("person"), "--pin-source", "env:PASS", "--profile", "pades-b-b")
    status, said = run(*sign, "--base-sha256", OTHER)
    assert (status, json.loads(said)["problem"]["code"]) == (4, "base_changed")
    status, said = run("extend", document, "--level", "B-T", "--base-sha256", OTHER)
    assert (status, json.loads(said)["problem"]["code"]) == (4, "base_changed")
    assert run(*sign, "--base-sha256", "abc")[0] == 64
    assert run(*sign, document.with_name("b.pdf"), "--base-sha256", SHA256)[0] == 64
    assert not document.with_name("van-ban-signed.pdf").exists()
    assert run(*sign, "--base-sha256", SHA256)[0] == 0
