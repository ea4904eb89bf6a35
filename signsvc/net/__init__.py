"""The only way out: a guarded HTTP client for CRLs, OCSP, CA certificates and timestamps.

URLs come out of certificates that anyone may have made.  So: http and https only, usual ports only, no private
address unless a rule allows it, the address that was checked is the address that is called, few redirects and each
checked again, a cap on the decoded body, and one deadline over all of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signsvc.net.client import HttpClient, Response
    from signsvc.net.rules import NetRules

_WHERE = {"HttpClient": "client", "NetRules": "rules", "Response": "client"}


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"signsvc.net.{module}"), name)


__all__ = ["HttpClient", "NetRules", "Response"]
