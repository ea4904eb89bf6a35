"""Every return code at every call of a module: a clear code, no PIN twice, and the next signature works."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import SignsvcError
from signsvc.keys import Keyring, ModuleConfig, Secret, Signer
from test_pki.softhsm import Token
from tests.integration.keys.faults import Fault

RSA = SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256")
FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
HEADER = Path("/usr/include/p11-kit-1/p11-kit/pkcs11.h").read_text()
CODES = {name: int(value, 16) for name, value in re.findall(r"#define\s+(CKR_\w+)\s+\((0x\w+)UL\)", HEADER)}
CODES = {n: v for n, v in CODES.items() if v} | {"CKR_VENDOR_DEFINED": 0x80000001}
AT_START = ("C_Initialize", "C_GetInfo")  # reached by a new process only
CALLS = (
    *AT_START,
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_OpenSession",
    "C_Login",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
    "C_GetAttributeValue",
    "C_SignInit",
    "C_Sign",
    "C_Logout",
    "C_CloseSession",
    "C_CloseAllSessions",
)
CLEAR = {
    "CKR_DEVICE_REMOVED": "token_removed",
    "CKR_SESSION_CLOSED": "token_removed",
    "CKR_SESSION_HANDLE_INVALID": "token_removed",
    "CKR_OBJECT_HANDLE_INVALID": "token_removed",
    "CKR_KEY_HANDLE_INVALID": "token_removed",
    "CKR_TOKEN_NOT_PRESENT": "token_not_present",
    "CKR_TOKEN_NOT_RECOGNIZED": "token_not_present",
    "CKR_SLOT_ID_INVALID": "token_not_present",
    "CKR_FUNCTION_CANCELED": "user_canceled",
    "CKR_FUNCTION_REJECTED": "user_canceled",
}
WRONG_PIN = ("CKR_PIN_INCORRECT", "CKR_PIN_INVALID", "CKR_PIN_LEN_RANGE")
# What may go wrong without harm: ending a session.
HARMLESS = ("C_Logout", "C_CloseSession", "C_CloseAllSessions")
REACHED = [c for c in CALLS if c not in ("C_Logout", "C_CloseSession")]  # those only where C_CloseAllSessions fails


class Bench:
    """A signer in front of the module with faults, and the way back to the beginning."""

    def __init__(self, fault: Fault, keyring: Keyring, softhsm: Token) -> None:
        self.fault, self.keyring, self.softhsm = fault, keyring, softhsm
        self.signer: Signer = keyring.get("person")
        self.client = next(iter(keyring._clients.values()))

    def begin(self, call: str) -> None:
        """Before the session, or before the process where `call` comes only there."""
        self.fault.control()
        if call in HARMLESS:
            self.signer.sign(bytes(32), RSA)
        elif call in AT_START:
            os.kill(self.client.ping(), signal.SIGKILL)
            time.sleep(0.05)
        else:
            self.client.logout()
        self.fault.forget()

    def attempt(self) -> tuple[str, str]:
        try:
            self.signer.sign(bytes(32), RSA)
        except SignsvcError as error:
            return error.code, str(error.data.get("reason", ""))
        return "signed", ""


@pytest.fixture(scope="module")
def bench(p11fault: Path, softhsm: Token, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("codes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("P11_REAL", str(softhsm.module))
        patch.setenv("P11_CTL", str(directory / "control"))
        patch.setenv("P11_LOG", str(directory / "log"))
        patch.setenv("SIGNSVC_TEST_PIN", softhsm.pin)
        config = ModuleConfig(str(p11fault), pin_source="env:SIGNSVC_TEST_PIN", timeout=1.0, login_timeout=1.0)
        with Keyring([config]) as keyring:
            yield Bench(Fault(p11fault, directory), keyring, softhsm)


def chosen(call: str) -> list[str]:
    """All codes, or a tenth that differs from call to call, always with those that mean something of their own."""
    if FULL:
        return list(CODES)
    always = ("CKR_DEVICE_REMOVED", *WRONG_PIN[: call == "C_Login"])
    return [*always, *list(CODES)[CALLS.index(call) % 10 :: 10]]


@pytest.mark.full
@pytest.mark.parametrize("call", CALLS)
def test_every_code_is_clear_and_passes(bench: Bench, call: str) -> None:
    wrong: list[object] = []
    for name in chosen(call):
        if name == "CKR_GENERAL_ERROR" and not FULL and call in ("C_Initialize", "C_GetInfo", "C_GetSlotList"):
            continue  # waited for: two processes that open SoftHSM at one moment
        bench.begin(call)
        bench.fault.control(f"{call} 0 {CODES[name]:x}")
        if call in HARMLESS:
            bench.client.logout()
        code, reason = bench.attempt()
        logins = bench.fault.count("C_Login")
        bench.fault.control()
        refused = call in ("C_OpenSession", "C_Login") and name in (*WRONG_PIN, "CKR_PIN_LOCKED")
        if refused:
            if bench.attempt()[0] != code or bench.fault.count("C_Login") != logins:
                wrong.append((call, name, "the PIN was tried again"))
            bench.keyring.login(bench.fault.module, bench.softhsm.label, Secret(bench.softhsm.pin))
        after = bench.attempt()[0]
        if not clear(call, name, code, reason) or logins > 2 or after != "signed":
            wrong.append((call, name, code, reason, logins, after))
    assert not wrong


def clear(call: str, name: str, code: str, reason: str) -> bool:
    """Whether `code` is what a person needs to hear of `name` at `call`."""
    if call in HARMLESS:
        return code == "signed"
    if code == "signed":  # read again one by one, or taken for an answer
        return call in ("C_GetAttributeValue", "C_FindObjectsFinal") or name in (
            "CKR_BUFFER_TOO_SMALL",
            "CKR_USER_ALREADY_LOGGED_IN",
        )
    if call in ("C_OpenSession", "C_Login") and name in WRONG_PIN:  # never open to doubt: no second try
        return code == "pin_incorrect"
    if call in ("C_OpenSession", "C_Login") and name == "CKR_PIN_LOCKED":
        return code == "pin_locked"
    if code == "credential_not_found":  # the keys stay hidden
        return name == "CKR_USER_ALREADY_LOGGED_IN" or call == "C_GetAttributeValue"
    expected = CLEAR.get(name, "token_error")
    return code == expected and (code != "token_error" or reason not in ("", "unknown"))


@pytest.mark.full
@pytest.mark.parametrize("call", REACHED if FULL else ("C_Initialize", "C_Login", "C_Sign"))
def test_a_crash_costs_one_signature(bench: Bench, call: str) -> None:
    bench.begin(call)
    bench.fault.control(f"{call} 0 dead")
    if call in HARMLESS:
        with pytest.raises(SignsvcError) as caught:
            bench.client.logout()
        assert caught.value.code == "token_removed"
    else:
        assert bench.attempt()[0] == "token_removed"
    bench.fault.control()
    started = time.monotonic()
    assert bench.attempt()[0] == "signed"
    assert time.monotonic() - started < 5


@pytest.mark.full
@pytest.mark.parametrize("call", [c for c in CALLS if c not in HARMLESS] if FULL else ("C_GetSlotList", "C_Login"))
def test_a_hanging_call_ends_with_its_process(bench: Bench, call: str) -> None:
    bench.begin(call)
    bench.fault.control(f"{call} 60000 0")
    started = time.monotonic()
    assert bench.attempt()[0] == "token_timeout"
    assert time.monotonic() - started < 5
    bench.fault.control()
    assert bench.attempt()[0] == "signed"


def test_a_spoiled_value_never_leaves(bench: Bench) -> None:
    bench.begin("C_Sign")
    bench.fault.control("C_Sign 0 5eed")
    assert bench.attempt()[0] == "signature_mismatch"
    bench.fault.control()
    assert bench.attempt()[0] == "signed"
