"""The same requests to the modules of several makers: list, sign, wrong PIN, restart, removal, lock-out."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signsvc.algorithms import SignatureAlgorithm, SignatureCheck, SignatureScheme, resolve, verify_value
from signsvc.errors import SignsvcError, TokenError
from signsvc.formats import pades
from signsvc.keys import Keyring, ModuleConfig, Secret
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing import profiles
from signsvc.signing.service import SigningService
from test_pki import Pki
from tests.support import token_modules
from tests.support.token_modules import TokenModule, wait_for

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
Open = Callable[..., Keyring]


@pytest.fixture(scope="module", params=list(token_modules.ALL))
def module(
    request: pytest.FixtureRequest, pki: Pki, p11fault: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenModule]:
    folder = tmp_path_factory.mktemp("m")
    with pytest.MonkeyPatch.context() as patch, token_modules.ALL[request.param](folder, pki, p11fault) as found:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        patch.setenv("SIGNSVC_TEST_PIN", found.pin)
        patch.setenv("SIGNSVC_WRONG_PIN", "987654")
        yield found


@pytest.fixture
def opened(module: TokenModule) -> Iterator[Open]:
    made: list[Keyring] = []

    def make(pin: str = "env:SIGNSVC_TEST_PIN") -> Keyring:
        keyring = Keyring([ModuleConfig(module.path, pin_source=pin)], module.credentials)
        made.append(keyring)
        wait_for(lambda: module.label in labels(keyring))
        return keyring

    yield make
    for keyring in made:
        keyring.close()


def labels(keyring: Keyring) -> list[str]:
    return [slot["token"]["label"] for found in keyring.tokens() for slot in found["slots"] if "token" in slot]


def sign(keyring: Keyring, name: str, scheme: SignatureScheme) -> bytes:
    """A value, which the signer has verified with the certificate."""
    digest = hashlib.sha256(os.urandom(8)).digest()
    return keyring.get(name).sign(digest, SignatureAlgorithm(scheme, "sha256"))


def outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except SignsvcError as error:
        return error.code
    return "done"


RSA, PSS, ECDSA = SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS, SignatureScheme.ECDSA


def test_list_and_sign(module: TokenModule, opened: Open) -> None:
    keyring = opened()
    assert {info.status for info in keyring.list()} == {"ready"}
    for config in module.credentials:
        for scheme in (ECDSA,) if config.id == "ec" else (RSA, PSS):
            for _ in range(2):
                assert sign(keyring, config.id, scheme), (config.id, scheme)


def test_a_wrong_pin_is_tried_once(module: TokenModule, opened: Open) -> None:
    keyring = opened("env:SIGNSVC_WRONG_PIN")
    assert [outcome(lambda: sign(keyring, "rsa", RSA)) for _ in range(5)] == ["pin_incorrect"] * 5
    # A token that locks after three tries would be locked by now.
    keyring.login(module.path, module.label, Secret(module.pin))
    assert sign(keyring, "rsa", RSA)


def test_a_new_process_logs_in_by_itself(opened: Open) -> None:
    keyring = opened()
    sign(keyring, "rsa", RSA)
    (process,) = keyring.processes().values()
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: outcome(lambda: sign(keyring, "rsa", RSA)) == "done")
    assert process not in keyring.processes().values()


@pytest.mark.parametrize("module", ["p11-kit", "opensc-piv"], indirect=True)
def test_removal(module: TokenModule, opened: Open) -> None:
    assert module.pull is not None
    assert module.plug is not None
    keyring = opened()
    sign(keyring, "rsa", RSA)
    signer = keyring.get("rsa")
    module.pull()
    algorithm = SignatureAlgorithm(RSA, "sha256")
    for _ in range(3):
        assert outcome(lambda: signer.sign(bytes(32), algorithm)) in (
            "token_removed",
            "token_not_present",
            "token_error",
        )
    module.plug()
    started = time.monotonic()
    wait_for(lambda: outcome(lambda: sign(keyring, "rsa", RSA)) == "done")
    assert time.monotonic() - started < 5


@pytest.mark.full
@pytest.mark.parametrize("module", ["opensc-piv"], indirect=True)
def test_pulled_while_it_signs(
    module: TokenModule, opened: Open, services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never a wrong file or a torn one, and back within 5 s of plugging in again."""
    assert module.pull is not None
    assert module.plug is not None
    keyring = opened()
    signing = SigningService(services.trust_source, verifier=services.verifier)
    profile, number = profiles.load("pades-b-b"), itertools.count()

    def sign_files() -> None:
        for _ in range(20):
            target = tmp_path / f"{next(number)}.pdf"
            signing.sign(sample("van-ban.pdf"), target, profile=profile, signer=keyring.get("rsa"))

    sign(keyring, "rsa", RSA)
    times: list[float] = []
    codes: Counter[str] = Counter()
    try:
        for turn in range(50 if FULL else 5):
            (module.folder / "delay").write_text("300")
            worker = threading.Thread(target=lambda: codes.update([outcome(sign_files)]))
            worker.start()
            time.sleep(0.1 + 0.11 * (turn % 7))
            module.pull()
            worker.join()
            (module.folder / "delay").unlink()
            module.plug()
            started = time.monotonic()
            wait_for(lambda: outcome(lambda: sign(keyring, "rsa", RSA)) == "done")
            times.append(time.monotonic() - started)
    finally:
        (module.folder / "delay").unlink(missing_ok=True)
    assert set(codes) <= {"token_removed", "token_not_present", "token_error"}, codes
    assert max(times) <= 5, times
    files = list(tmp_path.iterdir())  # nothing unfinished among them either
    assert len(files) == next(number) - len(times)
    for path in files:
        (view,) = pades.read(path.read_bytes()).signatures
        assert view.signer is not None
        assert view.signer.digest_matches
        value = view.signer.value
        algorithm = resolve(value.algorithm_oid, value.parameters)
        certificate = keyring.get("rsa").certificate
        assert verify_value(certificate, algorithm, value.value, message=value.message) is SignatureCheck.VALID
    with capsys.disabled():
        print(
            f"\npulled {len(times)} times, {len(files)} files signed: back after {sorted(times)[len(times) // 2]:.2f} s, at most {max(times):.2f}"
        )


@pytest.mark.parametrize("module", ["opensc-piv"], indirect=True)
def test_the_last_try_is_a_persons_and_then_it_is_locked(module: TokenModule, opened: Open) -> None:
    """Last of all: the token stays locked."""
    person = opened("prompt")
    wrong = Secret("987654")
    for left in ("many", "last"):  # OpenSC tells of the last one only
        with pytest.raises(TokenError) as caught:
            person.login(module.path, module.label, wrong)
        assert caught.value.code == "pin_incorrect"
        assert caught.value.data["tries_left"] == left
    unattended = opened()
    assert outcome(lambda: sign(unattended, "rsa", RSA)) == "pin_incorrect"  # though its PIN is right
    assert (module.folder / "tries").read_text() == "1"
    assert outcome(lambda: person.login(module.path, module.label, wrong)) == "pin_locked"
    fresh = opened()
    assert outcome(lambda: sign(fresh, "rsa", RSA)) == "pin_locked"
