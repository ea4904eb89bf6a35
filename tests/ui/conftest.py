"""A browser on the running service: everything that the browser complains of makes a test fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

import test_pki
from signsvc.samples import path as sample
from tests.pdf_writer import PdfWriter
from tests.support.installation import Installation
from tests.support.service import Service, running
from tests.ui.tab import DESKTOP, HOSTILE_AGENCY, HOSTILE_NAME, HOSTILE_REASON, INTRANET, OpenTab, Papers, Tab

CHROMIUM = "/usr/bin/chromium"
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {INTRANET} 127.0.0.1",
)


@pytest.fixture(scope="module")
def service(installation: Installation) -> Iterator[Service]:
    with running(installation, workers=1, threads=4) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield found
        found.close()


@pytest.fixture
def open_tab(browser: Browser, service: Service) -> Iterator[OpenTab]:
    """Open a tab; at the end nothing may have been refused, failed or come from elsewhere.

    `refusals` are the HTTP statuses that the test provokes, which the browser reports as well.
    """
    opened: list[tuple[Tab, tuple[int, ...]]] = []
    contexts: list[BrowserContext] = []

    def open_one(
        *, host: str = "127.0.0.1", size: tuple[int, int] = DESKTOP, refusals: tuple[int, ...] = (), **options: Any
    ) -> Tab:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        tab = Tab(context.new_page(), f"http://{host}:{service.bind.rpartition(':')[2]}")
        tab.page.on("console", lambda said: tab.complaints.append(said.text))
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on("dialog", lambda dialog: (tab.complaints.append(dialog.message), dialog.dismiss()))
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        opened.append((tab, refusals))
        return tab

    yield open_one
    for context in contexts:
        context.close()
    for tab, refusals in opened:
        expected = tuple(f"Failed to load resource: the server responded with a status of {s} " for s in refusals)
        assert [said for said in tab.complaints if not said.startswith(expected)] == []
        assert [url for url in tab.requests if not url.startswith(tab.origin + "/")] == []


@pytest.fixture(scope="module")
def papers(service: Service, pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> Papers:
    base = sample("van-ban.pdf").read_bytes()
    person = _signed(service, base, "pades-b-lta", "person")
    both = _signed(service, person, "pades-b-lta", "agency")
    plain = _signed(service, base, "pades-b-b", "person")
    broken = bytearray(both)
    broken[broken.index(b"stream", 100) + 30] ^= 1
    contents = {
        "signed": both,
        "plain": plain,
        "tampered": bytes(broken),
        "changed": _changed(pki),
        "unknown": _by(pki, "unknown"),
        "hostile": _hostile(pki),
        "unsigned": base,
        "text": "Không phải PDF, chỉ là văn bản.".encode(),
    }
    folder = tmp_path_factory.mktemp("papers")
    found = {}
    for name, content in contents.items():
        found[name] = folder / f"{name}.pdf"
        found[name].write_bytes(content)
    return Papers(**found)


def _signed(service: Service, content: bytes, profile: str, credential: str) -> bytes:
    answer = service.sign(content, profile, credential)
    assert answer.status == 200, answer.body
    return answer.body


def _by(pki: test_pki.Pki, label: str) -> bytes:
    pdf = PdfWriter()
    pdf.sign(pki, label)
    return pdf.data


def _changed(pki: test_pki.Pki) -> bytes:
    pdf = PdfWriter()
    pdf.sign(pki, "person")
    content = b"BT /F1 12 Tf 72 720 Td (So tien khac) Tj ET"
    pdf.update({4: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)})
    return pdf.data


def _hostile(pki: test_pki.Pki) -> bytes:
    pki.add("hostile-ui", "person", subject=(("C", "VN"), ("O", HOSTILE_AGENCY), ("CN", HOSTILE_NAME)))
    pdf = PdfWriter()
    reason = (b"\xfe\xff" + HOSTILE_REASON.encode("utf-16-be")).hex().encode()
    pdf.sign(pki, "hostile-ui", name="<b>x</b>", extra=b" /M (D:20260102030405+07'00') /Reason <%s>" % reason)
    return pdf.data
