"""The report as one self-contained page: the three words of the law first, then why.

    >>> html = render_html(report, "vi")    # doctest: +SKIP

The page holds its own style and no script; every text of a document is escaped.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
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
_RANKS = ("error", "warning", "info")
_MAX_REASONS = 5

# Sub-indications for which there is better advice than that of their indication.
_ADVICE = {
    "NO_CERTIFICATE_CHAIN_FOUND": "advice_unknown_authority",
    "NO_CERTIFICATE_CHAIN_FOUND_NO_POE": "advice_unknown_authority",
    "TRY_LATER": "advice_try_later",
    "NO_POE": "advice_no_proof_of_time",
    "REVOKED_NO_POE": "advice_no_proof_of_time",
    "REVOKED_CA_NO_POE": "advice_no_proof_of_time",
    "OUT_OF_BOUNDS_NO_POE": "advice_no_proof_of_time",
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "advice_no_proof_of_time",
}

# Times inside messages, as the report writes them.
_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z\b")


def render_html(report: Mapping[str, Any], lang: str = "vi", *, nonce: str | None = None) -> str:
    """A complete HTML page of `report` (the JSON of `signsvc.reports.build`) in `lang` (``vi`` or ``en``).

    `nonce` marks the style for a content security policy; None where the page is a file.
    """
    return (
        _environment()
        .get_template("report.html")
        .render(report=report, lang=lang, nonce=nonce, p="", top="h1", **helpers(lang))
    )


def render_fragment(report: Mapping[str, Any], lang: str = "vi", *, prefix: str = "") -> str:
    """What stands inside the page, for a page of the caller's own; `style` goes with it.  `prefix` tells the ids of
    several on one page apart, of which none has the first heading."""
    template = _environment().get_template("fragment.html")
    return template.render(report=report, lang=lang, p=prefix, top="h2" if prefix else "h1", **helpers(lang))


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


def helpers(lang: str) -> dict[str, Any]:
    """What renderings say of the parts of a report, by name."""

    def label(code: str, **data: object) -> str:
        return text(code, lang, data)

    def verdict(part: Mapping[str, Any]) -> str:
        return text("conclusion_" + _code(part.get("indication")), lang)

    def message(entry: Mapping[str, Any]) -> str:
        said = str(entry.get("text_vi" if lang == "vi" else "text") or entry.get("code"))
        return _INSTANT.sub(lambda found: local_time(found[0]), said)

    def reasons(report: Mapping[str, Any]) -> list[str]:
        parts = (report, *(report.get("signatures") or ()))
        errors = (e for part in parts for e in part.get("messages") or () if e.get("level") == "error")
        return list(dict.fromkeys(map(message, errors)))[:_MAX_REASONS]

    return {
        "t": label,
        "verdict": verdict,
        "message": message,
        "step": lambda entry: entry.get("next_step_vi" if lang == "vi" else "next_step"),
        "line_mark": lambda line: {"good": "✓", "bad": "✗"}.get(str(line.get("state")), "?"),
        "look": lambda part: _CLASSES.get(str(part.get("indication")), "open"),
        "mark": lambda part: _MARKS.get(str(part.get("indication")), "?"),
        "code": _code,
        "local": local_time,
        "octets": _octets,
        "ranked": _ranked,
        "commitments": lambda part: "; ".join(
            str(entry["text_vi" if lang == "vi" else "text"]) for entry in part.get("commitments") or ()
        ),
        "reasons": reasons,
        "advice": lambda report: text(_advice(report), lang),
        "after": _after,
        "identified": _identified,
        "known": lambda prefix, word: label(prefix + _code(word)) if word else "",
    }


def _ranked(entries: Iterable[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    """What decides comes first."""
    return sorted(entries or (), key=lambda e: _RANKS.index(e["level"]) if e.get("level") in _RANKS else len(_RANKS))


def _advice(report: Mapping[str, Any]) -> str:
    """The code of what a reader may do next."""
    sources = [s.get("time_source") for s in report.get("signatures") or ()]
    if report.get("indication") == "TOTAL-PASSED" and any(source != "timestamp" for source in sources):
        return "advice_time_unproven"
    return _ADVICE.get(str(report.get("sub_indication"))) or "advice_" + _code(report.get("indication"))


def _identified(signature: Mapping[str, Any]) -> bool:
    """Whether a trusted authority vouches for the signer's name."""
    return any(c.get("id") == "chain" and c.get("result") == "passed" for c in signature.get("checks") or ())


def _after(signature: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What happened to the document after this signature, as (class, label code), each once."""
    results = {check.get("id"): check.get("result") for check in signature.get("checks") or ()}
    if results.get("integrity") == "failed":
        return [("bad", "report_after_broken")]
    scope = signature.get("scope") or {}
    changes = scope.get("changes_after") or ()
    if not changes:
        return [("good", "report_after_nothing")] if scope.get("type") == "FULL" else []
    found = [
        ("bad", "report_after_not_permitted" if change.get("permitted") is False else "report_grade_undefined")
        if change.get("permitted") is False or change.get("grade") == "undefined"
        else ("", "report_grade_" + _code(change.get("grade")))
        for change in changes
    ]
    return sorted(dict.fromkeys(found), reverse=True)


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
