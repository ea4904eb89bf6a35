"""Looking into the objects of pyHanko, or of our own reader: entries resolved and decrypted, or nothing
where the shape is another."""

from __future__ import annotations

from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import IndirectObject

from signsvc.formats.pades.append_view import ArrayView, DictView, Later


def get(holder: Any, key: str, default: Any = None) -> Any:
    """An entry of a dictionary (the plain `get` of pyHanko's dictionaries neither resolves nor decrypts)."""
    return default if holder is None or key not in holder else resolved(holder.raw_get(key))


def resolved(value: Any) -> Any:
    """The object that a reference or a proxy stands for."""
    if isinstance(value, Later):
        return value.resolved()
    if isinstance(value, IndirectObject):
        value = value.get_object()  # type: ignore[no-untyped-call]
    # an object of an encrypted file comes as a proxy that decrypts its strings on request
    return value.decrypted if isinstance(value, generic.DecryptedObjectProxy) else value


def dictionary(value: Any) -> Any:
    """The dictionary that `value` is or refers to, or None."""
    value = resolved(value)
    return value if isinstance(value, generic.DictionaryObject | DictView) else None


def array(value: Any) -> list[Any]:
    """The raw entries of an array, so that each one is resolved only when it is looked at."""
    value = resolved(value)
    if isinstance(value, ArrayView):
        return value.raw()
    return [value.raw_get(i) for i in range(len(value))] if isinstance(value, generic.ArrayObject) else []
