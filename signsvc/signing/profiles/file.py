"""Profile files: TOML read into a `Profile`; everything in them is checked, and mistakes are told with their line.

extends = "cong-vu-b-lta"       # by id; tables are merged key by key, everything else is replaced
id = "so-noi-vu"
version = "1"

[metadata]
reason = "Ban hành"                            # where the caller says nothing
location = { value = "Hà Nội", fixed = true }  # the caller may say nothing else
contact = { required = true }

[credential]
holder = "agency"
ids = ["van-thu*"]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from signsvc.errors import ConfigError, RequestError
from signsvc.formats.cms.claims import COMMITMENTS
from signsvc.signing.model import MAX_TEXT, TEMPLATES, capacity
from signsvc.signing.profiles.model import (
    CANONICALS,
    CERTIFY_WHEN,
    CHAINS,
    DIGESTS,
    FORMATS,
    HOLDERS,
    LEVELS,
    PACKAGINGS,
    PDFA_TRANSPARENCY,
    PDFA_WHEN_NOT,
    RESULTS,
    SCHEMES,
    SHOWN,
    SUBFILTERS,
    TEXTS,
    CertifyRule,
    CredentialRule,
    FieldRule,
    PdfaRule,
    Profile,
    SignatureRule,
    TextRule,
)
from signsvc.toml_files import (
    Check,
    Lookup,
    Place,
    Rules,
    Table,
    identifier,
    is_bool,
    list_of,
    oid,
    one_of,
    resolve,
    table_problems,
    text_of,
    whole_number,
)
from signsvc.types.certificate import KEY_USAGE_BITS

_KEY_TYPES = ("rsa", "rsa-pss", "ec", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
_TEXT = text_of(MAX_TEXT)


def parse(data: bytes, where: str = "profile", lookup: Lookup | None = None) -> Profile:
    """The profile in a TOML file's octets; `lookup` finds what it extends.

    Its hash is that of `toml_files.resolve`.  Raises `ConfigError` (``configuration_invalid``) that names the file,
    the line and what is wrong.
    """
    table, chain = resolve(data, where, _RULES, lookup)
    (profile_id, version, sha256), *others = chain
    fields = {name: table[name] for name in _PLAIN if name in table}
    appearance = dict(table.get("appearance", {}))
    fields |= {
        new: appearance.pop(old)
        for old, new in (("template", "appearance"), ("shown", "shown"), ("fixed", "appearance_fixed"))
        if old in appearance
    }
    pdfa = dict(table.get("pdfa", {}))
    pdfa["parts"] = tuple(pdfa.get("parts", ()))
    try:
        return Profile(
            id=profile_id,
            version=version,
            sha256=sha256,
            extends=tuple(others),
            visible=appearance or None,
            credential=CredentialRule(**_tuples(table.get("credential", {}))),
            texts={name: _rule(value) for name, value in table.get("metadata", {}).items()},
            certify=CertifyRule(**table.get("certify", {})),
            field=FieldRule(**table.get("field", {})),
            pdfa=PdfaRule(**pdfa),
            signature=SignatureRule(**_tuples(table.get("signature", {}))),
            raise_to=table.get("timestamp", {}).get("raise_to"),
            **fields,
        )
    except TypeError:
        raise ConfigError(reason=f"{where}: a value has the wrong type") from None


def _tuples(values: Table) -> Table:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _rule(value: Any) -> TextRule:
    if isinstance(value, str):
        return TextRule(value)
    return TextRule(**_tuples(value))


def _name(value: Any) -> str | None:
    fits = isinstance(value, str) and value.strip() and len(value) <= 100 and "." not in value
    fits = fits and not re.search(r"[{}]", value.replace("{n}", "", 1))
    return None if fits else "must be a name without dots, with {n} at most once"


def _credential_name(value: Any) -> str | None:
    fits = isinstance(value, str) and 0 < len(value) <= 128 and "*" not in value[:-1]
    return None if fits else "must be the id of a credential; * may stand at its end"


def _capacity(value: Any) -> str | None:
    try:
        capacity(value if isinstance(value, list) else [value])
    except RequestError as error:
        return str(error.data["reason"])
    return None


def _part(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[1-4][a-z]?", value)
    return None if fits else "must be a part and its conformance, such as 2b"


def _least_bits(value: Any) -> str | None:
    number = whole_number(1, 65_536)
    fits = isinstance(value, dict) and set(value) <= set(_KEY_TYPES) and not any(map(number, value.values()))
    return None if fits else f"must be a table of key sizes in bits by {', '.join(_KEY_TYPES)}"


def _path(value: Any) -> str | None:
    fits = isinstance(value, str) and len(value) <= 200 and re.fullmatch(r"(/[^\W\d][\w.-]*)+", value)
    return None if fits else "must be a path of local names, such as /HDon/DLHDon"


def _place(value: Any) -> str | None:
    return None if value == "." or not _path(value) else "must be a path such as /HDon/DSCKS, or . for the root"


_PLAIN: dict[str, Check] = {
    "title_vi": text_of(200),
    "title_en": text_of(200),
    "description_vi": text_of(2000),
    "description_en": text_of(2000),
    "format": one_of(*FORMATS),
    "packaging": one_of(*PACKAGINGS),
    "references": list_of(text_of(200)),
    "covers": list_of(_path),
    "place": _place,
    "canonical": one_of(*CANONICALS),
    "level": one_of(*LEVELS),
    "digest": one_of(*DIGESTS),
    "scheme": one_of(*SCHEMES),
    "require_path": is_bool,
    "experimental": is_bool,
    "policy": identifier,
    "result": one_of(*RESULTS),
}
_KEYS: dict[str, Check] = {"id": identifier, "version": text_of(64), "extends": identifier, **_PLAIN}
_TABLES: dict[str, dict[str, Check]] = {
    "credential": {
        "ids": list_of(_credential_name, least=1),
        "key_types": list_of(one_of(*_KEY_TYPES), least=1),
        "least_bits": _least_bits,
        "holder": one_of(*HOLDERS),
        "issuers": list_of(_TEXT, least=1),
        "organizations": list_of(_TEXT, least=1),
        "policies": list_of(oid, least=1),
        "key_usage": list_of(one_of(*KEY_USAGE_BITS), least=1),
        "extended_key_usage": list_of(oid, least=1),
    },
    "certify": {"when": one_of(*CERTIFY_WHEN), "permissions": whole_number(2, 3), "fixed": is_bool},
    "field": {"name": _name, "existing": is_bool, "fixed": is_bool},
    "pdfa": {
        "when_not": one_of(*PDFA_WHEN_NOT),
        "parts": list_of(_part),
        "transparency": one_of(*PDFA_TRANSPARENCY),
    },
    "signature": {
        "subfilter": one_of(*SUBFILTERS),
        "chain": one_of(*CHAINS),
        "capacity": _capacity,
        "role": _TEXT,
        "commitment": one_of(*COMMITMENTS),
    },
    "timestamp": {"raise_to": one_of(*LEVELS[1:])},
}
_TEXT_RULE: dict[str, Check] = {"value": _TEXT, "fixed": is_bool, "required": is_bool, "allowed": list_of(_TEXT)}
_APPEARANCE: dict[str, Check] = {"template": one_of(*TEMPLATES), "shown": one_of(*SHOWN), "fixed": is_bool}


def _problems(table: Table) -> Iterator[tuple[Place, str]]:
    """What is wrong in a file's own table: where, and in which words."""
    yield from table_problems(table, _KEYS, _TABLES, others=frozenset(("metadata", "appearance")))
    metadata = table.get("metadata", {})
    for name, value in metadata.items() if isinstance(metadata, dict) else ():
        yield from _text_problems(name, value)
    appearance = table.get("appearance", {})
    for name, value in appearance.items() if isinstance(appearance, dict) else ():
        if name in _APPEARANCE and (problem := _APPEARANCE[name](value)):
            yield ("appearance", name), problem


def _text_problems(name: str, value: Any) -> Iterator[tuple[Place, str]]:
    if name not in TEXTS:
        yield ("metadata", name), f"must be one of {', '.join(TEXTS)}"
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key not in _TEXT_RULE:
                yield ("metadata", name, key), "no such key"
            elif problem := _TEXT_RULE[key](entry):
                yield ("metadata", name, key), problem
        rule = {"allowed": [], **value}
        if rule["allowed"] and "value" in rule and rule["value"] not in rule["allowed"]:
            yield ("metadata", name), "the value is none of those allowed"
    elif problem := _TEXT(value):
        yield ("metadata", name), problem


def _of_format(table: Table) -> Iterator[tuple[Place, str]]:
    """What a format other than PDF has no place for."""
    from signsvc.signing.files.formats import has

    chosen = table.get("format", "pades")
    if not has(chosen, table.get("packaging")):
        yield ("packaging",), f"not with {chosen}"
    if table.get("references") and (
        chosen not in ("xades", "xmldsig") or table.get("packaging", "enveloped") != "enveloped"
    ):
        yield ("references",), "only with xades, enveloped, and xmldsig"
    for name in () if chosen == "xmldsig" else ("covers", "place", "canonical"):
        if name in table:
            yield (name,), "only with xmldsig"
    if chosen == "xmldsig":
        yield from _of_plain(table)
    if chosen == "pades":
        return
    for name in ("certify", "field", "pdfa"):
        if name in table:
            yield (name,), f"not with {chosen}"
    if table.get("appearance", {}).get("shown", "asked") == "always":
        yield ("appearance", "shown"), f"not with {chosen}"
    if set(table.get("metadata", {})) - {"location"}:
        yield ("metadata",), f"only location goes with {chosen}"


def _of_plain(table: Table) -> Iterator[tuple[Place, str]]:
    """XML signatures without XAdES say nothing but when they are made, and have no level above the first."""
    if table.get("level") != "B-B" or "timestamp" in table:
        yield ("level",), "only B-B with xmldsig"
    if not table.get("references") and not table.get("covers"):
        yield ("covers",), "covers or references is needed with xmldsig"
    if "metadata" in table or set(table.get("signature", {})) - {"chain"}:
        yield ("metadata" if "metadata" in table else "signature",), "not with xmldsig"


def _whole(table: Table) -> Iterator[tuple[Place, str]]:
    """What is wrong with a profile as a whole."""
    appearance = table.get("appearance", {})
    place = {k: v for k, v in appearance.items() if k not in _APPEARANCE}
    if place:
        from signsvc.signing.visible import parse as parse_visible

        try:
            parse_visible(place, TEMPLATES)
        except RequestError as error:
            yield ("appearance",), str(error.data.get("reason", "no such place"))
    reason = table.get("metadata", {}).get("reason")
    yield from _of_format(table)
    said = reason.get("value") or reason.get("required") if isinstance(reason, dict) else reason
    if table.get("signature", {}).get("commitment") and said:
        yield ("signature", "commitment"), "goes without a reason"
    if table.get("field", {}).get("existing") and "name" not in table["field"]:
        yield ("field",), "existing needs a name"


def _merged(base: Table, own: Table) -> Table:
    found = dict(base)
    for name, value in own.items():
        found[name] = {**base.get(name, {}), **value} if isinstance(value, dict) else value
    return found


_RULES = Rules("profile", "profiles", _problems, ("level", "title_vi", "title_en"), _whole, _merged)
