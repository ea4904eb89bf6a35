"""The few PKCS#11 calls that python-pkcs11 does not offer, on the same loaded module.  Inside a token process only.

Ending every session of a slot (python-pkcs11 leaves one open where a login or a logout fails), and signing with a key
whose PIN is typed at a PIN pad for each signature (C_Login with CKU_CONTEXT_SPECIFIC and no PIN, PKCS#11 v2.40
§5.6 and §4.9).
"""

from __future__ import annotations

import ctypes
from typing import Any

import pkcs11

_CONTEXT_SPECIFIC = 2
# Places in CK_FUNCTION_LIST, whose first member is the version (PKCS#11 v2.40 §3.6).
_CLOSE_ALL_SESSIONS, _LOGIN, _SIGN_INIT, _SIGN = 14, 18, 42, 43
_FUNCTIONS = 68
_MAX_VALUE = 8192

_ULONG = ctypes.c_ulong
_NAMES = {
    0x05: "GeneralError",
    0x06: "FunctionFailed",
    0x30: "DeviceError",
    0x31: "DeviceMemory",
    0x32: "DeviceRemoved",
    0x50: "FunctionCancelled",
    0x60: "KeyHandleInvalid",
    0x70: "MechanismInvalid",
    0x82: "ObjectHandleInvalid",
    0x90: "OperationActive",
    0xA0: "PinIncorrect",
    0xA1: "PinInvalid",
    0xA2: "PinLenRange",
    0xA4: "PinLocked",
    0xB0: "SessionClosed",
    0xB3: "SessionHandleInvalid",
    0xE0: "TokenNotPresent",
    0x101: "UserNotLoggedIn",
    0x200: "FunctionRejected",
}


class _FunctionList(ctypes.Structure):
    _fields_ = (("version", ctypes.c_ubyte * 2), ("functions", ctypes.c_void_p * _FUNCTIONS))


class _PssParameters(ctypes.Structure):
    _fields_ = (("hash", _ULONG), ("mgf", _ULONG), ("salt", _ULONG))


class _Mechanism(ctypes.Structure):
    _fields_ = (("mechanism", _ULONG), ("parameter", ctypes.c_void_p), ("length", _ULONG))


class RawModule:
    """The module at `path`, which python-pkcs11 has loaded and initialised.  Raises `OSError` where it cannot."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        pointer = ctypes.POINTER(_FunctionList)()
        get = self._library.C_GetFunctionList
        get.restype = _ULONG
        if get(ctypes.byref(pointer)) or not pointer:
            raise OSError("the module gives no function list")
        self._functions = pointer.contents.functions

    def _call(self, place: int, kinds: tuple[Any, ...], *arguments: Any) -> int:
        address = self._functions[place]
        return int(ctypes.CFUNCTYPE(_ULONG, *kinds)(address)(*arguments)) if address else 0x54

    def close_all_sessions(self, slot: int) -> bool:
        """End the sessions and the login of this process with the token in `slot`; whether the module agreed."""
        return self._call(_CLOSE_ALL_SESSIONS, (_ULONG,), slot) == 0

    def sign_at_pin_pad(self, session: int, key: int, mechanism: int, parameter: Any, data: bytes) -> bytes:
        """Sign `data` once the PIN has been typed at the pad.  Raises `pkcs11.PKCS11Error`."""
        pss = None if parameter is None else _PssParameters(*(int(p) for p in parameter))
        how = _Mechanism(int(mechanism), ctypes.addressof(pss) if pss else None, ctypes.sizeof(pss) if pss else 0)
        text = ctypes.c_char_p
        _check(self._call(_SIGN_INIT, (_ULONG, ctypes.c_void_p, _ULONG), session, ctypes.addressof(how), key))
        _check(self._call(_LOGIN, (_ULONG, _ULONG, text, _ULONG), session, _CONTEXT_SPECIFIC, None, 0))
        value = ctypes.create_string_buffer(_MAX_VALUE)
        size = _ULONG(_MAX_VALUE)
        kinds = (_ULONG, text, _ULONG, ctypes.c_void_p, ctypes.c_void_p)
        _check(self._call(_SIGN, kinds, session, data, len(data), ctypes.addressof(value), ctypes.addressof(size)))
        return value.raw[: size.value]


def _check(code: int) -> None:
    if code:
        name = _NAMES.get(code)
        raise getattr(pkcs11, name)() if name else pkcs11.PKCS11Error(f"Unmapped error code 0x{code:x}")
