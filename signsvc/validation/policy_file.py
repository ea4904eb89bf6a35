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

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from signsvc.algorithms import DatedRow
from signsvc.errors import ConfigError, RequestError
from signsvc.messages import catalogue
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

MAX_EXTENDED = 8  # policies that build on each other
MAX_FILE = 1024 * 1024
NONE = "none"  # required_level: takes back what the other policy demands

# (id that is extended, id of the policy that extends it) -> name and octets of the file; raises RequestError
Lookup = Callable[[str, str], tuple[str, bytes]]
_Table = dict[str, Any]


def parse(data: bytes, where: str = "policy", lookup: Lookup | None = None) -> Policy:
    """The policy in a TOML file's octets; `lookup` finds what it extends.

    Its hash is the SHA-256 of the octets; where it extends another policy, of the octets followed by the 32 octets of
    that policy's own hash, so that it still names exactly what judged.  Raises `ConfigError`
    (``configuration_invalid``) that names the file, the line and what is wrong.
    """
    table, chain = _read(data, where, lookup, ())
    (identifier, version, sha256), *others = chain
    fields = _built(table, where)
    return Policy(id=identifier, version=version, sha256=sha256, extends=tuple(others), **fields)


_Chain = list[tuple[str, str, str]]  # id, version and hash of each policy, the nearest first


def _read(data: bytes, where: str, lookup: Lookup | None, above: tuple[str, ...]) -> tuple[_Table, _Chain]:
    """The table of a file merged with all that it extends."""
    own = _toml(data, where)
    text = data.decode("utf-8")
    for path, problem in _problems(own):
        raise _wrong(where, text, path, problem)
    for name in ("id", "version"):
        if name not in own:
            raise ConfigError(reason=f"{where}: {name} is missing")
    own["algorithms"] = _by_role(own.get("algorithms", {}))
    identity = (own["id"], own["version"])
    base = own.pop("extends", None)
    if base is None:
        for name in ("title_vi", "title_en", "trust_profiles"):
            if name not in own:
                raise ConfigError(reason=f"{where}: {name} is missing")
        for role in Role:
            if not own["algorithms"][role]:
                raise _wrong(where, text, ("algorithms",), f"role {role} has no rows")
        return own, [(*identity, hashlib.sha256(data).hexdigest())]
    if where in above or len(above) >= MAX_EXTENDED:
        raise _wrong(where, text, ("extends",), "policies extend each other without end")
    try:
        if lookup is None:
            raise RequestError("policy_not_found")
        other, octets = lookup(base, own["id"])
    except RequestError:
        raise _wrong(where, text, ("extends",), "no such policy") from None
    table, chain = _read(octets, other, lookup, (*above, where))
    digest = hashlib.sha256(data + bytes.fromhex(chain[0][2])).hexdigest()
    return _merged(table, own), [(*identity, digest), *chain]


def _toml(data: bytes, where: str) -> _Table:
    try:
        if len(data) > MAX_FILE:
            raise ConfigError(reason=f"{where}: not a TOML file")
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"\(at line (\d+)", str(error))
        raise ConfigError(reason=f"{where}{f', line {line[1]}' if line else ''}: not a TOML file") from None
    except UnicodeDecodeError:
        raise ConfigError(reason=f"{where}: not a TOML file") from None


def _wrong(where: str, text: str, path: tuple[str, ...], problem: str) -> ConfigError:
    line = line_of(text, path)
    return ConfigError(reason=f"{where}{f', line {line}' if line else ''}: {'.'.join(path)}: {problem}")


_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*(\.|=|\])""")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The number of the line that sets `path` (the names from the outermost table on), or the nearest table of it."""
    best: tuple[int, int] | None = None  # how many names fit, line
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        header = stripped.startswith("[")
        names = tuple(_names(stripped.lstrip("[") if header else stripped, "]" if header else "="))
        if not names:
            continue
        if header:
            table = names
        here = names if header else table + names
        if path[: len(here)] == here and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None


def _names(text: str, end: str) -> Iterator[str]:
    found: list[str] = []
    place = 0
    while match := _KEY.match(text, place):
        found.append(match[1].strip("\"'"))
        place = match.end()
        if match[2] == end:
            yield from found
            return
        if match[2] != ".":
            return


# What may stand in a file: a check per key that gives what is wrong, or None.
_Check = Callable[[Any], str | None]


def _is(kind: type, words: str) -> _Check:
    return lambda value: None if type(value) is kind else words


def _text(longest: int) -> _Check:
    return lambda value: None if isinstance(value, str) and len(value) <= longest else "must be a text"


def _one_of(*values: str) -> _Check:
    return lambda value: None if value in values else f"must be one of {', '.join(values)}"


def _identifier(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", value)
    return None if fits else "must be lower-case letters, digits, hyphens"


def _seconds(value: Any) -> str | None:
    return None if type(value) is int and 0 <= value <= 3_200_000_000 else "must be a number of seconds"


def _offset(value: Any) -> str | None:
    return None if type(value) is int and abs(value) <= 86_400 else "must be a number of seconds"


def _oid(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[0-2](\.(0|[1-9]\d*)){1,30}", value)
    return None if fits else "must be an object identifier"


def _hash(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{64}", value.replace(":", ""))
    return None if fits else "must be 32 octets of hex"


def _when(value: Any) -> str | None:
    if isinstance(value, datetime) and value.tzinfo is None:
        return "a date-time needs its zone"
    return None if isinstance(value, date) else "not a date"


def _list(check: _Check, *, least: int = 0) -> _Check:
    def checked(value: Any) -> str | None:
        if not isinstance(value, list) or len(value) < least:
            return "must be a list"
        return next((problem for entry in value if (problem := check(entry))), None)

    return checked


_KEYS: Mapping[str, _Check] = {
    "id": _identifier,
    "version": _text(64),
    "extends": _identifier,
    "title_vi": _text(200),
    "title_en": _text(200),
    "description_vi": _text(2000),
    "description_en": _text(2000),
    "trust_profiles": _list(_identifier, least=1),
    "required_level": _one_of(*SIGNATURE_LEVELS, NONE),
    "timestamp": _one_of(*TIMESTAMP_DEMANDS),
    "clock_tolerance": _seconds,
    "timestamp_delay": _seconds,
    "key_usage": _list(_one_of(*KEY_USAGE_BITS), least=1),
    "extended_key_usage": _list(_oid),
    "experimental": _is(bool, "must be true or false"),
    "claimed_time_offsets": _list(_offset),
}
_FRESHNESS: Mapping[str, _Check] = {
    "at": _one_of("signing", "now"),
    "ocsp_max_age": _seconds,
    "crl_max_age": _seconds,
    "without_next_update": _seconds,
    "grace": _seconds,
}
_CERTIFICATE_POLICIES: Mapping[str, _Check] = {
    "accepted": _list(_oid, least=1),
    "required": _is(bool, "must be true or false"),
    "inhibit_mapping": _is(bool, "must be true or false"),
    "inhibit_any": _is(bool, "must be true or false"),
}
_FIXED_TABLES = {"freshness": _FRESHNESS, "certificate_policies": _CERTIFICATE_POLICIES}
# Tables whose keys are the file's own: a check of the keys and one of the values.
_TABLES: Mapping[str, tuple[_Check, _Check]] = {
    "keeps_expired_since": (_hash, _when),
    "known_since": (_hash, _when),
    "sunsets": (_hash, _when),
    "signature_policies": (_oid, _hash),
}


def _problems(table: _Table) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong in a file's own table: where, and in which words."""
    for name, value in table.items():
        if name in _KEYS:
            if problem := _KEYS[name](value):
                yield (name,), problem
        elif name not in (*_FIXED_TABLES, "levels", "algorithms", *_TABLES):
            yield (name,), "no such key"
        elif not isinstance(value, dict):
            yield (name,), "must be a table"
        elif name in _FIXED_TABLES:
            for key, entry in value.items():
                if key not in _FIXED_TABLES[name]:
                    yield (name, key), "no such key"
                elif problem := _FIXED_TABLES[name][key](entry):
                    yield (name, key), problem
        elif name == "levels":
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


def _algorithm_problems(table: _Table) -> Iterator[tuple[tuple[str, ...], str]]:
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
    return _when(entry["until"]) if "until" in entry else None


def _by_role(table: _Table) -> dict[Role, _Table]:
    """The rows of each role: those for ``all`` roles with its own in their place."""
    common = table.get("all", {})
    return {role: {**common, **table.get(role, {})} for role in Role}


def _merged(base: _Table, own: _Table) -> _Table:
    found = dict(base)
    for name, value in own.items():
        if name == "algorithms":
            found[name] = {role: {**base[name][role], **value[role]} for role in Role}
        elif isinstance(value, dict):
            found[name] = {**base.get(name, {}), **value}
        else:
            found[name] = value
    return found


def _built(table: _Table, where: str) -> dict[str, Any]:
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
