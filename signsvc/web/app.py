"""The application: routes, ids, headers, the access log."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Response, current_app, request

from signsvc.web import metrics, problems
from signsvc.web.config import WebConfig
from signsvc.web.context import current
from signsvc.web.logs import log
from signsvc.web.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from signsvc.settings import Settings
    from signsvc.signing.profiles import Profile
    from signsvc.validation.policy import Policy
    from signsvc.web.ports import AppServices

# Pages and assets come from here alone; scripts and styles need the answer's own nonce.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

# Polled by probes; a line for each would bury the rest.
_QUIET = frozenset(("/healthz", "/readyz", "/metrics"))


@dataclass
class AppState:
    """What views share."""

    config: WebConfig
    services: AppServices
    slots: Slots
    profile_directories: tuple[Path, ...] = ()
    policy_directories: tuple[Path, ...] = ()

    def profiles(self) -> Mapping[str, Profile]:
        """Signing profiles by id, those of the installation included."""
        from signsvc.signing import profiles

        return profiles.available(self.profile_directories)

    def close(self) -> None:
        """End what the services started, where they have an end."""
        if (close := getattr(self.services, "close", None)) is not None:
            close()

    def policies(self) -> Mapping[str, Policy]:
        """Validation policies by id, those of the installation included."""
        from signsvc.validation import policies

        return policies.load_all(self.policy_directories)


def state() -> AppState:
    """The state of the application in work."""
    return cast("AppState", current_app.extensions["signsvc.state"])


def now() -> datetime:
    """The present: the doors are where time comes in."""
    return datetime.now(UTC)


def create_app(settings: Settings, services: AppServices | None = None) -> Flask:
    """The WSGI application.  Made in each worker after the fork; nothing heavy is opened before it is needed."""
    from signsvc.web import pages
    from signsvc.web.api import (
        batches,
        catalogue,
        documents,
        edxml,
        fields,
        health,
        jobs,
        reports,
        revisions,
        sessions,
        sign,
        signatures,
        timestamp,
        verify,
        webhooks,
    )

    if services is None:
        from signsvc.services import Services

        services = Services(settings, shared_tokens=True)
    config = WebConfig.of(settings)
    app = Flask("signsvc.web", static_folder="static", static_url_path="/static", template_folder="templates")
    app.url_map.merge_slashes = False  # it answers with an absolute address made of the caller's Host header
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.extensions["signsvc"] = config
    app.extensions["signsvc.state"] = AppState(
        config,
        services,
        Slots(config.slots, config.waiting),
        profile_directories=tuple(d for d in (settings.data_dir / "profiles",) if d.is_dir()),
        policy_directories=(settings.data_dir / "policies",),
    )
    problems.register(app)
    app.before_request(_begin)
    app.after_request(_finish)
    about_documents = (
        sign,
        batches,
        verify,
        reports,
        edxml,
        revisions,
        fields,
        documents,
        signatures,
        timestamp,
        sessions,
        jobs,
        webhooks,
    )
    for room in (health, *about_documents, catalogue, pages):
        app.register_blueprint(room.blueprint)
    return app


def _begin() -> None:
    current()


def _finish(response: Response) -> Response:
    context = current()
    headers = response.headers
    headers["X-Request-ID"] = context.request_id
    headers["traceparent"] = context.traceparent
    headers.setdefault("X-Content-Type-Options", "nosniff")
    # Not "no-referrer": browsers would then send "Origin: null" with the form of our own verify page.
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Content-Security-Policy", CONTENT_POLICY.format(nonce=context.nonce))
    if request.path.startswith("/v1/"):
        headers.setdefault("Cache-Control", "no-store")
    _record(response)
    return response


def _record(response: Response) -> None:
    context = current()
    route = request.url_rule.rule if request.url_rule is not None else "-"
    seconds = time.monotonic() - context.started
    metrics.REQUESTS.labels(request.method if route != "-" else "-", route, response.status_code).inc()
    metrics.SECONDS.labels(request.method if route != "-" else "-", route).observe(seconds)
    if context.problem:
        metrics.PROBLEMS.labels(context.problem).inc()
    if route in _QUIET and response.status_code < 400:
        return
    line: dict[str, Any] = {
        "method": request.method,
        "route": route,
        "status": response.status_code,
        "ms": round(seconds * 1000, 1),
        "request_id": context.request_id,
        "trace_id": context.trace_id,
        "caller": context.caller.id if context.caller else None,
    }
    if context.problem:
        line |= {"problem": context.problem, "instance": str(context.instance)}
    log().info("request", **line, **context.facts)
