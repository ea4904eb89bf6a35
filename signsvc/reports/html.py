"""The report as one self-contained page: the three words of the law first, then why.

    >>> html = render_html(report, "vi")    # doctest: +SKIP

The page holds its own style and no script; every text of a document is escaped.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from importlib import resources
from typing import TYPE_CHECKING, Any

from signsvc.messages import text

if TYPE_CHECKING:
    from jinja2 import Environment

# Times are shown as people in Vietnam read them; the JSON report keeps UTC.
_VIETNAM = timezone(timedelta(hours=7))

_CLASSES = {"TOTAL-PASSED": "good", "TOTAL-FAILED": "bad"}
_MARKS = {"TOTAL-PASSED": "✓", "TOTAL-FAILED": "✗", "NO-SIGNATURE": "–"}


def render_html(report: Mapping[str, Any], lang: str = "vi", *, nonce: str | None = None) -> str:
    """A complete HTML page of `report` (the JSON of `signsvc.reports.build`) in `lang` (``vi`` or ``en``).

    `nonce` marks the style for a content security policy; None where the page is a file.
    """
    return _environment().get_template("report.html").render(report=report, lang=lang, nonce=nonce, **_helpers(lang))


def render_fragment(report: Mapping[str, Any], lang: str = "vi") -> str:
    """What stands inside the page, for a page of the caller's own; `style` goes with it."""
    return _environment().get_template("fragment.html").render(report=report, lang=lang, **_helpers(lang))


@functools.cache
def style() -> str:
    """The style sheet of `render_fragment`."""
    return (resources.files("signsvc.reports") / "templates" / "report.css").read_text("utf-8")


@functools.cache
def _environment() -> Environment:
    from jinja2 import ChainableUndefined, Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("signsvc.reports", "templates"),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = style
    return environment


def _helpers(lang: str) -> dict[str, Any]:
    def label(code: str, **data: object) -> str:
        return text(code, lang, data)

    def verdict(part: Mapping[str, Any]) -> str:
        return text("conclusion_" + _code(part.get("indication")), lang)

    def message(entry: Mapping[str, Any]) -> str:
        return str(entry.get("text_vi" if lang == "vi" else "text") or entry.get("code"))

    return {
        "t": label,
        "verdict": verdict,
        "message": message,
        "look": lambda part: _CLASSES.get(str(part.get("indication")), "open"),
        "mark": lambda part: _MARKS.get(str(part.get("indication")), "?"),
        "code": _code,
        "local": local_time,
        "octets": _octets,
        "known": lambda prefix, word: label(prefix + _code(word)) if word else "",
    }


def _code(word: object) -> str:
    return str(word).lower().replace("-", "_")


def local_time(value: str | None) -> str:
    """An RFC 3339 time as Vietnamese readers write it, with its offset."""
    if not value:
        return "–"
    try:
        return datetime.fromisoformat(value).astimezone(_VIETNAM).strftime("%d/%m/%Y %H:%M:%S +07:00")
    except (ValueError, OverflowError):
        return value


def _octets(size: float | None) -> str:
    if not size:
        return "0 B"
    for unit in ("B", "kB", "MB"):
        if size < 1000 or unit == "MB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return str(size)
