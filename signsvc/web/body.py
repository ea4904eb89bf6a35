"""The one reader of request bodies: everything goes to files, counted and hashed on the way.

Three forms are taken: the document itself (raw), ``multipart/form-data``, and JSON with the document in base64.  A
body that passes the limit is refused, never cut, however it is framed; a declared `Content-Digest` or `Repr-Digest`
(RFC 9530) is compared before anything looks at the content.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flask import Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import parse_options_header
from werkzeug.wsgi import get_input_stream

from signsvc.errors import DocumentError, RequestError, SignsvcError
from signsvc.store import full_disk
from signsvc.web import multipart
from signsvc.web.jsonbody import LongStrings, loads

CHUNK = 64 * 1024
# A connection that sends nothing for this long is given up.
IDLE_SECONDS = 30.0
# Octets per second below which a body of known length is given up: a slow mobile line does better.
SLOWEST = 16 * 1024
# Certificates and CRLs that come with a document.
MAX_SUPPLIED_BYTES = 32 << 20
# JSON without documents: 500 signature values of the largest keys.
MAX_SMALL_JSON = 2 << 20

_RAW_TYPES = (
    "application/pdf",
    "application/xml",
    "text/xml",
    "application/pkcs7-signature",
    "application/pkcs7-mime",
    "application/cms",
    "application/zip",
    "application/vnd.etsi.asic-s+zip",
    "application/vnd.etsi.asic-e+zip",
    "application/octet-stream",
    "",
)
_DIGESTS = {"sha-256": "sha256", "sha-512": "sha512"}


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Octets of a whole body and of a JSON body; seconds for all of it; where files are spooled."""

    max_bytes: int
    max_json_bytes: int
    seconds: float
    spool: Path


@dataclass(frozen=True, slots=True)
class Upload:
    """A document received."""

    path: Path
    size: int
    sha256: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What came: the document, the parameters beside it, originals, and further small files by form field."""

    document: Upload
    params: Mapping[str, Any]
    supplied: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    originals: tuple[Upload, ...] = ()  # what detached signatures are over
    more: tuple[Upload, ...] = ()  # further documents, where several may come


@contextmanager
def spooled(limits: BodyLimits) -> Iterator[Path]:
    """A private directory for one request, removed with all that is in it.

    It is held by a lock, which goes with the process: what is not held is left over (`server.clean_spool`).
    """
    with full_disk():
        limits.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory = Path(tempfile.mkdtemp(prefix="request-", dir=limits.spool))
    held: int | None = None
    try:
        with full_disk():
            held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        if held is not None:
            os.close(held)


def read(
    request: Request,
    directory: Path,
    limits: BodyLimits,
    admit: multipart.Admit | None = None,
    *,
    several: bool = False,
    subject: str = "document",
    beside: str = "original",
) -> Body:
    """Read the body of `request` into `directory`.

    `admit` may refuse the caller: it is told the parameters that come before the document (those of the query, and
    the form fields that stand before the first file) when nothing of the document has been kept.  A form may have
    `several` documents.  Parts of it are named otherwise where `subject` is not the document, and what it is about is
    in the part `beside`.

    Raises `RequestError` (document_too_large, digest_mismatch, wrong_content_type, invalid_request, request_timeout),
    `DocumentError` (empty_document) or `StorageError` (storage_full).
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestError("wrong_content_type")
    kind = request.mimetype
    limit = limits.max_json_bytes if kind == "application/json" else limits.max_bytes
    if (request.content_length or 0) > limit:
        raise RequestError("document_too_large", limit=limit)
    stream = _Counted(request, limit, limits.seconds)

    def ask(fields: Mapping[str, str]) -> None:
        if admit is not None:
            admit({**request.args.to_dict(), **fields})

    with _patience(request, stream), full_disk():
        try:
            if kind == "multipart/form-data":
                body = _multipart(request, stream, directory, ask, several=several, subject=subject, beside=beside)
            elif kind == "application/json":
                ask({})
                body = _json(stream, directory)
            elif kind in _RAW_TYPES:
                ask({})
                body = _raw(stream, directory, request.headers.get("Content-Disposition"))
            else:
                raise RequestError("wrong_content_type")
            stream.exhaust()
        except TimeoutError:
            raise RequestError("request_timeout") from None
    stream.compare_digests()
    if any(document.size == 0 for document in (body.document, *body.more)):
        raise DocumentError("empty_document")
    return _with_query(request, body)


def read_several(
    request: Request, directory: Path, limits: BodyLimits, most: int
) -> tuple[tuple[Upload, ...], dict[str, Any]]:
    """Up to `most` documents in their order, and the parameters beside them, with which JSON names its documents.

    A form has parts named document and its parameters in ``params``; JSON has them in ``documents[].content``.
    Raises like `read`.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestError("wrong_content_type")
    kind = request.mimetype
    if kind not in ("multipart/form-data", "application/json"):
        raise RequestError("wrong_content_type")
    limit = limits.max_json_bytes if kind == "application/json" else limits.max_bytes
    if (request.content_length or 0) > limit:
        raise RequestError("document_too_large", limit=limit)
    stream = _Counted(request, limit, limits.seconds)
    with _patience(request, stream), full_disk():
        try:
            if kind == "application/json":
                uploads, params = _several_json(stream, directory, most)
            else:
                uploads, params = _several_parts(request, stream, directory, most)
            stream.exhaust()
        except TimeoutError:
            raise RequestError("request_timeout") from None
    stream.compare_digests()
    if any(upload.size == 0 for upload in uploads):
        raise DocumentError("empty_document")
    return uploads, params


def read_json(request: Request, limits: BodyLimits) -> dict[str, Any]:
    """A small JSON object.  Raises `RequestError` like `read`."""
    return loads(read_small(request, limits))


def read_small(request: Request, limits: BodyLimits) -> bytes:
    """The octets of a small body of JSON.  Raises `RequestError` like `read`."""
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding", "identity") != "identity":
        raise RequestError("wrong_content_type")
    limit = min(MAX_SMALL_JSON, limits.max_json_bytes)
    if (request.content_length or 0) > limit:
        raise RequestError("document_too_large", limit=limit)
    stream = _Counted(request, limit, limits.seconds)
    with _patience(request, stream):
        try:
            data = b"".join(stream.chunks())
            stream.exhaust()
        except TimeoutError:
            raise RequestError("request_timeout") from None
    stream.compare_digests()
    return data


class _Counted:
    """The input stream: bounded, hashed, with a deadline."""

    def __init__(self, request: Request, limit: int, seconds: float) -> None:
        self._stream = get_input_stream(request.environ)
        self._length = request.content_length
        self._limit = limit
        expected = limit if self._length is None else self._length
        self.seconds = min(seconds, IDLE_SECONDS + expected / SLOWEST)
        self.late = False
        self._deadline = time.monotonic() + self.seconds
        self._declared = [
            (name, value)
            for header in ("Content-Digest", "Repr-Digest")
            for name, value in _declared_digests(request.headers.get(header))
        ]
        self._hashes = {name: hashlib.new(_DIGESTS[name]) for name in {"sha-256", *(n for n, _ in self._declared)}}
        self.count = 0

    def read(self, size: int = CHUNK) -> bytes:
        if self.late or time.monotonic() > self._deadline:
            raise TimeoutError
        try:
            data = self._stream.read(min(size, CHUNK))
        except (TimeoutError, SignsvcError):
            raise
        except Exception as error:
            if self.late:
                raise TimeoutError from None
            # The server's own errors for malformed chunks are of no public family.
            if isinstance(error, OSError | ClientDisconnected) or type(error).__module__.startswith("gunicorn."):
                raise RequestError("invalid_request", reason="the body ends early or is malformed") from None
            raise
        if self.late:
            raise TimeoutError
        self.count += len(data)
        if self.count > self._limit:
            raise RequestError("document_too_large", limit=self._limit)
        for digest in self._hashes.values():
            digest.update(data)
        return data

    def chunks(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def exhaust(self) -> None:
        """Read what is left; the body must have the length it was declared with."""
        for _ in self.chunks():
            pass
        if self._length is not None and self._length != self.count:
            raise RequestError("invalid_request", reason="the body ends early")

    @property
    def sha256(self) -> str:
        return self._hashes["sha-256"].hexdigest()

    def compare_digests(self) -> None:
        for name, value in self._declared:
            if not hmac.compare_digest(self._hashes[name].digest(), value):
                raise RequestError("digest_mismatch")


@contextmanager
def _patience(request: Request, stream: _Counted) -> Iterator[None]:
    """Bound the wait for each octet and for all of them, where the server lends us its socket.

    A read waits until it is full, so that only the socket itself can end one that is fed octet by octet.
    """
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    if connection is None:
        yield
        return

    def give_up() -> None:
        stream.late = True
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)

    timer = threading.Timer(stream.seconds, give_up)
    timer.daemon = True
    before = connection.gettimeout()
    connection.settimeout(IDLE_SECONDS)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.settimeout(before)


def _declared_digests(header: str | None) -> Iterator[tuple[str, bytes]]:
    """Members of a digest header that we can check; others are ignored (RFC 9530 §2)."""
    for member in (header or "").split(","):
        name, _, value = member.strip().partition("=")
        if name.lower() not in _DIGESTS:
            continue
        try:
            if len(value) < 2 or value[0] != ":" or value[-1] != ":":
                raise binascii.Error
            yield name.lower(), base64.b64decode(value[1:-1], validate=True)
        except binascii.Error:
            raise RequestError("invalid_request", reason="malformed digest header") from None


def _raw(stream: _Counted, directory: Path, disposition: str | None) -> Body:
    path = directory / "document"
    with path.open("wb") as target:
        for chunk in stream.chunks():
            target.write(chunk)
    name = parse_options_header(disposition)[1].get("filename")
    return Body(Upload(path, stream.count, stream.sha256, _file_name(name)), {})


def _json(stream: _Counted, directory: Path) -> Body:
    strings = LongStrings(directory)
    value = strings.parse(stream.chunks())
    document = value.pop("document", None)
    if not isinstance(document, dict) or not isinstance(content := document.get("content"), str):
        raise RequestError("invalid_request", reason="document.content is missing")
    if not set(document) <= {"content", "name"}:
        raise RequestError("invalid_request", reason="unknown member of document")
    path = strings.files.pop(content, None)
    if path is None:
        path = directory / "document"
        try:
            path.write_bytes(base64.b64decode(content, validate=True))
        except binascii.Error:
            raise RequestError("invalid_request", reason="document.content is not base64") from None
    name = document.get("name")
    value = _restore(value, strings, [MAX_SUPPLIED_BYTES])
    return Body(_upload(path, name if isinstance(name, str) else None), value)


def _several_json(stream: _Counted, directory: Path, most: int) -> tuple[tuple[Upload, ...], dict[str, Any]]:
    strings = LongStrings(directory, most)
    value = strings.parse(stream.chunks())
    entries = value.get("documents", [])
    if not isinstance(entries, list) or len(entries) > most:
        raise RequestError("invalid_request", reason="too many documents")
    uploads = []
    for number, entry in enumerate(entries):
        content = entry.pop("content", None) if isinstance(entry, dict) else None
        if content is None:
            continue
        if "sha256" in entry or not isinstance(content, str):
            raise RequestError("invalid_request", reason="documents: one of content, sha256 or a file is missing")
        path = strings.files.pop(content, None)
        if path is None:
            path = directory / f"document-{number}"
            try:
                path.write_bytes(base64.b64decode(content, validate=True))
            except binascii.Error:
                raise RequestError("invalid_request", reason="document.content is not base64") from None
        uploads.append(_upload(path, None))
    return tuple(uploads), _restore(value, strings, [MAX_SUPPLIED_BYTES])


def _several_parts(
    request: Request, stream: _Counted, directory: Path, most: int
) -> tuple[tuple[Upload, ...], dict[str, Any]]:
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary:
        raise RequestError("invalid_request", reason="multipart without boundary")
    uploads: list[Upload] = []
    params: dict[str, Any] = {}
    chunks = stream.chunks()
    parts = multipart.read(
        chunks, boundary.encode("latin-1", "replace"), directory, lambda _: None, max_parts=most + multipart.MAX_PARTS
    )
    for part in parts:
        if part.path is not None and part.name in ("document", "file"):
            uploads.append(_checked(_upload(part.path, part.filename), part.digest))
        elif part.name == "params":
            _merge(params, loads(part.value if part.path is None else part.path.read_bytes()))
        elif part.path is None and part.value:
            _merge(params, {part.name: part.text})
        else:
            raise RequestError("invalid_request", reason="a form file with an unknown name")
    if len(uploads) > most:
        raise RequestError("invalid_request", reason="too many documents")
    return tuple(uploads), params


def _restore(value: Any, strings: LongStrings, left: list[int]) -> Any:
    """Put long strings other than the document back in their places."""
    if isinstance(value, dict):
        return {k: _restore(v, strings, left) for k, v in value.items()}
    if isinstance(value, list):
        return [_restore(v, strings, left) for v in value]
    if isinstance(value, str) and value in strings.files:
        path = strings.files[value]
        left[0] -= path.stat().st_size
        if left[0] < 0:
            raise RequestError("document_too_large", limit=MAX_SUPPLIED_BYTES)
        return base64.b64encode(path.read_bytes()).decode("ascii")
    return value


def _multipart(
    request: Request,
    stream: _Counted,
    directory: Path,
    admit: multipart.Admit,
    *,
    several: bool,
    subject: str,
    beside: str,
) -> Body:
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary:
        raise RequestError("invalid_request", reason="multipart without boundary")
    documents: list[Upload] = []
    originals: list[Upload] = []
    params: dict[str, Any] = {}
    supplied: dict[str, list[bytes]] = {}
    left = MAX_SUPPLIED_BYTES
    for part in multipart.read(stream.chunks(), boundary.encode("latin-1", "replace"), directory, admit):
        if part.path is None:
            if part.name == "params":
                _merge(params, loads(part.value))
            elif part.value:
                _merge(params, {part.name: part.text})
        elif part.name == subject or (subject == "document" and part.name == "file"):
            documents.append(_checked(_upload(part.path, part.filename), part.digest))
        elif part.name == beside or (beside == "original" and part.name == "originals"):
            if part.filename or part.path.stat().st_size:  # a form whose field was left empty sends a nameless part
                originals.append(_checked(_upload(part.path, part.filename), part.digest))
        else:
            size = part.path.stat().st_size
            left -= size
            if left < 0:
                raise RequestError("document_too_large", limit=MAX_SUPPLIED_BYTES)
            if part.name == "params":
                _merge(params, loads(part.path.read_bytes()))
            elif size:
                supplied.setdefault(part.name, []).append(part.path.read_bytes())
    if not documents or (len(documents) > 1 and not several):
        raise RequestError("invalid_request", reason=f"exactly one part named {subject} is needed")
    held = {k: tuple(v) for k, v in supplied.items()}
    return Body(documents[0], params, held, tuple(originals), tuple(documents[1:]))


def _upload(path: Path, name: str | None) -> Upload:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Upload(path, path.stat().st_size, digest, _file_name(name))


def _file_name(name: str | None) -> str | None:
    """The last part of a file name, without control characters: shown in reports, never used as a path."""
    if not name:
        return None
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable())[:255] or None


def _checked(upload: Upload, header: str | None) -> Upload:
    for name, value in _declared_digests(header):
        with upload.path.open("rb") as file:
            if not hmac.compare_digest(hashlib.file_digest(file, _DIGESTS[name]).digest(), value):
                raise RequestError("digest_mismatch")
    return upload


def _merge(params: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if name in params:
            raise RequestError("invalid_request", reason="a parameter is given twice")
        params[name] = value


def _with_query(request: Request, body: Body) -> Body:
    params = dict(body.params)
    query = [(k, v) for k, v in request.args.items(multi=True) if k != "lang"]
    for name, value in query:
        _merge(params, {name: value})
    return replace(body, params=params)
