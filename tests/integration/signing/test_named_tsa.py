"""An authority that the operator names may have a private address; documents gain nothing by that."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

import test_pki
from signsvc.errors import UpstreamError
from signsvc.services import Services
from signsvc.trust.fetching import FetchRequest
from test_pki.responders import Responders
from tests.support.installation import Installation

DIGEST = hashlib.sha256(b"x").digest()


@pytest.fixture
def strict(installation: Installation, pki: test_pki.Pki, responders: Responders) -> Services:
    """The installation without a single private address allowed."""
    settings = installation.settings
    net = settings.net.model_copy(update={"allow": (), "host_map": {}})
    url = f"http://{responders.address}/tsa/1"
    tsa = tuple(t.model_copy(update={"url": url}) for t in settings.tsa[:1])
    return Services(settings.model_copy(update={"net": net, "tsa": tsa}), workers=1)


def test_the_configured_authority_answers(strict: Services) -> None:
    with strict:
        assert strict.tsa.timestamp(DIGEST, "sha256", now=datetime.now(UTC)).der


def test_the_authority_of_one_call_answers(strict: Services, responders: Responders) -> None:
    with strict:
        named = strict.tsa_for(f"http://{responders.address}/tsa/2")
        assert named.timestamp(DIGEST, "sha256", now=datetime.now(UTC)).der
        with pytest.raises(UpstreamError) as refused:
            strict.tsa_for("http://[::1").timestamp(DIGEST, "sha256", now=datetime.now(UTC))
        assert refused.value.code == "tsa_unavailable"


def test_documents_may_not_call_there(strict: Services, responders: Responders) -> None:
    with strict:
        assert strict.tsa.timestamp(DIGEST, "sha256", now=datetime.now(UTC)).der
        for path in ("/tsa/1", "/crl/sub-g2-state.crl"):
            with pytest.raises(UpstreamError) as refused:
                strict.evidence.fetch(FetchRequest("crl", f"http://{responders.address}{path}"))
            assert refused.value.code == "outbound_refused"
