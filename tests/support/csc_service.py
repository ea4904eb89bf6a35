"""A remote signing service on loopback, as the CSC API 1.0.4 and 2 describe it, with the keys of the test hierarchy."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

import test_pki

HASHES: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
ALGORITHMS = {
    "rsa": ["1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13", "1.2.840.113549.1.1.10"],
    "ec": ["1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4"],
}


class Refused(Exception):
    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class CscServer:
    """Behaviour is set by attributes; `calls` lists what was asked (method, body)."""

    def __init__(self, pki: test_pki.Pki, label: str, version: int = 2) -> None:
        key, _, _ = load_key_and_certificates(pki.p12(label).read_bytes(), test_pki.PASSWORD)
        self.key: Any = key
        self.chain = pki.chain(label)
        self.version = version
        self.pin: str | None = "246810"
        self.otp = False
        self.status = "enabled"
        self.algorithms = ALGORITHMS["ec" if isinstance(key, ec.EllipticCurvePrivateKey) else "rsa"]
        self.token_life = 3600
        self.asynchronous = False
        self.raw_pairs = False
        self.another: Any = None  # what makes a further keyring for it
        self.refusal: tuple[str, int] | None = None  # of every authorisation
        self.redirect: str | None = None  # where an authorisation is sent
        self.spoil: Any = None  # what is done to a value or an answer
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.tokens: set[str] = set()
        self.activations: dict[str, list[str]] = {}
        self.numbers = itertools.count()  # callers come at the same time
        self.waiting: dict[str, list[str]] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    status, answer = 200, service.answer(self.path, body, self.headers.get("Authorization", ""))
                except Refused as refused:
                    status, answer = refused.status, {"error": refused.code, "error_description": "no: secret words"}
                octets = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                if service.redirect and self.path.endswith("/authorize"):
                    status = 307
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", str(service.redirect))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.address}/csc/v{version}"

    def answer(self, path: str, body: bytes, authorization: str) -> Any:
        if path == "/oauth/token":
            expected = "Basic " + base64.b64encode(b"van-phong:bi-mat").decode()
            if authorization != expected or b"grant_type=client_credentials" not in body:
                raise Refused("invalid_client", 401)
            return self._signed_in()
        asked = json.loads(body)
        method = path.removeprefix(f"/csc/v{self.version}/")
        self.calls.append((method, asked))
        if method == "auth/login":
            if authorization != "Basic " + base64.b64encode(b"van-phong:bi-mat").decode():
                raise Refused("access_denied", 401)
            return self._signed_in()
        if authorization.removeprefix("Bearer ") not in self.tokens:
            raise Refused("invalid_token", 401)
        handler = {
            "credentials/info": self.info,
            "credentials/authorize": self.authorize,
            "signatures/signHash": self.sign,
            "signatures/signPolling": self.poll,
        }[method]
        found = handler(asked)
        return self.spoil(method, found) if self.spoil else found

    def _signed_in(self) -> dict[str, Any]:
        token = f"token-{len(self.tokens)}"
        self.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.token_life}

    def info(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["credentialID"] != "khoa-1":
            raise Refused("invalid_request")
        certificates = [base64.b64encode(der).decode() for der in self.chain]
        found: dict[str, Any] = {
            "key": {"status": self.status, "algo": self.algorithms, "len": 2048},
            "cert": {"status": "valid", "certificates": certificates},
        }
        mode = "explicit" if self.pin or self.otp else "implicit"
        if self.version == 1:
            found |= {"authMode": mode, "SCAL": "2", "multisign": 1}
            found["PIN"] = {"presence": "true" if self.pin else "false"}
            found["OTP"] = {"presence": "true" if self.otp else "false"}
            return found
        objects: list[dict[str, str]] = []
        if self.pin:
            objects.append({"type": "Password", "id": "PIN", "format": "N"})
        if self.otp:
            objects.append({"type": "Password", "id": "OTP", "format": "N", "generator": "totp"})
        return found | {"auth": {"mode": mode, "objects": objects}, "multisign": 1, "SCAL": "2"}

    def authorize(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.refusal is not None:
            raise Refused(*self.refusal)
        given = {e["id"]: e["value"] for e in asked.get("authData", [])} if self.version == 2 else asked
        if self.pin and given.get("PIN") != self.pin:
            raise Refused("invalid_pin")
        hashed = asked["hashes" if self.version == 2 else "hash"]
        assert asked["numSignatures"] == len(hashed) == 1
        activation = f"SAD-{next(self.numbers)}"
        self.activations[activation] = hashed
        return {"SAD": activation, "expiresIn": 300}

    def sign(self, asked: dict[str, Any]) -> dict[str, Any]:
        hashed = asked["hashes" if self.version == 2 else "hash"]
        if self.activations.pop(asked["SAD"], None) != hashed:
            raise Refused("invalid_request")
        kind = HASHES[asked["hashAlgorithmOID" if self.version == 2 else "hashAlgo"]]
        assert asked["signAlgo"] in (*self.algorithms, "1.2.840.113549.1.1.1")
        values = [base64.b64encode(self._value(base64.b64decode(h), kind, asked)).decode() for h in hashed]
        if self.asynchronous:
            self.waiting["lau-1"] = values
            return {"responseID": "lau-1"}
        return {"signatures": values}

    def poll(self, asked: dict[str, Any]) -> dict[str, Any]:
        values = self.waiting.get(asked["responseID"])
        assert values is not None
        if not any(method == "signatures/signPolling" for method, _ in self.calls[:-1]):
            return {}  # not yet
        return {"signatures": values}

    def _value(self, digest: bytes, kind: hashes.HashAlgorithm, asked: dict[str, Any]) -> bytes:
        made = utils.Prehashed(kind)
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            value = self.key.sign(digest, ec.ECDSA(made))
            if not self.raw_pairs:
                return value
            size = (self.key.key_size + 7) // 8
            return b"".join(number.to_bytes(size) for number in utils.decode_dss_signature(value))
        if asked["signAlgo"] == "1.2.840.113549.1.1.10":
            from asn1crypto.algos import RSASSAPSSParams

            wanted = RSASSAPSSParams.load(base64.b64decode(asked["signAlgoParams"]), strict=True).native
            assert (
                wanted["hash_algorithm"]["algorithm"]
                == kind.name
                == wanted["mask_gen_algorithm"]["parameters"]["algorithm"]
            )
            return bytes(self.key.sign(digest, padding.PSS(padding.MGF1(kind), wanted["salt_length"]), made))
        return bytes(self.key.sign(digest, padding.PKCS1v15(), made))


@contextmanager
def serving(server: CscServer) -> Iterator[CscServer]:
    """The service, while the block runs."""
    threading.Thread(target=server.server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
