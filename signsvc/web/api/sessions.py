"""``/v1/signing-sessions``: the signer keeps the key, the service keeps everything else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, jsonify, request, send_file

from signsvc.errors import RequestError
from signsvc.store import Scope
from signsvc.web import auth, metrics
from signsvc.web import body as bodies
from signsvc.web.app import state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, Operation, operation
from signsvc.web.problems import checked
from signsvc.web.session_models import SessionAnswer, SessionCertificate, SessionRequest, SessionValues
from signsvc.web.streams import Event, Streams

if TYPE_CHECKING:
    from signsvc.signing.sessions.service import NewDocument, SigningSessions
    from signsvc.store.session_records import Session, SessionItem

blueprint = Blueprint("sessions", __name__, url_prefix="/v1/signing-sessions")

_ANSWER = {200: {"application/json": SessionAnswer}}
_STEP = ("not_found", "session_expired", "session_canceled", "session_conflict")
_FORM = {
    "type": "object",
    "required": ["document", "params"],
    "properties": {
        "document": {"type": "array", "items": BINARY},
        "params": {"type": "string", "description": "SessionRequest as JSON"},
    },
}
_OPEN_STATES = ("created", "prepared", "completing")


@blueprint.post("")
@operation(
    Operation(
        "createSigningSession",
        "Begin to sign documents with a key that the caller's side holds",
        "signing sessions",
        scopes=(Scope.SIGN,),
        description="The list of documents is closed: nothing can be added later.",
        bodies={"multipart/form-data": _FORM, "application/json": SessionRequest},
        answers={201: {"application/json": SessionAnswer}},
        problems=("profile_not_found", "credential_not_allowed", "not_found", "base_in_signing"),
    )
)
def create() -> Response:
    from signsvc.signing.sessions.service import MAX_DOCUMENTS

    config = state().config
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        uploads, given = bodies.read_several(request, directory, config.body, MAX_DOCUMENTS)
        params = checked(SessionRequest, given)
        profile = state().profiles().get(params.profile)
        if profile is None:
            raise RequestError("profile_not_found")
        caller = current().caller
        documents = _documents(params, uploads)
        session = _sessions().create(caller.id if caller else None, profile, documents)
    current().facts |= {"session": session.id, "documents": len(session.items)}
    response = jsonify(view(session))
    response.status_code = 201
    response.headers["Location"] = f"/v1/signing-sessions/{session.id}"
    return response


@blueprint.get("/<session>")
@operation(
    Operation(
        "getSigningSession",
        "A signing session as it stands",
        "signing sessions",
        scopes=(Scope.SIGN, Scope.READ),
        answers=_ANSWER,
        problems=("not_found",),
    )
)
def get(session: str) -> Response:
    return jsonify(view(_readable(session)))


@blueprint.put("/<session>/certificate")
@operation(
    Operation(
        "putSigningCertificate",
        "Say who signs; the answer has what is to be signed",
        "signing sessions",
        scopes=(Scope.SIGN,),
        description="The same certificate again prepares anew what was prepared too long ago. "
        "Until a value was accepted another certificate may take the place of the first.",
        bodies={"application/json": SessionCertificate},
        answers=_ANSWER,
        problems=(
            *_STEP,
            "certificate_expired",
            "certificate_not_yet_valid",
            "certificate_revoked",
            "certificate_suspended",
            "certificate_not_for_signing",
            "certificate_path_unknown",
            "certificate_status_unknown",
            "key_not_acceptable",
            "key_experimental",
            "revocation_unavailable",
        ),
    )
)
def certificate(session: str) -> Response:
    params = checked(SessionCertificate, bodies.read_json(request, state().config.body))
    _mine(session)
    with state().slots.taken(), bodies.spooled(state().config.body) as directory:
        return jsonify(view(_sessions().certificate(session, params.certificates, directory)))


@blueprint.put("/<session>/signatures")
@operation(
    Operation(
        "putSignatureValues",
        "Hand in signature values and complete the documents",
        "signing sessions",
        scopes=(Scope.SIGN,),
        description="Values are verified first: one that is wrong refuses all of this request, and the session goes "
        "on. What becomes of each document is said in the answer; where it could not be completed for a while, "
        "the same request again completes it.",
        bodies={"application/json": SessionValues},
        answers=_ANSWER,
        problems=(*_STEP, "signature_mismatch", "signing_time_stale"),
    )
)
def signatures(session: str) -> Response:
    params = checked(SessionValues, bodies.read_json(request, state().config.body))
    before = _mine(session)
    values = {entry.id: entry.value for entry in params.signatures}
    if len(values) != len(params.signatures):
        raise RequestError("invalid_request", reason="a document is given twice")
    with state().slots.taken(), bodies.spooled(state().config.body) as directory:
        after = _sessions().signatures(session, values, directory)
    for old, new in zip(before.items, after.items, strict=True):
        if new.result and not old.result:
            metrics.SIGNATURES.labels("session", new.result["level"]).inc()
    return jsonify(view(after))


@blueprint.delete("/<session>")
@operation(
    Operation(
        "cancelSigningSession",
        "End a signing session; what was completed stays",
        "signing sessions",
        scopes=(Scope.SIGN,),
        answers=_ANSWER,
        problems=_STEP,
    )
)
def cancel(session: str) -> Response:
    _mine(session)
    return jsonify(view(_sessions().cancel(session)))


@blueprint.get("/<session>/documents/<int:number>/revision")
@operation(
    Operation(
        "getPreparedRevision",
        "What is added to a document, with zeros where the signature will stand",
        "signing sessions",
        scopes=(Scope.SIGN,),
        description="The document, these octets behind it, without those from `gap.start` to `gap.end`: their digest "
        "is the message digest among the signed attributes.",
        answers={200: {"application/octet-stream": BINARY}},
        problems=("not_found",),
    )
)
def revision(session: str, number: int) -> Response:
    _mine(session)
    path = _sessions().revision(session, number)
    return send_file(path.open("rb"), mimetype="application/octet-stream", etag=False, conditional=False)


@blueprint.get("/<session>/events")
@operation(
    Operation(
        "watchSigningSession",
        "What happens to a signing session, as server-sent events",
        "signing sessions",
        scopes=(Scope.SIGN, Scope.READ),
        description="Events `session` and `document`, numbered; it ends with the session, or after a minute.",
        headers={"Last-Event-ID": "Only events after this one"},
        answers={200: {"text/event-stream": {"type": "string"}}},
        problems=("not_found", "invalid_request"),
    )
)
def events(session: str) -> Response:
    last = request.headers.get("Last-Event-ID", "0")
    if not (last.isascii() and last.isdigit() and len(last) < 10):
        raise RequestError("invalid_request", reason="Last-Event-ID: a number")
    _readable(session)
    store = state().services.store.sessions

    def look(after: int) -> tuple[Sequence[Event], bool]:
        found = [Event(e.sequence, e.kind, e.data) for e in store.events(session, after)]
        # Looked at after the events: the last of them tells of the end.
        ended = any(e.kind == "session" and e.data["state"] not in _OPEN_STATES for e in found)
        return found, not ended and (bool(found) or store.get(session).state in _OPEN_STATES)

    streams: Streams = current_app.extensions.setdefault("signsvc.streams", Streams())
    return streams.answer(look, int(last))


# what is asked for ----------------------------------------------------------------------------------------------------
def _documents(params: SessionRequest, uploads: Sequence[bodies.Upload]) -> list[NewDocument]:
    from signsvc.signing.sessions.service import NewDocument

    waiting = list(uploads)
    entries = [entry.model_dump() for entry in params.documents] or [{} for _ in uploads]
    found = []
    for entry in entries:
        wishes = {**params.params, **entry.get("params", {})}
        sha256 = entry.get("sha256")
        if sha256 is not None:
            stored = state().services.store.documents.get(sha256)
            caller = current().caller
            if caller is None or not auth.may_read(caller, stored.owner):
                raise RequestError("not_found")
            found.append(NewDocument(stored.path, sha256, stored.size, entry.get("file_name"), wishes))
        elif waiting:
            file = waiting.pop(0)
            name = entry.get("file_name") or file.name
            found.append(NewDocument(file.path, file.sha256, file.size, name, wishes))
        else:
            raise RequestError("invalid_request", reason="documents: one of content, sha256 or a file is missing")
    if waiting:
        raise RequestError("invalid_request", reason="documents: there are more files than entries")
    return found


def _sessions() -> SigningSessions:
    return state().services.sessions


def _readable(identifier: str) -> Session:
    """Raises `RequestError` (not_found) also for a session of somebody else."""
    session = _sessions().get(identifier)
    caller = current().caller
    if caller is None or not auth.may_read(caller, session.owner):
        raise RequestError("not_found")
    return session


def _mine(identifier: str) -> Session:
    session = _sessions().get(identifier)
    caller = current().caller
    if caller is None or caller.id != session.owner:
        raise RequestError("not_found")
    return session


# what is answered -----------------------------------------------------------------------------------------------------
def view(session: Session) -> dict[str, Any]:
    """A session for API callers."""
    from signsvc.reports.build import certificate_summary
    from signsvc.types import Certificate

    signer = Certificate.from_der(session.chain[0]) if session.chain else None
    counts: dict[str, int] = {}
    for item in session.items:
        counts[item.state.value] = counts.get(item.state.value, 0) + 1
    return {
        "id": session.id,
        "state": session.state.value,
        "created_at": _time(session.created_at),
        "expires_at": _time(session.expires_at),
        "profile": {name: session.profile[name] for name in ("id", "version", "format", "level")},
        "certificate": certificate_summary(signer) if signer else None,
        "algorithm": _algorithm(session, signer) if signer else None,
        "counts": counts,
        "documents": [_item(session, item) for item in session.items],
    }


def _algorithm(session: Session, signer: Any) -> dict[str, Any]:
    from signsvc.formats.cms.write import signature_identifier
    from signsvc.signing.algorithm import choose
    from signsvc.signing.sessions.service import profile_of

    algorithm = choose(profile_of(session), signer)
    return {
        "scheme": algorithm.scheme.value,
        "digest": algorithm.digest,
        "salt_length": algorithm.salt_length,
        "identifier": base64.b64encode(signature_identifier(algorithm)).decode("ascii"),
    }


def _item(session: Session, item: SessionItem) -> dict[str, Any]:
    result = item.result or {}
    waits = item.state.value == "prepared" and item.prepared is not None
    prepared = (item.prepared or {}) if waits else {}
    again = item.prepared_at + _sessions().times.fresh if waits and item.prepared_at else None
    report = result.get("report")
    return {
        "id": item.number,
        "name": item.name,
        "sha256": item.sha256,
        "size": item.size,
        "state": item.state.value,
        "field": prepared.get("field") or result.get("field"),
        "signing_time": _plain_time(prepared.get("signed_at") or result.get("signed_at")),
        "prepare_again_at": _time(again),
        "to_be_signed": _to_be_signed(session, prepared) if waits else None,
        "revision": _revision(session, item, prepared) if waits else None,
        "problem": _problem(item),
        "signature": _signature(result) if result else None,
        "document": {
            "href": f"/v1/documents/{result['sha256']}",
            "sha256": result["sha256"],
            "size": result["size"],
            "media_type": item.media_type,
        }
        if result
        else None,
        "report": {"href": f"/v1/reports/{report['id']}", "indication": report["indication"]} if report else None,
        "warnings": [_warning(entry) for entry in result.get("warnings", ())],
    }


def _to_be_signed(session: Session, prepared: Mapping[str, Any]) -> dict[str, str]:
    from signsvc.formats.cms.write import digest_of
    from signsvc.signing.algorithm import choose
    from signsvc.signing.sessions.service import profile_of
    from signsvc.types import Certificate

    name = digest_of(choose(profile_of(session), Certificate.from_der(session.chain[0])))
    digest = hashlib.new(name, base64.b64decode(prepared["attributes"])).digest()
    return {
        "attributes": prepared["attributes"],
        "digest": base64.b64encode(digest).decode("ascii"),
        "digest_algorithm": name,
    }


def _revision(session: Session, item: SessionItem, prepared: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is added to a PDF; other formats sign the document itself."""
    place = prepared["place"]
    if "start" not in place:
        return None
    return {
        "href": f"/v1/signing-sessions/{session.id}/documents/{item.number}/revision",
        "size": place["size"] - prepared["base_size"],
        "gap": {"start": place["start"], "end": place["end"]},
    }


def _problem(item: SessionItem) -> dict[str, Any] | None:
    from signsvc.verification.processes import problem

    if item.problem is None:
        return None
    error = problem(dict(item.problem))
    return {
        "code": error.code,
        "retryable": item.state.value != "failed",
        "detail": error.text("en"),
        "detail_vi": error.text("vi"),
    }


def _signature(result: Any) -> dict[str, Any]:
    stamp = {"time": _plain_time(result["best_signature_time"]), "tsa": result["tsa"]} if result["tsa"] else None
    return {
        "id": result["id"],
        "level": f"{result.get('format', 'PAdES')}-{result['level']}"
        if result["level"].startswith("B-")
        else result["level"],
        "field": result["field"],
        "signed_at": _plain_time(result["signed_at"]),
        "best_signature_time": _plain_time(result["best_signature_time"]),
        "timestamp": stamp,
    }


def _warning(entry: Any) -> dict[str, str]:
    from signsvc.messages import text

    code, data = entry["code"], entry["data"]
    return {"code": code, "text": text(code, "en", data), "text_vi": text(code, "vi", data)}


def _time(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None


def _plain_time(text: str | None) -> str | None:
    return _time(datetime.fromisoformat(text)) if text else None


__all__ = ["blueprint", "view"]
