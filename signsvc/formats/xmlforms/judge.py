"""Find a form in a document, and what its signatures cover of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from signsvc.errors import RequestError
from signsvc.formats.xmlforms.definitions import MAX_PATHS, Definition, SignerPlace, absolute, builtin
from signsvc.types import Finding
from signsvc.types.forms import Form, FormDocument, FormSigner

if TYPE_CHECKING:
    from lxml.etree import _Element

_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_MAX_DOCUMENTS = 1_000
_MAX_TEXT = 200
# Times without a zone are Vietnam's.
_VIETNAM = timezone(timedelta(hours=7))


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature for `judge`: its ds:Signature element, and the elements whose whole content its references cover
    with the right digests."""

    id: str
    element: _Element
    nodes: tuple[_Element, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a form says of the signatures, by id: findings, the tax code that the signer must have, the time that the
    signer claims in a signed property.  `document` are findings about the file."""

    form: Form | None = None
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    tax_codes: dict[str, str] = field(default_factory=dict)
    times: dict[str, datetime] = field(default_factory=dict)
    document: tuple[Finding, ...] = ()


def judge(root: _Element, signatures: Sequence[Signed], forms: Sequence[Definition] | None = None) -> Judgement:
    """The form of the document under `root`, if it is a known one, and what its signatures cover.

    Never raises.  Codes: ``form_not_covered``, ``form_element_repeated``, ``form_signer_missing``,
    ``form_signature_elsewhere``, ``form_too_many``.
    """
    times = {one.id: found for one in signatures if (found := _claimed(one)) is not None}
    for definition in builtin() if forms is None else forms:
        elements = [element for path in definition.at for element in _at(root, absolute(path) or ())]
        if elements:
            return _judged(definition, elements, signatures, times)
    return Judgement(times=times)


def demanded(root: _Element, signatures: Sequence[Signed], paths: Iterable[str]) -> tuple[Finding, ...]:
    """Whether every signature covers every element at the absolute `paths` (local names, ``/a/b/c``).

    Findings ``xml_demanded_not_covered`` and ``xml_demanded_missing``, about the signature or the document.  Raises
    `RequestError` (``invalid_request``) for what is no such path.
    """
    found: list[Finding] = []
    for count, path in enumerate(paths, 1):
        steps = absolute(path)
        if steps is None or count > MAX_PATHS or len(path) > _MAX_TEXT:
            raise RequestError("invalid_request", reason="must_cover: paths such as /root/part, local names only")
        elements = list(_at(root, steps))
        if not elements:
            found.append(Finding.of("xml_demanded_missing", path=path))
        for one in signatures:
            nodes = set(one.nodes)
            if elements and not all(_within(element, nodes) for element in elements):
                found.append(Finding.of("xml_demanded_not_covered", subject=one.id, path=path))
    return tuple(found)


def _judged(
    definition: Definition, elements: list[_Element], signatures: Sequence[Signed], times: dict[str, datetime]
) -> Judgement:
    findings: dict[str, list[Finding]] = {one.id: [] for one in signatures}
    tax_codes: dict[str, str] = {}
    document: list[Finding] = []
    if len(elements) > _MAX_DOCUMENTS:
        document.append(Finding.of("form_too_many", count=len(elements), limit=_MAX_DOCUMENTS))
        elements = elements[:_MAX_DOCUMENTS]
    found: list[FormDocument] = []
    parents: dict[_Element, list[Signed]] = {}
    for one in signatures:
        for above in one.element.iterancestors():
            parents.setdefault(above, []).append(one)
    placed: set[str] = set()
    repeated: set[str] = set()
    missing: set[str] = set()
    for element in elements:
        for path in definition.once:
            if len(list(_below(element, path))) > 1 and path not in repeated:
                repeated.add(path)
                document.append(Finding.of("form_element_repeated", path=path))
        signers: list[FormSigner] = []
        for place in definition.signers:
            inside = [one for one in _standing(element, place, parents) if one.id not in placed]
            placed.update(one.id for one in inside)
            if not inside and place.required and place.role not in missing:
                missing.add(place.role)
                document.append(Finding.of("form_signer_missing", role=f"{place.title_vi} / {place.title_en}"))
            code, name = _fact(element, place.tax_code), _fact(element, place.name)
            for one in inside:
                findings[one.id] += _uncovered(element, place, one)
                if code:
                    tax_codes[one.id] = code
            held: list[str | None] = [one.id for one in inside] or [None]
            signers += [FormSigner(place.role, place.title_vi, place.title_en, h, name, code) for h in held]
        facts = ((name, text) for name, path in definition.facts if (text := _fact(element, path)))
        found.append(FormDocument(_numbered(element), tuple(facts), tuple(signers)))
    for one in signatures:
        if one.id not in placed:
            findings[one.id].append(Finding.of("form_signature_elsewhere", subject=one.id))
    form = Form(definition.id, definition.title_vi, definition.title_en, tuple(found))
    return Judgement(
        form, {name: tuple(values) for name, values in findings.items()}, tax_codes, times, tuple(document)
    )


def _standing(element: _Element, place: SignerPlace, parents: dict[_Element, list[Signed]]) -> list[Signed]:
    """The signatures at a place of the document: directly in its element, or anywhere below where it names none."""
    if not place.at:
        above = element.getparent()
        beside = (
            [one for one in parents.get(above, ()) if one.element.getparent() is above] if above is not None else []
        )
        return [*parents.get(element, ()), *beside]
    return [
        one
        for holder in _below(element, place.at)
        for one in parents.get(holder, ())
        if one.element.getparent() is holder
    ]


def _uncovered(element: _Element, place: SignerPlace, one: Signed) -> Iterator[Finding]:
    nodes = set(one.nodes)
    for index, path in enumerate(place.covers):
        wanted = [element] if path == "." else list(_below(element, path))
        # The first has to be there; further ones, such as the authority's code, where the document has them.
        if (not wanted and index == 0) or not all(_within(found, nodes) for found in wanted):
            shown = _local(element) if path == "." else path
            yield Finding.of("form_not_covered", subject=one.id, path=shown)


def _within(element: _Element, nodes: set[_Element]) -> bool:
    """Whether `element` stands under one of `nodes`, and not in a signature there, which transforms may leave out."""
    for one in (element, *element.iterancestors()):
        if one in nodes:
            return True
        if one.tag == f"{_DS}Signature":
            return False
    return False


def _at(root: _Element, steps: Sequence[str]) -> Iterator[_Element]:
    if steps and _local(root) == steps[0]:
        yield from _down(root, steps[1:])


def _below(element: _Element, path: str) -> Iterator[_Element]:
    yield from _down(element, () if path == "." else path.split("/"))


def _down(element: _Element, steps: Sequence[str]) -> Iterator[_Element]:
    if not steps:
        yield element
        return
    for child in element:
        if _local(child) == steps[0]:
            yield from _down(child, steps[1:])


def _local(element: _Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _fact(element: _Element, path: str | None) -> str | None:
    """The text at a path, whole or not at all where the element has children or comments."""
    if path is None:
        return None
    found = next(_below(element, path), None)
    if found is None or len(found):
        return None
    return " ".join((found.text or "").split())[:_MAX_TEXT] or None


def _numbered(element: _Element) -> str:
    steps = []
    for one in (element, *element.iterancestors()):
        same = [other for other in one.itersiblings(preceding=True) if other.tag == one.tag]
        above = one.getparent()
        alone = not same and (above is None or next(one.itersiblings(one.tag), None) is None)
        steps.append(_local(one) if alone else f"{_local(one)}[{len(same) + 1}]")
    return "/" + "/".join(reversed(steps))


def _claimed(one: Signed) -> datetime | None:
    """The SigningTime in a covered Object of the signature itself (SignatureProperties)."""
    nodes = set(one.nodes)
    for child in one.element.iterchildren(f"{_DS}Object"):
        for found in child.iter("{*}SigningTime"):
            if found.tag.startswith("{http://uri.etsi.org/") or len(found) or not _within(found, nodes):
                continue
            try:
                moment = datetime.fromisoformat((found.text or "").strip())
            except ValueError:
                continue
            return (moment if moment.tzinfo else moment.replace(tzinfo=_VIETNAM)).astimezone(UTC)
    return None


__all__ = ["Judgement", "Signed", "demanded", "judge"]
