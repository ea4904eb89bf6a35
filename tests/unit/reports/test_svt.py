"""Signature Validation Tokens: read by a library that is not ours, bound to signature and file."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import utils as pairs
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from signsvc.issuing import seal
from signsvc.issuing.seal import Sealer
from signsvc.reports import svt
from tests.unit.reports.test_report_pdf import report, signature

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
VALUE = b"signature value"


def bound(**more: Any) -> dict[str, Any]:
    binding = {
        "signature_value": base64.b64encode(VALUE).decode(),
        "signature_sha256": hashlib.sha256(VALUE).hexdigest(),
        "signed_bytes_sha256": hashlib.sha256(b"attributes").hexdigest(),
        "data": [{"ref": "0 10 20 30", "sha256": hashlib.sha256(b"data").hexdigest()}, {"ref": "#x", "sha256": None}],
    }
    found = report(signature(binding=binding, **more))
    found["document"]["media_type"] = "application/pdf"
    return found


def test_claims() -> None:
    stamp = {
        "id": "t1",
        "kind": "signature",
        "indication": "TOTAL-PASSED",
        "time": "2026-11-24T01:02:04Z",
        "tsa": "TSA 1",
    }
    claimed = svt.claims(bound(timestamps=[stamp]), issuer="https://a.example", now=NOW)
    assert (claimed["iss"], claimed["iat"], claimed["jti"]) == ("https://a.example", 1795489200, "urn:signsvc:rep_1")
    found = claimed["sig_val_claims"]
    assert (found["ver"], found["profile"], found["hash_algo"]) == ("1.0", "PDF", svt.HASH)
    (one,) = found["sig"]
    assert base64.b64decode(one["sig_ref"]["sig_hash"]) == hashlib.sha256(VALUE).digest()
    assert base64.b64decode(one["sig_ref"]["sb_hash"]) == hashlib.sha256(b"attributes").digest()
    assert [(d["ref"], base64.b64decode(d["hash"])) for d in one["sig_data_ref"]] == [
        ("0 10 20 30", hashlib.sha256(b"data").digest())
    ]
    assert one["signer_cert_ref"] == {"type": "chain_hash", "ref": [base64.b64encode(bytes(32)).decode()]}
    assert (one["sig_val"][0]["res"], one["sig_val"][0]["msg"]) == ("PASSED", "OK")
    assert (one["time_val"][0]["time"], one["time_val"][0]["iss"]) == (1795482124, "TSA 1")
    assert json.loads(found["ext"][svt.REPORT])["sha256"] == "ab" * 32


@pytest.mark.parametrize(
    ("indication", "result"),
    [("TOTAL-PASSED", "PASSED"), ("TOTAL-FAILED", "FAILED"), ("INDETERMINATE", "INDETERMINATE")],
)
def test_results(indication: str, result: str) -> None:
    claimed = svt.claims(bound(indication=indication, sub_indication="X"), issuer="i", now=NOW)
    assert claimed["sig_val_claims"]["sig"][0]["sig_val"][0]["res"] == result


def test_a_signature_that_cannot_be_read_has_no_claim() -> None:
    found = bound()
    found["signatures"][0]["binding"] = None
    assert svt.claims(found, issuer="i", now=NOW)["sig_val_claims"]["sig"] == []


def test_unsealed_tokens_say_so_and_are_never_without_a_signature() -> None:
    token = Sealer().jwt(svt.claims(bound(), issuer="i", now=NOW))
    key = ECKey.import_key(seal._key().public_key())
    read = jwt.decode(token, key, algorithms=["ES256"])
    assert read.header == {"typ": "JWT", "alg": "ES256", "kid": "unsealed"}
    assert read.claims["jti"] == "urn:signsvc:rep_1"
    head, body, value = token.split(".")
    other = base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"none"}').rstrip(b"=").decode()
    changed = base64.urlsafe_b64encode(base64.urlsafe_b64decode(body + "==").replace(b"rep_1", b"rep_2")).decode()
    for forged in (f"{other}.{body}.", f"{head}.{changed.rstrip('=')}.{value}", f"{head}.{body}."):
        with pytest.raises((JoseError, ValueError)):
            jwt.decode(forged, key, algorithms=["ES256"])


def test_pairs_of_every_curve() -> None:
    for curve, size in ((ec.SECP256R1(), 32), (ec.SECP384R1(), 48), (ec.SECP521R1(), 66)):
        value = ec.generate_private_key(curve).sign(b"x", ec.ECDSA(hashes.SHA256()))
        r, s = pairs.decode_dss_signature(value)
        assert seal._pair(value, size) == r.to_bytes(size, "big") + s.to_bytes(size, "big")
