"""The evidence cache under those who fill it, break its files and choose its addresses."""

from __future__ import annotations

import hashlib
import os
import time
from base64 import b64encode, encodebytes
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import test_pki
from signsvc.errors import UpstreamError
from signsvc.net import HttpClient, NetRules
from signsvc.trust import EvidenceClient, Fetched, FetchRequest, crl_index
from test_pki.responders import Responders
from tests.support.file_server import Files, serving

STATE = "/crl/sub-g2-state.crl"


@pytest.fixture
def files() -> Iterator[Files]:
    with serving() as found:
        yield found


def _request(files: Files, path: str) -> FetchRequest:
    return FetchRequest("crl", f"http://{files.address}{path}")


@pytest.fixture
def client(files: Files, responders: Responders, tmp_path: Path) -> Iterator[EvidenceClient]:
    http = HttpClient(NetRules(allow=(files.address, responders.address), total_timeout=5))
    yield EvidenceClient(http, tmp_path)
    http.close()


def stored(folder: Path, suffix: str = "") -> list[Path]:
    return [path for path in (folder / "evidence").rglob("*") if path.is_file() and path.suffix == suffix]


def test_a_list_that_comes_as_text_is_kept_as_octets(client: EvidenceClient, files: Files, pki: test_pki.Pki) -> None:
    encoded = pki.crl("sub-g2-state")
    whole = encodebytes(encoded)
    files.held = {
        "/x509": b"-----BEGIN X509 CRL-----\n" + whole + b"-----END X509 CRL-----\n",
        "/crl": b"\r\n-----BEGIN CRL-----\r\n" + whole.replace(b"\n", b"\r\n") + b"-----END CRL-----",
        "/lines": whole,
        "/line": b64encode(encoded),
    }
    for path in files.held:
        found = client.fetched(_request(files, path))
        assert found.body == encoded
        assert client.fetched(_request(files, path)).sha256 == found.sha256


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN X509 CRL-----\n" + b"!" * 200,
        b"-----BEGIN X509 CRL-----\n" + b"MIIA" * 100,  # no end
        b"-----BEGIN CRL-----" + b"-----END CRL-----" * 10,
        b"MII" + b"-" * 200,
    ],
)
def test_text_that_is_no_list_stays_as_it_came(client: EvidenceClient, files: Files, text: bytes) -> None:
    files.held = {"/a": text}
    assert client.fetch(_request(files, "/a")) == text


def test_a_file_whose_octets_are_others_is_not_used(
    client: EvidenceClient, responders: Responders, tmp_path: Path
) -> None:
    request = FetchRequest("crl", responders.url(STATE))
    first = client.fetch(request)
    (path,) = stored(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
    again = client.fetched(request)
    assert not again.from_cache
    assert again.body[:1] == first[:1]
    path.write_bytes(b"\0" * len(content))  # after a crash
    assert not client.fetched(request).from_cache


def test_failures_do_not_fill_the_disk(client: EvidenceClient, files: Files, tmp_path: Path) -> None:
    client._stored = 0
    for number in range(150):
        with pytest.raises(UpstreamError):
            client.fetch(_request(files, f"/{number}"))
    for path in stored(tmp_path, ".failed"):
        os.utime(path, (time.time() - 61,) * 2)
    for number in range(150, 210):
        with pytest.raises(UpstreamError):
            client.fetch(_request(files, f"/{number}"))
    assert len(stored(tmp_path, ".failed")) <= 60


def test_small_files_are_counted_as_well(
    client: EvidenceClient, responders: Responders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("root-g1", "root-g2", "root-public"):
        client(FetchRequest("certificate", responders.url(f"/aia/{label}.crt")))
    monkeypatch.setattr("signsvc.trust.evidence._MAX_FILES", 2)
    client.prune()
    assert len(stored(tmp_path) + stored(tmp_path, ".used")) == 2


def test_an_index_that_was_dropped_is_made_again(client: EvidenceClient, files: Files, tmp_path: Path) -> None:
    made: list[bytes] = []

    def indexer(encoded: bytes) -> bytes:
        import hashlib

        made.append(encoded)
        return crl_index.encode(hashlib.sha256(encoded).digest(), [], 0)

    client._indexer = indexer
    files.held = {"/large": b"\x30" + bytes(crl_index.WORTHWHILE)}

    def fetched_until(count: int) -> Path:
        client.fetch(_request(files, "/large"))
        deadline = time.monotonic() + 10
        while not (found := list((tmp_path / "crl-index").glob("*.crlx"))) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(made) == count
        return found[0]

    path = fetched_until(1)
    old = time.time() - 20 * 86400
    os.utime(path, (old, old))
    fetched_until(1)
    assert path.stat().st_mtime > old + 86400  # in use
    path.unlink()
    fetched_until(2)


def test_a_mapped_name_does_not_open_every_port(responders: Responders, tmp_path: Path) -> None:
    """An operator maps a name to a machine inside: a document must not choose the service on it."""
    port = int(responders.address.rpartition(":")[2])
    url = f"http://ca.inside.example:{port}{STATE}"
    with pytest.raises(UpstreamError) as caught:
        HttpClient(NetRules(host_map={"ca.inside.example": "127.0.0.1"})).get(url)
    assert (caught.value.code, caught.value.data["reason"]) == ("outbound_refused", "port")
    assert responders.requests.total() == 0
    allowed = NetRules(host_map={"ca.inside.example": "127.0.0.1"}, allow=(responders.address,))
    assert HttpClient(allowed).get(url).status == 200
    assert HttpClient(NetRules(host_map={"ca.inside.example": responders.address})).get(url).status == 200


def test_many_dead_names_do_not_wake_a_server_that_fails() -> None:
    from signsvc.net.breaker import Breaker

    breaker = Breaker()
    for number in range(999):
        breaker.failed((f"host{number}.example", 80))
    for _ in range(3):
        breaker.failed(("slow.example", 80))
    for number in range(500):
        breaker.failed((f"other{number}.example", 80))
    assert not breaker.allows(("slow.example", 80))


def test_an_older_answer_does_not_push_out_what_it_replaced(
    client: EvidenceClient, files: Files, pki: test_pki.Pki
) -> None:
    """The server alternates between older lists; whoever reads them says which one is the newest."""
    newest, *older = (pki.crl("sub-g2-state", datetime.now(UTC) - timedelta(hours=n)) for n in (0, 2, 3))
    request = _request(files, "/list")

    def served(body: bytes) -> Fetched:
        files.held["/list"] = body
        moment = datetime.now(UTC) - timedelta(hours=2)
        path = client._path(request)
        if path.exists():
            os.utime(path, (moment.timestamp(),) * 2)
        return client.fetched(request)

    assert not served(newest).replaced
    with pytest.raises(UpstreamError):
        client.fetch(replace(request, before=True))
    for body in (*older, *older):
        found = served(body)
        assert (found.body, found.replaced) == (body, True)
        assert client.fetch(replace(request, before=True)) == newest
    client.fetch(replace(request, keep="0" * 64))
    assert client.fetched(request).replaced
    client.fetch(replace(request, keep=hashlib.sha256(newest).hexdigest()))
    found = client.fetched(request)
    assert (found.body, found.replaced, found.from_cache) == (newest, False, True)
    assert served(older[0]).replaced
    client.fetch(replace(request, keep=hashlib.sha256(older[0]).hexdigest()))
    assert not client.fetched(request).replaced
