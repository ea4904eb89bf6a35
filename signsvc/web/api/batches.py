"""``POST /v1/batches``: many documents, signed one after the other by a job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from signsvc.errors import RequestError, TokenError
from signsvc.signing import answers
from signsvc.store import Scope
from signsvc.web import auth, claims
from signsvc.web import body as bodies
from signsvc.web.api.jobs import job_json
from signsvc.web.api.sign import check_base
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, PDF, Operation, operation
from signsvc.web.models import MAX_BATCH, BatchDocument, BatchRequest, JobAnswer, SignRequest
from signsvc.web.problems import checked

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from signsvc.signing.profiles import Profile

blueprint = Blueprint("batches", __name__, url_prefix="/v1")

_FORM = {
    "type": "object",
    "required": ["document", "params"],
    "properties": {
        "document": {"type": "array", "items": BINARY},
        "params": {"type": "string", "description": "BatchRequest as JSON"},
    },
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One document: in a file that came, or `path` None where the store has it."""

    path: Path | None
    sha256: str
    name: str | None
    wanted: SignRequest
    key: str | None


@blueprint.post("/batches")
@operation(
    Operation(
        "createBatch",
        "Sign many documents with a key of the service, later",
        "documents",
        scopes=(Scope.SIGN,),
        description="The answer is a job; its items are the documents in their order, each with its result or its "
        "problem. A document that cannot be signed does not stop the others; what is wrong with the key or its PIN "
        "stops all of them at the first try, until the job is retried. While a token is away, all of them wait.",
        bodies={"multipart/form-data": _FORM, "application/json": BatchRequest},
        answers={202: {"application/json": JobAnswer}},
        headers={"Idempotency-Key": "The same key and request give the same job for 24 hours"},
        problems=(
            "not_found",
            "profile_not_found",
            "credential_not_found",
            "credential_disabled",
            "credential_ambiguous",
            "credential_not_allowed",
            "idempotency_in_progress",
            "idempotency_key_reused",
            "image_missing",
            "image_not_found",
            "image_unusable",
        ),
    )
)
def create() -> Response:
    from signsvc.signing.profiles.apply import check_credential

    config, key = state().config, claims.key()
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        uploads, given = bodies.read_several(request, directory, config.body, MAX_BATCH)
        params = checked(BatchRequest, given)
        profile = state().profiles().get(params.profile)
        if profile is None:
            raise RequestError("profile_not_found")
        check_credential(profile, params.credential)
        entries = _entries(params, profile, uploads)
        digests = hashlib.sha256("".join(entry.sha256 for entry in entries).encode()).hexdigest()
        ticket = claims.begin("batch", key, digests, params)
        if ticket.answer is not None:
            return _accepted(str(ticket.answer["job"]), replayed=True)
        with claims.held(ticket, replayed=key is not None) as work:
            _known(params.credential)
            job = _begin(work, entries, profile, params.credential)
    current().facts |= {"job": job, "documents": len(entries)}
    return _accepted(job, replayed=False)


def _begin(work: claims.Held, entries: Sequence[_Entry], profile: Profile, credential: str) -> str:
    store, moment, caller = state().services.store, now(), current().caller
    owner = caller.id if caller else None
    plain = json.loads(json.dumps(asdict(profile)))  # as it is now, whatever becomes of its file

    def begin(connection: Connection, _: tuple[str, ...]) -> dict[str, Any]:
        job = store.jobs.insert(
            connection,
            "batch",
            [_item(entry, owner or "") for entry in entries],
            now=moment,
            owner=owner,
            data={"profile": plain, "credential": credential},
            give_up_at=moment + state().config.raising_time,
        )
        return {"job": job}

    files = [entry.path for entry in entries if entry.path is not None]
    answer = store.accept(work.ticket, files, begin, media_type=PDF, now=moment, owner=owner, replayed=work.replayed)
    work.settled = True
    return str(answer["job"])


def _item(entry: _Entry, caller: str) -> dict[str, Any]:
    wanted = entry.wanted.model_dump(mode="json")
    return {
        "document": entry.sha256,
        "name": entry.name,
        "params": _wishes(entry.wanted),
        "raise_to": entry.wanted.raise_to,
        "key": entry.key,
        # That of the same request to POST /v1/sign: under one key a document is signed here or there.
        "fingerprint": answers.fingerprint(caller, "sign", entry.sha256, wanted),
    }


def _wishes(wanted: SignRequest) -> dict[str, Any]:
    others = {"profile", "credential", "raise_to", "base_sha256"}
    return wanted.model_dump(mode="json", exclude=others, exclude_none=True)


def _entries(params: BatchRequest, profile: Profile, uploads: Sequence[bodies.Upload]) -> list[_Entry]:
    """The documents with what is wanted of each, checked as far as it can be without opening them."""
    from signsvc.signing.model import SignParams

    waiting = list(uploads)
    found: list[_Entry] = []
    for entry in params.documents or [BatchDocument()] * len(uploads):
        fixed = {"profile": params.profile, "credential": params.credential}
        if set(fixed) & {*params.params, *entry.params}:
            raise RequestError("invalid_request", reason="params: profile and credential are those of the batch")
        wanted = checked(SignRequest, {**params.params, **entry.params, **fixed})
        state().services.images.supplied(SignParams.from_json(_wishes(wanted)), profile.appearance, params.credential)
        if entry.sha256 is not None:
            _owned(entry.sha256)
            check_base(entry.sha256, wanted)
            found.append(_Entry(None, entry.sha256, entry.file_name, wanted, entry.idempotency_key))
        elif waiting:
            file = waiting.pop(0)
            check_base(file.sha256, wanted)
            name = entry.file_name or file.name
            found.append(_Entry(file.path, file.sha256, name, wanted, entry.idempotency_key))
        else:
            raise RequestError("invalid_request", reason="documents: one of content, sha256 or a file is missing")
    if waiting:
        raise RequestError("invalid_request", reason="documents: there are more files than entries")
    if not found:
        raise RequestError("invalid_request", reason="documents: there is none")
    keys = [entry.key for entry in found if entry.key is not None]
    if len(set(keys)) != len(keys):
        raise RequestError("invalid_request", reason="documents: an idempotency key is given twice")
    return found


def _owned(sha256: str) -> None:
    stored, caller = state().services.store.documents.get(sha256), current().caller
    if caller is None or not auth.may_read(caller, stored.owner):
        raise RequestError("not_found")


def _known(credential: str) -> None:
    """Raises `CredentialError` for a key that there is not; a token that is away may come back."""
    try:
        state().services.keyring.get(credential)
    except TokenError:
        return


def _accepted(job: str, *, replayed: bool) -> Response:
    response = jsonify(job_json(state().services.store.jobs.get(job)))
    response.status_code = 202
    response.headers["Location"] = f"/v1/jobs/{job}"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


__all__ = ["blueprint"]
