"""What the report page says beside the verdict, and that reports carry nothing that acts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from signsvc.messages import text
from signsvc.reports.build import _make_inert
from signsvc.reports.html import render_html


def signature(**changes: Any) -> dict[str, Any]:
    return {
        "indication": "TOTAL-PASSED",
        "signed_by": "An",
        "time_source": "timestamp",
        "best_signature_time": "2026-01-01T00:00:00Z",
        "scope": {"type": "FULL", "changes_after": []},
        "checks": [{"id": "integrity", "result": "passed"}, {"id": "chain", "result": "passed"}],
        "messages": [],
        **changes,
    }


def page(indication: str = "TOTAL-PASSED", sub: str | None = None, *signatures: dict[str, Any], **more: Any) -> str:
    return render_html(
        {
            "id": "r",
            "indication": indication,
            "sub_indication": sub,
            "document": {"sha256": "s"},
            "policy": {},
            "signatures": list(signatures),
            **more,
        }
    )


@pytest.mark.parametrize(
    ("indication", "sub", "source", "code"),
    [
        ("TOTAL-PASSED", None, "timestamp", "advice_total_passed"),
        ("TOTAL-PASSED", None, "claimed", "advice_time_unproven"),
        ("TOTAL-FAILED", "HASH_FAILURE", "claimed", "advice_total_failed"),
        ("TOTAL-FAILED", "REVOKED", "timestamp", "advice_total_failed"),
        ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND", "claimed", "advice_unknown_authority"),
        ("INDETERMINATE", "REVOKED_NO_POE", "claimed", "advice_no_proof_of_time"),
        ("INDETERMINATE", "TRY_LATER", "timestamp", "advice_try_later"),
        ("INDETERMINATE", "GENERIC", "timestamp", "advice_indeterminate"),
    ],
)
def test_what_to_do(indication: str, sub: str | None, source: str, code: str) -> None:
    shown = page(indication, sub, signature(indication=indication, sub_indication=sub, time_source=source))
    assert text(code, "vi") in shown


def test_what_to_do_without_signatures() -> None:
    assert text("advice_no_signature", "vi") in page("NO-SIGNATURE")


def after(**changes: Any) -> str:
    found = re.search(r"<dt>Sau khi ký</dt><dd>(.*?)</dd>", page("TOTAL-PASSED", None, signature(**changes)))
    return re.sub(r"<[^>]+>", "", found[1]) if found else ""


def changed(*grades: str, permitted: bool | None = True) -> dict[str, Any]:
    return {
        "type": "REVISION",
        "changes_after": [{"revision": n, "grade": g, "permitted": permitted} for n, g in enumerate(grades, 2)],
    }


def test_what_happened_after_signing() -> None:
    assert after() == "tài liệu không thay đổi"
    assert after(scope={"type": "REVISION", "changes_after": []}) == ""
    assert after(scope={"type": "PARTIAL", "changes_after": []}) == ""
    assert after(scope=changed("extension", "extension")) == "bổ sung dữ liệu xác thực, dấu thời gian"
    assert after(scope=changed("extension", "undefined")).startswith("thay đổi nội dung đã ký; ")
    assert after(scope=changed("annotation", permitted=False)) == "có thay đổi mà người ký không cho phép"
    broken = [{"id": "integrity", "result": "failed"}]
    assert after(checks=broken) == "nội dung đã ký không còn nguyên vẹn"
    assert after(checks=broken, scope=changed("extension")) == "nội dung đã ký không còn nguyên vẹn"


@pytest.mark.parametrize(("result", "said"), [("passed", False), ("failed", True), ("unknown", True)])
def test_names_that_nobody_vouches_for(result: str, said: bool) -> None:
    shown = page("INDETERMINATE", None, signature(checks=[{"id": "chain", "result": result}]))
    assert (text("report_not_identified", "vi") in shown) is said


def test_reasons_come_first_and_once() -> None:
    error = {"level": "error", "code": "e", "text": "E", "text_vi": "Hỏng từ 2026-01-01T00:00:00Z."}
    hint = {"level": "info", "code": "i", "text": "I", "text_vi": "Gợi ý."}
    one = signature(indication="TOTAL-FAILED", messages=[hint, error])
    shown = page("TOTAL-FAILED", "HASH_FAILURE", one, one)
    reasons = re.search(r'<ul class="reasons">(.*?)</ul>', shown, re.DOTALL)
    assert reasons is not None
    assert re.findall(r"<li>(.*?)</li>", reasons[1]) == ["Hỏng từ 01/01/2026 07:00:00 +07:00."]
    assert re.findall(r"<code>([ei])</code>", shown) == ["e", "i", "e", "i"]
    assert 'class="reasons"' not in page("TOTAL-PASSED", None, one)


def test_reports_carry_nothing_that_acts() -> None:
    given: dict[str, object] = {
        "a": ["\x1b[31mđỏ\x00", {"b": "trái\u202ephải\u2066"}],
        "c": "hai\r\ndòng\u2028\u00a0",
        "d": 1,
        "e": None,
    }
    given["f"] = ["\ud800\ue000", "Nguyễn Văn An 😀"]
    _make_inert(given)
    assert given == {
        "a": ["�[31mđỏ�", {"b": "trái�phải�"}],
        "c": "hai  dòng  ",
        "d": 1,
        "e": None,
        "f": ["��", "Nguyễn Văn An 😀"],
    }
