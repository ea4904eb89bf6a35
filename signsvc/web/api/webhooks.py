"""``/v1/webhooks``: who is told of finished verifications (Standard Webhooks)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from signsvc.errors import RequestError
from signsvc.issuing import webhooks as sending
from signsvc.store import Scope
from signsvc.store.webhooks import Delivery, Webhook
from signsvc.web import body as bodies
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.contract import Operation, operation
from signsvc.web.problems import checked
from signsvc.web.register_models import (
    DeliveryAnswer,
    DeliveryList,
    NewWebhookAnswer,
    WebhookAnswer,
    WebhookJson,
    WebhookList,
)

blueprint = Blueprint("webhooks", __name__, url_prefix="/v1/webhooks")
_SCOPES = (Scope.VERIFY, Scope.SIGN, Scope.READ)
_MINE = "Each key has its own; the scope `admin` sees all."


def _operation(name: str, summary: str, status: int, answer: Any = None, **more: Any) -> Operation:
    answers: dict[int, dict[str, Any]] = {status: {"application/json": answer} if answer is not None else {}}
    more.setdefault("description", _MINE)
    return Operation(name, summary, "webhooks", scopes=_SCOPES, answers=answers, **more)


@blueprint.post("")
@operation(
    _operation(
        "addWebhook",
        "Have an address told of finished verifications",
        201,
        NewWebhookAnswer,
        bodies={"application/json": WebhookJson},
        description=(
            "The secret is shown once.  Messages are signed as Standard Webhooks says (`webhook-id`, "
            "`webhook-timestamp`, `webhook-signature`), come at least once with the same id, and are tried for three "
            "days; 410 ends it.  `all` (scope `admin`): of everyone's work, not only of this key's."
        ),
    )
)
def add() -> tuple[Response, int]:
    asked = checked(WebhookJson, bodies.read_json(request, state().config.body))
    caller = current().caller
    if asked.all and (caller is None or not caller.may(Scope.ADMIN)):
        raise RequestError("forbidden")
    url = sending.acceptable(asked.url, http=state().config.webhook_http)
    owner = None if asked.all or caller is None else caller.id
    made = state().services.store.webhooks.add(url, owner=owner, now=now())
    return jsonify(_shown(made) | {"secret": sending.secret(_key(), made)}), 201


@blueprint.get("")
@operation(_operation("listWebhooks", "The addresses that are told", 200, WebhookList))
def list_() -> Response:
    caller = current().caller
    everyone = caller is not None and caller.may(Scope.ADMIN)
    found = state().services.store.webhooks.list(caller.id if caller else None, everyone=everyone)
    return jsonify({"webhooks": [_shown(one) for one in found]})


@blueprint.get("/<identifier>")
@operation(_operation("getWebhook", "One of them", 200, WebhookAnswer, problems=("not_found",)))
def get(identifier: str) -> Response:
    return jsonify(_shown(_mine(identifier)))


@blueprint.delete("/<identifier>")
@operation(_operation("deleteWebhook", "Tell this address no more", 204, problems=("not_found",)))
def delete(identifier: str) -> Response:
    state().services.store.webhooks.delete(_mine(identifier).id)
    return Response(status=204)


@blueprint.post("/<identifier>/rotate")
@operation(
    _operation(
        "rotateWebhook",
        "A new secret; for a day messages are signed with the one before too",
        200,
        NewWebhookAnswer,
        problems=("not_found",),
    )
)
def rotate(identifier: str) -> Response:
    made = state().services.store.webhooks.rotate(_mine(identifier).id, now=now())
    return jsonify(_shown(made) | {"secret": sending.secret(_key(), made)})


@blueprint.post("/<identifier>/enable")
@operation(
    _operation("enableWebhook", "Deliver again after 410 or failure", 200, WebhookAnswer, problems=("not_found",))
)
def enable(identifier: str) -> Response:
    return jsonify(_shown(state().services.store.webhooks.enable(_mine(identifier).id)))


@blueprint.post("/<identifier>/test")
@operation(_operation("testWebhook", "Send it a ping", 202, DeliveryAnswer, problems=("not_found",)))
def test(identifier: str) -> tuple[Response, int]:
    found = state().services.store.webhooks.tell(_mine(identifier).id, "ping", {}, now=now())
    return jsonify(_delivery(found)), 202


@blueprint.get("/<identifier>/deliveries")
@operation(
    _operation("listDeliveries", "What it was told, the newest first", 200, DeliveryList, problems=("not_found",))
)
def deliveries(identifier: str) -> Response:
    found = state().services.store.webhooks.deliveries(_mine(identifier).id)
    return jsonify({"deliveries": [_delivery(one) for one in found]})


@blueprint.post("/<identifier>/deliveries/<delivery>/resend")
@operation(
    _operation("resendDelivery", "Send a message again, under its id", 202, DeliveryAnswer, problems=("not_found",))
)
def resend(identifier: str, delivery: str) -> tuple[Response, int]:
    found = state().services.store.webhooks.again(_mine(identifier).id, delivery, now=now())
    return jsonify(_delivery(found)), 202


def _mine(identifier: str) -> Webhook:
    found = state().services.store.webhooks.get(identifier)
    caller = current().caller
    if caller is None or not (caller.may(Scope.ADMIN) or found.owner == caller.id):
        raise RequestError("not_found")
    return found


def _key() -> bytes:
    return sending.key(state().config.webhook_key)


def _shown(one: Webhook) -> dict[str, Any]:
    return {
        "id": one.id,
        "url": one.url,
        "all": one.owner is None,
        "created_at": _time(one.created_at),
        "rotated_at": _time(one.rotated_at),
        "disabled_at": _time(one.disabled_at),
        "failing_since": _time(one.failing_since),
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": one.type,
        "created_at": _time(one.created_at),
        "state": one.state,
        "attempts": one.attempts,
        "next_try": _time(one.due_at) if one.state == "waiting" else None,
        "status": one.status,
        "error": one.error,
    }


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="seconds").replace("+00:00", "Z")


__all__ = ["blueprint"]
