"""Who does which kind of job."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from signsvc.errors import InternalError, SignsvcError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from signsvc.services import Services
    from signsvc.store import Lease


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an item; `also` is written in the transaction that says so, and only if the lease still holds.

    `said`: the handler has told the ledger itself, in a transaction of its own.
    """

    result: Mapping[str, Any] = field(default_factory=dict)
    also: Callable[[Connection], None] | None = None
    said: bool = False


class WholeJobError(Exception):
    """What befell this item would befall every other of its job: those that wait are held back, or stopped where
    `error` does not pass by itself.  `seconds` until the next try (None: as for one item)."""

    def __init__(self, error: SignsvcError, seconds: float | None = None) -> None:
        super().__init__(error.code)
        self.error = error
        self.seconds = seconds


# Takes one item.  A `SignsvcError` that is retryable puts it off, any other error fails it; `WholeJobError` does so
# for all of the job.
Handler = Callable[["Services", "Lease", datetime], Done]

KINDS = {
    "batch": "signsvc.jobs.batches:handle",
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
