"""Validation data in unsigned properties (EN 319 132-1 §5.4): certificates, lists and answers, as evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from signsvc.formats.xades import nodes
from signsvc.types import EvidenceItem, EvidenceKind, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_VALUES = 600
_LEAVES = {
    "EncapsulatedX509Certificate": EvidenceKind.CERTIFICATE,
    "EncapsulatedCRLValue": EvidenceKind.CRL,
    "EncapsulatedOCSPValue": EvidenceKind.OCSP,
}
_VALUES = frozenset(
    ("CertificateValues", "RevocationValues", "AttrAuthoritiesCertValues", "AttributeRevocationValues")
)  # fmt: skip
_HOLDERS = frozenset(("TimeStampValidationData", "AnyValidationData"))
KINDS = _VALUES | _HOLDERS


def read(prop: Any) -> tuple[list[EvidenceItem], bool]:
    """The values of one of `KINDS`, and whether all of them could be read.

    DER alone: values in another encoding (the attribute ``Encoding``) are left out.
    """
    found: list[EvidenceItem] = []
    whole = True
    for holder in _holders(prop):
        for leaf in holder.iter("{*}*"):
            kind = _LEAVES.get(nodes.local(leaf))
            if kind is None:
                continue
            encoding = leaf.get("Encoding", "")
            der = nodes.octets(leaf) if encoding == "" or encoding.endswith("#DER") else None
            if der is None or len(found) >= MAX_VALUES:
                whole = False
            else:
                found.append(EvidenceItem(kind, der, Origin.REVINFO))
    return found, whole


def _holders(prop: Any) -> Iterator[Any]:
    if nodes.local(prop) in _HOLDERS:
        yield from (child for child in prop if nodes.local(child) in _VALUES)
    else:
        yield prop


__all__ = ["KINDS", "MAX_VALUES", "read"]
