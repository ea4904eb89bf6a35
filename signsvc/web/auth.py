"""API keys: ``Authorization: Bearer sk_…``, with scopes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from signsvc.errors import RequestError
from signsvc.store import ApiKey, Scope
from signsvc.web.context import current

if TYPE_CHECKING:
    from flask import Request

    from signsvc.store import Store

# Stands for every caller where keys are switched off.
ANYONE = ApiKey("anyone", "", "anyone", frozenset(Scope), datetime(1970, 1, 1, tzinfo=UTC))


def require(request: Request, store: Store, scopes: tuple[Scope, ...], *, key_required: bool) -> ApiKey:
    """The caller, who has one of `scopes`.  Raises `RequestError` (unauthorized, forbidden)."""
    if not key_required:
        return accept(ANYONE)
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise RequestError("unauthorized")
    return accept(check(store, secret.strip(), scopes))


def check(store: Store, secret: str, scopes: tuple[Scope, ...]) -> ApiKey:
    """The enabled key with this secret, which has one of `scopes`.  Raises `RequestError`."""
    key = store.api_keys.find(secret, now=datetime.now(UTC))
    if key is None:
        raise RequestError("unauthorized")
    if scopes and not key.may(*scopes):
        raise RequestError("forbidden")
    return key


def accept(key: ApiKey) -> ApiKey:
    """Remember who calls, for the log and for ownership."""
    current().caller = key
    return key


def may_read(key: ApiKey, owner: str | None) -> bool:
    """Whether `key` may read what `owner` made: its own, or everything with the scope ``read``."""
    return key.may(Scope.READ) or owner == key.id
