"""Signers on PKCS#11 tokens, and reading what certificates are there."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.asn1 import der
from signsvc.errors import ConfigError, SignsvcError
from signsvc.keys import mechanisms, selection
from signsvc.keys.client import TokenClient
from signsvc.keys.framing import b64
from signsvc.keys.selection import TokenCertificate
from signsvc.keys.signer import CredentialInfo, check_request, check_value, describe
from signsvc.types import Certificate


class TokenSigner:
    """A `Signer` on a PKCS#11 token.  Made by `Keyring.get`."""

    def __init__(self, client: TokenClient, item: TokenCertificate, chain: tuple[Certificate, ...]) -> None:
        self._client = client
        self._item = item
        self._chain = chain
        self._modulus = _modulus(chain[0])
        self.failed = False

    @property
    def certificate(self) -> Certificate:
        return self._chain[0]

    @property
    def certificate_chain(self) -> tuple[Certificate, ...]:
        return self._chain

    def __repr__(self) -> str:
        return f"<TokenSigner {selection.identifier(self._item)} {self.certificate!r}>"

    def sign(self, digest: bytes, algorithm: SignatureAlgorithm, *, deadline: float | None = None) -> bytes:
        """See `Signer.sign`.  Without `deadline` the token has 60 s."""
        certificate = self.certificate
        check_request(certificate, digest, algorithm)
        salt = len(digest) if algorithm.salt_length is None else algorithm.salt_length
        fields = {
            "key_id": self._item.key_id,
            "key_label": self._item.label,
            "key_type": certificate.key_type,
            "modulus": b64(self._modulus),
            "public": b64(certificate.public_key_info) if certificate.key_type == "ec" else "",
            "scheme": str(algorithm.scheme),
            "digest": algorithm.digest,
            "mgf": algorithm.mgf_digest or algorithm.digest,
            "salt": salt,
            "data": b64(mechanisms.to_be_signed(certificate, algorithm, digest)),
        }
        try:
            token = self._item.token_label or None, self._item.token_serial or None
            raw = self._client.sign(*token, fields, deadline)
            value = mechanisms.signature_value(algorithm, raw)
            if algorithm.scheme is SignatureScheme.RSA_PSS and algorithm.salt_length is None:
                algorithm = SignatureAlgorithm(algorithm.scheme, algorithm.digest, salt, algorithm.mgf_digest)
            check_value(certificate, digest, algorithm, value)
        except SignsvcError:
            self.failed = True
            raise
        return value


def read_certificates(path: str, client: TokenClient, token: str | None) -> list[TokenCertificate]:
    found: list[TokenCertificate] = []
    for entry in client.certificates(token):
        for item in entry["objects"]:
            try:
                certificate = Certificate.from_der(item["der"])
            except der.DerError:
                continue
            found.append(
                TokenCertificate(
                    path, entry["label"], entry["serial"], entry["slot"], item["id"], item["label"], certificate
                )
            )
    return found


def info(name: str, item: TokenCertificate) -> CredentialInfo:
    return describe(
        item.certificate,
        name=name,
        kind="pkcs11",
        token_label=item.token_label,
        token_serial=item.token_serial,
        key_label=item.label,
        key_id=item.key_id,
    )


def _modulus(certificate: Certificate) -> bytes:
    if not certificate.key_type.startswith("rsa"):
        return b""
    try:
        number = certificate.public_key.public_numbers().n
    except ValueError:
        return b""
    return bytes(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def certificate_file(path: Path) -> Certificate:
    """One certificate, DER or PEM.  Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            data = file.read(1 << 20)
        found = re.search(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", data, re.DOTALL)
        return Certificate.from_der(base64.b64decode(found[1]) if found else data)
    except (OSError, ValueError):
        raise ConfigError(reason=f"the certificate file {path} cannot be read") from None
