"""Documents of our own reader in the shape in which the gate looks at them (`write_access`): one gate for both
writers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signsvc.formats.pdf import Document, PdfDict, PdfObject, PdfString, Ref, Revision, Stream
from signsvc.formats.pdf.objects import Name, PdfBool


@dataclass(frozen=True, slots=True)
class Later:
    """A reference that is followed when somebody looks."""

    revision: Revision
    ref: Ref

    def resolved(self) -> Any:
        """What it refers to.  Raises PdfError."""
        return viewed(self.revision, self.revision.resolve(self.ref), self.ref)


@dataclass(frozen=True, slots=True, eq=False)
class DictView:
    """A dictionary whose keys begin with a solidus; `container_ref` where it is an object of its own."""

    revision: Revision
    entries: PdfDict
    container_ref: Ref | None = None

    def __contains__(self, key: str) -> bool:
        return key[1:] in self.entries

    def __iter__(self) -> Any:
        return iter(f"/{key}" for key in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def raw_get(self, key: str) -> Any:
        """The entry as written.  Raises KeyError."""
        return viewed(self.revision, self.entries[key[1:]])


@dataclass(frozen=True, slots=True, eq=False)
class ArrayView:
    """An array."""

    revision: Revision
    items: list[PdfObject]

    def raw(self) -> list[Any]:
        """The entries as written."""
        return [viewed(self.revision, item) for item in self.items]


def viewed(revision: Revision, value: PdfObject, ref: Ref | None = None) -> Any:
    """`value` as text, number, truth value, or view."""
    if isinstance(value, Ref):
        return Later(revision, value)
    if isinstance(value, Stream):
        return DictView(revision, value.dictionary, ref)
    if isinstance(value, dict):
        return DictView(revision, value, ref)
    if isinstance(value, list):
        return ArrayView(revision, value)
    if isinstance(value, Name):
        return f"/{value!s}"
    if isinstance(value, PdfString):
        return value.text()
    return bool(value) if isinstance(value, PdfBool) else value


class OwnWriter:
    """What stands in the place of a pyHanko writer for a document that our own writer updates."""

    security_handler = None

    def __init__(self, document: Document) -> None:
        self.document = document

    @property
    def root(self) -> DictView:
        """The catalog.  Raises PdfError."""
        revision = self.document.last
        return DictView(revision, revision.catalog, revision.root)


__all__ = ["ArrayView", "DictView", "Later", "OwnWriter"]
