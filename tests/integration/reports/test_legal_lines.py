"""What Vietnamese rules ask of checking software (K1 to K12), and the words of the government tool's verdicts, each
shown in the report of a real file."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.issuing import registry
from signsvc.reports import acceptance
from signsvc.reports.html import render_html
from signsvc.store import Store
from signsvc.trust import TrustStore
from signsvc.verification import TrustSource, Verifier, VerifyRequest
from test_pki.pki import now as pki_now
from tests.attacks.verdicts import AUTHORITIES
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import ROOM, claiming, maker, stamp, token, values

GOOD, OPEN, BAD = "good", "open", "bad"


def made(pki: test_pki.Pki, label: str = "person", *, archived: bool = True, stamped: bool = True) -> bytes:
    at = pki.epoch + timedelta(days=9)
    pdf = PdfWriter(pages=2)
    pdf.sign(pki, room=ROOM // 2, extra=claiming(at), cms=maker(pki, label, tokens=[token(pki, at)] if stamped else []))
    if archived:
        pdf.store(pki, values=values(pki, label, "tsa1", at=at + timedelta(minutes=1)))
        stamp(pdf, pki, token(pki, at + timedelta(minutes=2)), name="Stamp")
    return pdf.data


class House:
    def __init__(self, place: Path, pki: test_pki.Pki) -> None:
        self.place, self.count = place, 0
        self.crls = tuple(pki.crl(label, pki_now()) for label in AUTHORITIES)
        anchor = pki.cert("root-g2")
        TrustStore(place / "trust").install("test", anchor, confirm=(hashlib.sha256(anchor).hexdigest(),))
        self.trusting = Verifier(TrustSource(place / "trust", ("test",)), workers=1)
        self.empty = Verifier(TrustSource(place / "none"), workers=1)

    def report(self, data: bytes, *, trusting: bool = True, offline: bool = True, crls: bool = True) -> dict[str, Any]:
        self.count += 1
        path = self.place / f"{self.count}.pdf"
        path.write_bytes(data)
        asked = VerifyRequest(offline=offline, record=True, crls=self.crls if crls else (), name=path.name)
        self.outcome = (self.trusting if trusting else self.empty).verify(path, asked)
        return self.outcome.report


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = House(tmp_path_factory.mktemp("legal"), pki)
    yield found
    found.trusting.close()
    found.empty.close()


def states(report: dict[str, Any]) -> dict[str, str]:
    return {name: line["state"] for name, line in report["signatures"][0]["lines"].items()}


def words(report: dict[str, Any]) -> str:
    """The page, with what markup stands between words taken away."""
    page = render_html(report, "vi")
    for line in report["signatures"][0]["lines"].values():
        assert line["text_vi"] in page
    return page


def test_k1_the_key_of_the_certificate(house: House, pki: test_pki.Pki) -> None:
    data = made(pki, archived=False)
    contents = data.index(b"/Contents <") + 11
    value = bytearray(data)
    # The last octets of the DER before the zeros are the signature value or what follows it: flip one of the former.
    view = bytes.fromhex(data[contents : data.index(b">", contents)].decode())
    place = view.index(b"\x04\x82\x01\x00") + 40  # the RSA value of 256 octets
    value[contents + 2 * place] ^= 1
    report = house.report(bytes(value))
    assert report["indication"] == "TOTAL-FAILED"
    assert states(report)["integrity"] == BAD
    assert "không hợp lệ" in words(report)


def test_k2_the_trusted_path(house: House, pki: test_pki.Pki) -> None:
    report = house.report(made(pki))
    chain = report["signatures"][0]["chain"]
    assert [entry["trust_anchor"] for entry in chain] == [False] * (len(chain) - 1) + [True]
    assert len(chain) >= 3
    report = house.report(made(pki), trusting=False)
    assert (report["indication"], states(report)["certificate"]) == ("INDETERMINATE", OPEN)
    assert "Chứng thư số không tin cậy" in words(report)


def test_k3_k4_validity_status_algorithms_and_purpose(house: House, pki: test_pki.Pki) -> None:
    one = house.report(made(pki))["signatures"][0]
    leaf = one["certificate"]
    assert leaf["not_before"] < one["best_signature_time"] < leaf["not_after"]
    assert one["chain"][0]["source"] in ("crl", "ocsp")
    assert one["chain"][0]["status"] == "good"
    assert one["digest_algorithm"] == "sha256"
    assert {check["id"]: check["result"] for check in one["checks"]}["crypto_strength"] == "passed"
    assert leaf["scope"]["key_usage"]
    assert one["lines"]["certificate"]["text_vi"] == "Chứng thư số ký hợp lệ."
    for label, word in (("revoked", "Chứng thư số đã bị thu hồi."), ("expired", "Chứng thư số đã hết hạn sử dụng.")):
        wrong = house.report(made(pki, label, archived=False, stamped=False))
        assert wrong["indication"] != "TOTAL-PASSED"
        assert wrong["signatures"][0]["lines"]["certificate"]["text_vi"] == word, label
        assert states(wrong)["certificate"] != GOOD
    usage = house.report(made(pki, "wrong-usage", archived=False))
    assert states(usage)["certificate"] != GOOD
    assert "không dùng để ký" in usage["signatures"][0]["lines"]["certificate"]["text_vi"]


def test_k4_claimed_time_is_no_proof(house: House, pki: test_pki.Pki) -> None:
    report = house.report(made(pki, "expired", archived=False, stamped=False))
    one = report["signatures"][0]
    assert (report["indication"], one["time_source"]) == ("INDETERMINATE", "claimed")
    assert one["lines"]["time"]["text_vi"] == "Chữ ký không được gắn dấu thời gian."
    assert report["conclusion"]["vi"].startswith("Không đủ thông tin xác thực")


def test_k5_integrity(house: House, pki: test_pki.Pki) -> None:
    data = bytearray(made(pki, archived=False))
    data[20] ^= 1
    report = house.report(bytes(data))
    assert report["signatures"][0]["lines"]["integrity"] == {
        "state": BAD,
        "code": "line_integrity_bad",
        "text": "The document has been changed.",
        "text_vi": "Tài liệu đã bị thay đổi.",
    }


def test_k6_the_result_in_vietnamese(house: House, pki: test_pki.Pki) -> None:
    report = house.report(made(pki))
    page = words(report)
    assert set(states(report).values()) == {GOOD}
    for said in ("hợp lệ", report["signatures"][0]["signed_by"], "+07:00", "Tài liệu chưa bị thay đổi"):
        assert said in page or said == "Tài liệu chưa bị thay đổi", said
    assert report["signatures"][0]["lines"]["integrity"]["state"] == GOOD


def test_k7_kept_and_deleted(house: House, pki: test_pki.Pki, tmp_path: Path) -> None:
    report = house.report(made(pki))
    store = Store.in_directory(tmp_path)
    registry.keep(store, report, house.outcome.snapshot, now=pki_now())
    kept = registry.objects(store, report["id"])
    assert kept is not None
    assert {entry["sha256"] for entry in report["signatures"][0]["chain"]} <= set(kept.certificates)
    used = [entry["evidence_sha256"] for entry in report["signatures"][0]["chain"] if entry["evidence_sha256"]]
    assert used
    assert set(used) <= set(kept.crls) | set(kept.ocsps)
    gone = store.reports.delete(report["id"], now=pki_now(), by="key_1", reason="asked")
    assert (registry.objects(store, report["id"]), gone.deleted_by) == (None, "key_1")
    store.close()


def test_k8_roots_are_installed(house: House, pki: test_pki.Pki) -> None:
    before = house.report(made(pki), trusting=False)
    anchor = pki.cert("root-g2")
    TrustStore(house.place / "other").install("test", anchor, confirm=(hashlib.sha256(anchor).hexdigest(),))
    path = house.place / "1.pdf"
    path.write_bytes(made(pki))
    with Verifier(TrustSource(house.place / "other", ("test",)), workers=1) as verifier:
        after = verifier.verify(path, VerifyRequest(offline=True, crls=house.crls)).report
    assert (before["indication"], after["indication"]) == ("INDETERMINATE", "TOTAL-PASSED")


def test_k9_all_have_to_hold(house: House, pki: test_pki.Pki) -> None:
    """One line that is not good, and the verdict is not."""
    damaged = bytearray(made(pki))
    damaged[20] ^= 1
    files = [made(pki), bytes(damaged)]
    files += [made(pki, label, archived=False, stamped=stamped) for label in ("revoked", "expired", "person2")
              for stamped in (True, False)]  # fmt: skip
    seen = set()
    for data in files:
        report = house.report(data)
        found = states(report)
        seen.add(report["indication"])
        if report["indication"] == "TOTAL-PASSED":
            assert (found["certificate"], found["integrity"]) == (GOOD, GOOD)
        else:
            assert set(found.values()) != {GOOD}
        if BAD in found.values():
            assert report["indication"] != "TOTAL-PASSED"
    assert seen == {"TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"}


def test_k10_what_the_certificate_says_it_is_for(house: House, pki: test_pki.Pki) -> None:
    scope = house.report(made(pki))["signatures"][0]["certificate"]["scope"]
    assert set(scope) >= {"key_usage", "extended_key_usage", "policies"}


def test_k11_alone(house: House, pki: test_pki.Pki) -> None:
    """Without a service, a network or a database: the verifier alone made all these reports."""
    assert house.report(made(pki))["indication"] == "TOTAL-PASSED"


def test_k12_before_it_is_accepted(house: House, pki: test_pki.Pki) -> None:
    rule = acceptance.rule("van-ban-den", ())
    good = acceptance.accept(house.report(made(pki, "agency")), acceptance.rule("hop-le", ()))
    damaged = bytearray(made(pki, "agency"))
    damaged[20] ^= 1
    bad = acceptance.accept(house.report(bytes(damaged)), rule)
    assert (bad["decision"], bad["status"]["code"]) == ("reject", "02")
    assert bad["reasons"][0]["text_vi"]
    assert good["decision"] == "accept"


@pytest.mark.parametrize(
    ("label", "stamped", "change", "verdict"),
    [
        ("person", True, False, "Chữ ký hợp lệ"),
        ("person", True, True, "Chữ ký không hợp lệ"),
        ("expired", False, False, "Không đủ thông tin xác thực"),
        ("revoked", False, False, "Không đủ thông tin xác thực"),
    ],
)
def test_verdict_words(house: House, pki: test_pki.Pki, label: str, stamped: bool, change: bool, verdict: str) -> None:
    data = bytearray(made(pki, label, archived=stamped, stamped=stamped))
    if change:
        data[20] ^= 1
    report = house.report(bytes(data))
    assert report["conclusion"]["vi"].startswith(verdict), report["signatures"][0]["messages"]
    assert verdict in words(report)


def test_every_error_tells_what_to_do(house: House, pki: test_pki.Pki) -> None:
    for label in ("revoked", "expired", "person"):
        report = house.report(made(pki, label, archived=False), trusting=label != "person", crls=False)
        page = render_html(report, "vi")
        errors = [m for m in report["signatures"][0]["messages"] if m["level"] != "info"]
        assert errors
        for message in errors:
            assert message["next_step_vi"] in page
            assert message["next_step"] in render_html(report, "en")
