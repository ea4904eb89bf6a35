"""PDF objects as small immutable values (ISO 32000-2 §7.3).

null            None
boolean         PdfBool.TRUE, PdfBool.FALSE (own type: Python's True equals 1)
integer, real   int, float
name            Name (a str of its octets in Latin-1, ``#xx`` resolved)
string          PdfString (bytes, literal and hexadecimal alike)
array           list     \\  never changed once read: they are shared between revisions
dictionary      dict     /   keys are plain str
stream          Stream
reference       Ref(num, gen)
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, Union

if TYPE_CHECKING:
    import mmap

    from signsvc.formats.pdf.stream import Stream

Buffer: TypeAlias = "bytes | mmap.mmap"


class Name(str):
    """A name without its solidus."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"/{self!s}"


class PdfString(bytes):
    """The octets of a string object."""

    __slots__ = ()

    def text(self) -> str:
        """As a text string: UTF-16 with a mark, UTF-8 with a mark, else PDFDocEncoding read as Latin-1."""
        if self.startswith(b"\xfe\xff"):
            return self[2:].decode("utf-16-be", "replace")
        if self.startswith(b"\xff\xfe"):
            return self[2:].decode("utf-16-le", "replace")
        if self.startswith(b"\xef\xbb\xbf"):
            return self[3:].decode("utf-8", "replace")
        return self.decode("latin-1")


class PdfBool(Enum):
    """true and false."""

    TRUE = True
    FALSE = False

    def __bool__(self) -> bool:
        return bool(self.value)


class Ref(NamedTuple):
    """An indirect reference."""

    num: int
    gen: int


PdfObject: TypeAlias = Union[
    PdfBool, int, float, Name, PdfString, "list[PdfObject]", "dict[str, PdfObject]", "Stream", Ref, None
]
PdfDict: TypeAlias = "dict[str, PdfObject]"

__all__ = ["Buffer", "Name", "PdfBool", "PdfDict", "PdfObject", "PdfString", "Ref"]
