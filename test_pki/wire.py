"""Reading what clients ask: OCSP requests (RFC 6960 §4.1) and time-stamp requests (RFC 3161 §2.4.1)."""

from __future__ import annotations

from dataclasses import dataclass

from test_pki import der


class BadRequestError(ValueError):
    """The request cannot be read."""


@dataclass(frozen=True, slots=True)
class OcspAsked:
    """CertIDs as sent, and the contents of the nonce's OCTET STRING."""

    cert_ids: tuple[bytes, ...]
    nonce: bytes | None


@dataclass(frozen=True, slots=True)
class StampAsked:
    """A time-stamp request; *algorithm* and *policy* are dotted OIDs."""

    imprint: bytes
    algorithm: str
    policy: str | None
    nonce: int | None
    wants_certificate: bool


def dotted(element: bytes) -> str:
    """Dotted form of an OBJECT IDENTIFIER element."""
    arcs, value = [], 0
    for octet in der.content(element):
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def ocsp_request(data: bytes) -> OcspAsked:
    """An OCSPRequest; BadRequestError when it is none."""
    try:
        fields = der.children(der.children(data)[0])
        listed = next(field for field in fields if field[0] == 0x30)
        cert_ids = tuple(der.children(one)[0] for one in der.children(listed))
        nonce = None
        for field in fields:
            if field[0] == 0xA2:
                for extension in der.children(der.children(field)[0]):
                    parts = der.children(extension)
                    if dotted(parts[0]) == "1.3.6.1.5.5.7.48.1.2":
                        nonce = der.content(der.content(parts[-1]))
    except (IndexError, ValueError, StopIteration) as error:
        raise BadRequestError("not an OCSP request") from error
    return OcspAsked(cert_ids, nonce)


def serial(cert_id: bytes) -> int:
    """The serial number inside a CertID."""
    return int.from_bytes(der.content(der.children(cert_id)[3]), "big", signed=True)


def hash_algorithm(cert_id: bytes) -> str:
    """Dotted OID of a CertID's hash."""
    return dotted(der.children(der.children(cert_id)[0])[0])


def stamp_request(data: bytes) -> StampAsked:
    """A TimeStampReq; BadRequestError when it is none."""
    try:
        _, imprint, *rest = der.children(data)
        algorithm, digest = der.children(imprint)
        policy = nonce = None
        wants = False
        for field in rest:
            if field[0] == 0x06:
                policy = dotted(field)
            elif field[0] == 0x02:
                nonce = int.from_bytes(der.content(field), "big", signed=True)
            elif field[0] == 0x01:
                wants = der.content(field) != b"\0"
        return StampAsked(der.content(digest), dotted(der.children(algorithm)[0]), policy, nonce, wants)
    except (IndexError, ValueError) as error:
        raise BadRequestError("not a time-stamp request") from error
