"""Values of the house's own data classes as JSON, and back: what is kept to be judged again in years.

No pickle: what is read back can only become one of the classes named here, by its constructor.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import ModuleType
from typing import Any

from signsvc.algorithms import tables
from signsvc.trust import material
from signsvc.types import Certificate, evidence, findings, forms, views
from signsvc.validation import policy, policy_tree

_MODULES: tuple[ModuleType, ...] = (
    evidence,
    findings,
    forms,
    views,
    tables,
    material,
    policy,
    policy_tree,
)
# Nesting of views: a counter-signature of a counter-signature … stays far below.
_DEEPEST = 200


class PlainError(ValueError):
    """What is kept is not what was written.  The message names the rule, never the content."""


@functools.cache
def _classes() -> Mapping[str, type]:
    """The classes that values may be of, by name."""
    found: dict[str, type] = {}
    for module in _MODULES:
        for name, one in vars(module).items():
            ours = inspect.isclass(one) and one.__module__ == module.__name__
            if ours and (dataclasses.is_dataclass(one) or issubclass(one, Enum)):
                found[name] = one
    return found


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, object], ...]:
    """Names and defaults of what the constructor takes."""
    return tuple((f.name, f.default) for f in dataclasses.fields(kind) if f.init)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A value written once for all that refer to it."""

    octets: bytes
    objects: Mapping[str, bytes]

    @classmethod
    def of(cls, value: object) -> Part:
        writer = Writer()
        made = writer.write(value)
        return cls(json.dumps(made, separators=(",", ":"), sort_keys=True).encode(), writer.objects)


class Writer:
    """Makes JSON values; octets go into `objects` once each, by the hex of their SHA-256."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def write(self, value: object) -> Any:
        """The JSON of `value`.  Raises `TypeError` for what is none of ours."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Enum):
            return {"e": type(value).__name__, "v": value.value}
        if isinstance(value, bytes | bytearray | memoryview):
            return {"b": self._kept(bytes(value))}
        if isinstance(value, Certificate):
            return {"c": self._kept(value.der)}
        if isinstance(value, datetime):
            return {"t": value.isoformat()}
        if isinstance(value, timedelta):
            return {"d": value.total_seconds()}
        if isinstance(value, tuple | list):
            return [self.write(one) for one in value]
        if isinstance(value, frozenset | set):
            return {"s": [self.write(one) for one in sorted(value)]}
        if isinstance(value, Mapping):
            return {"m": [[self.write(k), self.write(v)] for k, v in value.items()]}
        kind: type = type(value)
        if _classes().get(kind.__name__) is kind:
            held = ((name, getattr(value, name), default) for name, default in _fields(kind))
            return {"o": kind.__name__, "f": {n: self.write(v) for n, v, default in held if v is not default}}
        raise TypeError(type(value).__name__)

    def apart(self, part: Part) -> Any:
        """The JSON of a value that was written before."""
        self.objects |= part.objects
        return {"p": self._kept(part.octets)}

    def _kept(self, octets: bytes) -> str:
        key = hashlib.sha256(octets).hexdigest()
        self.objects[key] = octets
        return key


def read(value: Any, objects: Mapping[str, bytes], depth: int = 0) -> Any:
    """The value that a `Writer` made `value` of; sequences come back as tuples.  Raises `PlainError`."""
    if depth > _DEEPEST:
        raise PlainError("too deep")
    if isinstance(value, list):
        return tuple(read(one, objects, depth + 1) for one in value)
    if not isinstance(value, dict):
        return value
    try:
        return _read(value, objects, depth + 1)
    except PlainError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise PlainError("not a kept value") from None


def _read(value: dict[str, Any], objects: Mapping[str, bytes], depth: int) -> Any:
    if "o" in value:
        kind = _classes()[value["o"]]
        return kind(**{name: read(one, objects, depth) for name, one in value["f"].items()})
    if "b" in value:
        return objects[value["b"]]
    if "p" in value:
        return read(json.loads(objects[value["p"]]), objects, depth)
    if "c" in value:
        return Certificate.from_der(objects[value["c"]])
    if "t" in value:
        return datetime.fromisoformat(value["t"])
    if "e" in value:
        return _classes()[value["e"]](value["v"])
    if "m" in value:
        return {read(k, objects, depth): read(v, objects, depth) for k, v in value["m"]}
    if "s" in value:
        return frozenset(read(one, objects, depth) for one in value["s"])
    if "d" in value:
        return timedelta(seconds=value["d"])
    raise PlainError("not a kept value")


def objects_to_json(objects: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(octets).decode("ascii") for key, octets in objects.items()}


def objects_from_json(found: Iterable[tuple[str, str]]) -> dict[str, bytes]:
    """Raises `PlainError` where octets are not those of their name."""
    objects: dict[str, bytes] = {}
    for key, text in found:
        try:
            octets = base64.b64decode(text, validate=True)
        except (ValueError, TypeError):
            raise PlainError("not base64") from None
        if hashlib.sha256(octets).hexdigest() != key:
            raise PlainError("octets that were changed")
        objects[key] = octets
    return objects
