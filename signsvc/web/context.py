"""What one request carries: its ids, its caller, its language."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import Request, g, request

if TYPE_CHECKING:
    from signsvc.store import ApiKey

LANGUAGES = ("vi", "en")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
# W3C Trace Context, version 00.
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")


@dataclass(slots=True)
class RequestContext:
    """`request_id` is ours or the caller's where it is well formed; `instance` is always a UUID."""

    request_id: str
    instance: uuid.UUID
    trace_id: str
    span_id: str
    trace_flags: str
    lang: str
    nonce: str
    started: float
    caller: ApiKey | None = None
    problem: str | None = None
    received: int = 0
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.trace_flags}"

    @classmethod
    def of(cls, incoming: Request) -> RequestContext:
        """The context of a request that just arrived; what is malformed in its headers is replaced."""
        given = incoming.headers.get("X-Request-ID", "")
        instance = uuid.uuid4()
        if _REQUEST_ID.match(given):
            try:
                instance = uuid.UUID(given)
            except ValueError:
                pass
        else:
            given = str(instance)
        trace = _TRACEPARENT.match(incoming.headers.get("traceparent", ""))
        usable = trace is not None and trace[1].strip("0") != "" and trace[2].strip("0") != ""
        return cls(
            request_id=given,
            instance=instance,
            trace_id=trace[1] if trace and usable else secrets.token_hex(16),
            span_id=secrets.token_hex(8),
            trace_flags=trace[3] if trace and usable else "00",
            lang=_language(incoming),
            nonce=secrets.token_urlsafe(16),
            started=time.monotonic(),
        )


def _language(incoming: Request) -> str:
    asked = incoming.args.get("lang", "")
    if asked in LANGUAGES:
        return asked
    if not incoming.path.startswith("/v1/"):
        return "vi"  # browsers in Vietnamese offices often ask for English; the switch is on every page
    return incoming.accept_languages.best_match(LANGUAGES, default="vi") or "vi"


def current() -> RequestContext:
    """The context of the request in work."""
    if "signsvc" not in g:
        g.signsvc = RequestContext.of(request)
    return cast("RequestContext", g.signsvc)
