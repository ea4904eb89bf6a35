"""The responders: truthful answers, and each fault does what it says."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

import pytest
from asn1crypto import algos, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

import test_pki
from test_pki import der, export, faults
from test_pki.responders import Responders

STATE = "/crl/sub-g2-state.crl"


def fetch(server: Responders, path: str, body: bytes | None = None, timeout: float = 10) -> tuple[int, str, bytes]:
    host, port = server.address.split(":")
    connection = HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request("POST" if body is not None else "GET", path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def stamp_request(
    data: bytes = b"xyz", nonce: int | None = 4711, algorithm: str = "sha256", certs: bool = True
) -> bytes:
    imprint = tsp.MessageImprint(
        {
            "hash_algorithm": algos.DigestAlgorithm({"algorithm": algorithm}),
            "hashed_message": hashlib.new(algorithm, data).digest(),
        }
    )
    fields = {"version": "v1", "message_imprint": imprint, "cert_req": certs}
    if nonce is not None:
        fields["nonce"] = nonce
    return bytes(tsp.TimeStampReq(fields).dump())


def stamp(server: Responders, path: str = "/tsa/1", **asked: object) -> tsp.TimeStampResp:
    status, kind, body = fetch(server, path, stamp_request(**asked))  # type: ignore[arg-type]
    assert (status, kind) == (200, "application/timestamp-reply")
    return tsp.TimeStampResp.load(body, strict=True)


def info(response: tsp.TimeStampResp) -> tsp.TSTInfo:
    return response["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed


def status(body: bytes) -> tuple[int, bytes | None]:
    """Status and failInfo of a time-stamp response."""
    number, *rest = der.children(der.children(body)[0])
    return number[-1], next((field for field in rest if field[0] == 0x03), None)


def ocsp_request(pki: test_pki.Pki, label: str, nonce: bytes | None = None, algorithm: type = hashes.SHA1) -> bytes:
    certs = [x509.load_der_x509_certificate(pki.cert(one)) for one in (label, pki.issuer(label))]
    builder = ocsp.OCSPRequestBuilder().add_certificate(certs[0], certs[1], algorithm())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def ask(server: Responders, label: str, **asked: object) -> ocsp.OCSPResponse:
    ca = server.pki.issuer(label)
    request = ocsp_request(server.pki, label, **asked)  # type: ignore[arg-type]
    status, kind, body = fetch(server, f"/ocsp/{ca}", request)
    assert (status, kind) == (200, "application/ocsp-response")
    return ocsp.load_der_ocsp_response(body)


def crl(server: Responders, path: str = STATE) -> x509.CertificateRevocationList:
    status, kind, body = fetch(server, path)
    assert (status, kind) == (200, "application/pkix-crl")
    return x509.load_der_x509_crl(body)


def public(pki: test_pki.Pki, label: str) -> rsa.RSAPublicKey:
    key = pki.key(label).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def signed_by(answer: ocsp.OCSPResponse, key: rsa.RSAPublicKey) -> bool:
    try:
        key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def serials(pki: test_pki.Pki, *labels: str) -> set[int]:
    return {x509.load_der_x509_certificate(pki.cert(label)).serial_number for label in labels}


# Truth


def test_ocsp_truth(responders: Responders) -> None:
    good = ask(responders, "person", nonce=b"0123456789abcdef")
    assert good.certificate_status == ocsp.OCSPCertStatus.GOOD
    assert good.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"0123456789abcdef"
    assert abs(good.this_update_utc - datetime.now(UTC)) < timedelta(minutes=1)
    assert signed_by(good, public(responders.pki, "ocsp-sub-g2-state"))
    revoked = ask(responders, "revoked-later", algorithm=hashes.SHA256)
    assert revoked.certificate_status == ocsp.OCSPCertStatus.REVOKED
    assert revoked.revocation_time_utc == responders.pki.epoch + timedelta(days=20)
    assert ask(responders, "sub-g2-revoked").certificate_status == ocsp.OCSPCertStatus.REVOKED


def test_ocsp_by_get(responders: Responders) -> None:
    encoded = urllib.parse.quote(base64.b64encode(ocsp_request(responders.pki, "suspended")).decode(), safe="")
    _, _, body = fetch(responders, f"/ocsp/sub-g2-state/{encoded}")
    answer = ocsp.load_der_ocsp_response(body)
    assert answer.revocation_reason == x509.ReasonFlags.certificate_hold
    assert responders.requests["/ocsp/sub-g2-state"] == 1


def test_ocsp_refuses_what_is_not_its_own(responders: Responders) -> None:
    _, _, body = fetch(responders, "/ocsp/sub-g2-party", ocsp_request(responders.pki, "person"))
    assert ocsp.load_der_ocsp_response(body).response_status == ocsp.OCSPResponseStatus.UNAUTHORIZED
    for junk in (b"", b"junk", b"\x30\x03\x02\x01\x01", b"\x30\x82"):
        _, _, body = fetch(responders, "/ocsp/sub-g2-state", junk)
        assert ocsp.load_der_ocsp_response(body).response_status == ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_lists_and_issuers(responders: Responders) -> None:
    pki = responders.pki
    assert {one.serial_number for one in crl(responders)} == serials(pki, "revoked", "suspended", "revoked-later")
    assert crl(responders).is_signature_valid(public(pki, "sub-g2-state"))
    assert crl(responders, "/pki/pub/crl/btc.crl").issuer == crl(responders, "/crl/sub-g1-btc.crl").issuer
    assert fetch(responders, "/aia/sub-g2-state.crt")[2] == pki.cert("sub-g2-state")
    assert fetch(responders, "/pki/pub/cert/cp.crt")[2] == pki.cert("sub-g1")
    for path in ("/", "/crl/person.crl", "/crl/none.crl", "/aia/none.crt", "/ocsp/none", "/tsa/3", "/crl/../keys"):
        assert fetch(responders, path)[0] == 404


def test_long_list_is_served(responders: Responders) -> None:
    assert len(crl(responders, "/crl/sub-g2-state-100k.crl")) == 100_003


def test_stamp_truth(responders: Responders, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(export.pem(responders.pki.cert("root-g2")))
    for path in ("/tsa/1", "/tsa/2"):
        request = stamp_request()
        (tmp_path / "query").write_bytes(request)
        (tmp_path / "reply").write_bytes(fetch(responders, path, request)[2])
        command = ["openssl", "ts", "-verify", "-queryfile", "query", "-in", "reply", "-CAfile", "root.pem"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
        assert result.returncode == 0, result.stderr
    assert not stamp(responders, certs=False)["time_stamp_token"]["content"]["certificates"]
    assert info(stamp(responders, nonce=None))["nonce"].native is None


def test_stamp_refusals(responders: Responders) -> None:
    # asn1crypto cannot read a response without a token, so the status is compared as bytes.
    _, _, weak = fetch(responders, "/tsa/1", stamp_request(algorithm="sha1"))
    assert status(weak) == (2, der.named_bits(0))
    _, _, junk = fetch(responders, "/tsa/1", b"junk")
    assert status(junk) == (2, der.named_bits(5))


@pytest.mark.parametrize(("kind", "expected"), [("reject", (2, der.named_bits(25))), ("granted_no_token", (0, None))])
def test_stamp_answers_without_token(responders: Responders, kind: str, expected: tuple[int, bytes | None]) -> None:
    responders.fault("/tsa", kind)
    _, _, body = fetch(responders, "/tsa/2", stamp_request())
    assert status(body) == expected
    assert len(der.children(body)) == 1


def test_host_map_covers_the_addresses_in_certificates(responders: Responders) -> None:
    pki = responders.pki
    cert = x509.load_der_x509_certificate(pki.cert("person"))
    access = cert.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    urls = [one.access_location.value for one in access] + [test_pki.crl_url("sub-g2-state")]
    for url in urls:
        parts = urllib.parse.urlsplit(url)
        assert responders.host_map[parts.netloc] == responders.address
        body = ocsp_request(pki, "person") if "ocsp" in url else None
        assert fetch(responders, parts.path, body)[0] == 200
    assert "ca.btc.invalid" not in responders.host_map


def test_clock_moves_all_answers(responders: Responders) -> None:
    then = datetime(2049, 12, 31, 23, 0, tzinfo=UTC)
    responders.clock = lambda: then
    assert ask(responders, "person").this_update_utc == then
    assert crl(responders).last_update_utc == then
    assert info(stamp(responders))["gen_time"].native == then
    responders.clock = lambda: responders.pki.epoch
    assert ask(responders, "revoked-later").certificate_status == ocsp.OCSPCertStatus.GOOD
    responders.clear()
    assert ask(responders, "revoked-later").certificate_status == ocsp.OCSPCertStatus.REVOKED


def test_other_authority_behind_an_address(responders: Responders) -> None:
    responders.stamp_with("1", "tsa-expired")
    issuer = stamp(responders)["time_stamp_token"]["content"]["signer_infos"][0]["sid"].native["serial_number"]
    assert {issuer} == serials(responders.pki, "tsa-expired")
    responders.reset()
    issuer = stamp(responders)["time_stamp_token"]["content"]["signer_infos"][0]["sid"].native["serial_number"]
    assert {issuer} == serials(responders.pki, "tsa1")
    with pytest.raises(KeyError):
        responders.stamp_with("1", "nobody")


def test_many_clients_at_once(responders: Responders) -> None:
    request = stamp_request()
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: fetch(responders, "/tsa/2", request)[2], range(48)))
    numbers = {info(tsp.TimeStampResp.load(reply))["serial_number"].native for reply in replies}
    assert len(numbers) == 48
    assert responders.requests["/tsa/2"] == 48


# Lies about content


def lie(responders: Responders, path: str, kind: str, **options: object) -> None:
    responders.fault(path, kind, **options)  # type: ignore[arg-type]


def nonce_of(answer: ocsp.OCSPResponse) -> bytes | None:
    try:
        return answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None


OCSP_LIES: dict[str, Callable[[ocsp.OCSPResponse, test_pki.Pki], bool]] = {
    "stale": lambda a, _: a.next_update_utc is not None and a.next_update_utc < datetime.now(UTC),
    "future_time": lambda a, _: a.this_update_utc > datetime.now(UTC) + timedelta(hours=1),
    "past_time": lambda a, _: a.next_update_utc is None and a.this_update_utc < datetime.now(UTC),
    "wrong_signer": lambda a, pki: signed_by(a, public(pki, "ocsp-ca-unknown")),
    "bad_signature": lambda a, pki: not signed_by(a, public(pki, "ocsp-sub-g2-state")),
    "wrong_nonce": lambda a, _: nonce_of(a) not in (None, b"0123456789abcdef"),
    "no_nonce": lambda a, _: nonce_of(a) is None,
    "revoked": lambda a, _: a.certificate_status == ocsp.OCSPCertStatus.REVOKED,
    "unknown": lambda a, _: a.certificate_status == ocsp.OCSPCertStatus.UNKNOWN,
    "try_later": lambda a, _: a.response_status == ocsp.OCSPResponseStatus.TRY_LATER,
    "wrong_serial": lambda a, pki: {a.serial_number}.isdisjoint(serials(pki, "person")),
}


@pytest.mark.parametrize("kind", OCSP_LIES)
def test_ocsp_lies(responders: Responders, kind: str) -> None:
    holds = OCSP_LIES[kind]
    asked = {"nonce": b"0123456789abcdef"}
    assert kind == "try_later" or not holds(ask(responders, "person", **asked), responders.pki)
    lie(responders, "/ocsp/sub-g2-state", kind)
    assert holds(ask(responders, "person", **asked), responders.pki)
    responders.clear()
    assert ask(responders, "person", **asked).certificate_status == ocsp.OCSPCertStatus.GOOD


def test_ocsp_says_good_of_a_revoked_one(responders: Responders) -> None:
    lie(responders, "/ocsp", "good")
    assert ask(responders, "revoked").certificate_status == ocsp.OCSPCertStatus.GOOD


CRL_LIES: dict[str, Callable[[x509.CertificateRevocationList, test_pki.Pki], bool]] = {
    "stale": lambda a, _: a.next_update_utc is not None and a.next_update_utc < datetime.now(UTC),
    "future_time": lambda a, _: a.last_update_utc > datetime.now(UTC) + timedelta(hours=1),
    "past_time": lambda a, _: a.next_update_utc is None,
    "wrong_signer": lambda a, pki: a.is_signature_valid(public(pki, "ca-unknown")),
    "bad_signature": lambda a, pki: not a.is_signature_valid(public(pki, "sub-g2-state")),
    "revoked": lambda a, pki: serials(pki, "person") <= {one.serial_number for one in a},
}


@pytest.mark.parametrize("kind", CRL_LIES)
def test_list_lies(responders: Responders, kind: str) -> None:
    holds = CRL_LIES[kind]
    assert not holds(crl(responders), responders.pki)
    lie(responders, "/crl/", kind)
    assert holds(crl(responders), responders.pki)


def test_one_label_revoked(responders: Responders) -> None:
    lie(responders, "/", "revoked", label="person", reason="superseded", hours=48)
    assert ask(responders, "person2").certificate_status == ocsp.OCSPCertStatus.GOOD
    answer = ask(responders, "person")
    assert answer.revocation_reason == x509.ReasonFlags.superseded
    listed = {one.serial_number for one in crl(responders)}
    assert serials(responders.pki, "person") <= listed
    assert listed.isdisjoint(serials(responders.pki, "person2"))


def test_one_serial_revoked(responders: Responders) -> None:
    made = responders.pki.issue("person", serial=123456789)
    responders.fault("/", "revoked", serial=123456789)
    assert {123456789} <= {one.serial_number for one in crl(responders)}
    assert ask(responders, "person").certificate_status == ocsp.OCSPCertStatus.GOOD
    certs = [x509.load_der_x509_certificate(one) for one in (made, responders.pki.cert("sub-g2-state"))]
    request = ocsp.OCSPRequestBuilder().add_certificate(certs[0], certs[1], hashes.SHA1()).build()
    _, _, body = fetch(responders, "/ocsp/sub-g2-state", request.public_bytes(Encoding.DER))
    assert ocsp.load_der_ocsp_response(body).certificate_status == ocsp.OCSPCertStatus.REVOKED


def test_replay(responders: Responders) -> None:
    old = ask(responders, "person", nonce=b"old-nonce-of-person")
    token = stamp(responders, data=b"old")
    responders.fault("/", "replay")
    again = ask(responders, "person2", nonce=b"new-nonce")
    assert (again.serial_number, nonce_of(again)) == (old.serial_number, b"old-nonce-of-person")
    assert stamp(responders, data=b"new").dump() == token.dump()
    responders.clear()
    assert stamp(responders, data=b"new").dump() != token.dump()


def token_serials(response: tsp.TimeStampResp) -> set[int]:
    return {one.chosen.serial_number for one in response["time_stamp_token"]["content"]["certificates"]}


def signature_holds(response: tsp.TimeStampResp, pki: test_pki.Pki) -> bool:
    signer = response["time_stamp_token"]["content"]["signer_infos"][0]
    signed = b"\x31" + signer["signed_attrs"].dump()[1:]
    try:
        public(pki, "tsa1").verify(signer["signature"].native, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def drift(response: tsp.TimeStampResp) -> timedelta:
    found: datetime = info(response)["gen_time"].native
    return found - datetime.now(UTC)


STAMP_LIES: dict[str, Callable[[tsp.TimeStampResp, test_pki.Pki], bool]] = {
    "wrong_imprint": lambda a, _: (
        info(a)["message_imprint"]["hashed_message"].native != hashlib.sha256(b"xyz").digest()
        and info(a)["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha256"
    ),
    "sha1_imprint": lambda a, _: info(a)["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha1",
    "wrong_nonce": lambda a, _: info(a)["nonce"].native not in (None, 4711),
    "no_nonce": lambda a, _: info(a)["nonce"].native is None,
    "wrong_signer": lambda a, pki: serials(pki, "tsa-unknown", "ca-unknown") == token_serials(a),
    "no_eku": lambda a, pki: serials(pki, "tsa-no-eku") <= token_serials(a),
    "wrong_eku": lambda a, pki: serials(pki, "tsa-wrong-eku") <= token_serials(a),
    "bad_signature": lambda a, pki: not signature_holds(a, pki),
    "future_time": lambda a, _: drift(a) > timedelta(hours=23),
    "past_time": lambda a, _: drift(a) < timedelta(hours=-23),
    "stale": lambda a, _: drift(a) < timedelta(days=-29),
    "no_certs": lambda a, _: token_serials(a) == set(),
    "granted_with_mods": lambda a, _: a["status"]["status"].native == "granted_with_mods",
}


@pytest.mark.parametrize("kind", STAMP_LIES)
def test_stamp_lies(responders: Responders, kind: str) -> None:
    holds = STAMP_LIES[kind]
    assert not holds(stamp(responders), responders.pki)
    lie(responders, "/tsa/1", kind)
    assert holds(stamp(responders), responders.pki)
    assert not holds(stamp(responders, "/tsa/2"), responders.pki) or kind == "bad_signature"


# Misbehaviour on the wire


def test_slow(responders: Responders) -> None:
    lie(responders, STATE, "slow", delay=0.3)
    start = time.monotonic()
    assert fetch(responders, STATE)[0] == 200
    assert time.monotonic() - start >= 0.3


def test_drip(responders: Responders) -> None:
    lie(responders, STATE, "drip", interval=0.01, size=100)
    usual = len(fetch(responders, "/crl/sub-g2-party.crl")[2])
    start = time.monotonic()
    assert len(fetch(responders, STATE)[2]) > usual
    assert time.monotonic() - start >= 0.05


def test_down_refuse_and_cut(responders: Responders) -> None:
    lie(responders, STATE, "down", status=500)
    assert fetch(responders, STATE)[0] == 500
    responders.clear()
    lie(responders, STATE, "refuse")
    with pytest.raises(ConnectionResetError):
        fetch(responders, STATE)
    responders.clear()
    lie(responders, STATE, "cut")
    with pytest.raises(HTTPException):
        fetch(responders, STATE)


def test_useless_bodies(responders: Responders) -> None:
    for kind, media_type, body in (
        ("junk", "application/timestamp-reply", b"\x30\x03\x02\x01\x2a"),
        ("empty", "application/timestamp-reply", b""),
    ):
        lie(responders, "/tsa", kind)
        assert fetch(responders, "/tsa/1", stamp_request()) == (200, media_type, body)
        responders.clear()
    lie(responders, "/tsa", "html")
    assert fetch(responders, "/tsa/1", stamp_request())[1].startswith("text/html")


@contextmanager
def opened(server: Responders, path: str) -> Iterator[HTTPResponse]:
    host, port = server.address.split(":")
    connection = HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    try:
        yield answer
    finally:
        answer.close()
        connection.close()


def test_endless_and_huge_bodies_and_bomb(responders: Responders) -> None:
    lie(responders, STATE, "endless")
    with opened(responders, STATE) as answer:
        assert len(answer.read(3_000_000)) == 3_000_000
    responders.clear()
    lie(responders, STATE, "huge", size=5_000_000)
    assert len(fetch(responders, STATE)[2]) == 5_000_000
    responders.clear()
    lie(responders, STATE, "bomb", size=64 << 20)
    with opened(responders, STATE) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(answer.read()) < 200_000


def test_redirects(responders: Responders) -> None:
    lie(responders, STATE, "redirect_private")
    with opened(responders, STATE) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "http://169.254.169.254/latest/meta-data/")
    responders.clear()
    lie(responders, STATE, "redirect_loop")
    with opened(responders, STATE) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, STATE)


def test_times_prefixes_and_clearing(responders: Responders) -> None:
    responders.fault("/crl", "down", times=2)
    responders.fault("/crl/sub-g2-party", "html")
    assert [fetch(responders, STATE)[0] for _ in range(3)] == [503, 503, 200]
    assert fetch(responders, "/crl/sub-g2-party.crl")[1].startswith("text/html")
    assert fetch(responders, "/tsa/1", stamp_request())[0] == 200
    responders.clear("/crl/sub-g2-party")
    assert fetch(responders, "/crl/sub-g2-party.crl")[0] == 200
    assert responders.requests[STATE] == 3


def test_unknown_fault_or_option(responders: Responders) -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        responders.fault("/", "sleepy")
    with pytest.raises(ValueError, match="delay"):
        responders.fault("/", "slow", deley=3)


def test_every_kind_is_tested() -> None:
    wire = {"slow", "drip", "down", "refuse", "cut", "html", "junk", "empty", "huge", "endless", "bomb"}
    wire |= {"redirect_private", "redirect_loop", "good", "replay", "reject", "granted_no_token"}
    assert faults.KINDS.keys() == wire | OCSP_LIES.keys() | CRL_LIES.keys() | STAMP_LIES.keys()


def test_bad_requests_on_the_wire(responders: Responders) -> None:
    host, port = responders.address.split(":")
    for head, status in ((b"", b"411"), (b"Content-Length: 9999999\r\n", b"413"), (b"Content-Length: -1\r\n", b"413")):
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            raw.sendall(b"POST /tsa/1 HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
            assert raw.recv(100).split()[1] == status


def test_closing_ends_open_connections(pki: test_pki.Pki) -> None:
    before = threading.active_count()
    with Responders(pki) as server:
        host, port = server.address.split(":")
        idle = socket.create_connection((host, int(port)), timeout=5)
        server.fault("/", "endless")
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(fetch, server, STATE)
            while not server.requests[STATE]:
                time.sleep(0.01)
            start = time.monotonic()
            server.__exit__(None, None, None)
            assert isinstance(hanging.exception(5), OSError | HTTPException)
        assert time.monotonic() - start < 3
    assert idle.recv(1) == b""
    idle.close()
    while threading.active_count() > before and time.monotonic() - start < 3:
        time.sleep(0.01)
    assert threading.active_count() <= before


# In the foreground


def test_control_and_serve_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "test_pki", "serve", "--port", "0", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            lines = [process.stdout.readline() for _ in range(2 + len(test_pki.HOSTS) + 1)]
            base = lines[-1].split()[1].partition("/control")[0]

            def order(path: str, body: bytes | None = None) -> dict[str, dict[str, object]]:
                with urllib.request.urlopen(base + path, body, timeout=5) as answer:
                    return dict(json.load(answer))

            state = order("/control?path=/crl&kind=slow&delay=0.5")
            assert state["faults"] == {"/crl": {"slow": {"delay": 0.5}}}
            state = order("/control", b'{"path": "/tsa/1", "kind": "down", "times": 1}')
            assert state["faults"]["/tsa/1"] == {"down": {"status": 503}}
            with pytest.raises(urllib.error.HTTPError) as caught:
                order("/control?kind=nonsense")
            assert caught.value.code == 400
            caught.value.close()
            assert order("/control?clear=")["faults"] == {}
        finally:
            process.terminate()
        assert process.wait(10) == 0
