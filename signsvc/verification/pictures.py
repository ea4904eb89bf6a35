"""Pages as pictures: as one signature left them beside as they are now, drawn inside a worker.

Pictures help people to look; no verdict rests on them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signsvc.errors import DocumentError

MOST_PAGES = 6  # shown
MOST_LOOKED_AT = 24  # compared
WIDTH = 900  # of a shown page, pixels
_LOOK_WIDTH = 300  # of one that is compared
_MOST_RATIO = 3.0  # height to width; longer pages are cut
_CELL = 3  # pixels of a compared page that are looked at together
_QUALITY = 82
_MOST_BOXES = 20
_WIDGET, _SIGNATURE_FIELD = 20, 7
# A seal is 2 to 6 cm wide (points), about as high, and not in the head of the page, where emblems stand.
_SEAL_SIZES = (56.0, 175.0)
_SEAL_RATIO = 1.4
_HEAD = 0.14
_FRAME = 0.8  # of the width: a red frame around the page is no picture


@dataclass(frozen=True, slots=True)
class Box:
    """Fractions of the page's width and height, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def near(self, other: Box) -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


@dataclass(frozen=True, slots=True)
class Field:
    """A visible signature field."""

    name: str
    box: Box


@dataclass(frozen=True, slots=True)
class Picture:
    """One page (from 1).  `now` and `signed` are JPEG; `signed` is None where the page looks the same or was not there,
    `now` None where it is gone.  `seals`: what looks like the picture of a seal where no signature field is."""

    page: int
    now: bytes | None
    signed: bytes | None
    changed: tuple[Box, ...] = ()
    fields: tuple[Field, ...] = ()
    seals: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Pictures:
    """`pages` and `pages_signed` count all pages now and as signed (None: there is no such revision, or nothing came
    after it)."""

    pages: int
    pages_signed: int | None
    shown: tuple[Picture, ...]


def draw(path: Path, signature: str | None, keep: Callable[[bytes], None]) -> dict[str, Any]:
    """Draw pages of the PDF at `path`, and as `signature` (`revisions.locate`; None: the last one) left them; `keep`
    is given all pictures one after the other.  The answer is what `read` takes.

    Raises `DocumentError` (unsupported_format, encrypted_document, document_unreadable).
    """
    import pypdfium2

    from signsvc.verification.files import opened

    size = _revision(path, signature)
    with opened(path) as data:
        octets = bytes(data)
    try:
        now = pypdfium2.PdfDocument(octets)
    except pypdfium2.PdfiumError:
        raise DocumentError("document_unreadable") from None
    before = None
    if size is not None and size < len(octets):
        try:
            before = pypdfium2.PdfDocument(octets[:size])
        except pypdfium2.PdfiumError:
            before = None
    for one in (now, before):
        if one is not None:
            one.init_forms()
    return _Drawing(now, before).drawn(keep)


def read(found: Any, octets: bytes) -> Pictures:
    """What a worker that is not trusted answered.  Raises `ValueError`, `KeyError`, `TypeError` for nonsense."""
    at = 0
    shown = []
    for one in found["shown"][:MOST_PAGES]:
        drawn: list[bytes | None] = []
        for name in ("now", "signed"):
            size = one[name]
            if size is None:
                drawn.append(None)
                continue
            part = octets[at : at + int(size)]
            if len(part) != size or not part.startswith(b"\xff\xd8\xff"):
                raise ValueError("not a picture")
            drawn.append(part)
            at += size
        fields = tuple(Field(str(name)[:200], _box(box)) for name, box in one["fields"][:_MOST_BOXES])
        changed, seals = (tuple(map(_box, one[name][:_MOST_BOXES])) for name in ("changed", "seals"))
        shown.append(Picture(int(one["page"]), drawn[0], drawn[1], changed, fields, seals))
    if at != len(octets):
        raise ValueError("octets that belong to no picture")
    before = found["pages_signed"]
    return Pictures(int(found["pages"]), None if before is None else int(before), tuple(shown))


def _box(values: Any) -> Box:
    x, y, width, height = (min(max(float(value), 0.0), 1.0) for value in values)
    return Box(x, y, width, height)


def _revision(path: Path, signature: str | None) -> int | None:
    """Where the revision of the signature ends; None where no signature covers one."""
    from signsvc.verification import revisions

    try:
        return revisions.locate(path, signature, last=True).size
    except DocumentError as error:
        if error.code == "revision_not_found":
            return None
        raise


class _Drawing:
    def __init__(self, now: Any, before: Any) -> None:
        self.now, self.before = now, before

    def drawn(self, keep: Callable[[bytes], None]) -> dict[str, Any]:
        looked = [self._look(index) for index in self._candidates()]
        # Changed pages first, then those with something to point at, then the first.
        best = sorted(looked, key=lambda one: (not one["changed"], not (one["fields"] or one["seals"]), one["page"]))
        shown = sorted(best[:MOST_PAGES], key=lambda one: one["page"])
        parts: list[bytes] = []
        for one in shown:
            index = one["page"] - 1
            now = self._jpeg(self.now, index)
            signed = self._jpeg(self.before, index) if self.before is not None and one["changed"] else None
            one |= {"now": len(now) if now else None, "signed": len(signed) if signed else None}
            parts += [part for part in (now, signed) if part]
        if parts:
            keep(b"".join(parts))
        before = None if self.before is None else len(self.before)
        return {"pages": len(self.now), "pages_signed": before, "shown": shown}

    def _candidates(self) -> list[int]:
        """The first and the last pages."""
        count = max(len(self.now), len(self.before) if self.before is not None else 0)
        half = MOST_LOOKED_AT // 2
        return sorted({*range(min(count, half)), *range(max(count - half, 0), count)})

    def _look(self, index: int) -> dict[str, Any]:
        now = _page(self.now, index)
        fields = list(_fields(self.now, now)) if now is not None else []
        picture = _image(now, _LOOK_WIDTH) if now is not None else None
        changed: list[Box] = []
        if self.before is not None:
            old = _page(self.before, index)
            then = _image(old, _LOOK_WIDTH) if old is not None else None
            changed = _differences(picture, then)
        seals = []
        if picture is not None and now is not None:
            points = float(now.get_width())
            seals = [one for one in _seals(picture, points) if not any(one.near(field.box) for field in fields)]
        return {
            "page": index + 1,
            "fields": [(one.name, _numbers(one.box)) for one in fields[:_MOST_BOXES]],
            "changed": [_numbers(one) for one in changed[:_MOST_BOXES]],
            "seals": [_numbers(one) for one in seals[:_MOST_BOXES]],
        }

    def _jpeg(self, document: Any, index: int) -> bytes | None:
        page = _page(document, index)
        if page is None:
            return None
        target = io.BytesIO()
        _image(page, WIDTH).save(target, "JPEG", quality=_QUALITY)
        return target.getvalue()


def _numbers(box: Box) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in (box.x, box.y, box.width, box.height))


def _page(document: Any, index: int) -> Any:
    import pypdfium2

    try:
        return document[index] if index < len(document) else None
    except pypdfium2.PdfiumError:
        return None


def _image(page: Any, width: int) -> Any:
    """The page at that width, cut where it is too long; white where it has no size to speak of."""
    from PIL import Image

    across, down = page.get_width(), page.get_height()
    if not (1 <= across <= 20_000 and 1 <= down <= 20_000):
        return Image.new("RGB", (width, width), "white")
    cut = max(down - across * _MOST_RATIO, 0)
    bitmap = page.render(scale=width / across, crop=(0, cut, 0, 0), draw_annots=True, may_draw_forms=True)
    return bitmap.to_pil().convert("RGB")


def _fields(document: Any, page: Any) -> Iterator[Field]:
    """Visible signature fields of a page."""
    import ctypes

    from pypdfium2 import raw

    form = document.formenv
    width, height = page.get_width(), page.get_height()
    if form is None or not width or not height:
        return
    for number in range(min(raw.FPDFPage_GetAnnotCount(page), 500)):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            if raw.FPDFAnnot_GetSubtype(annotation) != _WIDGET:
                continue
            if raw.FPDFAnnot_GetFormFieldType(form, annotation) != _SIGNATURE_FIELD:
                continue
            rect = raw.FS_RECTF()
            if not raw.FPDFAnnot_GetRect(annotation, rect):
                continue
            # Through the page's own rotation and crop box, to thousandths of the page.
            corners = []
            for x, y in ((rect.left, rect.bottom), (rect.right, rect.top)):
                across, down = ctypes.c_int(), ctypes.c_int()
                raw.FPDF_PageToDevice(page, 0, 0, 1000, 1000, 0, x, y, across, down)
                corners.append((across.value / 1000, down.value / 1000))
            (x0, y0), (x1, y1) = corners
            box = Box(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))
            if box.width > 0.005 and box.height > 0.005:
                yield Field(_field_name(form, annotation), box)
        finally:
            raw.FPDFPage_CloseAnnot(annotation)


def _field_name(form: Any, annotation: Any) -> str:
    import ctypes

    from pypdfium2 import raw

    size = min(raw.FPDFAnnot_GetFormFieldName(form, annotation, None, 0), 2000)
    buffer = ctypes.create_string_buffer(max(size, 2))
    raw.FPDFAnnot_GetFormFieldName(form, annotation, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return buffer.raw[: max(size - 2, 0)].decode("utf-16-le", "replace")


def _differences(one: Any, other: Any) -> list[Box]:
    """Where two pictures of a page differ; all of it where one is missing or of another form."""
    from PIL import ImageChops

    if one is None and other is None:
        return []
    if one is None or other is None or one.size != other.size:
        return [Box(0, 0, 1, 1)]
    found = ImageChops.difference(one, other).convert("L").point(lambda value: 255 if value > 24 else 0)
    return _regions(found, grow=2)


def _seals(picture: Any, points: float) -> Iterator[Box]:
    """Red, round, of the size of a seal: ink around the middle and none in the corners."""
    from PIL import ImageChops

    red, green, blue = picture.split()
    lead = ImageChops.darker(ImageChops.subtract(red, green), ImageChops.subtract(red, blue))
    mask = lead.point(lambda value: 255 if value > 60 else 0)
    larger: list[Box] = []
    for box in _regions(mask, grow=1):
        if any(one.near(box) for one in larger):
            continue  # a part of a picture
        across = box.width * points
        down = box.height * points * picture.height / picture.width
        if across > _SEAL_SIZES[1] and box.width < _FRAME:
            larger.append(box)
        if not _SEAL_SIZES[0] <= across <= _SEAL_SIZES[1] or not 1 / _SEAL_RATIO <= across / down <= _SEAL_RATIO:
            continue
        if box.y < _HEAD:
            continue
        part = mask.crop(
            (
                int(box.x * picture.width),
                int(box.y * picture.height),
                int((box.x + box.width) * picture.width),
                int((box.y + box.height) * picture.height),
            )
        )
        edge_x, edge_y = part.width // 8, part.height // 8
        corners = [
            part.crop((x, y, x + edge_x, y + edge_y))
            for x in (0, part.width - edge_x)
            for y in (0, part.height - edge_y)
        ]
        ink = _ink(part)
        if 0.06 <= ink <= 0.85 and all(_ink(corner) < 0.1 for corner in corners):
            yield box


def _ink(mask: Any) -> float:
    pixels = mask.width * mask.height
    return mask.histogram()[255] / pixels if pixels else 0.0


def _regions(mask: Any, *, grow: int) -> list[Box]:
    """Boxes around what hangs together in a mask of 0 and 255, the largest first; gaps up to `grow` cells count not."""
    from PIL import ImageFilter

    across, down = max(mask.width // _CELL, 1), max(mask.height // _CELL, 1)
    cells = mask.reduce(_CELL).point(lambda value: 255 if value > 20 else 0)
    cells = cells.filter(ImageFilter.MaxFilter(2 * grow + 1))
    across, down = cells.size
    left = {index for index, value in enumerate(cells.tobytes()) if value}
    found: list[tuple[int, int, int, int]] = []
    while left:
        start = left.pop()
        waiting, xs, ys = [start], [start % across], [start // across]
        while waiting:
            here = waiting.pop()
            x, y = here % across, here // across
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                if 0 <= x + dx < across and 0 <= y + dy < down and (beside := here + dx + dy * across) in left:
                    left.remove(beside)
                    waiting.append(beside)
                    xs.append(x + dx)
                    ys.append(y + dy)
        found.append((min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    found.sort(key=lambda one: (one[2] - one[0]) * (one[3] - one[1]), reverse=True)
    return [_fractions(one, across, down, grow) for one in found]


def _fractions(cells: Sequence[int], across: int, down: int, grow: int) -> Box:
    """A box of cells without what `grow` added to it."""
    x0, y0, x1, y1 = cells
    x0, y0 = min(x0 + grow, x1 - 1), min(y0 + grow, y1 - 1)
    x1, y1 = max(x1 - grow, x0 + 1), max(y1 - grow, y0 + 1)
    return Box(x0 / across, y0 / down, (x1 - x0) / across, (y1 - y0) / down)


__all__ = ["MOST_PAGES", "Box", "Field", "Picture", "Pictures", "draw", "read"]
