"""Text fields that are filled in the update of a signature: value and appearance (ISO 32000-2 §12.7.4.3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from signsvc.errors import DocumentError
from signsvc.formats.pades.drawing import Appearance


@dataclass(frozen=True, slots=True)
class FieldText:
    """`text` for the text field `name`, shown by the one of `appearances` that /Q says: left, centred, right.

    A field that is missing is refused where it is `required`, and left alone otherwise.
    """

    name: str
    text: str
    appearances: tuple[Appearance, Appearance, Appearance]
    required: bool = True

    def shown(self, quadding: object) -> Appearance:
        """What a field with /Q `quadding` shows."""
        return self.appearances[quadding if type(quadding) is int and 0 <= quadding <= 2 else 0]


def chosen(texts: tuple[FieldText, ...], empty: Collection[str], filled: Collection[str]) -> tuple[FieldText, ...]:
    """Those of `texts` for which the document has a field.

    Raises `DocumentError` (``signing_not_permitted``): reason ``no-such-field``, or ``field-filled`` where a field has
    a value already.
    """
    for one in texts:
        if one.name in filled:
            raise DocumentError("signing_not_permitted", reason="field-filled")
        if one.required and one.name not in empty:
            raise DocumentError("signing_not_permitted", reason="no-such-field")
    return tuple(one for one in texts if one.name in empty)


def fill_stock(writer: Any, field: Any, text: FieldText) -> None:
    """Put `text` into `field` of a document that a pyHanko writer has open.

    Raises `DocumentError` (``signing_not_permitted``, reason ``no-such-field``) for a field that is no widget.
    """
    from pyhanko.pdf_utils import generic as stock

    from signsvc.formats.pades.pages import geometry_of_stock
    from signsvc.formats.pades.stamp import to_pyhanko
    from signsvc.formats.pades.write_access import array, get, resolved

    generic: Any = stock  # its classes carry no types
    sides = [float(resolved(side)) for side in array(get(field, "/Rect"))]
    if len(sides) != 4 or "/Kids" in field:
        raise DocumentError("signing_not_permitted", reason="no-such-field")
    geometry = geometry_of_stock(get(field, "/P"))
    width, height = (abs(sides[at + 2] - sides[at]) * geometry.unit for at in (0, 1))
    if geometry.rotate in (90, 270):
        width, height = height, width
    drawing = text.shown(get(field, "/Q")).draw(width, height, geometry.rotate)
    shown = writer.add_object(to_pyhanko(drawing.form, writer))
    field[generic.NameObject("/V")] = generic.TextStringObject(text.text)
    field[generic.NameObject("/AP")] = generic.DictionaryObject({generic.NameObject("/N"): shown})
    writer.update_container(field)


__all__ = ["FieldText", "chosen", "fill_stock"]
