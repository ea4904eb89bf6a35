"""A token that fails, is slow, is pulled out, or does not like the PIN."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import SignsvcError, TokenError
from signsvc.keys import Keyring, ModuleConfig, Secret
from test_pki.softhsm import Token
from tests.integration.keys.faults import Fault

Open = Callable[..., Keyring]
RSA = SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256")


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(SignsvcError) as caught:
        work()
    return caught.value.code


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("C_Sign 0 32", "token_removed", None),  # CKR_DEVICE_REMOVED
        ("C_Sign 0 30", "token_error", "device_error"),
        ("C_Sign 0 31", "token_error", "device_memory"),
        ("C_Sign 0 5", "token_error", "general_error"),
        ("C_Sign 0 e0", "token_not_present", None),
        ("C_Sign 0 80000001", "token_error", "vendor_80000001"),
        ("C_SignInit 0 70", "token_error", "mechanism_invalid"),
        ("C_SignInit 0 50", "user_canceled", None),  # CKR_FUNCTION_CANCELED
        ("C_Sign 0 b3", "token_removed", None),  # CKR_SESSION_HANDLE_INVALID, and again in the new session
    ],
)
def test_fault_then_recovery(fault: Fault, open_keyring: Open, line: str, code: str, reason: str | None) -> None:
    signer = open_keyring(fault.module).get("person")
    signer.sign(bytes(32), RSA)
    fault.control(line)
    with pytest.raises(SignsvcError) as caught:
        signer.sign(bytes(32), RSA)
    assert caught.value.code == code
    assert caught.value.data.get("reason") == reason
    fault.control()
    assert signer.sign(bytes(32), RSA)


@pytest.mark.parametrize("call", ["C_Sign", "C_SignInit"])
@pytest.mark.parametrize("value", ["b3", "b0", "82", "60", "101"])
def test_a_lost_session_is_rebuilt_silently(fault: Fault, open_keyring: Open, call: str, value: str) -> None:
    signer = open_keyring(fault.module).get("person")
    signer.sign(bytes(32), RSA)
    fault.control(f"{call} 0 {value} 1")
    assert signer.sign(bytes(32), RSA)
    assert fault.count("C_Login") == 2


def test_an_error_while_signing_is_never_signed_again(fault: Fault, open_keyring: Open) -> None:
    signer = open_keyring(fault.module).get("person")
    signer.sign(bytes(32), RSA)
    fault.forget()
    fault.control("C_Sign 0 30 1")
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "token_error"
    assert fault.count("C_Sign") == 1


def test_many_failures_bring_a_new_process(fault: Fault, open_keyring: Open) -> None:
    keyring = open_keyring(fault.module)
    signer = keyring.get("person")
    signer.sign(bytes(32), RSA)
    before = keyring.processes()
    fault.control("C_OpenSession 0 30", "C_Sign 0 30")
    for _ in range(3):
        assert code_of(lambda: signer.sign(bytes(32), RSA)) == "token_error"
    fault.control()
    assert signer.sign(bytes(32), RSA)
    assert keyring.processes() != before


# PINs ----------------------------------------------------------------------------------------------------------
def wrong_pin(tmp_path: Path) -> str:
    path = tmp_path / "wrong"
    path.write_text("99999999")
    path.chmod(0o600)
    return f"file:{path}"


def test_a_wrong_pin_is_tried_once_by_eight_threads(fault: Fault, open_keyring: Open, tmp_path: Path) -> None:
    keyring = open_keyring(fault.module, pin=wrong_pin(tmp_path))
    signer = keyring.get("person")
    codes: list[str] = []
    threads = [
        threading.Thread(target=lambda: codes.append(code_of(lambda: signer.sign(bytes(32), RSA)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["pin_incorrect"] * 8
    assert fault.count("C_Login") == 1


def test_a_wrong_pin_is_not_tried_again_by_a_new_process(fault: Fault, open_keyring: Open, tmp_path: Path) -> None:
    keyring = open_keyring(fault.module, pin=wrong_pin(tmp_path))
    signer = keyring.get("person")
    with pytest.raises(TokenError) as caught:
        signer.sign(bytes(32), RSA)
    assert caught.value.code == "pin_incorrect"
    assert caught.value.data["tries_left"] == "few"  # SoftHSM sets COUNT_LOW
    (process,) = keyring.processes().values()
    os.kill(process, signal.SIGKILL)
    time.sleep(0.2)
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "pin_incorrect"
    assert fault.count("C_Login") == 1


def test_a_pin_given_by_a_person_is_a_new_try(fault: Fault, softhsm: Token, open_keyring: Open, tmp_path: Path) -> None:
    keyring = open_keyring(fault.module, pin=wrong_pin(tmp_path))
    signer = keyring.get("person")
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "pin_incorrect"
    keyring.login(fault.module, softhsm.label, Secret(softhsm.pin))
    assert signer.sign(bytes(32), RSA)


@pytest.mark.parametrize(
    ("flags", "code"),
    [("40000", "pin_locked"), ("20000", "pin_incorrect")],
)
def test_flags_are_read_before_any_try(fault: Fault, open_keyring: Open, flags: str, code: str) -> None:
    signer = open_keyring(fault.module).get("person")
    fault.control(f"flags 0 {flags}")
    with pytest.raises(TokenError) as caught:
        signer.sign(bytes(32), RSA)
    assert caught.value.code == code
    if code == "pin_incorrect":
        assert caught.value.data["tries_left"] == "last"
    assert fault.count("C_Login") == 0


def test_a_locked_pin(fault: Fault, open_keyring: Open) -> None:
    signer = open_keyring(fault.module).get("person")
    fault.control("C_Login 0 a4")
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "pin_locked"
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "pin_locked"
    assert fault.count("C_Login") == 1


def test_no_pin_source(fault: Fault, open_keyring: Open) -> None:
    signer = open_keyring(fault.module, pin=None).get("person")
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "pin_required"
    assert fault.count("C_Login") == 0


def test_pin_pad(fault: Fault, softhsm: Token, open_keyring: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P11_PAD", softhsm.pin)
    fault.control("flags 0 100")
    signer = open_keyring(fault.module, pin=None).get("person")
    assert signer.sign(bytes(32), RSA)


@pytest.mark.parametrize("kind", ["env", "fd", "prompt"])
def test_other_pin_sources(
    fault: Fault, softhsm: Token, open_keyring: Open, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read, write = os.pipe()
    os.write(write, softhsm.pin.encode() + b"\n")
    os.close(write)
    monkeypatch.setenv("SIGNSVC_TEST_PIN", softhsm.pin)
    source = {"env": "env:SIGNSVC_TEST_PIN", "fd": f"fd:{read}", "prompt": "prompt"}[kind]

    def prompt(label: str) -> Secret:
        asked.append(label)
        return Secret(softhsm.pin)

    signer = open_keyring(fault.module, pin=source, prompt=prompt).get("person")
    threads = [threading.Thread(target=signer.sign, args=(bytes(32), RSA)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signer.sign(bytes(32), RSA)
    os.close(read)
    assert asked == ([softhsm.label] if kind == "prompt" else [])
    assert fault.count("C_Login") == 1


# time ----------------------------------------------------------------------------------------------------------
def test_a_stuck_module_is_killed_and_started_again(fault: Fault, open_keyring: Open) -> None:
    keyring = open_keyring(fault.module, timeout=0.7)
    signer = keyring.get("person")
    signer.sign(bytes(32), RSA)
    before = keyring.processes()
    fault.control("C_Sign 30000 0")
    started = time.monotonic()
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "token_timeout"
    assert time.monotonic() - started < 3
    fault.control()
    assert signer.sign(bytes(32), RSA)
    assert keyring.processes() != before


def test_an_impatient_caller_does_not_stop_a_slow_token(fault: Fault, open_keyring: Open) -> None:
    keyring = open_keyring(fault.module, timeout=20)
    signer = keyring.get("person")
    signer.sign(bytes(32), RSA)
    before = keyring.processes()
    fault.control("C_Sign 700 0 1")
    started = time.monotonic()
    assert code_of(lambda: signer.sign(bytes(32), RSA, deadline=started + 0.2)) == "token_timeout"
    assert time.monotonic() - started < 0.6
    assert signer.sign(bytes(32), RSA)
    assert keyring.processes() == before
    assert code_of(lambda: signer.sign(bytes(32), RSA, deadline=time.monotonic() - 1)) == "token_timeout"


@pytest.mark.parametrize("shared", [False, True])
def test_a_frozen_process_is_killed_by_its_client(
    softhsm: Token, open_keyring: Open, tmp_path: Path, shared: bool
) -> None:
    keyring = open_keyring(softhsm.module, runtime_dir=tmp_path / "run" if shared else None)
    signer = keyring.get("person")
    signer.sign(bytes(32), RSA)
    (process,) = keyring.processes().values()
    os.kill(process, signal.SIGSTOP)
    assert code_of(lambda: signer.sign(bytes(32), RSA, deadline=time.monotonic() + 0.3)) == "token_timeout"
    assert signer.sign(bytes(32), RSA)
    (second,) = keyring.processes().values()
    assert second != process
    os.kill(second, signal.SIGTERM)


def test_a_token_that_is_not_there_hides_no_other(fault: Fault, softhsm: Token, pin_file: str) -> None:
    modules = [ModuleConfig("/nowhere/module.so"), ModuleConfig(str(softhsm.module), pin_source=pin_file)]
    with Keyring(modules) as keyring:
        assert any(info.key_label == "person" for info in keyring.list())
        first, second = keyring.tokens()
    assert first["problem"].code == "configuration_invalid"
    assert {slot["token"]["label"] for slot in second["slots"]} >= {softhsm.label, softhsm.label2}
