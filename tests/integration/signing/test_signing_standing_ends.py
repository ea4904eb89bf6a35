"""A certificate that has just signed signs no more once anybody knows that it is revoked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

import test_pki
from signsvc.errors import CredentialError, RequestError
from signsvc.services import Services
from signsvc.signing import profiles
from signsvc.trust import FetchRequest
from signsvc.trust.imported import ImportedLists
from signsvc.trust.ocsp import ocsp_request
from signsvc.types import Certificate
from test_pki.responders import Responders
from tests.support.installation import install

KINDS = ["ocsp", "crl", "imported"]


@pytest.fixture(params=[False, True], ids=["alone", "workers"])
def house(
    request: pytest.FixtureRequest, pki: test_pki.Pki, responders: Responders, tmp_path: Path
) -> Iterator[Services]:
    installation = install(tmp_path, pki, responders)
    with installation.config.open("a") as config:
        config.write("\n[limits]\nsigning_workers = 1\n")
    settings = installation.settings
    with Services(settings, shared_tokens=request.param, workers=1) as found:
        yield found


def learn(house: Services, kind: str, pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another part of the service asks the authority again, or the operator brings a list."""
    if kind == "imported":
        revoked = {test_pki.certificates.serial_number(pki.cert("person")): (datetime.now(UTC), "keyCompromise")}
        encoded = pki.crl("sub-g2-state", entries=[(serial, *found) for serial, found in revoked.items()])
        ImportedLists.below(house.settings.trust_dir).add(encoded)
        return
    own, issuer = (Certificate.from_der(der) for der in pki.chain("person")[:2])
    if kind == "ocsp":
        wish = FetchRequest("ocsp", own.ocsp_urls[0], ocsp_request(own, issuer), newer_than=datetime.now(UTC))
    else:
        wish = FetchRequest("crl", own.crl_urls[0], newer_than=datetime.now(UTC))
    with monkeypatch.context() as patch:  # a server is not asked twice within ten seconds
        patch.setattr(house.evidence, "_clock", lambda: time.time() + 11)
        house.evidence.fetched(wish)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learned_counts_from_the_next_signature_on(
    kind: str, house: Services, responders: Responders, pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = house.settings.spool_dir
    place.mkdir(parents=True, exist_ok=True)
    (place / "in.pdf").write_bytes((resources.files("signsvc.samples") / "van-ban.pdf").read_bytes())
    signer, profile = house.keyring.get("p12-person"), profiles.load("pades-b-b")

    def sign() -> None:
        house.signing.sign(place / "in.pdf", place / "out.pdf", profile=profile, signer=signer)

    if kind == "crl":
        responders.fault("/ocsp", "down")
    sign()
    asked = responders.requests
    sign()
    assert responders.requests == asked
    responders.fault("/ocsp" if kind == "ocsp" else "/crl", "revoked", label="person")
    sign()  # nobody knows yet
    assert responders.requests == asked
    learn(house, kind, pki, monkeypatch)
    with pytest.raises(CredentialError) as caught:
        sign()
    assert caught.value.code == "certificate_revoked"


def test_trust_that_is_taken_away(house: Services) -> None:
    place = house.settings.spool_dir
    place.mkdir(parents=True, exist_ok=True)
    (place / "in.pdf").write_bytes((resources.files("signsvc.samples") / "van-ban.pdf").read_bytes())
    signer, profile = house.keyring.get("p12-person"), profiles.load("pades-b-lt")
    house.signing.sign(place / "in.pdf", place / "out.pdf", profile=profile, signer=signer)
    for item in house.trust.show("test").installed:
        house.trust.remove("test", item.sha256)
    with pytest.raises((CredentialError, RequestError)) as caught:
        house.signing.sign(place / "in.pdf", place / "out.pdf", profile=profile, signer=signer)
    assert caught.value.code == "certificate_path_unknown"
