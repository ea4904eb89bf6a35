"""Whether the pages of a revision stand where its cross-references say.

A program that does not find them there mends the file on its own, each in its own way, and shows what it finds then.
"""

from __future__ import annotations

from signsvc.formats.pdf import PLAIN, Document, LimitError, PdfDict, PdfError, PdfObject, Ref, Revision
from signsvc.formats.pdf.headers import headers
from signsvc.formats.pdf.sections import OBJECT_HEADER

_NODES = 20_000  # page tree nodes looked at in all signed revisions of a document
_PARSED = 64  # of them, those whose contents are looked for as well
_LEAD = 64  # octets of white space before an object
_BLANK = b"\x00\t\n\x0c\r "


class Pages:
    """Looks for the pages of the revisions of one document, each object once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._told: dict[int, bool] = {}
        self._seen: set[tuple[int, int]] = set()
        self._alike: bool | None = None
        self._left = _NODES
        self._parsed = _PARSED

    def stand(self, revision: Revision) -> bool:
        """Whether the catalog, the page tree and the contents of its first pages can be found.  Raises LimitError."""
        if revision.index not in self._told:
            try:
                self._told[revision.index] = self._walk(revision, revision.catalog.get("Pages"))
            except LimitError:
                raise
            except PdfError:
                self._told[revision.index] = False
        return self._told[revision.index]

    def alike(self) -> bool:
        """Whether programs that count offsets from the header, and mend the file since they find nothing there, end at
        the objects that are in force in the newest revision: the last one of each number (ISO 32000-2 annex I)."""
        if self._alike is None:
            self._alike = all(self._in_force(number, offset) for number, offset in self._last_ones().items())
        return self._alike

    def _last_ones(self) -> dict[int, int]:
        buffer = self._document.buffer
        found: dict[int, int] = {}
        for offset in headers(buffer, 0, len(buffer)):
            found[int(bytes(buffer[offset : offset + 11]).split(maxsplit=1)[0])] = offset
        return found

    def _in_force(self, number: int, offset: int) -> bool:
        entry = self._document.last.entry(number)
        if entry is None:
            return False
        if entry.kind != PLAIN or entry.where > offset or offset - entry.where > _LEAD:
            return False
        return not bytes(self._document.buffer[entry.where : offset]).strip(_BLANK)

    def _walk(self, revision: Revision, root: PdfObject) -> bool:
        stack = [root]
        while stack:
            node = stack.pop()
            if isinstance(node, Ref) and not self._found(revision, node):
                return False
            self._left -= 1
            if self._left < 0:
                return True
            # a leaf behind the first ones is not read: that costs more than all the rest
            if self._parsed <= 0 and node is not root:
                continue
            found = revision.dictionary(node)
            if found is None:
                continue
            kids = revision.value(found, "Kids")
            if isinstance(kids, list) and found.get("Type") != "Page":
                stack += [kid for kid in reversed(kids) if not (isinstance(kid, Ref) and self._known(revision, kid))]
                continue
            self._parsed -= 1
            if not all(self._found(revision, ref) for ref in _contents(found)):
                return False
        return True

    def _known(self, revision: Revision, ref: Ref) -> bool:
        entry = revision.entry(ref.num)
        return entry is not None and (ref.num, entry.where) in self._seen

    def _found(self, revision: Revision, ref: Ref) -> bool:
        """Whether the object stands where its entry says; one that the file does not have is null for everybody."""
        entry = revision.entry(ref.num)
        if entry is None or entry.kind != PLAIN or entry.extra != ref.gen:
            return True
        self._seen.add((ref.num, entry.where))
        header = OBJECT_HEADER.search(self._document.buffer, entry.where, entry.where + _LEAD)
        if header is None or (int(header[1]), int(header[2])) != (ref.num, ref.gen):
            return False
        return not bytes(self._document.buffer[entry.where : header.start()]).strip(_BLANK)


def _contents(page: PdfDict) -> list[Ref]:
    written = page.get("Contents")
    listed = written if isinstance(written, list) else [written]
    return [item for item in listed if isinstance(item, Ref)]


__all__ = ["Pages"]
