"""Time-stamp tokens and responses (RFC 3161 §2.4, RFC 5816), and the CMS SignedData under them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from test_pki import certificates, der, signatures
from test_pki.signatures import AnyKey

TST_INFO = "1.2.840.113549.1.9.16.1.4"
DATA = "1.2.840.113549.1.7.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"


def attribute(oid: str, *values: bytes) -> bytes:
    """One CMS Attribute."""
    return der.seq(der.oid(oid), der.set_of(*values))


def signing_certificate(certificate: bytes, algorithm: str = "sha256") -> bytes:
    """The SigningCertificate (SHA-1) or SigningCertificateV2 attribute that binds *certificate* (RFC 5035)."""
    serial = certificates.field(certificate, "serial")
    issuer = der.seq(der.seq(der.explicit(4, certificates.field(certificate, "issuer"))), serial)
    value = der.octets(signatures.digest(certificate, algorithm))
    if algorithm == "sha1":
        return attribute("1.2.840.113549.1.9.16.2.12", der.seq(der.seq(der.seq(value, issuer))))
    chosen = b"" if algorithm == "sha256" else signatures.digest_algorithm(algorithm)
    return attribute("1.2.840.113549.1.9.16.2.47", der.seq(der.seq(der.seq(chosen, value, issuer))))


def signed_data(
    content: bytes | None,
    content_digest: bytes,
    key: AnyKey,
    certificate: bytes,
    *,
    content_type: str = DATA,
    attributes: Iterable[bytes] = (),
    unsigned: Iterable[bytes] | Callable[[bytes], Iterable[bytes]] = (),
    include: Iterable[bytes] = (),
    digest: str = "sha256",
    pss: bool = False,
    flip: bool = False,
) -> bytes:
    """A CMS ContentInfo with one SignerInfo (RFC 5652 §5), DER.

    *content* None makes it detached; contentType and messageDigest attributes are added to *attributes*;
    *flip* breaks the signature value by one bit; *unsigned* may be made from the signature value.
    """
    signed = [
        attribute("1.2.840.113549.1.9.3", der.oid(content_type)),
        attribute("1.2.840.113549.1.9.4", der.octets(content_digest)),
        *attributes,
    ]
    as_set = der.set_of(*signed)
    value = bytearray(signatures.sign(key, as_set, digest, pss))
    if flip:
        value[-1] ^= 1
    algorithm = signatures.signature_algorithm(key, digest, pss)
    later = der.set_of(*(unsigned(bytes(value)) if callable(unsigned) else unsigned))
    signer = der.seq(
        der.integer(1),
        der.seq(certificates.field(certificate, "issuer"), certificates.field(certificate, "serial")),
        signatures.digest_algorithm(digest),
        b"\xa0" + as_set[1:],
        algorithm,
        der.octets(bytes(value)),
        b"\xa1" + later[1:] if der.content(later) else b"",
    )
    certs = sorted(set(include))
    body = der.seq(
        der.integer(1 if content_type == DATA else 3),
        der.set_of(signatures.digest_algorithm(digest)),
        der.seq(der.oid(content_type), der.explicit(0, der.octets(content)) if content is not None else b""),
        der.explicit(0, *certs) if certs else b"",
        der.set_of(signer),
    )
    return der.seq(der.oid(_SIGNED_DATA), der.explicit(0, body))


def tst_info(
    imprint: bytes,
    *,
    at: datetime,
    algorithm: str,
    policy: str,
    serial: int,
    nonce: int | None,
    accuracy: int | None = 1,
) -> bytes:
    """TSTInfo; *accuracy* in whole seconds."""
    return der.seq(
        der.integer(1),
        der.oid(policy),
        der.seq(der.seq(der.oid(algorithm), der.null()), der.octets(imprint)),
        der.integer(serial),
        der.generalized_time(at),
        der.seq(der.integer(accuracy)) if accuracy is not None else b"",
        der.integer(nonce) if nonce is not None else b"",
    )


def response(token: bytes | None, status: int = 0, text: str = "", failure: int | None = None) -> bytes:
    """TimeStampResp; *status* 0 granted, 1 grantedWithMods, 2 rejection; *failure* a PKIFailureInfo bit."""
    info = der.seq(
        der.integer(status),
        der.seq(der.utf8(text)) if text else b"",
        der.named_bits(failure) if failure is not None else b"",
    )
    return der.seq(info, token or b"")
