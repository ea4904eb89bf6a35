"""Signed PDF files of every kind at any time: one CMS by its options, tokens over its value, validation data behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import test_pki
from test_pki import timestamps
from tests.pdf_writer import PdfWriter

SIGNATURE_TIMESTAMP = "1.2.840.113549.1.9.16.2.14"
CONTENT_TIMESTAMP = "1.2.840.113549.1.9.16.2.20"

ROOM = 48_000  # hexadecimal digits: two tokens with their chains
Token = Callable[[bytes], bytes]  # from the octets that are stamped


def token(pki: test_pki.Pki, at: datetime, **options: Any) -> Token:
    """A token at `at`; `over` stamps other octets than it is given, the rest is for `Pki.timestamp`."""
    over = options.pop("over", None)
    name = options.get("hash", "sha256")

    def make(data: bytes) -> bytes:
        digest = hashlib.new(name, data if over is None else over).digest()
        return pki.timestamp(digest, at=at, **options)

    return make


def maker(
    pki: test_pki.Pki,
    label: str = "person",
    *,
    digest: str = "sha256",
    reference: str | None = "sha256",
    referenced: str | None = None,
    pss: bool = False,
    flip: bool = False,
    key: str | None = None,
    include: Sequence[str] | None = None,
    attributes: Sequence[bytes] = (),
    tokens: Sequence[Token] = (),
    content_tokens: Sequence[Token] = (),
    over: Callable[[bytes], bytes] = lambda covered: covered,
) -> Callable[[bytes], bytes]:
    """What makes the CMS of `label` from the covered octets, for `PdfWriter.sign(cms=...)`.

    `referenced`: whose certificate the signing-certificate attribute names instead; `over`: other octets to sign.
    """
    certificate = pki.cert(label)
    certificates = pki.chain(label)[:-1] if include is None else [pki.cert(name) for name in include]

    def make(covered: bytes) -> bytes:
        covered = over(covered)
        signed = list(attributes)
        if reference:
            signed.append(timestamps.signing_certificate(pki.cert(referenced or label), reference))
        signed += [timestamps.attribute(CONTENT_TIMESTAMP, one(covered)) for one in content_tokens]

        def unsigned(value: bytes) -> list[bytes]:
            return [timestamps.attribute(SIGNATURE_TIMESTAMP, *(one(value) for one in tokens))] if tokens else []

        return timestamps.signed_data(
            None,
            hashlib.new(digest, covered).digest(),
            pki.key(key or label),
            certificate,
            attributes=signed,
            unsigned=unsigned,
            include=certificates,
            digest=digest,
            pss=pss,
            flip=flip,
        )

    return make


def claiming(at: datetime) -> bytes:
    """The entry of a signature dictionary that claims a signing time."""
    return b" /M (D:%s+00'00')" % at.strftime("%Y%m%d%H%M%S").encode()


def signed(
    pki: test_pki.Pki,
    label: str = "person",
    *,
    style: str = "table",
    claimed: datetime | None = None,
    extra: bytes = b"",
    **options: Any,
) -> PdfWriter:
    """A file that `label` signed, by its own word nine days after the epoch; `options` are those of `maker`."""
    pdf = PdfWriter(style=style)
    entries = claiming(claimed or pki.epoch + timedelta(days=9)) + extra
    pdf.sign(pki, label, style=style, room=ROOM, extra=entries, cms=maker(pki, label, **options))
    return pdf


def stamp(pdf: PdfWriter, pki: test_pki.Pki, made: Token, name: str = "Stamp") -> None:
    """Append a document timestamp."""
    pdf.sign(pki, name=name, sub_filter="ETSI.RFC3161", kind=b" /Type /DocTimeStamp", cms=made, extra=b"")


def chain_of(pki: test_pki.Pki, *labels: str) -> list[str]:
    """Labels of the certificates below the roots, of several signers and authorities, each once."""
    found: dict[str, None] = {}
    for label in labels:
        while (issuer := pki.issuer(label)) != label:
            found[label] = None
            label = issuer
    return list(found)


def values(
    pki: test_pki.Pki, *labels: str, at: datetime, lists: Sequence[str] = (), until: timedelta = timedelta(days=7)
) -> dict[str, list[bytes]]:
    """What a DSS holds for these signers: certificates, OCSP answers about end certificates, CRLs about authorities.

    End certificates in `lists` are spoken of by a CRL instead.
    """
    members = chain_of(pki, *labels)
    roots = {pki.chain(label)[-1]: None for label in labels}
    by_list = {pki.issuer(m) for m in members if pki.spec(m).ca or m in lists}
    return {
        "Certs": [pki.cert(m) for m in members] + list(roots),
        "OCSPs": [pki.ocsp(m, at=at) for m in members if not pki.spec(m).ca and m not in lists],
        "CRLs": [pki.crl(issuer, at, until) for issuer in sorted(by_list)],
    }
