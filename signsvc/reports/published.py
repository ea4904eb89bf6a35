"""Schemas of reports that other systems may rely on, by version."""

from __future__ import annotations

from importlib import resources

VERSIONS = ("1.0",)


def schema(version: str) -> bytes | None:
    """The JSON Schema of reports of that version; None where there is none."""
    if version not in VERSIONS:
        return None
    return (resources.files("signsvc.reports") / "schema" / f"report-{version}.json").read_bytes()
