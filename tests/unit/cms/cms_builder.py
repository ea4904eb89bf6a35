"""CMS structures of any shape, right and wrong, written with the test PKI's own DER writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import test_pki
from signsvc.algorithms import new_hash
from test_pki import certificates, der, signatures
from test_pki.timestamps import attribute, signing_certificate

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
DOCUMENT = b"the octets that are covered" * 40


def digest_of(octets: bytes = DOCUMENT) -> Callable[[str], bytes]:
    def digest(oid: str) -> bytes:
        made = new_hash(oid)
        made.update(octets)
        return made.digest()

    return digest


@dataclass
class Signer:
    """One SignerInfo; every part can be replaced."""

    pki: test_pki.Pki
    label: str = "person"
    content: bytes = DOCUMENT
    content_type: str | None = DATA
    digest: str = "sha256"
    pss: bool = False
    version: int = 1
    attributes: Sequence[bytes] | None = None  # in this order; None: the ordinary ones, in DER order
    extra: Sequence[bytes] = ()
    without: Sequence[str] = ()
    unsigned: Sequence[bytes] = ()
    signed: bool = True
    identifier: bytes | None = None
    signature: bytes | None = None
    algorithm: bytes | None = None
    digest_algorithm: bytes | None = None
    value: bytes = field(default=b"", init=False)

    def ordinary(self) -> dict[str, bytes]:
        found = {
            "1.2.840.113549.1.9.4": attribute(
                "1.2.840.113549.1.9.4", der.octets(signatures.digest(self.content, self.digest))
            ),
            "1.2.840.113549.1.9.16.2.47": signing_certificate(self.pki.cert(self.label), "sha256"),
        }
        if self.content_type is not None:
            found["1.2.840.113549.1.9.3"] = attribute("1.2.840.113549.1.9.3", der.oid(self.content_type))
        return {k: v for k, v in found.items() if k not in self.without}

    def encoded(self) -> bytes:
        key, certificate = self.pki.key(self.label), self.pki.cert(self.label)
        attributes = self.attributes
        if attributes is None:
            attributes = sorted([*self.ordinary().values(), *self.extra])
        as_set = der.tlv(0x31, *attributes)
        message = as_set if self.signed else self.content
        self.value = self.signature or signatures.sign(key, message, self.digest, self.pss)
        identifier = self.identifier or der.seq(
            certificates.field(certificate, "issuer"), certificates.field(certificate, "serial")
        )
        return der.seq(
            der.integer(self.version),
            identifier,
            self.digest_algorithm or signatures.digest_algorithm(self.digest),
            b"\xa0" + as_set[1:] if self.signed else b"",
            self.algorithm or signatures.signature_algorithm(key, self.digest, self.pss),
            der.octets(self.value),
            b"\xa1" + der.tlv(0x31, *self.unsigned)[1:] if self.unsigned else b"",
        )


def cms(
    *signers: Signer | bytes,
    content: bytes | None = None,
    content_type: str = DATA,
    certs: Sequence[bytes] | None = None,
    crls: Sequence[bytes] = (),
    digests: Sequence[str] = ("sha256",),
    version: int = 1,
    inner: bytes | None = None,
) -> bytes:
    """A ContentInfo; *inner* replaces the OCTET STRING of the content."""
    encoded = [s if isinstance(s, bytes) else s.encoded() for s in signers]
    if certs is None:
        first = next(s for s in signers if isinstance(s, Signer))
        certs = first.pki.chain(first.label)
    if content is not None:
        inner = der.octets(content)
    return der.seq(
        der.oid(SIGNED_DATA),
        der.explicit(
            0,
            der.seq(
                der.integer(version),
                der.set_of(*(signatures.digest_algorithm(d) for d in digests)),
                der.seq(der.oid(content_type), der.explicit(0, inner) if inner is not None else b""),
                der.explicit(0, *certs) if certs else b"",
                der.explicit(1, *crls) if crls else b"",
                der.tlv(0x31, *encoded),
            ),
        ),
    )


def codes(findings: object) -> list[str]:
    return [f.code for f in findings]  # type: ignore[attr-defined]
