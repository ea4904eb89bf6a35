"""Where a PIN comes from, and a type that holds one without ever showing it."""

from __future__ import annotations

import hmac
import os
import stat
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from signsvc.errors import ConfigError, TokenError

# Longer than any PIN or passphrase a token takes; a larger file is not a PIN file.
MAX_PIN = 1024

Kind = Literal["prompt", "env", "file", "fd"]


class Secret:
    """A PIN or passphrase: prints as ``***``, cannot be pickled, compares in constant time."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself.  Call it only where it is handed to the token."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised")


@dataclass(frozen=True, slots=True)
class PinSource:
    """``prompt``, ``env:NAME``, ``file:PATH`` or ``fd:N``; never the PIN itself."""

    kind: Kind
    value: str = ""

    @classmethod
    def parse(cls, spec: str) -> PinSource:
        """The source that `spec` names.  Raises `ConfigError`, whose text does not repeat `spec`: it may be a PIN."""
        kind, _, value = spec.partition(":")
        if kind == "prompt" and not value:
            return cls("prompt")
        if kind == "env" and value and "=" not in value:
            return cls("env", value)
        if kind == "file" and value:
            # Absolute now: the token process may be started from another directory.
            return cls("file", os.path.abspath(value))  # noqa: PTH100 (symbolic links stay: mounted secrets are links)
        if kind == "fd" and value.isascii() and value.isdecimal() and len(value) < 6:
            return cls("fd", value)
        raise ConfigError(reason="a PIN source is prompt, env:NAME, file:PATH or fd:N")

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else self.kind

    @property
    def unattended(self) -> bool:
        """Whether the same PIN would be offered again and again without a person looking on."""
        return self.kind != "prompt"

    @property
    def repeatable(self) -> bool:
        """Whether the PIN can be had again after a restart."""
        return self.kind in ("env", "file")


def source_for(pins: Mapping[str | None, PinSource], label: str) -> PinSource | None:
    """The source for the token of that label: its own, else the one for any other token."""
    return pins.get(label) or pins.get(None)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A PIN and what an operator should know about its source (codes such as ``pin_file_readable_by_others``)."""

    secret: Secret
    warnings: tuple[str, ...] = ()


def resolve(source: PinSource, environ: MutableMapping[str, str] | None = None) -> Resolved:
    """Read the PIN that `source` names.

    `environ` defaults to the process's own.  A trailing line end is not part of the PIN.
    Raises `TokenError` ``pin_required`` (data `hint`) where there is none.
    """
    if source.kind == "prompt":
        return Resolved(prompt())
    if source.kind == "env":
        value = (os.environ if environ is None else environ).get(source.value)
        return Resolved(_checked(value or "", source))
    if source.kind == "file":
        return _from_file(source)
    return Resolved(_checked(_read_descriptor(int(source.value), source), source))


def _from_file(source: PinSource) -> Resolved:
    try:
        descriptor = os.open(source.value, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise TokenError("pin_required", hint=str(source)) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise TokenError("pin_required", hint=str(source))
        text = _read_descriptor(descriptor, source)
    finally:
        os.close(descriptor)
    warnings = ("pin_file_readable_by_others",) if mode & 0o077 else ()
    return Resolved(_checked(text, source), warnings)


def _read_descriptor(descriptor: int, source: PinSource) -> str:
    data = b""
    try:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
        except OSError:
            pass  # a pipe
        while len(data) <= MAX_PIN and (chunk := os.read(descriptor, MAX_PIN + 1)):
            data += chunk
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise TokenError("pin_required", hint=str(source)) from None


def _checked(text: str, source: PinSource) -> Secret:
    pin = text.rstrip("\r\n")
    if not pin or len(pin.encode()) > MAX_PIN:
        raise TokenError("pin_required", hint=str(source))
    return Secret(pin)


def prompt(label: str = "") -> Secret:
    """Ask the person at the terminal, without echo.  Raises `TokenError` ``pin_required`` where nobody can be asked."""
    import getpass

    if not sys.stdin or not sys.stdin.isatty():
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            raise TokenError("pin_required", hint="prompt") from None
    try:
        text = getpass.getpass(f"PIN ({label}): " if label else "PIN: ")
    except EOFError:
        raise TokenError("pin_required", hint="prompt") from None
    return _checked(text, PinSource("prompt"))
