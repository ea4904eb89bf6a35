"""TOML files of a site, checked as a whole: mistakes are told with their line, files may build on each other.

A file that says ``extends = "<id>"`` holds only what differs.  Policies and signing profiles are such files.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from signsvc.errors import ConfigError, RequestError

MAX_EXTENDED = 8  # files that build on each other
MAX_FILE = 1024 * 1024

Table = dict[str, Any]
Place = tuple[str, ...]  # names from the outermost table on
Chain = list[tuple[str, str, str]]  # id, version and hash of each file, the nearest first
# (id that is extended, id of the file that extends it) -> name and octets of the file; raises RequestError
Lookup = Callable[[str, str], tuple[str, bytes]]
# What may stand for a key: what is wrong with the value, or None.
Check = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a kind of file may hold."""

    noun: str  # as in "no such policy"
    nouns: str
    problems: Callable[[Table], Iterator[tuple[Place, str]]]  # of a file's own table
    needed: tuple[str, ...]  # keys of a file that extends nothing, beside id and version
    whole: Callable[[Table], Iterator[tuple[Place, str]]]  # of a file that extends nothing
    merged: Callable[[Table, Table], Table]  # what is extended, what extends it
    prepared: Callable[[Table], Table] = lambda table: table  # brings a table without problems into the merged form


def resolve(
    data: bytes, where: str, rules: Rules, lookup: Lookup | None = None, above: tuple[str, ...] = ()
) -> tuple[Table, Chain]:
    """The table in a file's octets merged with all that it extends, and where it comes from.

    A file's hash is the SHA-256 of its octets; where it extends another, of the octets followed by the 32 octets of
    that file's own hash.  Raises `ConfigError` (``configuration_invalid``) that names the file, the line and what is
    wrong.
    """
    own = _toml(data, where)
    text = data.decode("utf-8")
    for path, problem in rules.problems(own):
        raise wrong(where, text, path, problem)
    for name in ("id", "version"):
        if name not in own:
            raise ConfigError(reason=f"{where}: {name} is missing")
    own = rules.prepared(own)
    identity = (own["id"], own["version"])
    base = own.pop("extends", None)
    if base is None:
        for name in rules.needed:
            if name not in own:
                raise ConfigError(reason=f"{where}: {name} is missing")
        for path, problem in rules.whole(own):
            raise wrong(where, text, path, problem)
        return own, [(*identity, hashlib.sha256(data).hexdigest())]
    if where in above or len(above) >= MAX_EXTENDED:
        raise wrong(where, text, ("extends",), f"{rules.nouns} extend each other without end")
    try:
        if lookup is None:
            raise RequestError("not_found")
        other, octets = lookup(base, own["id"])
    except RequestError:
        raise wrong(where, text, ("extends",), f"no such {rules.noun}") from None
    table, chain = resolve(octets, other, rules, lookup, (*above, where))
    digest = hashlib.sha256(data + bytes.fromhex(chain[0][2])).hexdigest()
    merged = rules.merged(table, own)
    for path, problem in rules.whole(merged):
        raise wrong(where, text, path, problem)
    return merged, [(*identity, digest), *chain]


def _toml(data: bytes, where: str) -> Table:
    try:
        if len(data) > MAX_FILE:
            raise ConfigError(reason=f"{where}: not a TOML file")
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"\(at line (\d+)", str(error))
        raise ConfigError(reason=f"{where}{f', line {line[1]}' if line else ''}: not a TOML file") from None
    except UnicodeDecodeError:
        raise ConfigError(reason=f"{where}: not a TOML file") from None


def wrong(where: str, text: str, path: Place, problem: str) -> ConfigError:
    """The error for a mistake at `path` of the file `where` with this text."""
    line = line_of(text, path)
    return ConfigError(reason=f"{where}{f', line {line}' if line else ''}: {'.'.join(path)}: {problem}")


_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*(\.|=|\])""")


def line_of(text: str, path: Place) -> int | None:
    """The number of the line that sets `path` (the names from the outermost table on), or the nearest table of it."""
    best: tuple[int, int] | None = None  # how many names fit, line
    table: Place = ()
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


def table_problems(
    table: Table, keys: Mapping[str, Check], tables: Mapping[str, Mapping[str, Check]], *, others: frozenset[str]
) -> Iterator[tuple[Place, str]]:
    """What is wrong with plain `keys` and with `tables` of fixed keys; `others` are tables that the caller checks."""
    for name, value in table.items():
        if name in keys:
            if problem := keys[name](value):
                yield (name,), problem
        elif name not in tables and name not in others:
            yield (name,), "no such key"
        elif not isinstance(value, dict):
            yield (name,), "must be a table"
        elif name in tables:
            for key, entry in value.items():
                if key not in tables[name]:
                    yield (name, key), "no such key"
                elif problem := tables[name][key](entry):
                    yield (name, key), problem


# checks --------------------------------------------------------------------------------------------------------------
def is_bool(value: Any) -> str | None:
    return None if type(value) is bool else "must be true or false"


def text_of(longest: int) -> Check:
    return lambda value: None if isinstance(value, str) and len(value) <= longest else "must be a text"


def one_of(*values: str) -> Check:
    return lambda value: None if value in values else f"must be one of {', '.join(values)}"


def whole_number(least: int, most: int) -> Check:
    def checked(value: Any) -> str | None:
        return None if type(value) is int and least <= value <= most else f"must be a number from {least} to {most}"

    return checked


def identifier(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", value)
    return None if fits else "must be lower-case letters, digits, hyphens"


def oid(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[0-2](\.(0|[1-9]\d*)){1,30}", value)
    return None if fits else "must be an object identifier"


def hex_digest(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{64}", value.replace(":", ""))
    return None if fits else "must be 32 octets of hex"


def when(value: Any) -> str | None:
    if isinstance(value, datetime) and value.tzinfo is None:
        return "a date-time needs its zone"
    return None if isinstance(value, date) else "not a date"


def list_of(check: Check, *, least: int = 0) -> Check:
    def checked(value: Any) -> str | None:
        if not isinstance(value, list) or len(value) < least:
            return "must be a list"
        return next((problem for entry in value if (problem := check(entry))), None)

    return checked
