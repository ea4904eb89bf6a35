"""CRL distribution points, for matching a certificate with the list that covers it (RFC 5280 §6.3.3)."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from signsvc.asn1 import der, encode
from signsvc.asn1.der import DerError, Tlv
from signsvc.types import Certificate, names

_MAX_NAMES = 100


@dataclass(frozen=True, slots=True)
class PointNames:
    """One DistributionPoint: its names, each comparable, cRLIssuer as DER Names, and its reasons."""

    names: frozenset[object] = frozenset()
    issuers: tuple[bytes, ...] = ()
    reasons: frozenset[int] | None = None  # None: all

    @classmethod
    def read(cls, buf: bytes, element: Tlv, issuer_der: bytes) -> PointNames:
        """From the [0] field that holds a DistributionPointName.  Raises `DerError`."""
        return cls(_point_name(buf, element, issuer_der))


@functools.lru_cache(maxsize=1024)
def point_names(certificate: Certificate) -> tuple[PointNames, ...]:
    """The certificate's CRL distribution points; empty where it has none.  Raises `DerError`."""
    raw = certificate.extension("2.5.29.31")
    if raw is None:
        return ()
    found: list[PointNames] = []
    for point in der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=_MAX_NAMES):
        parts = {p.tag: p for p in der.children(raw, point, limit=3)}
        issuers: tuple[bytes, ...] = ()
        if 0xA2 in parts:
            issuers = tuple(
                der.read(raw, n.content, n.end).full(raw)
                for n in der.children(raw, parts[0xA2], limit=_MAX_NAMES)
                if n.tag == 0xA4
            )
        base = issuers[0] if issuers else certificate.issuer_der
        own = _point_name(raw, parts[0xA0], base) if 0xA0 in parts else frozenset()
        found.append(PointNames(own, issuers, reason_flags(raw, parts[0x81]) if 0x81 in parts else None))
    return tuple(found)


def reason_flags(buf: bytes, element: Tlv) -> frozenset[int]:
    """The bits of ReasonFlags (RFC 5280 §4.2.1.13).  Raises `DerError`."""
    raw = element.value(buf)
    if not 1 <= len(raw) <= 3 or raw[0] > 7:
        raise DerError("malformed reasons")
    return frozenset(n for n in range(8 * (len(raw) - 1) - raw[0]) if raw[1 + n // 8] & 0x80 >> n % 8)


def freshest_urls(raw: bytes) -> tuple[str, ...]:
    """The http addresses of a freshestCRL extension (RFC 5280 §4.2.1.15, §5.2.6), in order; none where it is
    malformed."""
    found: list[str] = []
    try:
        for point in der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=_MAX_NAMES):
            for part in der.children(raw, point, limit=3):
                if part.tag == 0xA0:
                    choice = der.read(raw, part.content, part.end)
                    if choice.tag == 0xA0:
                        values = (n.value(raw) for n in der.children(raw, choice, limit=_MAX_NAMES) if n.tag == 0x86)
                        found += [v.decode("ascii") for v in values if v.isascii()]
    except (DerError, IndexError):
        return ()
    return tuple(dict.fromkeys(url for url in found if url.lower().startswith(("http://", "https://"))))


def names_match(point: PointNames, of_certificate: PointNames) -> bool:
    """Whether a list's distribution point is this one of the certificate (RFC 5280 §6.3.3 (b)(2)(i))."""
    if of_certificate.names:
        return not point.names.isdisjoint(of_certificate.names)
    return not point.names.isdisjoint(_comparable(n) for n in of_certificate.issuers)


def _point_name(buf: bytes, element: Tlv, issuer_der: bytes) -> frozenset[object]:
    choice = der.read(buf, element.content, element.end)
    if choice.tag == 0xA0:
        return frozenset(_general_name(buf, n) for n in der.children(buf, choice, limit=_MAX_NAMES))
    if choice.tag == 0xA1:
        whole = der.read_all(issuer_der, tag=der.SEQUENCE)
        relative = encode(der.SET, choice.value(buf))
        return frozenset((_comparable(encode(der.SEQUENCE, whole.value(issuer_der), relative)),))
    raise DerError("malformed distribution point name")


def _general_name(buf: bytes, name: Tlv) -> object:
    if name.tag == 0xA4:
        return _comparable(der.read(buf, name.content, name.end).full(buf))
    return name.tag, name.value(buf)


def _comparable(name_der: bytes) -> object:
    return "name", names.normalized(name_der)
