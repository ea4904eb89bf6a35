"""Keys that a remote signing service keeps: both versions of the protocol, over real HTTP, with real values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import SignsvcError
from signsvc.keys import Keyring, Secret, one_try
from signsvc.keys.configured import from_settings, remote_mistake
from signsvc.net import HttpClient, NetRules
from signsvc.settings import CredentialSettings, CscSettings, Settings
from signsvc.types import Certificate
from tests.support.csc_service import CscServer, serving

PKCS1 = SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256")
PSS = SignatureAlgorithm(SignatureScheme.RSA_PSS, "sha384", 48, "sha384")
ECDSA = SignatureAlgorithm(SignatureScheme.ECDSA, "sha256")
DIGEST = bytes(range(32))

Open = Callable[..., tuple[CscServer, Keyring]]


@pytest.fixture
def opened(pki: test_pki.Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    with ExitStack() as stack:

        def make(label: str = "person", version: int = 2, pin: str = "246810", **options: Any) -> Any:
            server = stack.enter_context(serving(CscServer(pki, label, version)))
            (tmp_path / "pin").write_text(pin)
            (tmp_path / "pin").chmod(0o600)
            monkeypatch.setenv("SIGNSVC_TEST_SECRET", "bi-mat")
            source = options.pop("pin_source", f"file:{tmp_path / 'pin'}")
            how = options or {"username": "van-phong", "password": "env:SIGNSVC_TEST_SECRET"}
            if "token_url" in how:
                how["token_url"] = f"http://{server.address}/oauth/token"
            csc = CscSettings(url=server.url, credential="khoa-1", timeout_seconds=5, **how)
            credential = CredentialSettings(id="xa", csc=csc, pin=source)
            settings = Settings(data_dir=tmp_path, credentials=(credential,))
            http = HttpClient(NetRules(allow=(server.address,)))
            stack.callback(http.close)
            server.another = lambda: stack.enter_context(from_settings(settings, shared=True, http=lambda *_: http))
            return server, server.another()

        yield make


def refused(keyring: Keyring, algorithm: SignatureAlgorithm = PKCS1) -> tuple[str, str]:
    with pytest.raises(SignsvcError) as caught:
        keyring.get("xa").sign(DIGEST, algorithm)
    for text in (str(caught.value), repr(caught.value.data)):
        assert "secret words" not in text
        assert "246810" not in text
    return caught.value.code, str(caught.value.data.get("reason", ""))


@pytest.mark.parametrize("version", [1, 2])
def test_signs(opened: Open, pki: test_pki.Pki, version: int) -> None:
    server, keyring = opened(version=version)
    signer = keyring.get("xa")
    assert [c.der for c in signer.certificate_chain] == list(pki.chain("person"))
    assert len(signer.sign(DIGEST, PKCS1)) == 256
    assert len(signer.sign(bytes(48), PSS)) == 256
    (info,) = keyring.list()
    assert (info.id, info.kind, info.status) == ("xa", "csc", "ready")
    assert [m for m, _ in server.calls].count("auth/login") == 1
    assert all("PIN" not in body and "authData" not in body for m, body in server.calls if m != "credentials/authorize")


@pytest.mark.parametrize("raw", [False, True])
def test_elliptic_curves_in_either_form(opened: Open, raw: bool) -> None:
    server, keyring = opened("ec")
    server.raw_pairs = raw
    assert keyring.get("xa").sign(DIGEST, ECDSA)[0] == 0x30


def test_a_key_without_pin(opened: Open) -> None:
    server, keyring = opened()
    server.pin = None
    assert keyring.get("xa").sign(DIGEST, PKCS1)
    assert "authData" not in dict(server.calls)["credentials/authorize"]


def test_services_that_know_only_the_key_algorithm(opened: Open) -> None:
    server, keyring = opened(version=1)
    server.algorithms = ["1.2.840.113549.1.1.1"]
    keyring.get("xa").sign(DIGEST, PKCS1)
    assert dict(server.calls)["signatures/signHash"]["signAlgo"] == "1.2.840.113549.1.1.1"


def test_a_service_that_takes_its_time(opened: Open) -> None:
    server, keyring = opened()
    server.asynchronous = True
    assert len(keyring.get("xa").sign(DIGEST, PKCS1)) == 256


def test_a_wrong_pin_is_sent_once(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, keyring = opened(pin="000000")
    for _ in range(3):
        assert refused(keyring)[0] == "pin_incorrect"
    assert [m for m, _ in server.calls].count("credentials/authorize") == 1
    one_try.forget_all()  # another worker, or the next day
    assert refused(server.another())[0] == "pin_incorrect"
    assert [m for m, _ in server.calls].count("credentials/authorize") == 1
    (tmp_path / "pin").write_text("246810")
    assert keyring.get("xa").sign(DIGEST, PKCS1)


def test_a_key_that_wants_its_holder(opened: Open) -> None:
    server, keyring = opened()
    server.otp = True
    assert refused(keyring)[0] == "remote_key_needs_person"
    assert keyring.list()[0].status == "remote_key_needs_person"


def test_an_access_token_that_ended_is_had_again(opened: Open) -> None:
    server, keyring = opened()
    signer = keyring.get("xa")
    server.tokens.clear()
    assert signer.sign(DIGEST, PKCS1)
    assert [m for m, _ in server.calls].count("auth/login") == 2


def test_tokens_of_an_oauth_server(opened: Open) -> None:
    _, keyring = opened(token_url="?", client_id="van-phong", client_secret="env:SIGNSVC_TEST_SECRET")
    assert keyring.get("xa").sign(DIGEST, PKCS1)


def test_a_fixed_token_that_is_refused(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNSVC_TEST_TOKEN", "not-known")
    server, keyring = opened(access_token="env:SIGNSVC_TEST_TOKEN")
    assert refused(keyring) == ("remote_key_refused", "invalid_token")
    assert len(server.calls) == 1


def _other_value(_: str, found: dict[str, Any]) -> Any:
    return found | {"signatures": ["A" * 344]} if "signatures" in found else found


def _two_values(_: str, found: dict[str, Any]) -> Any:
    return {"signatures": found["signatures"] * 2} if "signatures" in found else found


def _no_activation(method: str, found: dict[str, Any]) -> Any:
    return {"handle": "x"} if method == "credentials/authorize" else found


def _no_json(_: str, found: dict[str, Any]) -> Any:
    return b"<html>" if "SAD" in found else found


def _odd_certificate(_: str, found: dict[str, Any]) -> Any:
    return found | {"cert": {"certificates": ["AAAA"]}} if "cert" in found else found


def _deep(_: str, found: dict[str, Any]) -> Any:
    return b"[" * 200_000 if "SAD" in found else found


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_other_value, "signature_mismatch"),
        (_two_values, "remote_key_unavailable"),
        (_no_activation, "remote_key_needs_person"),
        (_no_json, "remote_key_unavailable"),
        (_odd_certificate, "remote_key_unavailable"),
        (_deep, "remote_key_unavailable"),
    ],
)
def test_answers_that_are_none(opened: Open, spoil: Any, code: str) -> None:
    server, keyring = opened()
    server.spoil = spoil
    assert refused(keyring)[0] == code


def test_a_key_that_is_disabled_there(opened: Open) -> None:
    server, keyring = opened()
    server.status = "disabled"
    assert refused(keyring)[0] == "credential_disabled"


def test_nothing_listens(opened: Open) -> None:
    server, keyring = opened()
    server.server.shutdown()
    server.server.socket.close()
    assert refused(keyring)[0] == "remote_key_unavailable"


def test_plain_http_only_to_this_machine(tmp_path: Path) -> None:
    csc = CscSettings(url="http://ky.example.vn/csc/v2", credential="khoa-1")
    settings = Settings(data_dir=tmp_path, credentials=(CredentialSettings(id="xa", csc=csc),))
    with from_settings(settings, http=lambda *_: pytest.fail("called")) as keyring:
        assert refused(keyring)[0] == "configuration_invalid"


def test_a_url_of_no_known_version(tmp_path: Path) -> None:
    csc = CscSettings(url="https://ky.example.vn/csc/v3", credential="khoa-1")
    settings = Settings(data_dir=tmp_path, credentials=(CredentialSettings(id="xa", csc=csc),))
    http = HttpClient(NetRules())
    with from_settings(settings, http=lambda *_: http) as keyring:
        assert refused(keyring)[0] == "configuration_invalid"


def test_the_certificate_decides_the_algorithm(opened: Open) -> None:
    server, keyring = opened("ec")
    signer = keyring.get("xa")
    assert isinstance(signer.certificate, Certificate)
    assert refused(keyring, PKCS1)[0] == "invalid_request"
    assert "credentials/authorize" not in dict(server.calls)


# A wrong secret is sent once -------------------------------------------------------------------------------------------
def sent(server: CscServer, method: str) -> int:
    return [m for m, _ in server.calls].count(method)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    one_try.forget_all()


def test_many_at_a_time_send_a_wrong_pin_once(opened: Open) -> None:
    server, keyring = opened(pin="000000")
    elsewhere = server.another()  # as in another worker, but for what the process knows
    keyrings = [keyring, elsewhere] * 4
    for one in keyrings:
        one.get("xa")
    with ThreadPoolExecutor(len(keyrings)) as threads:
        codes = list(threads.map(lambda one: refused(one)[0], keyrings))
    assert codes == ["pin_incorrect"] * len(keyrings)
    assert sent(server, "credentials/authorize") == 1


def test_many_at_a_time_sign_with_a_right_pin(opened: Open) -> None:
    server, keyring = opened()
    signer = keyring.get("xa")
    with ThreadPoolExecutor(8) as threads:
        values = list(threads.map(lambda _: signer.sign(DIGEST, PKCS1), range(16)))
    assert len(set(values)) == 1  # PKCS#1 v1.5 has no chance in it
    assert sent(server, "credentials/authorize") == 16


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("invalid_pin", 401, "pin_incorrect"),  # not taken for an access token that has ended
        ("pin_locked", 400, "pin_locked"),
        ("locked_pin", 403, "pin_locked"),
        ("invalid_request", 400, "remote_key_refused"),  # some services say no more
        ("", 401, "remote_key_refused"),
    ],
)
def test_words_for_a_wrong_pin(opened: Open, code: str, status: int, told: str) -> None:
    server, keyring = opened()
    server.refusal = code, status
    for _ in range(3):
        assert refused(keyring)[0] == told
    assert sent(server, "credentials/authorize") == 1


def test_a_pin_that_was_accepted_is_not_blamed(opened: Open) -> None:
    server, keyring = opened()
    assert keyring.get("xa").sign(DIGEST, PKCS1)
    server.refusal = "invalid_request", 400
    assert refused(keyring) == ("remote_key_refused", "invalid_request")
    server.refusal = None
    assert keyring.get("xa").sign(DIGEST, PKCS1)


def test_an_access_token_that_ended_before_the_pin_was_seen(opened: Open) -> None:
    server, keyring = opened()
    server.refusal = "expired_token", 401
    assert refused(keyring) == ("remote_key_refused", "expired_token")
    assert sent(server, "credentials/authorize") == 2  # with another token
    server.refusal = None
    assert keyring.get("xa").sign(DIGEST, PKCS1)


def test_a_wrong_password_is_sent_once(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("sai")
    server, keyring = opened(username="van-phong", password=f"file:{tmp_path / 'password'}")
    for _ in range(3):
        assert refused(keyring) == ("remote_key_refused", "access_denied")
    one_try.forget_all()  # another worker
    assert refused(server.another())[0] == "pin_incorrect"
    assert sent(server, "auth/login") == 1
    (tmp_path / "password").write_text("bi-mat")
    assert keyring.get("xa").sign(DIGEST, PKCS1)


def test_signing_in_once_is_enough(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signsvc.keys.keyring.SIGNER_TTL", -1.0)
    server, keyring = opened()
    for _ in range(3):
        assert keyring.get("xa").sign(DIGEST, PKCS1)
    assert (sent(server, "credentials/info"), sent(server, "auth/login")) == (3, 1)


def test_a_person_is_asked_once(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("signsvc.keys.pins.prompt", lambda: asked.append(1) or Secret("246810"))
    monkeypatch.setattr("signsvc.keys.keyring.SIGNER_TTL", -1.0)
    _, keyring = opened(pin_source="prompt")
    for _ in range(3):
        assert keyring.get("xa").sign(DIGEST, PKCS1)
    assert asked == [1]


def test_secrets_follow_no_redirect(opened: Open) -> None:
    server, keyring = opened()
    keyring.get("xa")
    server.redirect = f"http://{server.address}/csc/v2/elsewhere"
    assert refused(keyring) == ("remote_key_unavailable", "redirects")
    assert not any(m == "elsewhere" for m, _ in server.calls)


def test_a_service_that_has_too_much_to_do(opened: Open) -> None:
    server, keyring = opened()
    server.refusal = "too_many", 429
    assert refused(keyring) == ("remote_key_unavailable", "http_429")
    server.refusal = None
    assert keyring.get("xa").sign(DIGEST, PKCS1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://ky.example.vn/csc/v2"},
        {"url": "ftp://localhost/csc/v2"},
        {"url": "https://ky.example.vn/csc/v3"},
        {"username": "a"},
        {"client_id": "a", "client_secret": "env:A"},
        {"client_id": "a", "client_secret": "env:A", "token_url": "http://ky.example.vn/token"},
        {"access_token": "env:A", "username": "a", "password": "env:A"},
    ],
)
def test_settings_that_cannot_work(wrong: dict[str, str]) -> None:
    found = {"url": "https://ky.example.vn/csc/v2", "credential": "khoa-1", **wrong}
    assert remote_mistake(CscSettings(**found)) is not None
    assert remote_mistake(CscSettings(url="https://ky.example.vn/csc/v2", credential="khoa-1")) is None
