"""What is asked of a visible signature: where it stands, what it shows."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from signsvc.errors import RequestError

MAX_TEXT = 200
POSITIONS = ("below", "above", "left", "right", "over", "between", "seal")
TIME_FORMATS = ("iso", "vgca")
_MEMBERS = ("page", "rect", "anchor", "beside", "field", "template", "image", "size", "time_format")
_MOST_MM, _MOST_POINTS = 600.0, 2e4


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place by words of the page.

    `position` is where the signature stands: below, above, left, right of the words, over them, or between them and
    the next `to` further down.  `occurrence` counts from 1, or with -1 from the last; `offset` is (right, up) in mm.
    """

    text: str
    to: str | None = None
    position: str = "below"
    occurrence: int = -1
    offset: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Beside:
    """A place by a signature field: below, above, left, right, over, or as a ``seal`` over its left third."""

    field: str
    position: str | None = None  # None: the template's, else right
    offset: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Visible:
    """A visible signature.

    `page` counts from 1, or from the end with -1 as the last page.  `rect` is (left, bottom, right, top) in points on
    the page as it is shown (rotated, cropped), from its lower left corner; `anchor` and `beside` stand in its place,
    and without any of them the template's own place is taken.  `size` is width and height in mm where the place leaves
    it open.  `image` names a picture of the installation, `picture` holds the octets of one.
    """

    page: int | None = None
    rect: tuple[float, float, float, float] | None = None
    template: str | None = None  # None: the profile's
    anchor: Anchor | None = None
    beside: Beside | None = None
    image: str | None = None
    size: tuple[float, float] | None = None
    time_format: str = "iso"
    picture: bytes | None = None

    def placed_by(self, place: Visible) -> Visible:
        """This one, standing where `place` says if it says nowhere itself, and as large where it has no size."""
        size = self.size or place.size
        if self.page is None and self.rect is None and self.anchor is None and self.beside is None:
            return replace(self, page=place.page, rect=place.rect, anchor=place.anchor, beside=place.beside, size=size)
        return replace(self, size=size)

    def to_json(self) -> dict[str, Any]:
        """For a worker, see `from_json`."""
        found = asdict(self)
        if self.picture is not None:
            found["picture"] = base64.b64encode(self.picture).decode("ascii")
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Visible:
        """What `to_json` made, once it has been through JSON."""
        values = dict(data)
        for key, kind in (("anchor", Anchor), ("beside", Beside)):
            if values[key] is not None:
                values[key] = kind(**{**values[key], "offset": tuple(values[key]["offset"])})
        for key in ("rect", "size"):
            if values[key] is not None:
                values[key] = tuple(values[key])
        if isinstance(values["picture"], str):
            values["picture"] = base64.b64decode(values["picture"])
        return cls(**values)


def parse(value: Any, templates: tuple[str, ...]) -> tuple[Visible, str | None]:
    """The wish in a request's member ``visible``, and the existing field that it names.

    Raises `RequestError` (``invalid_request``).
    """
    if not isinstance(value, Mapping) or set(value) - set(_MEMBERS):
        raise _invalid(f": {', '.join(_MEMBERS)}")
    given = {key: entry for key, entry in value.items() if entry is not None}
    if sum(key in given for key in ("rect", "anchor", "beside", "field")) > 1:
        raise _invalid(": one of rect, anchor, beside and field")
    page, template = given.get("page"), given.get("template")
    if page is not None and (isinstance(page, bool) or not isinstance(page, int) or page == 0):
        raise _invalid(".page: a number from 1, or -1 for the last page")
    if template is not None and template not in templates:
        raise _invalid(f".template: no such template; known: {', '.join(templates)}")
    if given.get("time_format", "iso") not in TIME_FORMATS:
        raise _invalid(f".time_format: one of {', '.join(TIME_FORMATS)}")
    made = Visible(
        page=page,
        rect=_rect(given["rect"]) if "rect" in given else None,
        template=template,
        anchor=_anchor(given["anchor"]) if "anchor" in given else None,
        beside=_beside(given["beside"]) if "beside" in given else None,
        image=_text(given["image"], ".image") if "image" in given else None,
        size=_size(given["size"]) if "size" in given else None,
        time_format=given.get("time_format", "iso"),
    )
    return made, _text(given["field"], ".field") if "field" in given else None


def _invalid(reason: str) -> RequestError:
    return RequestError("invalid_request", reason=f"visible{reason}")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
        raise _invalid(f"{where}: a text of at most {MAX_TEXT} characters")
    return value


def _numbers(value: Any, count: int, where: str, most: float) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or len(value) != count:
        raise _invalid(f"{where}: {count} numbers")
    numbers = tuple(float(n) for n in value if isinstance(n, int | float) and not isinstance(n, bool))
    if len(numbers) != count or not all(math.isfinite(n) and abs(n) <= most for n in numbers):
        raise _invalid(f"{where}: {count} numbers")
    return numbers


def _rect(value: Any) -> tuple[float, float, float, float]:
    left, bottom, right, top = _numbers(value, 4, ".rect", _MOST_POINTS)
    if right - left < 10 or top - bottom < 10:
        raise _invalid(".rect: left, bottom, right, top in points, at least 10 by 10")
    return left, bottom, right, top


def _size(value: Any) -> tuple[float, float]:
    width, height = _numbers(value, 2, ".size", _MOST_MM)
    if min(width, height) < 4:
        raise _invalid(".size: width and height in millimetres, at least 4")
    return width, height


def _anchor(value: Any) -> Anchor:
    if isinstance(value, str):
        return Anchor(_text(value, ".anchor"))
    if not isinstance(value, Mapping) or set(value) - {"text", "to", "position", "occurrence", "offset"}:
        raise _invalid(".anchor: a text, or text, to, position, occurrence and offset")
    given = {key: entry for key, entry in value.items() if entry is not None}
    to = _text(given["to"], ".anchor.to") if "to" in given else None
    position = given.get("position", "between" if to else "below")
    if position not in POSITIONS or position == "seal" or (position == "between") != (to is not None):
        raise _invalid(".anchor.position: below, above, left, right, over, or between with to")
    occurrence = given.get("occurrence", -1)
    if isinstance(occurrence, bool) or not isinstance(occurrence, int) or not 0 < abs(occurrence) <= MAX_TEXT:
        raise _invalid(".anchor.occurrence: a number from 1, or -1 for the last")
    return Anchor(_text(given.get("text"), ".anchor.text"), to, position, occurrence, _offset(given, ".anchor"))


def _beside(value: Any) -> Beside:
    if isinstance(value, str):
        return Beside(_text(value, ".beside"))
    if not isinstance(value, Mapping) or set(value) - {"field", "position", "offset"}:
        raise _invalid(".beside: a field's name, or field, position and offset")
    position = value.get("position")
    if position is not None and (position not in POSITIONS or position == "between"):
        raise _invalid(".beside.position: below, above, left, right, over or seal")
    return Beside(_text(value.get("field"), ".beside.field"), position, _offset(value, ".beside"))


def _offset(value: Mapping[str, Any], where: str) -> tuple[float, float]:
    right, up = _numbers(value.get("offset") or (0, 0), 2, f"{where}.offset", _MOST_MM)
    return right, up


__all__ = ["POSITIONS", "TIME_FORMATS", "Anchor", "Beside", "Visible", "parse"]
