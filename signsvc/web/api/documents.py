"""``GET /v1/documents/{sha256}``: what was signed here, octet for octet."""

from __future__ import annotations

from flask import Blueprint, Response, send_file

from signsvc.errors import RequestError
from signsvc.store import Scope
from signsvc.web import auth
from signsvc.web.api.sign import digest_header
from signsvc.web.app import state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, PDF, Operation, operation

blueprint = Blueprint("documents", __name__, url_prefix="/v1")


@blueprint.get("/documents/<sha256>")
@operation(
    Operation(
        "getDocument",
        "A signed document by its SHA-256",
        "documents",
        scopes=(Scope.READ, Scope.SIGN),
        description="With the scope `read` any document; else those that the same key had signed.",
        answers={200: {PDF: BINARY}},
        problems=("not_found",),
    )
)
def document(sha256: str) -> Response:
    found = state().services.store.documents.get(sha256)
    caller = current().caller
    if caller is None or not auth.may_read(caller, found.owner):
        raise RequestError("not_found")
    response = send_file(found.path, mimetype=found.media_type, etag=found.sha256, conditional=True, max_age=None)
    response.headers["Repr-Digest"] = digest_header(found.sha256)
    return response
