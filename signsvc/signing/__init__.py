"""Signing: profiles, checks before and after, PAdES B-B to B-LTA, extending and renewing.

Names are loaded when first used, so that reading a profile does not load the writers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signsvc.signing.model import SignParams, SignResult, TrustInput
    from signsvc.signing.profiles import Profile
    from signsvc.signing.service import SigningService
    from signsvc.signing.visible import Visible

_WHERE = {
    "Profile": "profiles",
    "SignParams": "model",
    "SignResult": "model",
    "SigningService": "service",
    "TrustInput": "model",
    "Visible": "visible",
}


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"signsvc.signing.{module}"), name)


__all__ = ["Profile", "SignParams", "SignResult", "SigningService", "TrustInput", "Visible"]
