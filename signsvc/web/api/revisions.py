"""``POST /v1/revisions``: the document as it was signed, out of what became of it."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, Response, request, send_file

from signsvc.errors import RequestError
from signsvc.store import Scope
from signsvc.web import body as bodies
from signsvc.web.api.sign import digest_header
from signsvc.web.app import state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, PDF, Operation, operation
from signsvc.web.models import RevisionJson, RevisionParams
from signsvc.web.problems import checked

blueprint = Blueprint("revisions", __name__, url_prefix="/v1")

FORM: dict[str, Any] = {
    "type": "object",
    "required": ["document"],
    "properties": {
        "document": BINARY,
        "signature": {"type": "string", "description": "Field name, id or number of the signature"},
    },
}


@blueprint.post("/revisions")
@operation(
    Operation(
        "getSignedRevision",
        "The document as it was signed",
        "documents",
        scopes=(Scope.VERIFY,),
        description=(
            "Answers the first octets of the document up to the end of the revision that the signature covers, byte "
            "for byte, without what was added later; nothing is judged. `Signsvc-Signature` is the signature's id in "
            "a report, `Signsvc-Revision` and `Signsvc-Revisions` are the revision's number and how many the document "
            "has, and `Signsvc-Coverage` is FULL where nothing was added later, else REVISION."
        ),
        bodies={"multipart/form-data": FORM, PDF: BINARY, "application/json": RevisionJson},
        answers={200: {PDF: BINARY}},
        with_raw=RevisionParams,
        headers={"Content-Digest": "RFC 9530 digest of the body"},
        problems=("revision_not_found", "not_acceptable"),
    )
)
def revision() -> Response:
    # A caller that accepts problem documents alone, or names nothing, gets the document all the same.
    if request.accept_mimetypes and not request.accept_mimetypes.best_match([PDF, "application/problem+json"]):
        raise RequestError("not_acceptable")
    config = state().config
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        body = bodies.read(request, directory, config.body)
        if body.supplied:
            raise RequestError("invalid_request", reason="a form file with an unknown name")
        params = checked(RevisionParams, body.params)
        path = body.document.path
        found = state().services.verifier.revision(path, params.signature)
        # Only its end goes: the file is this request's own, and no octet of it is read again by anyone else.
        with path.open("r+b") as file:
            file.truncate(found.size)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        # The open file outlives its directory entry.
        response = send_file(path.open("rb"), mimetype=PDF, etag=digest, conditional=False, max_age=None)
    current().facts["octets"] = body.document.size
    response.content_length = found.size
    headers = response.headers
    headers["Repr-Digest"] = headers["Content-Digest"] = digest_header(digest)
    headers["Content-Disposition"] = 'attachment; filename="signed-revision.pdf"'
    headers["Signsvc-Signature"] = found.signature
    headers["Signsvc-Revision"] = str(found.number)
    headers["Signsvc-Revisions"] = str(found.of)
    headers["Signsvc-Coverage"] = "FULL" if found.whole else "REVISION"
    headers["Vary"] = "Accept"
    return response
