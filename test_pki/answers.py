"""What the responders say: bodies for OCSP, CRL, AIA and TSA requests, true or falsified."""

from __future__ import annotations

import base64
import binascii
import threading
import urllib.parse
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from test_pki import bulk, certificates, der, hierarchy, revocation, timestamps, wire
from test_pki.pki import Pki

Options = dict[str, dict[str, Any]]
Body = tuple[str, bytes]  # media type, octets

OCSP_TYPE = "application/ocsp-response"
CRL_TYPE = "application/pkix-crl"
CERT_TYPE = "application/pkix-cert"
STAMP_TYPE = "application/timestamp-reply"

# Short names in the addresses that G1 certificates carry.
G1_NAMES = {"btc": "sub-g1-btc", "cp": "sub-g1"}
TSAS = {"1": "tsa1", "2": "tsa2"}  # /tsa/<number> -> label
_STAMPED = {der.OIDS[name]: name for name in ("sha256", "sha384", "sha512")}
_BAD_ALGORITHM, _BAD_FORMAT, _UNACCEPTED_POLICY = 0, 5, 15  # PKIFailureInfo


class Answers:
    """Answers by path. *clock* is the responders' idea of the present."""

    def __init__(self, pki: Pki, clock: Callable[[], datetime]) -> None:
        self.pki = pki
        self.clock = clock
        self.tsas = dict(TSAS)
        self._lists: dict[tuple[object, ...], bytes] = {}
        self._given: dict[tuple[str, str], Body] = {}
        self._lock = threading.Lock()

    def body(self, path: str, request: bytes, faults: Options) -> Body | None:
        """The answer to *request* at *path*, None for an unknown path."""
        what, _, name = path.lstrip("/").partition("/")
        if what == "pki":  # /pki/pub/crl/btc.crl
            folder, _, file = name.removeprefix("pub/").partition("/")
            stem, _, extension = file.partition(".")
            what, name = {"crl": "crl", "cert": "aia"}.get(folder, ""), f"{G1_NAMES.get(stem, stem)}.{extension}"
        if what == "ocsp":
            return self._last("ocsp", name, faults) or self._keep("ocsp", name, self._ocsp(name, request, faults))
        if what == "crl" and name.endswith(".crl"):
            return self._crl(name.removesuffix(".crl"), faults)
        if what == "aia" and (label := name.removesuffix(".crt")) in self.pki.labels():
            return CERT_TYPE, self.pki.cert(label)
        if what == "tsa" and name in self.tsas:
            return self._last("tsa", name, faults) or self._keep(
                "tsa", name, (STAMP_TYPE, self._stamp(self.tsas[name], request, faults))
            )
        return None

    def _last(self, what: str, name: str, faults: Options) -> Body | None:
        """For "replay": the last answer given there."""
        if "replay" not in faults:
            return None
        with self._lock:
            return self._given.get((what, name.partition("/")[0]))

    def _keep(self, what: str, name: str, body: Body | None) -> Body | None:
        if body is not None:
            with self._lock:
                self._given[what, name.partition("/")[0]] = body
        return body

    def _is_ca(self, label: str) -> bool:
        return label in self.pki.labels() and self.pki.spec(label).ca

    # OCSP

    def _ocsp(self, name: str, request: bytes, faults: Options) -> Body | None:
        ca, _, encoded = name.partition("/")
        if not self._is_ca(ca):
            return None
        if encoded:  # GET, RFC 6960 A.1
            try:
                request = base64.b64decode(urllib.parse.unquote(encoded), validate=True)
            except binascii.Error:
                return OCSP_TYPE, revocation.ocsp_error(1)
        try:
            asked = wire.ocsp_request(request)
            known = [self._known(ca, cert_id) for cert_id in asked.cert_ids]
        except (wire.BadRequestError, IndexError, ValueError):
            return OCSP_TYPE, revocation.ocsp_error(1)
        if "try_later" in faults:
            return OCSP_TYPE, revocation.ocsp_error(3)
        if not all(known):
            return OCSP_TYPE, revocation.ocsp_error(6)
        return OCSP_TYPE, self._ocsp_response(ca, asked, faults)

    def _known(self, ca: str, cert_id: bytes) -> bool:
        names = {oid: name for name, oid in der.OIDS.items() if name.startswith("sha")}
        algorithm = names.get(wire.hash_algorithm(cert_id), "sha1")
        own = der.children(revocation.cert_id(self.pki.cert(ca), wire.serial(cert_id), algorithm))
        return der.children(cert_id)[1:] == own[1:]

    def _ocsp_response(self, ca: str, asked: wire.OcspAsked, faults: Options) -> bytes:
        issued, until = self._period(self.clock(), faults)
        nonce = asked.nonce
        if "no_nonce" in faults:
            nonce = None
        if "wrong_nonce" in faults:
            nonce = bytes(octet ^ 0xFF for octet in nonce or bytes(16))
        response = self.pki.ocsp_response(
            ca,
            [self._ocsp_answer(ca, one, issued, until, faults) for one in asked.cert_ids],
            issued,
            signer="ocsp-ca-unknown" if "wrong_signer" in faults else None,
            nonce=nonce,
        )
        return _flip_ocsp(response) if "bad_signature" in faults else response

    def _period(self, now: datetime, faults: Options) -> tuple[datetime, timedelta | None]:
        """thisUpdate, and how long it lasts."""
        if "stale" in faults:
            return now - timedelta(days=faults["stale"]["days"]), timedelta(days=1)
        if "future_time" in faults:
            return now + timedelta(days=faults["future_time"]["days"]), timedelta(days=1)
        if "past_time" in faults:
            return now - timedelta(days=faults["past_time"]["days"]), None
        return now, timedelta(days=1)

    def _ocsp_answer(
        self, ca: str, cert_id: bytes, issued: datetime, until: timedelta | None, faults: Options
    ) -> revocation.Answer:
        serial = wire.serial(cert_id)
        status, when, reason = "good", None, "unspecified"
        for label in self.pki.issued_by(ca):
            found = self.pki.revocation(label, issued)
            if found and certificates.serial_number(self.pki.cert(label)) == serial:
                status, (when, reason) = "revoked", found
        forced = faults.get("revoked")
        if forced and self._means(forced, serial):
            status, when, reason = "revoked", issued - timedelta(hours=forced["hours"]), forced["reason"]
        if "unknown" in faults:
            status = "unknown"
        if "good" in faults:
            status = "good"
        if "wrong_serial" in faults:
            parts = der.children(cert_id)
            cert_id = der.seq(*parts[:3], der.integer(serial + 1))
        next_update = issued + until if until is not None else None
        return revocation.Answer(cert_id, status, when, reason, issued, next_update)

    def _means(self, forced: dict[str, Any], serial: int) -> bool:
        """Whether the fault "revoked" is about *serial*."""
        if forced["label"]:
            return certificates.serial_number(self.pki.cert(forced["label"])) == serial
        return forced["serial"] in (None, serial)

    # Lists

    def _crl(self, name: str, faults: Options) -> Body | None:
        ca = name.removesuffix("-100k")
        if not self._is_ca(ca):
            return None
        now = self.clock()
        if ca != name:
            return CRL_TYPE, bulk.crl(self.pki, ca, now)
        # A fresh list a minute: signing with RSA-4096 takes longer than everything else here.
        key = (ca, now.replace(second=0, microsecond=0), len(self.pki.labels()), repr(sorted(faults.items())))
        with self._lock:
            found = self._lists.get(key)
        if found is None:
            found = self._make_crl(ca, now, faults)
            with self._lock:
                if len(self._lists) > 64:
                    self._lists.clear()
                self._lists[key] = found
        return CRL_TYPE, found

    def _make_crl(self, ca: str, now: datetime, faults: Options) -> bytes:
        issued, until = self._period(now, faults)
        if until is not None and "stale" not in faults:
            until = timedelta(days=7)
        revoked = {
            certificates.serial_number(self.pki.cert(label)): self.pki.revocation(label, issued)
            for label in self.pki.issued_by(ca)
        }
        if forced := faults.get("revoked"):
            lie = issued - timedelta(hours=forced["hours"]), forced["reason"]
            if forced["serial"] is not None:
                revoked[forced["serial"]] = lie
            revoked |= {serial: lie for serial in revoked if self._means(forced, serial)}
        entries = [(serial, *found) for serial, found in revoked.items() if found]
        signer = "ca-unknown" if "wrong_signer" in faults else None
        made = self.pki.crl(ca, issued, until, entries=entries, signer=signer)
        return _flip_last(made) if "bad_signature" in faults else made

    # Time stamps

    def _stamp(self, tsa: str, request: bytes, faults: Options) -> bytes:
        try:
            asked = wire.stamp_request(request)
        except wire.BadRequestError:
            return timestamps.response(None, 2, "the request cannot be read", _BAD_FORMAT)
        algorithm = _STAMPED.get(asked.algorithm)
        if algorithm is None:
            return timestamps.response(None, 2, "the digest algorithm is not accepted", _BAD_ALGORITHM)
        if asked.policy not in (None, hierarchy.TSA_POLICY):
            return timestamps.response(None, 2, "the policy is not offered", _UNACCEPTED_POLICY)
        if "reject" in faults:
            return timestamps.response(None, 2, "told to reject", 25)
        if "granted_no_token" in faults:
            return timestamps.response(None)
        token = self._token(tsa, asked, algorithm, faults)
        return timestamps.response(token, 1 if "granted_with_mods" in faults else 0)

    def _token(self, tsa: str, asked: wire.StampAsked, algorithm: str, faults: Options) -> bytes:
        imprint, nonce, at = asked.imprint, asked.nonce, self.clock()
        if "wrong_imprint" in faults:
            imprint = bytes(octet ^ 0xFF for octet in imprint)
        if "sha1_imprint" in faults:
            imprint, algorithm = imprint[:20], "sha1"
        if "no_nonce" in faults:
            nonce = None
        if "wrong_nonce" in faults:
            nonce = (nonce or 0) + 1
        for kind, sign in (("future_time", 1), ("past_time", -1), ("stale", -1)):
            if kind in faults:
                at += sign * timedelta(days=faults[kind]["days"])
        for kind, label in (("no_eku", "tsa-no-eku"), ("wrong_eku", "tsa-wrong-eku"), ("wrong_signer", "tsa-unknown")):
            if kind in faults:
                tsa = label
        bare = "no_certs" in faults or not asked.wants_certificate
        return self.pki.timestamp(
            imprint,
            tsa=tsa,
            at=at,
            hash=algorithm,
            nonce=nonce,
            certs=() if bare else None,
            flip="bad_signature" in faults,
        )


def _flip_last(signed: bytes) -> bytes:
    """*signed*, a structure that ends with its signature, with the last bit changed."""
    return signed[:-1] + bytes((signed[-1] ^ 1,))


def _flip_ocsp(response: bytes) -> bytes:
    """An OCSP response with one bit of the signature changed (certificates may follow the signature)."""
    basic = der.content(der.children(der.children(der.children(response)[1])[0])[1])
    signature = der.children(basic)[2]
    return response.replace(signature, _flip_last(signature))
