"""Policy files: TOML read into a `Policy`; everything in them is checked, and mistakes are told with their line.

A file may build on another policy and say only what differs:

    extends = "cong-vu"            # by id; the id of the file itself means the built-in policy of that name
    id = "so-noi-vu"
    version = "1"
    timestamp = "required"

    [levels]
    certificate_purpose_unusual = "fail"

    [algorithms.all]
    sha1 = { until = 2016-07-01 }

Tables are merged key by key, everything else is replaced.  Rows of an algorithm go before those of the other policy in
every role that they are written for, so that ``[algorithms.all]`` counts in all roles here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from signsvc.algorithms import DatedRow
from signsvc.errors import ConfigError
from signsvc.messages import catalogue
from signsvc.toml_files import (
    Check,
    Lookup,
    Place,
    Rules,
    Table,
    hex_digest,
    identifier,
    is_bool,
    list_of,
    oid,
    one_of,
    resolve,
    table_problems,
    text_of,
    when,
)
from signsvc.types.certificate import KEY_USAGE_BITS
from signsvc.validation.policy import (
    LEVELS,
    PROTECTED_SUBS,
    SIGNATURE_LEVELS,
    TIMESTAMP_DEMANDS,
    Freshness,
    Policy,
    Role,
)
from signsvc.validation.policy_tree import PolicyInputs

NONE = "none"  # required_level: takes back what the other policy demands


def parse(data: bytes, where: str = "policy", lookup: Lookup | None = None) -> Policy:
    """The policy in a TOML file's octets; `lookup` finds what it extends.

    Its hash is the SHA-256 of the octets; where it extends another policy, of the octets followed by the 32 octets of
    that policy's own hash, so that it still names exactly what judged.  Raises `ConfigError`
    (``configuration_invalid``) that names the file, the line and what is wrong.
    """
    table, chain = resolve(data, where, _RULES, lookup)
    (policy_id, version, sha256), *others = chain
    fields = _built(table, where)
    return Policy(id=policy_id, version=version, sha256=sha256, extends=tuple(others), **fields)


def _seconds(value: Any) -> str | None:
    return None if type(value) is int and 0 <= value <= 3_200_000_000 else "must be a number of seconds"


def _offset(value: Any) -> str | None:
    return None if type(value) is int and abs(value) <= 86_400 else "must be a number of seconds"


_KEYS: Mapping[str, Check] = {
    "id": identifier,
    "version": text_of(64),
    "extends": identifier,
    "title_vi": text_of(200),
    "title_en": text_of(200),
    "description_vi": text_of(2000),
    "description_en": text_of(2000),
    "trust_profiles": list_of(identifier, least=1),
    "required_level": one_of(*SIGNATURE_LEVELS, NONE),
    "timestamp": one_of(*TIMESTAMP_DEMANDS),
    "clock_tolerance": _seconds,
    "timestamp_delay": _seconds,
    "key_usage": list_of(one_of(*KEY_USAGE_BITS), least=1),
    "extended_key_usage": list_of(oid),
    "experimental": is_bool,
    "claimed_time_offsets": list_of(_offset),
}
_FRESHNESS: Mapping[str, Check] = {
    "at": one_of("signing", "now"),
    "ocsp_max_age": _seconds,
    "crl_max_age": _seconds,
    "without_next_update": _seconds,
    "grace": _seconds,
}
_CERTIFICATE_POLICIES: Mapping[str, Check] = {
    "accepted": list_of(oid, least=1),
    "required": is_bool,
    "inhibit_mapping": is_bool,
    "inhibit_any": is_bool,
}
_FIXED_TABLES = {"freshness": _FRESHNESS, "certificate_policies": _CERTIFICATE_POLICIES}
# Tables whose keys are the file's own: a check of the keys and one of the values.
_TABLES: Mapping[str, tuple[Check, Check]] = {
    "keeps_expired_since": (hex_digest, when),
    "known_since": (hex_digest, when),
    "sunsets": (hex_digest, when),
    "signature_policies": (oid, hex_digest),
}


_OTHERS = frozenset(("levels", "algorithms", *_TABLES))


def _problems(table: Table) -> Iterator[tuple[Place, str]]:
    """What is wrong in a file's own table: where, and in which words."""
    yield from table_problems(table, _KEYS, _FIXED_TABLES, others=_OTHERS)
    for name, value in table.items():
        if name not in _OTHERS or not isinstance(value, dict):
            continue
        if name == "levels":
            for code, level in value.items():
                if problem := _level_problem(code, level):
                    yield (name, code), problem
        elif name == "algorithms":
            yield from _algorithm_problems(value)
        else:
            of_key, of_value = _TABLES[name]
            for key, entry in value.items():
                if problem := of_key(key) or of_value(entry):
                    yield (name, key), problem


def _level_problem(code: str, level: Any) -> str | None:
    known = catalogue().get(code)
    if known is None or not known.block:
        return "no such finding"
    if level not in LEVELS:
        return f"must be one of {', '.join(LEVELS)}"
    if known.sub in PROTECTED_SUBS and known.level == "fail" and level != "fail":
        return "may not be weakened"
    return None


def _algorithm_problems(table: Table) -> Iterator[tuple[tuple[str, ...], str]]:
    for role, algorithms in table.items():
        if role not in (*Role, "all"):
            yield ("algorithms", role), "no such role"
        elif not isinstance(algorithms, dict):
            yield ("algorithms", role), "must be a table"
        else:
            for name, value in algorithms.items():
                if problem := next(filter(None, map(_row_problem, _entries(value))), None):
                    yield ("algorithms", role, name), problem


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _row_problem(entry: Any) -> str | None:
    if not isinstance(entry, dict) or not set(entry) <= {"bits", "until"}:
        return "holds tables of bits and until"
    if not (type(bits := entry.get("bits", 0)) is int and 0 <= bits <= 100_000):
        return "bits must be a number"
    return when(entry["until"]) if "until" in entry else None


def _by_role(table: Table) -> dict[Role, Table]:
    """The rows of each role: those for ``all`` roles with its own in their place."""
    common = table.get("all", {})
    return {role: {**common, **table.get(role, {})} for role in Role}


def _merged(base: Table, own: Table) -> Table:
    found = dict(base)
    for name, value in own.items():
        if name == "algorithms":
            found[name] = {role: {**base[name][role], **value[role]} for role in Role}
        elif isinstance(value, dict):
            found[name] = {**base.get(name, {}), **value}
        else:
            found[name] = value
    return found


def _by_roles(table: Table) -> Table:
    return {**table, "algorithms": _by_role(table.get("algorithms", {}))}


def _whole(table: Table) -> Iterator[tuple[Place, str]]:
    for role in Role:
        if not table["algorithms"][role]:
            yield ("algorithms",), f"role {role} has no rows"


_RULES = Rules(
    "policy",
    "policies",
    _problems,
    ("title_vi", "title_en", "trust_profiles"),
    _whole,
    _merged,
    _by_roles,
)


def _built(table: Table, where: str) -> dict[str, Any]:
    """The fields of a `Policy` from a table in which every value is known to be right."""
    fields = {name: table[name] for name in _KEYS if name in table and name not in ("id", "version", "extends")}
    for name in ("trust_profiles", "claimed_time_offsets"):
        fields[name] = tuple(fields.get(name, ()))
    for name in ("key_usage", "extended_key_usage"):
        if name in fields:
            fields[name] = frozenset(fields[name])
    if fields.get("required_level") == NONE:
        fields["required_level"] = None
    for name in ("keeps_expired_since", "known_since", "sunsets"):
        fields[name] = {bytes.fromhex(k.replace(":", "")): _moment(v) for k, v in table.get(name, {}).items()}
    fields["signature_policies"] = {
        oid: value.replace(":", "").lower() for oid, value in table.get("signature_policies", {}).items()
    }
    asked = dict(table.get("certificate_policies", {}))
    if "accepted" in asked:
        asked["accepted"] = frozenset(asked["accepted"])
    fields["certificate_policies"] = PolicyInputs(**asked)
    try:
        fields["freshness"] = Freshness(**table.get("freshness", {}))
        fields["levels"] = dict(table.get("levels", {}))
        fields["algorithms"] = {
            role: tuple(row for name, value in rows.items() for row in _rows(name, value))
            for role, rows in table["algorithms"].items()
        }
    except OverflowError:  # a date at the ends of the calendar
        raise ConfigError(reason=f"{where}: not a date") from None
    return fields


def _rows(name: str, value: Any) -> Iterator[DatedRow]:
    for entry in _entries(value):
        until = entry.get("until")
        yield DatedRow(name, entry.get("bits", 0), _moment(until) if until is not None else None)


def _moment(value: date) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime.combine(value, time(), UTC)
