"""One PKCS#11 module and the logins to its tokens.  Lives in a token process and is used by one thread only.

One session per token; private keys are looked up once per login; after any error the session is given up and the
next request builds a new one.  A wrong PIN is tried once: further logins are refused until `set_pins` brings
another source.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pkcs11

from signsvc.errors import ConfigError, CredentialError, SignsvcError, TokenError
from signsvc.keys import pkcs11_errors as p11
from signsvc.keys.mechanisms import mechanism
from signsvc.keys.pins import PinSource, Secret, resolve, source_for
from signsvc.keys.pkcs11_objects import (
    OpenToken,
    SignRequest,
    certificate_objects,
    find_key,
    identity_of,
    text_attributes,
    token_info,
)
from signsvc.keys.pkcs11_raw import RawModule
from signsvc.keys.refusals import Identity, Refusals

_START_TRIES = 6
_REINITIALIZE_SECONDS = 2.0  # at most this often is a module that shows no token started afresh


class Pkcs11Module:
    """See the module's text.  All methods raise `SignsvcError` only."""

    def __init__(self, path: str, refusals: Path | None = None) -> None:
        self.path = path
        self._library: Any = None
        self._raw: RawModule | None = None
        self._open: dict[Identity, OpenToken] = {}
        self._refused = Refusals(refusals)
        self._pins: dict[str | None, PinSource] = {}
        self._proven: dict[Identity, Secret] = {}  # PINs that cannot be had again; the token has accepted them
        self._reinitialized = 0.0
        self.logging_in = False  # a person may be typing at a PIN pad
        self.failures = 0  # PKCS#11 errors since the last success
        self.careful = False  # an earlier process went while it may have been logging in
        self.warnings: list[str] = []

    # PIN sources -----------------------------------------------------------------------------------------------
    def set_pins(self, pins: dict[str | None, PinSource]) -> None:
        """Where PINs come from, by token label (None: any other token).  A changed source may be tried again."""
        for identity in self._refused:
            if source_for(pins, identity[0]) != source_for(self._pins, identity[0]):
                self._refused.forget(identity)
        self._pins = dict(pins)

    @property
    def may_restart(self) -> bool:
        """Whether a new process would come to the same state by itself."""
        return not self._refused and all(s.repeatable for s in self._pins.values())

    # slots and tokens ------------------------------------------------------------------------------------------
    def info(self) -> dict[str, Any]:
        """The library, its slots and the tokens in them, as the module reports them now."""

        def describe() -> dict[str, Any]:
            library = self._load()
            slots: list[dict[str, Any]] = []
            for slot in library.get_slots(token_present=True):
                entry: dict[str, Any] = {"slot": slot.slot_id, "description": slot.slot_description.strip()}
                try:
                    token = slot.get_token()
                except pkcs11.PKCS11Error as error:
                    entry["problem"] = p11.reason(error)
                else:
                    entry["token"] = token_info(token)
                slots.append(entry)
            major, minor = library.library_version
            return {
                "manufacturer": library.manufacturer_id.strip(),
                "description": library.library_description.strip(),
                "version": f"{major}.{minor}",
                "slots": slots,
            }

        found: dict[str, Any] = self._guard(describe)
        return found

    def certificates(self, label: str | None, serial: str | None) -> list[dict[str, Any]]:
        """Certificate objects by token; tokens that fail are left out unless one was asked for by name."""
        found: list[dict[str, Any]] = []
        for token in self._guard(lambda: self._tokens(label, serial)):
            identity = identity_of(token)
            try:
                objects = self._guard(partial(self._read_certificates, token), identity, tries=2)
            except TokenError:
                if label is not None or serial is not None:
                    raise
                continue
            found.append({"label": identity[0], "serial": identity[1], "slot": token.slot.slot_id, "objects": objects})
        if not found and (label is not None or serial is not None):
            raise TokenError("token_not_present")
        return found

    # login and signing -----------------------------------------------------------------------------------------
    def login(self, label: str | None, serial: str | None, pin: Secret | None = None) -> None:
        """Log in unless that is done.  `pin` overrides the configured source, and its one try is a new one."""
        token = self._guard(lambda: self._one_token(label, serial))
        identity = identity_of(token)
        self._guard(lambda: self._login(token, identity, pin), identity)

    def logout(self, label: str | None, serial: str | None) -> None:
        for identity in list(self._open):
            if label in (None, identity[0]) and serial in (None, identity[1]):
                self._discard(identity)
        for identity in list(self._proven):
            if label in (None, identity[0]) and serial in (None, identity[1]):
                del self._proven[identity]

    def sign(self, request: SignRequest) -> bytes:
        """The raw signature.  One silent second try where the session was gone before anything was signed."""
        how, parameter = mechanism(pkcs11, request.scheme, request.digest, request.mgf, request.salt)
        for attempt in (1, 2):
            identity: Identity | None = self._known(request.label, request.serial)
            try:
                if identity is None:
                    token = self._one_token(request.label, request.serial)
                    identity = identity_of(token)
                    self._login(token, identity, None)
                value = self._sign(self._open[identity], request, how, parameter)
            except CredentialError:
                # A login that was lost silently hides the keys: the next request looks in a session of its own.
                if identity is not None:
                    self._discard(identity)
                raise
            except p11.FAILURES as error:
                self._failed(identity, error)
                if attempt == 1 and p11.name(error) in p11.STALE:
                    continue
                raise p11.translate(error) from None
            self.failures = 0
            return value
        raise AssertionError("not reached")

    def close(self) -> None:
        """Log out everywhere."""
        for identity in list(self._open):
            self._discard(identity)

    # inner parts -----------------------------------------------------------------------------------------------
    def _load(self) -> Any:
        # Two processes that open SoftHSM at one moment can both be told of a general error.
        for attempt in range(_START_TRIES):
            try:
                if self._library is None:
                    self._library = pkcs11.lib(self.path)
                    self._raw = RawModule(self.path)
                return self._library
            except OSError:
                raise TokenError("token_error", reason="malformed_answer") from None
            except pkcs11.PKCS11Error as error:
                if p11.cannot_load(error):
                    raise ConfigError(reason=f"the PKCS#11 module {self.path} cannot be loaded") from None
                if attempt == _START_TRIES - 1 or p11.name(error) != "GeneralError":
                    raise
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("not reached")

    def _tokens(self, label: str | None, serial: str | None) -> list[Any]:
        for attempt in range(_START_TRIES):
            found: list[Any] = []
            failed: BaseException | None = None
            library = self._load()
            try:
                for slot in library.get_slots(token_present=True):
                    try:
                        token = slot.get_token()
                    except pkcs11.PKCS11Error as error:
                        failed = failed or error
                        continue
                    name, number = identity_of(token)
                    ready = token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED
                    if ready and label in (None, name) and serial in (None, number):
                        found.append(token)
            except pkcs11.GeneralError:
                if attempt == _START_TRIES - 1:
                    raise
                time.sleep(0.05 * 2**attempt)
                continue
            # Some modules read their slots at C_Initialize only: look afresh while no session would suffer.
            if found or self._open or time.monotonic() - self._reinitialized < _REINITIALIZE_SECONDS:
                if not found and failed is not None:
                    raise failed
                return found
            self._reinitialized = time.monotonic()
            library.reinitialize()
        return []

    def _one_token(self, label: str | None, serial: str | None) -> Any:
        found = self._tokens(label, serial)
        if not found:
            raise TokenError("token_not_present")
        if len(found) > 1:
            raise CredentialError("credential_ambiguous")
        return found[0]

    def _known(self, label: str | None, serial: str | None) -> Identity | None:
        fits = [i for i, t in self._open.items() if t.logged_in and label in (None, i[0]) and serial in (None, i[1])]
        return fits[0] if len(fits) == 1 and label is not None else None

    def _login(self, token: Any, identity: Identity, given: Secret | None) -> OpenToken:
        now = self._open.get(identity)
        if now is not None and now.logged_in:
            return now
        flags = token.flags
        if flags & p11.LOCKED:
            raise TokenError("pin_locked")
        source = None if given else source_for(self._pins, identity[0])
        if given is None and (band := self._refused.known(identity, source)) is not None:
            raise TokenError("pin_incorrect", tries_left=band)
        secret: Secret | None = None
        if not flags & pkcs11.TokenFlag.LOGIN_REQUIRED:
            offered: Any = None
        elif flags & pkcs11.TokenFlag.PROTECTED_AUTHENTICATION_PATH and given is None:
            offered = pkcs11.PROTECTED_AUTH
        else:
            secret = given or self._configured_pin(identity, source, flags)
            offered = secret.reveal()
        if now is not None:
            self._discard(identity)
        self.logging_in = True
        try:
            session = token.open(user_pin=offered, attribute_mapper=text_attributes())
        except pkcs11.UserAlreadyLoggedIn:
            session = token.open(attribute_mapper=text_attributes())
        except pkcs11.PKCS11Error as error:
            self._close(token)
            raise self._login_failed(token, identity, error, source) from None
        finally:
            self.logging_in = False
        self._refused.clear(identity)
        self.careful = False
        if secret is not None and (source is None or not source.repeatable):
            self._proven[identity] = secret
        opened = self._open[identity] = OpenToken(session, logged_in=True, pin=secret)
        return opened

    def _configured_pin(self, identity: Identity, source: PinSource | None, flags: int) -> Secret:
        proven = self._proven.get(identity)
        if proven is not None and not flags & (p11.COUNT_LOW | p11.FINAL_TRY):
            return proven
        if source is None or source.kind == "prompt":
            raise TokenError("pin_required", hint="prompt" if source else "pin_source")
        if source.unattended and flags & (p11.FINAL_TRY | (p11.COUNT_LOW if self.careful else 0)):
            # A service that is restarted again and again must not use up the last try; a person may.
            raise TokenError("pin_incorrect", tries_left=p11.tries_left(flags), untried=True)
        found = resolve(source)
        self.warnings += found.warnings
        return found.secret

    def _login_failed(
        self, token: Any, identity: Identity, error: BaseException, source: PinSource | None
    ) -> SignsvcError:
        kind = p11.name(error)
        wrong = kind in p11.WRONG_PIN or kind == "PinLocked"
        try:
            flags = token.slot.get_token().flags
        except pkcs11.PKCS11Error:
            flags = p11.COUNT_LOW if wrong else token.flags
        # Some modules have no clear word for a wrong PIN, but their token counts the try.
        if wrong or flags & ~token.flags & (p11.COUNT_LOW | p11.FINAL_TRY | p11.LOCKED):
            self._proven.pop(identity, None)
            band = p11.tries_left(flags)
            self._refused.add(identity, band, source)
            if kind == "PinLocked" or flags & p11.LOCKED:
                return TokenError("pin_locked")
            return TokenError("pin_incorrect", tries_left=band)
        self._failed(identity, error)
        return p11.translate(error)

    def _read_certificates(self, token: Any) -> list[dict[str, Any]]:
        identity = identity_of(token)
        opened = self._open.get(identity)
        if opened is None:
            opened = self._open[identity] = OpenToken(token.open(attribute_mapper=text_attributes()), logged_in=False)
        return certificate_objects(opened.session)

    def _sign(self, opened: OpenToken, request: SignRequest, how: Any, parameter: Any) -> bytes:
        name = (request.key_id, request.key_label, request.modulus, request.public)
        if name not in opened.keys:
            opened.keys[name] = find_key(opened.session, request)
        key, each_time = opened.keys[name]
        options: dict[str, Any] = {"mechanism": how, "mechanism_param": parameter}
        if not hasattr(key, "sign"):
            raise pkcs11.FunctionNotSupported  # CKA_SIGN is false or could not be read
        try:
            if each_time and opened.pin is None and self._raw is not None:
                self.logging_in = True
                return self._raw.sign_at_pin_pad(opened.session.handle, key.handle, how, parameter, request.data)
            if each_time and opened.pin is not None:
                options["pin"] = opened.pin.reveal()
            value: bytes = key.sign(request.data, **options)
        except pkcs11.PKCS11Error as error:
            if each_time and p11.name(error) in (*p11.WRONG_PIN, "PinLocked"):
                identity = identity_of(opened.session.token)
                self._failed(identity, error)
                raise self._login_failed(opened.session.token, identity, error, None) from None
            raise
        finally:
            self.logging_in = False
        return value

    def _guard(self, work: Callable[[], Any], identity: Identity | None = None, *, tries: int = 1) -> Any:
        while True:
            tries -= 1
            try:
                result = work()
            except p11.FAILURES as error:
                self._failed(identity, error)
                if tries and p11.name(error) in p11.STALE:
                    continue
                raise p11.translate(error) from None
            self.failures = 0
            return result

    def _failed(self, identity: Identity | None, error: BaseException) -> None:
        self.failures += 1
        if identity is not None:
            self._discard(identity)
            source = source_for(self._pins, identity[0])
            if p11.gone(error) and (source is None or source.kind == "prompt"):
                self._proven.pop(identity, None)  # a person takes the token and the consent along

    def _discard(self, identity: Identity) -> None:
        opened = self._open.pop(identity, None)
        if opened is not None:
            opened.keys.clear()
            if not self._close(opened.session.token):
                try:
                    opened.session.close()
                except pkcs11.PKCS11Error:
                    pass  # it was gone already

    def _close(self, token: Any) -> bool:
        """End all sessions with `token`; a failed login or logout would leave one open."""
        return self._raw is not None and self._raw.close_all_sessions(token.slot.slot_id)
