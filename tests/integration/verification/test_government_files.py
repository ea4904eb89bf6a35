"""Files as the state's own signers make them, from the file over the network to the report (internal hosts included)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.services import Services
from signsvc.verification import VerifyRequest
from test_pki.responders import Responders
from test_pki.spec import INTERNAL_HOST
from tests.support.installation import install
from tests.support.signed_pdf import signed, token

BUILT_IN = ("cong-vu", "cong-cong", "hon-hop", "luu-tru")
# The hierarchy's first generation signs with SHA-1 today: a site that wants it may say so.
LATER = 'id = "g1"\nversion = "1"\nextends = "cong-vu"\n[algorithms.all]\nsha1 = { until = 2050-01-01 }\n'
Judge = Callable[..., dict[str, Any]]


@contextmanager
def house(
    folder: Path, pki: test_pki.Pki, responders: Responders, *, trusted: tuple[str, ...], mapped: bool
) -> Iterator[Judge]:
    """A judge of documents over an installation; `mapped`: its host map knows the ministries' internal name."""
    found = install(folder, pki, responders, trusted=trusted)
    if mapped:
        text = found.config.read_text("utf-8").replace(
            "[net.host_map]", f'[net.host_map]\n"{INTERNAL_HOST}" = "{responders.address}"'
        )
        found.config.write_text(text, "utf-8")
    (found.data_dir / "policies").mkdir()
    (found.data_dir / "policies" / "g1.toml").write_text(LATER)

    with Services(found.settings, workers=1, fork=True) as services:

        def judge(data: bytes, policy: str = "hon-hop", **request: Any) -> dict[str, Any]:
            path = folder / "document.pdf"
            path.write_bytes(data)
            return services.verifier.verify(path, VerifyRequest(policy=policy, **request)).report

        yield judge


def outcome(report: dict[str, Any]) -> tuple[str, str | None]:
    return report["indication"], report["sub_indication"]


def codes(report: dict[str, Any]) -> set[str]:
    return {m["code"] for s in report["signatures"] for m in s["messages"]}


G1 = ("root-g1", "sub-g2-tsa", "root-g2")
PASSED = ("TOTAL-PASSED", None)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_leaf_of_the_first_generation_with_internal_hosts(
    pki: test_pki.Pki, responders: Responders, tmp_path: Path, mapped: bool
) -> None:
    """Leaf alone, nonRepudiation alone, SHA-1, two addresses of the list of which the first is internal.

    Without the host map nothing internal is found: the chain comes from installed certificates, and the list from
    the second address.  With it the issuer comes from the internal AIA address too.
    """
    now = datetime.now(UTC)
    data = signed(pki, "g1-person", claimed=now, include=("g1-person",), tokens=(token(pki, now),)).data
    trusted = (*G1, "sub-g1") if mapped else (*G1, "sub-g1", "sub-g1-btc")
    with house(tmp_path, pki, responders, trusted=trusted, mapped=mapped) as judge:
        report = judge(data, "g1")
        asked = {path for path in responders.requests if "btc" in path}
        strict = judge(data, "cong-vu")
    assert outcome(report) == PASSED, report["signatures"][0]["messages"]
    (signature,) = report["signatures"]
    assert [e["trust_anchor"] for e in signature["chain"]] == [False, False, True]
    assert {e["status"] for e in signature["chain"][:2]} == {"good"}
    if mapped:
        assert "/pki/pub/cert/btc.crt" in asked
        assert any(path.startswith("/ocsp/") for path in asked)
    else:
        assert asked == {"/pki/pub/crl/btc.crl"}
        assert signature["chain"][0]["source"] == "crl"
    # The same file under the policy as it is shipped: its algorithms ended in 2021, and the report says which.
    assert strict["indication"] == "INDETERMINATE"
    assert strict["sub_indication"].startswith("CRYPTO_CONSTRAINTS_FAILURE")
    assert strict["policy"]["sha256"] != report["policy"]["sha256"]
    assert any("SHA-1" in m["text"].upper().replace("SHA1", "SHA-1") for m in strict["signatures"][0]["messages"])


def test_without_any_way_to_the_issuer_there_is_no_chain(
    pki: test_pki.Pki, responders: Responders, tmp_path: Path
) -> None:
    data = signed(pki, "g1-person", claimed=datetime.now(UTC), include=("g1-person",)).data
    with house(tmp_path, pki, responders, trusted=(*G1, "sub-g1"), mapped=False) as judge:
        report = judge(data, "g1")
    assert outcome(report) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")
    assert {c["id"]: c["result"] for c in report["signatures"][0]["checks"]}["integrity"] == "passed"


G2 = ("root-g2", "sub-g2-state", "sub-g2-tsa")


@pytest.fixture
def judge(pki: test_pki.Pki, responders: Responders, tmp_path: Path) -> Iterator[Judge]:
    with house(tmp_path, pki, responders, trusted=G2, mapped=False) as found:
        yield found


@pytest.mark.parametrize(("label", "after"), [("expired-recently", 20), ("revoked-later", 20)])
def test_valid_when_signed_is_the_normal_case(judge: Judge, pki: test_pki.Pki, label: str, after: float) -> None:
    """Expired or revoked today; signed and stamped ten days before.  Without a timestamp nobody knows."""
    when = pki.epoch + timedelta(days=after - 10)
    stamped = signed(pki, label, claimed=when, tokens=(token(pki, when),)).data
    bare = signed(pki, label, claimed=when).data
    for policy in BUILT_IN:
        good, unknown = judge(stamped, policy), judge(bare, policy)
        assert unknown["indication"] == "INDETERMINATE", policy
        assert unknown["signatures"][0]["time_source"] == "claimed"
        if label == "revoked-later":
            assert outcome(good) == PASSED, (policy, good["signatures"][0]["messages"])
            assert good["signatures"][0]["chain"][0]["status"] == "revoked"
            assert good["signatures"][0]["time_source"] == "timestamp"
        else:  # revocation data of today does not speak of a certificate that has ended (no policy says that it does)
            assert outcome(good) == ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE"), policy
            assert good["signatures"][0]["best_signature_time"].startswith(f"{when:%Y-%m-%d}")


def test_an_expired_certificate_passes_by_what_the_file_keeps(judge: Judge, pki: test_pki.Pki) -> None:
    from tests.support.signed_pdf import values

    when = pki.epoch + timedelta(days=10)
    pdf = signed(pki, "expired-recently", claimed=when, tokens=(token(pki, when),))
    pdf.store(pki, values=values(pki, "expired-recently", "tsa1", at=when + timedelta(days=1)))
    for policy in BUILT_IN:
        assert outcome(judge(pdf.data, policy)) == PASSED, policy


@pytest.mark.parametrize("hours", [7, 0, 3])
def test_a_claimed_time_seven_hours_ahead_is_a_quirk(judge: Judge, pki: test_pki.Pki, hours: int) -> None:
    now = datetime.now(UTC)
    data = signed(pki, claimed=now + timedelta(hours=hours), tokens=(token(pki, now),)).data
    report = judge(data)
    assert outcome(report) == PASSED
    assert ("claimed_time_local_as_utc" in codes(report)) is (hours == 7)
    assert ("claimed_time_after_proof" in codes(report)) is (hours == 3)


def test_names_of_agency_and_authority_and_the_scope_of_the_certificate(judge: Judge, pki: test_pki.Pki) -> None:
    report = judge(signed(pki, claimed=datetime.now(UTC)).data, "cong-vu")
    (signature,) = report["signatures"]
    assert signature["signed_by"] == "Nguyễn Văn An"
    assert signature["organization"] == "Văn phòng Sở, Sở Nội vụ, Ủy ban nhân dân tỉnh Thử Nghiệm"
    assert "CA phục vụ các cơ quan Nhà nước G2" in signature["certificate"]["issuer"]
    assert signature["certificate"]["scope"] == {
        "key_usage": ["data_encipherment", "digital_signature", "key_encipherment", "non_repudiation"],
        "extended_key_usage": [],
        "policies": ["2.16.704.1.1.1.1.1"],
    }
    assert report["policy"]["id"] == "cong-vu"
    assert len(report["policy"]["sha256"]) == 64
