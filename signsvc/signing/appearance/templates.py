"""Templates of visible signatures: TOML files of this package (`templates/`), lengths in millimetres."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any, TypeVar

Box = tuple[float, float, float, float]
Color = tuple[float, float, float]
_BLACK: Color = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs in `box` (left, bottom, right, top; None: all), `inset` points from its edges.

    The size falls from `size` to `least` points until all fits.  A line with an empty value is left out.
    """

    lines: tuple[str, ...]
    box: Box | None = None
    inset: float = 0.0
    size: float = 10.0
    least: float = 10.0
    leading: float = 1.2
    align: str = "left"  # left, center, right
    valign: str = "center"  # top, center
    italic: bool = False
    color: Color = _BLACK


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line of `width` points."""

    start: tuple[float, float]
    end: tuple[float, float]
    width: float = 0.5
    color: Color = _BLACK


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle of `width` points around `box` (None: all)."""

    box: Box | None = None
    width: float = 0.5
    color: Color = _BLACK


@dataclass(frozen=True, slots=True)
class Image:
    """The signer's picture, as large as `box` (None: all) allows; `transparent` wants one with a transparent ground."""

    box: Box | None = None
    transparent: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """One way to show a signature.

    `shown`: never invisible.  `grows`: the height goes by the lines.  `hug`: the shape goes by the picture.  `place`:
    ``top-right`` of page 1, `margin` from its edges; empty where somebody has to say.  `beside`: the position by
    another signature's field.  `required`: values that must not be empty.  `fields`: text fields of a document that
    take what it shows.
    """

    id: str
    title_vi: str
    title_en: str
    size: tuple[float, float]
    shown: bool = False
    grows: bool = False
    hug: bool = False
    place: str = ""
    margin: tuple[float, float] = (10.0, 10.0)
    beside: str = "right"
    required: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    texts: tuple[Text, ...] = ()
    rules: tuple[Line, ...] = ()
    frames: tuple[Frame, ...] = ()
    image: Image | None = None


T = TypeVar("T")


def _made(kind: type[T], table: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    names = {"from": "start", "to": "end"}
    values = {names.get(key, key): tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    if set(values) - known:
        raise ValueError(min(set(values) - known))
    return kind(**values)


def parse(text: str) -> Template:
    """The template in a TOML document.  Raises `ValueError`, `TypeError`."""
    table = tomllib.loads(text)
    return _made(
        Template,
        {
            **{key: value for key, value in table.items() if key not in ("text", "line", "frame", "image")},
            "texts": [_made(Text, one) for one in table.get("text", ())],
            "rules": [_made(Line, one) for one in table.get("line", ())],
            "frames": [_made(Frame, one) for one in table.get("frame", ())],
            "image": _made(Image, table["image"]) if "image" in table else None,
        },
    )


@functools.cache
def builtin() -> Mapping[str, Template]:
    """The templates shipped with the package, by id."""
    directory = resources.files(__package__) / "templates"
    found = [parse(entry.read_text("utf-8")) for entry in directory.iterdir() if entry.name.endswith(".toml")]
    return {template.id: template for template in sorted(found, key=lambda template: template.id)}


__all__ = ["Frame", "Image", "Line", "Template", "Text", "builtin", "parse"]
