"""The text of visible signatures.

Template ``simple``: who, for which agency, the document's number (``doc_number`` of the metadata), when (ISO 8601 with
+07:00), why and where.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from signsvc.errors import RequestError
from signsvc.signing.model import SignParams
from signsvc.types import Certificate

FONT = Path(__file__).with_name("fonts") / "Tinos-1000.ttf"


def lines(template: str, params: SignParams, certificate: Certificate, local: datetime) -> tuple[str, ...]:
    """The lines of `template` for this signature; `local` is the signing time in Vietnam.

    Raises `RequestError` (``invalid_request``) for an unknown template.
    """
    if template != "simple":
        raise RequestError("invalid_request", reason="unknown appearance template")
    found = [f"Người ký: {params.name or certificate.common_name}"]
    if certificate.organization:
        found.append(f"Cơ quan: {certificate.organization}")
    if number := params.metadata.get("doc_number"):
        found.append(f"Số, ký hiệu: {number}")
    found.append(f"Thời gian ký: {local.isoformat(timespec='seconds')}")
    if params.reason:
        found.append(f"Lý do: {params.reason}")
    if params.location:
        found.append(f"Nơi ký: {params.location}")
    # A line break in a parameter is white space here: every entry is one paragraph.
    return tuple(" ".join(line.split()) for line in found)
