"""Signing on real parts: token, authorities, timestamps and our own verifier."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from signsvc.cli.text import render
from signsvc.errors import CredentialError, DocumentError, InternalError, RequestError, SignsvcError, UpstreamError
from signsvc.reports.html import render_html
from signsvc.services import Services
from signsvc.signing import SignParams, SignResult, TrustInput, Visible, profiles
from signsvc.signing.service import SigningService
from signsvc.verification import Outcome
from test_pki import Pki
from test_pki.responders import Responders
from tests.pdf_writer import PdfWriter

Sign = Callable[..., SignResult]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "van-ban.pdf"
    path.write_bytes((resources.files("signsvc.samples") / "van-ban.pdf").read_bytes())
    return path


@pytest.fixture
def sign(services: Services, tmp_path: Path) -> Iterator[Sign]:
    """Sign into out.pdf; afterwards no working file may be left."""

    def run(
        source: Path, profile: str, credential: str = "p12-person", target: str = "out.pdf", **params: Any
    ) -> SignResult:
        name, _, scheme = credential.partition(" with ")
        return services.signing.sign(
            source,
            tmp_path / target,
            profile=replace(profiles.load(profile), scheme=scheme or "pkcs1v15"),
            signer=services.keyring.get(name),
            params=SignParams(**params),
        )

    yield run
    assert not list(tmp_path.glob(".signsvc-*"))


def signatures(services: Services, path: Path) -> list[dict[str, Any]]:
    return services.verifier.verify(path).signatures


LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
CREDENTIALS = ("p12-person", "person", "rsa3072", "agency with pss", "ec")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("credential", CREDENTIALS)
def test_every_level_with_every_kind_of_key(
    level: str, credential: str, document: Path, sign: Sign, services: Services, tmp_path: Path
) -> None:
    result = sign(document, f"pades-{level.lower()}", credential, reason="Phê duyệt")
    data = (tmp_path / "out.pdf").read_bytes()
    assert data.startswith(document.read_bytes())
    assert (result.sha256, result.size) == (hashlib.sha256(data).hexdigest(), len(data))
    (found,) = signatures(services, tmp_path / "out.pdf")
    assert (found["indication"], found["level"]) == ("TOTAL-PASSED", level)
    assert found["field"] == result.field
    assert result.level == level
    assert result.warnings == ()
    if level != "B-B":
        assert result.best_signature_time is not None
        assert found["time_source"] == "timestamp"
    said = subprocess.run(
        ["pdfsig", "-nocert", tmp_path / "out.pdf"], capture_output=True, text=True, timeout=60, check=False
    ).stdout
    assert "Signature is Valid" in said


def test_what_the_signer_claims_is_signed_and_reported(
    document: Path, sign: Sign, services: Services, tmp_path: Path
) -> None:
    claims = {"capacity": ("TM. ỦY BAN NHÂN DÂN", "KT. CHỦ TỊCH"), "role": "PHÓ CHỦ TỊCH", "commitment": "approval"}
    assert sign(document, "pades-b-t", **claims).level == "B-T"
    (found,) = signatures(services, tmp_path / "out.pdf")
    assert found["claimed_roles"] == ["TM. ỦY BAN NHÂN DÂN", "KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"]
    assert [(c["type"], c["text_vi"]) for c in found["commitments"]] == [("approval", "phê duyệt")]
    report = services.verifier.verify(tmp_path / "out.pdf").report
    for lang, word in (("vi", "phê duyệt"), ("en", "approval")):
        for shown in (render_html(report, lang), render(report, "out.pdf", lang)):
            assert "KT. CHỦ TỊCH; PHÓ CHỦ TỊCH" in shown
            assert word in shown


@pytest.mark.parametrize("level", LEVELS)
def test_official_profiles_demand_the_government_hierarchy(
    level: str, document: Path, services: Services, sign: Sign
) -> None:
    """The installation trusts the test hierarchy as well, so the path is established and the result must pass."""
    result = sign(document, f"cong-vu-{level.lower()}", "person")
    assert result.level == level
    if level != "B-B":
        assert result.report is not None
        assert result.report["signatures"][0]["indication"] == "TOTAL-PASSED"


def test_an_archive_level_survives_the_network(document: Path, sign: Sign, services: Services, tmp_path: Path) -> None:
    from signsvc.verification import VerifyRequest

    sign(document, "pades-b-lta", "person")
    report = services.verifier.verify(tmp_path / "out.pdf", VerifyRequest(offline=True)).report
    assert report["signatures"][0]["indication"] == "TOTAL-PASSED"
    assert report["timestamps"][0]["indication"] == "TOTAL-PASSED"
    origins = {entry["origin"] for entry in report["signatures"][0]["chain"] if not entry["trust_anchor"]}
    assert origins == {"dss"}


def test_person_then_agency_each_visible(document: Path, sign: Sign, services: Services, tmp_path: Path) -> None:
    sign(document, "pades-b-lta", "person", "one.pdf", reason="Phê duyệt", visible=Visible(-1, (330, 120, 540, 190)))
    result = sign(
        tmp_path / "one.pdf",
        "pades-b-lta",
        "agency",
        "two.pdf",
        visible=Visible(1, (60, 120, 270, 190)),
        field="VanThu",
    )
    assert result.field == "VanThu"
    found = signatures(services, tmp_path / "two.pdf")
    assert [(s["field"], s["indication"], s["level"]) for s in found] == [
        ("Signature1", "TOTAL-PASSED", "B-LTA"),
        ("VanThu", "TOTAL-PASSED", "B-LTA"),
    ]
    text = subprocess.run(
        ["pdftotext", tmp_path / "two.pdf", "-"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert "Lý do: Phê duyệt" in text
    assert text.count("Người ký:") == 2


def test_a_scan_is_signed_in_its_own_place(sign: Sign, services: Services, tmp_path: Path) -> None:
    path = tmp_path / "ban-quet.pdf"
    path.write_bytes((resources.files("signsvc.samples") / "ban-quet.pdf").read_bytes())
    sign(path, "pades-b-t", "agency", "ban-quet.pdf", reason="Sao y")
    assert signatures(services, path)[0]["indication"] == "TOTAL-PASSED"


def _qpdf(path: Path, *options: str) -> Path:
    out = path.with_name("made.pdf")
    subprocess.run(["qpdf", *options, path, out], check=True, timeout=60)
    return out


@pytest.mark.parametrize(
    "options", [("--encrypt", "", "owner", "256", "--"), ("--object-streams=generate",), ("--linearize",)]
)
def test_documents_of_other_makes(
    options: tuple[str, ...], document: Path, sign: Sign, services: Services, tmp_path: Path
) -> None:
    sign(_qpdf(document, *options), "pades-b-lta", "person")
    found = signatures(services, tmp_path / "out.pdf")
    assert [(s["indication"], s["level"]) for s in found] == [("TOTAL-PASSED", "B-LTA")]


# refusals ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("credential", "code"),
    [
        ("p12-expired", "certificate_expired"),
        ("p12-not-yet-valid", "certificate_not_yet_valid"),
        ("p12-revoked", "certificate_revoked"),
        ("p12-wrong-usage", "certificate_not_for_signing"),
    ],
)
@pytest.mark.parametrize("profile", ["pades-b-b", "cong-vu-b-lta"])
def test_certificates_that_may_not_sign(
    credential: str, code: str, profile: str, document: Path, sign: Sign, tmp_path: Path
) -> None:
    with pytest.raises(CredentialError) as caught:
        sign(document, profile, credential)
    assert caught.value.code == code
    assert "?" not in caught.value.text("vi")
    assert not (tmp_path / "out.pdf").exists()


def test_status_unknown_is_a_warning_or_a_refusal(
    document: Path, sign: Sign, responders: Responders, services: Services, tmp_path: Path
) -> None:
    trust = TrustInput(offline=True)

    def offline(profile: str) -> SignResult:
        return services.signing.sign(
            document,
            tmp_path / "out.pdf",
            profile=profiles.load(profile),
            signer=services.keyring.get("p12-person"),
            trust=trust,
        )

    assert [finding.level for finding in offline("pades-b-b").warnings] != []
    for profile in ("cong-vu-b-b", "pades-b-lt"):
        with pytest.raises(CredentialError) as caught:
            offline(profile)
        assert caught.value.code == "certificate_status_unknown"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_document"),
        (b"PK\x03\x04 not a PDF", "unsupported_format"),
        (b"%PDF-1.7\nbut nothing in it", "document_unreadable"),
        # one row of the cross-references leads to another object: programs mend the file, each in its own way
        (PdfWriter().data.replace(b"\nxref\n0 6\n", b"\nxref\n1 6\n"), "document_unreadable"),
    ],
)
def test_documents_that_cannot_be_signed(data: bytes, code: str, sign: Sign, tmp_path: Path) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(data)
    with pytest.raises(DocumentError) as caught:
        sign(path, "pades-b-b")
    assert caught.value.code == code
    assert not (tmp_path / "out.pdf").exists()


def test_an_unknown_password(document: Path, sign: Sign) -> None:
    with pytest.raises(DocumentError) as caught:
        sign(_qpdf(document, "--encrypt", "user", "owner", "256", "--"), "pades-b-b")
    assert caught.value.code == "encrypted_document"


def test_a_refused_document_does_not_touch_key_or_network(
    document: Path, sign: Sign, services: Services, responders: Responders, tmp_path: Path
) -> None:
    sign(document, "pades-b-b", target="first.pdf", certify=2, field="GiamDoc")
    before = sum(responders.requests.values())
    for params in ({"field": "GiamDoc"}, {"certify": 2}):
        with pytest.raises(DocumentError) as caught:
            sign(tmp_path / "first.pdf", "pades-b-t", **params)
        assert caught.value.data["reason"] == "already-signed"
    assert sum(responders.requests.values()) == before


# authorities ---------------------------------------------------------------------------------------------------------
def test_a_lying_authority_is_passed_over(
    document: Path, sign: Sign, responders: Responders, services: Services, tmp_path: Path
) -> None:
    responders.fault("/tsa/1", "wrong_imprint")
    assert sign(document, "pades-b-lta", "p12-person").tsa == "tsa2"
    assert signatures(services, tmp_path / "out.pdf")[0]["level"] == "B-LTA"


def test_the_archive_timestamp_from_another_authority(
    document: Path, sign: Sign, responders: Responders, services: Services, tmp_path: Path
) -> None:
    from signsvc.verification import VerifyRequest

    class Failing:
        """The first authority answers once and is down from then on."""

        calls = 0

        def timestamp(self, digest: bytes, digest_name: str, *, now: datetime) -> Any:
            self.calls += 1
            if self.calls == 2:
                responders.fault("/tsa/1", "down")
            return services.tsa.timestamp(digest, digest_name, now=now)

    services.signing.sign(
        document,
        tmp_path / "out.pdf",
        profile=profiles.load("pades-b-lta"),
        signer=services.keyring.get("p12-person"),
        tsa=Failing(),
    )
    report = services.verifier.verify(tmp_path / "out.pdf", VerifyRequest(offline=True)).report
    assert report["timestamps"][0]["tsa"] != report["signatures"][0]["timestamps"][0]["tsa"]
    assert (report["signatures"][0]["indication"], report["signatures"][0]["level"]) == ("TOTAL-PASSED", "B-LTA")


@pytest.mark.parametrize(("kind", "code"), [("down", "tsa_unavailable"), ("wrong_nonce", "tsa_invalid_token")])
def test_no_usable_authority(
    kind: str, code: str, document: Path, sign: Sign, responders: Responders, tmp_path: Path
) -> None:
    responders.fault("/tsa", kind)
    with pytest.raises(UpstreamError) as caught:
        sign(document, "pades-b-t")
    assert caught.value.code == code
    assert not (tmp_path / "out.pdf").exists()


def test_a_token_larger_than_the_room_is_fitted_in(document: Path, services: Services, tmp_path: Path) -> None:
    made = SigningService(
        services.trust_source, verifier=services.verifier, fetch=services.evidence.fetch, tsa=services.tsa
    )
    made._room = _Tight()
    result = made.sign(
        document, tmp_path / "out.pdf", profile=profiles.load("pades-b-t"), signer=services.keyring.get("p12-person")
    )
    assert result.level == "B-T"


class _Tight:
    """Room for next to nothing until a token was seen."""

    def __init__(self) -> None:
        self.octets = 500

    def learn(self, size: int) -> None:
        self.octets = max(self.octets, size + 100)


# the check afterwards ------------------------------------------------------------------------------------------------
class _Altered:
    """A verifier whose report is changed before the service sees it."""

    def __init__(self, services: Services, change: Callable[[dict[str, Any]], None]) -> None:
        self._services = services
        self._change = change

    def verify(self, path: Path, request: Any = None) -> Outcome:
        outcome = self._services.verifier.verify(path, request)
        self._change(outcome.report)
        return outcome


@pytest.mark.parametrize(
    ("profile", "change"),
    [
        ("pades-b-t", {"indication": "TOTAL-FAILED"}),
        ("pades-b-t", {"level": "B-B"}),
        ("pades-b-t", {"field": "Another"}),
        ("cong-vu-b-t", {"indication": "INDETERMINATE"}),
    ],
)
def test_nothing_leaves_that_the_verifier_does_not_accept(
    profile: str, change: dict[str, str], document: Path, services: Services, tmp_path: Path
) -> None:
    made = SigningService(
        services.trust_source,
        verifier=_Altered(services, lambda report: report["signatures"][0].update(change)),
        fetch=services.evidence.fetch,
        tsa=services.tsa,
    )
    with pytest.raises(InternalError) as caught:
        made.sign(
            document, tmp_path / "out.pdf", profile=profiles.load(profile), signer=services.keyring.get("p12-person")
        )
    assert caught.value.code == "self_check_failed"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["van-ban.pdf"]


# extending -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("start", "level"), [("b-b", "B-LTA"), ("b-t", "B-LT"), ("b-t", "B-LTA"), ("b-lt", "B-LTA")])
def test_extending(start: str, level: str, document: Path, sign: Sign, services: Services, tmp_path: Path) -> None:
    sign(document, f"pades-{start}", "p12-person", "start.pdf")
    result = services.signing.extend(tmp_path / "start.pdf", tmp_path / "out.pdf", level=level)
    (found,) = signatures(services, tmp_path / "out.pdf")
    assert found["indication"] == "TOTAL-PASSED"
    assert found["level"] == result.level == level
    assert (tmp_path / "out.pdf").read_bytes().startswith((tmp_path / "start.pdf").read_bytes())


def test_a_document_timestamp_proves_an_old_signature(
    document: Path, sign: Sign, services: Services, tmp_path: Path
) -> None:
    sign(document, "pades-b-b", "p12-person", "start.pdf")
    result = services.signing.extend(tmp_path / "start.pdf", tmp_path / "out.pdf", level="B-T")
    (found,) = signatures(services, tmp_path / "out.pdf")
    assert found["indication"] == "TOTAL-PASSED"
    assert found["time_source"] == "timestamp"
    assert result.level == found["level"]
    assert result.best_signature_time is not None


def test_renewing_an_archive_timestamp(document: Path, sign: Sign, services: Services, tmp_path: Path) -> None:
    sign(document, "pades-b-lta", "p12-person", "start.pdf")
    services.signing.extend(tmp_path / "start.pdf", tmp_path / "out.pdf", level="B-LTA")
    report = services.verifier.verify(tmp_path / "out.pdf").report
    assert report["signatures"][0]["level"] == "B-LTA"
    assert [t["indication"] for t in report["timestamps"]] == ["TOTAL-PASSED"] * 2


def test_what_cannot_be_extended(document: Path, services: Services, tmp_path: Path) -> None:
    for level in ("B-B", "B-LTA", "B-X"):
        with pytest.raises(RequestError) as caught:
            services.signing.extend(document, tmp_path / "out.pdf", level=level)
        assert caught.value.code == "invalid_request"


@pytest.mark.parametrize("start", [None, "b-b", "b-lta"])
def test_a_document_timestamp(
    start: str | None, document: Path, sign: Sign, services: Services, tmp_path: Path
) -> None:
    source = document
    if start is not None:
        sign(document, f"pades-{start}", "p12-person", "start.pdf")
        source = tmp_path / "start.pdf"
    before = services.verifier.verify(source).report
    result = services.signing.timestamp(source, tmp_path / "out.pdf")
    report = services.verifier.verify(tmp_path / "out.pdf").report
    assert len(report["timestamps"]) == len(before["timestamps"]) + 1
    assert {t["indication"] for t in report["timestamps"]} == {"TOTAL-PASSED"}
    assert (tmp_path / "out.pdf").read_bytes().startswith(source.read_bytes())
    assert result.best_signature_time is not None
    assert result.tsa == "tsa1"
    assert result.level == (report["signatures"][0]["level"] if start else "timestamp")
    shown = subprocess.run(["pdfsig", "-nocert", tmp_path / "out.pdf"], capture_output=True, text=True, check=False)
    last = shown.stdout.rpartition("Signature #")[2]
    assert "Total document signed" in last


def test_a_file_without_the_timestamp_that_was_asked_for_is_not_handed_out(
    document: Path, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signsvc.formats.pades.write.extend_revision", lambda *_, **__: None)
    with pytest.raises(InternalError) as caught:
        services.signing.timestamp(document, tmp_path / "out.pdf")
    assert caught.value.code == "self_check_failed"
    assert not (tmp_path / "out.pdf").exists()


def test_every_error_is_one_of_ours(document: Path, sign: Sign, tmp_path: Path) -> None:
    """Cut anywhere, the document is refused in our words or signed and verified."""
    data = document.read_bytes()
    path = tmp_path / "cut.pdf"
    for part in range(1, 12):
        path.write_bytes(data[: len(data) * part // 12])
        with pytest.raises(SignsvcError) as caught:
            sign(path, "pades-b-b")
        assert caught.value.code in ("document_unreadable", "unsupported_format")


def test_signing_time_is_local_and_now(document: Path, sign: Sign, services: Services, tmp_path: Path) -> None:
    result = sign(document, "pades-b-b")
    assert result.signed_at is not None
    assert abs(datetime.now(UTC) - result.signed_at) < timedelta(minutes=1)
    with (tmp_path / "out.pdf").open("rb") as stream:
        assert PdfFileReader(stream).embedded_signatures[0].sig_object["/M"].endswith("+07'00'")


@pytest.mark.parametrize("lock", [True, False])
def test_what_forbids_signatures_still_takes_validation_data(
    lock: bool, document: Path, services: Services, tmp_path: Path, pki: Pki
) -> None:
    """EN 319 142-1 §5.4: document timestamps and validation data are outside of DocMDP P=1 and field locks."""
    from asn1crypto import keys, x509
    from cryptography.hazmat.primitives import serialization as ser
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm, SigFieldSpec, SigSeedSubFilter
    from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner

    key = pki.key("person").private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    signer = SimpleSigner(x509.Certificate.load(pki.cert("person")), keys.PrivateKeyInfo.load(key), None)
    meta = PdfSignatureMetadata(
        field_name="First", certify=not lock, docmdp_permissions=MDPPerm.NO_CHANGES, subfilter=SigSeedSubFilter.PADES
    )
    spec = SigFieldSpec("First", field_mdp_spec=FieldMDPSpec(FieldMDPAction.ALL) if lock else None)
    with document.open("rb") as stream, (tmp_path / "locked.pdf").open("w+b") as out:
        PdfSigner(meta, signer, new_field_spec=spec).sign_pdf(IncrementalPdfFileWriter(stream), output=out)
    with pytest.raises(DocumentError):
        services.signing.sign(
            tmp_path / "locked.pdf",
            tmp_path / "out.pdf",
            profile=profiles.load("pades-b-b"),
            signer=services.keyring.get("p12-person"),
        )
    result = services.signing.extend(tmp_path / "locked.pdf", tmp_path / "out.pdf", level="B-LTA")
    assert result.level == "B-LTA"
    assert signatures(services, tmp_path / "out.pdf")[0]["indication"] == "TOTAL-PASSED"


def test_eight_threads_and_two_tokens(document: Path, services: Services, tmp_path: Path) -> None:
    """No value of a library is shared while it is half made: every file of every thread verifies."""
    credentials = ("person", "agency", "ec", "rsa3072")

    def work(number: int) -> Path:
        target = tmp_path / f"{number}.pdf"
        level = ("b-b", "b-lta")[number % 2]
        services.signing.sign(
            document,
            target,
            profile=profiles.load(f"pades-{level}"),
            signer=services.keyring.get(credentials[number % 4]),
            params=SignParams(visible=Visible(1, (330, 120, 540, 190))),
        )
        return target

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(work, range(32)))
    assert {signatures(services, path)[0]["indication"] for path in made} == {"TOTAL-PASSED"}


def test_some_files_at_the_lowest_level_go_through_the_whole_verifier(
    document: Path, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signsvc.signing.service.WHOLE_CHECK_EVERY", 2)
    made = SigningService(services.trust_source, verifier=services.verifier, fetch=services.evidence.fetch)
    results = [
        made.sign(
            document, tmp_path / "out.pdf", profile=profiles.load("pades-b-b"), signer=services.keyring.get("person")
        )
        for _ in range(4)
    ]
    assert [result.report is not None for result in results] == [False, True, False, True]
