"""Authorities that are revoked, vague or failing: refused, or left alone for a while that grows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import UpstreamError
from signsvc.net import HttpClient, NetRules
from signsvc.trust import EvidenceClient, TrustAnchor, TrustMaterial, TsaClient, TsaConfig, tsa_token
from signsvc.trust.tsa_health import FIRST_REST, LONGEST_REST, TRIAL_SECONDS, TsaHealth
from signsvc.trust.tsa_status import ChainStatus, TsaStatus
from signsvc.types import Certificate
from test_pki.responders import Responders

DIGEST = hashlib.sha256(b"document").digest()
ONE, TWO = (TsaConfig(n, u, timeout=3) for n, u in zip(("một", "hai"), test_pki.TSA_URLS, strict=True))


@pytest.fixture
def material(pki: test_pki.Pki) -> TrustMaterial:
    return TrustMaterial(anchors=(TrustAnchor(Certificate.from_der(pki.cert("root-g2")), "root-g2"),))


@pytest.fixture
def http(responders: Responders) -> Iterator[HttpClient]:
    client = HttpClient(NetRules(host_map=responders.host_map, connect_timeout=2, total_timeout=5))
    yield client
    client.close()


@pytest.fixture
def status(http: HttpClient, material: TrustMaterial, tmp_path: Path) -> TsaStatus:
    return TsaStatus(lambda: material, EvidenceClient(http, tmp_path).fetched)


def ask(client: TsaClient, **more: Any) -> Any:
    return client.timestamp(DIGEST, "sha256", now=datetime.now(UTC), **more)


def reasons(client: TsaClient, **more: Any) -> list[tuple[str, str]]:
    with pytest.raises(UpstreamError) as caught:
        ask(client, **more)
    found: list[tuple[str, str]] = caught.value.data["tsas"]  # type: ignore[assignment]
    return found


def test_a_revoked_authority_is_refused_and_the_next_is_asked(
    http: HttpClient, material: TrustMaterial, status: TsaStatus, responders: Responders
) -> None:
    for path in ("/ocsp", "/crl"):
        responders.fault(path, "revoked", label="tsa1")
    client = TsaClient([ONE], http, material, status=status)
    assert reasons(client) == [("một", "revoked")]
    assert ask(TsaClient([ONE, TWO], http, material, status=status)).tsa == "hai"


def test_a_good_status_is_asked_for_once(
    http: HttpClient, material: TrustMaterial, status: TsaStatus, responders: Responders
) -> None:
    client = TsaClient([ONE], http, material, status=status, refuse_unknown_status=True)
    ask(client)
    before = sum(n for path, n in responders.requests.items() if not path.startswith("/tsa"))
    assert before > 0
    ask(client)
    assert sum(n for path, n in responders.requests.items() if not path.startswith("/tsa")) == before


def test_an_unknown_status_is_as_the_site_says(http: HttpClient, material: TrustMaterial) -> None:
    offline = TsaStatus(lambda: material, None)
    assert ask(TsaClient([ONE], http, material, status=offline)).tsa == "một"
    client = TsaClient([ONE], http, material, status=offline, refuse_unknown_status=True)
    assert reasons(client) == [("một", "status_unknown")]
    assert offline(ask(TsaClient([ONE], http, material)).chain, datetime.now(UTC)) is ChainStatus.UNKNOWN


def test_accuracy(http: HttpClient, material: TrustMaterial) -> None:
    assert ask(TsaClient([ONE], http, material, max_accuracy=1.0)).tsa == "một"
    assert reasons(TsaClient([ONE], http, material, max_accuracy=0.5)) == [("một", "accuracy")]


@pytest.mark.parametrize(
    ("encoded", "seconds"),
    [
        ("3000", 0.0),
        ("3003020102", 2.0),
        ("300480020300", 0.768),
        ("3006020101810105", 1.000005),
        ("300381017f", 127e-6),
    ],
)
def test_accuracy_is_read_in_all_its_units(encoded: str, seconds: float) -> None:
    from signsvc.asn1 import der

    content = bytes.fromhex(encoded)
    assert tsa_token._accuracy(content, der.read_all(content, tag=der.SEQUENCE)) == pytest.approx(seconds)


@pytest.mark.parametrize("encoded", ["30030201ff", "30028000", "3003820101", "3006020101020101"])
def test_accuracy_that_is_none(encoded: str) -> None:
    from signsvc.asn1 import der

    content = bytes.fromhex(encoded)
    with pytest.raises(tsa_token.TokenError, match="malformed"):
        tsa_token._accuracy(content, der.read_all(content, tag=der.SEQUENCE))


def test_one_that_fails_twice_rests_and_is_tried_once(
    http: HttpClient, material: TrustMaterial, responders: Responders, tmp_path: Path
) -> None:
    clock = [1000.0]
    health = TsaHealth(tmp_path, clock=lambda: clock[0])
    client = TsaClient([ONE, TWO], http, material, health=health)
    responders.fault("/tsa/1", "down")
    assert [ask(client).tsa for _ in range(4)] == ["hai"] * 4
    assert responders.requests["/tsa/1"] == 2
    assert health.of("một").reason == "http_503"
    # Another process of the machine knows it too.
    other = TsaHealth(tmp_path, clock=lambda: clock[0])
    assert not other.allows("một")
    assert other.allows("hai")
    clock[0] += FIRST_REST
    responders.clear("/tsa/1")
    assert ask(client).tsa == "một"
    assert other.of("một").failures == 0
    assert [ask(client).tsa for _ in range(2)] == ["một"] * 2


def test_rests_grow_and_only_one_tries() -> None:
    clock = [0.0]
    health = TsaHealth(clock=lambda: clock[0])
    rests = []
    for _ in range(12):
        health.failed("một", "timeout")
        rests.append(health.of("một").rests_until - clock[0] if health.of("một").rests_until else 0.0)
    assert rests[:4] == [0.0, 5.0, 10.0, 20.0]
    assert rests[-1] == LONGEST_REST
    assert not health.allows("một")
    clock[0] += LONGEST_REST
    assert health.allows("một")
    assert not health.allows("một")
    clock[0] += TRIAL_SECONDS  # whoever tried never came back
    assert health.allows("một")
    health.succeeded("một")
    assert health.allows("một")
    assert health.allows("một")


def test_what_is_not_the_authoritys_fault_does_not_count(
    http: HttpClient, material: TrustMaterial, responders: Responders
) -> None:
    responders.fault("/tsa", "slow", delay=1)
    client = TsaClient([ONE], http, material)
    for _ in range(3):
        assert reasons(client, deadline=time.monotonic() + 0.1) == [("một", "timeout")]
    assert client.health.of("một").failures == 0


def test_those_that_rest_are_asked_last_but_asked(
    http: HttpClient, material: TrustMaterial, responders: Responders, tmp_path: Path
) -> None:
    health = TsaHealth(tmp_path)
    for name in ("một", "hai"):
        for _ in range(2):
            health.failed(name, "timeout")
    client = TsaClient([ONE, TWO], http, material, health=health)
    assert ask(client).tsa == "một"
    responders.fault("/tsa", "down")
    health.failed("một", "timeout")
    health.failed("một", "timeout")
    assert reasons(client) == [("một", "http_503"), ("hai", "http_503")]
    responders.clear("/tsa")
    for note in tmp_path.iterdir():
        note.unlink()  # forgiven by hand
    assert ask(client).tsa == "một"


def test_the_time_over_all_of_them(http: HttpClient, material: TrustMaterial, responders: Responders) -> None:
    responders.fault("/tsa", "slow", delay=2)
    client = TsaClient([ONE, TWO], http, material, seconds=0.3)
    assert reasons(client) == [("một", "timeout"), ("hai", "deadline")]


def test_broken_notes_are_no_notes(tmp_path: Path) -> None:
    health = TsaHealth(tmp_path)
    health.failed("một", "timeout")
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    assert TsaHealth(tmp_path).allows("một")
