"""Every page in a real browser: readable by everyone, on every width, in both languages."""

from __future__ import annotations

import json

import pytest

from signsvc.errors import PROBLEMS
from tests.support.service import Service
from tests.ui import measures
from tests.ui.tab import DESKTOP, MOBILE, OpenTab, Papers, Tab

PAGES = ("/verify", "/docs", "/docs/problems")
VERDICTS = ("signed", "plain", "tampered", "changed", "unknown", "hostile", "unsigned")


def assert_accessible(tab: Tab) -> None:
    assert tab.page.evaluate(measures.UNNAMED) == []
    assert tab.page.evaluate(measures.LOW_CONTRAST) == []
    headings = tab.page.evaluate(measures.HEADINGS)
    assert measures.in_order(headings), headings
    assert tab.page.locator("main").count() == 1
    assert tab.page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_pages_are_accessible(path: str, scheme: str, open_tab: OpenTab) -> None:
    tab = open_tab(color_scheme=scheme)
    for lang in ("vi", "en"):
        tab.open(f"{path}?lang={lang}")
        assert tab.page.locator("html").get_attribute("lang") == lang
        assert_accessible(tab)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdicts_are_accessible(scheme: str, open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab(color_scheme=scheme)
    for name in VERDICTS:
        tab.verify(getattr(papers, name))
        assert_accessible(tab)


def test_error_pages_are_accessible(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab(refusals=(404, 415))
    tab.open("/nowhere")
    assert tab.verdict == "Không thực hiện được"
    assert_accessible(tab)
    tab.verify(papers.text)
    assert_accessible(tab)


def test_nothing_is_wider_than_a_telephone(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab(size=MOBILE, refusals=(415,))
    for path in PAGES:
        tab.open(path)
        assert tab.page.evaluate(measures.OVERFLOW) <= 0, path
    for name in (*VERDICTS, "text"):
        tab.verify(getattr(papers, name))
        assert tab.page.evaluate(measures.OVERFLOW) <= 0, name


def test_the_measures_measure(open_tab: OpenTab) -> None:
    """Each finds what it is for."""
    tab = open_tab()
    tab.open("/verify")
    tab.page.evaluate(
        """() => { const add = (name, fill) => document.querySelector("main").append(Object.assign(document.createElement(name), fill));
        add("input", {name: "nameless"}); add("h4", {textContent: "deep"});
        const pale = document.createElement("p"); pale.textContent = "pale"; pale.style.color = "rgb(200, 200, 200)";
        pale.style.width = "3000px"; document.querySelector("main").append(pale); }"""
    )
    assert tab.page.evaluate(measures.UNNAMED) == ["no label: nameless"]
    assert [found.split(":")[0] for found in tab.page.evaluate(measures.LOW_CONTRAST)] == ["pale"]
    assert tab.page.evaluate(measures.OVERFLOW) > 1000
    assert not measures.in_order(tab.page.evaluate(measures.HEADINGS))


@pytest.mark.parametrize("size", [DESKTOP, MOBILE])
def test_the_stored_report_as_a_page(
    size: tuple[int, int], open_tab: OpenTab, papers: Papers, service: Service
) -> None:
    report = service.verify(papers.signed.read_bytes()).json
    tab = open_tab(size=size, extra_http_headers={"Authorization": f"Bearer {service.key}"})
    for lang, words in (("vi", "Chữ ký hợp lệ"), ("en", "Valid signature")):
        tab.open(f"/v1/reports/{report['id']}.html?lang={lang}")
        assert tab.verdict == f"✓ {words}"
        assert tab.page.locator("html").get_attribute("lang") == lang
        assert_accessible(tab)
        assert tab.page.evaluate(measures.OVERFLOW) <= 0
    assert report["document"]["sha256"] in tab.text()
    # The page is complete in itself: it was asked for, and nothing else.
    assert {url.rsplit("/", 1)[-1].split("?")[0] for url in tab.requests} <= {f"{report['id']}.html", "favicon.ico"}


def test_a_report_needs_a_key(open_tab: OpenTab, papers: Papers, service: Service) -> None:
    report = service.verify(papers.plain.read_bytes()).json
    tab = open_tab(refusals=(401,))
    tab.open(f"/v1/reports/{report['id']}.html")
    assert json.loads(tab.page.locator("body").inner_text())["code"] == "unauthorized"


def test_the_documentation_has_every_operation_and_problem(open_tab: OpenTab, service: Service) -> None:
    tab = open_tab()
    tab.open("/docs")
    described = service.call("GET", "/openapi.json").json
    shown = set(tab.page.locator("h2 code").all_inner_texts())
    operations = {f"{method.upper()} {path}" for path, methods in described["paths"].items() for method in methods}
    assert len(operations) >= 15
    assert operations <= shown
    assert set(tab.page.locator("h3 > code").all_inner_texts()) >= set(described["components"]["schemas"])
    targets = tab.page.evaluate(
        """() => [...document.querySelectorAll("a[href^='#']")].filter((a) => !document.getElementById(a.hash.slice(1))).map((a) => a.hash)"""
    )
    assert targets == []
    tab.page.locator("a[href*='#document_too_large']").first.click()
    assert tab.page.locator("dt:target code").inner_text() == "document_too_large"
    assert set(tab.page.locator("dt > code").all_inner_texts()) == set(PROBLEMS)


def test_printing_shows_the_technical_details(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.signed)
    hidden = tab.page.locator("section.signature details table >> nth=0")
    visible = "el => el.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true}) && el.getBoundingClientRect().height > 0"
    assert hidden.evaluate(visible) is False
    tab.page.emulate_media(media="print")
    assert hidden.evaluate(visible) is True
