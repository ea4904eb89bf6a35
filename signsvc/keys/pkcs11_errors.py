"""What PKCS#11 return codes mean to a caller.  Used inside a token process only."""

from __future__ import annotations

import re
from typing import Any

from signsvc.errors import CredentialError, SignsvcError, TokenError

_CODES = {
    "PinLocked": "pin_locked",
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

# CKF_USER_PIN_* of CK_TOKEN_INFO (PKCS#11 v2.40 §3.2).
COUNT_LOW, FINAL_TRY, LOCKED = 0x10000, 0x20000, 0x40000


def name(error: BaseException) -> str:
    """The kind of a PKCS#11 error, e.g. ``PinIncorrect``; python-pkcs11 has one class for each return code."""
    return type(error).__name__


def reason(error: BaseException) -> str:
    """Few words of our own making: ``device_error``, ``vendor_80000001``."""
    kind = name(error)
    if kind == "PKCS11Error":
        found = re.search(r"Unmapped error code 0x([0-9a-f]{1,16})", str(error))
        return f"vendor_{found[1]}" if found else "unknown"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()


def translate(error: BaseException) -> SignsvcError:
    """Our error for a PKCS#11 error other than a wrong PIN."""
    code = _CODES.get(name(error))
    if code == "user_canceled":
        return CredentialError(code)
    if code is None:
        return TokenError("token_error", reason=reason(error))
    return TokenError(code)


def tries_left(flags: Any) -> str:
    """``many``, ``few`` or ``last``: PKCS#11 gives no number."""
    if flags & FINAL_TRY:
        return "last"
    return "few" if flags & COUNT_LOW else "many"
