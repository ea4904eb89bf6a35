"""A report in the form that its reader wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from signsvc.errors import RequestError
from signsvc.issuing.seal import Sealer
from signsvc.reports.objects import Objects

# Form -> media type.
FORMS = {
    "json": "application/json",
    "html": "text/html",
    "xml": "application/xml",
    "pdf": "application/pdf",
    "jwt": "application/jwt",
}
ISSUER = "urn:signsvc"


@dataclass(frozen=True, slots=True)
class Rendered:
    """`sealed`: whether the service's own signature is on it."""

    octets: bytes
    media_type: str
    sealed: bool = False


def render(
    report: Mapping[str, Any],
    form: str,
    *,
    sealer: Sealer,
    lang: str = "vi",
    objects: Callable[[], Objects | None] = lambda: None,
    check_url: str | None = None,
    issuer: str = ISSUER,
    now: datetime | None = None,
) -> Rendered:
    """`report` (the JSON of `signsvc.reports.build`) as `form`, in `lang` where it is for people.

    `check_url` leads to the stored report; `objects` gives the octets that the XML carries, where they are at hand.
    Raises `RequestError` (``not_acceptable``) for a form that there is not, and what sealing raises.
    """
    media_type = FORMS.get(form)
    if media_type is None:
        raise RequestError("not_acceptable")
    if form == "html":
        from signsvc.reports.html import render_html

        return Rendered(render_html(report, lang).encode(), media_type)
    if form == "jwt":
        from signsvc.reports import svt

        token = sealer.jwt(svt.claims(report, issuer=issuer, now=now or datetime.now(UTC)))
        return Rendered(token.encode("ascii"), media_type, sealer.sealed)
    if form == "xml":
        from signsvc.reports.etsi import render_xml

        return Rendered(sealer.xml(render_xml(report, objects())), media_type, sealer.sealed)
    octets = (json.dumps(report, ensure_ascii=False, indent=2) + "\n").encode()
    if form == "json":
        return Rendered(octets, media_type)
    from signsvc.reports.etsi import render_xml
    from signsvc.reports.pdf import render_pdf

    attached = {"report.json": octets, "report.xml": render_xml(report, objects())}
    made = render_pdf(report, lang=lang, attachments=attached, check_url=check_url, sealed=sealer.sealed)
    return Rendered(sealer.pdf(made), media_type, sealer.sealed)


__all__ = ["FORMS", "ISSUER", "Rendered", "render"]
