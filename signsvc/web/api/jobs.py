"""``/v1/jobs/{id}``: what was put off, how far it is, and how to stop it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, ConfigDict, Field

from signsvc.errors import PROBLEMS, RequestError, SignsvcError
from signsvc.store import Item, ItemState, Job, Scope
from signsvc.web import auth
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.contract import Operation, operation
from signsvc.web.models import JobAnswer, JobItems

blueprint = Blueprint("jobs", __name__, url_prefix="/v1")

_MINE = "With the scope `read` any job; else those that the same key began."


class ItemsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    state: ItemState | None = Field(None, description="Only items in this state")
    cursor: int = Field(-1, ge=-1, description="`next` of the answer before")
    limit: int = Field(100, ge=1, le=1000)


@blueprint.get("/jobs/<job>")
@operation(
    Operation(
        "getJob",
        "How far a job is",
        "jobs",
        scopes=(Scope.READ, Scope.SIGN),
        description=_MINE,
        answers={200: {"application/json": JobAnswer}},
        problems=("not_found",),
    )
)
def job(job: str) -> Response:
    return jsonify(job_json(_mine(job)))


@blueprint.get("/jobs/<job>/items")
@operation(
    Operation(
        "listJobItems",
        "The items of a job, in their order",
        "jobs",
        scopes=(Scope.READ, Scope.SIGN),
        description=_MINE,
        query=ItemsQuery,
        answers={200: {"application/json": JobItems}},
        problems=("not_found", "invalid_request"),
    )
)
def items(job: str, query: ItemsQuery) -> Response:
    _mine(job)
    found = state().services.store.jobs.items(job, state=query.state, after=query.cursor, limit=query.limit + 1)
    shown = found[: query.limit]
    return jsonify(
        items=[item_json(item) for item in shown], next=shown[-1].position if len(found) > query.limit else None
    )


@blueprint.delete("/jobs/<job>")
@operation(
    Operation(
        "cancelJob",
        "Begin nothing more of a job; what is in work comes to its end",
        "jobs",
        scopes=(Scope.SIGN,),
        description=_MINE,
        answers={200: {"application/json": JobAnswer}},
        problems=("not_found",),
    )
)
def cancel(job: str) -> Response:
    _mine(job)
    return jsonify(job_json(state().services.store.jobs.cancel(job, now=now())))


@blueprint.post("/jobs/<job>/retry")
@operation(
    Operation(
        "retryJob",
        "Try again what failed, was stopped or cancelled, and at once what waits",
        "jobs",
        scopes=(Scope.SIGN,),
        description=_MINE,
        answers={200: {"application/json": JobAnswer}},
        problems=("not_found",),
    )
)
def retry(job: str) -> Response:
    _mine(job)
    moment = now()
    state().services.store.jobs.retry(job, now=moment, give_up_at=moment + state().config.raising_time)
    return jsonify(job_json(state().services.store.jobs.get(job)))


def _mine(identifier: str) -> Job:
    found = state().services.store.jobs.get(identifier)
    caller = current().caller
    if caller is None or not auth.may_read(caller, found.owner):
        raise RequestError("not_found")
    return found


def job_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "created_at": time(job.created_at),
        "updated_at": time(job.updated_at),
        "counts": {"total": job.total} | {str(name): count for name, count in job.counts.items()},
        "items": f"/v1/jobs/{job.id}/items",
    }


def item_json(item: Item) -> dict[str, Any]:
    waiting = item.state is ItemState.WAITING
    return {
        "position": item.position,
        "name": item.data.get("name"),
        "document": item.data.get("document"),
        "state": item.state,
        "attempts": item.attempts,
        "next_try": time(item.due_at) if waiting else None,
        "updated_at": time(item.updated_at),
        "result": item.result,
        "last_error": error_json(item),
    }


def error_json(item: Item) -> dict[str, Any] | None:
    """Why the last try failed, in both languages."""
    if item.error is None:
        return None
    code = item.error.code if item.error.code in PROBLEMS else "internal_error"
    error = SignsvcError(code, **item.error.data)
    return {"code": code, "retryable": error.retryable, "text": error.text("en"), "text_vi": error.text("vi")}


def time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
