"""Signatures as written: foreign tools accept them, the self-check sees every blemish."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.formats.pades.selfcheck import check_written
from signsvc.formats.pades.write import RoomTooSmallError, SignatureSpec, Written, extend_revision, sign_revision
from signsvc.signing.appearance import text_stamp
from signsvc.types import EvidenceItem, EvidenceKind, Origin

WHEN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
KEYS = [
    ("person", "sha256", False),
    ("person", "sha512", False),
    ("rsa3072", "sha256", False),
    ("pss", "sha256", True),
    ("ec", "sha256", False),
    ("agency", "sha384", True),
]
Signed = tuple[io.BytesIO, Any, Written, int]


@pytest.fixture
def signed(make_pdf: Callable[..., bytes], plan_for: Callable[..., Any]) -> Signed:
    stream = io.BytesIO(make_pdf())
    before = len(stream.getvalue())
    plan, sign = plan_for()
    return stream, plan, sign_revision(stream, plan, SignatureSpec(WHEN), sign), before


@pytest.mark.parametrize(("label", "digest", "pss"), KEYS)
def test_foreign_tools_accept_every_key(
    label: str,
    digest: str,
    pss: bool,
    make_pdf: Callable[..., bytes],
    plan_for: Callable[..., Any],
    pdfsig: Callable[[Path], str],
    pki: test_pki.Pki,
    tmp_path: Path,
) -> None:
    plan, sign = plan_for(label, digest, pss)
    stream = io.BytesIO(make_pdf())
    before = len(stream.getvalue())
    written = sign_revision(stream, plan, SignatureSpec(WHEN, reason="Phê duyệt"), sign)
    assert check_written(stream, plan, written, before=before) is None
    data = stream.getvalue()
    (tmp_path / "signed.pdf").write_bytes(data)
    (tmp_path / "content").write_bytes(data[: written.start] + data[written.end :])
    (tmp_path / "cms").write_bytes(written.contents)
    (tmp_path / "root.pem").write_bytes(_pem(pki.chain(label)[-1]))
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "cms", "-content", "content"]
    command += ["-CAfile", "root.pem", "-purpose", "any", "-out", "/dev/null", "-cades"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    said = pdfsig(tmp_path / "signed.pdf")
    assert "Signature Type: ETSI.CAdES.detached" in said
    assert "Total document signed" in said
    assert "Signature is Valid" in said


def _pem(certificate: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)


def test_self_check_accepts_what_was_written(signed: Signed) -> None:
    stream, plan, written, before = signed
    assert check_written(stream, plan, written, before=before) is None


def test_self_check_sees_a_changed_octet(signed: Signed) -> None:
    stream, plan, written, before = signed
    stream.seek(20)
    octet = stream.read(1)
    stream.seek(20)
    stream.write(bytes([octet[0] ^ 1]))
    assert check_written(stream, plan, written, before=before) == "digest"


@pytest.mark.parametrize("replacement", [b"(", b" ", b"<<"])
def test_self_check_sees_a_gap_that_is_no_hex_string(signed: Signed, replacement: bytes) -> None:
    stream, plan, written, before = signed
    stream.seek(written.end - 40)
    stream.write(replacement)
    assert check_written(stream, plan, written, before=before) == "gap"


def test_self_check_sees_octets_hidden_in_the_padding(signed: Signed) -> None:
    stream, plan, written, before = signed
    stream.seek(written.end - 3)
    stream.write(b"41")
    assert check_written(stream, plan, written, before=before) == "gap"


def test_self_check_sees_octets_appended(signed: Signed) -> None:
    stream, plan, written, before = signed
    stream.seek(0, 2)
    stream.write(b"\n")
    assert check_written(stream, plan, written, before=before) == "file-size"


def test_self_check_sees_a_byte_range_that_stops_early(signed: Signed) -> None:
    stream, plan, written, before = signed
    data = stream.getvalue()
    length = str(written.size - written.end).encode()
    at = data.index(b"/ByteRange", before)
    shorter = str(written.size - written.end - 1).encode().ljust(len(length))
    position = data.index(length, at)
    stream.seek(position)
    stream.write(shorter)
    assert check_written(stream, plan, written, before=before) == "byte-range"


def test_self_check_sees_a_value_of_another_key(make_pdf: Callable[..., bytes], plan_for: Callable[..., Any]) -> None:
    stream = io.BytesIO(make_pdf())
    before = len(stream.getvalue())
    plan, _ = plan_for("person")
    _, other = plan_for("person2")
    written = sign_revision(stream, plan, SignatureSpec(WHEN), other)
    assert check_written(stream, plan, written, before=before) == "value"


def test_timestamp_validation_data_and_archive_timestamp(
    make_pdf: Callable[..., bytes],
    plan_for: Callable[..., Any],
    pki: test_pki.Pki,
    pdfsig: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    asked: list[bytes] = []

    def stamp(digest: bytes, name: str) -> bytes:
        asked.append(digest)
        return pki.timestamp(digest, hash=name)

    plan, sign = plan_for()
    path = tmp_path / "lta.pdf"
    path.write_bytes(make_pdf(stream_xrefs=True))
    before = path.stat().st_size
    evidence = [
        EvidenceItem(EvidenceKind.CERTIFICATE, pki.cert("sub-g2-state"), Origin.PROFILE),
        EvidenceItem(EvidenceKind.OCSP, pki.ocsp("person"), Origin.NETWORK),
        EvidenceItem(EvidenceKind.CRL, pki.crl("root-g2"), Origin.NETWORK),
    ]
    with path.open("r+b") as stream:
        written = sign_revision(stream, plan, SignatureSpec(WHEN), sign, timestamp=stamp, timestamp_room=9000)
        assert check_written(stream, plan, written, before=before) is None
        archive = extend_revision(stream, evidence, timestamp=stamp, timestamp_room=9000)
        size = stream.seek(0, 2)
        assert extend_revision(stream, evidence) is None
        assert stream.seek(0, 2) == size, "known values are not written again"
    assert archive is not None
    assert len(asked) == 2
    assert written.timestamps[0] in written.contents
    said = pdfsig(path)
    assert said.count("Signature Field Name") == 2
    assert "Signature is Valid" in said
    data = path.read_bytes()
    for item in evidence:
        assert _holds(data, item.der)


def _holds(data: bytes, value: bytes) -> bool:
    from pyhanko.pdf_utils.reader import PdfFileReader

    store = PdfFileReader(io.BytesIO(data)).root["/DSS"]
    streams = [store[key] for key in ("/Certs", "/OCSPs", "/CRLs")]
    return any(value == entry.get_object().data for array in streams for entry in array)


def test_a_token_larger_than_its_room_is_told(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], pki: test_pki.Pki
) -> None:
    plan, sign = plan_for()
    with pytest.raises(RoomTooSmallError) as caught:
        sign_revision(
            io.BytesIO(make_pdf()),
            plan,
            SignatureSpec(WHEN),
            sign,
            timestamp=lambda digest, name: pki.timestamp(digest, hash=name),
            timestamp_room=100,
        )
    assert caught.value.needed > 1000


def test_several_signatures_take_free_names(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], pdfsig: Callable[[Path], str], tmp_path: Path
) -> None:
    stream = io.BytesIO(make_pdf())
    for label in ("person", "agency", "ec"):
        plan, sign = plan_for(label)
        before = len(stream.getvalue())
        written = sign_revision(stream, plan, SignatureSpec(WHEN), sign)
        assert check_written(stream, plan, written, before=before) is None
    (tmp_path / "three.pdf").write_bytes(stream.getvalue())
    said = pdfsig(tmp_path / "three.pdf")
    assert [f"Signature{n}" in said for n in (1, 2, 3)] == [True] * 3
    assert said.count("Signature is Valid") == 3


def test_an_empty_field_is_used_with_its_rectangle(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any]
) -> None:
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.fields import SigFieldSpec, append_signature_field

    stream = io.BytesIO(make_pdf())
    writer = IncrementalPdfFileWriter(stream)
    append_signature_field(writer, SigFieldSpec("GiamDoc", box=(300, 100, 500, 180)))
    writer.write_in_place()
    plan, sign = plan_for()
    spec = SignatureSpec(WHEN, field="GiamDoc", rect=(1, 1, 50, 50), appearance=text_stamp(("Người ký: A",)))
    written = sign_revision(stream, plan, spec, sign)
    assert written.field == "GiamDoc"
    field = PdfFileReader(stream).root["/AcroForm"]["/Fields"][0]
    assert [int(n) for n in field["/Rect"]] == [300, 100, 500, 180]
    assert "/N" in field["/AP"]


def test_metadata_stands_in_the_signature_dictionary(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any]
) -> None:
    from pyhanko.pdf_utils.reader import PdfFileReader

    stream = io.BytesIO(make_pdf())
    plan, sign = plan_for()
    spec = SignatureSpec(WHEN, reason="Ban hành", location="Hà Nội", name="Nguyễn Văn An", contact="vp@example.test")
    sign_revision(stream, plan, replace(spec, certify=2), sign)
    reader = PdfFileReader(stream)
    value = reader.embedded_signatures[0].sig_object
    assert (value["/Reason"], value["/Location"], value["/Name"]) == ("Ban hành", "Hà Nội", "Nguyễn Văn An")
    assert value["/ContactInfo"] == "vp@example.test"
    assert reader.root["/Perms"]["/DocMDP"]["/Reference"][0]["/TransformParams"]["/P"] == 2
