"""Work that makes a signature: on record before the key is used, kept whole with its answer, answered once per key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import request
from pydantic import BaseModel

from signsvc.errors import BusyError, RequestError
from signsvc.signing import answers
from signsvc.store import Claim, LostClaimError, StoredDocument, Ticket
from signsvc.web.app import now, state
from signsvc.web.context import current

if TYPE_CHECKING:
    from sqlalchemy import Connection

# IETF draft: a structured string; the bare form is taken too.
_KEY = re.compile(r'"?([A-Za-z0-9._:~+/=-]{1,255})"?\Z')


@dataclass(slots=True)
class Held:
    """A claim in work."""

    ticket: Ticket
    replayed: bool  # the request has an idempotency key: its answer is kept
    settled: bool = False

    def keep(
        self,
        source: Path,
        answer: Callable[[str, int], Mapping[str, Any]],
        *,
        media_type: str,
        report: Mapping[str, Any] | None = None,
        also: Callable[[Connection, str], None] | None = None,
    ) -> StoredDocument:
        """Keep the signed file, its report and the answer: all or nothing (`Store.keep`)."""
        caller = current().caller
        kept = state().services.store.keep(
            self.ticket,
            source,
            answer,
            media_type=media_type,
            now=now(),
            owner=caller.id if caller else None,
            report=report,
            replayed=self.replayed,
            also=also,
        )
        self.settled = True
        return kept


def key() -> str | None:
    """The idempotency key of the request in work.  Raises `RequestError` (invalid_request)."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    match = _KEY.match(given.strip())
    if match is None:
        raise RequestError("invalid_request", reason="Idempotency-Key: 1 to 255 plain characters")
    return match[1]


def begin(kind: str, key: str | None, sha256: str, params: BaseModel) -> Ticket:
    """Put on record that a document is going to be signed; with a key, a ticket that may hold the answer given before.

    Raises `BusyError` (idempotency_in_progress), `RequestError` (idempotency_key_reused).
    """
    caller = current().caller
    name = caller.id if caller else ""
    wanted = params.model_dump(mode="json")
    fingerprint = answers.fingerprint(name, kind, sha256, wanted)
    about = answers.about(kind, sha256, name, wanted) | {"request_id": current().request_id}
    ticket = state().services.store.idempotency.claim(name, key, fingerprint, now=now(), about=about)
    if ticket.claim is Claim.BUSY:
        raise BusyError("idempotency_in_progress")
    if ticket.claim is Claim.REUSED:
        raise RequestError("idempotency_key_reused")
    return ticket


@contextmanager
def held(ticket: Ticket, *, replayed: bool) -> Iterator[Held]:
    """Work under a claim: given free at the end, whatever that is, unless an answer was kept.

    Raises `BusyError` (idempotency_in_progress) where the claim went to somebody else meanwhile.
    """
    work = Held(ticket, replayed)
    try:
        yield work
    except LostClaimError:
        raise BusyError("idempotency_in_progress") from None
    finally:
        if not work.settled:
            state().services.store.idempotency.release(ticket)


__all__ = ["Held", "begin", "held", "key"]
