"""``POST /v1/edxml/verify``: a packet of the document axis in, what its attachments are worth out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from signsvc.errors import RequestError
from signsvc.issuing import registry
from signsvc.reports import acceptance
from signsvc.reports.model import EdxmlReport
from signsvc.store import Scope
from signsvc.verification import VerifyRequest
from signsvc.web import body as bodies
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, Operation, operation
from signsvc.web.models import VerifyJson, VerifyParams
from signsvc.web.problems import checked

blueprint = Blueprint("edxml", __name__, url_prefix="/v1/edxml")

_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["document"],
    "properties": {
        "document": BINARY,
        "params": {"type": "string", "description": "VerifyParams as JSON; or give its members as form fields"},
    },
}


@blueprint.post("/verify")
@operation(
    Operation(
        "verifyEdxml",
        "Verify the attachments of an edXML packet (QCVN 102)",
        "documents",
        scopes=(Scope.VERIFY,),
        description=(
            "Each attachment has its report; the packet's own signature is told apart, since hubs break it.  With "
            "`accept` the answer names the status to send: 03, 02 with the reasons in Vietnamese, or 01."
        ),
        bodies={"multipart/form-data": _FORM, "application/xml": BINARY, "application/json": VerifyJson},
        answers={200: {"application/json": EdxmlReport}},
        with_raw=VerifyParams,
        problems=("not_edxml", "policy_not_found", "trust_profile_not_found"),
    )
)
def verify() -> Response:
    config = state().config
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        body = bodies.read(request, directory, config.body)
        params = checked(VerifyParams, body.params)
        if body.originals or body.supplied or params.digests or params.must_cover or params.originals:
            raise RequestError("invalid_request", reason="a form file with an unknown name")
        rule = acceptance.rule(params.accept, config.acceptance) if params.accept else None
        asked = VerifyRequest(
            policy=params.policy or config.policy,
            at=params.at,
            offline=params.offline,
            name=body.document.name,
            trust_anchors=tuple(params.trust_anchors),
            certificates=tuple(params.certificates),
            crls=tuple(params.crls),
        )
        found = state().services.verifier.verify_edxml(body.document.path, asked)
    if rule is not None:
        found["acceptance"] = acceptance.accept_packet(found, rule)
    caller = current().caller
    registry.keep(state().services.store, found, None, now=now(), owner=caller.id if caller else None)
    response = jsonify(found)
    if rule is not None:
        response.headers["Signsvc-Acceptance"] = found["acceptance"]["decision"]
    return response


__all__ = ["blueprint"]
