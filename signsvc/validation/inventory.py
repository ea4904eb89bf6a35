"""What a verified timestamp proves: the objects of a document by the revision in which they stand.

A document timestamp over revision n covers every octet of that revision, so everything that stands in it except the
token itself and what is inside it: certificates and revocation values that were put there prove nothing by being there.
Other tokens prove what their reader lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from signsvc.types import DocumentView, EvidenceItem, SignerView, TimestampView
from signsvc.validation.poe import certificate_id


class Inventory:
    """Object ids of a document with the revision (1-based) in which each first appears."""

    def __init__(self, view: DocumentView) -> None:
        self._revisions: dict[str, int] = {}
        self._inside: dict[str, dict[str, int]] = {}  # by document timestamp, which does not cover its own octets
        self._proven: dict[str, frozenset[str]] = {}
        for item in view.evidence:
            self._add(item.id, item.revision)
        for signature in view.signatures:
            revision = signature.scope.revision
            self._evidence(signature.evidence, None)
            self._signature(signature.id, signature.signer, revision)
        for token in view.timestamps:
            revision = token.scope.revision if token.scope is not None else None
            self._add(timestamp_id(token.id), revision)
            outside, self._revisions = self._revisions, {}
            self._held(token, revision)
            self._inside[token.id], self._revisions = self._revisions, outside

    def proven_by(self, token: TimestampView) -> frozenset[str]:
        """Ids of the objects that `token` proves, itself excluded."""
        found = self._proven.get(token.id)
        if found is None:
            found = self._proven[token.id] = frozenset(self._objects(token)) - {timestamp_id(token.id)}
        return found

    def _objects(self, token: TimestampView) -> Iterator[str]:
        for name in token.proves:
            kind, _, rest = name.partition(":")
            if kind == "revision":
                limit = int(rest) if rest.isdigit() else 0
                held = (names for holder, names in self._inside.items() if holder != token.id)
                for names in (self._revisions, *held):
                    yield from (other for other, revision in names.items() if revision <= limit)
            else:
                yield name

    def _add(self, name: str, revision: int | None) -> None:
        if revision is not None:
            self._revisions[name] = min(revision, self._revisions.get(name, revision))

    def _evidence(self, items: Iterable[EvidenceItem], inside: int | None) -> None:
        for item in items:
            self._add(item.id, item.revision if item.revision is not None else inside)

    def _signature(self, name: str, signer: SignerView | None, revision: int | None) -> None:
        """A signature and the counter-signatures in it, which a token over the revision proves as well."""
        waiting = [(name, signer)]
        while waiting:
            name, signer = waiting.pop()
            self._add(signature_id(name), revision)
            if signer is not None:
                self._signer(signer, revision)
                waiting += [(counter_id(name, i), one) for i, one in enumerate(signer.counter_signatures, 1)]

    def _signer(self, signer: SignerView, revision: int | None) -> None:
        self._evidence(signer.evidence, revision)
        for certificate in signer.certificates:
            self._add(certificate_id(certificate), revision)
        for token in signer.timestamps:
            self._token(token, revision)

    def _token(self, token: TimestampView, revision: int | None) -> None:
        self._add(timestamp_id(token.id), revision)
        self._held(token, revision)

    def _held(self, token: TimestampView, revision: int | None) -> None:
        self._evidence(token.evidence, revision)
        if token.signer is not None:
            self._signer(token.signer, revision)


def signature_id(name: str) -> str:
    return f"signature:{name}"


def timestamp_id(name: str) -> str:
    return f"timestamp:{name}"


def counter_id(name: str, index: int) -> str:
    """The name of the counter-signature at `index` (from 1) of the signature `name`, as readers give it too."""
    return f"{name}-counter{index}"
