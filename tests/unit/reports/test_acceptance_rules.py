"""Acceptance: each condition of a rule, what it leads to, and the files that rules are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import ConfigError, RequestError
from signsvc.reports import acceptance
from signsvc.reports.acceptance.rules import parse
from signsvc.types import Certificate
from signsvc.types.holders import holder
from tests.unit.reports.test_report_pdf import SCOPE, report, signature

PERSON = {"holder": "person"}
SEAL = {"holder": "agency"}
HEAD = 'id = "r"\nversion = "1"\ntitle_vi = "a"\ntitle_en = "b"\n'


def rule(text: str) -> acceptance.Rule:
    return parse((HEAD + text).encode())


def judged(text: str, *signatures: dict[str, Any], issuer: str | None = None, **more: Any) -> tuple[str, set[str], str]:
    found = acceptance.accept(report(*(signatures or (signature(),)), **more), rule(text), issuer=issuer)
    return found["decision"], {one["code"] for one in found["reasons"]}, found["status"]["code"]


def test_built_in_rules() -> None:
    found = acceptance.builtin()
    assert set(found) == {
        "hop-le", "hop-le-co-dau-thoi-gian", "van-ban-ban-hanh", "van-ban-den", "luu-tru", "mot-cua",
    }  # fmt: skip
    assert all(one.title_vi and one.title_en and len(one.sha256) == 64 for one in found.values())
    assert (found["van-ban-ban-hanh"].timestamp, found["van-ban-ban-hanh"].min_signatures) == (True, 2)
    assert (found["luu-tru"].level, found["luu-tru"].decision("timestamp")) == ("B-LTA", "reject")


@pytest.mark.parametrize(
    ("text", "signatures", "answer"),
    [
        ("", [signature()], ("accept", set(), "03")),
        ("timestamp = true", [signature(time_source="claimed")], ("review", {"accept_time_unproven"}, "01")),
        ("min_signatures = 2", [signature()], ("reject", {"accept_too_few_signatures"}, "02")),
        ('level = "B-LT"', [signature(level="B-T")], ("review", {"accept_level_too_low"}, "01")),
        ('level = "B-LT"', [signature(level="PKCS7-B")], ("review", {"accept_level_too_low"}, "01")),
        ('level = "B-LT"', [signature(level="B-LTA")], ("accept", set(), "03")),
        ("", [signature(scope={**SCOPE, "type": "PARTIAL"})], ("reject", {"accept_not_covered"}, "02")),
        ("coverage = false", [signature(scope={**SCOPE, "type": "PARTIAL"})], ("accept", set(), "03")),
        ('signers = "both"', [signature(**PERSON), signature(**SEAL)], ("accept", set(), "03")),
        ('signers = "both"', [signature(**PERSON)], ("reject", {"accept_no_agency"}, "02")),
        ('signers = "both"', [signature(**SEAL)], ("reject", {"accept_no_person"}, "02")),
        ('signers = "seal"', [signature(**PERSON)], ("reject", {"accept_no_agency"}, "02")),
        ('signers = "person"', [signature(**PERSON)], ("accept", set(), "03")),
        ('signers = "seal"', [signature(holder=None)], ("review", {"accept_holder_unknown"}, "01")),
        ("max_age_days = 1", [signature()], ("accept", set(), "03")),
        ("max_age_days = 1", [signature(best_signature_time="2026-11-20T00:00:00Z")], ("review", {"accept_too_old"}, "01")),
        ('policies = ["cong-vu"]', [signature()], ("review", {"accept_other_policy"}, "01")),
        ("timestamp = true\n[otherwise]\ntimestamp = \"reject\"", [signature(time_source="claimed")], ("reject", {"accept_time_unproven"}, "02")),
    ],
)  # fmt: skip
def test_conditions(text: str, signatures: list[dict[str, Any]], answer: tuple[str, set[str], str]) -> None:
    assert judged(text, *signatures) == answer


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({"indication": "NO-SIGNATURE"}, ("reject", {"accept_no_signature"}, "02")),
        ({"indication": "TOTAL-FAILED"}, ("reject", {"accept_total_failed"}, "02")),
        ({"indication": "INDETERMINATE"}, ("review", {"accept_indeterminate"}, "01")),
        ({"supplied_trust_anchors": ["CN=me"]}, ("review", {"accept_other_trust"}, "01")),
        ({"trust": {"profiles": ["cong-cong"]}}, ("review", {"accept_other_trust"}, "01")),
    ],
)
def test_verdict_and_trust(more: dict[str, Any], answer: tuple[str, set[str], str]) -> None:
    assert judged('trust_profiles = ["cong-vu"]', **more) == answer


def test_revoked_is_refused() -> None:
    one = signature(sub_indication="REVOKED_NO_POE")
    assert judged("", one, indication="INDETERMINATE") == ("reject", {"accept_revoked"}, "02")


def test_the_issuing_agency() -> None:
    text = 'organisation = true\n[organisations]\n"H29" = ["ỦY BAN NHÂN DÂN  tỉnh"]'
    assert judged(text, issuer="H29") == ("accept", set(), "03")
    assert judged(text)[1] == {"accept_issuer_unknown"}
    assert judged(text, issuer="H30")[1] == {"accept_issuer_not_listed"}
    other = signature(organization="Sở Nội vụ", signed_by="Sở Nội vụ")
    assert judged(text, other, issuer="H29") == ("review", {"accept_other_organisation"}, "01")


def test_files_of_a_site(tmp_path: Path) -> None:
    (tmp_path / "so.toml").write_text('extends = "van-ban-den"\nid = "so"\nversion = "2"\nmax_age_days = 3\n', "utf-8")
    found = acceptance.rule("so", (tmp_path,))
    assert (found.signers, found.max_age_days, found.version) == ("both", 3, "2")
    with pytest.raises(RequestError, match="van-ban-den"):
        acceptance.rule("nothing", (tmp_path,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('signers = "all"', "line 5: signers"),
        ("x = 1", "line 5: x: no such key"),
        ("min_signatures = 0", "line 5: min_signatures"),
        ("[otherwise]\ntimestamp = \"accept\"", "line 6: otherwise.timestamp"),
        ("[otherwise]\nnothing = \"reject\"", "line 6: otherwise.nothing"),
        ("[organisations]\nH1 = []", "line 6: organisations.H1"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rule(text)


def test_whose_a_certificate_is(pki: test_pki.Pki) -> None:
    found = {label: holder(Certificate.from_der(pki.cert(label))) for label in ("person", "agency", "public-business")}
    assert found == {"person": "person", "agency": "agency", "public-business": "agency"}
