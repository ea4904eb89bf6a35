"""What a validation trusts: anchors, known intermediates, and what is known about their authorities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from signsvc.types import Certificate


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A certificate that is trusted as such.  Its own validity period does not end the trust; `sunset` (UTC) does:
    from then on it proves nothing new, and validation-time sliding starts there (EN 319 102-1 §5.6.2.2).

    Before `since` it is not trusted; with `use` ``timestamp`` it vouches for timestamp authorities alone;
    `listed_until` is when the trusted list that names it should have been replaced.
    """

    certificate: Certificate
    name: str
    sunset: datetime | None = None
    profile: str | None = None  # None: given by the caller for one call
    since: datetime | None = None
    use: str = ""
    listed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrustMaterial:
    """The union of some trust profiles as installed, with what a caller adds for one call.

    `keeps_expired_since` says, by SHA-256 of a CA certificate, from when on that CA keeps expired certificates on its
    CRL.  `host_map` maps internal host names to public ones (``host`` or ``host:port``).  `hosts` are names (``.name``
    for all below one) that CA certificates may be fetched from although nothing known was signed by them yet.
    """

    profiles: tuple[str, ...] = ()
    anchors: tuple[TrustAnchor, ...] = ()
    intermediates: tuple[Certificate, ...] = ()
    host_map: Mapping[str, str] = field(default_factory=dict)
    keeps_expired_since: Mapping[bytes, datetime] = field(default_factory=dict)
    hosts: frozenset[str] = frozenset()
