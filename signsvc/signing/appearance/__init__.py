"""Visible signatures as Decree 30/2020 wants them: templates, pictures, places."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from signsvc.errors import RequestError
from signsvc.signing.appearance import placement
from signsvc.signing.appearance.layout import Fonts, Stamp
from signsvc.signing.appearance.templates import Frame, Template, Text, builtin
from signsvc.signing.appearance.values import values
from signsvc.signing.model import SignParams
from signsvc.signing.visible import Visible
from signsvc.types import Certificate


def stamp(
    template_id: str, params: SignParams, certificate: Certificate, local: datetime, *, fonts: Fonts | None = None
) -> Stamp:
    """What the signature shows; `local` is the signing time in Vietnam.

    The caller's template goes before `template_id`.  Raises `RequestError`: ``invalid_request`` for an unknown
    template, ``image_missing``, ``image_unusable``, ``appearance_incomplete`` where a value is missing.
    """
    visible = params.visible
    template = template_for(template_id, params)
    found = values(params, certificate, local)
    picture = visible.picture if visible else None
    if visible is not None or template.shown:
        missing = [name for name in template.required if not found.get(name)]
        if missing:
            raise RequestError("appearance_incomplete", template=template.id, value=missing[0])
        if template.image is not None and picture is None:
            raise RequestError("image_missing", template=template.id)
    return Stamp(template, found, fonts or Fonts(), picture if template.image is not None else None, params.flat)


def template_for(template_id: str, params: SignParams) -> Template:
    """The caller's template, or else `template_id`.  Raises `RequestError` (``invalid_request``)."""
    template = builtin().get((params.visible.template if params.visible else None) or template_id)
    if template is None:
        raise RequestError("invalid_request", reason="unknown appearance template")
    return template


def spot(path: Path, params: SignParams, made: Stamp) -> placement.Spot | None:
    """Where `made` stands in the document at `path`; None for an invisible signature or an existing field.

    Raises like `placement.place`.
    """
    visible = params.visible
    if visible is None:
        if not made.template.shown or params.field is not None:
            return None
        visible = Visible()
    elif params.field is not None and visible.rect is None and visible.anchor is None and visible.beside is None:
        return None
    return placement.place(path, visible, made)


def text_stamp(
    lines: tuple[str, ...], *, size: float = 10.0, least: float = 3.0, align: str = "left", frame: bool = False
) -> Stamp:
    """Plain lines for a field of any size, in a thin frame or none."""
    literal = tuple(line.replace("{", "(").replace("}", ")") for line in lines)
    text = Text(literal, size=size, least=least, align=align, inset=4.0 if frame else 1.0)
    frames = (Frame(None, 1.0, (0.75, 0.1, 0.1)),) if frame else ()
    return Stamp(replace(_BLANK, texts=(text,), frames=frames), {})


_BLANK = Template("text", "", "", (70.0, 25.0))

__all__ = ["Fonts", "Stamp", "spot", "stamp", "template_for", "text_stamp"]
