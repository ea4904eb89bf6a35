"""Files made to cost, given to the service to be signed: each is signed or refused in bounded time, and the writer's
worker comes to no end over it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.services import Services
from signsvc.signing import profiles
from signsvc.signing.pool import SigningPool
from signsvc.verification import Limits, Reach
from tests.attacks import hostile_cms, hostile_revisions
from tests.attacks.hostile_files import CLASSES
from tests.support.installation import Installation

assert {hostile_cms, hostile_revisions}  # their classes are in CLASSES now
CPU = 20
# The words of a worker that was ended.
ENDED = {"cpu", "memory", "time", "crash"}
REFUSALS = {"document_unreadable", "document_too_complex", "signing_not_permitted"}


@pytest.fixture(scope="module")
def place(installation: Installation) -> Iterator[Path]:
    installation.settings.spool_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=installation.settings.spool_dir) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def pool(services: Services, place: Path) -> Iterator[SigningPool]:
    made = SigningPool(
        services.trust_source,
        verifier=services.verifier,
        limits=Limits(cpu_seconds=CPU, wall_seconds=90),
        reach=Reach((services.trust_source.directory,), (place,)),
    )
    made.warm()
    yield made
    made.close()


def _cpu(pool: SigningPool) -> float:
    """Seconds of processor time of the pool's one worker."""
    (worker,) = pool._pool._all
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_class_is_signed_or_refused(
    pool: SigningPool, services: Services, place: Path, pki: test_pki.Pki, name: str
) -> None:
    hostile = CLASSES[name]
    source, target = place / "hostile.pdf", place / "out.pdf"
    source.write_bytes(hostile.make(pki, hostile.sizes[0]))
    target.unlink(missing_ok=True)
    workers = set(pool._pool._all)
    before = _cpu(pool)
    refused: DocumentError | None = None
    try:
        pool.sign(source, target, profile=profiles.load("pades-b-b"), signer=services.keyring.get("p12-person"))
    except DocumentError as error:
        refused = error
    assert refused is None or (refused.code in REFUSALS and refused.data.get("limit") not in ENDED)
    assert target.exists() == (refused is None)
    assert set(pool._pool._all) == workers
    assert _cpu(pool) - before < CPU / 2
