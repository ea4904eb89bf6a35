"""Signing by worker processes: the same results, and what a worker that was taken over cannot do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from signsvc.errors import ConfigError, DocumentError, InternalError, SignsvcError, StorageError, TokenError
from signsvc.keys.signer import Signer
from signsvc.services import Services
from signsvc.signing import SignParams, Visible, profiles
from signsvc.signing.pool import SigningPool
from signsvc.signing.service import SigningService
from signsvc.verification import Limits, processes, worker
from tests.support.installation import Installation

SAMPLE = (resources.files("signsvc.samples") / "van-ban.pdf").read_bytes()


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "van-ban.pdf"
    path.write_bytes(SAMPLE)
    return path


@pytest.fixture
def place(installation: Installation) -> Iterator[Path]:
    """Where the service's workers may see documents."""
    installation.settings.spool_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=installation.settings.spool_dir) as name:
        (Path(name) / "van-ban.pdf").write_bytes(SAMPLE)
        yield Path(name)


@pytest.fixture(scope="module")
def shared(installation: Installation) -> Iterator[Services]:
    """The parts as a worker of the service has them."""
    with Services(installation.settings, shared_tokens=True, workers=2) as found:
        yield found


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch, services: Services) -> Iterator[Callable[..., SigningPool]]:
    """`forked(sign, **options)`: a pool whose workers run `sign` in place of the service's."""
    made: list[SigningPool] = []
    # Forked workers begin as large as this process is by now.
    monkeypatch.setattr(processes, "RECYCLE_ABOVE", 1 << 60)
    monkeypatch.setattr(worker, "_TIDY_ABOVE", 1 << 60)

    def make(sign: Any, **options: Any) -> SigningPool:
        monkeypatch.setattr(SigningService, "sign", sign)
        monkeypatch.setattr(processes.Worker, "spawn", processes.Worker.fork)
        made.append(SigningPool(services.trust_source, verifier=services.verifier, **options))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


class CountedSigner:
    """A key that counts its uses and may fail."""

    def __init__(self, inner: Signer, problem: SignsvcError | None = None) -> None:
        self._inner = inner
        self._problem = problem
        self.uses = 0

    @property
    def certificate(self) -> Any:
        return self._inner.certificate

    @property
    def certificate_chain(self) -> Any:
        return self._inner.certificate_chain

    def sign(self, digest: bytes, algorithm: Any, *, deadline: float | None = None) -> bytes:
        self.uses += 1
        if self._problem is not None:
            raise self._problem
        return self._inner.sign(digest, algorithm, deadline=deadline)


def call(pool: Any, services: Services, source: Path, target: Path, **options: Any) -> Any:
    options.setdefault("signer", services.keyring.get("p12-person"))
    return pool.sign(source, target, profile=profiles.load(options.pop("profile", "pades-b-b")), **options)


def leftovers(directory: Path) -> list[Path]:
    return [*directory.glob(".signsvc-*"), *directory.glob("out.pdf")]


def test_a_service_signs_and_extends_through_workers(shared: Services, place: Path) -> None:
    assert isinstance(shared.signing, SigningPool)
    visible = Visible(-1, (50, 50, 250, 120))
    params = SignParams(reason="Phê duyệt", visible=visible, metadata={"doc_number": "15/QĐ"})
    result = call(shared.signing, shared, place / "van-ban.pdf", place / "out.pdf", params=params, profile="pades-b-t")
    assert (result.level, result.field) == ("B-T", "Signature1")
    assert result.certificate == shared.keyring.get("p12-person").certificate
    assert [c.common_name for c in result.chain][-1] == result.chain[-1].common_name
    extended = shared.signing.extend(place / "out.pdf", place / "more.pdf", level="B-LTA")
    assert extended.level == "B-LTA"
    (found,) = shared.verifier.verify(place / "more.pdf").signatures
    assert found["indication"] == "TOTAL-PASSED"
    assert not list(place.glob(".signsvc-*"))


def test_a_document_timestamp_through_workers(shared: Services, place: Path) -> None:
    assert shared.signing.timestamp(place / "van-ban.pdf", place / "out.pdf").level == "timestamp"
    (found,) = shared.verifier.verify(place / "out.pdf").report["timestamps"]
    assert found["indication"] == "TOTAL-PASSED"


def test_many_threads_on_a_fresh_pool(installation: Installation, place: Path) -> None:
    """All of them are the first ones: libraries that complete themselves on first use must not meet each other."""
    with Services(installation.settings, shared_tokens=True, workers=2) as fresh:
        signer = fresh.keyring.get("person")

        def one(number: int) -> str:
            target = place / f"out-{number}.pdf"
            return str(
                call(fresh.signing, fresh, place / "van-ban.pdf", target, profile="pades-b-lta", signer=signer).level
            )

        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(one, range(16))) == ["B-LTA"] * 16


def test_the_service_itself_never_loads_the_writing_library() -> None:
    program = (
        "import sys, signsvc.web.app, signsvc.services, signsvc.signing.pool, signsvc.web.api.sign;"
        "print([m for m in sys.modules if m.split('.')[0] in ('pyhanko', 'asn1crypto')])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_errors_of_keys_come_back_as_they_were(shared: Services, place: Path) -> None:
    problem = TokenError("pin_incorrect", tries_left="2")
    signer = CountedSigner(shared.keyring.get("p12-person"), problem)
    with pytest.raises(TokenError) as caught:
        call(shared.signing, shared, place / "van-ban.pdf", place / "out.pdf", signer=signer)
    assert caught.value is problem
    assert signer.uses == 1
    assert not leftovers(place)


def test_without_an_authority_there_is_no_timestamp(services: Services, document: Path, tmp_path: Path) -> None:
    pool = SigningPool(services.trust_source, verifier=services.verifier)
    try:
        with pytest.raises(ConfigError):
            call(pool, services, document, tmp_path / "out.pdf", profile="pades-b-t")
    finally:
        pool.close()
    assert not leftovers(tmp_path)


# a document that hangs its worker, or takes it over ----------------------------------------------------------------
@pytest.mark.parametrize(("limits", "word"), [(Limits(wall_seconds=0.5), "time"), (Limits(cpu_seconds=1), "cpu")])
def test_a_worker_that_does_not_come_back_is_stopped(
    limits: Limits, word: str, forked: Any, services: Services, document: Path, tmp_path: Path
) -> None:
    def sign(self: Any, source: Path, target: Path, *, params: SignParams, **_: Any) -> Any:
        (target.parent / ".half-written").write_bytes(b"x")
        while params.reason == "hang":
            if word == "time":
                time.sleep(60)
        raise InternalError("self_check_failed")

    pool = forked(sign, limits=limits)
    with pytest.raises(DocumentError) as caught:
        call(pool, services, document, tmp_path / "out.pdf", params=SignParams(reason="hang"))
    assert (caught.value.code, caught.value.data) == ("document_too_complex", {"limit": word})
    assert not leftovers(tmp_path)
    with pytest.raises(InternalError):
        call(pool, services, document, tmp_path / "out.pdf")


def test_waiting_for_a_key_is_not_the_documents_time(
    forked: Any, services: Services, document: Path, tmp_path: Path
) -> None:
    def sign(self: Any, source: Path, target: Path, *, signer: Signer, **_: Any) -> Any:
        signer.sign(bytes(32), None)  # type: ignore[arg-type]
        raise InternalError("self_check_failed")

    class Slow(CountedSigner):
        def sign(self, digest: bytes, algorithm: Any, *, deadline: float | None = None) -> bytes:
            time.sleep(1)
            return super().sign(digest, algorithm, deadline=deadline)

    slow = Slow(services.keyring.get("p12-person"))
    with pytest.raises(InternalError):
        call(forked(sign, limits=Limits(wall_seconds=0.7)), services, document, tmp_path / "out.pdf", signer=slow)
    assert slow.uses == 1


def test_a_worker_gets_no_more_signatures_than_an_honest_one(
    forked: Any, services: Services, document: Path, tmp_path: Path
) -> None:
    def sign(self: Any, source: Path, target: Path, *, signer: Signer, **_: Any) -> Any:
        for number in range(5):
            signer.sign(bytes([number]) * 32, None)  # type: ignore[arg-type]

    signer = CountedSigner(services.keyring.get("p12-person"))
    with pytest.raises(InternalError):
        call(forked(sign), services, document, tmp_path / "out.pdf", signer=signer)
    assert signer.uses == 2


@pytest.mark.parametrize("name", ["../van-ban.pdf", "/etc/passwd", "link", "missing", ""])
def test_a_worker_has_only_its_own_file_checked(
    name: str, forked: Any, services: Services, document: Path, tmp_path: Path
) -> None:
    def sign(self: Any, source: Path, target: Path, **_: Any) -> Any:
        (target.parent / "link").symlink_to(source)
        parent = self._verifier
        parent._ask({"verify": [name, "hon-hop"]})

    with pytest.raises(InternalError):
        call(forked(sign), services, document, tmp_path / "out.pdf")
    assert not leftovers(tmp_path)


def test_a_worker_cannot_hand_out_another_file(forked: Any, services: Services, document: Path, tmp_path: Path) -> None:
    genuine = SigningService.sign

    def sign(self: Any, source: Path, target: Path, **options: Any) -> Any:
        result = genuine(self, source, target, **options)
        target.unlink()
        target.symlink_to("/etc/passwd")
        return result

    with pytest.raises(InternalError):
        call(forked(sign), services, document, tmp_path / "out.pdf")
    assert not leftovers(tmp_path)


def test_a_full_disk_is_said_so(shared: Services, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("signsvc.signing.pool.tempfile.TemporaryDirectory", full)
    with pytest.raises(StorageError):
        call(shared.signing, shared, place / "van-ban.pdf", place / "out.pdf")
