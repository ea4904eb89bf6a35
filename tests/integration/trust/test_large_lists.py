"""A large revocation list on the whole road: one index for all processes, and next to no time for each document."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import test_pki
from signsvc.net import HttpClient, NetRules
from signsvc.trust import EvidenceClient, FetchRequest, crl_index
from signsvc.trust.crl import Crl
from signsvc.verification import Reach, TrustSource, Verifier
from signsvc.verification.processes import Worker
from test_pki.responders import Responders
from tests.support.installation import install
from tests.support.signed_pdf import signed

CA = "sub-g2-state"


class Kept:
    """An installation whose status answers are all kept already: a list for the signer's authority."""

    def __init__(self, pki: test_pki.Pki, responders: Responders, folder: Path, count: int) -> None:
        trust = install(folder, pki, responders).data_dir / "trust"
        path = f"/crl/{CA}-100k.crl" if count else f"/crl/{CA}.crl"
        url = f"http://crl.test-ca.gov.vn.test{path}"
        pki.add(f"by-list-{count}", "person", crl_urls=(url,), ocsp_urls=(), aia_urls=())
        self.documents = [folder / f"{number}.pdf" for number in range(4)]
        for document in self.documents:
            document.write_bytes(signed(pki, f"by-list-{count}", claimed=datetime.now(UTC)).data)
        self.client = EvidenceClient(HttpClient(NetRules(host_map=responders.host_map)), folder / "cache")
        self.list = self.client.fetch(FetchRequest("crl", url))
        self.indexes = folder / "cache" / "crl-index"
        self.indexes.mkdir(exist_ok=True)
        self.verifier = Verifier(
            TrustSource(trust, ("test",), indexes=(self.indexes,)),
            fetch=self.client.fetched,
            reach=Reach((trust, folder, self.indexes)),
        )

    def indication(self, number: int = 0) -> str:
        return self.verifier.verify(self.documents[number]).indication

    def milliseconds(self, times: int) -> float:
        """CPU of the worker for one document, after the first ones."""
        for number in range(4):
            assert self.indication(number) == "TOTAL-PASSED"
        (worker,) = self.verifier._pool._all
        before = _cpu(worker)
        for number in range(times):
            self.indication(number % 4)
        return (_cpu(worker) - before) * 1000 / times


def _cpu(worker: Worker) -> float:
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def small(pki: test_pki.Pki, responders: Responders, tmp_path: Path) -> Iterator[Kept]:
    (tmp_path / "small").mkdir()
    found = Kept(pki, responders, tmp_path / "small", 0)
    with found.verifier:
        yield found


@pytest.fixture
def large(pki: test_pki.Pki, responders: Responders, tmp_path: Path) -> Iterator[Kept]:
    (tmp_path / "large").mkdir()
    found = Kept(pki, responders, tmp_path / "large", 100_000)
    with found.verifier:
        yield found


def test_a_hundred_thousand_entries_cost_a_document_no_two_milliseconds(small: Kept, large: Kept) -> None:
    assert len(large.list) > 3_000_000
    made = Crl(large.list).make_index()
    assert made is not None
    crl_index.path_in(large.indexes, Crl(large.list).sha256).write_bytes(made)
    # Measured: no difference; the bound is the whole of what such a list may cost.
    assert large.milliseconds(60) - small.milliseconds(60) < 2


def test_workers_use_the_index_that_others_made(large: Kept, pki: test_pki.Pki) -> None:
    """Told by one that names the signer falsely: its place is compared with the list, and found to be another's."""
    from signsvc.asn1 import encode_integer
    from signsvc.types import Certificate

    crl = Crl(large.list)
    path = crl_index.path_in(large.indexes, crl.sha256)
    serial = encode_integer(Certificate.from_der(pki.cert("by-list-100000")).serial_number)
    path.write_bytes(crl_index.encode(crl.sha256, [(serial, 0, crl_index.OWN)], 0))
    assert large.indication() == "INDETERMINATE"  # the list could not be read there


def test_a_damaged_index_changes_nothing(large: Kept) -> None:
    path = crl_index.path_in(large.indexes, Crl(large.list).sha256)
    path.write_bytes((Crl(large.list).make_index() or b"")[:-1] + b"x")
    assert large.indication() == "TOTAL-PASSED"
