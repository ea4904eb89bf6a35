"""``GET /v1/signatures/{id}``: a signature made here, and how far the raising of its level is."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from signsvc.errors import RequestError
from signsvc.store import ItemState, Scope, StoredSignature
from signsvc.web import auth
from signsvc.web.api.jobs import error_json, time
from signsvc.web.app import state
from signsvc.web.context import current
from signsvc.web.contract import Operation, operation
from signsvc.web.models import SignatureAnswer

blueprint = Blueprint("signatures", __name__, url_prefix="/v1")

_STATES = {
    ItemState.WAITING: "raising",
    ItemState.RUNNING: "raising",
    ItemState.SUCCEEDED: "succeeded",
    ItemState.FAILED: "raise_failed",
    ItemState.CANCELED: "raise_canceled",
    ItemState.STOPPED: "raise_failed",
}


@blueprint.get("/signatures/<signature>")
@operation(
    Operation(
        "getSignature",
        "A signature made here: its level now, its versions, the next try to raise it",
        "documents",
        scopes=(Scope.READ, Scope.SIGN),
        description="With the scope `read` any signature; else those that the same key had made.",
        answers={200: {"application/json": SignatureAnswer}},
        problems=("not_found",),
    )
)
def signature(signature: str) -> Response:
    found = state().services.store.signatures.get(signature)
    caller = current().caller
    if caller is None or not auth.may_read(caller, found.owner):
        raise RequestError("not_found")
    return jsonify(_answer(found))


def _answer(found: StoredSignature) -> dict[str, Any]:
    answer = {**found.body, "created_at": time(found.created_at)}
    answer["versions"] = [{"level": answer["signature"]["level"], "document": answer["document"]}]
    item = found.raising
    if item is None:
        return answer
    answer["state"] = _STATES[item.state]
    answer["raising"] = {
        "job": f"/v1/jobs/{item.job_id}",
        "level": item.data["level"],
        "attempts": item.attempts,
        "next_try": time(item.due_at) if item.state is ItemState.WAITING else None,
        "give_up_at": time(item.give_up_at) if item.give_up_at else None,
        "last_error": error_json(item),
    }
    if item.state is ItemState.SUCCEEDED and item.result is not None:
        level = str(item.result["level"])
        form = str(answer["signature"]["level"]).partition("-")[0]
        level = f"{form}-{level}" if level.startswith("B-") else level
        answer["document"] = item.result["document"]
        answer["report"] = item.result["report"]
        answer["signature"] = {
            **answer["signature"],
            "level": level,
            "best_signature_time": item.result["best_signature_time"],
            "timestamp": {"time": item.result["best_signature_time"], "tsa": item.result["tsa"]},
        }
        answer["versions"].append({"level": level, "document": item.result["document"]})
    return answer
