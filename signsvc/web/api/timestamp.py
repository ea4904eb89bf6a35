"""``POST /v1/timestamp``: a checked RFC 3161 token over a digest, or a document timestamp in a PDF; ``GET
/v1/timestamp-authorities``: how they do."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, RootModel

from signsvc.errors import ConfigError, RequestError
from signsvc.store import Scope
from signsvc.web import body as bodies
from signsvc.web.api.sign import HEADERS, PROBLEMS, form, produce
from signsvc.web.app import now, state
from signsvc.web.contract import BINARY, PDF, Operation, operation
from signsvc.web.jsonbody import loads
from signsvc.web.models import JsonDocument, SignAnswer
from signsvc.web.problems import checked

if TYPE_CHECKING:
    from signsvc.trust import TsaClient
    from signsvc.web.api.sign import Work

blueprint = Blueprint("timestamp", __name__, url_prefix="/v1")

_MOST_OCTETS = 4096
_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}


class TimestampRequest(BaseModel):
    """What is to be stamped: a digest in hex, and how it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    hash: str = Field(pattern=r"^(?:[0-9a-fA-F]{2}){32,64}$", description="In hex")
    hash_algorithm: Literal["sha256", "sha384", "sha512"] = "sha256"


class TimestampAnswer(BaseModel):
    token: str = Field(
        description="The TimeStampToken (CMS) in base64", json_schema_extra={"contentEncoding": "base64"}
    )
    time: datetime
    tsa: str


class TimestampParams(BaseModel):
    """A document takes nothing beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TimestampJson(TimestampParams):
    document: JsonDocument


class TimestampBody(RootModel[TimestampRequest | TimestampJson]):
    """A digest, or a document."""


class TimestampOutput(RootModel[TimestampAnswer | SignAnswer]):
    """A token over the digest; or where the document with its timestamp is, without octets."""


class Authority(BaseModel):
    name: str
    state: Literal["ready", "failing", "resting"] = Field(description="resting: asked last for a while")
    failures: int = Field(description="In a row")
    rests_until: datetime | None


class AuthorityList(BaseModel):
    authorities: list[Authority]


@blueprint.post("/timestamp")
@operation(
    Operation(
        "timestamp",
        "A timestamp over a digest or in a document",
        "documents",
        scopes=(Scope.SIGN,),
        description=(
            "The token is checked in all its parts before it is handed on. A PDF, signed or not, comes back with a "
            "document timestamp."
        ),
        bodies={"application/json": TimestampBody, "multipart/form-data": form("TimestampParams"), PDF: BINARY},
        answers={200: {PDF: BINARY, "application/json": TimestampOutput}},
        headers=HEADERS,
        problems=(*PROBLEMS, "configuration_invalid"),
    )
)
def timestamp() -> Response:
    if request.mimetype == "application/json" and 0 < (request.content_length or 0) <= _MOST_OCTETS:
        data = bodies.read_small(request, state().config.body)
        value = loads(data)
        if "document" not in value:
            return _over_digest(value)
        request.environ["wsgi.input"] = io.BytesIO(data)  # a very small document, read as any other
    return _in_document()


def _in_document() -> Response:
    def prepare(_: TimestampParams, __: bodies.Body) -> Work:
        services, policy = state().services, state().config.policy
        return lambda source, target: services.signing.timestamp(source, target, policy=policy)

    return produce("timestamp", TimestampParams, prepare)


def _over_digest(value: dict[str, Any]) -> Response:
    wanted = checked(TimestampRequest, value)
    digest = bytes.fromhex(wanted.hash)
    if len(digest) != _SIZES[wanted.hash_algorithm]:
        raise RequestError("invalid_request", reason="digest and algorithm do not go together")
    with state().slots.taken():
        token = _client().timestamp(digest, wanted.hash_algorithm, now=now())
    return jsonify(token=base64.b64encode(token.der).decode("ascii"), time=_time(token.gen_time), tsa=token.tsa)


@blueprint.get("/timestamp-authorities")
@operation(
    Operation(
        "listTimestampAuthorities",
        "Timestamp authorities in their order, and how they did lately",
        "catalogue",
        scopes=(Scope.READ, Scope.SIGN),
        answers={200: {"application/json": AuthorityList}},
    )
)
def authorities() -> Response:
    client, moment = _client(), now()
    found = []
    for config in client.configs:
        health = client.health.of(config.name)
        until = datetime.fromtimestamp(health.rests_until, UTC) if health.rests_until else None
        resting = until is not None and until > moment
        word = "resting" if resting else "failing" if health.failures else "ready"
        shown = _time(until) if until is not None and resting else None
        found.append({"name": config.name, "state": word, "failures": health.failures, "rests_until": shown})
    return jsonify(authorities=found)


def _client() -> TsaClient:
    found: TsaClient | None = getattr(state().services, "tsa", None)
    if found is None or not found.configs:
        raise ConfigError(reason="no timestamp authority is configured ([[tsa]])")
    return found


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
