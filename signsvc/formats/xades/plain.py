"""Making XML signatures without XAdES over elements with an Id, as e-invoices and school records have them.

The time of signing stands in an Object of the signature (SignatureProperties) that a second reference covers
(Circular 78/2021/TT-BTC; XML Signature 1.1 §5.2).  What stands in the document already keeps its octets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any

from signsvc.errors import DocumentError, RequestError
from signsvc.formats import xmlsig
from signsvc.formats.xades import elements, insert, nodes
from signsvc.formats.xades.places import around, at
from signsvc.formats.xades.source import Source
from signsvc.formats.xades.write import Prepared, XmlPlan, coordinate, new_id
from signsvc.formats.xmlsig import references, structure
from signsvc.formats.xmlsig.names import C14N, ENVELOPED, EXCLUSIVE

# Such times are Vietnam's and have no zone in them.
_VIETNAM = timezone(timedelta(hours=7))


@dataclass(frozen=True, slots=True)
class PlainSpec:
    """Where the signature goes and what it covers.

    `place` is the path (``/HDon/DSCKS/NBan``, local names; ``.`` is the document element) of the element that holds
    it, made where only the last step is missing.  `references` are Ids; of the elements at the paths in `covers` the Id
    is looked up.  `exclusive`: exclusive canonicalisation in place of Canonical XML 1.0.  `digest` is hashlib's name
    (None: that of the signature algorithm).
    """

    place: str = "."
    references: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    exclusive: bool = False
    digest: str | None = None


def prepare(data: bytes, plan: XmlPlan, spec: PlainSpec) -> Prepared:
    """A signature in the document `data`, ready but for its value; `write.complete` puts that in.

    Raises `DocumentError`: ``xml_path_not_found`` where not exactly one element stands at a path, ``xml_id_missing``
    where it has no Id; `RequestError`: ``xml_element_not_found`` where an Id is not that of exactly one element,
    ``invalid_request`` where nothing is to be covered; `ValueError` for an algorithm without XML identifier.
    """
    document = xmlsig.parse(data)
    source = Source.of(data)
    identifiers = dict.fromkeys((*spec.references, *(_id_at(document.root, path) for path in spec.covers)))
    if not identifiers:
        raise RequestError("invalid_request", reason="nothing to sign")
    for identifier in identifiers:
        insert.element(document, identifier)
    before, after = around(source, document.root, spec.place)
    name = new_id()
    digest = spec.digest or plan.algorithm.digest or "sha256"
    size = hashlib.new(digest).digest_size
    head, tail = _text(name, plan, spec, digest, tuple(identifiers), [bytes(size)] * (len(identifiers) + 1))
    written, element = _placed(source, before, head, tail, after, name)
    values = [_digest(written, element, one, digest) for one in nodes.named(_info(element), "Reference")]
    head, tail = _text(name, plan, spec, digest, tuple(identifiers), values)
    final, element = _placed(source, before, head, tail, after, name)
    octets = xmlsig.canonicalize(final, _info(element), _canonical(spec))
    begun = source.written(before, source.encoded(head))
    file = source.written(before, source.encoded(head), source.encoded(tail), after)
    return Prepared(octets, file, name, len(begun), source.codec or "ascii", coordinate(plan))


def _text(
    name: str, plan: XmlPlan, spec: PlainSpec, digest: str, identifiers: Sequence[str], values: Sequence[bytes]
) -> tuple[str, str]:
    """The ds:Signature element up to its value, and from there on; its namespace is the default one."""
    algorithms = (ENVELOPED, *((EXCLUSIVE,) if spec.exclusive else ()))
    own = (_canonical(spec),)
    said = [(one, algorithms) for one in identifiers] + [(f"{name}-time", own)]
    listed = "".join(
        f'<Reference URI="#{elements.escaped(one)}"><Transforms>'
        + "".join(f'<Transform Algorithm="{transform}"></Transform>' for transform in transforms)
        + f'</Transforms><DigestMethod Algorithm="{elements.digest_uri(digest)}"></DigestMethod>'
        f"<DigestValue>{elements.base64_text(value)}</DigestValue></Reference>"
        for (one, transforms), value in zip(said, values, strict=True)
    )
    certificates = "".join(
        f"<X509Certificate>{elements.base64_text(one.der)}</X509Certificate>" for one in (plan.certificate, *plan.chain)
    )
    moment = f"{plan.signing_time.astimezone(_VIETNAM):%Y-%m-%dT%H:%M:%S}"
    return (
        (
            f'<Signature xmlns="{nodes.DS}" Id="{name}"><SignedInfo>'
            f'<CanonicalizationMethod Algorithm="{_canonical(spec)}"></CanonicalizationMethod>'
            f'<SignatureMethod Algorithm="{elements.signature_uri(plan.algorithm)}"></SignatureMethod>'
            f"{listed}</SignedInfo><SignatureValue>"
        ),
        (
            f"</SignatureValue><KeyInfo><X509Data><X509SubjectName>{elements.escaped(plan.certificate.subject)}"
            f"</X509SubjectName>{certificates}</X509Data></KeyInfo>"
            f'<Object Id="{name}-time"><SignatureProperties><SignatureProperty Target="#{name}"><SigningTime>{moment}'
            "</SigningTime></SignatureProperty></SignatureProperties></Object></Signature>"
        ),
    )


def _canonical(spec: PlainSpec) -> str:
    return EXCLUSIVE if spec.exclusive else C14N


def _placed(source: Source, before: bytes, head: str, tail: str, after: bytes, name: str) -> tuple[Any, Any]:
    document = xmlsig.parse(source.written(before, source.encoded(head), source.encoded(tail), after))
    return document, insert.by_id(document, name)


def _info(element: Any) -> Any:
    return nodes.first(element, "SignedInfo")


def _digest(document: xmlsig.Document, signature: Any, written: Any, digest: str) -> bytes:
    part = structure.reference(written)
    try:
        place = references.locate(document, signature, part, (), None)
        made, _ = references.digest(document, signature, part, place, document.limits)
    except references.ReferenceError_:  # such as a relative namespace name, which has no canonical form
        raise DocumentError("xml_malformed") from None
    return made or bytes(hashlib.new(digest).digest_size)


def _id_at(root: Any, path: str) -> str:
    """The Id of the only element at an absolute path."""
    found = at([root], path)
    if len(found) != 1:
        raise DocumentError("xml_path_not_found", path=path)
    for spelling in ("Id", "ID", "id"):
        if identifier := found[0].get(spelling):
            return str(identifier)
    raise DocumentError("xml_id_missing", path=path)


__all__ = ["PlainSpec", "prepare"]
