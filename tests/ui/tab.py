"""A page of the browser on the service, and the files that people bring to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

DESKTOP = (1280, 900)
MOBILE = (360, 740)

# A host name without TLS, as on an office network: browsers send it less than they send the loopback address.
INTRANET = "van-thu.test"

# Control characters, mark-up and a right-to-left override, as a forger would write them into a certificate.
OVERRIDE = "\N{RIGHT-TO-LEFT OVERRIDE}"
HOSTILE_NAME = f"<script>document.title='x'</script>An{OVERRIDE}fdp.txt\x1b[31m\x00"
HOSTILE_AGENCY = "</dd><img src=x onerror=\"document.title='x'\">{{7*7}}" + OVERRIDE
HOSTILE_REASON = f"<style>*{{display:none}}</style>{OVERRIDE}\u2028\u2066lý do\x07"


@dataclass
class Tab:
    """One page of the browser on the service."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.origin + path)

    def verify(self, path: Path, lang: str = "vi") -> None:
        """Send a file through the form, as a person does."""
        self.open(f"/verify?lang={lang}")
        self.page.locator("#document").set_input_files(path)
        with self.page.expect_navigation():
            self.page.locator("#submit").click()

    @property
    def verdict(self) -> str:
        """The large line."""
        return self.page.locator("h1").inner_text()

    def facts(self, number: int = 1) -> dict[str, str]:
        """What the page says of one signature, by label."""
        shown = self.page.locator(f"section[aria-labelledby='signature-{number}'] dl.who")
        return dict(
            zip(shown.locator("dt").all_inner_texts(), shown.locator("dd").all_inner_texts(), strict=True)
        )  # fmt: skip

    def text(self) -> str:
        return self.page.locator("body").inner_text()


OpenTab = Callable[..., Tab]


@dataclass(frozen=True, slots=True)
class Papers:
    """Files that people bring to the verify page."""

    signed: Path  # person, then agency, at B-LTA
    plain: Path  # B-B
    tampered: Path  # `signed` with one octet of the text changed
    changed: Path  # other text put in after signing
    unknown: Path  # signed by somebody whom no trusted authority knows
    hostile: Path  # names and reason full of mark-up and control characters
    unsigned: Path
    text: Path  # no PDF at all
