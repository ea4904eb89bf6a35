"""What a visible signature shows, as a form XObject that no library has a hand in (ISO 32000-2 §8.10, §12.5.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from signsvc.formats.pades.fonts import Font
from signsvc.formats.pades.pictures import RGB, Picture
from signsvc.formats.pdf.emit import NewObject, NewStream
from signsvc.formats.pdf.objects import Name

Color = tuple[float, float, float]
BLACK: Color = (0.0, 0.0, 0.0)

# Matrix entries a b c d that turn a form counter-clockwise by the page's clockwise rotation.
_TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@dataclass(frozen=True, slots=True)
class Drawing:
    """The normal appearance of a signature field: a form XObject with BBox, Matrix and Resources.  `transparent`
    says whether a soft mask is used, which ISO 19005-1 forbids."""

    form: NewStream
    transparent: bool = False


class Appearance(Protocol):
    """Something that can be drawn into a field of any size."""

    def draw(self, width: float, height: float, rotate: int) -> Drawing:
        """The drawing for a field that people see as `width` by `height` points on a page turned by `rotate`
        (0, 90, 180, 270 degrees clockwise).  Raises `RequestError` where it does not fit."""


@dataclass(frozen=True, slots=True)
class _Run:
    font: Font
    size: float
    x: float
    y: float
    text: str


class Canvas:
    """A drawing in the making; lengths in points from the lower left corner, colours in sRGB."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self._steps: list[bytes | _Run] = []
        self._pictures: list[Picture] = []

    def text(self, font: Font, size: float, x: float, y: float, text: str, color: Color = BLACK) -> None:
        """One line of `text` (from `Font.plain`) with its baseline at `y`."""
        if text.strip():
            self._steps += (b"/C cs %s sc" % _numbers(*color), _Run(font, size, x, y, text))

    def line(self, x1: float, y1: float, x2: float, y2: float, width: float, color: Color = BLACK) -> None:
        """A straight line."""
        stroke = _numbers(width), _numbers(*color), _numbers(x1, y1), _numbers(x2, y2)
        self._steps.append(b"%s w /C CS %s SC %s m %s l S" % stroke)

    def frame(self, x: float, y: float, width: float, height: float, stroke: float, color: Color = BLACK) -> None:
        """The outline of a rectangle."""
        given = _numbers(stroke), _numbers(*color), _numbers(x, y, width, height)
        self._steps.append(b"%s w /C CS %s SC %s re S" % given)

    def picture(self, picture: Picture, x: float, y: float, width: float, height: float) -> None:
        """A picture, stretched to the rectangle."""
        self._pictures.append(picture)
        self._steps.append(b"q %s cm /I%d Do Q" % (_numbers(width, 0, 0, height, x, y), len(self._pictures)))

    def finish(self, rotate: int = 0) -> Drawing:
        """The drawing, turned so that it stands upright on a page with `rotate`."""
        letters: dict[Font, set[str]] = {}
        for step in self._steps:
            if isinstance(step, _Run):
                letters.setdefault(step.font, set()).update(step.text)
        subsets = {font: font.subset(frozenset(used)) for font, used in letters.items()}
        names = {font: number for number, font in enumerate(subsets, 1)}
        content = [b"q %s re W n" % _numbers(0, 0, self.width, self.height)]
        for step in self._steps:
            if isinstance(step, _Run):
                codes = subsets[step.font].encoded(step.text)
                place = names[step.font], _numbers(step.size), _numbers(step.x, step.y), codes
                content.append(b"BT /F%d %s Tf %s Td %s Tj ET" % place)
            else:
                content.append(step)
        content.append(b"Q")
        resources: dict[str, NewObject] = {"ColorSpace": {"C": RGB}}
        if subsets:
            resources["Font"] = {f"F{names[font]}": subset.resource for font, subset in subsets.items()}
        if self._pictures:
            resources["XObject"] = {f"I{n}": picture.xobject for n, picture in enumerate(self._pictures, 1)}
        entries: dict[str, NewObject] = {
            "Type": Name("XObject"),
            "Subtype": Name("Form"),
            "BBox": [0, 0, round(self.width, 3), round(self.height, 3)],
            "Resources": resources,
        }
        if rotate:
            entries["Matrix"] = [*_TURNS[rotate], 0, 0]
        return Drawing(
            NewStream.deflated(entries, b"\n".join(content)), any(picture.transparent for picture in self._pictures)
        )


def _numbers(*values: float) -> bytes:
    return b" ".join((f"{value:.3f}".rstrip("0").rstrip(".") or "0").encode() for value in values)


__all__ = ["BLACK", "Appearance", "Canvas", "Color", "Drawing"]
