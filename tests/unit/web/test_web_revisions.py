"""``POST /v1/revisions``: the document as it was signed, over HTTP, read by a real worker."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.verification import TrustSource, Verifier
from signsvc.verification.revisions import SignedRevision
from tests.pdf_writer import PdfWriter

RAW = {"content_type": "application/pdf"}


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    with Verifier(TrustSource(tmp_path_factory.mktemp("trust")), workers=1) as found:
        yield found


@pytest.fixture
def door(stage: Any, verifier: Verifier) -> Any:
    """The application with the real verifier in it."""
    stage.services.verifier = verifier
    return stage


@pytest.fixture(scope="module")
def changed(pki: test_pki.Pki) -> tuple[bytes, bytes, bytes]:
    """A file with two signatures and a change behind them, and the file as each of them left it."""
    pdf = PdfWriter()
    # a field may be called as another signature's id is
    pdf.sign(pki, name="signature-2")
    first = pdf.data
    pdf.sign(pki, "agency", name="Second")
    second = pdf.data
    pdf.update({4: b"<< /Length 4 >>\nstream\nBT ET\nendstream"})
    return pdf.data, first, second


def ask(stage: Any, data: bytes, signature: str | None = None, **options: Any) -> Any:
    query = {} if signature is None else {"signature": signature}
    return stage.client.post(
        "/v1/revisions", data=data, query_string=query, **{**RAW, "headers": stage.auth("verify"), **options}
    )


def test_each_signature_gives_its_own_document(door: Any, changed: tuple[bytes, bytes, bytes]) -> None:
    data, first, second = changed
    for wanted, expected, number in (
        (None, first, 2),
        ("signature-1", first, 2),
        ("1", first, 2),
        ("signature-2", second, 3),  # our own ids go before the names that a document chooses
        ("Second", second, 3),
    ):
        response = ask(door, data, wanted)
        assert (response.status_code, response.data == expected) == (200, True), wanted
        digest = base64.b64encode(hashlib.sha256(expected).digest()).decode()
        assert response.headers["Repr-Digest"] == response.headers["Content-Digest"] == f"sha-256=:{digest}:"
        assert response.headers["Content-Type"] == "application/pdf"
        assert response.headers["Signsvc-Revision"] == str(number)
        assert response.headers["Signsvc-Revisions"] == "4"
        assert response.headers["Signsvc-Coverage"] == "REVISION"
        assert response.headers["Signsvc-Signature"] == f"signature-{number - 1}"
    assert not list(door.spool.iterdir())


def test_what_it_gives_is_whole_and_verifies_by_itself(door: Any, changed: tuple[bytes, bytes, bytes]) -> None:
    once = ask(door, changed[0], "2").data
    again = ask(door, once, "2")
    assert again.data == once == changed[2]
    assert again.headers["Signsvc-Coverage"] == "FULL"


def test_the_three_forms_of_a_body(door: Any, changed: tuple[bytes, bytes, bytes]) -> None:
    data, _, second = changed
    form = {"document": (io.BytesIO(data), "a.pdf"), "signature": "Second"}
    posted = door.client.post("/v1/revisions", data=form, headers=door.auth("verify"))
    content = json.dumps({"document": {"content": base64.b64encode(data).decode()}, "signature": "Second"})
    written = ask(door, content.encode(), content_type="application/json")
    assert posted.data == written.data == second


@pytest.mark.parametrize(
    ("signature", "status", "code"), [("Third", 404, "revision_not_found"), ("x" * 501, 422, "invalid_request")]
)
def test_no_such_signature(
    door: Any, changed: tuple[bytes, bytes, bytes], signature: str, status: int, code: str
) -> None:
    response = ask(door, changed[0], signature)
    assert (response.status_code, response.get_json()["code"]) == (status, code)


def test_what_cannot_be_given(door: Any, changed: tuple[bytes, bytes, bytes]) -> None:
    data, first, _ = changed
    for document, code in (
        (b"no document at all", "unsupported_format"),
        (PdfWriter().data, "revision_not_found"),
        (first.replace(b"/ByteRange", b"/ByteRanga"), "revision_not_found"),
        (first[:-40], "revision_not_found"),
    ):
        assert ask(door, document).get_json()["code"] == code
    assert ask(door, data, headers=door.auth("read")).get_json()["code"] == "forbidden"
    refused = ask(door, data, headers={**door.auth("verify"), "Accept": "image/png"})
    assert refused.get_json()["code"] == "not_acceptable"
    extra = {"document": (io.BytesIO(data), "a.pdf"), "crl": (io.BytesIO(b"x"), "a.crl")}
    posted = door.client.post("/v1/revisions", data=extra, headers=door.auth("verify"))
    assert posted.get_json()["code"] == "invalid_request"


def test_the_contract_says_so(stage: Any) -> None:
    described = stage.client.get("/openapi.json").get_json()["paths"]["/v1/revisions"]["post"]
    assert {"multipart/form-data", "application/pdf", "application/json"} == set(described["requestBody"]["content"])
    assert "revision_not_found" in described["responses"]["404"]["description"]
    assert "signature" in {parameter["name"] for parameter in described["parameters"]}


@pytest.mark.parametrize(
    "wrong", [{"size": 101}, {"size": 0}, {"number": 0}, {"of": 1}, {"signature": "a\r\nb"}, {"field": 3}]
)
def test_a_worker_is_not_believed(wrong: dict[str, object]) -> None:
    good = {"signature": "signature-1", "field": "F", "number": 2, "of": 3, "size": 100, "whole": False}
    assert SignedRevision.from_json(good, 100).to_json() == good
    with pytest.raises((ValueError, TypeError, KeyError)):
        SignedRevision.from_json({**good, **wrong}, 100)


def test_a_worker_that_names_no_revision_is_a_defect_of_ours(
    verifier: Verifier, tmp_path: Path, changed: tuple[bytes, bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from signsvc.errors import InternalError

    path = tmp_path / "a.pdf"
    path.write_bytes(changed[0])
    monkeypatch.setattr(verifier._pool, "run", lambda *_, **__: {"size": 1 << 40})
    with pytest.raises(InternalError):
        verifier.revision(path)
