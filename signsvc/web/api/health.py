"""Probes, version, metrics, the OpenAPI document and the schemas of reports."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from signsvc import __version__
from signsvc.errors import RequestError
from signsvc.store import Scope
from signsvc.web import metrics
from signsvc.web.app import state
from signsvc.web.contract import Operation, openapi, operation
from signsvc.web.logs import log
from signsvc.web.models import Health, Readiness, Version

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@operation(
    Operation(
        "health",
        "Whether the process answers",
        "service",
        answers={200: {"application/json": Health}},
    )
)
def healthz() -> Response:
    return jsonify(status="ok")


@blueprint.get("/readyz")
@operation(
    Operation(
        "readiness",
        "Whether database and storage work",
        "service",
        answers={200: {"application/json": Readiness}, 503: {"application/json": Readiness}},
    )
)
def readyz() -> tuple[Response, int]:
    try:
        state().services.store.check()
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        log().error("not ready", exc_info=error)
        return jsonify(status="failing", checks={"store": "failing"}), 503
    return jsonify(status="ok", checks={"store": "ok"}), 200


@blueprint.get("/version")
@operation(Operation("version", "Name and version", "service", answers={200: {"application/json": Version}}))
def version() -> Response:
    return jsonify(name="signsvc", version=__version__, api="v1")


@blueprint.get("/metrics")
@operation(
    Operation(
        "metrics",
        "Prometheus metrics",
        "service",
        description="With an API key, unless `auth.open_metrics` is set; open in trial mode.",
        scopes=(Scope.READ,),
        open_by="open_metrics",
        answers={200: {"text/plain": {"type": "string"}}},
    )
)
def prometheus() -> Response:
    text, kind = metrics.exposition()
    try:
        text += metrics.standing(state().services)
    except Exception as error:  # noqa: BLE001 - a database that is away is no reason to say nothing
        log().error("metrics incomplete", exc_info=error)
    return Response(text, content_type=kind)


@blueprint.get("/openapi.json")
@operation(Operation("openapi", "This document", "service", answers={200: {"application/json": {"type": "object"}}}))
def document() -> Response:
    return jsonify(openapi(current_app, state().config.public_url))


@blueprint.get("/schemas/report-<version>.json")
@operation(
    Operation(
        "getReportSchema",
        "The JSON Schema of reports, by version",
        "service",
        answers={200: {"application/schema+json": {"type": "object"}}},
        problems=("not_found",),
    )
)
def report_schema(version: str) -> Response:
    from signsvc.reports import published

    found = published.schema(version)
    if found is None:
        raise RequestError("not_found")
    response = Response(found, mimetype="application/schema+json")
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response
