"""Errors as RFC 9457 problem documents, for every status that leaves the service.

Nothing of the request is repeated; an unexpected exception becomes `internal_error` and is known only by its
instance, under which the log has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask, Response, current_app, render_template, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from signsvc.errors import InternalError, RequestError, SignsvcError
from signsvc.web.context import current

MEDIA_TYPE = "application/problem+json"

M = TypeVar("M", bound=BaseModel)

# Seconds after which a retryable problem may be tried again.
RETRY_AFTER = {"busy": 2, "worker_lost": 1, "idempotency_in_progress": 1, "rate_limited": 10, "storage_full": 60}
RETRY_AFTER_DEFAULT = 5

_HTTP = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    413: "document_too_large",
    415: "wrong_content_type",
    429: "rate_limited",
    503: "busy",
}


class InvalidMembersError(RequestError):
    """Values that do not fit their model; `errors` are the members of RFC 9457's extension of that name."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        self.errors = errors
        super().__init__("invalid_request", reason=f"{errors[0]['pointer'] or '/'}: {errors[0]['message']}")


def checked(model: type[M], params: Any) -> M:
    """`params` as `model`; raises `InvalidMembersError` (``invalid_request``) where they do not fit."""
    try:
        return model.model_validate(params)
    except ValidationError as error:
        raise invalid(error, model) from None


def invalid(error: ValidationError, model: type[BaseModel] | None = None) -> InvalidMembersError:
    """The problem for values that do not fit a model: pointers and messages, never the values themselves.

    `model` lets the message for an unknown member at the top name those that are known.
    """
    known = f"a member that is not known; known: {', '.join(model.model_fields)}" if model else None
    members = []
    for entry in error.errors(include_url=False, include_context=False, include_input=False)[:20]:
        # An unknown member's name is the caller's text; only names of ours are shown.
        parts = entry["loc"][:-1] if entry["type"] == "extra_forbidden" else entry["loc"]
        pointer = "".join(f"/{part}" for part in parts if isinstance(part, int | str))
        message = known if known and not pointer and entry["type"] == "extra_forbidden" else entry["msg"]
        members.append({"pointer": pointer, "code": entry["type"], "message": message})
    return InvalidMembersError(members)


def document(error: SignsvcError) -> dict[str, Any]:
    """The members of the problem document for `error`."""
    context = current()
    base = current_app.extensions["signsvc"].public_url
    members: dict[str, Any] = {
        "type": f"{base}/docs/problems#{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": error.text("en"),
        "instance": f"urn:uuid:{context.instance}",
        "code": error.code,
        "retryable": error.retryable,
        "localized": {"lang": context.lang, "message": error.text(context.lang)},
    }
    if facts := {k: v for k, v in error.data.items() if isinstance(v, str | int | float | bool)}:
        members["data"] = facts
    if isinstance(error, InvalidMembersError):
        members["errors"] = error.errors
    return members


def answer(error: SignsvcError) -> Response:
    """The response for `error`: a problem document, or a page where a person asked for one."""
    context = current()
    context.problem = error.code
    members = document(error)
    if _wants_page():
        html = render_template("problem.html", problem=members, lang=context.lang, nonce=context.nonce)
        response = Response(html, status=error.status, mimetype="text/html")
    else:
        body = json.dumps(members, ensure_ascii=False)
        response = Response(body + "\n", status=error.status, content_type=MEDIA_TYPE)
    response.headers.update(_headers(error))
    return response


def _headers(error: SignsvcError) -> Mapping[str, str]:
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    if error.retryable:
        headers["Retry-After"] = str(RETRY_AFTER.get(error.code, RETRY_AFTER_DEFAULT))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="signsvc"'
    return headers


def _wants_page() -> bool:
    if request.path.startswith("/v1/"):
        return False
    offered = [MEDIA_TYPE, "application/json", "text/html"]
    return request.accept_mimetypes.best_match(offered, default=MEDIA_TYPE) == "text/html"


def register(app: Flask) -> None:
    """Answer every error of `app` with a problem document."""
    app.register_error_handler(SignsvcError, answer)
    app.register_error_handler(ValidationError, lambda error: answer(invalid(error)))
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _http(error: HTTPException) -> Response:
    if error.response is not None or error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return Response(error.get_response().get_data(), status=error.code, headers=dict(error.get_headers()))
    if isinstance(error, RequestEntityTooLarge):
        return answer(RequestError("document_too_large", limit=current_app.extensions["signsvc"].max_body_bytes))
    code = _HTTP.get(
        error.code, "invalid_request" if error.code < HTTPStatus.INTERNAL_SERVER_ERROR else "internal_error"
    )
    data = {"reason": HTTPStatus(error.code).phrase} if code == "invalid_request" else {}
    response = answer(RequestError(code, **data))
    if allow := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(allow))
    return response


def _unexpected(error: Exception) -> Response:
    from signsvc.web.logs import log

    log().error("unexpected", exc_info=error, instance=str(current().instance))
    return answer(InternalError())
