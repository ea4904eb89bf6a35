"""The pictures of an installation: by name, or the one of a credential."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from signsvc.errors import RequestError
from signsvc.formats.pades.pictures import MOST_OCTETS
from signsvc.signing.appearance.templates import builtin
from signsvc.signing.model import SignParams
from signsvc.signing.visible import Visible

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Images:
    """A directory of PNG and JPEG files, and for credentials (by id) a file name and the real width in mm."""

    directory: Path | None = None
    credentials: Mapping[str, tuple[str | None, float | None]] = field(default_factory=dict)

    def supplied(self, params: SignParams, template_id: str, credential: str) -> SignParams:
        """`params` with the picture that its template (or else `template_id`) needs.

        Raises `RequestError`: ``image_missing`` where nobody names one, ``image_not_found``, ``image_unusable``.
        """
        visible = params.visible
        template = builtin().get((visible.template if visible else None) or template_id)
        if template is None or template.image is None or not (visible or template.shown):
            return params
        visible = visible or Visible()
        own, width = self.credentials.get(credential, (None, None))
        if visible.size is None and width is not None:
            visible = replace(visible, size=(width, width))
        if visible.picture is None:
            name = visible.image or own
            if name is None:
                raise RequestError("image_missing", template=template.id)
            visible = replace(visible, picture=self.octets(name))
        return replace(params, visible=visible)

    def octets(self, name: str) -> bytes:
        """The file called `name`.  Raises `RequestError` (``image_not_found``, ``image_unusable``)."""
        if self.directory is None or not _NAME.fullmatch(name):
            raise RequestError("image_not_found")
        return read(self.directory / name)


def read(path: Path) -> bytes:
    """The octets of a picture file.  Raises `RequestError` (``image_not_found``, ``image_unusable``)."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_OCTETS + 1)
    except OSError:
        raise RequestError("image_not_found") from None
    if len(data) > MOST_OCTETS:
        raise RequestError("image_unusable", reason="size")
    return data


__all__ = ["Images", "read"]
