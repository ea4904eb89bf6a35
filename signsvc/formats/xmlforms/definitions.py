"""Definitions of forms: TOML files, of this package and of a site."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from signsvc.errors import ConfigError

_STEP = r"[^\W\d][\w.-]*"
_ABSOLUTE = re.compile(rf"(/{_STEP})+")
_RELATIVE = re.compile(rf"\.|{_STEP}(/{_STEP})*")
MAX_PATHS = 64


@dataclass(frozen=True, slots=True)
class SignerPlace:
    """Where somebody signs: the signature is a child of `at` (empty: anywhere in the document's element) and has to
    cover the elements at `covers` that are there; `name` and `tax_code` are where the document names the signer."""

    role: str
    title_vi: str
    title_en: str
    at: str = ""
    covers: tuple[str, ...] = (".",)
    name: str | None = None
    tax_code: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """A form: the element of one document stands at one of the absolute paths `at`; what must not be there twice is in
    `once`.  Paths are local names joined by slashes."""

    id: str
    title_vi: str
    title_en: str
    at: tuple[str, ...]
    once: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    signers: tuple[SignerPlace, ...] = ()


def absolute(path: str) -> tuple[str, ...] | None:
    """The steps of an absolute path, None where it is none."""
    return tuple(path[1:].split("/")) if _ABSOLUTE.fullmatch(path) else None


def parse(text: str, name: str = "form") -> Definition:
    """The definition in a TOML document.  Raises `ConfigError` (``configuration_invalid``)."""
    try:
        return _definition(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(reason=f"{name}: {type(error).__name__}: {str(error)[:80]}") from None


@functools.cache
def builtin() -> tuple[Definition, ...]:
    """The forms that come with the package, by id."""
    folder = resources.files(__package__) / "forms"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name)
    return tuple(parse(entry.read_text("utf-8"), entry.name) for entry in files)


def _definition(table: Mapping[str, Any]) -> Definition:
    _known(table, {"id", "title_vi", "title_en", "at", "once", "facts", "signer"})
    at = tuple(table["at"])
    if not at or not all(isinstance(path, str) and absolute(path) for path in at):
        raise ValueError("at: absolute paths of local names")
    return Definition(
        id=_text(table["id"]),
        title_vi=_text(table["title_vi"]),
        title_en=_text(table["title_en"]),
        at=at,
        once=tuple(map(_path, table.get("once", ()))),
        facts=tuple((_text(name), _path(path)) for name, path in table.get("facts", {}).items()),
        signers=tuple(map(_signer, table.get("signer", ()))),
    )


def _signer(table: Mapping[str, Any]) -> SignerPlace:
    _known(table, {"role", "title_vi", "title_en", "at", "covers", "name", "tax_code", "required"})
    return SignerPlace(
        role=_text(table["role"]),
        title_vi=_text(table["title_vi"]),
        title_en=_text(table["title_en"]),
        at=_path(table["at"]) if table.get("at") else "",
        covers=tuple(map(_path, table.get("covers", (".",)))),
        name=_path(table["name"]) if "name" in table else None,
        tax_code=_path(table["tax_code"]) if "tax_code" in table else None,
        required=table.get("required", False) is True,
    )


def _known(table: Mapping[str, Any], names: set[str]) -> None:
    if other := sorted(set(table) - names):
        raise ValueError(f"unknown member {other[0]}")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError("a text")
    return value


def _path(value: Any) -> str:
    if not isinstance(value, str) or not _RELATIVE.fullmatch(value):
        raise ValueError("a path of local names")
    return value


__all__ = ["MAX_PATHS", "Definition", "SignerPlace", "absolute", "builtin", "parse"]
