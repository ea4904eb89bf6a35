"""Whether anything that is shown leads to an object."""

from __future__ import annotations

from signsvc.formats.pdf.change_step import Step
from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Ref

_MAX_CLIMB = 20_000  # objects visited upwards from one that no rule explains
_MAX_EXPLORED = 200_000  # objects visited for all steps


def climb(step: Step, number: int, index: int) -> tuple[bool, set[int]]:
    """Whether the trailer of revision `index` leads to object `number`, and the pages on the way.

    The answer is kept for all revisions that leave alone what was looked at; once a document has had its share of
    looking, everything counts as reached.
    """
    usages = step.usages
    tops = {value.num for value in step.document.revisions[index].trailer.values() if isinstance(value, Ref)}
    if number in tops:
        return True, set()
    if _is_page_at(step, number, index):
        return True, {number}
    known = step.unreached.setdefault(index, set())
    if number in known:
        return False, set()
    kept = usages.climbs.get(number)
    if kept is not None and index in kept[0] and kept[1] == tops:
        return kept[2], kept[3]
    if usages.explored > _MAX_EXPLORED:
        return True, set()
    first, stop = 0, len(step.document.revisions)
    pages: set[int] = set()
    pending, seen, reached, met = [number], {number}, False, False
    while pending:
        here = pending.pop()
        if here in tops:
            reached = True
            continue
        if here != number:
            same = usages.steady(here, index)
            first, stop = max(first, same.start), min(stop, same.stop)
            if _is_page_at(step, here, index):
                pages.add(here)
                reached = True
                continue
        span = usages.span(here, index)
        first, stop = max(first, span.start), min(stop, span.stop)
        for user in span.holders:
            if user in known:
                met = True
            elif user not in seen:
                if len(seen) >= _MAX_CLIMB:
                    usages.explored += len(seen)
                    if not met:
                        usages.climbs[number] = range(first, stop), tops, True, pages
                    return True, pages
                seen.add(user)
                pending.append(user)
    usages.explored += len(seen)
    if reached:
        step.explored += len(seen)
    else:
        known |= seen
    if not met:
        usages.climbs[number] = range(first, stop), tops, reached, pages
    return reached, pages


def _is_page_at(step: Step, number: int, index: int) -> bool:
    entry = step.document.entry(number, index)
    if entry is None or not entry.kind:
        return False
    try:
        value = step.document.object_of(number, entry, index)
    except LimitError:
        raise
    except PdfError:
        return False
    return isinstance(value, dict) and value.get("Type") == "Page"


__all__ = ["climb"]
