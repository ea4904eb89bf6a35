"""The document as it was signed: which octets of a file one of its signatures covers, found inside a worker."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signsvc.types import SignatureView, TimestampView


@dataclass(frozen=True, slots=True)
class SignedRevision:
    """The first `size` octets of a file are the document as `signature` (an id of the report) left it.

    `number` counts revisions from 1 and `of` is how many the file has; `whole` says that nothing came after it.
    """

    signature: str
    field: str | None
    number: int
    of: int
    size: int
    whole: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any, most: int) -> SignedRevision:
        """As the parent reads it from a worker that it does not trust, about a file of `most` octets.

        Raises `ValueError`, `KeyError`, `TypeError` where it is none.
        """
        signature, field, whole = data["signature"], data["field"], data["whole"]
        number, of, size = (int(data[key]) for key in ("number", "of", "size"))
        if not isinstance(signature, str) or not signature.isascii() or not signature.replace("-", "").isalnum():
            raise ValueError("not an id")
        if not isinstance(field, str | None) or not 1 <= number <= of or not 0 < size <= most:
            raise ValueError("not a revision")
        return cls(signature, field, number, of, size, bool(whole))


def locate(path: Path, wanted: str | None, *, last: bool = False) -> SignedRevision:
    """The revision that signature or document timestamp `wanted` of the PDF at `path` covers.

    `wanted` is the id or the number that a report gives it, else its field name; None: the first signature, or where
    there is none the first document timestamp, that covers a whole revision (`last`: the last signature of
    these).  Nothing is judged.

    Raises `DocumentError`: ``revision_not_found`` where there is no such signature or it covers no whole revision, and
    what `signsvc.formats.pades.read` raises.
    """
    from signsvc.formats import pades
    from signsvc.verification import sniff
    from signsvc.verification.files import opened

    with opened(path) as data:
        if sniff.media_type(bytes(data[:1024]), len(data)) != sniff.PDF:
            raise DocumentError("unsupported_format")
        view = pades.read(data)
    signatures = sorted(view.signatures, key=_revision_of, reverse=True) if last else view.signatures
    for entry in _named([*signatures, *view.timestamps], wanted):
        scope = entry.scope
        if scope is not None and scope.revision is not None and scope.byte_ranges:
            return SignedRevision(
                entry.id,
                entry.field,
                scope.revision,
                scope.of or scope.revision,
                sum(scope.byte_ranges[-1]),
                scope.type == "FULL",
            )
    raise DocumentError("revision_not_found")


def _revision_of(entry: SignatureView) -> int:
    return (entry.scope.revision if entry.scope else None) or 0


def _named(entries: list[SignatureView | TimestampView], wanted: str | None) -> Iterator[SignatureView | TimestampView]:
    """Those called `wanted`.  Our own ids go before names, which are the document's to choose."""
    if wanted is None:
        yield from entries
        return
    yield from (entry for entry in entries if wanted in (entry.id, entry.id.rpartition("-")[2]))
    for entry in entries:
        others = getattr(entry, "other_fields", ())
        if wanted == entry.field or wanted in others:
            yield entry


__all__ = ["SignedRevision", "locate"]
