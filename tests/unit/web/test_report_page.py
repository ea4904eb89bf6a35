"""The report page: everything escaped, both languages complete, readable as a file."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from signsvc.messages import catalogue
from signsvc.reports.html import local_time, render_html

EVIL = '"><img src=x onerror=alert(1)>{{7*7}}'
VOID = {"meta", "link", "input", "br", "img"}


class Balance(HTMLParser):
    """Every opened element is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [v for k, v in attrs if k == "id" and v]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def spoiled(value: Any) -> Any:
    """Every text replaced by a hostile one, words of ours excepted."""
    if isinstance(value, dict):
        return {k: v if k in ("indication", "level", "result") else spoiled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spoiled(v) for v in value]
    return EVIL if isinstance(value, str) else value


def report() -> dict[str, Any]:
    chain = [{"subject": "S", "serial": "1", "not_after": "2027-01-01T00:00:00Z", "status": "revoked", "source": "crl",
              "produced_at": "2026-01-01T00:00:00Z", "revoked_at": "2026-02-01T00:00:00Z", "trust_anchor": False}]  # fmt: skip
    message = {"level": "warning", "code": "c", "text": "T", "text_vi": "V"}
    return {
        "id": "rep_1", "validation_time": "2026-01-01T00:00:00Z", "indication": "INDETERMINATE", "sub_indication": "NO_POE",
        "document": {"name": "n", "sha256": "s", "size": 1234567, "pages": 3, "revisions": 2},
        "policy": {"id": "p", "version": "1", "sha256": "h"}, "offline": True, "supplied_trust_anchors": ["A"],
        "signatures_count": 1, "valid_signatures_count": 0, "messages": [message],
        "signatures": [{
            "id": "i", "field": "f", "indication": "INDETERMINATE", "sub_indication": "NO_POE", "format": "PAdES", "level": "B-B",
            "as_signed": {"indication": "TOTAL-PASSED"}, "scope": {"type": "PARTIAL", "revision": None, "of": None, "changes_after":
            [{"revision": 2, "grade": "undefined", "permitted": False, "pages": [1], "fields": ["g"]}]}, "signed_by": "B",
            "organization": "O", "claimed_signing_time": "x", "best_signature_time": None, "time_source": "claimed", "reason": "R",
            "location": "L", "signature_algorithm": "alg", "chain": chain, "checks": [{"id": "chain", "result": "unknown"}],
            "timestamps": [{"indication": "TOTAL-FAILED", "time": "t", "tsa": "T", "chain": chain, "messages": [message]}],
            "messages": [message], "extend_before": "2027-01-01T00:00:00Z",
        }],
        "timestamps": [{"indication": "TOTAL-PASSED", "time": "2026-01-01T00:00:00Z", "tsa": "T", "chain": chain, "messages": []}],
    }  # fmt: skip


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_pages_are_well_formed_and_complete(lang: str) -> None:
    page = render_html(report(), lang)
    parser = Balance()
    parser.feed(page)
    assert parser.stack == []
    assert len(parser.ids) == len(set(parser.ids))
    assert f'<html lang="{lang}">' in page
    assert not re.search(r"(report|check|result|conclusion)_[a-z_]+<|\?\s*</dd>", page)
    expected = "Không đủ thông tin xác thực chữ ký" if lang == "vi" else "Not enough information"
    assert expected in page
    assert ("nonce" in page) is False


def test_hostile_texts_stay_texts() -> None:
    page = render_html(spoiled(report()))
    parser = Balance()
    parser.feed(page)
    assert parser.stack == []
    assert "img" not in parser.tags
    assert "{{7*7}}" in page
    assert "<script" not in page


@pytest.mark.parametrize("indication", ["TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE", "NO-SIGNATURE"])
def test_a_report_with_little_in_it(indication: str) -> None:
    little = {"id": "r", "indication": indication, "document": {"sha256": "s"}, "policy": {}, "signatures": []}
    assert catalogue()["conclusion_" + indication.lower().replace("-", "_")].vi in render_html(little)


def test_times() -> None:
    assert local_time("2026-11-22T18:30:00Z") == "23/11/2026 01:30:00 +07:00"
    assert local_time(None) == "–"
    assert local_time("soon") == "soon"


def test_every_word_of_the_pages_has_both_languages() -> None:
    words = [m for code, m in catalogue().items() if code.startswith(("page_", "report_"))]
    assert len(words) > 80
    for word in words:
        assert word.vi.strip()
        assert word.en.strip()
