"""Lists brought in by hand: what they prove and what they cost, where no server is reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import encodebytes
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import RequestError
from signsvc.trust import crl_index
from signsvc.trust.crl import Crl
from signsvc.trust.imported import ImportedLists
from signsvc.types import Certificate, EvidenceKind, Origin
from signsvc.verification import TrustSource, Verifier, VerifyRequest
from test_pki import bulk
from test_pki.responders import Responders
from tests.support.installation import Installation, install
from tests.support.signed_pdf import signed

STATE, ROOT = "sub-g2-state", "root-g2"


@pytest.fixture
def house(pki: test_pki.Pki, responders: Responders, tmp_path: Path) -> Installation:
    return install(tmp_path, pki, responders)


def cli(house: Installation, *arguments: str, status: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", "from signsvc.cli import main; main()", "trust", *arguments],
        env={**os.environ, **house.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout + done.stderr


def verdict(house: Installation, pki: test_pki.Pki, label: str = "person") -> dict[str, Any]:
    path = house.directory / f"{label}.pdf"
    path.write_bytes(signed(pki, label, claimed=datetime.now(UTC)).data)
    with Verifier(TrustSource(house.data_dir / "trust", ("test",))) as verifier:
        return verifier.verify(path, VerifyRequest(offline=True)).report


def test_offline_documents_pass_by_imported_lists(house: Installation, pki: test_pki.Pki) -> None:
    assert verdict(house, pki)["sub_indication"] == "TRY_LATER"
    folder = house.directory / "lists" / "deep"
    folder.mkdir(parents=True)
    (folder / "state.crl").write_bytes(pki.crl(STATE))
    pem = b"-----BEGIN X509 CRL-----\n" + encodebytes(pki.crl(ROOT)) + b"-----END X509 CRL-----\n"
    (folder / "root.pem").write_bytes(pem)
    (folder / "other.der").write_bytes(pki.cert("person"))
    (folder / "notes.txt").write_text("not a list")
    found = cli(house, "import-crl", str(folder.parent), "--json")["lists"]
    assert [Path(one["file"]).name for one in found] == ["root.pem", "state.crl"]
    assert [one["signed_by"] for one in found] == [
        Certificate.from_der(pki.cert(label)).subject for label in (ROOT, STATE)
    ]
    report = verdict(house, pki)
    assert report["indication"] == "TOTAL-PASSED"
    assert json.dumps(report).count('"imported"') >= 2
    listed = cli(house, "crls", "--json")["lists"]
    assert {one["sha256"] for one in listed} == {one["sha256"] for one in found}
    cli(house, "remove-crl", found[1]["sha256"])
    assert verdict(house, pki)["sub_indication"] == "TRY_LATER"
    cli(house, "remove-crl", found[1]["sha256"], status=4)


def test_an_imported_list_counts_where_the_certificate_names_none(house: Installation, pki: test_pki.Pki) -> None:
    pki.add("names-nothing", "person", ocsp_urls=(), crl_urls=(), aia_urls=())
    serial = Certificate.from_der(pki.cert("names-nothing")).serial_number
    entries = [(serial, datetime.now(UTC) - timedelta(days=1), "keyCompromise")]
    lists = ImportedLists.below(house.data_dir / "trust")
    lists.add(pki.crl(ROOT))
    lists.add(pki.crl(STATE, entries=entries))
    report = verdict(house, pki, "names-nothing")
    assert report["indication"] != "TOTAL-PASSED"
    assert "certificate_revoked" in json.dumps(report)


def test_a_large_list_is_indexed_at_its_import(house: Installation, pki: test_pki.Pki) -> None:
    path = house.directory / "large.crl"
    path.write_bytes(bulk.crl(pki, STATE, count=3_000))
    assert "✓" in cli(house, "import-crl", str(path))
    sha256 = Crl.parse(path.read_bytes()).sha256
    assert crl_index.Index.open(crl_index.path_in(house.data_dir / "trust" / "crls", sha256), sha256) is not None
    cli(house, "remove-crl", sha256.hex())
    assert not list((house.data_dir / "trust" / "crls").iterdir())


def test_what_is_no_list_is_refused_by_name(house: Installation, pki: test_pki.Pki) -> None:
    path = house.directory / "person.crl"
    path.write_bytes(pki.cert("person"))
    assert "person.crl" in cli(house, "import-crl", str(path), status=4)


def test_replacing_drops_older_ones_of_the_same_kind_alone(pki: test_pki.Pki, tmp_path: Path) -> None:
    lists = ImportedLists(tmp_path / "crls")
    assert lists.all() == ()
    delta = (("2.5.29.27", True, b"\x02\x01\x01"),)
    days = [pki.epoch + timedelta(days=n) for n in range(4)]
    for encoded in (
        pki.crl(STATE, days[0]),
        pki.crl(STATE, days[3]),
        pki.crl(STATE, days[1], extra=delta),
        pki.crl(ROOT),
    ):
        lists.add(encoded)
    assert len(lists.all()) == 4
    _, kept = lists.add(pki.crl(STATE, days[2]), replace=True)
    of_state = [Crl.of(item) for item in lists.about(Certificate.from_der(pki.cert("person")))]
    assert sorted((crl.this_update, crl.is_delta) for crl in of_state) == [
        (days[1], True), (kept.this_update, False), (days[3], False)
    ]  # fmt: skip


def test_a_changed_file_is_not_used(pki: test_pki.Pki, tmp_path: Path) -> None:
    lists = ImportedLists(tmp_path)
    one, _ = lists.add(pki.crl(STATE, number=77))
    encoded = one.path.read_bytes()
    one.path.write_bytes(encoded[:-1] + bytes((encoded[-1] ^ 1,)))
    person = Certificate.from_der(pki.cert("person"))
    assert list(ImportedLists(tmp_path).about(person)) == []
    one.path.write_bytes(encoded)
    (found,) = ImportedLists(tmp_path).about(person)
    assert (found.kind, found.origin, found.der) == (EvidenceKind.CRL, Origin.IMPORTED, encoded)
    with pytest.raises(RequestError):
        lists.add(b"junk")


def test_lists_of_the_installed_authorities_are_refreshed(house: Installation, responders: Responders) -> None:
    responders.fault("/crl/root-g1.crl", "down")
    done = cli(house, "refresh", "--json", status=4)["lists"]
    assert {one["url"].rsplit("/", 1)[1]: one["problem"] for one in done} == {
        "root-g1.crl": "http_503",
        "root-g2.crl": None,
    }
    assert "✓ http://crl.test-ca.gov.vn.test/crl/root-g2.crl" in cli(house, "refresh", status=4)
