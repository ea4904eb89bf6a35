"""What every test may use: the test hierarchy, its responders and its tokens, on dates relative to the present."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import test_pki
from signsvc.services import Services
from test_pki import softhsm as softhsm_tokens
from test_pki.responders import Responders
from tests.support.installation import Installation, install
from tests.support.postgres import Postgres, cluster


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> test_pki.Pki:
    """The hierarchy; its epoch is midnight UTC 30 days ago."""
    return test_pki.load(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def responders(pki: test_pki.Pki) -> Iterator[Responders]:
    """OCSP, CRL, AIA and TSA on loopback. Faults, clock and counts are reset after every test that names it."""
    with Responders(pki) as server:
        yield server


@pytest.fixture(autouse=True)
def _truthful_responders(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "responders" in request.fixturenames:
        request.getfixturevalue("responders").reset()
    if "installation" in request.fixturenames:  # what was learned of authorities that lied is forgotten with the lie
        cache = request.getfixturevalue("installation").settings.cache_dir
        for note in (cache / "tsa-health").glob("*.json"):
            note.unlink()


@pytest.fixture(scope="session")
def softhsm(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[softhsm_tokens.Token]:
    """Two SoftHSM2 tokens with the hierarchy's keys; SOFTHSM2_CONF points at them for as long as the session lasts."""
    token = softhsm_tokens.create(pki, tmp_path_factory.mktemp("softhsm"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(token.conf))
        yield token


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that makes empty databases."""
    with cluster() as found:
        yield found


@pytest.fixture(scope="session")
def installation(
    pki: test_pki.Pki,
    responders: Responders,
    softhsm: softhsm_tokens.Token,
    tmp_path_factory: pytest.TempPathFactory,
) -> Installation:
    """A whole installation: trust, configuration, keys on SoftHSM2 and in PKCS#12 files, loopback responders."""
    return install(tmp_path_factory.mktemp("installation"), pki, responders, softhsm)


@pytest.fixture(scope="session")
def services(installation: Installation) -> Iterator[Services]:
    """The parts of the installation, wired together."""
    with Services(installation.settings, workers=1) as found:
        yield found
