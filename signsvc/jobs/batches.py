"""Sign one document of a batch.

Job: ``{"profile" (its values when the batch began), "credential"}``.  Item: ``{"document" (SHA-256), "name", "params",
"raise_to", "key", "fingerprint"}``.  The signed file, its report, its answer, and the word of the ledger are kept in
one transaction under the claim of the item's idempotency key, so that no document is signed twice whoever dies.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from signsvc.errors import BusyError, CredentialError, RequestError, TokenError
from signsvc.jobs import spool
from signsvc.jobs.handlers import Done, WholeJobError
from signsvc.signing import answers
from signsvc.signing.model import SignParams
from signsvc.signing.profiles import Profile
from signsvc.signing.profiles.apply import check_credential
from signsvc.store import Claim, LostClaimError, full_disk

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from signsvc.services import Services
    from signsvc.store import Lease, Ticket

# What a second document would meet as well, and no waiting changes: every try may cost the token one of its own.
_STOPS = frozenset(("pin_incorrect", "pin_locked", "pin_required", "remote_key_needs_person", "remote_key_refused"))
# A token that is away is looked for this often (seconds); the others of the batch wait for it as well.
_AWAY = frozenset(("token_removed", "token_not_present"))
_LOOK_SECONDS = 5.0
# For a key that somebody else has in work.
_BUSY = "idempotency_in_progress"


def handle(services: Services, lease: Lease, now: datetime) -> Done:
    """Sign the document, or find that it was signed under the same key.  Raises `WholeJobError` for what is about the
    key and not the document; else what `SigningService.sign` raises."""
    caller = lease.owner or ""
    # A name that no request can give: the characters of its keys are others.
    key = lease.data["key"] or f"{lease.job_id} {lease.position}"
    job = lease.job_data
    wanted = {"profile": job["profile"]["id"], "credential": job["credential"], "job": lease.job_id}
    about = answers.about("sign", lease.data["document"], caller, wanted) | {"job": lease.job_id}
    ticket = services.store.idempotency.claim(caller, key, lease.data["fingerprint"], now=now, about=about)
    if ticket.claim is Claim.DONE:
        return Done(_result(dict(ticket.answer or {})))
    if ticket.claim is Claim.REUSED:
        raise RequestError("idempotency_key_reused")
    if ticket.claim is Claim.BUSY:
        raise BusyError(_BUSY)
    kept = False
    try:
        with spool.directory(services.settings.spool_dir) as place:
            _sign(services, lease, ticket, place)
            kept = True
    except LostClaimError:
        raise BusyError(_BUSY) from None
    except (CredentialError, TokenError) as error:
        if isinstance(error, CredentialError) or error.code in _STOPS:
            raise WholeJobError(error) from None
        often = min(_LOOK_SECONDS, services.settings.jobs.retry_seconds)
        raise WholeJobError(error, often if error.code in _AWAY else None) from None
    finally:
        if not kept:
            services.store.idempotency.release(ticket)
    services.store.sessions.signed_elsewhere(lease.data["document"], now=datetime.now(UTC))
    return Done(said=True)


def _sign(services: Services, lease: Lease, ticket: Ticket, place: Path) -> None:
    store, data, job = services.store, lease.data, lease.job_data
    profile = Profile(**job["profile"])
    check_credential(profile, job["credential"])
    params = replace(SignParams.from_json(data["params"]), file_name=data.get("name"))
    if profile.format == "pades":
        params = services.images.supplied(params, profile.appearance, job["credential"])
    signer = services.keyring.get(job["credential"])
    found = store.documents.get(data["document"])
    # Workers that write see the spool alone, and never the store.
    source, target = place / "document", place / "signed"
    with full_disk():
        shutil.copyfile(found.path, source)
    result = services.signing.sign(source, target, profile=profile, signer=signer, params=params)
    answer = answers.answer("sign", result)
    later = answers.later(profile, data["raise_to"], result.level)
    within = timedelta(days=services.settings.jobs.give_up_days)
    moment = datetime.now(UTC)

    def complete(sha256: str, size: int) -> dict[str, Any]:
        answer["document"] = answers.document(sha256, size, f"/v1/documents/{sha256}", result.media_type)
        if later is not None:
            answer["state"] = "raising"
        return answer

    def also(connection: Connection, _: str) -> None:
        answers.keep(store, connection, answer, now=moment, owner=lease.owner, later=later, within=within)
        if not store.jobs.settle(connection, lease, _result(answer), now=moment):
            raise LostClaimError

    store.keep(
        ticket,
        target,
        complete,
        media_type=result.media_type,
        now=moment,
        owner=lease.owner,
        report=result.report,
        also=also,
    )


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    """What the item says of its signature."""
    return {
        "signature": answer["id"],
        "href": f"/v1/signatures/{answer['id']}",
        "level": answer["signature"]["level"],
        "signed_at": answer["signature"]["signed_at"],
        "document": answer["document"],
        "report": answer["report"],
        "warnings": answer["warnings"],
    }
