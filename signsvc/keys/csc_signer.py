"""A `Signer` whose key is kept by a remote service (CSC API): each digest is authorised and signed there.

One wrong PIN stops: the same PIN is not sent a second time (`one_try`).  Keys that want a one-time password need
their holder each time and are refused for unattended signing.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme, digest_by_name
from signsvc.asn1 import DerError, encode, encode_integer, encode_oid
from signsvc.errors import ConfigError, CredentialError, SignsvcError, TokenError
from signsvc.keys.csc_client import CscClient, CscRefusedError, octets, unavailable
from signsvc.keys.one_try import Offer, OneTry
from signsvc.keys.pins import PinSource
from signsvc.keys.signer import check_request, check_value, order_chain
from signsvc.types import Certificate

_RSA = "1.2.840.113549.1.1.1"
_PSS = "1.2.840.113549.1.1.10"
_MGF1 = "1.2.840.113549.1.1.8"
_RSA_WITH = {
    "sha256": "1.2.840.113549.1.1.11",
    "sha384": "1.2.840.113549.1.1.12",
    "sha512": "1.2.840.113549.1.1.13",
}
_ECDSA_WITH = {"sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3", "sha512": "1.2.840.10045.4.3.4"}
_NULL = b"\x05\x00"
_POLL = 0.5  # seconds between questions for the result of an asynchronous call
_MAX_CHAIN = 20
# Refusals of an authorisation that are not about the PIN.
_OTHER_CAUSES = ("invalid_otp", "invalid_token", "expired_token", "unauthorized_client", "temporarily_unavailable")


@dataclass(frozen=True, slots=True)
class CscConfig:
    """One remote key: `id` here, `credential` there, `pin_source` for keys that ask for a PIN."""

    id: str
    credential: str
    pin_source: str | None = None


class CscSigner:
    """A remote key.  Thread-safe."""

    def __init__(
        self, client: CscClient, config: CscConfig, *, tries: OneTry | None = None, timeout: float = 30.0
    ) -> None:
        """Asks the service for the credential.  `tries` remembers the PIN beyond this signer.

        Raises `CredentialError` ``credential_not_found``, ``credential_disabled``, ``remote_key_needs_person``;
        `UpstreamError` ``remote_key_unavailable``, ``remote_key_refused``; `TokenError` ``pin_required``.
        """
        self._client = client
        self._config = config
        self._timeout = timeout
        self._tries = tries or OneTry((client.url, config.credential))
        found = self._info()
        self._chain = _chain(found)
        self._algorithms = _texts(_table(found, "key").get("algo"))
        auth = _table(found, "auth") if client.version == 2 else {"mode": found.get("authMode")}
        self._pin = _wants(found, auth, "PIN")
        if _wants(found, auth, "OTP") or auth.get("mode") not in ("implicit", "explicit"):
            raise CredentialError("remote_key_needs_person")
        if auth.get("mode") == "implicit":
            self._pin = None

    @property
    def certificate(self) -> Certificate:
        return self._chain[0]

    @property
    def certificate_chain(self) -> tuple[Certificate, ...]:
        return self._chain

    def __repr__(self) -> str:
        return f"<CscSigner {self._config.id}>"

    def sign(self, digest: bytes, algorithm: SignatureAlgorithm, *, deadline: float | None = None) -> bytes:
        """See `Signer.sign`; besides, `UpstreamError` ``remote_key_unavailable`` and ``remote_key_refused``."""
        check_request(self.certificate, digest, algorithm)
        until = time.monotonic() + self._timeout
        deadline = until if deadline is None else min(deadline, until)
        hashed = base64.b64encode(digest).decode("ascii")
        activation = self._authorise(hashed, algorithm, deadline)
        body: dict[str, Any] = {"credentialID": self._config.credential, "SAD": activation}
        body |= self._hashes(hashed, algorithm) | self._algorithm(algorithm)
        answer = self._call("signatures/signHash", body, deadline)
        while "signatures" not in answer and isinstance(answer.get("responseID"), str):
            if time.monotonic() + _POLL > deadline:
                raise unavailable("deadline")
            time.sleep(_POLL)
            answer = self._call("signatures/signPolling", {"responseID": answer["responseID"]}, deadline) | {
                "responseID": answer["responseID"]
            }
        values = answer.get("signatures")
        if not isinstance(values, list) or len(values) != 1:
            raise unavailable("protocol")
        value = _as_der(octets(values[0]), self.certificate, algorithm)
        check_value(self.certificate, digest, algorithm, value)
        return value

    # the parts of a signature ----------------------------------------------------------------------------------
    def _authorise(self, hashed: str, algorithm: SignatureAlgorithm, deadline: float) -> str:
        body: dict[str, Any] = {"credentialID": self._config.credential, "numSignatures": 1}
        body |= self._hashes(hashed, algorithm, authorising=True)
        with ExitStack() as stack:
            offer: Offer | None = None
            if self._pin is not None:
                if self._config.pin_source is None:
                    raise TokenError("pin_required", hint="pin")
                offer = stack.enter_context(self._tries.offer(PinSource.parse(self._config.pin_source)))
                pin = offer.secret.reveal()
                body |= {"authData": [{"id": self._pin, "value": pin}]} if self._client.version == 2 else {"PIN": pin}
            try:
                answer = self._client.call("credentials/authorize", body, deadline=deadline, once=offer is not None)
            except CscRefusedError as refused:
                error = _worded(refused)
                if offer is not None:
                    _judge(offer, refused, error)
                raise error from None
            if offer is not None:
                offer.accepted()
        activation = answer.get("SAD")
        if not isinstance(activation, str) or not activation:
            # an answer with a handle waits for a person on another device
            raise CredentialError("remote_key_needs_person")
        return activation

    def _hashes(self, hashed: str, algorithm: SignatureAlgorithm, *, authorising: bool = False) -> dict[str, Any]:
        found = digest_by_name(algorithm.digest or "")
        oid = found.oid if found is not None else ""
        if self._client.version == 2:
            return {"hashes": [hashed], "hashAlgorithmOID": oid}
        return {"hash": [hashed]} if authorising else {"hash": [hashed], "hashAlgo": oid}

    def _algorithm(self, algorithm: SignatureAlgorithm) -> dict[str, str]:
        digest = algorithm.digest or ""
        if algorithm.scheme is SignatureScheme.ECDSA:
            return {"signAlgo": _ECDSA_WITH[digest]}
        if algorithm.scheme is SignatureScheme.RSA_PSS:
            parameters = base64.b64encode(_pss_parameters(algorithm)).decode("ascii")
            return {"signAlgo": _PSS, "signAlgoParams": parameters}
        whole = _RSA_WITH[digest]
        return {"signAlgo": _RSA if _RSA in self._algorithms and whole not in self._algorithms else whole}

    def _info(self) -> dict[str, Any]:
        body = {"credentialID": self._config.credential, "certificates": "chain", "certInfo": True, "authInfo": True}
        found = self._call("credentials/info", body, time.monotonic() + self._timeout)
        if _table(found, "key").get("status") != "enabled":
            raise CredentialError("credential_disabled")
        return found

    def _call(self, method: str, body: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        try:
            return self._client.call(method, body, deadline=deadline)
        except CscRefusedError as refused:
            raise _worded(refused, about=method) from None


def _worded(refused: CscRefusedError, about: str = "") -> SignsvcError:
    if "pin" in refused.code.split("_"):
        return TokenError("pin_locked") if "lock" in refused.code else TokenError("pin_incorrect", tries_left="few")
    if refused.code == "invalid_otp":
        return CredentialError("remote_key_needs_person")
    if about == "credentials/info" and refused.code == "invalid_request":
        return CredentialError("credential_not_found")
    return refused.worded()


def _judge(offer: Offer, refused: CscRefusedError, error: SignsvcError) -> None:
    """Whether the PIN that was sent is to blame.  Services have words of their own: what may mean a wrong PIN is not
    sent again by this process unless the service has accepted it before."""
    if isinstance(error, TokenError):
        offer.refused(error)
    elif not offer.proven and refused.code not in _OTHER_CAUSES:
        offer.refused(error, lasting=False)


def _table(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> frozenset[str]:
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()


def _wants(found: Mapping[str, Any], auth: Mapping[str, Any], name: str) -> str | None:
    """The id under which the service wants a PIN or OTP; None where it wants none."""
    if "objects" in auth and isinstance(auth["objects"], list):
        for item in auth["objects"]:
            if isinstance(item, dict) and str(item.get("type")).lower() in ("password", "otp", "pin"):
                own = str(item.get("id") or item.get("type"))
                kind = "OTP" if item.get("generator") or "otp" in own.lower() else "PIN"
                if kind == name:
                    return own
        return None
    presence = _table(found, name).get("presence")
    return name if presence in ("true", True) else None


def _chain(found: Mapping[str, Any]) -> tuple[Certificate, ...]:
    texts = _table(found, "cert").get("certificates")
    if not isinstance(texts, list) or not texts or len(texts) > _MAX_CHAIN:
        raise unavailable("protocol")
    try:
        certificates = tuple(Certificate.from_der(octets(text)) for text in texts)
    except DerError:
        raise unavailable("protocol") from None
    return order_chain(certificates[0], certificates[1:])


def _pss_parameters(algorithm: SignatureAlgorithm) -> bytes:
    """RSASSA-PSS-params (RFC 4055 §3.1)."""

    def identifier(name: str) -> bytes:
        found = digest_by_name(name)
        if found is None:
            raise ConfigError(reason="unknown digest algorithm")
        return encode(0x30, encode_oid(found.oid), _NULL)

    digest = algorithm.digest or ""
    mask = encode(0x30, encode_oid(_MGF1), identifier(algorithm.mgf_digest or digest))
    salt = algorithm.salt_length if algorithm.salt_length is not None else hashlib.new(digest).digest_size
    return encode(0x30, encode(0xA0, identifier(digest)), encode(0xA1, mask), encode(0xA2, encode_integer(salt)))


def _as_der(value: bytes, certificate: Certificate, algorithm: SignatureAlgorithm) -> bytes:
    """ECDSA values come as DER or, from some services, as r and s side by side (RFC 3279 §2.2.3, X9.62)."""
    if algorithm.scheme is not SignatureScheme.ECDSA:
        return value
    size = (((certificate.key_bits or 0) + 7) // 8) * 2
    if len(value) == size and not _is_pair(value):
        half = size // 2
        numbers = (int.from_bytes(value[:half]), int.from_bytes(value[half:]))
        return encode(0x30, *map(encode_integer, numbers))
    return value


def _is_pair(value: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    try:
        decode_dss_signature(value)
    except ValueError:
        return False
    return True


__all__ = ["CscConfig", "CscSigner"]
