"""Signing where no CA's server is reached: the lists that the operator brought in are what the file takes along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

import test_pki
from signsvc.errors import CredentialError
from signsvc.services import Services
from signsvc.signing import SignResult, profiles
from signsvc.trust.crl import Crl
from signsvc.trust.imported import ImportedLists
from signsvc.types import Certificate
from signsvc.verification import VerifyRequest
from test_pki import bulk
from test_pki.responders import Responders
from tests.support.installation import Installation, install

SAMPLE = (resources.files("signsvc.samples") / "van-ban.pdf").read_bytes()
LISTS = ("root-g2", "sub-g2-state", "sub-g2-tsa")


@pytest.fixture
def closed(pki: test_pki.Pki, responders: Responders, tmp_path: Path) -> Installation:
    """The timestamp authority is inside; the CAs' servers are not."""
    for place in ("/ocsp", "/crl", "/aia"):
        responders.fault(place, "refuse")
    found = install(tmp_path, pki, responders)
    (tmp_path / "van-ban.pdf").write_bytes(SAMPLE)
    return found


def bring(house: Installation, *lists: bytes) -> None:
    for one in lists:
        ImportedLists.below(house.data_dir / "trust").add(one)


def held(path: Path) -> list[Crl]:
    """The lists in the file's security store."""
    from signsvc import validation
    from signsvc.formats import pades
    from signsvc.types import EvidenceKind

    view = pades.read(path.read_bytes())
    found = (i.der for i in validation.embedded_evidence(view) if i.kind is EvidenceKind.CRL)
    return [Crl.parse(encoded) for encoded in dict.fromkeys(found)]


def sign(services: Services, source: Path, target: Path, profile: str, key: str = "p12-person") -> SignResult:
    return services.signing.sign(source, target, profile=profiles.load(profile), signer=services.keyring.get(key))


def passes_alone(services: Services, path: Path, level: str) -> None:
    """Without the network and without the imported lists."""
    shutil.rmtree(services.settings.trust_dir / "crls")
    report = services.verifier.verify(path, VerifyRequest(offline=True)).report
    (found,) = report["signatures"]
    assert (found["indication"], found["level"]) == ("TOTAL-PASSED", level)


@pytest.mark.parametrize("level", ["B-LT", "B-LTA"])
def test_the_command_line_signs_with_imported_lists(closed: Installation, pki: test_pki.Pki, level: str) -> None:
    source, target = closed.directory / "van-ban.pdf", closed.directory / "out.pdf"
    command = [
        "sign",
        str(source),
        "--credential",
        "p12-person",
        "--profile",
        f"pades-{level.lower()}",
        "--out",
        str(target),
    ]
    run = [sys.executable, "-c", "from signsvc.cli import main; main()", *command]
    environment = {**os.environ, **closed.environment}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert not target.exists()
    bring(closed, *(pki.crl(label) for label in LISTS))
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with Services(closed.settings, workers=1) as services:
        passes_alone(services, target, level)


def test_the_service_signs_with_imported_lists(closed: Installation, pki: test_pki.Pki) -> None:
    bring(closed, *(pki.crl(label) for label in LISTS))
    spool = closed.settings.spool_dir
    spool.mkdir(parents=True, exist_ok=True)
    with (
        Services(closed.settings, shared_tokens=True, workers=1) as services,
        tempfile.TemporaryDirectory(dir=spool) as place,
    ):
        source, target = Path(place) / "in.pdf", Path(place) / "out.pdf"
        source.write_bytes(SAMPLE)
        assert sign(services, source, target, "pades-b-lta").level == "B-LTA"
        passes_alone(services, target, "B-LTA")


def test_an_imported_list_forbids_to_sign(closed: Installation, pki: test_pki.Pki) -> None:
    serial = Certificate.from_der(pki.cert("person")).serial_number
    entries = [(serial, datetime.now(UTC) - timedelta(days=1), "keyCompromise")]
    bring(closed, pki.crl("root-g2"), pki.crl("sub-g2-state", entries=entries))
    source = closed.directory / "van-ban.pdf"
    with Services(closed.settings, workers=1) as services, pytest.raises(CredentialError) as caught:
        sign(services, source, closed.directory / "out.pdf", "pades-b-b")
    assert caught.value.code == "certificate_revoked"


def test_of_many_lists_the_latest_of_a_kind_is_taken_along(closed: Installation, pki: test_pki.Pki) -> None:
    ago = [datetime.now(UTC) - timedelta(days=n) for n in (1, 2, 3)]
    bring(closed, *(pki.crl("sub-g2-state", at) for at in ago), *(pki.crl(label) for label in LISTS[::2]))
    target = closed.directory / "out.pdf"
    with Services(closed.settings, workers=1) as services:
        sign(services, closed.directory / "van-ban.pdf", target, "pades-b-lt")
    made = [crl.this_update for crl in held(target)]
    assert len(made) == 3
    assert not {*made} & {at.replace(microsecond=0) for at in ago[1:]}


def test_where_servers_answer_no_old_imported_list_fills_the_file(
    pki: test_pki.Pki, responders: Responders, tmp_path: Path
) -> None:
    house = install(tmp_path, pki, responders)
    old = bulk.crl(pki, "sub-g2-state", datetime.now(UTC) - timedelta(days=20), count=3_000)
    bring(house, old)
    (tmp_path / "van-ban.pdf").write_bytes(SAMPLE)
    with Services(house.settings, workers=1) as services:
        sign(services, tmp_path / "van-ban.pdf", tmp_path / "out.pdf", "pades-b-lt")
    assert old not in [crl.der for crl in held(tmp_path / "out.pdf")]
    assert held(tmp_path / "out.pdf") == []
