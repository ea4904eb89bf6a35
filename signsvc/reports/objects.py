"""What a report speaks of by digest, as octets: for renderings that carry it with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Objects:
    """DER octets by the hex of their SHA-256; timestamp tokens by the id of their entry in the report."""

    certificates: Mapping[str, bytes] = field(default_factory=dict)
    crls: Mapping[str, bytes] = field(default_factory=dict)
    ocsps: Mapping[str, bytes] = field(default_factory=dict)
    timestamps: Mapping[str, bytes] = field(default_factory=dict)
