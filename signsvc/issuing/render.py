"""A report in the form that its reader wants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from signsvc.errors import RequestError
from signsvc.issuing.seal import Sealer

# Form -> media type.
FORMS = {
    "json": "application/json",
    "html": "text/html",
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
    check_url: str | None = None,
    issuer: str = ISSUER,
    now: datetime | None = None,
) -> Rendered:
    """`report` (the JSON of `signsvc.reports.build`) as `form`, in `lang` where it is for people; `check_url` leads to
    the stored report.  Raises `RequestError` (``not_acceptable``) for a form that there is not, and what sealing
    raises."""
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
    octets = (json.dumps(report, ensure_ascii=False, indent=2) + "\n").encode()
    if form == "json":
        return Rendered(octets, media_type)
    from signsvc.reports.pdf import render_pdf

    attached = {"report.json": octets}
    made = render_pdf(report, lang=lang, attachments=attached, check_url=check_url, sealed=sealer.sealed)
    return Rendered(sealer.pdf(made), media_type, sealer.sealed)


__all__ = ["FORMS", "ISSUER", "Rendered", "render"]
