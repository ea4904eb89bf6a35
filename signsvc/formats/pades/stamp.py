"""A visible signature as an appearance stream: lines of text in a box, wrapped and made small enough to fit.

ISO 32000-2 §12.7.5.5 and §12.5.5.  On a rotated page the appearance is turned the other way, so that it reads upright.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.content import ResourceType
from pyhanko.pdf_utils.font.opentype import GlyphAccumulator
from pyhanko.pdf_utils.layout import BoxConstraints
from pyhanko.stamp import BaseStamp, BaseStampStyle

LARGEST, SMALLEST, STEP = 10.0, 3.0, 0.5  # font sizes in points
_LEADING = 1.2
_PADDING = 4.0
_FONT = generic.NameObject("/F1")

# Matrix entries a b c d that turn a form counter-clockwise by the page's clockwise rotation.
_TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@functools.lru_cache(maxsize=8)
def _octets(font: Path) -> bytes:
    return font.read_bytes()


@dataclass(frozen=True)
class LinesStyle(BaseStampStyle):
    """Text lines in a thin frame.  `font` has 1000 units per em; `rotate` is the page's /Rotate, 0 to 270."""

    lines: tuple[str, ...] = ()
    font: Path = Path()
    rotate: int = 0
    border_width: int = 1
    border_color: tuple[float, float, float] | None = (0.75, 0.1, 0.1)
    color: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def create_stamp(self, writer: Any, box: BoxConstraints, text_params: dict[str, Any]) -> Lines:  # noqa: ARG002
        """The appearance for a field of the size of `box`."""
        if self.rotate in (90, 270):
            box = BoxConstraints(width=box.height, height=box.width)
        return Lines(writer, self, box)


class Lines(BaseStamp):
    """One rendering of a `LinesStyle`."""

    style: LinesStyle

    def _render_inner_content(self) -> list[bytes]:
        width, height = float(self.box.width), float(self.box.height)
        writer: Any = self._ensure_writer
        assets = writer.prepare_object_stream() if writer.stream_xrefs else None
        font: Any = GlyphAccumulator(writer, io.BytesIO(_octets(self.style.font)), LARGEST, obj_stream=assets)
        spaces: dict[str, float] = {}

        def measure(text: str) -> float:
            if text not in spaces:
                spaces[text] = font.shape(text, with_actual_text=False).x_advance
            return spaces[text]

        inner = width - 2 * _PADDING
        size = LARGEST
        lines = wrap(self.style.lines, measure, inner / size)
        while size > SMALLEST and (
            len(lines) * size * _LEADING > height - 2 * _PADDING or any(measure(t) * size > inner for t in lines)
        ):
            size -= STEP
            lines = wrap(self.style.lines, measure, inner / size)
        font.font_size = size
        top = (height + len(lines) * size * _LEADING) / 2 - size
        content = [b"q 0 0 %g %g re W n %g %g %g rg" % (width, height, *self.style.color)]
        for number, line in enumerate(lines):
            y = top - number * size * _LEADING
            shaped = font.shape(line, with_actual_text=False).graphics_ops
            content.append(b"BT %s %g Tf %g %g Td %s ET" % (_FONT.encode(), size, _PADDING, y, shaped))
        content.append(b"Q")
        self.set_resource(ResourceType.FONT, _FONT, font.as_resource())
        return content

    def as_form_xobject(self) -> generic.StreamObject:
        """The form XObject, turned as the page demands."""
        form = super().as_form_xobject()
        if self.style.rotate:
            turn = (*_TURNS[self.style.rotate], 0, 0)
            form[generic.NameObject("/Matrix")] = generic.ArrayObject(map(generic.NumberObject, turn))
        return form


def wrap(paragraphs: tuple[str, ...], measure: Any, width: float) -> list[str]:
    """Lines no wider than `width` (in ems, by `measure`) where words allow it; a word is never broken."""
    lines = []
    for paragraph in paragraphs:
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if line and measure(longer) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines
