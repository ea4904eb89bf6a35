"""``POST /v1/sign`` and ``POST /v1/extend``: a document in, a signed one out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint, Response, jsonify, request, send_file
from pydantic import BaseModel

from signsvc.errors import DocumentError, RequestError
from signsvc.signing import answers
from signsvc.store import Scope
from signsvc.web import body as bodies
from signsvc.web import claims, metrics
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, PDF, Media, Operation, operation
from signsvc.web.models import ExtendJson, ExtendRequest, SignAnswer, SignJson, SignRequest
from signsvc.web.problems import checked

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from signsvc.web.ports import SignResultLike

blueprint = Blueprint("sign", __name__, url_prefix="/v1")

HEADERS = {
    "Idempotency-Key": "The same key and request give the same stored answer for 24 hours",
    "Content-Digest": "RFC 9530 digest of the body",
    "Accept": "The media type of the signed file (default) or application/json",
}
# What is signed and extended; a caller that accepts one of them gets the file.
MEDIA_TYPES = (
    PDF,
    "application/xml",
    "application/pkcs7-signature",
    "application/pkcs7-mime",
    "application/vnd.etsi.asic-s+zip",
    "application/vnd.etsi.asic-e+zip",
    "application/octet-stream",
)
_ANSWERS: dict[int, dict[str, Media]] = {
    200: {**dict.fromkeys(MEDIA_TYPES[:-1], BINARY), "application/json": SignAnswer}
}
PROBLEMS = (
    "not_acceptable",
    "idempotency_in_progress",
    "idempotency_key_reused",
    "signing_not_permitted",
    "base_changed",
    "self_check_failed",
    "tsa_unavailable",
    "tsa_invalid_token",
    "revocation_unavailable",
)
_KEY_PROBLEMS = (
    "image_missing",
    "image_not_found",
    "image_unusable",
    "anchor_not_found",
    "signature_field_not_found",
    "appearance_place_missing",
    "appearance_incomplete",
    "appearance_no_room",
    "profile_not_found",
    "parameter_fixed",
    "parameter_missing",
    "pdfa_required",
    "pdfa_transparency",
    "credential_not_found",
    "credential_disabled",
    "credential_ambiguous",
    "credential_not_allowed",
    "key_not_acceptable",
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_revoked",
    "certificate_suspended",
    "certificate_not_for_signing",
    "certificate_wrong_holder",
    "certificate_wrong_organization",
    "certificate_wrong_policy",
    "certificate_wrong_issuer",
    "certificate_path_unknown",
    "certificate_status_unknown",
    "signature_mismatch",
    "remote_key_needs_person",
    "remote_key_refused",
    "remote_key_unavailable",
    "pin_incorrect",
    "pin_locked",
    "pin_required",
    "token_not_present",
    "token_removed",
    "token_timeout",
    "token_error",
)


def form(model: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["document"],
        "properties": {
            "document": BINARY,
            "params": {"type": "string", "description": f"{model} as JSON; or give its members as form fields"},
            **({"original": BINARY} if model == "ExtendRequest" else {}),
            **({"image": BINARY} if model == "SignRequest" else {}),
        },
    }


Work = Callable[[Path, Path], "SignResultLike"]
Model = TypeVar("Model", bound=BaseModel)


@blueprint.post("/sign")
@operation(
    Operation(
        "sign",
        "Sign a document with a key of the service",
        "documents",
        scopes=(Scope.SIGN,),
        bodies={"multipart/form-data": form("SignRequest"), PDF: BINARY, "application/json": SignJson},
        answers=_ANSWERS,
        with_raw=SignRequest,
        headers=HEADERS,
        problems=(*PROBLEMS, *_KEY_PROBLEMS),
    )
)
def sign() -> Response:
    def prepare(params: SignRequest, body: bodies.Body) -> Work:
        from signsvc.signing.model import SignParams
        from signsvc.signing.profiles.apply import check_credential
        from signsvc.signing.visible import Visible
        from signsvc.verification.model import OriginalFile

        profile = state().profiles().get(params.profile)
        if profile is None:
            raise RequestError("profile_not_found")
        wishes = params.model_dump(exclude={"profile", "credential", "raise_to", "base_sha256"}, exclude_none=True)
        sign_params = SignParams.from_json(wishes)
        image = _image(body.supplied, "sign")
        services = state().services
        if image is not None:
            sign_params = replace(sign_params, visible=replace(sign_params.visible or Visible(), picture=image))
        if profile.format == "pades":
            sign_params = services.images.supplied(sign_params, profile.appearance, params.credential)
        sign_params = replace(sign_params, file_name=body.document.name)
        check_credential(profile, params.credential)
        signer = services.keyring.get(params.credential)
        if any(one.name is None for one in body.more):
            raise RequestError("parameter_missing", name="file_name")
        more = tuple(OriginalFile(one.name or "", one.path) for one in body.more)
        return lambda source, target: services.signing.sign(
            source, target, profile=profile, signer=signer, params=sign_params, more=more
        )

    return produce("sign", SignRequest, prepare)


@blueprint.post("/extend")
@operation(
    Operation(
        "extend",
        "Raise the level of a signed document",
        "documents",
        scopes=(Scope.SIGN,),
        bodies={"multipart/form-data": form("ExtendRequest"), PDF: BINARY, "application/json": ExtendJson},
        answers=_ANSWERS,
        with_raw=ExtendRequest,
        headers=HEADERS,
        problems=PROBLEMS,
    )
)
def extend() -> Response:
    def prepare(params: ExtendRequest, body: bodies.Body) -> Work:
        services = state().services
        policy = state().config.policy
        if len(body.originals) > 1:
            raise RequestError("invalid_request", reason="one part named original")
        beside = body.originals[0] if body.originals else None
        return lambda source, target: services.signing.extend(
            source,
            target,
            level=params.level,
            policy=policy,
            original=beside.path if beside else None,
            original_name=(beside.name if beside else None) or "document",
        )

    return produce("extend", ExtendRequest, prepare)


def produce(kind: str, model: type[Model], prepare: Callable[[Model, bodies.Body], Work]) -> Response:
    """Answer one request with the document that the work prepared from its parameters makes of the one sent."""
    wants_json = _wants_json()
    key = claims.key()
    config = state().config
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        body = bodies.read(request, directory, config.body, several=kind == "sign")
        image = _image(body.supplied, kind)
        params = checked(model, body.params)
        check_base(body.document.sha256, params)
        ticket = claims.begin(kind, key, _content(body, image), params)
        if ticket.answer is not None:
            return _stored(dict(ticket.answer), wants_json)
        with claims.held(ticket, replayed=key is not None) as work:
            target = directory / "signed"
            result = prepare(params, body)(body.document.path, target)
            media_type = getattr(result, "media_type", PDF)
            answer = answers.answer(kind, result)
            later = None
            if isinstance(params, SignRequest):
                later = answers.later(state().profiles()[params.profile], params.raise_to, result.level)
            caller = current().caller
            owner = caller.id if caller else None

            def complete(sha256: str, size: int) -> dict[str, Any]:
                answer["document"] = answers.document(sha256, size, f"/v1/documents/{sha256}", media_type)
                if later is not None:
                    answer["state"] = "raising"
                return answer

            def keep(connection: Connection, _: str) -> None:
                if kind == "sign":
                    store, within = state().services.store, config.raising_time
                    answers.keep(store, connection, answer, now=now(), owner=owner, later=later, within=within)

            if config.keep_documents or key is not None or later is not None:
                target = work.keep(target, complete, media_type=media_type, report=result.report, also=keep).path
            else:
                if result.report is not None:
                    state().services.store.reports.add(result.report, now=now(), owner=owner)
                with target.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                answer["document"] = answers.document(sha256, target.stat().st_size, None, media_type)
        state().services.store.sessions.signed_elsewhere(body.document.sha256, now=now())
        metrics.SIGNATURES.labels(kind, result.level).inc()
        current().facts |= {"level": result.level, "octets": body.document.size, "signature": answer["id"]}
        return _respond(answer, target, wants_json)


def check_base(sha256: str, params: BaseModel) -> None:
    """Raises `DocumentError` (``base_changed``) where another document is meant than the one with this hash."""
    meant = getattr(params, "base_sha256", None)
    if meant is not None and meant.lower() != sha256:
        raise DocumentError("base_changed")


def _image(supplied: Mapping[str, tuple[bytes, ...]], kind: str) -> bytes | None:
    """The picture that came with a request to sign."""
    images = supplied.get("image", ()) if kind == "sign" else ()
    if set(supplied) - ({"image"} if images else set()) or len(images) > 1:
        raise RequestError("invalid_request", reason="a form file with an unknown name")
    return images[0] if images else None


def _content(body: bodies.Body, image: bytes | None) -> str:
    """What was sent, in short."""
    found = body.document.sha256 if image is None else f"{body.document.sha256}+{hashlib.sha256(image).hexdigest()}"
    if body.more:
        several = json.dumps([[one.name, one.sha256] for one in (body.document, *body.more)])
        found += f"+{hashlib.sha256(several.encode()).hexdigest()}"
    return found


def _stored(answer: dict[str, Any], wants_json: bool) -> Response:
    path = state().services.store.documents.get(answer["document"]["sha256"]).path
    response = _respond(answer, path, wants_json)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _respond(answer: dict[str, Any], path: Path, wants_json: bool) -> Response:
    if wants_json:
        response = jsonify(answer)
    else:
        # The open file outlives its directory entry, so that a spooled one can be sent after its removal.
        response = send_file(path.open("rb"), mimetype=answer["document"]["media_type"], etag=False, conditional=False)
        response.headers["Content-Type"] = answer["document"]["media_type"]  # without a character set of ours
        response.content_length = answer["document"]["size"]
        response.headers["Repr-Digest"] = digest_header(answer["document"]["sha256"])
    response.headers["Signsvc-Signature-Id"] = answer["id"]
    response.headers["Signsvc-Level"] = answer["signature"]["level"]
    response.headers["Vary"] = "Accept"
    if answer["report"] is not None:
        response.headers["Link"] = f'<{answer["report"]["href"]}>; rel="describedby"'
    return response


def digest_header(sha256: str) -> str:
    """The value of `Repr-Digest` for a SHA-256 in hex (RFC 9530 §3)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode('ascii')}:"


def _wants_json() -> bool:
    wanted = request.accept_mimetypes
    best = wanted.best_match([*MEDIA_TYPES, "application/json"])
    if best is None and wanted:
        raise RequestError("not_acceptable")
    return best == "application/json"


__all__ = ["HEADERS", "PROBLEMS", "blueprint", "digest_header", "form", "produce"]
