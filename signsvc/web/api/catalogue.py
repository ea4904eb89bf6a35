"""What can be chosen: credentials, signing profiles, validation policies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify

from signsvc.errors import CredentialError, RequestError
from signsvc.store import Scope
from signsvc.web.app import state
from signsvc.web.catalogue_models import (
    AcceptanceRule,
    AcceptanceRuleList,
    Credential,
    CredentialList,
    PolicyItem,
    PolicyList,
    ProfileItem,
    ProfileList,
)
from signsvc.web.contract import Operation, operation

if TYPE_CHECKING:
    from signsvc.reports.acceptance import Rule
    from signsvc.validation.policy import Policy

blueprint = Blueprint("catalogue", __name__, url_prefix="/v1")

_CREDENTIAL = (
    "id",
    "kind",
    "status",
    "subject",
    "serial_number",
    "not_before",
    "not_after",
    "key_type",
    "key_bits",
    "key_usage",
    "algorithms",
    "token_label",
)
_READERS = (Scope.READ, Scope.SIGN)
_ANYONE = (Scope.READ, Scope.SIGN, Scope.VERIFY)


@blueprint.get("/credentials")
@operation(
    Operation(
        "listCredentials",
        "Signing keys and their certificates",
        "catalogue",
        scopes=_READERS,
        answers={200: {"application/json": CredentialList}},
    )
)
def credentials() -> Response:
    return jsonify(credentials=[_credential(info) for info in state().services.keyring.list()])


@blueprint.get("/credentials/<credential>")
@operation(
    Operation(
        "getCredential",
        "One signing key",
        "catalogue",
        scopes=_READERS,
        answers={200: {"application/json": Credential}},
        problems=("credential_not_found",),
    )
)
def credential(credential: str) -> Response:
    for info in state().services.keyring.list():
        if info.id == credential:
            return jsonify(_credential(info))
    raise CredentialError("credential_not_found")


@blueprint.get("/profiles")
@operation(
    Operation(
        "listProfiles",
        "Signing profiles",
        "catalogue",
        scopes=_ANYONE,
        answers={200: {"application/json": ProfileList}},
    )
)
def profiles() -> Response:
    return jsonify(profiles=[profile.to_json() for profile in state().profiles().values()])


@blueprint.get("/profiles/<profile>")
@operation(
    Operation(
        "getProfile",
        "One signing profile",
        "catalogue",
        scopes=_ANYONE,
        answers={200: {"application/json": ProfileItem}},
        problems=("profile_not_found",),
    )
)
def profile(profile: str) -> Response:
    found = state().profiles().get(profile)
    if found is None:
        raise RequestError("profile_not_found")
    return jsonify(found.to_json())


@blueprint.get("/policies")
@operation(
    Operation(
        "listPolicies",
        "Validation policies",
        "catalogue",
        scopes=_ANYONE,
        answers={200: {"application/json": PolicyList}},
    )
)
def policies() -> Response:
    found = state().policies().values()
    return jsonify(
        default=state().config.policy,
        policies=[{name: whole[name] for name in _SHORT} for whole in map(_policy, found)],
    )


@blueprint.get("/policies/<policy>")
@operation(
    Operation(
        "getPolicy",
        "One validation policy with all that it says: levels, freshness, algorithms by role and date",
        "catalogue",
        scopes=_ANYONE,
        answers={200: {"application/json": PolicyItem}},
        problems=("policy_not_found",),
    )
)
def policy(policy: str) -> Response:
    found = state().policies().get(policy)
    if found is None:
        raise RequestError("policy_not_found")
    return jsonify(_policy(found))


def _credential(info: Any) -> dict[str, Any]:
    found = {name: getattr(info, name, None) for name in _CREDENTIAL}
    return {k: _time(v) if isinstance(v, datetime) else v for k, v in found.items()}


_SHORT = (
    "id",
    "version",
    "sha256",
    "extends",
    "title",
    "description",
    "trust_profiles",
    "required_level",
    "timestamp",
    "levels",
)


def _policy(policy: Policy) -> dict[str, Any]:
    """Everything that a policy says."""
    from signsvc.validation.policies.describe import describe

    return describe(policy)


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@blueprint.get("/acceptance-rules")
@operation(
    Operation(
        "listAcceptanceRules",
        "What receiving systems may demand of documents",
        "catalogue",
        scopes=_ANYONE,
        answers={200: {"application/json": AcceptanceRuleList}},
    )
)
def acceptance_rules() -> Response:
    from signsvc.reports import acceptance

    return jsonify(rules=[_rule(one) for one in acceptance.rules(state().config.acceptance).values()])


@blueprint.get("/acceptance-rules/<rule>")
@operation(
    Operation(
        "getAcceptanceRule",
        "One acceptance rule",
        "catalogue",
        scopes=_ANYONE,
        answers={200: {"application/json": AcceptanceRule}},
        problems=("not_found",),
    )
)
def acceptance_rule(rule: str) -> Response:
    from signsvc.reports import acceptance

    found = acceptance.rules(state().config.acceptance).get(rule)
    if found is None:
        raise RequestError("not_found")
    return jsonify(_rule(found))


def _rule(found: Rule) -> dict[str, Any]:
    from signsvc.reports.acceptance import described

    return described(found)
