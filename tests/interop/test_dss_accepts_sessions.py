"""EU DSS accepts what was signed in two steps."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import test_pki
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing import profiles
from signsvc.signing.algorithm import choose
from signsvc.signing.sessions.formats import Prepared
from signsvc.signing.sessions.service import NewDocument, SigningSessions
from signsvc.store import Store
from tests.interop.conftest import Question
from tests.support.installation import Installation

Ask = Callable[[Sequence[Question]], list[dict[str, Any]]]


def test_dss_passes_a_session(dss: Ask, installation: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    installation.settings.spool_dir.mkdir(parents=True, exist_ok=True)
    store = Store.in_directory(tmp_path / "data")
    with (
        Services(installation.settings, shared_tokens=True, workers=1) as services,
        tempfile.TemporaryDirectory(dir=installation.settings.spool_dir) as name,
    ):
        signer, place = services.keyring.get("ec"), Path(name)
        sessions = SigningSessions(store, lambda: services.signing_pool)
        data = sample("van-ban.pdf").read_bytes()
        document = NewDocument(sample("van-ban.pdf"), hashlib.sha256(data).hexdigest(), len(data))
        profile = profiles.load("pades-b-lta")
        identifier = sessions.create(None, profile, [document]).id
        (item,) = sessions.certificate(identifier, [c.der for c in signer.certificate_chain], place).items
        attributes = Prepared.from_json(item.prepared or {}).attributes
        value = signer.sign(hashlib.sha256(attributes).digest(), choose(profile, signer.certificate))
        (item,) = sessions.signatures(identifier, {1: value}, place).items
        signed = store.documents.get((item.result or {})["sha256"]).path
    store.close()
    root = tmp_path / "root.crt"
    root.write_bytes(pki.cert("root-g2"))
    (answer,) = dss([Question(signed, (root,))])
    (found,) = answer["signatures"]
    assert (found["indication"], found["format"]) == ("TOTAL_PASSED", "PAdES-BASELINE-LTA")
    assert not found["undefined_changes"]
