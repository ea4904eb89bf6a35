"""What a worker may ask of the network: three kinds of values, by URL, through its parent.

Bytes of foreign origin are parsed in worker processes that have no network.  A worker holds a `Fetch` and its parent
answers it with an `EvidenceClient`; the parent never parses what passes through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

KINDS = ("crl", "ocsp", "certificate")


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One value wanted.  `kind` is ``crl``, ``ocsp`` or ``certificate``; `body` is the DER OCSPRequest to POST.

    With `newer_than` (UTC) a kept value is used only where it was fetched after that instant: for a consumer that
    found the kept one out of date.
    """

    kind: str
    url: str
    body: bytes | None = None
    newer_than: datetime | None = None


# Answers a request with the body octets; raises UpstreamError.
Fetch = Callable[[FetchRequest], bytes]
