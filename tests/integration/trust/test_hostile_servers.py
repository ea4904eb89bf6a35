"""Servers that lie, flood, drip and point inside, on the whole road from a document to its report."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import UpstreamError
from signsvc.net import HttpClient, NetRules
from signsvc.trust import EvidenceClient, TrustStore, TsaClient, TsaConfig
from signsvc.verification import Limits, TrustSource, Verifier
from test_pki.responders import Responders
from tests.support.installation import install
from tests.support.signed_pdf import signed

SECONDS = 1.5  # for the evidence of one document; 15 outside of tests


class Inside:
    """A server on loopback that nobody may call; it counts who does."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                found, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            found.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def inside() -> Iterator[Inside]:
    found = Inside()
    yield found
    found.close()


class Road:
    """A verifier that reaches the responders by the host map, and nothing else by a name."""

    def __init__(self, pki: test_pki.Pki, responders: Responders, folder: Path, seconds: float = SECONDS) -> None:
        self.pki = pki
        self.folder = folder
        self.resolver_answers: dict[str, list[str]] = {}
        self.http = HttpClient(NetRules(host_map=responders.host_map), resolver=self._resolve)
        self.client = EvidenceClient(self.http, folder / "cache")
        trust = TrustSource(install(folder, pki, responders).data_dir / "trust", ("test",))
        self.verifier = Verifier(
            trust, fetch=self.client.fetched, workers=2, limits=Limits(evidence_seconds=seconds), busy_after=60
        )

    def _resolve(self, host: str, port: int) -> list[str]:
        return self.resolver_answers.get(host, [])

    def document(self, label: str = "person") -> Path:
        path = self.folder / f"{label}.pdf"
        path.write_bytes(signed(self.pki, label, claimed=datetime.now(UTC)).data)
        return path

    def verify(self, path: Path) -> tuple[str, str | None]:
        found = self.verifier.verify(path)
        return found.indication, found.sub_indication


@pytest.fixture
def road(pki: test_pki.Pki, responders: Responders, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Road]:
    found = Road(pki, responders, tmp_path, getattr(request, "param", SECONDS))
    with found.verifier:
        found.verifier.warm()
        yield found
    found.http.close()


OPEN = ("INDETERMINATE", "TRY_LATER")


@pytest.mark.parametrize("road", [10.0], indirect=True)
def test_the_truth_passes(road: Road) -> None:
    assert road.verify(road.document()) == ("TOTAL-PASSED", None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "inside.example",
                                  "[::ffff:127.0.0.1]"])  # fmt: skip
def test_addresses_inside_are_not_called(road: Road, inside: Inside, host: str) -> None:
    """A certificate of a known authority, for the worst case: its AIA, CRL and OCSP addresses all point inside."""
    road.resolver_answers["inside.example"] = ["127.0.0.1"]
    urls = (f"http://{host}:{inside.port}/", f"http://{host}/")
    label = f"points-inside-{host.strip('[]').replace('.', '-').replace(':', '-')}"
    road.pki.add(label, "person", ocsp_urls=urls, crl_urls=urls, aia_urls=urls)
    assert road.verify(road.document(label)) == OPEN
    assert inside.calls == 0


def test_a_name_that_changes_its_address_leads_nowhere_else(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: public when it is checked, private a moment later."""
    called: list[tuple[str, int]] = []
    lookups = iter(["8.8.8.8", *["127.0.0.1"] * 1000])

    def connect(family: int, address: str, port: int, **times: float) -> None:
        called.append((address, port))
        raise ConnectionRefusedError

    urls = ("http://rebound.example/",)
    road.pki.add("rebound", "person", ocsp_urls=urls, crl_urls=urls, aia_urls=urls)
    document = road.document("rebound")
    monkeypatch.setattr(road.http, "_resolver", lambda host, port: [next(lookups)])
    monkeypatch.setattr("signsvc.net.client.connect", connect)
    assert road.verify(document) == OPEN
    assert ("8.8.8.8", 80) in called
    assert ("127.0.0.1", 80) not in called


@pytest.mark.parametrize("places", [("/ocsp/sub-g2-state", "/crl/sub-g2-state.crl"), ("/aia",)])
def test_redirects_do_not_lead_inside(
    road: Road, inside: Inside, responders: Responders, places: tuple[str, ...]
) -> None:
    for place in places:
        responders.fault(place, "redirect_private", location=f"http://127.0.0.1:{inside.port}/")
    road.verify(road.document())
    assert inside.calls == 0
    assert places == ("/aia",) or sum(responders.requests[place] for place in places) == 2


def test_a_timestamp_authority_does_not_lead_inside(road: Road, inside: Inside, responders: Responders) -> None:
    material = TrustStore(road.folder / "data" / "trust").material("test")
    responders.fault("/tsa", "redirect_private", location=f"http://127.0.0.1:{inside.port}/")
    for url in (test_pki.TSA_URLS[0], f"http://127.0.0.1:{inside.port}/", f"http://localhost:{inside.port}/"):
        with pytest.raises(UpstreamError):
            TsaClient([TsaConfig(name="x", url=url)], road.http, material).timestamp(
                bytes(32), "sha256", now=datetime.now(UTC)
            )
    assert inside.calls == 0


BUDGET = 6.0  # large beside what the other document takes, so that a busy machine tells nothing


@pytest.mark.parametrize("road", [BUDGET], indirect=True)
def test_others_are_answered_while_a_hostile_one_waits(road: Road, responders: Responders) -> None:
    other = road.document("party")  # its authority has other addresses
    document = road.document()
    for place in ("/ocsp/sub-g2-state", "/crl/sub-g2-state.crl"):
        responders.fault(place, "drip", interval=0.05)
    found: list[tuple[str, str | None]] = []
    thread = threading.Thread(target=lambda: found.append(road.verify(document)))
    thread.start()
    waiting = time.monotonic() + 10
    while not responders.requests["/ocsp/sub-g2-state"] and time.monotonic() < waiting:
        time.sleep(0.01)
    began = time.monotonic()
    assert road.verify(other) == ("TOTAL-PASSED", None)
    assert time.monotonic() - began < BUDGET / 2
    assert thread.is_alive()  # it was answered meanwhile, not after
    assert not found
    thread.join(30)
    assert found == [OPEN]


@pytest.mark.parametrize(
    "faults",
    [
        {"endless": {}},
        {"huge": {"size": 1 << 30}},
        {"bomb": {"size": 3 << 30}},  # 3 MB of gzip
        {"drip": {"interval": 0.05}},
        {"slow": {"delay": 30}},
        {"redirect_loop": {}},
        {"refuse": {}},
        {"cut": {}},
    ],
    ids=lambda faults: next(iter(faults)),
)
def test_hostile_servers_cost_little_time_and_memory(
    road: Road, responders: Responders, faults: dict[str, dict[str, Any]]
) -> None:
    """An answer in time for the document, and for another one that comes meanwhile."""
    other = road.document("party")  # its authority has other addresses
    document = road.document()
    road.verify(other)
    for place in ("/ocsp/sub-g2-state", "/crl/sub-g2-state.crl"):
        for kind, options in faults.items():
            responders.fault(place, kind, **options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: list[tuple[str, str | None]] = []
    began = time.monotonic()
    thread = threading.Thread(target=lambda: found.append(road.verify(document)))
    thread.start()
    time.sleep(0.05)
    meanwhile = time.monotonic()
    assert road.verify(other) == ("TOTAL-PASSED", None)
    assert time.monotonic() - meanwhile < 5
    thread.join(30)
    assert found == [OPEN]
    assert time.monotonic() - began < SECONDS + 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 96 * 1024


@pytest.mark.parametrize("road", [10.0], indirect=True)
def test_a_kept_value_is_told_with_its_age(road: Road, responders: Responders, pki: test_pki.Pki) -> None:
    document = road.document()
    assert road.verify(document) == ("TOTAL-PASSED", None)
    road.client._clock = lambda: time.time() + 7200
    responders.fault("/", "down")
    report = road.verifier.verify(document).report
    assert report["indication"] == "TOTAL-PASSED"
    kept = [found for found in report["signatures"][0]["messages"] if found["code"] == "revocation_data_kept"]
    assert [found["level"] for found in kept] == ["info"] * 2
    assert all("0 hours ago" in found["text"] for found in kept)


@pytest.mark.parametrize("road", [10.0], indirect=True)
def test_independent_values_are_fetched_at_the_same_time(road: Road, responders: Responders, pki: test_pki.Pki) -> None:
    """Signer, its authority and both of the timestamp's certificates: four answers in the time of one."""
    from tests.support.signed_pdf import token

    at = datetime.now(UTC) - timedelta(minutes=1)
    path = road.folder / "stamped.pdf"
    path.write_bytes(signed(pki, claimed=at, tokens=(token(pki, at),)).data)
    responders.fault("/ocsp", "slow", delay=1.0)
    responders.fault("/crl", "slow", delay=1.0)
    began = time.monotonic()
    report = road.verifier.verify(path).report
    assert report["indication"] == "TOTAL-PASSED"
    assert time.monotonic() - began < 3.5
    # Two authorities of one root are two questions to its responder.
    assert responders.requests == {"/ocsp/sub-g2-state": 1, "/ocsp/sub-g2-tsa": 1, "/ocsp/root-g2": 2}


@pytest.mark.parametrize("road", [10.0], indirect=True)
def test_the_first_address_that_answers_is_taken(road: Road, responders: Responders, pki: test_pki.Pki) -> None:
    slow, fast = (f"http://crl.test-ca.gov.vn.test/crl/sub-g2-state.crl{end}" for end in ("?a", "?b"))
    pki.add("two-lists", "person", ocsp_urls=(), crl_urls=("http://nowhere.invalid/a.crl", slow, fast), aia_urls=())
    responders.fault("/crl/sub-g2-state.crl", "slow", times=1, delay=30)
    began = time.monotonic()
    assert road.verify(road.document("two-lists")) == ("TOTAL-PASSED", None)
    assert time.monotonic() - began < 10
