"""What each parser of hostile octets promises: an answer or its one kind of error, in bounded time."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signsvc.asn1 import DerError
from signsvc.errors import DocumentError

CORPUS = Path(__file__).parent / "fuzz" / "corpus"
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def pdf(data: bytes) -> None:
    from signsvc.formats import pades

    try:
        view = pades.read(data)
    except DocumentError as error:
        if error.code not in {"document_unreadable", "document_too_complex", "encrypted_document", "empty_document"}:
            raise
        return
    assert view.sha256 == hashlib.sha256(data).digest()
    for signature in view.signatures:
        assert signature.scope.type != "FULL" or not data[_end(signature.scope.byte_ranges) :].strip(b"\0\t\n\f\r ")


def _end(pairs: tuple[tuple[int, int], ...]) -> int:
    return pairs[-1][0] + pairs[-1][1]


def cms(data: bytes) -> None:
    from signsvc.formats import cms as room
    from signsvc.formats.cms import signing_certificate

    view = room.read(data, subject="s", digest=_digest)
    assert 0 <= view.end <= len(data)
    assert view.signers or view.findings
    for signer in view.signers:
        signing_certificate(signer)
    room.read_timestamp(data, id="t", kind="signature", digest=_digest)


def _digest(oid: str) -> bytes:
    from signsvc.algorithms import new_hash

    return bytes(new_hash(oid).digest())


def certificate(data: bytes) -> None:
    from signsvc.types import Certificate

    names = [name for name in vars(Certificate) if not name.startswith("_")]
    try:
        found = Certificate(data)
    except DerError:
        return
    for name in names:
        try:
            getattr(found, name)
        except DerError:
            pass
        except ValueError:
            if name != "public_key":  # what the library cannot load
                raise
    _permitted(lambda: found.extension("2.5.29.15"))
    _permitted(lambda: found.subject_values("CN"))


def crl(data: bytes) -> None:
    from signsvc.trust.crl import Crl

    try:
        found = Crl(data)
    except DerError:
        return
    holder = _known("certificate", "person.der")
    issuer = _known("certificate", "sub-g2-state.der")
    assert found.problem is None or isinstance(found.problem, str)
    _permitted(lambda: found.covers(holder))
    _permitted(lambda: found.issued_by(issuer))
    found.verify(issuer)
    for serial in (0, 1, holder.serial_number, 1 << 159):
        _permitted(lambda serial=serial: found.lookup(serial))  # type: ignore[misc]


def ocsp(data: bytes) -> None:
    from signsvc.trust.ocsp import OcspResponse

    try:
        found = OcspResponse(data)
    except DerError:
        return
    holder = _known("certificate", "person.der")
    issuer = _known("certificate", "sub-g2-state.der")
    single = found.single(holder, issuer)
    if single is not None:
        found.problem(single)
        single.cert_hash_matches(holder)
    for responder in itertools.islice((issuer, *found.certificates), 4):
        found.verify(responder)
    found.nonce_matches(b"1234")


def _permitted(work: Callable[[], object]) -> None:
    try:
        work()
    except DerError:
        pass


def _known(kind: str, name: str) -> Any:
    from signsvc.types import Certificate

    return Certificate.from_der((CORPUS / kind / name).read_bytes())


PARSERS: dict[str, Callable[[bytes], None]] = {
    "certificate": certificate,
    "cms": cms,
    "crl": crl,
    "ocsp": ocsp,
    "pdf": pdf,
}


def seeds(name: str) -> list[bytes]:
    """The saved inputs of a parser: good ones, and those that once went wrong."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
