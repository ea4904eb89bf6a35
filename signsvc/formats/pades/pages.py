"""Where things stand on a page: from what people see (rotated, cropped) to default user space (ISO 32000-2 §14.11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from signsvc.errors import RequestError

if TYPE_CHECKING:
    from signsvc.formats.pdf.document import Revision
    from signsvc.formats.pdf.objects import PdfDict

Rect = tuple[float, float, float, float]

# Inherited attributes are looked up through this many parents at most.
_MAX_DEPTH = 64
_MAX_UNIT = 1000.0
_LETTER: Rect = (0.0, 0.0, 612.0, 792.0)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a page is shown: the part of default user space that is visible, turned clockwise by `rotate` (0, 90, 180,
    270).  `unit` is the length of one unit in points (/UserUnit)."""

    box: Rect
    rotate: int = 0
    unit: float = 1.0

    @property
    def size(self) -> tuple[float, float]:
        """Width and height as shown, in units of default user space."""
        width, height = self.box[2] - self.box[0], self.box[3] - self.box[1]
        return (height, width) if self.rotate in (90, 270) else (width, height)

    def in_file(self, rect: Rect) -> Rect:
        """A rectangle given from the lower left corner of the page as shown, in default user space."""
        left, bottom, right, top = self.box
        x1, y1, x2, y2 = rect
        if self.rotate == 90:
            return right - y2, bottom + x1, right - y1, bottom + x2
        if self.rotate == 180:
            return right - x2, top - y2, right - x1, top - y1
        if self.rotate == 270:
            return left + y1, top - x2, left + y2, top - x1
        return left + x1, bottom + y1, left + x2, bottom + y2

    def as_shown(self, rect: Rect) -> Rect:
        """A rectangle of default user space, from the lower left corner of the page as shown."""
        left, bottom, right, top = self.box
        x1, y1, x2, y2 = rect
        if self.rotate == 90:
            return y1 - bottom, right - x2, y2 - bottom, right - x1
        if self.rotate == 180:
            return right - x2, top - y2, right - x1, top - y1
        if self.rotate == 270:
            return top - y2, x1 - left, top - y1, x2 - left
        return x1 - left, y1 - bottom, x2 - left, y2 - bottom


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle in default user space on page `page` (from 0), and the page's rotation (0, 90, 180, 270)."""

    page: int
    rect: tuple[int, int, int, int]
    rotate: int


def index_of(page: int, count: int) -> int:
    """The index of `page`, which counts from 1 or with -1 from the last.  Raises `RequestError`."""
    index = page - 1 if page > 0 else count + page
    if not 0 <= index < count:
        raise RequestError("invalid_request", reason=f"visible.page: the document has {count} pages")
    return index


def placed(geometry: Geometry, index: int, rect: Rect) -> Place:
    """Where `rect`, given as shown on the page with `index`, lies in the file.

    Raises `RequestError` (``invalid_request``) where it lies outside of the page.
    """
    width, height = geometry.size
    x1, y1, x2, y2 = rect
    if x1 < -1 or y1 < -1 or x2 > width + 1 or y2 > height + 1:
        raise RequestError("invalid_request", reason=f"visible.rect: the page shows {width:.0f} by {height:.0f} points")
    left, bottom, right, top = map(round, geometry.in_file(rect))
    return Place(index, (left, bottom, right, top), geometry.rotate)


def geometry_of(revision: Revision, page: PdfDict) -> Geometry:
    """The geometry of a page as our own reader sees it."""

    def look(key: str) -> Any:
        node: PdfDict | None = page
        for _ in range(_MAX_DEPTH):
            if node is None:
                return None
            if key in node:
                return revision.value(node, key)
            node = revision.dictionary(node.get("Parent"))
        return None

    def numbers(value: Any) -> list[Any]:
        return [revision.resolve(entry) for entry in value] if isinstance(value, list) else []

    return _geometry(look, numbers, revision.value(page, "UserUnit"))


def place(writer: Any, page: int, rect: Rect) -> Place:
    """Where `rect`, given on page `page` (from 1, or -1 for the last) as it is shown, lies in the file that a pyHanko
    writer has open.

    Raises `RequestError` (``invalid_request``) where there is no such page or the rectangle lies outside of it.
    """
    index = index_of(page, int(writer.root["/Pages"]["/Count"]))
    reference, _ = writer.find_page_for_modification(index)
    return placed(geometry_of_stock(reference.get_object()), index, rect)


def geometry_of_stock(page: Any) -> Geometry:
    """The geometry of a page as pyHanko sees it; that of no page for what is none."""
    from signsvc.formats.pades.write_access import array, dictionary, get, resolved

    def look(key: str) -> Any:
        node = dictionary(page)
        for _ in range(_MAX_DEPTH):
            if node is None:
                return None
            if f"/{key}" in node:
                return get(node, f"/{key}")
            node = dictionary(get(node, "/Parent"))
        return None

    def numbers(value: Any) -> list[Any]:
        return [resolved(entry) for entry in array(value)]

    return _geometry(look, numbers, get(dictionary(page), "/UserUnit"))


def _geometry(look: Callable[[str], Any], numbers: Callable[[Any], list[Any]], unit: Any) -> Geometry:
    turned = look("Rotate")
    rotate = int(turned) % 360 if isinstance(turned, int) else 0
    media = _box(numbers(look("MediaBox"))) or _LETTER
    crop = _box(numbers(look("CropBox"))) or media
    box = (max(crop[0], media[0]), max(crop[1], media[1]), min(crop[2], media[2]), min(crop[3], media[3]))
    if box[2] <= box[0] or box[3] <= box[1]:
        box = media
    try:
        scale = float(unit)
    except (TypeError, ValueError):
        scale = 1.0
    return Geometry(box, rotate if rotate in (0, 90, 180, 270) else 0, scale if 0 < scale <= _MAX_UNIT else 1.0)


def _box(values: list[Any]) -> Rect | None:
    try:
        x1, y1, x2, y2 = map(float, values)
    except (TypeError, ValueError):
        return None
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


__all__ = [
    "Geometry",
    "Place",
    "Rect",
    "geometry_of",
    "geometry_of_stock",
    "index_of",
    "place",
    "placed",
]
