"""Trust: profiles of authorities, installed anchors, certification paths, revocation data and time.

Names are loaded when first used, so that asking for one does not cost the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signsvc.trust.collecting import collect
    from signsvc.trust.evidence import EvidenceClient
    from signsvc.trust.fetching import Fetch, Fetched, FetchRequest
    from signsvc.trust.material import TrustAnchor, TrustMaterial
    from signsvc.trust.profile import Profile, ProfileEntry
    from signsvc.trust.store import Installed, InstallResult, ProfileState, TrustStore
    from signsvc.trust.tsa import TimestampToken, TsaClient, TsaConfig

_WHERE = {
    "EvidenceClient": "evidence",
    "Fetch": "fetching",
    "FetchRequest": "fetching",
    "Fetched": "fetching",
    "InstallResult": "store",
    "Installed": "store",
    "Profile": "profile",
    "ProfileEntry": "profile",
    "ProfileState": "store",
    "TrustAnchor": "material",
    "TrustMaterial": "material",
    "TrustStore": "store",
    "TimestampToken": "tsa",
    "TsaClient": "tsa",
    "TsaConfig": "tsa",
    "collect": "collecting",
}


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"signsvc.trust.{module}"), name)


__all__ = [
    "EvidenceClient",
    "Fetch",
    "FetchRequest",
    "Fetched",
    "InstallResult",
    "Installed",
    "Profile",
    "ProfileEntry",
    "ProfileState",
    "TimestampToken",
    "TrustAnchor",
    "TrustMaterial",
    "TrustStore",
    "TsaClient",
    "TsaConfig",
    "collect",
]
