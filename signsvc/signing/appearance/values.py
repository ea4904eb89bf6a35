"""What stands for the names in a template's lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signsvc.signing.model import SignParams
    from signsvc.types import Certificate

_NAMED = re.compile(r"\{([a-z_]+)(?:\|([^{}]*))?\}")


def spelled(day: date) -> str:
    """A date as documents bear it: single days and the first two months have two digits (Decree 30/2020 App. I)."""
    month = f"{day.month:02}" if day.month < 3 else str(day.month)
    return f"ngày {day.day:02} tháng {month} năm {day.year}"


def values(params: SignParams, certificate: Certificate, local: datetime) -> dict[str, str]:
    """The values for one signature; `local` is the signing time in Vietnam.

    Names of the caller's metadata stand beside ours: doc_number, agency, place, incoming_number, incoming_date,
    forward_to, file_number.  Times are ISO 8601 with the zone, or as VGCA's programs write them; single days and the
    first two months have two digits (Decree 30/2020 App. I).
    """
    given = dict(params.metadata)
    name = params.name or certificate.common_name or ""
    vgca = params.visible is not None and params.visible.time_format == "vgca"
    ours = {
        "name": name,
        "organization": certificate.organization,
        "agency": given.get("agency") or name,
        "roles": ", ".join(getattr(params, "claimed_roles", ())),
        "time": local.strftime("%d.%m.%Y %H:%M:%S +07:00") if vgca else local.isoformat(timespec="seconds"),
        "reason": params.reason,
        "location": params.location,
        "place": given.get("place") or params.location,
        "day": f"{local.day:02}",
        "month": f"{local.month:02}" if local.month < 3 else str(local.month),
        "year": str(local.year),
        "incoming_date": given.get("incoming_date") or local.strftime("%d/%m/%Y"),
    }
    # A line break in a parameter is white space here: every entry is one paragraph.
    return {key: " ".join(value.split()) for key, value in {**given, **ours}.items() if value}


def filled(lines: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """`lines` with their names replaced; those with an empty value and nothing in its place are left out."""
    return tuple(
        _NAMED.sub(lambda match: known.get(match[1]) or match[2], line)
        for line in lines
        if all(known.get(match[1]) or match[2] is not None for match in _NAMED.finditer(line))
    )


__all__ = ["filled", "values"]
