"""Documents that permit no signature are refused at every door before key, PIN, authority or network are asked."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec

from signsvc.services import Services
from signsvc.store import Scope
from signsvc.web import create_app
from test_pki.responders import Responders
from tests.pdf_writer import PdfWriter
from tests.support.installation import Installation
from tests.unit.signing.test_pades_gate import _qpdf, _with_form, signed_with_pyhanko


def _xfa(_: Path) -> bytes:
    def change(writer: Any, form: Any) -> None:
        form["/XFA"] = writer.add_object(generic.StreamObject(stream_data=b"<xdp/>"))

    return _with_form(PdfWriter().data, change)


def _lock(action: FieldMDPAction, fields: list[str] | None = None, level: int | None = None) -> Callable[[Path], bytes]:
    lock = FieldMDPSpec(action, fields)
    return lambda _: signed_with_pyhanko(PdfWriter().data, None, lock=lock, lock_level=level)  # type: ignore[arg-type]


def _restricted(place: Path) -> bytes:
    bits = ("--modify=none", "--annotate=n", "--form=n")
    return _qpdf(PdfWriter().data, place, "--encrypt", "", "owner", "256", *bits, "--")


DOCUMENTS: list[tuple[str, Callable[[Path], bytes], str]] = [
    ("certified", lambda _: signed_with_pyhanko(PdfWriter().data, None, certify=1), "certified-no-changes"),  # type: ignore[arg-type]
    ("all-locked", _lock(FieldMDPAction.ALL), "field-locked"),
    ("others-locked", _lock(FieldMDPAction.EXCLUDE, ["VanThu"]), "field-locked"),
    ("lock-level-1", _lock(FieldMDPAction.INCLUDE, ["Other"], 1), "certified-no-changes"),
    ("xfa", _xfa, "xfa"),
    ("permissions", _restricted, "permissions"),
]
WORDS = {
    "certified-no-changes": "không cho phép",
    "field-locked": "khóa",
    "xfa": "XFA",
    "permissions": "quyền",
}


class _Untouched:
    def __init__(self, inner: Any) -> None:
        self.certificate, self.certificate_chain = inner.certificate, inner.certificate_chain

    def sign(self, *_: Any, **__: Any) -> bytes:
        raise AssertionError("the key was used")


@pytest.fixture
def post(installation: Installation, services: Services, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Any]:
    get = services.keyring.get
    monkeypatch.setattr(services.keyring, "get", lambda name: _Untouched(get(name)))
    client = create_app(installation.settings, services).test_client()
    secret = services.store.api_keys.create("early", [Scope.SIGN], now=datetime.now(UTC)).secret

    def send(data: bytes) -> Any:
        body = {
            "document": {"content": base64.b64encode(data).decode()},
            "profile": "pades-b-lta",
            "credential": "p12-person",
        }
        return client.post("/v1/sign", json=body, headers={"Authorization": f"Bearer {secret}"})

    return send


@pytest.mark.parametrize(("name", "make", "reason"), DOCUMENTS, ids=[name for name, _, _ in DOCUMENTS])
def test_documents_that_permit_no_signature_over_http(
    name: str,
    make: Callable[[Path], bytes],
    reason: str,
    tmp_path: Path,
    post: Callable[[bytes], Any],
    responders: Responders,
) -> None:
    data, before = make(tmp_path), responders.requests
    answer = post(data)
    assert (answer.status_code, answer.json["code"]) == (409, "signing_not_permitted"), name
    assert WORDS[reason] in answer.json["localized"]["message"]
    assert responders.requests == before


def test_documents_that_permit_no_signature_on_the_command_line(
    installation: Installation, tmp_path: Path, responders: Responders
) -> None:
    """With a key on a token whose PIN cannot be had: a document that is refused is refused before that is found out."""
    files = []
    for name, make, _ in DOCUMENTS:
        (tmp_path / "made").mkdir(exist_ok=True)
        files.append(tmp_path / f"{name}.pdf")
        files[-1].write_bytes(make(tmp_path / "made"))
    files.append(tmp_path / "open.pdf")
    files[-1].write_bytes(PdfWriter().data)
    before = responders.requests
    command = [Path(sys.executable).with_name("signsvc"), "sign", *files[:-1], "--credential", "person"]
    options = ["--profile", "pades-b-lta", "--pin-source", "env:NO_SUCH_PIN", "--json"]

    def run(*what: object) -> list[str]:
        done = subprocess.run(
            list(map(str, what)), capture_output=True, cwd=tmp_path, timeout=120,
            env={**os.environ, **installation.environment},
        )  # fmt: skip
        assert done.returncode == 4, done.stderr.decode()
        return [json.loads(line)["problem"]["code"] for line in done.stdout.splitlines()]

    assert run(*command, *options) == ["signing_not_permitted"] * len(DOCUMENTS)
    assert responders.requests == before
    assert not list(tmp_path.glob("*-signed.pdf"))
    assert run(*command[:2], files[-1], "--credential", "person", *options) == ["pin_required"]
