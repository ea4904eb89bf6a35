"""``POST /v1/fields``: the fields of a document, and new ones laid out before its first signature."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, jsonify, request, send_file
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from signsvc.errors import RequestError
from signsvc.store import Scope
from signsvc.web import body as bodies
from signsvc.web.api.sign import digest_header
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.contract import BINARY, PDF, Operation, operation
from signsvc.web.models import JsonDocument
from signsvc.web.problems import checked

blueprint = Blueprint("fields", __name__, url_prefix="/v1")

_MOST = 50
_RECT = "Left, bottom, right, top in points from the lower left corner of the page as shown"
Text = Annotated[str, Field(min_length=1, max_length=127)]
Rect = tuple[float, float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Lock(_Strict):
    """What signing in the field locks."""

    action: Literal["All", "Include", "Exclude"]
    fields: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    permissions: Literal[2, 3] | None = Field(None, description="DocMDP level from then on")


class Seed(_Strict):
    """What the field asks of its signer; all of it is required."""

    formats: tuple[Literal["ETSI.CAdES.detached", "adbe.pkcs7.detached"], ...] = ()
    digests: tuple[Literal["SHA256", "SHA384", "SHA512"], ...] = ()
    reasons: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    subjects: Annotated[tuple[str, ...], Field(max_length=50)] = Field((), description="DER in base64")
    issuers: Annotated[tuple[str, ...], Field(max_length=50)] = Field((), description="DER in base64")
    timestamp_url: str | None = None
    certification: Literal[0, 2, 3] | None = Field(None, description="DocMDP level; 0: an approval signature")


class NewField(_Strict):
    name: Text
    kind: Literal["signature", "text"] = "signature"
    page: int = Field(1, ge=-1, description="From 1; -1 is the last")
    rect: Rect | None = Field(None, description=_RECT)
    lock: Lock | None = None
    seed: Seed | None = None


class FormField(BaseModel):
    name: str
    kind: Literal["signature", "text", "button", "choice", "other"]
    filled: bool
    value: str | None
    page: int | None
    rect: Rect | None
    lock: dict[str, Any] | None
    seeded: bool = Field(description="Whether it asks something of its signer")


def _parsed(value: Any) -> Any:
    """A form field holds the list as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("fields: a list in JSON") from None


class FieldsRequest(_Strict):
    """The fields to be laid out; none: those that there are are listed."""

    fields: Annotated[tuple[NewField, ...], Field(max_length=_MOST), BeforeValidator(_parsed)] = ()


class FieldsJson(FieldsRequest):
    document: JsonDocument


class FieldsAnswer(BaseModel):
    added: list[str]
    fields: list[FormField] = Field(description="All fields, the new ones last")
    document: dict[str, Any] = Field(description="sha256 and size, and href where documents are kept")


_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["document"],
    "properties": {"document": BINARY, "fields": {"type": "string", "description": "A list of fields as JSON"}},
}


@blueprint.post("/fields")
@operation(
    Operation(
        "prepareFields",
        "Lay out fields before the first signature, or list them",
        "documents",
        scopes=(Scope.SIGN,),
        description=(
            "Empty signature fields with locks and seed values, and text fields such as `so` and `ngay`, in one "
            "revision. Without `fields` the answer is the list, as JSON. Documents that are signed take no new fields."
        ),
        bodies={"multipart/form-data": _FORM, "application/json": FieldsJson, PDF: BINARY},
        answers={200: {PDF: BINARY, "application/json": FieldsAnswer}},
        headers={"Accept": "application/pdf (default) or application/json"},
        problems=("fields_not_permitted", "not_acceptable", "self_check_failed"),
    )
)
def fields() -> Response:
    from signsvc.signing.fields import parse

    accepted = request.accept_mimetypes
    best = accepted.best_match([PDF, "application/json"])
    if best is None and accepted:
        raise RequestError("not_acceptable")
    config = state().config
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        body = bodies.read(request, directory, config.body)
        if body.supplied:
            raise RequestError("invalid_request", reason="a form file with an unknown name")
        wanted = checked(FieldsRequest, body.params)
        asked = parse(wanted.model_dump(exclude_none=True, exclude_defaults=True)["fields"] if wanted.fields else [])
        target = directory / "fields"
        result = state().services.signing.prepare_fields(body.document.path, target, fields=asked)
        current().facts["octets"] = body.document.size
        document: dict[str, Any] = {"sha256": result.sha256, "size": result.size}
        if best == "application/json" or not asked:
            if config.keep_documents and asked:
                caller = current().caller
                owner = caller.id if caller else None
                state().services.store.documents.add(target, media_type=PDF, now=now(), owner=owner)
                document["href"] = f"/v1/documents/{result.sha256}"
            response = jsonify(added=result.added, fields=result.fields, document=document)
        else:
            # The open file outlives its directory entry.
            response = send_file(target.open("rb"), mimetype=PDF, etag=False, conditional=False)
            response.content_length = result.size
            response.headers["Repr-Digest"] = digest_header(result.sha256)
    response.headers["Vary"] = "Accept"
    return response
