"""Number and date of a document, put into the text fields `so` and `ngay` that were laid out for them before the first
signature (Decree 30/2020 App. I part I sect. II.3-4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from signsvc.formats.pades.fill import FieldText
from signsvc.signing.appearance.layout import Fonts, Stamp
from signsvc.signing.appearance.placement import read
from signsvc.signing.appearance.templates import Template, Text
from signsvc.signing.appearance.values import spelled

if TYPE_CHECKING:
    from signsvc.signing.model import SignParams

NUMBER, DATE = "so", "ngay"
_SIZE, _LEAST = 13.0, 6.0


def texts(params: SignParams, fonts: Fonts, *, shown: bool) -> tuple[FieldText, ...]:
    """What `params` puts into text fields; `shown` says that a visible signature shows the number, so that it needs no
    field.  A date in ISO 8601 is spelled as the decree wants it."""
    found = []
    if params.number is not None:
        found.append(_text(NUMBER, params.number, fonts, italic=False, required=not shown))
    if params.date is not None:
        place = params.metadata.get("place") or params.location
        found.append(_text(DATE, _dated(params.date, place), fonts, italic=True, required=True))
    return tuple(found)


def takes_fields(path: Path, template: Template, params: SignParams) -> bool:
    """Whether the document at `path` has empty text fields for what `template` would show, so that the signature itself
    is shown only where the caller says so.  Raises `DocumentError`."""
    from signsvc.formats.pades.form_fields import listed

    if not template.fields or params.visible is not None or params.number is None:
        return False
    with read(path) as revision:
        return any(
            field.kind == "text" and not field.filled and field.name in template.fields for field in listed(revision)
        )


def _dated(given: str, place: str | None) -> str:
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return given
    return f"{place}, {spelled(day)}" if place else spelled(day)


def _text(name: str, value: str, fonts: Fonts, *, italic: bool, required: bool) -> FieldText:
    value = " ".join(value.split())
    line = Text(("{value}",), size=_SIZE, least=_LEAST, italic=italic, inset=1.0)
    left, center, right = (
        Stamp(Template("field", "", "", (70.0, 7.0), texts=(replace(line, align=align),)), {"value": value}, fonts)
        for align in ("left", "center", "right")
    )
    return FieldText(name, value, (left, center, right), required)


__all__ = ["DATE", "NUMBER", "takes_fields", "texts"]
