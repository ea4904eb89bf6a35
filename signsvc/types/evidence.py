"""Evidence: certificates and revocation values, with where they were found and what proves their age."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EvidenceKind(StrEnum):
    CERTIFICATE = "certificate"
    CRL = "crl"
    OCSP = "ocsp"


class Origin(StrEnum):
    """Where a value was found; embedded ones first, the network last."""

    CMS = "cms"  # SignedData.certificates / crls
    REVINFO = "revinfo"  # adbe-revocationInfoArchival or revocation-values attribute
    DSS = "dss"
    TIMESTAMP = "timestamp"  # inside a timestamp token
    PROFILE = "profile"  # a trust profile's intermediates and anchors
    SUPPLIED = "supplied"  # given by the caller for this call
    IMPORTED = "imported"  # a list that the operator brought in
    CACHE = "cache"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One DER value.  `revision` is the document revision (1-based) in which an embedded value first appears, so that
    a document timestamp over that or a later revision proves its existence.  `obtained_at` is set for fetched values;
    `stale` tells that a kept one serves because its server fails.
    """

    kind: EvidenceKind
    der: bytes
    origin: Origin
    revision: int | None = None
    obtained_at: datetime | None = None
    url: str | None = None
    stale: bool = False
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", object_id(self.kind, self.der))


def object_id(kind: EvidenceKind | str, der: bytes) -> str:
    """The name under which proofs of existence are kept: ``<kind>:<sha256 hex>``."""
    return f"{kind}:{hashlib.sha256(der).hexdigest()}"
