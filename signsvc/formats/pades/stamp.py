"""Drawings handed to pyHanko, for documents that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic as _generic
from pyhanko.pdf_utils.layout import BoxConstraints
from pyhanko.stamp import BaseStamp, BaseStampStyle

from signsvc.formats.pades.drawing import Appearance
from signsvc.formats.pdf.emit import Indirect, NewObject, NewStream
from signsvc.formats.pdf.objects import Name, PdfBool, PdfString, Ref

generic: Any = _generic  # its classes carry no types


@dataclass(frozen=True)
class AppearanceStyle(BaseStampStyle):
    """A stamp style that shows `appearance`; `rotate` is the page's /Rotate, 0 to 270, and `unit` the points that one
    unit of the field stands for."""

    appearance: Appearance | None = None
    rotate: int = 0
    unit: float = 1.0

    def create_stamp(self, writer: Any, box: BoxConstraints, text_params: dict[str, Any]) -> _Stamp:  # noqa: ARG002
        """The appearance for a field of the size of `box`."""
        return _Stamp(writer, self, box)


class _Stamp(BaseStamp):
    style: AppearanceStyle

    def as_form_xobject(self) -> Any:
        """The form XObject, turned as the page demands."""
        assert self.style.appearance is not None
        width, height = (float(side) * self.style.unit for side in (self.box.width, self.box.height))
        if self.style.rotate in (90, 270):
            width, height = height, width
        drawing = self.style.appearance.draw(width, height, self.style.rotate)
        return to_pyhanko(drawing.form, self._ensure_writer)


def to_pyhanko(value: NewObject, writer: Any, made: dict[int, Any] | None = None) -> Any:
    """`value` as an object of pyHanko's; what is `Indirect` is added to `writer`, each instance once."""
    made = {} if made is None else made
    if isinstance(value, Indirect):
        if id(value) not in made:
            made[id(value)] = writer.add_object(to_pyhanko(value.value, writer, made))
        return made[id(value)]
    if isinstance(value, NewStream):
        entries = to_pyhanko(value.entries, writer, made)
        return generic.StreamObject(entries, encoded_data=value.data)
    if isinstance(value, Mapping):
        return generic.DictionaryObject(
            {generic.NameObject(f"/{key}"): to_pyhanko(entry, writer, made) for key, entry in value.items()}
        )
    if isinstance(value, list | tuple) and not isinstance(value, Ref):
        return generic.ArrayObject(to_pyhanko(entry, writer, made) for entry in value)
    if isinstance(value, Ref):
        return generic.IndirectObject(value.num, value.gen, writer)
    if isinstance(value, Name):
        return generic.NameObject(f"/{value}")
    if isinstance(value, PdfString):
        return generic.ByteStringObject(value)
    if isinstance(value, PdfBool):
        return generic.BooleanObject(bool(value))
    if isinstance(value, int):
        return generic.NumberObject(value)
    if isinstance(value, float):
        return generic.FloatObject(repr(value))
    return generic.NullObject()


__all__ = ["AppearanceStyle", "to_pyhanko"]
