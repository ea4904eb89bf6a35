"""The report as ETSI TS 119 102-2 XML: one SignatureValidationReport per signature with policy, constraints, times,
attributes and path; certificates, revocation values and timestamps as validation objects with their proofs of
existence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signsvc.reports.etsi.base import NAMESPACE
from signsvc.reports.objects import Objects


def render_xml(report: Mapping[str, Any], objects: Objects | None = None) -> bytes:
    """`report` (the JSON of `signsvc.reports.build`) as an unsealed ValidationReport (TS 119 102-2, 4.2), the same
    octets for the same report; `objects` are given along in base64, what is not in them by digest alone."""
    from lxml import etree

    from signsvc.reports.etsi.base import Page
    from signsvc.reports.etsi.listed import list_objects
    from signsvc.reports.etsi.signatures import signature, unsigned

    page = Page(report, objects or Objects())
    for one in page.signatures:
        signature(page, page.root, one)
    if not page.signatures:
        unsigned(page, page.root)
    list_objects(page)
    return bytes(etree.tostring(page.root, encoding="UTF-8", xml_declaration=True))


__all__ = ["NAMESPACE", "render_xml"]
