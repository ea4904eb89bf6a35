"""What later revisions did to a signed one: consecutive revisions compared once each, graded by whitelists.

    for change in compare(document, revision.index): change.grade, change.permitted, change.reasons

Only objects that a revision touches are looked at.  Each is judged by its place in the document (catalog, /DSS, form,
page, annotation, structure tree) and everything without a rule is undefined, unless nothing that is shown leads to it.
"""

from __future__ import annotations

from dataclasses import replace

from signsvc.formats.pdf import docmdp
from signsvc.formats.pdf.change_cover import COVERING
from signsvc.formats.pdf.change_pages import MAX_STAMPS
from signsvc.formats.pdf.change_reach import rows_reach_out, streams_reach_out
from signsvc.formats.pdf.change_rules import judge
from signsvc.formats.pdf.change_scan import wheres
from signsvc.formats.pdf.change_step import Notes, Step, dictionary, items
from signsvc.formats.pdf.change_usages import Usages
from signsvc.formats.pdf.docmdp import Restrictions
from signsvc.formats.pdf.document import Document
from signsvc.formats.pdf.limits import LimitError, PdfError, SpentError
from signsvc.formats.pdf.objects import Ref
from signsvc.formats.pdf.xref import PACKED, PLAIN
from signsvc.types import Change, Grade

_MEMO = "changes"
_MAX_OBJECTS = 1_000  # object numbers named in one change
_OTHER_COMMENTS = frozenset({"annotation_added", "annotation_answered", "annotation_overlaps"})


class _Steps:
    """The steps of one document, each judged when it is first asked for."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._usages: Usages | None = None
        self._steps: dict[int, tuple[Notes, tuple[int, ...]]] = {}
        self._restrictions: dict[int, Restrictions] = {}
        self._changes: dict[tuple[int, bool | None, bool], Change] = {}
        self._outward: bool | None = None
        self._hidden: bool | None = None
        self._left = document.limits.changes

    def step(self, index: int) -> tuple[Notes, tuple[int, ...]]:
        """What revision `index` did to the one before it, and the numbers of the objects it touched."""
        found = self._steps.get(index)
        if found is None:
            found = self._steps[index] = self._judged(index)
        return found

    def change(self, index: int, restrictions: Restrictions) -> Change:
        """The step to revision `index` as signatures under `restrictions` see it."""
        notes, touched = self.step(index)
        permitted = restrictions.permit(notes)
        stamps = _only_stamps(notes, restrictions) if permitted is False else ()
        found = self._changes.get((index, permitted, bool(stamps)))
        if found is None:
            found = self._changes[index, permitted, bool(stamps)] = Change(
                revision=index + 1,
                grade=notes.grade,
                objects=touched,
                pages=tuple(sorted(notes.pages)),
                fields=tuple(notes.fields),
                reasons=tuple(notes.reasons),
                permitted=permitted,
                details=tuple(
                    (reason, "places", "; ".join(notes.covered)) for reason in COVERING if reason in notes.reasons
                ),
                stamps=stamps,
            )
        return found

    def spend(self, count: int) -> None:
        """Account for `count` changes that are told of one signature.  Raises LimitError."""
        self._left -= count
        if self._left < 0:
            raise LimitError("changes")

    def _reaches_out(self) -> bool:
        """Whether some revision reaches for octets that were added to the file later."""
        if self._outward is None:
            self._outward = rows_reach_out(self._document) or streams_reach_out(self._document)
        return self._outward

    def _hides_objects(self) -> bool:
        """Whether objects stand in an object stream that cannot be read here: what they refer to is not known, and
        other programs may find it."""
        if self._hidden is None:
            document = self._document
            holders = {
                (number, holder): revision.index
                for revision in document.revisions
                for number in dict.fromkeys(wheres(revision, PACKED))
                if (holder := document.entry(number, revision.index)) is not None and holder.kind == PLAIN
            }
            self._hidden = not all(self._decodes(number, at) for (number, _), at in holders.items())
        return self._hidden

    def _decodes(self, number: int, index: int) -> bool:
        try:
            self._document.object_stream(number, index)
        except LimitError:
            raise
        except PdfError:
            return False
        return True

    def _judged(self, index: int) -> tuple[Notes, tuple[int, ...]]:
        try:
            step = Step(self._document, index, self._find_usages())
            judge(step)
            if self._reaches_out():
                step.refuse("object_beyond_revision")
            if self._hides_objects():
                step.refuse("object_unreadable")
        except LimitError:
            raise
        except SpentError:
            return Notes(Grade.UNDEFINED, {"changes_not_compared": None}), ()
        except PdfError:
            return Notes(Grade.UNDEFINED, {"revision_unreadable": None}), ()
        touched = sorted((*step.added, *step.changed, *step.freed))
        return step.notes, tuple(touched[:_MAX_OBJECTS])

    def _find_usages(self) -> Usages:
        if self._usages is None:
            document = self._document
            interest = {number for revision in document.revisions for number in revision.touched}
            roots = {revision.root.num for revision in document.revisions if revision.root is not None}
            self._usages = Usages(document, interest | roots | _number_tree(document))
        return self._usages

    def restrictions(self, index: int) -> Restrictions:
        """What the signatures in revision `index` and before forbid afterwards."""
        start = index
        while start and start not in self._restrictions:
            start -= 1
        document = self._document
        if start not in self._restrictions:
            self._restrictions[start] = docmdp.of_revision(document.revisions[start])
        for at in range(start + 1, index + 1):
            notes, _ = self.step(at)
            revision = document.revisions[at]
            # where a step is undefined its new signatures are not all known
            found = docmdp.of_revision(revision) if notes.grade is Grade.UNDEFINED else Restrictions()
            found = found.tightened(docmdp.of_signatures(revision, notes.signatures))
            self._restrictions[at] = self._restrictions[at - 1].tightened(found)
        return self._restrictions[index]


def _only_stamps(notes: Notes, restrictions: Restrictions) -> tuple[tuple[int | None, float | None], ...]:
    """The added stamps and text boxes, where they are the only comments and nothing else goes too far."""
    if notes.grade is not Grade.ANNOTATION or notes.reasons.keys() & _OTHER_COMMENTS or len(notes.stamps) > MAX_STAMPS:
        return ()
    return tuple(notes.stamps) if restrictions.permit(replace(notes, grade=Grade.FORM_OR_SIGNATURE)) else ()


def _number_tree(document: Document) -> set[int]:
    """The upper nodes of /ParentTree: where a lower one changes, who refers to these is asked as well."""
    found: set[int] = set()
    for revision in (document.revisions[0], document.revisions[-1]):
        catalog = dictionary(revision, revision.trailer.get("Root")) or {}
        tree = (dictionary(revision, catalog.get("StructTreeRoot")) or {}).get("ParentTree")
        kids = items(revision, (dictionary(revision, tree) or {}).get("Kids"))[:_MAX_OBJECTS]
        found.update(node.num for node in (tree, *kids) if isinstance(node, Ref))
    return found


def compare(document: Document, index: int) -> tuple[Change, ...]:
    """The changes of each revision after revision `index` (from 0), oldest first.

    `permitted` judges each against DocMDP, FieldMDP and locks of the signatures up to revision `index`.  The work is
    kept on the document: signatures of one document share it.  Raises LimitError.
    """
    steps = document.memo.get(_MEMO)
    if not isinstance(steps, _Steps):
        steps = document.memo[_MEMO] = _Steps(document)
    later = range(index + 1, len(document.revisions))
    if not later:
        return ()
    steps.spend(len(later))
    restrictions = steps.restrictions(index)
    return tuple(steps.change(at, restrictions) for at in later)


__all__ = ["compare"]
