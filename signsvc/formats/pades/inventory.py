"""All signature dictionaries of a file, joined with the fields that hold them."""

from __future__ import annotations

from collections.abc import Iterable

from signsvc.formats.pades import details, fields
from signsvc.formats.pades.dictionaries import SignatureDictionary, gone, of_field, scan, trace
from signsvc.formats.pades.fields import FieldTree, SignatureField, Visits
from signsvc.formats.pdf import Document, LimitError, PdfObject, Ref, Revision
from signsvc.types import Finding


class Inventory:
    """`dictionaries` in file order; `empty` the names of signature fields without a value in the newest revision.

    A dictionary that a later revision writes again with the same range is not another signature: the first one stays,
    marked `replaced` where the later one differs.  One that no field of the newest revision holds is looked for in the
    fields of its own revision: it was `removed`, or stands in no field at all (`orphan`).
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = []
        self._trees: dict[int, FieldTree] = {}
        self._held: dict[int, dict[tuple[int | None, int], SignatureField]] = {}
        self._values: dict[tuple[int, Ref], SignatureDictionary | None] = {}
        self._visits = Visits(document.limits.fields)
        self._found: dict[int | None, list[SignatureDictionary]] = {}  # by object number
        for source in scan(document):
            self._found.setdefault(source.num, []).append(source)
        empty: list[str] = []
        dangling: list[SignatureDictionary] = []
        if document.revisions:
            tree = self._tree(document.last)
            if tree.repeated:
                self.findings.append(Finding.of("field_listed_twice"))
            if tree.broken:
                self.findings.append(Finding.of("field_tree_unreadable"))
            for item in tree.fields:
                held = self._join(document.last, item)
                lost = gone(document.last, item) if held is None else None
                if lost is not None:
                    dangling.append(lost)
                elif held is None:
                    empty.append(item.name)
                else:
                    held.fields.append(item)
        found = _merged(source for sources in self._found.values() for source in sources)
        if len(found) > document.limits.signatures:
            raise LimitError("signatures")
        if document.revisions:
            found = [source for source in found if source.fields or self._claims(source)]
            # a signature that was taken out is known by its own dictionary
            taken = {shown.name for source in found for shown in source.fields}
            found += [lost for lost in dangling if lost.fields[0].name not in taken]
            torn = trace(document)
            if torn is not None and all(source.offset < (document.trailing or 0) for source in found):
                found.append(torn)
        self.dictionaries = tuple(sorted(found, key=_place))
        self.empty = tuple(empty)

    def _tree(self, revision: Revision) -> FieldTree:
        if revision.index not in self._trees:
            self._trees[revision.index] = fields.walk(revision, self._visits)
        return self._trees[revision.index]

    def _value(self, revision: Revision, item: SignatureField) -> SignatureDictionary | None:
        """What `item` holds in `revision`; many fields may name the same object."""
        value = item.value
        if not isinstance(value, Ref):
            return of_field(self.document, revision, item) if value is not None else None
        key = (revision.index, value)
        if key not in self._values:
            self._values[key] = of_field(self.document, revision, item)
        return self._values[key]

    def _join(self, revision: Revision, item: SignatureField) -> SignatureDictionary | None:
        """The dictionary that `item` holds: one that was found already, or a new one that is added."""
        own = self._value(revision, item)
        if own is None:
            return None
        if own.num is None and item.ref is not None:
            # written in the field itself
            same = [s for s in self._found.get(item.ref.num, ()) if s.dictionary == own.dictionary]
        else:
            same = [s for s in self._found.get(own.num, ()) if s.offset == own.offset]
        if same:
            return same[0]
        self._found.setdefault(own.num, []).append(own)
        return own

    def _holders(self, revision: Revision) -> dict[tuple[int | None, int], SignatureField]:
        """The fields of `revision` by number and offset of the dictionary they hold."""
        if revision.index not in self._held:
            found: dict[tuple[int | None, int], SignatureField] = {}
            for item in self._tree(revision).fields:
                own = self._value(revision, item)
                if own is not None:
                    holder = item.ref.num if own.num is None and item.ref else own.num
                    found.setdefault((holder, own.offset), item)
            self._held[revision.index] = found
        return self._held[revision.index]

    def _claims(self, source: SignatureDictionary) -> bool:
        """Whether a dictionary in no field of the newest revision is a signature; says where it belonged."""
        if source.forgotten:
            source.removed = self.document.trailing is None  # else it stands, or stood, in what was added
            source.orphan = not source.removed
            return True
        revision = self.document.revisions[source.defined[0]] if source.defined else self.document.last
        holders = self._holders(revision)
        holder = holders.get((source.num, source.offset)) or holders.get((source.num, -1))
        # what a field holds and cannot be read is found twice: by the field and by its octets
        known = not source.readable and any(other.fields for other in self._found.get(source.num, ()))
        if holder is not None and not known:
            source.fields.append(holder)
            source.removed = True
            return True
        if not source.readable:
            return False  # an object that no field ever held and that cannot be read is nothing
        methods = details.transforms(revision, source.dictionary)
        if "UR" in methods or "UR3" in methods:
            self.findings.append(Finding.of("usage_rights_signature"))
            return False
        source.orphan = True
        return True


def _merged(found: Iterable[SignatureDictionary]) -> list[SignatureDictionary]:
    kept: dict[tuple[int, object], SignatureDictionary] = {}
    result: list[SignatureDictionary] = []
    for source in sorted(found, key=_place):
        key = (source.num, _frozen(source.dictionary.get("ByteRange"))) if source.num is not None else None
        first = kept.get(key) if key is not None else None
        if first is None or not source.readable:
            if key is not None:
                kept[key] = source
            result.append(source)
            continue
        first.fields.extend(source.fields)
        if source.dictionary != first.dictionary:
            first.replaced = True
        else:
            first.defined = (*first.defined, *source.defined)
    return result


def _frozen(value: PdfObject) -> object:
    return tuple(map(str, value)) if isinstance(value, list) else str(value)


def _place(source: SignatureDictionary) -> tuple[int, int]:
    return source.offset if source.offset >= 0 else 1 << 62, source.num or 0


__all__ = ["Inventory"]
