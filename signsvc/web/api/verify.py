"""``POST /v1/verify`` and the reports it leaves."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request

from signsvc.algorithms import digest_by_name
from signsvc.errors import RequestError
from signsvc.issuing import registry
from signsvc.issuing.render import FORMS, ISSUER, render
from signsvc.reports import acceptance
from signsvc.reports.model import Report
from signsvc.store import Scope
from signsvc.verification import VerifyRequest
from signsvc.verification.model import OriginalFile
from signsvc.web import body as bodies
from signsvc.web import metrics
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, PDF, Operation, operation
from signsvc.web.models import OriginalContent, OriginalDigest, VerifyHashesJson, VerifyJson, VerifyParams
from signsvc.web.problems import checked

blueprint = Blueprint("verify", __name__, url_prefix="/v1")

_PEM = re.compile(rb"-----BEGIN (?:X509 CRL|CERTIFICATE|TRUSTED CERTIFICATE)-----([A-Za-z0-9+/=\s]+?)-----END ")
# Form names of supplied files and the members they fill.
_SUPPLIED = {
    "trust_anchor": "trust_anchors",
    "trust_anchors": "trust_anchors",
    "cert": "certificates",
    "certificate": "certificates",
    "certificates": "certificates",
    "crl": "crls",
    "crls": "crls",
}
MAX_SUPPLIED = 64

FORMS_OF_REPORTS: dict[str, Any] = {
    "application/json": Report,
    "text/html": {"type": "string"},
    "application/xml": {"type": "string", "description": "ETSI TS 119 102-2"},
    PDF: BINARY,
    "application/jwt": {"type": "string", "description": "Signature Validation Token, RFC 9321"},
}

FORM: dict[str, Any] = {
    "type": "object",
    "required": ["document"],
    "properties": {
        "document": BINARY,
        "params": {"type": "string", "description": "VerifyParams as JSON; or give its members as form fields"},
        "trust_anchor": {"type": "array", "items": BINARY},
        "cert": {"type": "array", "items": BINARY},
        "crl": {"type": "array", "items": BINARY},
        "original": {
            "type": "array",
            "items": BINARY,
            "description": "Content of a detached signature, with its file name",
        },
    },
}


@blueprint.post("/verify")
@operation(
    Operation(
        "verify",
        "Verify every signature of a document",
        "documents",
        scopes=(Scope.VERIFY,),
        description=(
            "The answer is 200 for any document that can be read, whatever its signatures are worth; a document "
            "without signatures has the indication NO-SIGNATURE."
        ),
        bodies={
            "multipart/form-data": FORM,
            PDF: BINARY,
            "application/xml": BINARY,
            "application/octet-stream": BINARY,
            "application/json": VerifyJson,
        },
        answers={200: FORMS_OF_REPORTS},
        with_raw=VerifyParams,
        headers={"Content-Digest": "RFC 9530 digest of the body", "Accept-Language": "vi or en"},
        problems=("policy_not_found", "trust_profile_not_found", "not_acceptable"),
    )
)
def verify() -> Response:
    form = form_asked_for()
    config = state().config
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        body = bodies.read(request, directory, config.body)
        report = kept(body, config.policy)
    return rendered(report, form)


def kept(body: bodies.Body, default_policy: str) -> dict[str, Any]:
    """The report for a body, stored with what it rests on.  Raises `RequestError` and what the verifier raises."""
    params = checked(VerifyParams, body.params)
    supplied: dict[str, list[bytes]] = {
        "trust_anchors": list(params.trust_anchors),
        "certificates": list(params.certificates),
        "crls": list(params.crls),
    }
    rule = acceptance.rule(params.accept, state().config.acceptance) if params.accept else None
    for name, files in body.supplied.items():
        if name not in _SUPPLIED:
            raise RequestError("invalid_request", reason="a form file with an unknown name")
        supplied[_SUPPLIED[name]] += _ders(files)
    if sum(map(len, supplied.values())) > MAX_SUPPLIED:
        raise RequestError("invalid_request", reason=f"more than {MAX_SUPPLIED} certificates and CRLs")
    asked = VerifyRequest(
        policy=params.policy or default_policy,
        at=params.at,
        offline=params.offline,
        name=body.document.name,
        originals=(
            *_files(body.originals),
            *_written(params.originals, body.document.path.parent),
            *_digests(params.digests),
        ),
        must_cover=params.must_cover,
        trust_anchors=tuple(supplied["trust_anchors"]),
        certificates=tuple(supplied["certificates"]),
        crls=tuple(supplied["crls"]),
        record=state().config.keep_evidence,
    )
    outcome = state().services.verifier.verify(body.document.path, asked)
    report = outcome.report
    if rule is not None:
        report["acceptance"] = acceptance.accept(report, rule, issuer=params.issuer)
    metrics.VERDICTS.labels(report["indication"]).inc()
    current().facts |= {"indication": report["indication"], "octets": body.document.size}
    caller = current().caller
    owner = caller.id if caller else None
    registry.keep(state().services.store, report, outcome.snapshot, now=now(), owner=owner)
    return report


def _files(originals: Iterable[bodies.Upload]) -> Iterator[OriginalFile]:
    return (OriginalFile(one.name or f"original-{n}", one.path) for n, one in enumerate(originals, 1))


def _written(originals: Iterable[OriginalContent], directory: Path) -> Iterator[OriginalFile]:
    """Originals of a JSON body as files in `directory`, under names of ours."""
    for number, one in enumerate(originals, 1):
        path = directory / f"original-{number}"
        path.write_bytes(one.content)
        yield OriginalFile(one.name, path)


def _digests(digests: Iterable[OriginalDigest]) -> Iterator[OriginalFile]:
    """Raises `RequestError` (``invalid_request``)."""
    for number, one in enumerate(digests, 1):
        found = digest_by_name(one.algorithm)
        if found is None or len(one.digest) != found.size:
            raise RequestError("invalid_request", reason="digests: an algorithm with a digest of its length")
        yield OriginalFile(one.name or f"digest-{number}", None, ((found.oid, one.digest),))


@blueprint.post("/verify-hashes")
@operation(
    Operation(
        "verifyHashes",
        "Verify detached signatures against digests: the content stays with the caller",
        "documents",
        scopes=(Scope.VERIFY,),
        description=(
            "`document` is the signature file (XAdES, CAdES), `digests` those of its content.  Archive timestamps of "
            "XAdES are over the content itself and cannot be checked from digests; the report says so."
        ),
        bodies={"application/json": VerifyHashesJson},
        answers={200: FORMS_OF_REPORTS},
        problems=("policy_not_found", "trust_profile_not_found", "not_acceptable"),
    )
)
def verify_hashes() -> Response:
    form = form_asked_for()
    config = state().config
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        body = bodies.read(request, directory, config.body)
        if not body.params.get("digests"):
            raise RequestError("invalid_request", reason="digests: at least one")
        report = kept(body, config.policy)
    return rendered(report, form)


def form_asked_for() -> str:
    """The form of a report that the Accept header prefers.  Raises `RequestError` (not_acceptable)."""
    # A caller that accepts problem documents alone gets the report in JSON too.
    best = request.accept_mimetypes.best_match([*FORMS.values(), "application/problem+json"])
    if best is None and request.accept_mimetypes:
        raise RequestError("not_acceptable")
    return next((form for form, media_type in FORMS.items() if media_type == best), "json")


def rendered(report: Any, form: str, *, stored: bool = False) -> Response:
    """A kept report in `form`, remembered as given out; `stored`: it was asked for under its own address."""
    if form != "json" and "packet" in report:
        raise RequestError("not_acceptable")
    if form == "html":
        response = Response(page(report), mimetype="text/html")
    elif form == "json":
        response = jsonify(report)
    else:
        found = current()
        base = state().config.public_url if state().config.open_verify else ""
        made = render(
            report,
            form,
            sealer=state().services.sealer,
            lang=found.lang,
            objects=lambda: registry.objects(state().services.store, report["id"]),
            check_url=f"{base}/verify/{report['id']}" if base else None,
            issuer=state().config.public_url or ISSUER,
        )
        response = Response(made.octets, mimetype=made.media_type)
        response.headers["Signsvc-Report-Sealed"] = "true" if made.sealed else "false"
    if form != "json":
        sealed = response.headers.get("Signsvc-Report-Sealed") == "true"
        state().services.store.reports.given_out(report["id"], form, response.get_data(), sealed=sealed, now=now())
    if report.get("acceptance"):
        response.headers["Signsvc-Acceptance"] = report["acceptance"]["decision"]
    digest = hashlib.sha256(response.get_data()).digest()
    response.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode('ascii')}:"
    href = f"/v1/reports/{report['id']}"
    response.headers["Content-Location"] = f"{href}.{form}" if stored else href
    response.headers["Vary"] = "Accept, Accept-Language"
    return response


def page(report: Any) -> str:
    """The report as a page in the caller's language, its style under this answer's nonce."""
    from signsvc.reports.html import render_html

    return render_html(report, current().lang, nonce=current().nonce)


def _ders(files: Iterable[bytes]) -> list[bytes]:
    """DER octets of certificates or CRLs that may be PEM, several to a file."""
    found: list[bytes] = []
    for data in files:
        if b"-----BEGIN " not in data:
            found.append(data)
            continue
        for match in _PEM.finditer(data):
            try:
                found.append(base64.b64decode(match[1]))
            except binascii.Error:
                raise RequestError("invalid_request", reason="malformed PEM") from None
    return found
