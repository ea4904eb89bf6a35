"""The pieces under the body reader."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from signsvc.errors import DocumentError, SignsvcError
from signsvc.web import body as bodies
from signsvc.web import multipart
from signsvc.web.context import _TRACEPARENT
from signsvc.web.jsonbody import LONG, LongStrings
from signsvc.web.server import clean_spool

LIMITS = {"max_bytes": 1 << 20, "max_json_bytes": 1 << 20, "seconds": 60.0}


def request(data: bytes = b"%PDF-1", kind: str = "application/pdf", **environ: Any) -> Any:
    found = EnvironBuilder(method="POST", data=data, content_type=kind).get_environ()
    return Request({**found, **environ})


class Socket:
    def __init__(self) -> None:
        self.timeouts: list[float | None] = []
        self.closed = threading.Event()

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_RD
        self.closed.set()

    def settimeout(self, value: float | None) -> None:
        self.timeouts.append(value)

    def gettimeout(self) -> float | None:
        return self.timeouts[-1] if self.timeouts else None


class Stalled(io.RawIOBase):
    """A client that sends a little, then nothing."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.left = [b"%PDF-"]

    def readable(self) -> bool:
        return True

    def read(self, _size: int = -1) -> bytes:
        if self.left:
            return self.left.pop()
        raise self.error


@pytest.mark.parametrize(
    ("error", "code"), [(TimeoutError(), "request_timeout"), (ConnectionResetError(), "invalid_request")]
)
def test_a_client_that_stops_sending(tmp_path: Path, error: Exception, code: str) -> None:
    connection = Socket()
    environ = {"wsgi.input": Stalled(error), "wsgi.input_terminated": True, "gunicorn.socket": connection}
    incoming = request(**environ)
    incoming.environ.pop("CONTENT_LENGTH")
    with pytest.raises(SignsvcError) as caught:
        bodies.read(incoming, tmp_path, bodies.BodyLimits(**LIMITS, spool=tmp_path))
    assert caught.value.code == code
    assert connection.timeouts == [bodies.IDLE_SECONDS, None]


def test_a_client_that_drips(tmp_path: Path) -> None:
    """One read waits as long as octets come; the deadline ends it from outside."""
    connection = Socket()

    class Dripping(Stalled):
        def read(self, _size: int = -1) -> bytes:
            assert connection.closed.wait(10)
            return b"%PDF-"[:1]

    limits = bodies.BodyLimits(**{**LIMITS, "seconds": 0.2}, spool=tmp_path)
    incoming = request(
        **{"wsgi.input": Dripping(OSError()), "wsgi.input_terminated": True, "gunicorn.socket": connection}
    )
    with pytest.raises(SignsvcError) as caught:
        bodies.read(incoming, tmp_path, limits)
    assert caught.value.code == "request_timeout"


def test_no_body_at_all(tmp_path: Path) -> None:
    incoming = request(b"")
    with pytest.raises(DocumentError) as caught:
        bodies.read(incoming, tmp_path, bodies.BodyLimits(**LIMITS, spool=tmp_path))
    assert caught.value.code == "empty_document"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    data=st.binary(min_size=0, max_size=3 * LONG),
    cut=st.integers(1, 5000),
    note=st.text(max_size=40),
    slash=st.booleans(),
)
def test_long_strings_survive_any_chunking(tmp_path: Path, data: bytes, cut: int, note: str, slash: bool) -> None:
    content = base64.b64encode(data).decode()
    text = json.dumps({"note": note, "document": {"content": content}, "after": [note, 1.5, None]})
    if slash:
        text = text.replace(content, content.replace("/", "\\/")) if content else text
    raw = text.encode()
    strings = LongStrings(tmp_path)
    value = strings.parse(raw[i : i + cut] for i in range(0, len(raw), cut))
    assert (value["note"], value["after"]) == (note, [note, 1.5, None])
    kept = value["document"]["content"]
    if kept in strings.files:
        assert strings.files[kept].read_bytes() == data
    else:
        assert kept == content


def test_long_strings_do_not_stay_in_memory(tmp_path: Path) -> None:
    strings = LongStrings(tmp_path)
    chunk = b"QUJD" * 16384
    parts = [b'{"document": {"content": "', *[chunk] * 200, b'"}}']
    value = strings.parse(parts)
    assert len(json.dumps(value)) < 200
    assert strings.files[value["document"]["content"]].stat().st_size == 200 * len(chunk) * 3 // 4


def test_many_documents_that_come_within_one_piece_each_go_to_files(tmp_path: Path) -> None:
    contents = [bytes([n]) * 40_000 for n in range(60)]
    strings = LongStrings(tmp_path)
    found = strings.parse([json.dumps({"a": [base64.b64encode(c).decode() for c in contents]}).encode()])
    assert [strings.files[name].read_bytes() for name in found["a"]] == contents


def test_stand_ins_cannot_be_guessed(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        strings = LongStrings(tmp_path)
        value = strings.parse([b'{"a": "', b"QUJD" * LONG, b'"}'])
        names.add(value["a"])
    assert len(names) == 2


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [("C:\\Temp\\văn bản.pdf", "văn bản.pdf"), ("../..", ".."), ("a\x00b\n.pdf", "ab.pdf"), ("", None), ("x/", None)],
)
def test_file_names(given_name: str, shown: str | None) -> None:
    assert bodies._file_name(given_name) == shown


def test_the_spool_is_cleaned_at_start(tmp_path: Path) -> None:
    import os

    for name, age in (("request-old", 100_000), ("request-new", 0), ("other", 100_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "document").write_bytes(b"x")
        moment = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (moment, moment))
    clean_spool(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "request-new"]


def test_traceparent_forms() -> None:
    assert _TRACEPARENT.match("00-" + "a" * 32 + "-" + "b" * 16 + "-00")
    for wrong in ("01-" + "a" * 32 + "-" + "b" * 16 + "-00", "00-" + "A" * 32 + "-" + "b" * 16 + "-00"):
        assert not _TRACEPARENT.match(wrong)


@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\n", b"\r", b"\r\n--x", b"\r\n--xyz -", b"--xyz"])
def test_a_form_is_the_same_in_whatever_pieces_it_comes(tmp_path: Path, ending: bytes) -> None:
    content = b"%PDF-1.7\n%%EOF" + ending
    head = b'--xyz\r\nContent-Disposition: form-data; name="document"; filename="a.pdf"\r\n\r\n'
    for tail in (b"\r\n--xyz--\r\n", b"\r\n--xyz--", b"\r\n--xyz  --\r\n--xyz--", b"\r\n--xyz-- \t\r\nepilogue"):
        data = head + content + tail
        for cut in range(len(data) + 1):
            for pieces in ([data[:cut], data[cut:]], [data[i : i + 1 + cut] for i in range(0, len(data), 1 + cut)]):
                (part,) = multipart.read(pieces, b"xyz", tmp_path, lambda _: None)
                assert part.path is not None
                assert part.path.read_bytes().startswith(content), (tail, cut)
                assert b"  --" in tail or part.path.read_bytes() == content, (tail, cut)
