"""Stored reports judged again a year later, when certificates have expired and responders are gone: the same verdicts."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

import test_pki
from signsvc.errors import RequestError, StorageError
from signsvc.issuing import registry
from signsvc.services import Services
from signsvc.store import Scope, Store
from signsvc.store.bases import evidence, report_bases, report_objects
from signsvc.trust import TrustStore
from signsvc.verification import TrustSource, Verifier, VerifyRequest
from signsvc.web import create_app
from test_pki.pki import now as pki_now
from tests.attacks.verdicts import AUTHORITIES
from tests.pdf_writer import PdfWriter
from tests.support.installation import Installation
from tests.support.signed_pdf import ROOM, claiming, maker, stamp, token, values

COUNT = 500 if os.environ.get("SIGNSVC_TEST_FULL") == "1" else 50


def documents(pki: test_pki.Pki) -> list[bytes]:
    """Good, damaged, revoked, expired, untrusted, unsigned …"""
    at = pki.epoch + timedelta(days=9)
    made = []
    for label in ("person", "agency", "ec", "revoked", "expired", "person2"):
        for archived in (False, True):
            pdf = PdfWriter(pages=2)
            pdf.sign(pki, room=ROOM // 2, extra=claiming(at), cms=maker(pki, label, tokens=[token(pki, at)]))
            if archived:
                pdf.store(pki, values=values(pki, label, "tsa1", at=at + timedelta(minutes=1)))
                stamp(pdf, pki, token(pki, at + timedelta(minutes=2)), name="Stamp")
            made.append(pdf.data)
    damaged = bytearray(made[1])
    damaged[20] ^= 1
    return [*made, bytes(damaged), PdfWriter().data, made[1] + b"% more\n"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = Store.in_directory(tmp_path_factory.mktemp("replay-store"))
    yield found
    found.close()


def test_a_year_later(pki: test_pki.Pki, store: Store, tmp_path: Path) -> None:
    anchor = pki.cert("root-g2")
    TrustStore(tmp_path / "trust").install("test", anchor, confirm=(hashlib.sha256(anchor).hexdigest(),))
    files = []
    for number, data in enumerate(documents(pki)):
        files.append(tmp_path / f"{number}.pdf")
        files[-1].write_bytes(data)
    crls = tuple(pki.crl(label, pki_now()) for label in AUTHORITIES)
    asked: dict[str, str] = {}
    with Verifier(TrustSource(tmp_path / "trust", ("test",)), workers=2) as verifier:
        for number in range(COUNT):
            path = files[number % len(files)]
            request = VerifyRequest(record=True, offline=True, name=path.name, crls=crls if number % 3 else ())
            outcome = verifier.verify(path, request)
            registry.keep(store, outcome.report, outcome.snapshot, now=datetime.now(UTC))
            asked[outcome.id] = json.dumps(outcome.report, sort_keys=True)
    found = {json.loads(one)["indication"] for one in asked.values()}
    assert found == {"TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE", "NO-SIGNATURE"}
    for path in files:
        path.unlink()
    # In another process, whose clock is a year ahead and that may open no connection.
    script = (
        "import sys, socket, datetime, time\n"
        "real = time.time\n"
        "time.time = lambda: real() + 366 * 86400\n"
        "class Later(datetime.datetime):\n"
        "    @classmethod\n"
        "    def now(cls, tz=None): return super().now(tz) + datetime.timedelta(days=366)\n"
        "datetime.datetime = Later\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "import json\n"
        "from pathlib import Path\n"
        "from signsvc.issuing import registry\n"
        "from signsvc.store import Store\n"
        "store = Store.in_directory(Path(sys.argv[1]))\n"
        "for line in sys.stdin:\n"
        "    found = registry.replay(store, line.strip())\n"
        "    print(json.dumps([found.identical, found.report], sort_keys=True))\n"
    )
    place = store.blobs.root.parent
    done = subprocess.run(
        [sys.executable, "-c", script, str(place)], input="\n".join(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == COUNT
    assert all(identical for identical, _ in answers)
    assert [json.dumps(report, sort_keys=True) for _, report in answers] == list(asked.values())


def test_large_parts_are_kept_once(store: Store) -> None:
    with store.database.read() as connection:
        used = [row.sha256 for row in connection.execute(select(report_objects.c.sha256))]
        held = [row.sha256 for row in connection.execute(select(evidence.c.sha256))]
    assert len(used) > len(held) == len(set(used)) > 0


def test_what_was_changed_is_told(store: Store) -> None:
    with store.database.read() as connection:
        identifier, name = connection.execute(select(report_objects.c.report_id, report_objects.c.sha256)).first() or ()
    kept = store.bases.part(name)
    with store.database.write() as connection:
        connection.execute(update(evidence).where(evidence.c.sha256 == name).values(octets=b"other"))
    with pytest.raises(StorageError, match="evidence_damaged"):
        registry.replay(store, identifier)
    with store.database.write() as connection:
        connection.execute(update(evidence).where(evidence.c.sha256 == name).values(octets=kept))
        connection.execute(update(report_bases).where(report_bases.c.report_id == identifier).values(core=b"cut"))
    with pytest.raises(StorageError, match="evidence_damaged"):
        registry.replay(store, identifier)


def test_deleting_leaves_what_others_need(store: Store) -> None:
    with store.database.read() as connection:
        pairs = connection.execute(select(report_objects.c.report_id, report_objects.c.sha256)).all()
    shared = next(name for _, name in pairs if sum(other == name for _, other in pairs) > 1)
    holders = [holder for holder, name in pairs if name == shared]
    for holder in holders[:-1]:
        with store.database.write() as connection:
            store.bases.delete(connection, holder)
    assert store.bases.part(shared)
    with store.database.write() as connection:
        store.bases.delete(connection, holders[-1])
    with pytest.raises(StorageError):
        store.bases.part(shared)
    with pytest.raises(RequestError):
        store.bases.get(holders[0])


def test_over_http_and_at_the_command_line(installation: Installation, pki: test_pki.Pki) -> None:
    with Services(installation.settings, workers=1) as services:
        secret = services.store.api_keys.create("replay", [Scope.VERIFY], now=datetime.now(UTC)).secret
        client = create_app(installation.settings, services).test_client()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/pdf"}
        data = documents(pki)[1]
        identifier = client.post("/v1/verify?accept=hop-le", data=data, headers=headers).get_json()["id"]
        assert registry.replay(services.store, identifier).identical
    command = [sys.executable, "-m", "signsvc", "report"]
    environment = {**os.environ, **installation.environment}

    def run(*words: str) -> Any:
        return subprocess.run([*command, *words], env=environment, capture_output=True, text=True, timeout=60)

    done = run("replay", identifier, "--json")
    assert (done.returncode, json.loads(done.stdout)["identical"]) == (0, True), done.stderr
    assert "kết luận như cũ" in run("replay", identifier).stdout
    assert json.loads(run("show", identifier, "--json").stdout)["acceptance"]["decision"]
    missing = run("replay", "rep_none")
    assert (missing.returncode, "[not_found]" in missing.stderr) == (4, True)
