"""``POST /v1/timestamp``: a checked RFC 3161 token over a digest; ``GET /v1/timestamp-authorities``: how they do."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field

from signsvc.errors import ConfigError, RequestError
from signsvc.store import Scope
from signsvc.web.app import now, state
from signsvc.web.contract import Operation, operation
from signsvc.web.problems import checked

if TYPE_CHECKING:
    from signsvc.trust import TsaClient

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
        "A timestamp over a digest",
        "documents",
        scopes=(Scope.SIGN,),
        description="The token is checked in all its parts before it is handed on.",
        bodies={"application/json": TimestampRequest},
        answers={200: {"application/json": TimestampAnswer}},
        problems=("tsa_unavailable", "tsa_invalid_token", "configuration_invalid"),
    )
)
def timestamp() -> Response:
    if not request.is_json:
        raise RequestError("wrong_content_type")
    if request.content_length is None or request.content_length > _MOST_OCTETS:
        raise RequestError("document_too_large", limit=_MOST_OCTETS)
    wanted = checked(TimestampRequest, request.get_json())
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
