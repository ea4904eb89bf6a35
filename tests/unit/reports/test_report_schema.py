"""Reports are what the published schema says, by a validator that is not ours."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import test_pki
from signsvc.reports import model, published
from signsvc.reports.build import VERSION
from signsvc.trust import TrustStore
from signsvc.verification import TrustSource, Verifier, VerifyRequest
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import ROOM, claiming, maker, stamp, token, values


def test_the_published_schema_is_that_of_the_model() -> None:
    """Where members were added: `python -m signsvc.reports.model` writes it anew."""
    found = published.schema(VERSION)
    assert found is not None
    assert json.loads(found) == model.schema()
    assert published.schema("0.9") is None


@pytest.fixture(scope="module")
def reports(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    place = tmp_path_factory.mktemp("schema")
    at = pki.epoch + timedelta(days=9)
    good = PdfWriter(pages=2)
    good.sign(pki, room=ROOM // 2, extra=claiming(at), cms=maker(pki, tokens=[token(pki, at)]))
    good.store(pki, values=values(pki, "person", "tsa1", at=at + timedelta(minutes=1)))
    stamp(good, pki, token(pki, at + timedelta(minutes=2)), name="Stamp")
    damaged = bytearray(good.data)
    damaged[20] ^= 1
    files = {
        "good": good.data,
        "unsigned": PdfWriter().data,
        "damaged": bytes(damaged),
        "cut": good.data[:-400],
        "longer": good.data + b"% and more\n",
        "xml": b"<a><Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/></a>",
    }
    anchor = pki.cert("root-g2")
    TrustStore(place / "trust").install("test", anchor, confirm=(hashlib.sha256(anchor).hexdigest(),))
    found = {}
    with Verifier(TrustSource(place / "trust", ("test",)), workers=1) as verifier:
        for name, data in files.items():
            Path(place / name).write_bytes(data)
            found[name] = verifier.verify(place / name, VerifyRequest(offline=True, name=name)).report
        supplied = VerifyRequest(trust_anchors=(pki.cert("root-g1"),))
        found["another root"] = verifier.verify(place / "good", supplied).report
    return found


def test_every_report_is_as_published(reports: dict[str, dict[str, Any]]) -> None:
    validator = Draft202012Validator(json.loads(published.schema(VERSION) or b""))
    assert {r["indication"] for r in reports.values()} == {"TOTAL-PASSED", "TOTAL-FAILED", "NO-SIGNATURE"} | (
        {"INDETERMINATE"} & {r["indication"] for r in reports.values()}
    )
    for name, report in reports.items():
        assert list(validator.iter_errors(report)) == [], name


def test_no_member_is_left_out_of_the_schema(reports: dict[str, dict[str, Any]]) -> None:
    """What reports hold is described, member for member."""

    def strict(value: Any, kind: Any, where: str) -> None:
        if isinstance(value, list):
            for one in value:
                strict(one, kind, where)
        elif isinstance(value, dict):
            known = _members(kind)
            if known is not None:
                assert set(value) <= set(known), where
                for name, one in value.items():
                    strict(one, known[name], f"{where}.{name}")

    schema = model.schema()

    def _members(kind: Any) -> dict[str, Any] | None:
        for one in (kind, kind.get("items", {}), *kind.get("anyOf", ())):
            if "$ref" in one:
                return dict(schema["$defs"][one["$ref"].rpartition("/")[2]]["properties"])
        return dict(kind["properties"]) if "properties" in kind else None

    for name, report in reports.items():
        strict(report, schema, name)


def test_a_report_that_is_none_is_refused(reports: dict[str, dict[str, Any]]) -> None:
    validator = Draft202012Validator(model.schema())
    for change in ({"indication": "VALID"}, {"signatures": None}, {"report_version": "2.0"}, {"id": 1}):
        assert not validator.is_valid({**reports["good"], **change}), change
