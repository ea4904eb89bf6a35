"""Where things stand on a page: from what people see (rotated, cropped) to default user space (ISO 32000-2 §14.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signsvc.errors import RequestError
from signsvc.formats.pades.write_access import array, dictionary, get, resolved

# Inherited attributes are looked up through this many parents at most.
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle in default user space on page `page` (from 0), and the page's rotation (0, 90, 180, 270)."""

    page: int
    rect: tuple[int, int, int, int]
    rotate: int


def place(writer: Any, page: int, rect: tuple[float, float, float, float]) -> Place:
    """Where `rect`, given on page `page` (from 1, or -1 for the last) as it is shown, lies in the file.

    Raises `RequestError` (``invalid_request``) where there is no such page or the rectangle lies outside of it.
    """
    count = int(writer.root["/Pages"]["/Count"])
    index = page - 1 if page > 0 else count + page
    if not 0 <= index < count:
        raise RequestError("invalid_request", reason=f"visible.page: the document has {count} pages")
    reference, _ = writer.find_page_for_modification(index)
    found = reference.get_object()
    rotate = rotation_of(found)
    media = _box(_inherited(found, "/MediaBox")) or (0.0, 0.0, 612.0, 792.0)
    crop = _box(_inherited(found, "/CropBox")) or media
    left, bottom = max(crop[0], media[0]), max(crop[1], media[1])
    right, top = min(crop[2], media[2]), min(crop[3], media[3])
    if right <= left or top <= bottom:
        left, bottom, right, top = media
    width, height = right - left, top - bottom
    shown_width, shown_height = (height, width) if rotate in (90, 270) else (width, height)
    x1, y1, x2, y2 = rect
    if x1 < -1 or y1 < -1 or x2 > shown_width + 1 or y2 > shown_height + 1:
        raise RequestError(
            "invalid_request", reason=f"visible.rect: the page shows {shown_width:.0f} by {shown_height:.0f} points"
        )
    if rotate == 90:
        x1, y1, x2, y2 = width - y2, x1, width - y1, x2
    elif rotate == 180:
        x1, y1, x2, y2 = width - x2, height - y2, width - x1, height - y1
    elif rotate == 270:
        x1, y1, x2, y2 = y1, height - x2, y2, height - x1
    box = (round(left + x1), round(bottom + y1), round(left + x2), round(bottom + y2))
    return Place(index, box, rotate)


def rotation_of(page: Any) -> int:
    """Clockwise rotation of a page as shown: 0, 90, 180 or 270; 0 for what is no page."""
    value = _inherited(page, "/Rotate")
    rotate = int(value) % 360 if isinstance(value, int) else 0
    return rotate if rotate in (0, 90, 180, 270) else 0


def _inherited(page: Any, key: str) -> Any:
    node = dictionary(page)
    for _ in range(_MAX_DEPTH):
        if node is None:
            return None
        if key in node:
            return get(node, key)
        node = dictionary(get(node, "/Parent"))
    return None


def _box(value: Any) -> tuple[float, float, float, float] | None:
    try:
        x1, y1, x2, y2 = (float(resolved(entry)) for entry in array(value))
    except (TypeError, ValueError):
        return None
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
