"""A template filled with values, drawn into a field of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from signsvc.errors import RequestError
from signsvc.formats.pades.drawing import Canvas, Drawing
from signsvc.formats.pades.fonts import Font
from signsvc.formats.pades.pictures import Picture, picture
from signsvc.signing.appearance.templates import Box, Template, Text
from signsvc.signing.appearance.values import filled

MM = 72 / 25.4  # points
_STEP = 0.5
_FONTS = Path(__file__).parent.parent / "fonts"


@dataclass(frozen=True, slots=True)
class Fonts:
    """The fonts of a site: Times metrics with Vietnamese by default."""

    regular: Path = _FONTS / "Tinos-1000.ttf"
    italic: Path = _FONTS / "Tinos-Italic-1000.ttf"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What one signature shows.  An `Appearance`.

    `picture` holds PNG or JPEG octets; `flat` uses nothing that PDF/A-1 calls transparency; `unit` is the page's
    /UserUnit.
    """

    template: Template
    values: Mapping[str, str]
    fonts: Fonts = Fonts()
    picture: bytes | None = None
    flat: bool = False
    unit: float = 1.0

    def natural(self, size: tuple[float, float] | None = None) -> tuple[float, float]:
        """Width and height in units of the page for a field whose size is open; `size` (mm) goes before the
        template's own."""
        width, height = (side * MM / self.unit for side in size or self.template.size)
        if self.template.grows:
            needed = sum(self._height(text, width) for text in self.template.texts)
            return width, needed
        if self.template.hug and self.picture is not None:
            found = self._picture(self.picture)
            scale = min(width / found.width, height / found.height)
            return found.width * scale, found.height * scale
        return width, height

    def draw(self, width: float, height: float, rotate: int) -> Drawing:
        """See `Appearance.draw`."""
        canvas = Canvas(width, height)
        template = self.template
        scale = width / template.size[0], height / template.size[1]

        def box(given: Box | None) -> Box:
            if given is None:
                return 0.0, 0.0, width, height
            return given[0] * scale[0], given[1] * scale[1], given[2] * scale[0], given[3] * scale[1]

        if template.image is not None and self.picture is not None:
            self._paint(canvas, self._picture(self.picture), box(template.image.box))
        for frame in template.frames:
            left, bottom, right, top = box(frame.box)
            stroke = frame.width / self.unit  # all of it inside, where nothing cuts it off
            inner = left + stroke / 2, bottom + stroke / 2, right - left - stroke, top - bottom - stroke
            canvas.frame(*inner, stroke, frame.color)
        for line in template.rules:
            x1, y1, x2, y2 = box((*line.start, *line.end))
            canvas.line(x1, y1, x2, y2, line.width / self.unit, line.color)
        for text in template.texts:
            self._write(canvas, text, box(text.box))
        return canvas.finish(rotate)

    def with_unit(self, unit: float) -> Stamp:
        """The same on a page with another /UserUnit."""
        return replace(self, unit=unit)

    def _picture(self, data: bytes) -> Picture:
        found = picture(data, flat=self.flat)
        wanted = self.template.image is not None and self.template.image.transparent
        if wanted and not found.masked:
            raise RequestError("image_unusable", reason="opaque")
        return found

    @staticmethod
    def _paint(canvas: Canvas, found: Picture, box: Box) -> None:
        left, bottom, right, top = box
        scale = min((right - left) / found.width, (top - bottom) / found.height)
        width, height = found.width * scale, found.height * scale
        canvas.picture(found, (left + right - width) / 2, (bottom + top - height) / 2, width, height)

    def _font(self, text: Text) -> Font:
        return Font.load(self.fonts.italic if text.italic else self.fonts.regular)

    def _height(self, text: Text, width: float) -> float:
        font, size = self._font(text), text.size / self.unit
        lines = wrap(self._paragraphs(text, font), font.width, (width - 2 * text.inset) / size)
        return len(lines) * size * text.leading + 2 * text.inset + 0.1

    def _paragraphs(self, text: Text, font: Font) -> tuple[str, ...]:
        return tuple(font.plain(line) for line in filled(text.lines, self.values))

    def _write(self, canvas: Canvas, text: Text, box: Box) -> None:
        inset = text.inset / self.unit
        left, bottom, right, top = box[0] + inset, box[1] + inset, box[2] - inset, box[3] - inset
        font = self._font(text)
        paragraphs = self._paragraphs(text, font)
        size = text.size
        while True:
            points = size / self.unit
            lines = wrap(paragraphs, font.width, (right - left) / points) if right > left else []
            high = len(lines) * points * text.leading
            fits = high <= top - bottom + 0.5 and all(font.width(line, points) <= right - left + 0.5 for line in lines)
            if fits and right > left:
                break
            size -= _STEP
            if size < text.least:
                if text.least == text.size:  # the law says the size
                    raise RequestError("appearance_no_room", size=f"{text.size:g}")
                points = text.least / self.unit
                lines = wrap(paragraphs, font.width, max(right - left, 1.0) / points)
                high = len(lines) * points * text.leading
                break
        # A line's room is filled by ascender and descender, what is left stands half above and half below.
        gap = (points * text.leading - (font.ascent - font.descent) * points / 1000) / 2
        start = top if text.valign == "top" else (top + bottom + high) / 2
        baseline = start - gap - font.ascent * points / 1000
        for number, line in enumerate(lines):
            room = right - left - font.width(line, points)
            x = left + {"left": 0.0, "center": room / 2, "right": room}[text.align]
            canvas.text(font, points, x, baseline - number * points * text.leading, line, text.color)


def wrap(paragraphs: tuple[str, ...], measure: Callable[[str], float], width: float) -> list[str]:
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


__all__ = ["MM", "Fonts", "Stamp", "wrap"]
