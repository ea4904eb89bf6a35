"""A token that fails, is slow, is pulled out, or does not like the PIN."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import SignsvcError, TokenError
from signsvc.keys import Keyring, ModuleConfig, Secret, TokenClient, TokenServer
from signsvc.keys.launch import LaunchOptions
from test_pki import Pki
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


def test_a_restarted_service_does_not_try_the_wrong_file_again(
    fault: Fault, softhsm: Token, open_keyring: Open, tmp_path: Path
) -> None:
    source = wrong_pin(tmp_path)
    run = tmp_path / "run"

    def attempt() -> str:
        keyring = open_keyring(fault.module, pin=source, runtime_dir=run)
        try:
            keyring.get("person").sign(bytes(32), RSA)
        except TokenError as error:
            return error.code
        finally:
            (process,) = keyring.processes().values()
            os.kill(process, signal.SIGKILL)
            time.sleep(0.1)
        return "signed"

    assert [attempt(), attempt(), attempt()] == ["pin_incorrect"] * 3
    assert fault.count("C_Login") == 1
    (tmp_path / "wrong").write_text(softhsm.pin)
    assert [attempt(), attempt()] == ["signed"] * 2
    left = b"".join(p.read_bytes() for p in run.iterdir() if p.is_file())
    assert b"99999999" not in left
    assert softhsm.pin.encode() not in left


def test_a_shared_process_goes_after_its_last_client(softhsm: Token, tmp_path: Path) -> None:
    options = LaunchOptions(str(softhsm.module), 30, 90)
    server = TokenServer(options, tmp_path / "run", linger=0.2)
    client = TokenClient(server, {})
    process = client.ping()
    time.sleep(1)
    assert client.ping() == process
    client.close()
    deadline = time.monotonic() + 10
    while list((tmp_path / "run").glob("*.sock")) or Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again = TokenClient(server, {})
    assert again.ping() != process
    again.close()


def test_a_key_that_wants_its_pin_for_each_signature(
    fault: Fault, open_keyring: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pki: Pki
) -> None:
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    key, certificate = tmp_path / "key.der", tmp_path / "certificate.der"
    key.write_bytes(pki.key("person").private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    certificate.write_bytes(pki.cert("person"))
    softhsm2 = ["softhsm2-util", "--init-token", "--free", "--label", "nine-c", "--pin", "1234", "--so-pin", "5678"]
    subprocess.run(softhsm2, check=True, capture_output=True)
    tool = [
        "pkcs11-tool",
        "--module",
        os.environ["P11_REAL"],
        "--token-label",
        "nine-c",
        "-l",
        "-p",
        "1234",
        "--id",
        "9c",
    ]
    objects = (["--type", "privkey", "--always-auth", "--usage-sign", "--write-object", key],
               ["--type", "cert", "--write-object", certificate])  # fmt: skip
    for more in objects:
        subprocess.run([*tool, "--label", "9c", *more], check=True, capture_output=True)
    monkeypatch.setenv("SIGNSVC_TEST_PIN", "1234")
    signer = open_keyring(fault.module, pin="env:SIGNSVC_TEST_PIN").get("nine-c:9c")
    fault.forget()
    for _ in range(3):
        assert signer.sign(bytes(32), RSA)
    assert fault.count("C_Login") == 4
    # The same at a PIN pad: nothing is asked here, and the token asks its holder each time.
    monkeypatch.setenv("P11_PAD", "1234")
    fault.control("flags 0 100")
    signer = open_keyring(fault.module, pin=None).get("nine-c:9c")
    fault.forget()
    for scheme in (SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS):
        assert signer.sign(bytes(32), SignatureAlgorithm(scheme, "sha256"))
    assert fault.count("C_Login") == 3
    fault.control("flags 0 100", "C_SignInit 0 200")  # refused at the device
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "user_canceled"
    fault.control("flags 0 100")
    assert signer.sign(bytes(32), RSA)


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


def test_a_login_that_crashed_is_not_repeated_where_the_token_counted_it(
    fault: Fault, softhsm: Token, open_keyring: Open
) -> None:
    keyring = open_keyring(fault.module)
    signer = keyring.get("person")
    fault.control("C_Login 0 dead")
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "token_removed"
    fault.control("flags 0 10000")
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "pin_incorrect"
    assert fault.count("C_Login") == 1
    fault.control()
    keyring.login(fault.module, softhsm.label, Secret(softhsm.pin))
    assert signer.sign(bytes(32), RSA)


@pytest.mark.parametrize("kind", ["fd", "prompt"])
def test_a_pin_given_once_outlives_an_error(fault: Fault, softhsm: Token, open_keyring: Open, kind: str) -> None:
    asked: list[str] = []
    read, write = os.pipe()
    os.write(write, softhsm.pin.encode())
    os.close(write)

    def prompt(label: str) -> Secret:
        asked.append(label)
        return Secret(softhsm.pin)

    signer = open_keyring(fault.module, pin=f"fd:{read}" if kind == "fd" else "prompt", prompt=prompt).get("person")
    assert signer.sign(bytes(32), RSA)
    os.close(read)
    fault.control("C_Sign 0 30 1")
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "token_error"
    assert signer.sign(bytes(32), RSA)
    assert len(asked) == (kind == "prompt")
    assert fault.count("C_Login") == 2
    fault.control("C_Sign 0 32")  # pulled out: a person takes the consent along
    assert code_of(lambda: signer.sign(bytes(32), RSA)) == "token_removed"
    fault.control()
    assert signer.sign(bytes(32), RSA)
    assert len(asked) == (2 if kind == "prompt" else 0)


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
    assert time.monotonic() - started < 10
    fault.control()
    assert signer.sign(bytes(32), RSA)
    assert keyring.processes() != before


def test_an_impatient_caller_does_not_stop_a_slow_token(fault: Fault, open_keyring: Open) -> None:
    keyring = open_keyring(fault.module, timeout=20)
    signer = keyring.get("person")
    signer.sign(bytes(32), RSA)
    before = keyring.processes()
    fault.control("C_Sign 2000 0 1")
    started = time.monotonic()
    assert code_of(lambda: signer.sign(bytes(32), RSA, deadline=started + 0.2)) == "token_timeout"
    assert time.monotonic() - started < 1.5
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
