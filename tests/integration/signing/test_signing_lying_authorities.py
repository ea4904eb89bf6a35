"""Eighteen behaviours of a timestamp authority, met by the service over HTTP: no bad token in any file, its own code
for each, and the next authority where there is one."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import test_pki
from signsvc.trust import tsa_token
from test_pki.responders import Responders
from tests.support.installation import install
from tests.support.service import Answer, Service, running

PDF = Path("signsvc/samples/van-ban.pdf").read_bytes()

# Behaviour -> (fault, its options, reason, whether a token came).
BAD = {
    "2 no extended key usage": ("no_eku", {}, "key_usage", True),
    "3 another key usage": ("wrong_eku", {}, "key_usage", True),
    "4 wrong imprint": ("wrong_imprint", {}, "imprint", True),
    "5 SHA-1 imprint": ("sha1_imprint", {}, "imprint_algorithm", True),
    "6 broken signature": ("bad_signature", {}, "signature", True),
    "7 a time in 2033": ("future_time", {"days": 2500}, "time", True),
    "8 another nonce": ("wrong_nonce", {}, "nonce", True),
    "9 no nonce": ("no_nonce", {}, "nonce_missing", True),
    "10 rejection": ("reject", {}, "rejected:systemFailure", True),
    "11 granted without a token": ("granted_no_token", {}, "no_token", True),
    "13 a page": ("html", {}, "media_type", False),
    "14 junk": ("junk", {}, "malformed", True),
    "15 nothing": ("empty", {}, "empty", False),
    "16 down": ("down", {"status": 500}, "http_500", False),
    "17 700 MB": ("huge", {"size": 700 << 20}, "too_large", False),
    "18 an octet now and then": ("drip", {"interval": 1.5}, "timeout", False),
    "an unknown authority's certificate": ("wrong_signer", {}, "chain", True),
    "an answer without end": ("endless", {}, "too_large", False),
    "late": ("slow", {"delay": 3}, "timeout", False),
}


@pytest.fixture(scope="module")
def service(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    installation = install(tmp_path_factory.mktemp("lying"), pki, responders)
    text = installation.config.read_text("utf-8").replace("timeout_seconds = 5", "timeout_seconds = 0.8")
    installation.config.write_text(text, "utf-8")
    with running(installation, workers=1) as found:
        yield found


def sign(service: Service) -> Answer:
    # What was learned of authorities before is not this test's.
    for note in (service.installation.data_dir / "cache" / "tsa-health").glob("*.json"):
        note.write_text('{"failures": 0, "rests_until": 0.0, "reason": ""}')
    return service.call(
        "POST",
        "/v1/sign?profile=pades-b-t&credential=p12-person",
        PDF,
        {"Content-Type": "application/pdf", "Accept": "application/pdf"},
    )


def stamped_by(service: Service, answer: Answer) -> str:
    assert answer.status == 200, answer.body
    report = service.verify(answer.body).json
    assert report["indication"] == "TOTAL-PASSED", report["messages"]
    (stamp,) = report["signatures"][0]["timestamps"]
    return str(stamp["tsa"])


@pytest.mark.parametrize("behaviour", BAD)
def test_refused_with_its_own_reason_and_the_next_is_asked(
    service: Service, responders: Responders, behaviour: str
) -> None:
    fault, options, reason, answered = BAD[behaviour]
    responders.fault("/tsa", fault, **options)
    refused = sign(service)
    assert (refused.status, refused.code) == (502, "tsa_invalid_token" if answered else "tsa_unavailable")
    assert refused.json["data"]["reason"] == f"tsa1: {reason}; tsa2: {reason}"
    assert refused.json["localized"]["message"].count("tsa1") == 1
    responders.clear("/tsa/2")
    responders.clear("/tsa")
    responders.fault("/tsa/1", fault, **options)
    assert "TSA 2" in stamped_by(service, sign(service))


@pytest.mark.parametrize("fault", [None, "granted_with_mods"])
def test_what_is_good_is_taken(service: Service, responders: Responders, fault: str | None) -> None:
    """Behaviours 1 and 12."""
    if fault is not None:
        responders.fault("/tsa/1", fault)
    assert "TSA 1" in stamped_by(service, sign(service))


def test_a_revoked_authority_is_refused_over_http(pki: test_pki.Pki, responders: Responders, tmp_path: Path) -> None:
    for path in ("/ocsp", "/crl"):
        responders.fault(path, "revoked", label="tsa1")
    with running(install(tmp_path, pki, responders), workers=1) as service:
        assert "TSA 2" in stamped_by(service, sign(service))


def nonce_of(token: str) -> int:
    """The nonce that the service sent: the token repeats it."""
    from asn1crypto import cms, tsp  # noqa: F401

    info = cms.ContentInfo.load(base64.b64decode(token))["content"]["encap_content_info"]["content"].parsed
    return int(info["nonce"].native)


def test_a_token_over_a_digest_and_how_authorities_do(service: Service, responders: Responders) -> None:
    digest = hashlib.sha256(PDF).hexdigest()
    sent = {"Content-Type": "application/json"}
    answer = service.call("POST", "/v1/timestamp", json.dumps({"hash": digest}), sent)
    assert answer.status == 200, answer.body
    assert answer.json["tsa"] == "tsa1"
    checked = tsa_token.check(
        base64.b64decode(answer.json["token"]), bytes.fromhex(digest), "sha256", nonce=nonce_of(answer.json["token"])
    )
    assert checked.gen_time.isoformat().replace("+00:00", "Z") == answer.json["time"]
    for body in ({"hash": digest[:-2]}, {"hash": digest, "hash_algorithm": "sha512"}, {"hash": "zz" * 32}, {}, []):
        assert service.call("POST", "/v1/timestamp", json.dumps(body), sent).code == "invalid_request"
    responders.fault("/tsa/1", "down")
    for _ in range(3):
        assert service.call("POST", "/v1/timestamp", json.dumps({"hash": digest}), sent).json["tsa"] == "tsa2"
    first, second = service.call("GET", "/v1/timestamp-authorities").json["authorities"]
    assert (first["name"], first["state"], first["failures"]) == ("tsa1", "resting", 2)
    assert first["rests_until"]
    assert (second["name"], second["state"], second["rests_until"]) == ("tsa2", "ready", None)
    measured = service.call("GET", "/metrics").body.decode()
    assert 'signsvc_tsa_failures{tsa="tsa1"} 2.0' in measured
    assert 'signsvc_tsa_resting{tsa="tsa1"} 1.0' in measured
    assert 'signsvc_tsa_resting{tsa="tsa2"} 0.0' in measured
    environment = {**os.environ, **service.installation.environment}
    command = [sys.executable, "-m", "signsvc", "doctor", "--json"]
    said = json.loads(subprocess.run(command, env=environment, capture_output=True, check=False).stdout)
    (line,) = (line for line in said if line["what"].startswith("tsa "))
    assert (line["what"], line["ok"]) == ("tsa tsa1", None)
    assert "http_503" in line["detail"]
    assert "lỗi 2 lần" in line["detail_vi"]
