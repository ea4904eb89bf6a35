"""Acceptance rules: from a report to what a receiving system does with the document.

A rule is a versioned TOML file; it answers ``accept``, ``reject`` or ``review`` with reasons by code.  The document's
own indication decides first, since a document is what is accepted, not one of its signatures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from signsvc.errors import RequestError
from signsvc.reports.acceptance.judge import accept, accept_packet
from signsvc.reports.acceptance.rules import CONDITIONS, Rule, parse
from signsvc.toml_shelf import Shelf

_shelf: Shelf[Rule] = Shelf(Path(__file__).parent / "rules", parse, "not_found")


def rule(rule_id: str, directories: Iterable[Path] = ()) -> Rule:
    """The rule by its id, a site's own before those that come with the house.  Raises `RequestError`
    (``invalid_request``) where there is none, `ConfigError` for a file that is wrong."""
    places = tuple(directories)
    try:
        return _shelf.load(rule_id, places)
    except RequestError:
        known = ", ".join(_shelf.load_all(places))
        raise RequestError("invalid_request", reason=f"no acceptance rule of this name; known: {known}") from None


def rules(directories: Iterable[Path] = ()) -> Mapping[str, Rule]:
    """Every rule by id.  Raises `ConfigError`."""
    return _shelf.load_all(directories)


def builtin() -> Mapping[str, Rule]:
    """Those that come with the house."""
    return _shelf.builtin()


def described(found: Rule) -> dict[str, Any]:
    """A rule as values of JSON."""
    return {
        "id": found.id,
        "version": found.version,
        "sha256": found.sha256,
        "title": {"vi": found.title_vi, "en": found.title_en},
        "signers": found.signers,
        "timestamp": found.timestamp,
        "level": found.level,
        "coverage": found.coverage,
        "min_signatures": found.min_signatures,
        "max_age_days": found.max_age_days,
        "policies": list(found.policies),
        "trust_profiles": list(found.trust_profiles),
        "organisation": found.organisation,
        "otherwise": {name: found.decision(name) for name in CONDITIONS},
    }


def check(path: Path, directories: Iterable[Path] = ()) -> Rule:
    """The rule in a file anywhere.  Raises `ConfigError` with the line of a mistake, `OSError`."""
    return _shelf.check(path, directories)


__all__ = ["Rule", "accept", "accept_packet", "builtin", "check", "described", "rule", "rules"]
