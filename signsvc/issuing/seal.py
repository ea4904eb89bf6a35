"""The service's own seal on what it says: with a credential like any other, or loudly without."""

from __future__ import annotations

import base64
import functools
import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.asn1 import der
from signsvc.errors import CredentialError
from signsvc.reports import svt

if TYPE_CHECKING:
    from signsvc.keys import Signer
    from signsvc.signing import SigningService
    from signsvc.signing.pool import SigningPool
    from signsvc.types import Certificate

# Tokens under this name are nobody's word: made where no seal credential is configured, with a key of that process.
UNSEALED = "unsealed"
_CURVES = {256: ("ES256", "sha256"), 384: ("ES384", "sha384"), 521: ("ES512", "sha512")}


class Sealer:
    """Seals reports.  `signer` None: there is no seal credential, PDF and XML stay as they are and tokens say so."""

    def __init__(
        self,
        signer: Signer | None = None,
        *,
        signing: Callable[[], SigningService | SigningPool] | None = None,
        level: str = "b-b",
        profiles: tuple[Path, ...] = (),
        spool: Path | None = None,
    ) -> None:
        """Reports are sealed by the profiles ``pades-<level>`` and ``xades-<level>``, looked for in `profiles` too;
        `spool` is where files are put while they are sealed."""
        self._signer = signer
        self._signing = signing
        self._level = level
        self._profiles = profiles
        self._spool = spool

    @property
    def sealed(self) -> bool:
        return self._signer is not None

    @property
    def certificate(self) -> Certificate | None:
        """That of the seal."""
        return None if self._signer is None else self._signer.certificate

    def opened(self, token: str) -> dict[str, Any] | None:
        """The claims of a token under this seal; None where it is not, whatever it says of itself: neither the key
        nor the algorithm is taken from it."""
        if self._signer is None or token.count(".") != 2:
            return None
        certificate = self._signer.certificate
        name, algorithm, size = _algorithm(certificate)
        signed, _, value = token.rpartition(".")
        try:
            octets = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        if (
            base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii") != value
            or svt.header(token).get("alg") != name
        ):
            return None
        if size and len(octets) != 2 * size:
            return None
        return svt.payload(token) if _fits(certificate, algorithm, signed.encode("ascii"), octets, size) else None

    def jwt(self, claimed: Mapping[str, Any]) -> str:
        """A token over `claimed` (RFC 7515, RFC 9321 §3.3): with the seal certificate and its chain in ``x5c``, or by a
        P-256 key of this process with ``kid`` "unsealed".  Raises what the key raises, `CredentialError`
        (``key_not_acceptable``) for a key that JWS has no name for."""
        if self._signer is None:
            return svt.encode(claimed, {"alg": "ES256", "kid": UNSEALED}, _sign_unsealed)
        signer = self._signer
        name, algorithm, size = _algorithm(signer.certificate)
        chain = [base64.b64encode(one.der).decode("ascii") for one in signer.certificate_chain]

        def sign(octets: bytes) -> bytes:
            value = signer.sign(hashlib.new(algorithm.digest or "sha256", octets).digest(), algorithm)
            return _pair(value, size) if size else value

        return svt.encode(claimed, {"alg": name, "x5c": chain}, sign)

    def pdf(self, octets: bytes) -> bytes:
        """The report with a PAdES signature of the seal credential; as it was where there is none.

        Raises what signing raises: a report that should be sealed never leaves without.
        """
        return self._enveloped(octets, f"pades-{self._level}")

    def xml(self, octets: bytes) -> bytes:
        """The report with an enveloped XAdES signature as its last element (TS 119 102-2, 4.2); see `pdf`."""
        return self._enveloped(octets, f"xades-{self._level}")

    def _enveloped(self, octets: bytes, name: str) -> bytes:
        if self._signer is None or self._signing is None:
            return octets
        from signsvc.signing import profiles

        with tempfile.TemporaryDirectory(prefix="seal-", dir=self._spool) as folder:
            source, target = Path(folder) / "report", Path(folder) / "sealed"
            source.write_bytes(octets)
            profile = profiles.load(name, self._profiles)
            self._signing().sign(source, target, profile=profile, signer=self._signer)
            return target.read_bytes()


def _algorithm(certificate: Certificate) -> tuple[str, SignatureAlgorithm, int]:
    """The name in JWS, the algorithm, and for ECDSA the octets of r and of s (RFC 7518 §3.1)."""
    if certificate.key_type == "rsa":
        return "RS256", SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256"), 0
    if certificate.key_type == "rsa-pss":
        return "PS256", SignatureAlgorithm(SignatureScheme.RSA_PSS, "sha256", 32, "sha256"), 0
    found = _CURVES.get(certificate.key_bits or 0) if certificate.key_type == "ec" else None
    if found is None:
        raise CredentialError("key_not_acceptable", type=certificate.key_type, bits=certificate.key_bits or 0)
    name, digest = found
    return name, SignatureAlgorithm(SignatureScheme.ECDSA, digest), -(-(certificate.key_bits or 0) // 8)


def _pair(value: bytes, size: int) -> bytes:
    """An ECDSA value (DER) as r and s side by side (RFC 7518 §3.4)."""
    r, s = der.children(value, der.read_all(value, tag=der.SEQUENCE), limit=2)
    return b"".join(der.decode_integer(value, one).to_bytes(size, "big") for one in (r, s))


def _fits(certificate: Certificate, algorithm: SignatureAlgorithm, signed: bytes, value: bytes, size: int) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
    from cryptography.x509 import load_der_x509_certificate

    key = load_der_x509_certificate(certificate.der).public_key()
    known: dict[str, hashes.HashAlgorithm] = {"sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
    digest = known.get(algorithm.digest or "", hashes.SHA256())
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            r, s = (int.from_bytes(half, "big") for half in (value[:size], value[size:]))
            key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey):
            pss = algorithm.scheme is SignatureScheme.RSA_PSS
            key.verify(value, signed, padding.PSS(padding.MGF1(digest), 32) if pss else padding.PKCS1v15(), digest)
        else:
            return False
    except InvalidSignature:
        return False
    return True


@functools.cache
def _key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _sign_unsealed(octets: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return _pair(_key().sign(octets, ec.ECDSA(hashes.SHA256())), 32)


__all__ = ["UNSEALED", "Sealer"]
