"""Where a visible signature stands: by a rectangle, by words of the page, by another signature, by its template."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from signsvc.errors import DocumentError, RequestError
from signsvc.formats.pades.fields import Visits, page_number, rectangle, walk
from signsvc.formats.pades.pages import Geometry, Rect, geometry_of, index_of
from signsvc.formats.pdf import Document, LimitError, PdfError, Revision
from signsvc.signing.appearance.layout import MM, Stamp
from signsvc.signing.visible import Anchor, Beside, Visible

_SIDES = ("right", "left", "below", "above")
_GAP = 2.0  # points between words and what stands beside them
_LEAST = 10.0  # points: nothing smaller can be read
_FIELDS = 20_000


@dataclass(frozen=True, slots=True)
class Spot:
    """A rectangle in units of page `page` (from 1) as it is shown; `stamp` is made for its /UserUnit."""

    page: int
    rect: Rect
    stamp: Stamp


def place(path: Path, visible: Visible, stamp: Stamp) -> Spot:
    """Where the signature stands in the document at `path`.

    Raises `RequestError`: ``anchor_not_found``, ``signature_field_not_found``, ``appearance_place_missing``,
    ``invalid_request`` where there is no room or no such page; `DocumentError` for what cannot be read.
    """
    if visible.rect is not None:
        return Spot(visible.page or 1, visible.rect, stamp)
    with read(path) as revision:
        if visible.anchor is not None:
            return _by_words(path, revision, visible, visible.anchor, stamp)
        if visible.beside is not None:
            return _by_field(revision, visible, visible.beside, stamp)
        if stamp.template.place != "top-right":
            raise RequestError("appearance_place_missing", template=stamp.template.id)
        pages = revision.pages()
        index = index_of(visible.page or 1, len(pages))
        geometry = geometry_of(revision, pages[index][1])
        stamp = stamp.with_unit(geometry.unit)
        page_width, page_height = geometry.size
        right, down = (side * MM / geometry.unit for side in stamp.template.margin)
        width, height = stamp.natural(visible.size)
        width = min(width, page_width - 2 * right)
        top = page_height - down
        return Spot(index + 1, (page_width - right - width, top - height, page_width - right, top), stamp)


@contextmanager
def read(path: Path) -> Iterator[Revision]:
    """The last revision of the document at `path`.  Raises `DocumentError`."""
    from signsvc.verification.files import opened

    try:
        with opened(path) as data:
            yield Document(data).last
    except LimitError as error:
        raise DocumentError("document_too_complex", limit=str(error)) from None
    except PdfError:
        raise DocumentError("document_unreadable") from None


def _by_words(path: Path, revision: Revision, visible: Visible, anchor: Anchor, stamp: Stamp) -> Spot:
    from signsvc.formats.pades import page_text
    from signsvc.signing.appearance import words

    pages = revision.pages()
    # Names stand at the end of a document: the last pages are looked at where there are too many.
    first = max(0, len(pages) - page_text.MOST_PAGES)
    looked = range(first, len(pages)) if visible.page is None else (index_of(visible.page, len(pages)),)
    found, others = words.find(path, (anchor.text, anchor.to or anchor.text), looked)
    chosen = anchor.occurrence - 1 if anchor.occurrence > 0 else len(found) + anchor.occurrence
    if not 0 <= chosen < len(found):
        raise RequestError("anchor_not_found", found=len(found))
    here = found[chosen]
    geometry = geometry_of(revision, pages[here.page][1])
    stamp = stamp.with_unit(geometry.unit)
    size = stamp.natural(visible.size)
    line = geometry.as_shown(here.box)
    if anchor.to is None:
        rect = _beside(line, size, anchor.position, _GAP / geometry.unit)
    else:
        below = [geometry.as_shown(one.box) for one in others if one.page == here.page]
        below = [box for box in below if box[3] <= line[1] + 1]
        if not below:
            raise RequestError("anchor_not_found", found=0)
        other = max(below, key=lambda box: box[3])
        rect = _between(line, other, size)
    return Spot(here.page + 1, _inside(_moved(rect, anchor.offset, geometry), geometry), stamp)


def _by_field(revision: Revision, visible: Visible, beside: Beside, stamp: Stamp) -> Spot:
    fields = walk(revision, Visits(_FIELDS)).fields
    found = next((field for field in fields if field.name == beside.field), None)
    box = rectangle(revision, found.widget) if found is not None else None
    if found is None or box is None or box[2] - box[0] < 1 or box[3] - box[1] < 1:
        raise RequestError("signature_field_not_found")
    pages = revision.pages()
    index = (page_number(revision, found.widget) or _page_of(revision, found.widget) or 1) - 1
    geometry = geometry_of(revision, pages[index][1])
    stamp = stamp.with_unit(geometry.unit)
    there, size, gap = geometry.as_shown(box), stamp.natural(visible.size), _GAP / geometry.unit
    position = beside.position or _free(there, size, gap, stamp.template.beside, geometry)
    rect = _beside(there, size, position, gap)
    return Spot(index + 1, _inside(_moved(rect, beside.offset, geometry), geometry), stamp)


def _page_of(revision: Revision, widget: object) -> int | None:
    """The page (from 1) among whose annotations a widget without /P stands."""
    for number, (_, page) in enumerate(revision.pages(), 1):
        if any(revision.dictionary(one) is widget for one in revision.array(page.get("Annots"))):
            return number
    return None


def _beside(box: Rect, size: tuple[float, float], position: str, gap: float) -> Rect:
    width, height = size
    left, bottom, right, top = box
    x, y = (left + right - width) / 2, (bottom + top - height) / 2
    if position == "below":
        y = bottom - gap - height
    elif position == "above":
        y = top + gap
    elif position == "left":
        x = left - gap - width
    elif position == "right":
        x = right + gap
    elif position == "seal":
        x = left + (right - left) / 3 - width
    return x, y, x + width, y + height


def _free(there: Rect, size: tuple[float, float], gap: float, wanted: str, geometry: Geometry) -> str:
    """`wanted`, or where that would have to be shifted over what stands there already, the first side with room."""
    if wanted not in _SIDES:
        return wanted
    width, height = geometry.size
    for side in (wanted, *_SIDES):
        left, bottom, right, top = _beside(there, size, side, gap)
        if left >= 0 and bottom >= 0 and right <= width and top <= height:
            return side
    return wanted


def _between(above: Rect, below: Rect, size: tuple[float, float]) -> Rect:
    """Centred between two lines, smaller where they stand closer than the signature is high."""
    room = above[1] - below[3]
    if room < _LEAST:
        raise RequestError("invalid_request", reason="visible.anchor: there is no room between the two texts")
    scale = min(1.0, room / size[1])
    width, height = size[0] * scale, size[1] * scale
    x = (above[0] + above[2] + below[0] + below[2]) / 4 - width / 2
    y = (above[1] + below[3] - height) / 2
    return x, y, x + width, y + height


def _moved(rect: Rect, offset: tuple[float, float], geometry: Geometry) -> Rect:
    right, up = (side * MM / geometry.unit for side in offset)
    return rect[0] + right, rect[1] + up, rect[2] + right, rect[3] + up


def _inside(rect: Rect, geometry: Geometry) -> Rect:
    """Shifted onto the page where it stands over an edge."""
    width, height = geometry.size
    if rect[2] - rect[0] > width or rect[3] - rect[1] > height:
        raise RequestError("invalid_request", reason=f"visible: the page shows {width:.0f} by {height:.0f} points")
    x = min(max(rect[0], 0.0), width - (rect[2] - rect[0]))
    y = min(max(rect[1], 0.0), height - (rect[3] - rect[1]))
    return x, y, x + rect[2] - rect[0], y + rect[3] - rect[1]


__all__ = ["Spot", "place", "read"]
