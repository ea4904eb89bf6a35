"""Reports as they leave the house: every form at both doors, sealed with a key of the service where it has one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

import test_pki
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.settings import ReportSettings
from signsvc.store import Scope
from signsvc.web import create_app
from tests.support import xmlsec
from tests.support.installation import Installation
from tests.support.invoices import pem_pair

FORMS = {
    "json": "application/json", "html": "text/html", "xml": "application/xml", "pdf": "application/pdf",
    "jwt": "application/jwt",
}  # fmt: skip
SEAL = "p12-person"


@pytest.fixture(scope="module", params=[None, SEAL], ids=["unsealed", "sealed"])
def door(request: pytest.FixtureRequest, installation: Installation) -> Any:
    settings = installation.settings.model_copy(update={"reports": ReportSettings(seal_credential=request.param)})
    with Services(settings, workers=1) as services:
        secret = services.store.api_keys.create("forms", [Scope.VERIFY], now=datetime.now(UTC)).secret
        client = create_app(settings, services).test_client()

        def call(method: str, path: str, accept: str = "*/*", data: bytes | None = None) -> Any:
            headers = {"Authorization": f"Bearer {secret}", "Accept": accept, "Accept-Language": "vi"}
            return client.open(
                path, method=method, data=data, headers=headers, content_type="application/pdf", buffered=True
            )

        yield call, request.param is not None


def test_every_form(door: Any, pki: test_pki.Pki, tmp_path: Path) -> None:
    call, sealed = door
    document = sample("van-ban.pdf").read_bytes()
    stored = call("POST", "/v1/verify", "application/json", document).get_json()["id"]
    for form, media_type in FORMS.items():
        for answer in (
            call("POST", "/v1/verify", media_type, document),
            call("GET", f"/v1/reports/{stored}", media_type),
            call("GET", f"/v1/reports/{stored}.{form}"),
        ):
            assert (answer.status_code, answer.mimetype) == (200, media_type), answer.data[:300]
            if form in ("xml", "pdf", "jwt"):
                assert answer.headers["Signsvc-Report-Sealed"] == ("true" if sealed else "false")
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(call("GET", f"/v1/reports/{stored}.pdf").data)
    said = subprocess.run(["pdfsig", "-nocert", str(pdf)], capture_output=True, text=True).stdout
    text = subprocess.run(["pdftotext", str(pdf), "-"], capture_output=True, text=True).stdout
    assert ("Signature is Valid" in said) is sealed, said
    assert ("KHÔNG được ký số" in " ".join(text.split())) is not sealed
    subprocess.run(["pdfdetach", "-saveall", "-o", str(tmp_path), str(pdf)], check=True)
    assert json.loads((tmp_path / "report.json").read_bytes())["id"] == stored
    xml = call("GET", f"/v1/reports/{stored}.xml").data
    assert (b"<ds:Signature " in xml) is sealed
    if sealed:
        _, certificate = pem_pair(pki, "person", tmp_path)
        ids = ["--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"]
        assert xmlsec.verifies(xml, certificate, tmp_path, *ids)
        assert not xmlsec.verifies(xml.replace(b"no-signature", b"total-passed"), certificate, tmp_path, *ids)
    token = call("GET", f"/v1/reports/{stored}.jwt").data.decode()
    header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    if not sealed:
        assert header == {"typ": "JWT", "alg": "ES256", "kid": "unsealed"}
        return
    leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    assert base64.b64decode(header["x5c"][0]) == pki.cert("person")
    key = RSAKey.import_key(leaf.public_key())  # type: ignore[arg-type]
    registry = JWSRegistry(algorithms=["RS256"])
    registry.max_header_length = 64_000  # room for the chain
    assert jwt.decode(token, key, registry=registry).claims["jti"] == f"urn:signsvc:{stored}"
    with pytest.raises(JoseError):
        jwt.decode(token[:-8] + "AAAAAAAA", key, registry=registry)


def test_at_the_command_line(installation: Installation, tmp_path: Path) -> None:
    for form in FORMS:
        command = [sys.executable, "-m", "signsvc", "verify", str(sample("van-ban.pdf")), "--report", form]
        done = subprocess.run(
            [*command, "--report-dir", str(tmp_path)],
            env={**os.environ, **installation.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 3, done.stderr
        made = (tmp_path / f"van-ban.pdf.{form}").read_bytes()
        assert made.startswith({"json": b"{", "html": b"<!", "xml": b"<?xml", "pdf": b"%PDF-", "jwt": b"eyJ"}[form])


def test_acceptance_at_both_doors(door: Any, installation: Installation, tmp_path: Path) -> None:
    call, _ = door
    document = sample("van-ban.pdf").read_bytes()
    answer = call("POST", "/v1/verify?accept=van-ban-den", "application/json", document)
    made = answer.get_json()["acceptance"]
    assert answer.headers["Signsvc-Acceptance"] == made["decision"] == "reject"
    assert (made["rule"], made["version"], made["status"]["code"]) == ("van-ban-den", "1.0", "02")
    assert "không có chữ ký số" in made["status"]["reason"]
    listed = call("GET", "/v1/acceptance-rules").get_json()["rules"]
    assert {"van-ban-den", "luu-tru", "mot-cua"} <= {one["id"] for one in listed}
    assert call("GET", "/v1/acceptance-rules/luu-tru").get_json()["level"] == "B-LTA"
    assert call("GET", "/v1/acceptance-rules/none").status_code == 404
    path = tmp_path / "so.toml"
    command = [sys.executable, "-m", "signsvc", "acceptance"]
    environment = {**os.environ, **installation.environment}

    def run(*words: str) -> Any:
        return subprocess.run([*command, *words], env=environment, capture_output=True, text=True, timeout=60)

    path.write_text('extends = "luu-tru"\nid = "so"\nversion = "1"\n', "utf-8")
    assert run("check", str(path)).returncode == 0
    path.write_text('extends = "luu-tru"\nid = "so"\nversion = "1"\nlevel = "X"\n', "utf-8")
    wrong = run("check", str(path))
    assert (wrong.returncode, "line 4" in wrong.stderr) == (4, True)
    assert "van-ban-den" in run("list").stdout
    assert json.loads(run("show", "mot-cua", "--json").stdout)["max_age_days"] == 365


def test_the_issuer_at_the_command_line(installation: Installation, tmp_path: Path) -> None:
    """A rule that compares the organisation is told whose document it is, as at the other door."""
    rules = installation.data_dir / "acceptance"
    rules.mkdir(exist_ok=True)
    (rules / "cua-minh.toml").write_text('extends = "van-ban-den"\nid = "cua-minh"\nversion = "1"\n', "utf-8")
    command = [sys.executable, "-m", "signsvc", "verify", str(sample("van-ban.pdf")), "--json", "--accept", "cua-minh"]
    for more in ([], ["--issuer", "H29"]):
        done = subprocess.run(
            [*command, *more],
            env={**os.environ, **installation.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert json.loads(done.stdout)["acceptance"]["rule"] == "cua-minh", done.stderr
