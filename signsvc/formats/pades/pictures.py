"""Pictures of hand signatures and seals: PNG with transparency, JPEG (ISO 32000-2 §8.9.5, §11.6.5.2).

Foreign octets: they are decoded under caps, in the process that may be lost.
"""

from __future__ import annotations

import functools
import io
import struct
from dataclasses import dataclass
from typing import Any

from signsvc.errors import RequestError
from signsvc.formats.pdf.emit import Indirect, NewObject, NewStream
from signsvc.formats.pdf.objects import Name, PdfBool

MOST_OCTETS = 4 * 1024 * 1024
MOST_PIXELS = 16_000_000
_MOST_SIDE = 1600  # pixels kept: a seal of 45 mm at 900 dpi
_FAINT = 8  # an alpha below is no part of the picture

# sRGB as PDF can say it without a profile, so that PDF/A files of any output intent take it (ISO 32000-2 §8.6.5.3).
RGB: list[NewObject] = [
    Name("CalRGB"),
    {
        "WhitePoint": [0.9505, 1, 1.089],
        "Gamma": [2.2, 2.2, 2.2],
        "Matrix": [0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505],
    },
]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for a form: `transparent` says whether a soft mask is used, `masked` whether a mask of any kind is,
    so that what is behind shows."""

    width: int
    height: int
    transparent: bool
    xobject: Indirect
    masked: bool = False


def is_picture(data: bytes) -> bool:
    """Whether the octets claim to be PNG or JPEG."""
    return data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def picture(data: bytes, *, flat: bool = False) -> Picture:
    """The picture in PNG or JPEG octets; transparent borders are cut off; `flat` makes each point either
    all opaque (on white) or not there, by a mask of one bit, which ISO 19005-1 §6.4 allows.

    Raises `RequestError` (``image_unusable``) for anything else, and for what is too large.
    """
    if not is_picture(data):
        raise RequestError("image_unusable", reason="format")
    width, height = _size(data)
    if len(data) > MOST_OCTETS or width * height > MOST_PIXELS:
        raise RequestError("image_unusable", reason="size")
    if not width or not height:
        raise RequestError("image_unusable", reason="format")
    return _picture(data, flat)


def _size(data: bytes) -> tuple[int, int]:
    """Width and height as the header says, nothing decoded; zeros where there is none."""
    if data.startswith(b"\x89PNG"):
        return struct.unpack(">II", data[16:24]) if len(data) >= 24 else (0, 0)
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header (ITU-T T.81 §B.2.2)
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 1 if marker == 0xFF else 2 + length
    return 0, 0


@functools.lru_cache(maxsize=16)
def _picture(data: bytes, flat: bool) -> Picture:
    from PIL import Image, ImageOps

    try:
        image: Any = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        image.load()
        turned = image.getexif().get(0x0112, 1) != 1
    except Exception:  # noqa: BLE001 - the library raises anything on torn pictures
        raise RequestError("image_unusable", reason="format") from None
    fits = max(image.size) <= _MOST_SIDE
    if image.format == "JPEG" and image.mode in ("L", "RGB") and fits and not turned:
        return _as_it_is(image, data)
    if turned:
        image = ImageOps.exif_transpose(image)
    return _decoded(image, flat)


def _as_it_is(image: Any, data: bytes) -> Picture:
    entries = _entries(image, {"Filter": Name("DCTDecode")})
    return Picture(image.width, image.height, False, Indirect(NewStream(entries, data)))


def _decoded(image: Any, flat: bool) -> Picture:
    from PIL import Image

    image = image.convert("RGBA")
    shown = image.getchannel("A").point(lambda value: 255 if value >= _FAINT else 0).getbbox()
    if shown is None:
        raise RequestError("image_unusable", reason="empty")
    image = image.crop(shown)
    if max(image.size) > _MOST_SIDE:
        image.thumbnail((_MOST_SIDE, _MOST_SIDE), Image.Resampling.LANCZOS)
    alpha = image.getchannel("A")
    transparent = alpha.getextrema()[0] < 255
    if flat and transparent:
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image)
    colours = image.convert("RGB")
    entries: dict[str, Any] = _entries(colours, {})
    if transparent and flat:
        entries["Mask"] = Indirect(_stencil(alpha))
    elif transparent:
        entries["SMask"] = Indirect(NewStream.deflated(_entries(alpha, {}), alpha.tobytes()))
    made = Indirect(NewStream.deflated(entries, colours.tobytes()))
    return Picture(image.width, image.height, transparent and not flat, made, masked=transparent)


def _stencil(alpha: Any) -> NewStream:
    """A mask of one bit: 1 where less than half of a point is there (ISO 32000-2 §8.9.6.3)."""
    bits = alpha.point(lambda value: 255 if value < 128 else 0).convert("1", dither=0)
    entries: dict[str, Any] = {
        "Type": Name("XObject"),
        "Subtype": Name("Image"),
        "Width": alpha.width,
        "Height": alpha.height,
        "ImageMask": PdfBool.TRUE,
        "BitsPerComponent": 1,
    }
    return NewStream.deflated(entries, bits.tobytes())


def _entries(image: Any, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": Name("XObject"),
        "Subtype": Name("Image"),
        "Width": image.width,
        "Height": image.height,
        "ColorSpace": Name("DeviceGray") if image.mode == "L" else RGB,
        "BitsPerComponent": 8,
        **more,
    }


__all__ = ["MOST_OCTETS", "MOST_PIXELS", "RGB", "Picture", "is_picture", "picture"]
