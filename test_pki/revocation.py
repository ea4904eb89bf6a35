"""Revocation lists (RFC 5280 §5) and OCSP responses (RFC 6960 §4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from test_pki import certificates, der, signatures
from test_pki.signatures import AnyKey
from test_pki.spec import REASONS

Extensions = tuple[tuple[str, bool, bytes], ...]  # OID, critical, DER value
Entry = tuple[int, datetime, str]  # serial, revocation time, reason


def entry(serial: int, at: datetime, reason: str) -> bytes:
    """One revokedCertificates element."""
    code = REASONS[reason]
    extensions = b""
    if code:
        extensions = der.seq(der.seq(der.oid("2.5.29.21"), der.octets(der.enumerated(code))))
    return der.seq(der.integer(serial), der.time(at), extensions)


def crl(
    issuer_certificate: bytes,
    key: AnyKey,
    entries: Iterable[bytes],
    *,
    this_update: datetime,
    next_update: datetime | None,
    number: int,
    digest: str = "sha256",
    extra: Extensions = (),
) -> bytes:
    """CertificateList over encoded *entries*, DER; *next_update* None leaves the field out."""
    algorithm = signatures.signature_algorithm(key, digest)
    identifier = signatures.key_identifier(certificates.field(issuer_certificate, "public_key"))
    extensions = [
        der.seq(der.oid("2.5.29.35"), der.octets(der.seq(der.implicit(0, identifier)))),
        der.seq(der.oid("2.5.29.20"), der.octets(der.integer(number))),
    ]
    extensions += [_extension(*one) for one in extra]
    revoked = b"".join(entries)
    tbs = der.seq(
        der.integer(1),
        algorithm,
        certificates.field(issuer_certificate, "subject"),
        der.time(this_update),
        der.time(next_update) if next_update else b"",
        der.seq(revoked) if revoked else b"",
        der.explicit(0, der.seq(*extensions)),
    )
    return der.seq(tbs, algorithm, der.bits(signatures.sign(key, tbs, digest)))


def cert_id(issuer_certificate: bytes, serial: int, algorithm: str = "sha1") -> bytes:
    """CertID of the certificate *serial* of an issuer."""
    info = certificates.field(issuer_certificate, "public_key")
    bits = der.content(der.children(info)[1])[1:]
    subject = certificates.field(issuer_certificate, "subject")
    return der.seq(
        der.seq(der.oid(algorithm), der.null()),
        der.octets(signatures.digest(subject, algorithm)),
        der.octets(signatures.digest(bits, algorithm)),
        der.integer(serial),
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What an OCSP response says about one certificate."""

    cert_id: bytes
    status: str  # good | revoked | unknown
    revoked_at: datetime | None
    reason: str
    this_update: datetime
    next_update: datetime | None
    extra: Extensions = ()  # singleExtensions


def _extension(oid: str, critical: bool, value: bytes) -> bytes:
    return der.seq(der.oid(oid), der.boolean(True) if critical else b"", der.octets(value))


def _single(answer: Answer) -> bytes:
    if answer.status == "revoked":
        if answer.revoked_at is None:
            raise ValueError("a revoked answer needs a time")
        code = REASONS[answer.reason]
        reason = der.explicit(0, der.enumerated(code)) if code else b""
        status = der.explicit(1, der.generalized_time(answer.revoked_at), reason)
    else:
        status = der.implicit({"good": 0, "unknown": 2}[answer.status], b"")
    until = der.explicit(0, der.generalized_time(answer.next_update)) if answer.next_update else b""
    extra = der.explicit(1, der.seq(*(_extension(*one) for one in answer.extra))) if answer.extra else b""
    return der.seq(answer.cert_id, status, der.generalized_time(answer.this_update), until, extra)


def ocsp(
    answers: Iterable[Answer],
    key: AnyKey,
    signer: bytes,
    *,
    produced_at: datetime,
    include: tuple[bytes, ...],
    by_name: bool = False,
    nonce: bytes | None = None,
    digest: str = "sha256",
) -> bytes:
    """A successful OCSPResponse with a BasicOCSPResponse signed by *signer*'s key.

    *include* are the certificates sent along; *nonce* the contents of the nonce's OCTET STRING.
    """
    if by_name:
        identity = der.explicit(1, certificates.field(signer, "subject"))
    else:
        identifier = signatures.key_identifier(certificates.field(signer, "public_key"))
        identity = der.explicit(2, der.octets(identifier))
    extensions = b""
    if nonce is not None:
        value = der.octets(der.octets(nonce))
        extensions = der.explicit(1, der.seq(der.seq(der.oid("1.3.6.1.5.5.7.48.1.2"), value)))
    data = der.seq(
        identity, der.generalized_time(produced_at), der.seq(*(_single(answer) for answer in answers)), extensions
    )
    algorithm = signatures.signature_algorithm(key, digest)
    certs = der.explicit(0, der.seq(*include)) if include else b""
    basic = der.seq(data, algorithm, der.bits(signatures.sign(key, data, digest)), certs)
    return der.seq(der.enumerated(0), der.explicit(0, der.seq(der.oid("1.3.6.1.5.5.7.48.1.1"), der.octets(basic))))


def ocsp_error(code: int) -> bytes:
    """An OCSPResponse without an answer: 1 malformed, 2 internal, 3 try later, 5 sig required, 6 unauthorized."""
    return der.seq(der.enumerated(code))
