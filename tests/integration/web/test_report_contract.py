"""The report's members, as other systems read them: names and shapes that may grow and not change."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from signsvc.reports.model import Report
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.store import Scope
from signsvc.web import create_app
from signsvc.web.models import SignAnswer
from tests.support.installation import Installation

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TOP = {
    "id", "validation_time", "document", "policy", "indication", "sub_indication", "conclusion", "signatures_count",
    "valid_signatures_count", "signatures", "timestamps", "messages", "warnings", "report_version", "trust",
}  # fmt: skip
SIGNATURE = {
    "id", "field", "indication", "sub_indication", "as_signed", "format", "level", "scope", "signed_by", "organization",
    "claimed_signing_time", "best_signature_time", "time_source", "chain", "checks", "messages", "extend_before",
}  # fmt: skip
CHECKS = ["integrity", "chain", "revocation", "timestamp", "crypto_strength", "changes"]
Post = Callable[..., Any]


@pytest.fixture(scope="module")
def post(installation: Installation, services: Services) -> Post:
    client = create_app(installation.settings, services).test_client()
    secret = services.store.api_keys.create("contract", [Scope.SIGN, Scope.VERIFY], now=datetime.now(UTC)).secret

    def call(path: str, data: bytes, accept: str = "*/*", **query: str) -> Any:
        headers = {"Authorization": f"Bearer {secret}", "Accept": accept}
        return client.post(
            path, data=data, query_string=query, headers=headers, content_type="application/pdf", buffered=True
        )

    return call


@pytest.fixture(scope="module")
def signed(post: Post) -> bytes:
    answer = post("/v1/sign", sample("van-ban.pdf").read_bytes(), profile="pades-b-lta", credential="p12-person")
    assert answer.status_code == 200, answer.data[:300]
    return bytes(answer.data)


def test_a_good_report(post: Post, signed: bytes) -> None:
    report = post("/v1/verify", signed).get_json()
    Report.model_validate(report)
    assert set(report) == TOP
    assert {"name", "sha256", "size", "media_type", "pdfa"} <= set(report["document"])
    assert set(report["policy"]) == {"id", "version", "sha256", "href"}
    assert re.fullmatch("[0-9a-f]{64}", report["policy"]["sha256"])
    (signature,) = report["signatures"]
    assert set(signature) >= SIGNATURE
    assert (signature["field"], signature["format"], signature["level"]) == ("Signature1", "PAdES", "B-LTA")
    assert set(signature["as_signed"]) == {"indication", "sub_indication"}
    assert [c["id"] for c in signature["checks"]] == CHECKS
    assert {c["result"] for c in signature["checks"]} == {"passed"}
    assert signature["scope"]["type"] in ("FULL", "PARTIAL", "REVISION")
    for change in signature["scope"]["changes_after"]:
        assert {"revision", "grade", "objects", "pages"} <= set(change)
        assert change["grade"] == "extension"
    assert all(
        {"subject", "serial", "status", "source", "produced_at", "trust_anchor"} <= set(e) for e in signature["chain"]
    )
    assert [e["trust_anchor"] for e in signature["chain"]] == [False, False, True]
    assert {e["source"] for e in signature["chain"][:2]} <= {"ocsp", "crl"}
    for name in ("claimed_signing_time", "best_signature_time", "extend_before"):
        assert RFC3339.fullmatch(signature[name]), name
    assert signature["time_source"] == "timestamp"
    assert len(report["timestamps"]) == 1
    assert report["warnings"] == []


def test_warnings_have_codes_and_both_languages(post: Post, signed: bytes) -> None:
    report = post("/v1/verify", signed + b"\n% more").get_json()
    Report.model_validate(report)
    assert report["indication"] == "TOTAL-FAILED"
    codes = {m["code"] for m in report["messages"]}
    assert "document_octets_after_end" in codes
    assert {w["code"] for w in report["warnings"]} <= codes
    assert all(w["text"] and w["text_vi"] and w["level"] in ("error", "warning") for w in report["warnings"])


def test_a_document_without_signatures(post: Post) -> None:
    report = post("/v1/verify", sample("van-ban.pdf").read_bytes()).get_json()
    Report.model_validate(report)
    assert set(report) == TOP
    assert (report["indication"], report["signatures_count"], report["signatures"]) == ("NO-SIGNATURE", 0, [])


def test_the_answer_of_sign_as_json(post: Post) -> None:
    answer = post(
        "/v1/sign",
        sample("van-ban.pdf").read_bytes(),
        "application/json",
        profile="pades-b-lt",
        credential="p12-agency",
    ).get_json()
    SignAnswer.model_validate(answer)
    assert set(answer) >= {"id", "state", "document", "signature", "report"}
    assert set(answer["document"]) == {"href", "sha256", "size", "media_type"}
    assert answer["signature"]["level"] == "PAdES-B-LT"
    assert answer["signature"]["timestamp"]["time"] == answer["signature"]["best_signature_time"]
    assert answer["report"]["indication"] == "TOTAL-PASSED"


@pytest.mark.parametrize(
    ("query", "member", "words"),
    [
        ({"at": "yesterday"}, "/at", "thời điểm"),
        ({"at": "2026-01-01T00:00:00"}, "/at", "múi giờ"),
        ({"polcy": "cong-vu"}, "", "thành phần"),
    ],
)
def test_mistakes_are_explained_without_echo(post: Post, query: dict[str, str], member: str, words: str) -> None:
    problem = post("/v1/verify", b"%PDF-1.7\n", **query).get_json(force=True)
    assert set(problem) >= {"type", "title", "status", "detail", "instance", "code", "retryable", "localized", "errors"}
    assert (problem["code"], problem["status"], problem["retryable"]) == ("invalid_request", 422, False)
    assert problem["errors"][0]["pointer"] == member
    assert words in problem["localized"]["message"]
    assert problem["localized"]["lang"] == "vi"
    for given in (*query, *query.values()):
        assert given == "at" or given not in json.dumps(problem)


def test_the_schema_is_published(installation: Installation, services: Services) -> None:
    client = create_app(installation.settings, services).test_client()
    answer = client.get("/schemas/report-1.0.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/schema+json")
    assert answer.get_json()["properties"]["report_version"]["const"] == "1.0"
    assert client.get("/schemas/report-9.0.json").status_code == 404
