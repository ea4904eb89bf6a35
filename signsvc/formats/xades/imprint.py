"""What timestamps of XAdES are over: octets put together from the document (EN 319 132-1 §5.2.8, §5.3, §5.5.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from signsvc.algorithms import new_hash
from signsvc.errors import SignsvcError
from signsvc.formats import xmlsig
from signsvc.formats.xades import nodes
from signsvc.formats.xades.names import C14N, C14NS, XADES141

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from signsvc.formats.cms import Digest
    from signsvc.types import Original

TIMES = 40  # of everything that there is, for content and archive timestamps together


class NotComputed(Exception):  # noqa: N818 - no error of a caller: the imprint stays unknown
    """The octets are not at hand: a file is missing, or the canonicalisation is not one we read."""


@dataclass(slots=True)
class Budget:
    """How many octets the imprints of one document may still digest: so many times all that there is to digest."""

    left: int
    files: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, document: xmlsig.Document) -> Budget:
        return cls(TIMES * (len(document.data) + (1 << 20)))

    def spend(self, octets: bytes, original: Original | None = None) -> bytes:
        """`octets` again, of which account is kept.  Raises `NotComputed`."""
        if original is not None and original.name not in self.files:
            self.files.add(original.name)
            self.left += TIMES * len(octets)
        self.left -= len(octets)
        if self.left < 0:
            raise NotComputed
        return octets


def method_of(stamp: Any) -> str:
    """The canonicalisation that a timestamp property names; C14N 1.0 where it names none.  Raises `NotComputed`."""
    method = nodes.first(stamp, "CanonicalizationMethod")
    if method is None:
        return C14N
    uri = str(method.get("Algorithm", ""))
    if uri not in C14NS:
        raise NotComputed
    return uri


def signature_value(document: xmlsig.Document, signature: Any, c14n: str) -> bytes:
    """The canonical ds:SignatureValue element, which a signature timestamp is over (§5.3)."""
    value = nodes.first(signature, "SignatureValue")
    if value is None:
        raise NotComputed
    return _canonical(document, value, c14n)


def data_objects(
    document: xmlsig.Document,
    read: xmlsig.XmlSignature,
    c14n: str,
    references: Iterable[xmlsig.Reference],
    budget: Budget | None = None,
) -> Iterator[bytes]:
    """What references digest, one after another (§5.2.8.1, §5.2.8.2).  Raises `NotComputed`."""
    for reference in references:
        try:
            octets = xmlsig.reference_octets(document, read, reference, c14n_uri=c14n)
        except (SignsvcError, ValueError, LookupError):
            raise NotComputed from None
        yield budget.spend(octets, reference.original) if budget else octets


def archive(
    document: xmlsig.Document,
    read: xmlsig.XmlSignature,
    c14n: str,
    before: Sequence[Any],
    *,
    every_object: bool = True,
    budget: Budget | None = None,
) -> Iterator[bytes]:
    """What an archive timestamp that is not distributed is over (§5.5.2.2), piece by piece.  Raises `NotComputed`.

    `before` are the unsigned signature properties that stand before it, in document order.  The property of edition
    1.3.2 leaves out objects that a reference covers (`every_object` false).
    """
    yield from data_objects(document, read, c14n, read.references, budget)
    signature = read.element
    covered = [reference.node for reference in read.references if reference.node is not None]
    parts = [nodes.first(signature, name) for name in ("SignedInfo", "SignatureValue", "KeyInfo")]
    objects = [
        holder
        for holder in nodes.named(signature, "Object")
        if not any(nodes.local(child) == "QualifyingProperties" for child in holder)
        and (every_object or not any(node is holder for node in covered))
    ]
    for element in (*parts, *before, *objects):
        if element is not None:
            octets = _canonical(document, element, c14n)
            yield budget.spend(octets) if budget else octets


def _canonical(document: xmlsig.Document, element: Any, c14n: str) -> bytes:
    try:
        return xmlsig.canonicalize(document, element, c14n)
    except xmlsig.CanonicalError:
        raise NotComputed from None


def is_141(stamp: Any) -> bool:
    """Whether a timestamp property is one of edition 1.4.1."""
    return nodes.namespace(stamp) == XADES141


def digest_of(pieces: Callable[[], Iterable[bytes]]) -> Digest:
    """A `Digest` over pieces made when it is asked for.  It raises `NotComputed` as they do."""

    def made(oid: str) -> bytes:
        hashed = new_hash(oid)
        for piece in pieces():
            hashed.update(piece)
        return bytes(hashed.digest())

    return made


__all__ = ["Budget", "NotComputed", "archive", "data_objects", "digest_of", "is_141", "method_of", "signature_value"]
