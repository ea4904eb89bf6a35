"""A profile's word and a caller's wishes together: what one signature is to say."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from signsvc.errors import CredentialError, DocumentError, RequestError
from signsvc.signing.profiles.model import TEXTS, CredentialRule, Profile
from signsvc.types.holders import AGENCY, folded, holder

if TYPE_CHECKING:
    from signsvc.signing.model import SignParams
    from signsvc.types import Certificate


def settle(profile: Profile, params: SignParams) -> SignParams:
    """`params` with the profile's own in the places that the caller leaves open.

    Raises `RequestError`: ``parameter_fixed`` where the profile leaves no choice, ``parameter_missing`` where the
    caller has to say something; `data` names the parameter.
    """
    changed: dict[str, Any] = {name: _text(profile, name, params) for name in TEXTS}
    claimed = profile.signature
    if not params.claimed_roles:
        changed |= {"capacity": claimed.capacity, "role": claimed.role}
    if params.commitment is None and changed["reason"] is None:
        changed["commitment"] = claimed.commitment
    elif params.commitment is not None and changed["reason"] is not None:
        raise RequestError("invalid_request", reason="commitment and reason: one of them")
    certify, field = profile.certify, profile.field
    if certify.fixed and params.certify is not None and params.certify != _certified(profile):
        raise RequestError("parameter_fixed", name="certify")
    if params.certify is None and certify.when == "always":
        changed["certify"] = certify.permissions
    if field.fixed and params.field is not None and params.field != field.name:
        raise RequestError("parameter_fixed", name="field")
    if params.field is None and field.name is not None and "{n}" not in field.name:
        changed["field"] = field.name
    if params.visible is None:
        changed["visible"] = _shown(profile)
    elif (profile.appearance_fixed and params.visible != _shown(profile)) or profile.shown == "never":
        raise RequestError("parameter_fixed", name="visible")
    elif profile.visible and params.field is None and params.visible.template in (None, profile.appearance):
        changed["visible"] = params.visible.placed_by(_place(profile))
    return replace(params, **changed)


def for_document(
    profile: Profile, params: SignParams, *, signed: bool, fields: Collection[str], empty: Sequence[str]
) -> SignParams:
    """`params` of `settle` with what depends on the document: whether it is `signed`, its `fields`, the `empty` ones.

    Raises `DocumentError` (``signing_not_permitted``, reason ``no-such-field``) where the profile asks for an existing
    field and there is none.
    """
    rule = profile.field
    changed: dict[str, Any] = {}
    if params.certify is None and profile.certify.when == "first" and not signed:
        changed["certify"] = profile.certify.permissions
    name = params.field
    if name is None and rule.name is not None:
        names = (rule.name.replace("{n}", str(n)) for n in itertools.count(1))
        if rule.existing:
            name = next((n for n in itertools.islice(names, len(fields) + 1) if n in empty), None)
        else:
            name = next(n for n in names if n not in fields or n in empty)
        changed["field"] = name
    if rule.existing and name not in empty:
        raise DocumentError("signing_not_permitted", reason="no-such-field")
    return replace(params, **changed)


def check_credential(profile: Profile, credential: str) -> None:
    """Raises `CredentialError` (``credential_not_allowed``) where the profile is not for the credential of this id."""
    allowed = profile.credential.ids
    if allowed and not any(
        credential.startswith(name[:-1]) if name.endswith("*") else credential == name for name in allowed
    ):
        raise CredentialError("credential_not_allowed")


def check_certificate(rule: CredentialRule, certificate: Certificate) -> None:
    """Whether the certificate itself is of the kind that the profile is for; its path is `check_path`'s.

    Raises `CredentialError`: ``key_not_acceptable``, ``certificate_not_for_signing``, ``certificate_wrong_holder``,
    ``certificate_wrong_organization``, ``certificate_wrong_policy``.
    """
    bits = certificate.key_bits or 0
    if (rule.key_types and certificate.key_type not in rule.key_types) or bits < rule.least_bits.get(
        certificate.key_type, 0
    ):
        raise CredentialError("key_not_acceptable", type=certificate.key_type, bits=bits)
    usages = certificate.extended_key_usage or ()
    if not set(rule.key_usage) <= (certificate.key_usage or frozenset()) or (
        rule.extended_key_usage and not set(rule.extended_key_usage) & set(usages)
    ):
        raise CredentialError("certificate_not_for_signing")
    if rule.holder is not None and (rule.holder == AGENCY) != (holder(certificate) == AGENCY):
        raise CredentialError("certificate_wrong_holder", holder=rule.holder)
    if rule.organizations:
        own = {folded(v) for kind in ("O", "OU") for v in certificate.subject_values(kind)}
        if not own & {folded(name) for name in rule.organizations}:
            raise CredentialError("certificate_wrong_organization")
    if rule.policies and not set(rule.policies) & set(certificate.policies):
        raise CredentialError("certificate_wrong_policy")


def check_path(rule: CredentialRule, path: Sequence[Certificate]) -> None:
    """Whether one of the authorities that the profile names stands on the established path, leaf first.

    Raises `CredentialError` (``certificate_wrong_issuer``).
    """
    above = {folded(authority.common_name) for authority in path[1:]}
    if rule.issuers and not above & {folded(name) for name in rule.issuers}:
        raise CredentialError("certificate_wrong_issuer")


def _text(profile: Profile, name: str, params: SignParams) -> str | None:
    rule, given = profile.texts.get(name), getattr(params, name)
    if rule is None:
        return str(given) if given is not None else None
    if given is not None and rule.fixed and given != rule.value:
        raise RequestError("parameter_fixed", name=name)
    if given is not None and rule.allowed and given not in rule.allowed:
        raise RequestError("parameter_fixed", name=name)
    if given is None and name == "reason" and getattr(params, "commitment", None) is not None:
        if rule.fixed and rule.value is not None:
            raise RequestError("parameter_fixed", name="commitment")
        return None  # a commitment goes without a reason
    found = given if given is not None else rule.value
    if found is None and rule.required:
        raise RequestError("parameter_missing", name=name)
    return str(found) if found is not None else None


def _certified(profile: Profile) -> int | None:
    return None if profile.certify.when == "never" else profile.certify.permissions


def _shown(profile: Profile) -> Any:
    """The visible signature that the profile makes unasked."""
    return _place(profile) if profile.shown == "always" else None


def _place(profile: Profile) -> Any:
    """Where the profile has visible signatures, and how large."""
    from signsvc.signing.model import TEMPLATES
    from signsvc.signing.visible import parse

    return parse(dict(profile.visible or {}), TEMPLATES)[0]
