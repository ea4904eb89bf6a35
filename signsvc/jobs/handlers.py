"""Who does which kind of job."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from signsvc.errors import InternalError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from signsvc.services import Services
    from signsvc.store import Lease


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an item; `also` is written in the transaction that says so, and only if the lease still holds."""

    result: Mapping[str, Any] = field(default_factory=dict)
    also: Callable[[Connection], None] | None = None


# Takes one item.  A `SignsvcError` that is retryable puts it off, any other error fails it.
Handler = Callable[["Services", "Lease", datetime], Done]

KINDS = {
    "raise": "signsvc.jobs.raising:handle",
}


def find(kind: str) -> Handler:
    """The handler for `kind`.  Raises `InternalError` where there is none."""
    place = KINDS.get(kind)
    if place is None:
        raise InternalError(reason=f"no job of kind {kind}")
    module, _, name = place.partition(":")
    handler: Handler = getattr(importlib.import_module(module), name)
    return handler
