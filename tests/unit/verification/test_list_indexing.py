"""Indexes of fetched lists: made by a process that sees one list, kept for all processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import test_pki
from signsvc.net import HttpClient, NetRules
from signsvc.trust import EvidenceClient, FetchRequest, crl_index
from signsvc.trust.crl import Crl
from signsvc.verification import indexing
from test_pki import bulk, revocation
from test_pki.responders import Responders

CA = "sub-g2-state"


@pytest.fixture(scope="module")
def large(pki: test_pki.Pki) -> bytes:
    return bulk.crl(pki, CA, count=3_000)


def test_a_process_makes_the_index(large: bytes) -> None:
    assert indexing.build(large) == Crl(large).make_index()


@pytest.mark.parametrize("damage", [b"", b"\x30\x03\x02\x01\x2a", b"junk" * 1000])
def test_what_is_no_list_has_none(damage: bytes) -> None:
    assert indexing.build(damage) is None


def test_a_list_with_malformed_entries_has_none(pki: test_pki.Pki) -> None:
    entries = [revocation.entry(n, pki.epoch, "superseded") for n in range(3_000)]
    for last, wanted in ((b"", True), (b"\x30\x00", False), (b"\x02\x01\x05", False)):
        encoded = revocation.crl(
            pki.cert(CA), pki.key(CA), [*entries, last], this_update=pki.epoch, next_update=None, number=1
        )
        assert (indexing.build(encoded) is not None) is wanted


def test_a_fetched_list_gets_its_index_once(responders: Responders, tmp_path: Path) -> None:
    made: list[int] = []

    def indexer(encoded: bytes) -> bytes | None:
        made.append(len(encoded))
        return Crl(encoded).make_index()

    http = HttpClient(NetRules(allow=(responders.address,)))
    request = FetchRequest("crl", responders.url("/crl/sub-g2-state-100k.crl"))
    client = EvidenceClient(http, tmp_path, indexer=indexer)
    body = client.fetch(request)
    path = crl_index.path_in(tmp_path / "crl-index", Crl(body).sha256)
    deadline = time.monotonic() + 20
    while not path.is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert crl_index.Index.open(path, Crl(body).sha256) is not None
    client.fetch(request)
    assert EvidenceClient(http, tmp_path, indexer=indexer).index(body)
    assert made == [len(body)]
    small = client.fetch(FetchRequest("crl", responders.url("/crl/sub-g2-party.crl")))
    assert len(small) < crl_index.WORTHWHILE
    assert made == [len(body)]


def test_an_index_that_is_not_whole_is_not_kept(responders: Responders, tmp_path: Path, large: bytes) -> None:
    http = HttpClient(NetRules(allow=(responders.address,)))
    for value in (None, b"", b"x" * 200, (Crl(large).make_index() or b"")[:-1]):
        assert not EvidenceClient(http, tmp_path, indexer=lambda _, value=value: value).index(large)  # type: ignore[misc]
    assert not list(tmp_path.rglob("*.crlx"))
