"""Certificates from their Spec (RFC 5280 §4)."""

from __future__ import annotations

import hashlib
from datetime import datetime

from test_pki import der, signatures, spec
from test_pki.signatures import AnyKey
from test_pki.spec import Spec


def field(certificate: bytes, which: str) -> bytes:
    """One field of a certificate as raw DER: serial, issuer, validity, subject or public_key."""
    fields = der.children(der.children(certificate)[0])
    if fields[0][0] == 0xA0:
        fields = fields[1:]
    return fields[{"serial": 0, "issuer": 2, "validity": 3, "subject": 4, "public_key": 5}[which]]


def serial_number(certificate: bytes) -> int:
    """The serial number of a certificate."""
    return int.from_bytes(der.content(field(certificate, "serial")), "big", signed=True)


def default_serial(label: str, item: Spec, epoch: datetime) -> int:
    """A positive 63-bit serial, stable for the same label and validity."""
    start, end = (spec.moment(value, epoch).isoformat() for value in (item.not_before, item.not_after))
    seed = hashlib.sha256(f"{label}|{item.issuer}|{start}|{end}".encode()).digest()
    return int.from_bytes(seed[:8], "big") >> 1 | 1


def build(
    label: str,
    item: Spec,
    epoch: datetime,
    subject_key: AnyKey,
    issuer_key: AnyKey,
    issuer_certificate: bytes | None,
) -> bytes:
    """The certificate of *item*, DER; self-signed when *issuer_certificate* is None."""
    info = signatures.public_info(subject_key, item.pss_only)
    subject = der.name(item.subject, item.ascii_names)
    issuer = field(issuer_certificate, "subject") if issuer_certificate else subject
    issuer_info = field(issuer_certificate, "public_key") if issuer_certificate else info
    algorithm = signatures.signature_algorithm(issuer_key, item.digest, item.pss)
    serial = default_serial(label, item, epoch) if item.serial is None else item.serial
    tbs = der.seq(
        der.explicit(0, der.integer(2)),
        der.integer(serial),
        algorithm,
        issuer,
        der.seq(
            der.time(spec.moment(item.not_before, epoch)),
            der.time(spec.moment(item.not_after, epoch)),
        ),
        subject,
        info,
        der.explicit(3, der.seq(*_extensions(item, info, issuer_info, issuer_certificate))),
    )
    return der.seq(tbs, algorithm, der.bits(signatures.sign(issuer_key, tbs, item.digest, item.pss)))


def _extensions(item: Spec, info: bytes, issuer_info: bytes, issuer_certificate: bytes | None) -> list[bytes]:
    out: list[bytes] = []

    def add(oid: str, value: bytes, critical: bool = False) -> None:
        flag = der.boolean(True) if critical else b""
        out.append(der.seq(der.oid(oid), flag, der.octets(value)))

    if item.ca:
        length = b"" if item.path_len is None else der.integer(item.path_len)
        add("2.5.29.19", der.seq(der.boolean(True), length), critical=True)
    if item.ski:
        add("2.5.29.14", der.octets(signatures.key_identifier(info)))
    if item.aki != "none" and issuer_certificate is not None:
        parts = [der.implicit(0, signatures.key_identifier(issuer_info))]
        if item.aki == "dirname":
            parts.append(der.explicit(1, der.explicit(4, field(issuer_certificate, "issuer"))))
            parts.append(der.implicit(2, der.content(field(issuer_certificate, "serial"))))
        add("2.5.29.35", der.seq(*parts))
    if item.key_usage:
        positions = [spec.KEY_USAGE.index(usage) for usage in item.key_usage]
        add("2.5.29.15", der.named_bits(*positions), critical=True)
    if item.eku:
        add("2.5.29.37", der.seq(*map(der.oid, item.eku)), item.eku_critical)
    if item.emails:
        names = [der.implicit(1, email.encode("ascii")) for email in item.emails]
        add("2.5.29.17", der.seq(*names))
    if issuer_certificate is not None:
        access, points = _addresses(item)
        if access:
            add("1.3.6.1.5.5.7.1.1", access)
        if points:
            add("2.5.29.31", points)
    if item.policies:
        qualifier = der.seq(der.oid("1.3.6.1.5.5.7.2.1"), der.ia5(f"http://{spec.AIA_HOST}/cps"))
        add("2.5.29.32", der.seq(*(der.seq(der.oid(policy), der.seq(qualifier)) for policy in item.policies)))
    if item.comment:
        add("2.16.840.1.113730.1.13", der.ia5(item.comment))
        add("2.5.29.18", der.seq())  # the empty issuerAltName that G1 certificates carry
    if item.nocheck:
        add("1.3.6.1.5.5.7.48.1.5", der.null())
    for oid, critical, value in item.extra:
        add(oid, value, critical)
    return out


def _addresses(item: Spec) -> tuple[bytes, bytes]:
    """AuthorityInfoAccess and CRLDistributionPoints values, empty where there is nothing to say."""
    ocsp = (spec.ocsp_url(item.issuer),) if item.ocsp_urls is None else item.ocsp_urls
    issuers = (spec.aia_url(item.issuer),) if item.aia_urls is None else item.aia_urls
    lists = (spec.crl_url(item.issuer),) if item.crl_urls is None else item.crl_urls
    access = [der.seq(der.oid("1.3.6.1.5.5.7.48.1"), _uri(url)) for url in ocsp]
    access += [der.seq(der.oid("1.3.6.1.5.5.7.48.2"), _uri(url)) for url in issuers]
    points = [der.seq(der.explicit(0, der.explicit(0, _uri(url)))) for url in lists]
    return der.seq(*access) if access else b"", der.seq(*points) if points else b""


def _uri(url: str) -> bytes:
    return der.implicit(6, url.encode("ascii"))
