"""What limits the trust in an anchor beside its sunset: since when, what for, and how old the list is that names it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from signsvc.asn1 import DerError
from signsvc.trust.material import TrustAnchor
from signsvc.types import Certificate, Finding
from signsvc.validation.moments import shown

TIMESTAMP = "timestamp"
_TIME_STAMPING, _OCSP_SIGNING = "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9"


def check_anchor(
    anchor: TrustAnchor | None, leaf: Certificate, proven: datetime, present: datetime, *, signing: bool = False
) -> Iterator[Finding]:
    """Whether `anchor` counts for `leaf` at the proven time (ETSI TS 119 612 §5.5.4, §5.5.5: status and its start).

    An anchor for timestamps alone counts for timestamp authorities and for what speaks of their status (authorities,
    CRL issuers, OCSP responders), never for who signs documents (`signing`), whatever its certificate says.
    """
    if anchor is None:
        return
    subject, name = anchor.certificate.sha256.hex(), anchor.name
    if anchor.since is not None and proven < anchor.since:
        yield Finding.of("trust_anchor_not_yet", subject=subject, name=name, since=shown(anchor.since))
    if anchor.use == TIMESTAMP and (signing or not _about_time(leaf)):
        yield Finding.of("trust_anchor_for_timestamps", subject=subject, name=name)
    if anchor.listed_until is not None and anchor.listed_until < present:
        yield Finding.of("trusted_list_outdated", subject=subject, name=name, until=shown(anchor.listed_until))


def _about_time(leaf: Certificate) -> bool:
    try:
        purposes, usage = leaf.extended_key_usage or (), leaf.key_usage or frozenset()
        return leaf.is_ca or bool({_TIME_STAMPING, _OCSP_SIGNING} & set(purposes)) or "crl_sign" in usage
    except (DerError, IndexError):
        return False
