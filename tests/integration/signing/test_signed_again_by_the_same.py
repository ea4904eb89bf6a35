"""A second signature by the same person: its validation data are in the file already, and still belong to it."""

from __future__ import annotations

from pathlib import Path

from signsvc.formats.pdf import Document, Ref
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing import profiles


def test_the_store_stands_after_each_signature(services: Services, tmp_path: Path) -> None:
    source, target = tmp_path / "a.pdf", tmp_path / "b.pdf"
    source.write_bytes(sample("van-ban.pdf").read_bytes())
    signer = services.keyring.get("p12-agency")
    for level in ("b-lta", "b-lt"):
        services.signing.sign(source, target, profile=profiles.load(f"pades-{level}"), signer=signer)
        source.write_bytes(target.read_bytes())
        data = target.read_bytes()
        store = Document(data).last.catalog["DSS"]
        assert isinstance(store, Ref)
        # EU DSS counts for a signature only a store that is written after it.
        assert data.rindex(b"\n%d 0 obj" % store.num) > data.rindex(b"/ETSI.CAdES.detached")
    report = services.verifier.verify(target).report
    assert [s["level"] for s in report["signatures"]] == ["B-LTA", "B-LT"]
    assert {s["indication"] for s in report["signatures"]} == {"TOTAL-PASSED"}
