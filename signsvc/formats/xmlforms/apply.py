"""Put what the form of a document says into the view of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from signsvc.formats import xmlsig
from signsvc.formats.xmlforms.judge import Signed, demanded, judge
from signsvc.formats.xmlsig.references import ReferenceError_, locate
from signsvc.formats.xmlsig.structure import StructureError, parts
from signsvc.types import DocumentView, SignatureView


def apply(document: xmlsig.Document, view: DocumentView, must_cover: Sequence[str] = ()) -> DocumentView:
    """`view` with the form of the document, if it is a known one, and with findings where a signature does not cover
    what the form or the caller (`must_cover`: paths such as ``/a/b``) wants.

    The signatures of `view` are those of `document` in its order.  Raises `RequestError` (``invalid_request``) for
    what is no path.
    """
    pairs = list(zip(document.signatures, view.signatures, strict=False))
    signed = [_signed(document, element, one) for element, one in pairs]
    found = judge(document.root, signed)
    wanted = demanded(document.root, signed, must_cover)
    signatures = tuple(
        replace(
            one,
            claimed_time=one.claimed_time or found.times.get(one.id),
            tax_code=found.tax_codes.get(one.id),
            findings=(
                *(f for f in one.findings if found.form is None or f.code != "xml_signature_covers_part"),
                *found.findings.get(one.id, ()),
                *(f for f in wanted if f.subject == one.id),
            ),
        )
        for one in view.signatures
    )
    about = (*view.findings, *found.document, *(f for f in wanted if not f.subject))
    return replace(view, signatures=signatures, form=found.form, findings=about)


def _signed(document: xmlsig.Document, element: Any, view: SignatureView) -> Signed:
    """The elements that the references of a signature cover, as far as their digests were found right."""
    right = {one.uri for one in view.covered if one.matches and one.kind in ("document", "element", "object")}
    wrong = {one.uri for one in view.covered if not one.matches}
    nodes: list[Any] = []
    try:
        for part in parts(element, references=document.limits.references).references:
            uri = part.uri or None
            if part.uri is None or uri not in right or uri in wrong or (uri and not uri.startswith("#")):
                continue
            try:
                place = locate(document, element, part, (), None)
            except ReferenceError_:
                continue
            nodes.append(document.root if place.whole else place.node)
    except StructureError:
        return Signed(view.id, element, ())
    return Signed(view.id, element, tuple(nodes))


__all__ = ["apply"]
