"""One step between consecutive revisions: what it touches, and what is noted about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from signsvc.formats.pdf.change_usages import Usages, User
from signsvc.formats.pdf.document import Document, Revision
from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Name, PdfBool, PdfDict, PdfObject, PdfString, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.formats.pdf.xref import FREE, PLAIN, Entry
from signsvc.types import Grade

_ORDER = {grade: place for place, grade in enumerate(Grade)}
# Pairs of values compared in one object: far above any page, field or array, and no way to spend an hour.
_MAX_PAIRS = 200_000
_MAX_FIELDS = 1_000  # names and numbers named in one change
_RESOURCES = frozenset(
    {"XObject", "Font", "ExtGState", "Pattern", "Shading", "ColorSpace", "Properties", "CharProcs", "N", "R", "D"}
)
_MAX_PARENTS = 64
_ROUNDED = 2.0**-23  # of a number: the place of its last bit


@dataclass(frozen=True, slots=True)
class NewSignature:
    """A signature that a step puts into a field."""

    name: str
    field: PdfDict
    value: PdfDict


@dataclass(slots=True)
class Notes:
    """What is known of a step so far."""

    grade: Grade = Grade.EXTENSION
    reasons: dict[str, None] = field(default_factory=dict)
    pages: set[int] = field(default_factory=set)
    fields: dict[str, None] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)  # fields whose locks count
    signatures: list[NewSignature] = field(default_factory=list)
    covered: list[str] = field(default_factory=list)  # pages with the rectangles that something may hide
    stamps: list[tuple[int | None, float | None]] = field(default_factory=list)  # see `Change.stamps`


class Step:
    """The change from `old` to `new`, the revision after it.

    `added`, `changed` and `freed` are the object numbers that mean something else afterwards; `changed` holds only
    objects whose values differ.
    """

    def __init__(self, document: Document, index: int, usages: Usages) -> None:
        self.document = document
        self.old: Revision = document.revisions[index - 1]
        self.new: Revision = document.revisions[index]
        self.usages = usages
        self.notes = Notes()
        self.added: dict[int, Entry] = {}
        self.changed: dict[int, tuple[PdfObject, PdfObject]] = {}
        self.freed: list[int] = []
        self.explained: set[int] = set()
        self.new_widgets: set[int] = set()
        self.unreached: dict[int, set[int]] = {}  # by revision index: objects that the trailer does not lead to
        self.explored = 0
        self._read()

    def _read(self) -> None:
        document, index = self.document, self.new.index
        for number in self.new.touched:
            after = self.new.own_entry(number)
            before = document.entry(number, index - 1)
            if after is None or after == before:
                continue
            if before is None or before.kind == FREE:
                if after.kind != FREE:
                    self.added[number] = after
            elif after.kind == FREE:
                self.freed.append(number)
            else:
                self._replaced(number, before, after)

    def _replaced(self, number: int, before: Entry, after: Entry) -> None:
        old = self._object(number, before, self.old.index)
        new = self._object(number, after, self.new.index)
        gens = [entry.extra if entry.kind == PLAIN else 0 for entry in (before, after)]
        if gens[0] != gens[1]:
            self.changed[number] = (old, None)
        elif not self.same(old, new):
            self.changed[number] = (old, new)

    def _object(self, number: int, entry: Entry, index: int) -> PdfObject:
        try:
            return self.document.object_of(number, entry, index)
        except LimitError:
            raise
        except PdfError:
            return None

    # notes

    def note(
        self, grade: Grade, reason: str | None = None, *, field: str | None = None, page: int | None = None
    ) -> None:
        """Record that the step does something of `grade`."""
        notes = self.notes
        if _ORDER[grade] > _ORDER[notes.grade]:
            notes.grade = grade
        if reason:
            notes.reasons[reason] = None
        if field is not None and len(notes.fields) < _MAX_FIELDS:
            notes.fields[field] = None
        if page is not None and len(notes.pages) < _MAX_FIELDS:
            notes.pages.add(page)

    def refuse(self, reason: str, *, field: str | None = None, page: int | None = None) -> None:
        """Record an undefined change."""
        self.note(Grade.UNDEFINED, reason, field=field, page=page)

    # values

    def spend(self, count: int) -> None:
        """Account for `count` values compared.  Raises SpentError where the document has had its share."""
        self.usages.spend(count)

    def same(self, old: PdfObject, new: PdfObject) -> bool:
        """Whether the values are equal in PDF terms, `old` read in the old revision and `new` in the new one.

        Equal references are equal: the object behind them is judged by itself.  Direct or indirect, integer or real,
        literal or hexadecimal make no difference.  Raises SpentError.
        """
        if old is new:
            return True
        self.spend(1)
        allowed = min(_MAX_PAIRS, self.usages.left)
        result, left = self._same(old, new, allowed)
        self.spend(allowed - left)
        return result

    def _same(self, old: PdfObject, new: PdfObject, left: int) -> tuple[bool, int]:
        """The answer and what is left of `left` pairs that may be looked at."""
        stack: list[tuple[PdfObject, PdfObject]] = [(old, new)]
        seen: set[tuple[Ref, Ref]] = set()
        while stack:
            a, b = stack.pop()
            left -= 1
            if left < 0:
                return False, left
            if a is b:
                continue
            if isinstance(a, Ref) or isinstance(b, Ref):
                if a == b:
                    continue
                if isinstance(a, Ref) and isinstance(b, Ref):
                    if (a, b) in seen:
                        continue
                    seen.add((a, b))
                one, other = self.before(a), self.after(b)
                if (one is None and isinstance(a, Ref)) or (other is None and isinstance(b, Ref)):
                    return False, left  # leads nowhere here, but elsewhere perhaps to what another program can read
                stack.append((one, other))
            elif isinstance(a, Stream) or isinstance(b, Stream):
                if not (isinstance(a, Stream) and isinstance(b, Stream)):
                    return False, left
                if a.start != b.start:
                    if not _same_octets(a, b):
                        return False, left
                    stack.append((a.dictionary, b.dictionary))
            elif isinstance(a, dict) and isinstance(b, dict):
                if any(b.get(key) is not None for key in b.keys() - a.keys()):
                    return False, left
                stack.extend((value, b.get(key)) for key, value in a.items())
            elif isinstance(a, list) and isinstance(b, list):
                if len(a) != len(b):
                    return False, left
                if _equal_references(a, b):
                    left -= len(a) // 16
                    continue
                stack.extend(zip(a, b, strict=True))
            elif not _same_atom(a, b):
                return False, left
        return True, left

    def before(self, value: PdfObject) -> PdfObject:
        """`value` resolved in the old revision; None where that fails."""
        return resolved(self.old, value)

    def after(self, value: PdfObject) -> PdfObject:
        """`value` resolved in the new revision; None where that fails."""
        return resolved(self.new, value)

    def differing(self, old: PdfDict, new: PdfDict) -> set[str]:
        """The keys whose values differ."""
        return {key for key in old.keys() | new.keys() if not self.same(old.get(key), new.get(key))}

    def fresh(self, value: PdfObject) -> bool:
        """Whether `value` is direct or refers to an object that this revision defines for the first time."""
        return not isinstance(value, Ref) or value.num in self.added

    def users(self, number: int) -> list[User]:
        """Who refers to `number` in the old revision."""
        return self.usages.of(number, self.old.index)

    def named(self, number: int) -> bool:
        """Whether something of the old revision takes the entries of `number` for named resources or appearances, to
        which any key may mean anything."""
        return any(user.path[-1:] == () or user.path[-1] in _RESOURCES for user in self.users(number))

    def sole_user(self, number: int) -> User | None:
        """The only reference to `number` in the old revision; None where there is none or another one."""
        found = self.users(number)
        return found[0] if len(found) == 1 else None


def items(revision: Revision, value: PdfObject) -> list[PdfObject]:
    """`value` as an array in `revision`, empty where it is none."""
    found = resolved(revision, value)
    return found if isinstance(found, list) else []


def dictionary(revision: Revision, value: PdfObject) -> PdfDict | None:
    """`value` as a dictionary (no stream) in `revision`."""
    found = resolved(revision, value)
    return found if isinstance(found, dict) else None


def inherited(revision: Revision, node: PdfDict, key: str) -> PdfObject:
    """The value of `key` in a field or in what it names as its parents."""
    for found in parents(revision, node):
        if key in found:
            return resolved(revision, found[key])
    return None


def parents(revision: Revision, node: PdfDict) -> Iterator[PdfDict]:
    """`node`, its parent and so on."""
    found: PdfDict | None = node
    for _ in range(_MAX_PARENTS):
        if found is None:
            return
        yield found
        if "Parent" not in found:
            return
        found = dictionary(revision, found["Parent"])


def full_name(revision: Revision, node: PdfDict) -> str:
    """The qualified name of a field."""
    titles = [resolved(revision, found.get("T")) for found in parents(revision, node)]
    parts = [title.text() for title in titles if isinstance(title, PdfString)]
    return ".".join(reversed(parts))[:512]


def resolved(revision: Revision, value: PdfObject) -> PdfObject:
    """`value` followed to its object in `revision`; None where that fails.  Raises LimitError."""
    if type(value) is not Ref:
        return value
    try:
        return revision.resolve(value)
    except LimitError:
        raise
    except PdfError:
        return None


def _equal_references(a: list[PdfObject], b: list[PdfObject]) -> bool:
    """Whether both arrays hold the same references and nothing else, told at the speed of comparing lists."""
    return len(a) > 8 and type(a[0]) is Ref and set(map(type, a)) == set(map(type, b)) == {Ref} and a == b


def _same_octets(a: Stream, b: Stream) -> bool:
    try:
        return a.raw() == b.raw()
    except LimitError:
        raise
    except PdfError:
        return False


def _same_atom(a: PdfObject, b: PdfObject) -> bool:
    if isinstance(a, PdfBool) or isinstance(b, PdfBool) or a is None or b is None:
        return a is b
    if isinstance(a, Name) or isinstance(b, Name):
        return type(a) is type(b) and a == b
    if isinstance(a, PdfString) or isinstance(b, PdfString):
        return type(a) is type(b) and a == b
    if not (isinstance(a, int | float) and isinstance(b, int | float)):
        return False
    # writers that keep numbers in 32 bits round those they write again
    return a == b or (not (isinstance(a, int) and isinstance(b, int)) and abs(a - b) <= _ROUNDED * abs(a))


__all__ = ["NewSignature", "Notes", "Step", "dictionary", "full_name", "inherited", "items", "parents", "resolved"]
