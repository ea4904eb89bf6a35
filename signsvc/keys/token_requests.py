"""What a token process does for its clients, one request after the other."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from signsvc.errors import RequestError, SignsvcError
from signsvc.keys import framing
from signsvc.keys.framing import FramingError
from signsvc.keys.pins import PinSource, Secret

# PKCS#11 errors in a row after which the module is not expected to recover by itself, such as a network HSM's client
# after the restart of its server.
_HOPELESS = 3


class Requests:
    """Loads the module at `path` with the first request.  `perform` belongs to one thread, `configure` to any."""

    def __init__(self, path: str, refusals: Path | None) -> None:
        self._path = path
        self._refusals = refusals
        self._module: Any = None
        self._pins: dict[str | None, PinSource] | None = None
        self._careful = False
        self._lock = threading.Lock()

    @property
    def logging_in(self) -> bool:
        """Whether a login is going on, which may take a person's time."""
        return self._module is not None and bool(self._module.logging_in)

    @property
    def hopeless(self) -> bool:
        """Whether a new process would do better, and would come to its logins by itself."""
        return self._module is not None and self._module.failures >= _HOPELESS and bool(self._module.may_restart)

    def configure(self, message: Mapping[str, Any]) -> None:
        """Take the PIN sources of a ``configure`` message.  Raises `RequestError`."""
        try:
            pins = {(str(label) if label else None): PinSource.parse(str(spec)) for label, spec in message["pins"]}
        except (SignsvcError, KeyError, TypeError, ValueError):
            raise RequestError(reason="malformed token request") from None
        with self._lock:
            self._pins = pins
            self._careful = self._careful or message.get("careful") is True

    def perform(self, message: dict[str, Any]) -> Any:
        """The result of ``info``, ``certificates``, ``login``, ``logout`` or ``sign``.  Raises `SignsvcError`."""
        try:
            return self._perform(message)
        except (FramingError, KeyError, TypeError, ValueError):
            raise RequestError(reason="malformed token request") from None

    def close(self) -> None:
        """Log out."""
        if self._module is not None:
            self._module.close()

    def _perform(self, message: dict[str, Any]) -> Any:
        if self._module is None:
            from signsvc.keys.pkcs11_module import Pkcs11Module

            self._module = Pkcs11Module(self._path, self._refusals)
        module = self._module
        with self._lock:
            pins, self._pins = self._pins, None
            module.careful, self._careful = module.careful or self._careful, False
        if pins is not None:
            module.set_pins(pins)
        label, serial = message.get("label"), message.get("serial")
        operation = message["op"]
        if operation == "info":
            return module.info()
        if operation == "certificates":
            tokens = module.certificates(label, serial)
            for token in tokens:
                for item in token["objects"]:
                    item["der"] = framing.b64(item["der"])
            return tokens
        result: dict[str, Any] = {}
        if operation == "login":
            given = message.pop("pin", None)
            module.login(label, serial, Secret(given) if given else None)
        elif operation == "logout":
            module.logout(label, serial)
        elif operation == "sign":
            from signsvc.keys.pkcs11_objects import SignRequest

            result["value"] = framing.b64(module.sign(SignRequest.from_message(message)))
        else:
            raise RequestError(reason="malformed token request")
        result["warnings"] = list(dict.fromkeys(module.warnings))
        module.warnings.clear()
        return result
