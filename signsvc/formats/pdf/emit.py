"""PDF objects as octets (ISO 32000-2 §7.3), and two types for content that is new.

What is written is plain: names with ``#xx`` where needed, strings without escapes, numbers without exponents, so that
nothing in a value can be taken for anything else in the file.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

from signsvc.formats.pdf.objects import Name, PdfBool, PdfObject, PdfString, Ref
from signsvc.formats.pdf.stream import Stream

# Deeper values are no content that anybody makes; the reader's limit is lower.
MAX_DEPTH = 500

# Regular characters of a name (§7.3.5) and what a literal string may hold so that no reader could stumble.
_ODD = re.compile(rb"[^!\"$&'*+,\-.0-;=?@A-Z\\^_`a-z|~]")
_LITERAL = re.compile(rb"[ !\"#$&'*+,\-.0-;=?@A-Z^_`a-z|~]*")


@dataclass(frozen=True, slots=True, eq=False)
class NewStream:
    """A stream to be written: `entries` without /Length, and its octets as they stand in the file."""

    entries: Mapping[str, NewObject]
    data: bytes

    @classmethod
    def deflated(cls, entries: Mapping[str, NewObject], data: bytes) -> NewStream:
        """A stream of `data` with the Flate filter applied."""
        return cls({**entries, "Filter": Name("FlateDecode")}, zlib.compress(data))


@dataclass(frozen=True, slots=True, eq=False)
class Indirect:
    """`value` as an object of its own; the same instance twice is the same object."""

    value: NewObject


NewObject: TypeAlias = Union[
    PdfObject, NewStream, Indirect, "Sequence[NewObject]", "Mapping[str, NewObject]"
]  # fmt: skip


def serialize(value: NewObject, number: Callable[[Indirect], Ref] | None = None) -> bytes:
    """The octets of `value`; `number` gives an `Indirect` its reference.

    Raises `ValueError` for what cannot be written where it stands (a stream or `Indirect` inside without `number`, a
    number that is not finite, nesting beyond `MAX_DEPTH`) and `TypeError` for what is no PDF object.
    """
    out: list[bytes] = []
    _emit(value, number, out, 0)
    return b"".join(out)


def _emit(value: NewObject, number: Callable[[Indirect], Ref] | None, out: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deep")
    if isinstance(value, Ref):
        out.append(b"%d %d R" % value)
    elif isinstance(value, Name):
        out.append(_name(value))
    elif isinstance(value, PdfString):
        out.append(_string(value))
    elif value is None:
        out.append(b"null")
    elif isinstance(value, PdfBool):
        out.append(b"true" if value else b"false")
    elif type(value) is int:
        out.append(b"%d" % value)
    elif type(value) is float:
        out.append(_real(value))
    elif isinstance(value, Mapping):
        _dictionary(value, number, out, depth)
    elif isinstance(value, list | tuple):
        out.append(b"[")
        for place, item in enumerate(value):
            if place:
                out.append(b" ")
            _emit(item, number, out, depth + 1)
        out.append(b"]")
    elif isinstance(value, Indirect):
        if number is None:
            raise ValueError("an indirect object without a number")
        out.append(b"%d %d R" % number(value))
    elif isinstance(value, NewStream) and not depth:
        entries = {key: entry for key, entry in value.entries.items() if key != "Length"}
        _dictionary({**entries, "Length": len(value.data)}, number, out, depth)
        out += (b"\nstream\n", value.data, b"\nendstream")
    elif isinstance(value, NewStream | Stream):
        raise ValueError("a stream that is no object of its own")
    else:
        raise TypeError(f"no PDF object: {type(value).__name__}")


def _dictionary(
    value: Mapping[str, NewObject], number: Callable[[Indirect], Ref] | None, out: list[bytes], depth: int
) -> None:
    out.append(b"<<")
    for key, entry in value.items():
        out += (_name(key), b" ")
        _emit(entry, number, out, depth + 1)
        out.append(b"\n")
    out.append(b">>")


def _name(name: str) -> bytes:
    return b"/" + _ODD.sub(lambda found: b"#%02X" % ord(found[0]), name.encode("latin-1"))


def _string(value: bytes) -> bytes:
    return b"(%s)" % value if _LITERAL.fullmatch(value) else b"<%s>" % value.hex().encode("ascii")


def _real(value: float) -> bytes:
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    if value.is_integer() and abs(value) < 1e15:
        return b"%d.0" % value
    text = repr(value)
    return (f"{value:.12f}".rstrip("0") if "e" in text else text).encode("ascii")


__all__ = ["Indirect", "NewObject", "NewStream", "serialize"]
