"""The hierarchy as other software sees it."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

import test_pki
from test_pki import __main__ as command
from test_pki import bulk, der, export, hierarchy
from test_pki.keys import DIRECTORY

LEAVES = list(hierarchy.LEAVES)


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=30)


def verify(chain: list[bytes], tmp_path: Path, at: datetime) -> subprocess.CompletedProcess[str]:
    leaf, *above = (export.pem(cert) for cert in chain)
    (tmp_path / "leaf.pem").write_bytes(leaf)
    (tmp_path / "above.pem").write_bytes(b"".join(above[:-1]))
    (tmp_path / "root.pem").write_bytes(above[-1] if above else leaf)
    middle: list[str | Path] = ["-untrusted", tmp_path / "above.pem"] if above[:-1] else []
    when = str(int(at.timestamp()))
    # Level 0: G1 is SHA-1, and there is a 1024-bit key.
    return openssl(
        "verify", "-auth_level", "0", "-x509_strict", "-check_ss_sig", "-attime", when, "-CAfile", tmp_path / "root.pem", *middle, tmp_path / "leaf.pem",
    )  # fmt: skip


@pytest.mark.parametrize("label", list(hierarchy.ALL))
def test_openssl_verifies_every_chain(pki: test_pki.Pki, tmp_path: Path, label: str) -> None:
    chain = pki.chain(label)
    middle = x509.load_der_x509_certificate(chain[0])
    at = middle.not_valid_before_utc + (middle.not_valid_after_utc - middle.not_valid_before_utc) / 2
    result = verify(chain, tmp_path, at)
    assert result.returncode == 0, result.stderr
    late = verify(chain, tmp_path, middle.not_valid_after_utc + timedelta(days=1))
    assert "expired" in late.stderr


def test_chain_of_another_key_does_not_verify(pki: test_pki.Pki, tmp_path: Path) -> None:
    chain = pki.chain("person")
    wrong = [chain[0], pki.cert("sub-g2-state-rekeyed"), chain[2]]
    assert verify(wrong, tmp_path, datetime.now(UTC)).returncode != 0


def test_all_is_valid_today_but_what_is_meant_not_to_be(pki: test_pki.Pki) -> None:
    now = datetime.now(UTC)
    dated = {label: x509.load_der_x509_certificate(pki.cert(label)) for label in pki.labels() if "/" not in label}
    past = {label for label, cert in dated.items() if cert.not_valid_after_utc < now}
    future = {label for label, cert in dated.items() if cert.not_valid_before_utc > now}
    assert past & set(hierarchy.ALL) == {"expired", "expired-recently", "g1-old", "tsa-expired", "tsa-short"}
    assert future & set(hierarchy.ALL) == {"not-yet-valid"}


def test_names_and_profiles(pki: test_pki.Pki) -> None:
    person = asn1_x509.Certificate.load(pki.cert("person"), strict=True)
    kinds = [next(iter(rdn))["type"].dotted for rdn in person.subject.chosen]
    assert kinds == [der.OIDS[name] for name in ("C", "L", "O", "OU", "OU", "CN", "E")]
    assert person.key_usage_value.native == {
        "digital_signature", "non_repudiation", "key_encipherment", "data_encipherment",
    }  # fmt: skip
    g1 = asn1_x509.Certificate.load(pki.cert("g1-person"), strict=True)
    assert g1.key_usage_value.native == {"non_repudiation"}
    assert g1.signature_algo == "rsassa_pkcs1v15"
    assert g1.hash_algo == "sha1"
    urls = [point["distribution_point"].native[0] for point in g1.crl_distribution_points_value]
    assert urls[0].startswith("http://ca.btc.invalid/")
    assert "invalid" not in urls[1]
    agency = x509.load_der_x509_certificate(pki.cert("agency"))
    assert agency.subject.get_attributes_for_oid(x509.NameOID.USER_ID)[0].value == "MST:0109999991"
    stamp = x509.load_der_x509_certificate(pki.cert("tsa1")).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert stamp.critical
    assert list(stamp.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def test_key_sizes(pki: test_pki.Pki) -> None:
    sizes = {label: pki.key(label).key_size for label in ("rsa1024", "person", "rsa3072", "root-g2", "ec")}
    assert sizes == {"rsa1024": 1024, "person": 2048, "rsa3072": 3072, "root-g2": 4096, "ec": 256}
    info = pki.cert("pss-only")
    assert der.oid("1.2.840.113549.1.1.10") in info
    assert {path.stem for path in DIRECTORY.glob("*.pem")} == set(hierarchy.key_kinds())


def test_same_epoch_same_bytes(pki: test_pki.Pki, tmp_path: Path) -> None:
    again = test_pki.Pki(tmp_path, pki.epoch)
    assert export.files(again) == export.files(test_pki.Pki(tmp_path / "other", pki.epoch))
    moved = test_pki.Pki(tmp_path, pki.epoch + timedelta(days=1))
    assert moved.cert("person") != again.cert("person")


def test_build_check_and_drift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["build", "--out", str(tmp_path), "--epoch", "2026-03-01T00:00:00Z"]
    assert command.main(arguments) == 0
    assert command.main([*arguments, "--check"]) == 0
    crl = tmp_path / "crl" / "sub-g2-state.crl"
    crl.write_bytes(crl.read_bytes()[:-1] + b"\0")
    (tmp_path / "p12" / "ec.p12").write_bytes((tmp_path / "p12" / "person.p12").read_bytes())
    capsys.readouterr()
    assert command.main([*arguments, "--check"]) == 1
    out = capsys.readouterr().out
    assert "differs: crl/sub-g2-state.crl" in out
    assert "differs: p12/ec.p12" in out
    assert out.count("differs:") == 2


def test_epoch_of_a_built_directory_is_kept_for_some_days(tmp_path: Path) -> None:
    kept = test_pki.default_epoch() - timedelta(days=3)
    export.build(test_pki.Pki(tmp_path, kept))
    assert test_pki.load(tmp_path).epoch == kept
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f"{kept:%Y-%m-%d}", "2019-01-01"))
    assert test_pki.load(tmp_path / "." / ".." / tmp_path.name, test_pki.default_epoch()).epoch != kept
    assert test_pki._kept_epoch(tmp_path) is None


def test_p12_opens_in_openssl(pki: test_pki.Pki) -> None:
    result = openssl("pkcs12", "-in", pki.p12("agency"), "-passin", "pass:secret", "-nodes", "-info")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("BEGIN CERTIFICATE") == 2
    assert "BEGIN PRIVATE KEY" in result.stdout


@pytest.mark.parametrize("label", LEAVES)
def test_signature_of_every_leaf_verifies(pki: test_pki.Pki, tmp_path: Path, label: str) -> None:
    (tmp_path / "key.pem").write_bytes((DIRECTORY / f"{pki.spec(label).key}.pem").read_bytes())
    (tmp_path / "data").write_bytes(b"van ban")
    (tmp_path / "sig").write_bytes(pki.sign_data(label, b"van ban"))
    cert = tmp_path / "cert.der"
    cert.write_bytes(pki.cert(label))
    public = openssl("x509", "-in", cert, "-inform", "der", "-noout", "-pubkey").stdout
    (tmp_path / "public.pem").write_text(public)
    if label == "pss-only":
        (tmp_path / "sig").write_bytes(pki.sign_data(label, b"van ban", pss=True))
        options = ["-sigopt", "rsa_padding_mode:pss"]
    else:
        options = []
    result = openssl(
        "dgst",
        "-sha256",
        "-verify",
        tmp_path / "public.pem",
        "-signature",
        tmp_path / "sig",
        *options,
        tmp_path / "data",
    )
    assert "Verified OK" in result.stdout, result.stderr


# One-off certificates


def test_issue_changes_what_is_asked(pki: test_pki.Pki, tmp_path: Path) -> None:
    start, end = datetime(2041, 1, 1, tzinfo=UTC), datetime(2055, 6, 1, tzinfo=UTC)
    made = pki.issue(
        "person", not_before=start, not_after=end, key="ec", key_usage=("keyAgreement",), eku=("codeSigning",),
        crl_urls=("http://a.test/x", "http://b.test/y"), ocsp_urls=(), extra=(("1.2.3.4", True, der.null()),),
    )  # fmt: skip
    cert = x509.load_der_x509_certificate(made)
    assert (cert.not_valid_before_utc, cert.not_valid_after_utc) == (start, end)
    assert cert.public_key() == pki.key("ec").public_key()
    assert cert.extensions.get_extension_for_class(x509.KeyUsage).value.key_agreement
    points = cert.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert [point.full_name[0].value for point in points if point.full_name] == ["http://a.test/x", "http://b.test/y"]
    assert cert.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.2.3.4")).critical
    assert pki.issue("person") != pki.cert("person")
    assert pki.issue("person", pss=True) != made
    pss = x509.load_der_x509_certificate(pki.issue("person", pss=True))
    pss.verify_directly_issued_by(x509.load_der_x509_certificate(pki.cert("sub-g2-state")))


def test_root_issued_anew_is_self_signed(pki: test_pki.Pki) -> None:
    root = x509.load_der_x509_certificate(pki.issue("root-g2", not_after=timedelta(days=100_00)))
    root.verify_directly_issued_by(root)


def test_added_hierarchy(pki: test_pki.Pki, tmp_path: Path) -> None:
    pki.add("deep-ca", "sub-g2-state", subject=(("CN", "Deep"),), key="party", path_len=None)
    pki.add("deep-leaf", "person", issuer="deep-ca")
    with pytest.raises(ValueError, match="taken"):
        pki.add("deep-leaf", "person2", issuer="deep-ca")
    assert [len(pki.chain("deep-leaf")), pki.issuer("deep-leaf")] == [3, "deep-ca"]
    assert verify(pki.chain("deep-leaf"), tmp_path, datetime.now(UTC)).returncode == 0
    answer = ocsp.load_der_ocsp_response(pki.ocsp("deep-leaf"))
    assert answer.certificate_status == ocsp.OCSPCertStatus.GOOD
    assert answer.certificates == []


# Revocation and time stamps over time


def test_crl_tells_what_was_true_then(pki: test_pki.Pki) -> None:
    def listed(days: int) -> set[int]:
        crl = x509.load_der_x509_crl(pki.crl("sub-g2-state", pki.epoch + timedelta(days=days)))
        issuer = x509.load_der_x509_certificate(pki.cert("sub-g2-state")).public_key()
        assert isinstance(issuer, rsa.RSAPublicKey)
        assert crl.is_signature_valid(issuer)
        return {entry.serial_number for entry in crl}

    serial = {label: x509.load_der_x509_certificate(pki.cert(label)).serial_number for label in LEAVES}
    assert listed(-11) == set()
    assert listed(-10) == {serial["revoked"]}
    assert listed(0) == {serial["revoked"], serial["suspended"]}
    assert listed(20) == {serial["revoked"], serial["suspended"], serial["revoked-later"]}


@pytest.mark.parametrize("ca", ["sub-g1", "sub-g2-state", "root-g2", "root-public"])
def test_openssl_verifies_lists(pki: test_pki.Pki, tmp_path: Path, ca: str) -> None:
    (tmp_path / "ca.pem").write_bytes(export.pem(pki.cert(ca)))
    (tmp_path / "crl").write_bytes(pki.crl(ca))
    result = openssl("crl", "-inform", "der", "-in", tmp_path / "crl", "-noout", "-CAfile", tmp_path / "ca.pem")
    assert "verify OK" in result.stderr


@pytest.mark.parametrize(
    ("label", "status"),
    [("person", "good"), ("revoked", "revoked"), ("suspended", "revoked"), ("g1-person", "good"), ("tsa1", "good")],
)
@pytest.mark.parametrize("years", [0, 12])
def test_openssl_verifies_ocsp_at_any_time(
    pki: test_pki.Pki, tmp_path: Path, label: str, status: str, years: int
) -> None:
    at = pki.epoch + timedelta(days=30 + 365 * years)
    issuer, root = pki.chain(label)[1:]
    for name, data in (("issuer.pem", issuer), ("root.pem", root), ("leaf.pem", pki.cert(label))):
        (tmp_path / name).write_bytes(export.pem(data))
    (tmp_path / "answer").write_bytes(pki.ocsp(label, at=at, next_update=None))
    result = openssl(
        "ocsp", "-respin", tmp_path / "answer", "-issuer", tmp_path / "issuer.pem", "-cert", tmp_path / "leaf.pem",
        "-CAfile", tmp_path / "root.pem", "-verify_other", tmp_path / "issuer.pem", "-no_nonce", "-auth_level", "0",
        "-attime", str(int(at.timestamp())), "-validity_period", str(40 * 365 * 86400),
    )  # fmt: skip
    assert "Response verify OK" in result.stderr, result.stderr
    assert f"leaf.pem: {status}" in result.stdout


def test_ocsp_says_what_it_is_told(pki: test_pki.Pki) -> None:
    at = datetime(2039, 5, 4, 3, 2, 1, tzinfo=UTC)
    told = pki.ocsp("person", "revoked", at, revoked_at=datetime(2038, 1, 1, tzinfo=UTC), reason="superseded")
    answer = ocsp.load_der_ocsp_response(told)
    assert answer.certificate_status == ocsp.OCSPCertStatus.REVOKED
    assert answer.revocation_time_utc == datetime(2038, 1, 1, tzinfo=UTC)
    assert answer.revocation_reason == x509.ReasonFlags.superseded
    assert (answer.produced_at_utc, answer.this_update_utc) == (at, at)
    direct = ocsp.load_der_ocsp_response(pki.ocsp("person", "unknown", at, signer="sub-g2-state", by_name=True))
    assert direct.certificate_status == ocsp.OCSPCertStatus.UNKNOWN
    assert direct.responder_name == x509.load_der_x509_certificate(pki.cert("sub-g2-state")).subject
    cutoff = der.generalized_time(datetime(2001, 1, 1, tzinfo=UTC))
    extended = ocsp.load_der_ocsp_response(pki.ocsp("person", extra=(("1.3.6.1.5.5.7.48.1.6", False, cutoff),)))
    assert [one.oid.dotted_string for one in extended.single_extensions] == ["1.3.6.1.5.5.7.48.1.6"]
    with pytest.raises(ValueError, match="issuer"):
        pki.ocsp(pki.issue("person"))


def test_openssl_verifies_tokens(pki: test_pki.Pki, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"xyz")
    (tmp_path / "root.pem").write_bytes(export.pem(pki.cert("root-g2")))

    def check(token: bytes) -> str:
        (tmp_path / "token").write_bytes(token)
        result = openssl(
            "ts", "-verify", "-data", tmp_path / "data", "-in", tmp_path / "token", "-token_in", "-CAfile",
            tmp_path / "root.pem",
        )  # fmt: skip
        return "OK" if result.returncode == 0 else result.stderr + result.stdout

    digest = hashlib.sha256(b"xyz").digest()
    assert check(pki.timestamp(digest, nonce=1 << 70)) == "OK"
    assert check(pki.timestamp(hashlib.sha512(b"xyz").digest(), hash="sha512", tsa="tsa2", digest="sha384")) == "OK"
    assert "imprint mismatch" in check(pki.timestamp(hashlib.sha256(b"abc").digest()))
    assert check(pki.timestamp(digest, flip=True)) != "OK"
    assert check(pki.timestamp(digest, key="tsa2")) != "OK"
    assert check(pki.timestamp(digest, tsa="tsa-no-eku")) != "OK"
    assert check(pki.timestamp(digest, tsa="tsa-unknown")) != "OK"


def test_token_fields(pki: test_pki.Pki) -> None:
    at = datetime(2050, 2, 3, 4, 5, 6, tzinfo=UTC)
    token = pki.timestamp(
        bytes(32), at=at, nonce=77, policy="1.2.3", serial=5, not_after=datetime(2060, 1, 1, tzinfo=UTC)
    )
    content = tsp.ContentInfo.load(token, strict=True)["content"]
    info = content["encap_content_info"]["content"].parsed
    assert info["gen_time"].native == at
    assert (info["nonce"].native, info["policy"].native, info["serial_number"].native) == (77, "1.2.3", 5)
    assert len(content["certificates"]) == 2
    dates = [one.chosen.not_valid_after.year for one in content["certificates"]]
    assert 2060 in dates


def test_long_list(pki: test_pki.Pki) -> None:
    made = bulk.crl(pki, "sub-g2-state")
    crl = x509.load_der_x509_crl(made)
    assert len(crl) == 100_003
    assert bulk.crl(pki, "sub-g2-state") == made
    revoked = x509.load_der_x509_certificate(pki.cert("revoked")).serial_number
    assert crl.get_revoked_certificate_by_serial_number(revoked) is not None
    good = x509.load_der_x509_certificate(pki.cert("person")).serial_number
    assert crl.get_revoked_certificate_by_serial_number(good) is None
