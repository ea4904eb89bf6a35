"""Signatures of a real token: every scheme, many threads, many processes, a process killed in between."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import CredentialError, RequestError, SignsvcError, TokenError
from signsvc.keys import CredentialConfig, Keyring, ModuleConfig, Signer, default_algorithm
from test_pki import Pki, certificates
from test_pki.softhsm import Token

Open = Callable[..., Keyring]

RSA = SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256")
HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def verify(signer: Signer, digest: bytes, algorithm: SignatureAlgorithm, value: bytes) -> None:
    """With `cryptography` itself, apart from the signer's own check."""
    key = x509.load_der_x509_certificate(signer.certificate.der).public_key()
    chosen = HASHES[algorithm.digest or ""]
    if algorithm.scheme is SignatureScheme.ECDSA:
        key.verify(value, digest, ec.ECDSA(Prehashed(chosen)))  # type: ignore[union-attr, call-arg]
    elif algorithm.scheme is SignatureScheme.RSA_PSS:
        salt = algorithm.salt_length if algorithm.salt_length is not None else chosen.digest_size
        key.verify(value, digest, padding.PSS(padding.MGF1(chosen), salt), Prehashed(chosen))  # type: ignore[union-attr, call-arg]
    else:
        key.verify(value, digest, padding.PKCS1v15(), Prehashed(chosen))  # type: ignore[union-attr, call-arg]


@pytest.mark.parametrize("digest_name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("person", SignatureScheme.RSA_PKCS1),
        ("person", SignatureScheme.RSA_PSS),
        ("rsa3072", SignatureScheme.RSA_PKCS1),
        ("rsa3072", SignatureScheme.RSA_PSS),
        ("ec", SignatureScheme.ECDSA),
    ],
)
def test_every_scheme_verifies(
    softhsm: Token, shared_keyring: Keyring, pki: Pki, name: str, scheme: SignatureScheme, digest_name: str
) -> None:
    signer = shared_keyring.get(name)
    assert signer.certificate.der == pki.cert(name)
    digest = hashlib.new(digest_name, name.encode()).digest()
    algorithm = SignatureAlgorithm(scheme, digest_name)
    verify(signer, digest, algorithm, signer.sign(digest, algorithm))


@pytest.fixture(scope="module")
def shared_keyring(softhsm: Token, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    pin = tmp_path_factory.mktemp("pin") / "pin"
    pin.write_text(softhsm.pin)
    pin.chmod(0o600)
    with Keyring([ModuleConfig(str(softhsm.module), pin_source=f"file:{pin}")]) as keyring:
        yield keyring


def test_chain_comes_from_the_token(shared_keyring: Keyring, pki: Pki) -> None:
    chain = [c.der for c in shared_keyring.get("person").certificate_chain]
    assert chain == list(pki.chain("person"))


def test_a_request_that_does_not_fit_is_refused_before_the_token(shared_keyring: Keyring) -> None:
    signer = shared_keyring.get("ec")
    with pytest.raises(RequestError):
        signer.sign(bytes(32), RSA)
    with pytest.raises(RequestError):
        signer.sign(bytes(31), SignatureAlgorithm(SignatureScheme.ECDSA, "sha256"))


def test_selectors(softhsm: Token, open_keyring: Open, pki: Pki) -> None:
    serial = x509.load_der_x509_certificate(pki.cert("agency")).serial_number
    configs = [
        CredentialConfig("by-id", token=softhsm.label, key_id="0x02"),
        CredentialConfig("by-label", label="agency"),
        CredentialConfig("by-hex", serial=f"{serial:X}"),
        CredentialConfig("by-decimal", serial=str(serial)),
        CredentialConfig("by-subject", subject="ủy ban nhân dân xã"),
        CredentialConfig("two", key_id="02"),
        CredentialConfig("none", label="nobody"),
        CredentialConfig("off", label="agency", enabled=False),
        CredentialConfig("away", token="unplugged", key_id="01"),
    ]
    keyring = open_keyring(softhsm.module, credentials=configs)
    for name in ("by-id", "by-label", "by-hex", "by-decimal", "by-subject"):
        assert keyring.get(name).certificate.der == pki.cert("agency"), name
    expected = {
        "two": "credential_ambiguous",
        "none": "credential_not_found",
        "off": "credential_disabled",
        "away": "token_not_present",
        "agency": "credential_not_found",  # a credential that is not configured stays out of reach
    }
    for name, code in expected.items():
        with pytest.raises(SignsvcError) as caught:
            keyring.get(name)
        assert caught.value.code == code, name
    states = {info.id: info.status for info in keyring.list()}
    assert states == {c.id: expected.get(c.id, "ready") for c in configs}


def test_a_value_of_another_key_is_never_handed_out(
    softhsm: Token, open_keyring: Open, pki: Pki, tmp_path: Path
) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(_other_ec(pki))
    config = CredentialConfig("wrong", module=str(softhsm.module), token=softhsm.label, key_id="03", certificate=other)
    signer = open_keyring(softhsm.module, credentials=[config]).get("wrong")
    with pytest.raises(CredentialError) as caught:
        signer.sign(bytes(32), default_algorithm(signer.certificate))
    assert caught.value.code == "signature_mismatch"


def test_keys_of_one_label_are_told_apart_by_their_points(
    softhsm: Token, open_keyring: Open, pki: Pki, tmp_path: Path
) -> None:
    """Two keys on one curve with neither CKA_ID nor certificate object: SoftHSM2 shows no points of private keys."""
    tool = ["pkcs11-tool", "--module", str(softhsm.module), "--token-label", softhsm.label2, "-l", "-p", softhsm.pin]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    configs = []
    for number, key in enumerate(keys):
        file = tmp_path / f"{number}.key"
        file.write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        if number < 2:
            label = ["--type", "privkey", "--label", "hai khóa", "--usage-sign"]
            subprocess.run([*tool, "--write-object", file, *label], check=True, capture_output=True, timeout=60)
        certificate = tmp_path / f"{number}.crt"
        above = pki.issuer("ec")
        certificate.write_bytes(
            certificates.build(f"twin{number}", pki.spec("ec"), pki.epoch, key, pki.key(above), pki.cert(above))
        )
        configs.append(
            CredentialConfig(
                f"twin{number}", str(softhsm.module), softhsm.label2, label="hai khóa", certificate=certificate
            )
        )
    keyring = open_keyring(softhsm.module, credentials=configs)
    for config in (*configs[:2], *configs[:2]):
        signer = keyring.get(config.id)
        algorithm = default_algorithm(signer.certificate)
        verify(signer, bytes(32), algorithm, signer.sign(bytes(32), algorithm))
    stranger = keyring.get("twin2")
    with pytest.raises(CredentialError) as caught:
        stranger.sign(bytes(32), default_algorithm(stranger.certificate))
    assert caught.value.code == "credential_ambiguous"
    for _ in range(2):
        subprocess.run(
            [*tool, "--delete-object", "--type", "privkey", "--label", "hai khóa"],
            check=True,
            capture_output=True,
            timeout=60,
        )


def _other_ec(pki: Pki) -> bytes:
    from datetime import timedelta

    from cryptography.hazmat.primitives.serialization import Encoding

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Stranger")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(pki.epoch).not_valid_after(pki.epoch + timedelta(days=90))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _hammer(signer: Signer, threads: int, each: int, outcome: Counter[str], during: Callable[[], None]) -> None:
    def run(number: int) -> None:
        for turn in range(each):
            digest = hashlib.sha256(f"{number} {turn}".encode()).digest()
            try:
                verify(signer, digest, RSA, signer.sign(digest, RSA))
                outcome["good"] += 1
            except TokenError as error:
                outcome[error.code if error.retryable else "final"] += 1

    workers = [threading.Thread(target=run, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    during()
    for worker in workers:
        worker.join()


def test_eight_threads(softhsm: Token, open_keyring: Open) -> None:
    keyring = open_keyring(softhsm.module)
    each = 500 if os.environ.get("SIGNSVC_TEST_FULL") == "1" else 50
    outcome: Counter[str] = Counter()
    before = keyring.processes()
    _hammer(keyring.get("person"), 8, each, outcome, lambda: None)
    assert outcome == {"good": 8 * each}
    assert keyring.processes() == before


@pytest.mark.parametrize("shared", [False, True])
def test_a_killed_process_costs_only_what_was_in_flight(
    softhsm: Token, open_keyring: Open, tmp_path: Path, shared: bool
) -> None:
    keyring = open_keyring(softhsm.module, runtime_dir=tmp_path / "run" if shared else None)
    signer = keyring.get("person")
    signer.sign(bytes(32), RSA)
    (first,) = keyring.processes().values()
    outcome: Counter[str] = Counter()

    def kill() -> None:
        time.sleep(0.15)
        os.kill(first, signal.SIGKILL)

    _hammer(signer, 8, 60, outcome, kill)
    (second,) = keyring.processes().values()
    assert second != first
    # at the moment of the kill there may be nothing in flight
    assert set(outcome) <= {"good", "token_removed"}
    assert outcome["token_removed"] <= 8, outcome
    assert outcome.total() == 480
    _end(second)


def _end(pid: int) -> None:
    """A shared process outlives its clients for a while: not here."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass


def _shared(module: str, pin: str, directory: Path) -> Keyring:
    return Keyring([ModuleConfig(module, pin_source=pin)], runtime_dir=directory)


def _sign_in_child(module: str, pin: str, directory: Path, answers: object) -> None:
    with _shared(module, pin, directory) as keyring:
        keyring.get("person").sign(bytes(32), RSA)
        answers.put(next(iter(keyring.processes().values())))  # type: ignore[attr-defined]


def test_all_workers_share_one_process(softhsm: Token, pin_file: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    directory = tmp_path / "run"
    children = [
        context.Process(target=_sign_in_child, args=(str(softhsm.module), pin_file, directory, answers))
        for _ in range(4)
    ]
    for child in children:
        child.start()
    found = {answers.get(timeout=60) for _ in children}
    for child in children:
        child.join()
    answers.close()
    answers.join_thread()
    assert len(found) == 1
    assert directory.stat().st_mode & 0o777 == 0o700
    with _shared(str(softhsm.module), pin_file, directory) as keyring:
        assert set(keyring.processes().values()) == found
    _end(found.pop())


def test_a_runtime_directory_open_to_others_is_refused(softhsm: Token, pin_file: str, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir(mode=0o755)
    with pytest.raises(SignsvcError) as caught:
        _shared(str(softhsm.module), pin_file, directory)
    assert caught.value.code == "configuration_invalid"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_after_a_fork_parent_and_child_both_sign(softhsm: Token, pin_file: str, tmp_path: Path) -> None:
    with _shared(str(softhsm.module), pin_file, tmp_path / "run") as keyring:
        signer = keyring.get("person")
        signer.sign(bytes(32), RSA)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signer.sign(bytes(32), RSA)
                status = 0
            finally:
                os._exit(status)
        for _ in range(20):
            signer.sign(bytes(32), RSA)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        _end(keyring.processes()[str(softhsm.module)])


def test_two_modules_and_several_tokens_at_once(softhsm: Token, fault, pin_file: str) -> None:  # type: ignore[no-untyped-def]
    modules = [
        ModuleConfig(str(softhsm.module), softhsm.label, pin_file),
        ModuleConfig(str(softhsm.module), softhsm.label2, pin_file),
        ModuleConfig(fault.module, None, pin_file),
    ]
    credentials = [
        CredentialConfig("a", module=str(softhsm.module), token=softhsm.label, label="person"),
        CredentialConfig("b", module=str(softhsm.module), token=softhsm.label2, label="person2"),
        CredentialConfig("c", module=fault.module, label="ec"),
    ]
    with Keyring(modules, credentials) as keyring:
        for _ in range(3):
            for name in "abc":
                signer = keyring.get(name)
                signer.sign(bytes(32), default_algorithm(signer.certificate))
        assert len(set(keyring.processes().values())) == 2


def test_the_pin_shows_nowhere(
    softhsm: Token,
    open_keyring: Open,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pin = tmp_path / "open"
    pin.write_text(softhsm.pin)
    pin.chmod(0o644)
    with caplog.at_level(logging.DEBUG):
        keyring = open_keyring(softhsm.module, pin=f"file:{pin}")
        signer = keyring.get("person")
        signer.sign(bytes(32), RSA)
    (process,) = keyring.processes().values()
    told = (
        caplog.text
        + repr(keyring)
        + repr(signer)
        + repr(vars(keyring))
        + repr(vars(signer))
        + "".join(capfd.readouterr())
    )
    for name in ("cmdline", "environ"):
        told += Path(f"/proc/{process}/{name}").read_bytes().decode("utf-8", "replace")
    assert softhsm.pin not in told
    assert "pin_file_readable_by_others" in caplog.text
    with pytest.raises(TypeError):
        pickle.dumps(keyring)
