"""What PKCS#11 return codes mean to a caller.  Used inside a token process only."""

from __future__ import annotations

import re
import struct
from typing import Any

from pkcs11 import exceptions
from pkcs11.exceptions import PKCS11Error

from signsvc.errors import CredentialError, SignsvcError, TokenError

_CODES = {
    "TokenNotPresent": "token_not_present",
    "TokenNotRecognised": "token_not_present",
    "SlotIDInvalid": "token_not_present",
    "NoSuchToken": "token_not_present",
    "DeviceRemoved": "token_removed",
    "SessionClosed": "token_removed",
    "SessionHandleInvalid": "token_removed",
    "ObjectHandleInvalid": "token_removed",
    "KeyHandleInvalid": "token_removed",
    "FunctionCancelled": "user_canceled",
    "FunctionRejected": "user_canceled",  # refused at the device
}
# What python-pkcs11 says in words where it has no class of its own.
_WORDS = {
    "already initialized": "cryptoki_already_initialized",
    "not initialized": "cryptoki_not_initialized",
    "too small": "buffer_too_small",
    "Parallel": "session_parallel_not_supported",
    "User type": "user_type_invalid",
}

# The session or a handle of it was gone before anything could be signed: worth one new session.
STALE = frozenset(
    {
        "SessionHandleInvalid",
        "SessionClosed",
        "ObjectHandleInvalid",
        "KeyHandleInvalid",
        "UserNotLoggedIn",
        "OperationActive",
    }
)
WRONG_PIN = frozenset({"PinIncorrect", "PinInvalid", "PinLenRange"})

_VENDOR = 0x80000000  # CKR_VENDOR_DEFINED

# CKF_USER_PIN_* of CK_TOKEN_INFO (PKCS#11 v2.40 §3.2).
COUNT_LOW, FINAL_TRY, LOCKED = 0x10000, 0x20000, 0x40000


_KINDS = frozenset(n for n, k in vars(exceptions).items() if isinstance(k, type) and issubclass(k, PKCS11Error))

# What python-pkcs11 raises over a module's answers: its own errors, and Python's for values that cannot be read.
FAILURES = (PKCS11Error, ValueError, NotImplementedError, struct.error, MemoryError)


def cannot_load(error: BaseException) -> bool:
    """Whether there is no such library, or it is none for PKCS#11."""
    return name(error) == "PKCS11Error" and "exception while loading" in str(error)


def name(error: BaseException) -> str:
    """The kind of a PKCS#11 error, e.g. ``PinIncorrect``; python-pkcs11 has one class for each return code."""
    return type(error).__name__


def reason(error: BaseException) -> str:
    """Few words of our own making: ``device_error``, ``vendor_80000001``."""
    kind = name(error)
    if kind == "PKCS11Error":
        found = re.search(r"Unmapped error code 0x([0-9a-f]{1,16})", str(error))
        if found:
            return f"{'vendor' if int(found[1], 16) >= _VENDOR else 'code'}_{found[1]}"
        return next((word for part, word in _WORDS.items() if part in str(error)), "unknown")
    if kind not in _KINDS:
        return "malformed_answer"  # not a return code: what the module gave could not be read
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()


def translate(error: BaseException) -> SignsvcError:
    """Our error for a PKCS#11 error other than what a login says of a PIN."""
    code = _CODES.get(name(error))
    if code == "user_canceled":
        return CredentialError(code)
    if code is None:
        return TokenError("token_error", reason=reason(error))
    return TokenError(code)


def gone(error: BaseException) -> bool:
    """Whether the token is no longer there."""
    return name(error) in ("DeviceRemoved", "TokenNotPresent", "TokenNotRecognised", "SlotIDInvalid")


def tries_left(flags: Any) -> str:
    """``many``, ``few`` or ``last``: PKCS#11 gives no number."""
    if flags & FINAL_TRY:
        return "last"
    return "few" if flags & COUNT_LOW else "many"
