"""``POST /v1/fields``: fields listed and laid out over HTTP."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import test_pki
from signsvc.signing import fields
from signsvc.signing.appearance.layout import Fonts
from tests.pdf_writer import PdfWriter

WANTED = [
    {"name": "NguoiKy", "rect": [300, 100, 500, 180], "lock": {"action": "Exclude", "fields": ["so", "CoQuan"]}},
    {"name": "CoQuan", "page": -1, "seed": {"reasons": ["Phát hành"], "certification": 0}},
    {"name": "so", "kind": "text", "rect": [80, 740, 200, 758]},
]


@pytest.fixture
def door(stage: Any) -> Any:
    """The application with fields laid out in this process."""

    def prepare_fields(source: Path, target: Path, **asked: Any) -> fields.FieldsResult:
        return fields.prepare(source, target, asked["fields"], fonts=Fonts())

    stage.services.signing = SimpleNamespace(prepare_fields=prepare_fields)
    return stage


def form(data: bytes, **members: str) -> dict[str, Any]:
    return {"document": (io.BytesIO(data), "a.pdf"), **members}


def test_fields_are_laid_out_and_listed(door: Any) -> None:
    data = PdfWriter().data
    response = door.client.post("/v1/fields", data=form(data, fields=json.dumps(WANTED)), headers=door.auth("sign"))
    assert (response.status_code, response.mimetype) == (200, "application/pdf"), response.data
    assert response.data.startswith(data)
    digest = base64.b64encode(hashlib.sha256(response.data).digest()).decode()
    assert response.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    listing = door.client.post("/v1/fields", data=form(response.data), headers=door.auth("sign")).json
    assert listing["added"] == []
    assert [(f["name"], f["kind"], f["seeded"]) for f in listing["fields"]] == [
        ("NguoiKy", "signature", False),
        ("CoQuan", "signature", True),
        ("so", "text", False),
    ]
    assert listing["fields"][0]["lock"]["fields"] == ["so", "CoQuan"]
    assert not list(door.spool.iterdir())


def test_json_in_and_out_keeps_the_document(door: Any) -> None:
    content = base64.b64encode(PdfWriter().data).decode()
    response = door.client.post(
        "/v1/fields",
        json={"document": {"content": content}, "fields": WANTED},
        headers={**door.auth("sign"), "Accept": "application/json"},
    )
    assert response.status_code == 200, response.data
    assert response.json["added"] == ["NguoiKy", "CoQuan", "so"]
    kept = door.client.get(response.json["document"]["href"], headers=door.auth("read"))
    assert hashlib.sha256(kept.data).hexdigest() == response.json["document"]["sha256"]


@pytest.mark.parametrize(
    "said",
    [
        "x",
        "{}",
        '[{"name": "a", "other": 1}]',
        '[{"name": "a", "lock": {"action": "Some"}}]',
        '[{"name": "a", "page": 9}]',
        '[{"name": "a"}, {"name": "a"}]',
        json.dumps([{"name": f"f{number}"} for number in range(51)]),
    ],
)
def test_what_is_no_list_of_fields(said: str, door: Any) -> None:
    response = door.client.post("/v1/fields", data=form(PdfWriter().data, fields=said), headers=door.auth("sign"))
    assert (response.status_code, response.json["code"]) == (422, "invalid_request")


def test_a_signed_document_and_a_key_without_the_right(door: Any, pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki)
    body = form(pdf.data, fields=json.dumps(WANTED))
    response = door.client.post("/v1/fields", data=body, headers=door.auth("sign"))
    assert (response.status_code, response.json["code"]) == (409, "fields_not_permitted")
    assert door.client.post("/v1/fields", data=form(pdf.data), headers=door.auth("read")).status_code == 403
    response = door.client.post("/v1/fields", data=form(pdf.data), headers={**door.auth("sign"), "Accept": "text/html"})
    assert response.status_code == 406
