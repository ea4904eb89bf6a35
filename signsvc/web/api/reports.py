"""``/v1/reports``: stored reports in every form, checked, shared, deleted; ``/v1/files``: what is known of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request

from signsvc.errors import RequestError
from signsvc.issuing import check as checking
from signsvc.store import Scope, Share, StoredReport
from signsvc.verification import VerifyRequest
from signsvc.web import auth
from signsvc.web import body as bodies
from signsvc.web.api.jobs import time
from signsvc.web.api.verify import FORMS_OF_REPORTS, form_asked_for, rendered
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, Operation, operation
from signsvc.web.logs import log
from signsvc.web.problems import checked
from signsvc.web.register_models import (
    FileAnswer,
    ReportCheckAnswer,
    ReportCheckJson,
    ReportShareAnswer,
    ReportShareJson,
    ReportShares,
)

blueprint = Blueprint("reports", __name__, url_prefix="/v1")

_READERS = (Scope.READ, Scope.VERIFY, Scope.SIGN)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")


def _reading(identifier: str, summary: str) -> Operation:
    return Operation(
        identifier,
        summary,
        "documents",
        scopes=_READERS,
        description="With the scope `read` any report; else those that the same key asked for.",
        answers={200: FORMS_OF_REPORTS},
        problems=("not_found", "not_acceptable", "report_deleted"),
    )


@blueprint.get("/reports/<identifier>")
@operation(_reading("getReport", "A report in the form that the Accept header asks for"))
def report(identifier: str) -> Response:
    return rendered(_mine(identifier).body, form_asked_for(), stored=True)


@blueprint.get("/reports/<identifier>.<any(json, html, xml, pdf, jwt):form>")
@operation(
    _reading(
        "getReportAs", "A report as JSON, as a page, as ETSI TS 119 102-2, PDF/A-3 or a Signature Validation Token"
    )
)
def report_as(identifier: str, form: str) -> Response:
    return rendered(_mine(identifier).body, form, stored=True)


@blueprint.delete("/reports/<identifier>")
@operation(
    Operation(
        "deleteReport",
        "Delete a report, what it rests on and the links to it",
        "documents",
        scopes=_READERS,
        description=(
            "Reports that the same key asked for; with the scope `admin` any.  That there was one, and when and by "
            "whom it was deleted, remains; its copies are told to be of a deleted report."
        ),
        answers={204: {}},
        problems=("not_found", "report_deleted"),
    )
)
def delete(identifier: str) -> Response:
    store, caller = state().services.store, current().caller
    found = store.reports.get(identifier)
    if caller is None or not (caller.may(Scope.ADMIN) or found.owner == caller.id):
        raise RequestError("not_found")
    gone = store.reports.delete(identifier, now=now(), by=caller.id, reason="asked")
    log().info("report deleted", report=identifier, by=gone.deleted_by, reason=gone.reason)
    return Response(status=204)


@blueprint.post("/reports/check")
@operation(
    Operation(
        "checkReport",
        "Is this report ours, unchanged, and about this file?",
        "documents",
        scopes=_READERS,
        description=(
            "A form with the file `report` (any form of it), and `document` or `sha256` where the file in question is "
            "known; or JSON with `report_id`.  `accepted` is true for a report of this service that is unchanged and, "
            "where a file was named, about it.  The answer is 200 whatever the report is worth."
        ),
        bodies={
            "multipart/form-data": {
                "type": "object",
                "required": ["report"],
                "properties": {
                    "report": BINARY,
                    "document": BINARY,
                    "sha256": {"type": "string"},
                    "report_id": {"type": "string"},
                },
            },
            "application/json": ReportCheckJson,
        },
        answers={200: {"application/json": ReportCheckAnswer}},
        headers={"Content-Digest": "RFC 9530 digest of the body"},
    )
)
def check() -> Response:
    config = state().config
    if request.mimetype == "application/json":
        asked = checked(ReportCheckJson, bodies.read_json(request, config.body))
        return jsonify(checked_report(None, asked.report_id, asked.sha256))
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        upload, params = read_report(directory)
        return jsonify(checked_report(upload, params.get("report_id"), params.get("sha256")))


def read_report(directory: Path, admit: Any = None) -> tuple[Path, Mapping[str, Any]]:
    """The uploaded report, and report_id and sha256 where they were told.  Raises `RequestError`."""
    body = bodies.read(request, directory, state().config.body, admit, subject="report", beside="document")
    params = dict(body.params)
    if body.originals:
        if params.get("sha256") not in (None, body.originals[0].sha256):
            raise RequestError("digest_mismatch")
        params["sha256"] = body.originals[0].sha256
    sha256 = params.get("sha256")
    if sha256 is not None and not _SHA256.match(str(sha256)):
        raise RequestError("invalid_request", reason="sha256: 64 hexadecimal digits")
    return body.document.path, params


def checked_report(upload: Path | None, report_id: str | None, sha256: str | None) -> dict[str, Any]:
    """The answer about an uploaded or named report."""
    services = state().services

    def judge(path: Path, anchors: tuple[bytes, ...]) -> Mapping[str, Any]:
        asked = VerifyRequest(policy=state().config.policy, offline=True, trust_anchors=anchors)
        return services.verifier.verify(path, asked).report

    found = checking.check(
        services.store, upload, sealer=services.sealer, judge=judge, report_id=report_id, sha256=sha256
    )
    current().facts |= {"report_state": found.state.value, "accepted": found.accepted}
    return found.json()


@blueprint.get("/files/<sha256>")
@operation(
    Operation(
        "getFile",
        "Was exactly this file signed or verified here?",
        "documents",
        scopes=_READERS,
        description=(
            "By the SHA-256 of its octets.  `signed` and `verified` are told to every caller, since who knows the "
            "digest has the file; ids only of what the caller may read."
        ),
        answers={200: {"application/json": FileAnswer}},
    )
)
def file(sha256: str) -> Response:
    if not _SHA256.match(sha256):
        raise RequestError("invalid_request", reason="sha256: 64 hexadecimal digits")
    return jsonify(about_file(sha256.lower()))


def about_file(sha256: str) -> dict[str, Any]:
    """What is known of a file, for the caller of this request."""
    store, caller = state().services.store, current().caller
    signed, reports = store.reports.signed(sha256), store.reports.of_file(sha256)

    def may(owner: str | None) -> bool:
        return caller is not None and auth.may_read(caller, owner)

    return {
        "sha256": sha256,
        "signed": bool(signed),
        "verified": bool(reports),
        "signatures": [
            {
                "id": one.signature_id,
                "href": f"/v1/signatures/{one.signature_id}",
                "level": one.level,
                "created_at": time(one.created_at),
            }
            for one in signed
            if may(one.owner)
        ],
        "reports": [
            {
                "id": one.id,
                "href": f"/v1/reports/{one.id}",
                "indication": one.indication,
                "created_at": time(one.created_at),
            }
            for one in reports
            if may(one.owner)
        ],
    }


@blueprint.post("/reports/<identifier>/shares")
@operation(
    Operation(
        "shareReport",
        "A link to a report for people without a key, for a time",
        "documents",
        scopes=_READERS,
        description="The link is shown once; who has it sees the report until it expires or is taken back.",
        bodies={"application/json": ReportShareJson},
        answers={201: {"application/json": ReportShareAnswer}},
        problems=("not_found", "report_deleted"),
    )
)
def share(identifier: str) -> tuple[Response, int]:
    asked = checked(ReportShareJson, bodies.read_json(request, state().config.body))
    _mine(identifier)
    caller = current().caller
    until = now() + timedelta(days=asked.days)
    owner = caller.id if caller else None
    made = state().services.store.reports.share(identifier, now=now(), until=until, owner=owner)
    log().info("report shared", report=identifier, share=made.id, by=owner, until=time(until))
    return jsonify(_share(made) | {"url": f"{state().config.public_url}/r/{made.secret}"}), 201


@blueprint.get("/reports/<identifier>/shares")
@operation(
    Operation(
        "listReportShares",
        "Links to a report that have not expired, without their secrets",
        "documents",
        scopes=_READERS,
        answers={200: {"application/json": ReportShares}},
        problems=("not_found", "report_deleted"),
    )
)
def shares(identifier: str) -> Response:
    _mine(identifier)
    found = state().services.store.reports.shares(identifier, now=now())
    return jsonify({"shares": [_share(one) for one in found]})


@blueprint.delete("/reports/<identifier>/shares/<share_id>")
@operation(
    Operation(
        "unshareReport",
        "Take a link back",
        "documents",
        scopes=_READERS,
        answers={204: {}},
        problems=("not_found", "report_deleted"),
    )
)
def unshare(identifier: str, share_id: str) -> Response:
    _mine(identifier)
    state().services.store.reports.unshare(identifier, share_id)
    log().info("report no longer shared", report=identifier, share=share_id)
    return Response(status=204)


def _mine(identifier: str) -> StoredReport:
    """A report that the caller may read.  Raises `RequestError` (not_found, report_deleted)."""
    found = state().services.store.reports.get(identifier)
    caller = current().caller
    if caller is None or not auth.may_read(caller, found.owner):
        raise RequestError("not_found")
    return found


def _share(one: Share) -> dict[str, Any]:
    return {"id": one.id, "created_at": time(one.created_at), "expires_at": time(one.expires_at)}


__all__ = ["about_file", "blueprint", "checked_report", "read_report"]
