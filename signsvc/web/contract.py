"""The contract of each operation, written once: who may call it, what it takes and answers.

The decorator enforces what the OpenAPI document says, so that the two cannot differ.  Bodies are never read here: a
document may be a gigabyte, and its three forms are the business of `signsvc.web.body`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, current_app, request
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from signsvc import __version__
from signsvc.errors import PROBLEMS
from signsvc.store import Scope
from signsvc.web import auth
from signsvc.web.models import Problem
from signsvc.web.problems import invalid

BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
PDF = "application/pdf"

Media = type[BaseModel] | dict[str, Any]

# Problems that any operation with a key, and any that takes a document, may answer.
KEYED = ("unauthorized", "forbidden")
WITH_BODY = (
    "digest_mismatch",
    "request_timeout",
    "document_too_large",
    "wrong_content_type",
    "unsupported_format",
    "invalid_request",
    "empty_document",
    "document_unreadable",
    "encrypted_document",
    "encryption_unsupported",
    "document_too_complex",
    "busy",
    "worker_lost",
    "storage_full",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the OpenAPI document shows it."""

    id: str
    summary: str
    tag: str
    scopes: tuple[Scope, ...] | None = None  # None: open to everyone
    open_by: str = ""  # the switch of `WebConfig` that opens it to everyone
    description: str = ""
    query: type[BaseModel] | None = None
    with_raw: type[BaseModel] | None = None  # its plain members may stand in the query beside a raw body
    bodies: Mapping[str, Media] = field(default_factory=dict)
    answers: Mapping[int, Mapping[str, Media]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def operation(described: Operation) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enforce and describe: the caller is checked first, then the query; the view gets `query` where it has one."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def checked(**values: Any) -> Any:
            state = current_app.extensions["signsvc.state"]
            if described.scopes is not None:
                config = current_app.extensions["signsvc"]
                opened = bool(described.open_by) and getattr(config, described.open_by)
                required = config.key_required and not opened
                auth.require(request, state.services.store, described.scopes, key_required=required)
            if described.query is not None:
                try:
                    values["query"] = described.query.model_validate(request.args.to_dict())
                except ValidationError as error:
                    raise invalid(error) from None
            return view(**values)

        checked.operation = described  # type: ignore[attr-defined]
        return checked

    return decorate


def openapi(app: Flask, public_url: str = "") -> dict[str, Any]:
    """The OpenAPI 3.1 document of every described operation of `app`."""
    found: list[tuple[str, str, Operation]] = []
    for rule in app.url_map.iter_rules():
        described = getattr(app.view_functions[rule.endpoint], "operation", None)
        if described is not None:
            path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
            methods = sorted(m for m in rule.methods or () if m in ("DELETE", "GET", "POST", "PUT"))
            found += [(path, m.lower(), described) for m in methods]
    references, schemas = _schemas(described for _, _, described in found)
    paths: dict[str, dict[str, Any]] = {}
    for path, method, described in sorted(found, key=lambda entry: entry[:2]):
        paths.setdefault(path, {})[method] = _describe(path, described, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "signsvc",
            "version": __version__,
            "summary": "Ký số và kiểm tra chữ ký số / Sign and verify documents",
            "description": (
                "A bad signature is an answer (200 with a verdict), not an error. Problems are RFC 9457 documents "
                "with a stable `code`; their texts are at /docs/problems."
            ),
        },
        "servers": [{"url": public_url or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "API key, `sk_…`"}},
        },
    }


def _models(described: Operation) -> Iterable[type[BaseModel]]:
    media: list[Media] = list(described.bodies.values())
    for answer in described.answers.values():
        media += answer.values()
    yield from (m for m in media if isinstance(m, type))
    if described.query is not None:
        yield described.query


def _schemas(operations: Iterable[Operation]) -> tuple[dict[type[BaseModel], dict[str, Any]], dict[str, Any]]:
    wanted: set[type[BaseModel]] = {Problem}
    wanted.update(m for o in operations for m in _models(o))
    models = sorted(wanted, key=lambda m: m.__name__)
    by_model, definitions = models_json_schema(
        [(m, "validation") for m in models], ref_template="#/components/schemas/{model}"
    )
    return {m: by_model[m, "validation"] for m in models}, definitions.get("$defs", {})


def _describe(path: str, described: Operation, references: Mapping[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    def media(value: Media) -> dict[str, Any]:
        return references[value] if isinstance(value, type) else value

    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{([^}]+)}", path)
    ]
    if described.query is not None:
        schema = described.query.model_json_schema(ref_template="#/components/schemas/{model}")
        required = schema.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": _plain(prop)}
            for name, prop in schema["properties"].items()
        ]
    if described.with_raw is not None:
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": _plain(prop)}
            for name, prop in described.with_raw.model_json_schema()["properties"].items()
            if "$ref" not in str(prop) and prop.get("type") not in ("array", "object")
        ]
    parameters += [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in described.headers.items()
    ]
    entry: dict[str, Any] = {
        "operationId": described.id,
        "summary": described.summary,
        "description": described.description,
        "tags": [described.tag],
        "parameters": parameters,
        "responses": {
            str(status): {"description": "", "content": {kind: {"schema": media(v)} for kind, v in content.items()}}
            for status, content in described.answers.items()
        },
    }
    if described.bodies:
        content = {kind: {"schema": media(value)} for kind, value in described.bodies.items()}
        entry["requestBody"] = {"required": True, "content": content}
    codes = list(described.problems)
    if described.scopes is not None:
        entry["security"] = [{"key": []}]
        entry["x-scopes"] = [str(scope) for scope in described.scopes]
        codes += KEYED
    if described.bodies:
        codes += WITH_BODY
    for status, names in sorted(_by_status([*codes, "internal_error"]).items()):
        entry["responses"][str(status)] = {
            "description": ", ".join(sorted(names)),
            "content": {"application/problem+json": {"schema": references[Problem]}},
        }
    return entry


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in schema.items() if k != "title"}


def _by_status(codes: Iterable[str]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for code in codes:
        found.setdefault(PROBLEMS[code].status, set()).add(code)
    return found
