"""What each parser of hostile octets promises: an answer or its one kind of error, in bounded time."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from signsvc.asn1 import DerError
from signsvc.errors import DocumentError, RequestError
from tests.attacks import pdf_parsers

_CODES = {
    "document_unreadable", "document_too_complex", "encrypted_document", "encryption_unsupported", "empty_document",
}  # fmt: skip
CORPUS = Path(__file__).parent / "fuzz" / "corpus"


def pdf(data: bytes) -> None:
    from signsvc.formats import pades

    try:
        view = pades.read(data)
    except DocumentError as error:
        if error.code not in _CODES:
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


def timestamp(data: bytes) -> None:
    from signsvc.formats import cms as room

    view = room.read_timestamp(data, id="t", kind="signature", digest=_digest)
    assert data.startswith(view.token)
    if view.signer is None:
        assert view.findings
        assert view.gen_time is None
    elif view.imprint_matches:
        assert view.imprint_oid is not None
        assert view.imprint == _digest(view.imprint_oid)


def tsa_response(data: bytes) -> None:
    """What a timestamp authority answers, and the token in it."""
    from signsvc.trust import tsa_token

    for work in (
        lambda: tsa_token.open_response(data),
        lambda: tsa_token.check(data, _digest("2.16.840.1.101.3.4.2.1"), "sha256", nonce=None),
        lambda: tsa_token.check(
            tsa_token.open_response(data), _digest("2.16.840.1.101.3.4.2.1"), "sha256", nonce=0x1234
        ),
    ):
        try:
            work()
        except tsa_token.TokenError:
            continue


def der(data: bytes) -> None:
    from signsvc.asn1 import der as room

    try:
        waiting = [room.read(data, 0)]
    except DerError:
        return
    for _ in range(2_000):
        if not waiting:
            break
        element = waiting.pop()
        assert element.start < element.content <= element.end <= len(data)
        for decode in (room.decode_integer, room.decode_oid, room.decode_time):
            _permitted(lambda decode=decode, element=element: decode(data, element))  # type: ignore[misc]
        if element.tag & 0x20:
            try:
                inside = room.children(data, element, limit=1_000)
            except DerError:
                continue
            assert [element.content, *(e.end for e in inside)] == [*(e.start for e in inside), element.end]
            waiting += inside


def ber(data: bytes) -> None:
    from signsvc.asn1 import ber as room
    from signsvc.asn1 import der as strict

    try:
        found = room.to_der(data, limit=20_000)
    except DerError:
        return
    assert 0 < found.end <= len(data)
    whole = strict.read_all(found.der)
    assert found.original(0, whole.end) == data[: found.end]
    again = room.to_der(found.der, limit=20_000)
    assert (again.der, again.end) == (found.der, len(found.der))


def certificate_file(data: bytes) -> None:
    from signsvc.trust import bundle

    try:
        found = bundle.read_certificates(data)
    except RequestError:
        return
    assert found


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def multipart(data: bytes) -> None:
    """The same whatever pieces the body comes in."""
    from signsvc.web import multipart as room

    def read(pieces: list[bytes]) -> list[tuple[str, str | None, bytes]] | None:
        try:
            parts = room.read(iter(pieces), b"x", Path(_directory().name), lambda _: None)
        except RequestError:
            return None
        return [(p.name, p.filename, p.path.read_bytes() if p.path else p.value) for p in parts]

    whole = read([data])
    assert whole is None or len(whole) <= room.MAX_PARTS
    assert read(_pieces(data)) == whole


def json_body(data: bytes) -> None:
    """The same whatever pieces the body comes in; long strings go to files."""
    from signsvc.web.jsonbody import LONG, LongStrings

    def read(pieces: list[bytes]) -> str | None:
        strings = LongStrings(Path(_directory().name))
        try:
            found = repr(strings.parse(iter(pieces)))
        except RequestError:
            return None
        for name, path in strings.files.items():
            found = found.replace(name, base64.b64encode(path.read_bytes()).decode())
        return found

    # a string is long where its end has not come yet: only then is it held to be base64
    first, second = read(_pieces(data)), read([data])
    assert first == second or len(data) > LONG


def _pieces(data: bytes) -> list[bytes]:
    size = 1 + len(data) % 37 * 11
    return [data[at : at + size] for at in range(0, len(data), size)]


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
    "ber": ber,
    "certificate": certificate,
    "certificate-file": certificate_file,
    "cms": cms,
    "crl": crl,
    "der": der,
    "json": json_body,
    "multipart": multipart,
    "ocsp": ocsp,
    "pdf": pdf,
    "timestamp": timestamp,
    "tsa-response": tsa_response,
    **pdf_parsers.PARSERS,
}
# Of what an input is made, so that damage knows its words.
TEXT = frozenset(("pdf", *pdf_parsers.PARSERS))


def seeds(name: str) -> list[bytes]:
    """The saved inputs of a parser: good ones, and those that once went wrong."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
