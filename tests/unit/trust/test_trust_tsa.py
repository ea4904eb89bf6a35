"""Timestamps from servers that lie: eighteen behaviours and more, each refused for its own reason."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import test_pki
from signsvc.errors import ConfigError, RequestError, UpstreamError
from signsvc.net import HttpClient, NetRules
from signsvc.trust import TrustAnchor, TrustMaterial, TsaClient, TsaConfig, tsa_token
from signsvc.trust.tsa_token import TokenError
from signsvc.types import Certificate
from test_pki.responders import Responders

DIGEST = hashlib.sha256(b"document").digest()
NONCE = 0xDEADBEEFCAFEF00D


@pytest.fixture
def material(pki: test_pki.Pki) -> TrustMaterial:
    root = Certificate.from_der(pki.cert("root-g2"))
    return TrustMaterial(anchors=(TrustAnchor(root, "root-g2"),))


@pytest.fixture
def http(responders: Responders) -> Iterator[HttpClient]:
    client = HttpClient(NetRules(host_map=responders.host_map, connect_timeout=2, total_timeout=5))
    yield client
    client.close()


def one(**more: object) -> TsaConfig:
    return TsaConfig("một", test_pki.TSA_URLS[0], **{"timeout": 2.0, **more})  # type: ignore[arg-type]


TWO = TsaConfig("hai", test_pki.TSA_URLS[1], timeout=5)


def ask(client: TsaClient, **more: object):  # type: ignore[no-untyped-def]
    return client.timestamp(DIGEST, "sha256", now=datetime.now(UTC), **more)  # type: ignore[arg-type]


def test_a_good_token(http: HttpClient, material: TrustMaterial, pki: test_pki.Pki, tmp_path: Path) -> None:
    token = ask(TsaClient([one(), TWO], http, material))
    assert token.tsa == "một"
    assert abs(token.gen_time - datetime.now(UTC)) < timedelta(seconds=10)
    assert [c.der for c in token.chain] == pki.chain("tsa1")
    assert token.certificate.der == pki.cert("tsa1")
    (tmp_path / "t.der").write_bytes(token.der)
    (tmp_path / "ca.pem").write_bytes(
        subprocess.run(
            ["openssl", "x509", "-inform", "DER"], input=pki.cert("root-g2"), capture_output=True, check=True
        ).stdout
    )
    seen = subprocess.run(
        ["openssl", "ts", "-verify", "-token_in", "-in", "t.der", "-digest", DIGEST.hex(), "-CAfile", "ca.pem"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "Verification: OK" in seen.stdout + seen.stderr


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512", "SHA-256"])
def test_digests(http: HttpClient, material: TrustMaterial, name: str) -> None:
    digest = hashlib.new(name.replace("-", ""), b"x").digest()
    assert TsaClient([one()], http, material).timestamp(digest, name, now=datetime.now(UTC)).der


INVALID = {
    "no_eku": "key_usage",
    "wrong_eku": "key_usage",
    "wrong_imprint": "imprint",
    "sha1_imprint": "imprint_algorithm",
    "bad_signature": "signature",
    "future_time": "time",
    "past_time": "time",
    "wrong_nonce": "nonce",
    "no_nonce": "nonce_missing",
    "reject": "rejected:systemFailure",
    "granted_no_token": "no_token",
    "wrong_signer": "chain",
    "no_certs": "certificate_missing",
    "junk": "malformed",
}
UNAVAILABLE = {
    "html": "media_type",
    "empty": "empty",
    "down": "http_503",
    "refuse": "connect",
    "cut": "protocol",
    "huge": "too_large",
    "endless": "too_large",
    "redirect_private": "redirect",
    "slow": "timeout",
    "drip": "timeout",
}


@pytest.mark.parametrize("fault", [*INVALID, *UNAVAILABLE])
def test_no_bad_answer_is_handed_on_and_the_next_authority_is_asked(
    http: HttpClient, material: TrustMaterial, responders: Responders, fault: str
) -> None:
    responders.fault("/tsa/1", fault, **({"delay": 5} if fault == "slow" else {}))
    config = one(timeout=0.6 if fault in ("slow", "drip") else 2.0)
    with pytest.raises(UpstreamError) as caught:
        ask(TsaClient([config], http, material))
    expected = INVALID.get(fault) or UNAVAILABLE[fault]
    assert caught.value.code == ("tsa_invalid_token" if fault in INVALID else "tsa_unavailable")
    assert caught.value.data["tsas"] == [("một", expected)]
    assert expected in str(caught.value.data["reason"])
    started = time.monotonic()
    token = ask(TsaClient([config, TWO], http, material))
    assert token.tsa == "hai"
    assert time.monotonic() - started < 3


def test_granted_with_mods_is_accepted_after_all_checks(
    http: HttpClient, material: TrustMaterial, responders: Responders
) -> None:
    responders.fault("/tsa/1", "granted_with_mods")
    assert ask(TsaClient([one()], http, material)).tsa == "một"
    responders.fault("/tsa/1", "wrong_imprint")
    with pytest.raises(UpstreamError):
        ask(TsaClient([one()], http, material))


def test_all_reasons_are_told(http: HttpClient, material: TrustMaterial, responders: Responders) -> None:
    responders.fault("/tsa/1", "down")
    responders.fault("/tsa/2", "no_nonce")
    with pytest.raises(UpstreamError) as caught:
        ask(TsaClient([one(), TWO], http, material))
    assert caught.value.code == "tsa_invalid_token"
    assert caught.value.data["reason"] == "một: http_503; hai: nonce_missing"
    assert caught.value.retryable
    with pytest.raises(UpstreamError) as caught:
        ask(TsaClient([], http, material))
    assert caught.value.code == "tsa_unavailable"


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("tsa-eku-not-critical", "key_usage_not_critical"),
        ("tsa-two-ekus", "key_usage"),
        ("tsa-expired", "certificate_validity"),
        ("tsa-unknown", "chain"),
    ],
)
def test_certificates_that_may_not_stamp(
    http: HttpClient, material: TrustMaterial, responders: Responders, label: str, reason: str
) -> None:
    usual = dict(responders._answers.tsas)
    responders._answers.tsas["1"] = label
    try:
        with pytest.raises(UpstreamError) as caught:
            ask(TsaClient([one()], http, material))
    finally:
        responders._answers.tsas.update(usual)
    assert caught.value.data["tsas"] == [("một", reason)]


def test_an_unknown_chain_needs_a_rule(http: HttpClient) -> None:
    assert ask(TsaClient([one(allow_unknown_chain=True)], http, TrustMaterial())).chain == ()
    with pytest.raises(UpstreamError) as caught:
        ask(TsaClient([one()], http, TrustMaterial()))
    assert caught.value.data["tsas"] == [("một", "chain")]


def test_material_may_come_late(http: HttpClient, material: TrustMaterial) -> None:
    held = [TrustMaterial()]
    client = TsaClient([one()], http, lambda: held[0])
    with pytest.raises(UpstreamError):
        ask(client)
    held[0] = material
    assert ask(client).chain


def test_the_clock_skew_is_a_setting(http: HttpClient, material: TrustMaterial, responders: Responders) -> None:
    responders.fault("/tsa/1", "future_time", days=120 / 86400)
    with pytest.raises(UpstreamError):
        ask(TsaClient([one()], http, material))
    assert ask(TsaClient([one()], http, material, clock_skew=180))


def test_a_slow_authority_may_stamp_late(http: HttpClient, material: TrustMaterial, responders: Responders) -> None:
    """genTime is compared with the time of the whole call, not with its beginning."""
    responders.fault("/tsa/1", "slow", delay=1.2)
    assert ask(TsaClient([one(timeout=5.0)], http, material, clock_skew=0.0))


def test_one_deadline_over_all(http: HttpClient, material: TrustMaterial, responders: Responders) -> None:
    responders.fault("/tsa", "slow", delay=3)
    started = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        ask(TsaClient([one(), TWO], http, material), deadline=started + 0.5)
    assert time.monotonic() - started < 1.5
    assert caught.value.data["tsas"] == [("một", "timeout"), ("hai", "deadline")]


def test_a_wrong_digest_is_the_callers_mistake(http: HttpClient, material: TrustMaterial) -> None:
    client = TsaClient([one()], http, material)
    for digest, name in ((b"short", "sha256"), (DIGEST, "sha384"), (DIGEST, "whirl")):
        with pytest.raises(RequestError):
            client.timestamp(digest, name, now=datetime.now(UTC))


def test_configuration(http: HttpClient, material: TrustMaterial) -> None:
    with pytest.raises(ConfigError):
        TsaClient([one(concurrency=0)], http, material)
    assert "hunter2" not in repr(one(username="u", password="hunter2"))


# The token alone ---------------------------------------------------------------------------------------------------


def check(token: bytes, *known: bytes) -> tsa_token.CheckedToken:
    return tsa_token.check(token, DIGEST, "sha256", nonce=NONCE, known=[Certificate.from_der(k) for k in known])


def test_a_certificate_that_the_token_leaves_out_may_be_known(pki: test_pki.Pki) -> None:
    bare = pki.timestamp(DIGEST, at=pki.epoch, nonce=NONCE, certs=())
    with pytest.raises(TokenError, match="certificate_missing"):
        check(bare)
    assert check(bare, pki.cert("tsa2"), pki.cert("tsa1")).certificate.der == pki.cert("tsa1")


def test_the_signing_certificate_reference_decides(pki: test_pki.Pki) -> None:
    """A certificate with the TSA's issuer, serial number and key, but not the one that was meant."""
    bare = pki.timestamp(DIGEST, at=pki.epoch, nonce=NONCE, certs=())
    twin = pki.issue("tsa1", serial=Certificate.from_der(pki.cert("tsa1")).serial_number, not_after=timedelta(days=99))
    with pytest.raises(TokenError, match="certificate_reference"):
        check(bare, twin)
    assert check(bare, twin, pki.cert("tsa1")).certificate.der == pki.cert("tsa1")


def test_changing_any_octet_never_helps(pki: test_pki.Pki) -> None:
    """A changed token is refused, or still says the same: octets outside what is signed may differ."""
    token = pki.timestamp(DIGEST, at=pki.epoch, nonce=NONCE)
    good = check(token)
    accepted = 0
    for position in range(len(token)):
        changed = token[:position] + bytes((token[position] ^ 0x01,)) + token[position + 1 :]
        try:
            found = check(changed)
        except TokenError:
            continue
        accepted += 1
        assert (found.gen_time, found.serial_number, found.certificate) == (
            good.gen_time,
            good.serial_number,
            good.certificate,
        )
    assert accepted < len(token) // 2


def test_cutting_or_growing_a_token_is_refused(pki: test_pki.Pki) -> None:
    token = pki.timestamp(DIGEST, at=pki.epoch, nonce=NONCE)
    for changed in (b"", token[:-1], token + b"\0", token[:50], b"\x30\x00", b"\x30\x80" + token[2:]):
        with pytest.raises(TokenError):
            check(changed)


def test_rejections_name_the_failure() -> None:
    for response, reason in (
        (bytes.fromhex("30053003020102"), "rejected:unspecified"),
        (bytes.fromhex("3009300702010203020780"), "rejected:badAlg"),
        (bytes.fromhex("30053003020100"), "no_token"),
        (bytes.fromhex("3000"), "malformed"),
        (b"", "malformed"),
    ):
        with pytest.raises(TokenError) as caught:
            tsa_token.open_response(response)
        assert caught.value.reason == reason


def test_the_request_is_what_openssl_reads(tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(tsa_token.request(DIGEST, "sha256", NONCE, policy_oid="1.2.3.4"))
    seen = subprocess.run(
        ["openssl", "ts", "-query", "-in", str(tmp_path / "q"), "-text"], capture_output=True, text=True, check=True
    ).stdout
    assert "Hash Algorithm: sha256" in seen
    assert "Policy OID: 1.2.3.4" in seen
    assert f"Nonce: 0x{NONCE:X}" in seen
    assert "Certificate required: yes" in seen
