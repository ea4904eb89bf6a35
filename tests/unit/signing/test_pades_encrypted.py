"""Encrypted files of every kind: read, signed, extended, verified; by us and by others where they can."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from signsvc.errors import DocumentError
from signsvc.formats import pades
from signsvc.formats.cms.write import signed_attributes, signed_data
from signsvc.formats.pades.write import (
    SignatureSpec,
    complete_revision,
    extend_revision,
    prepare_revision,
    sign_revision,
)
from signsvc.formats.pdf import Document, EncryptedError, PdfError, Ref, Stream
from signsvc.types import DocumentView, EvidenceItem, EvidenceKind, Grade, Origin
from tests.pdf_writer import PdfWriter

WEAK = "--allow-weak-crypto"
# Each kind: options of qpdf, or of pyHanko's writer.
QPDF: dict[str, tuple[str, ...]] = {
    "rc4-40": (WEAK, "--encrypt", "", "owner", "40", "--"),
    "rc4-128": (WEAK, "--encrypt", "", "owner", "128", "--use-aes=n", "--"),
    "rc4-128-filters": (WEAK, "--encrypt", "", "owner", "128", "--force-V4", "--"),
    "aes-128": (WEAK, "--encrypt", "", "owner", "128", "--use-aes=y", "--"),
    "aes-128-plain-metadata": (WEAK, "--encrypt", "", "owner", "128", "--use-aes=y", "--cleartext-metadata", "--"),
    "aes-256": ("--encrypt", "", "owner", "256", "--"),
    "aes-256-packed": ("--object-streams=generate", "--encrypt", "", "owner", "256", "--"),
    "aes-256-plain-metadata": ("--encrypt", "", "owner", "256", "--cleartext-metadata", "--"),
    "aes-256-empty-owner": ("--encrypt", "user", "", "256", "--allow-insecure", "--"),
}
R5 = (WEAK, "--encrypt", "", "owner", "256", "--force-R5", "--")  # an extension of its time, not of the standard
PYHANKO: dict[str, dict[str, bool]] = {
    "aes-256-mac": {},
    "aes-256-no-mac": {"pdf_mac": False},
    "gcm": {"use_gcm": True, "pdf_mac": False},
    "gcm-mac": {"use_gcm": True},
}
KINDS = (*QPDF, *PYHANKO)
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>"""
UNKNOWN_TO_POPPLER = {"gcm", "gcm-mac"}


def _plain() -> bytes:
    pdf = PdfWriter(
        pages=2,
        extra={
            9: b"<< /FT /Sig /T (Tr\\341ng) >>",
            20: b"(Xin ch\\340o)",
            21: b"<< /Type /Metadata /Subtype /XML /Length %d >>\nstream\n%s\nendstream" % (len(XMP), XMP),
        },
        catalog=b" /X [20 0 R (direct)] /Metadata 21 0 R",
    )
    pdf.fields.append(9)
    pdf.update({1: pdf.catalog()})
    return pdf.data


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    directory = tmp_path_factory.mktemp("encrypted")
    (directory / "in.pdf").write_bytes(_plain())

    def make(kind: str) -> bytes:
        if kind not in PYHANKO:
            subprocess.run(
                ["qpdf", *QPDF.get(kind, R5), "in.pdf", f"{kind}.pdf"], cwd=directory, check=True, timeout=60
            )
            return (directory / f"{kind}.pdf").read_bytes()
        from pyhanko.pdf_utils.reader import PdfFileReader
        from pyhanko.pdf_utils.writer import copy_into_new_writer

        options: Any = PYHANKO[kind]
        writer = copy_into_new_writer(PdfFileReader(io.BytesIO(_plain())))
        writer.encrypt(owner_pass="owner", user_pass="", **options)
        out = io.BytesIO()
        writer.write(out)
        return out.getvalue()

    return make


Signs = Callable[..., bytes]


@pytest.fixture
def sign(plan_for: Callable[..., Any]) -> Signs:
    def run(data: bytes, label: str = "person") -> bytes:
        plan, key = plan_for(label)
        stream = io.BytesIO(data)
        sign_revision(stream, plan, SignatureSpec(datetime.now(UTC), reason="Phê duyệt"), key)
        return stream.getvalue()

    return run


def test_integrity_code_beside_a_document_timestamp(encrypted: Callable[[str], bytes], sign: Signs, pki: Any) -> None:
    stream = io.BytesIO(sign(encrypted("aes-256-mac")))
    for _ in range(2):
        written = extend_revision(stream, timestamp=lambda digest, _: pki.timestamp(digest), timestamp_room=12_000)
        assert written is not None
        view = pades.read(stream.getvalue())
        assert "pdf_mac_valid" in codes(view)
    assert "pdf_mac_wrong" in codes(pades.read(stream.getvalue().replace(b"%PDF-2.0", b"%PDF-1.7", 1)))


def test_integrity_code_of_what_is_signed_in_two_steps(
    encrypted: Callable[[str], bytes], plan_for: Callable[..., Any]
) -> None:
    plan, key = plan_for("person")
    first = io.BytesIO(encrypted("aes-256-mac"))
    prepared = prepare_revision(first, plan, SignatureSpec(datetime.now(UTC)), room=8_000)
    later = io.BytesIO(first.getvalue())
    attributes = signed_attributes(plan, prepared.document_digest)
    value = key(hashlib.sha256(attributes).digest())
    complete_revision(later, prepared, signed_data(plan, attributes, value))
    view = pades.read(later.getvalue())
    assert "pdf_mac_valid" in codes(view)
    assert [s.signer.digest_matches for s in view.signatures if s.signer] == [True]


def test_what_can_be_read_but_not_written_is_said_to_be_so(encrypted: Callable[[str], bytes], sign: Signs) -> None:
    with pytest.raises(DocumentError) as caught:
        sign(encrypted("aes-256-r5"))
    assert caught.value.code == "encryption_unsupported"


def test_metadata_that_are_no_xml_are_left_alone(sign: Signs) -> None:
    data = _plain().replace(b"<x:xmpmeta", b"<x:xmpmetA")
    signed = sign(data)
    assert pades.read(signed).signatures[0].scope.type == "FULL"
    assert Document(signed).history(21) == Document(data).history(21)


def codes(view: DocumentView) -> set[str]:
    return {finding.code for finding in view.findings}


@pytest.mark.parametrize("kind", [*KINDS, "aes-256-r5"])
def test_texts_streams_and_metadata_are_read(encrypted: Callable[[str], bytes], kind: str) -> None:
    document = Document(encrypted(kind))
    last = document.last
    assert [last.resolve(item) for item in last.array(last.catalog["X"])] == [b"Xin ch\xe0o", b"direct"]
    content = last.value(last.pages()[1][1], "Contents")
    metadata = last.value(last.catalog, "Metadata")
    assert isinstance(content, Stream)
    assert isinstance(metadata, Stream)
    assert content.decode().startswith(b"BT /F1")
    assert b"xmpmeta" in metadata.decode()
    assert pades.read(document.buffer).empty_fields == ("Tráng",)


@pytest.mark.parametrize("kind", KINDS)
def test_signed_extended_and_read_again(
    encrypted: Callable[[str], bytes],
    sign: Signs,
    kind: str,
    pki: Any,
    pdfsig: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    once = sign(encrypted(kind))
    twice = sign(once, "agency")
    view = pades.read(twice)
    assert [s.signer.digest_matches for s in view.signatures if s.signer] == [True, True]
    assert [s.scope.type for s in view.signatures] == ["REVISION", "FULL"]
    assert [s.reason for s in view.signatures] == ["Phê duyệt"] * 2
    assert [c.grade for c in view.signatures[0].scope.changes_after] == [Grade.FORM_OR_SIGNATURE]
    assert not {f.code for s in view.signatures for f in s.findings}
    assert ("pdf_mac_valid" in codes(view)) == ("mac" in kind and "no-mac" not in kind)
    assert not {"pdf_mac_wrong", "pdf_mac_missing", "document_reencrypted"} & codes(view)
    stream = io.BytesIO(twice)
    extend_revision(stream, [EvidenceItem(EvidenceKind.CERTIFICATE, pki.cert("person"), Origin.SUPPLIED)])
    longer = pades.read(stream.getvalue())
    assert [c.grade for c in longer.signatures[1].scope.changes_after] == [Grade.EXTENSION]
    assert [item.kind for item in longer.evidence] == [EvidenceKind.CERTIFICATE]
    assert ("pdf_mac_valid" in codes(longer)) == ("pdf_mac_valid" in codes(view))
    if kind not in UNKNOWN_TO_POPPLER:
        (tmp_path / "signed.pdf").write_bytes(twice)
        said = pdfsig(tmp_path / "signed.pdf")
        assert said.count("Signature is Valid") == 2
        assert "Total document signed" in said


def test_pyhanko_accepts_the_codes_that_it_can_check(encrypted: Callable[[str], bytes], sign: Signs) -> None:
    from pyhanko.pdf_utils.crypt.pdfmac import validate_pdf_mac
    from pyhanko.pdf_utils.reader import PdfFileReader

    reader = PdfFileReader(io.BytesIO(sign(encrypted("gcm-mac"))))
    reader.decrypt("")
    validate_pdf_mac(reader)


def test_the_integrity_code_tells_of_a_change(encrypted: Callable[[str], bytes], sign: Signs) -> None:
    for data in (encrypted("aes-256-mac"), sign(encrypted("aes-256-mac"))):
        assert "pdf_mac_valid" in codes(pades.read(data))
        assert "pdf_mac_wrong" in codes(pades.read(data.replace(b"\xe2\xe3\xcf\xd3", b"\xe2\xe3\xcf\xd4").replace(b"%PDF-2.0\n%", b"%PDF-2.0\n%", 1) if b"\xe2\xe3\xcf\xd3" in data else data.replace(b"%PDF-2.0", b"%PDF-1.7", 1)))  # fmt: skip
        assert "pdf_mac_wrong" in codes(pades.read(data + b"\n"))
        assert "pdf_mac_wrong" in codes(pades.read(data.replace(b"/MACLocation", b"/MACLocatioN")))
    # a program that does not know of codes adds a revision and copies the trailer, or leaves the code out
    data = encrypted("aes-256-mac")
    document = Document(data)
    pdf = PdfWriter()
    pdf.data, pdf.size = data, 500
    root, (one, two) = document.last.root, document.last.array(document.last.trailer["ID"])
    encryption = document.last.trailer["Encrypt"]
    assert isinstance(root, Ref)
    assert isinstance(encryption, Ref)
    start = len(data) + 1
    added = b"\n400 0 obj\n7\nendobj\nxref\n400 1\n%010d 00000 n \ntrailer\n<< /Size 500 /Root %d 0 R /Encrypt %d 0 R" % (
        start, root.num, encryption.num)  # fmt: skip
    added += b" /ID [<%s> <%s>]" % (bytes(one).hex().encode(), bytes(two).hex().encode())  # type: ignore[arg-type]
    added += b" /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (int(data.split()[-2]), start + len(b"400 0 obj\n7\nendobj\n"))
    assert "pdf_mac_missing" in codes(pades.read(data + added))


@pytest.mark.parametrize("kind", ["gcm", "gcm-mac"])
def test_gcm_data_that_were_changed_are_unreadable(encrypted: Callable[[str], bytes], kind: str) -> None:
    data = encrypted(kind)
    last = Document(data).last
    content = last.value(last.pages()[0][1], "Contents")
    assert isinstance(content, Stream)
    at = content.start + 14
    changed = Document(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]).last
    again = changed.value(changed.pages()[0][1], "Contents")
    assert isinstance(again, Stream)
    with pytest.raises(PdfError, match="AES-GCM"):
        again.decode()


# What cannot be opened.


@pytest.mark.parametrize("bits", ["40", "128", "256"])
def test_an_unknown_password_is_said_to_be_one(bits: str, tmp_path: Path) -> None:
    (tmp_path / "in.pdf").write_bytes(_plain())
    subprocess.run(["qpdf", WEAK, "--encrypt", "u", "o", bits, "--", "in.pdf", "out.pdf"], cwd=tmp_path, check=True)
    data = (tmp_path / "out.pdf").read_bytes()
    with pytest.raises(DocumentError) as caught:
        pades.read(data)
    assert caught.value.code == "encrypted_document"
    for password in (b"u", b"o"):
        assert pades.read(data, password=password).empty_fields == ("Tráng",)
    with pytest.raises(EncryptedError):
        Document(data, password=b"x")


def test_files_for_recipients_and_unknown_handlers_are_said_to_be_so(pki: Any) -> None:
    from asn1crypto import x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.pdf_utils.writer import copy_into_new_writer

    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(_plain())))
    writer.encrypt_pubkey([x509.Certificate.load(pki.cert("person"))])
    out = io.BytesIO()
    writer.write(out)
    for data in (
        out.getvalue(),
        _with_encryption(b"<< /Filter /Standard /V 3 /R 3 /P 0 >>"),
        _with_encryption(b"<< /Filter /Own /V 1 >>"),
        _with_encryption(b"<< /Filter /Standard /V 4 /R 4 /P 0 /StmF /None >>"),
        _with_encryption(b"(text)"),
    ):
        with pytest.raises(DocumentError) as caught:
            pades.read(data)
        assert caught.value.code == "encryption_unsupported"


def _with_encryption(value: bytes) -> bytes:
    pdf = PdfWriter()
    pdf.update({}, trailer=b" /Encrypt %s /ID [<00> <00>]" % value)
    return pdf.data


# Crypt filters by name, and encryption that changes between revisions.


def _aes(key: bytes, text: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    fill = 16 - len(text) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return bytes(16) + encryptor.update(text + bytes([fill]) * fill)


@pytest.fixture(scope="module")
def handler() -> tuple[bytes, bytes]:
    """An encryption dictionary for AES-256 without its filters, and its key."""
    from pyhanko.pdf_utils.crypt import StandardSecurityHandler

    made = StandardSecurityHandler.build_from_pw("owner", "", pdf_mac=False)
    out = b"/Filter /Standard /V 5 /R 6 /P %d" % made.as_pdf_object()["/P"]
    for name in ("O", "U", "OE", "UE", "Perms"):
        out += b" /%s <%s>" % (name.encode(), bytes(made.as_pdf_object()[f"/{name}"]).hex().encode())
    return out, made.get_file_encryption_key()


def _stream(octets: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s>>\nstream\n%s\nendstream" % (len(octets), entries, octets)


def _filtered(handler: tuple[bytes, bytes], filters: bytes) -> PdfWriter:
    secret = _aes(handler[1], b"secret")
    named = b"/Filter [/Crypt] /DecodeParms [<< /Name /%s >>] "
    extra = {
        30: _stream(b"plain"),
        31: _stream(secret),
        32: _stream(secret, named % b"AES"),
        33: _stream(b"plain", named % b"Identity"),
        34: _stream(b"plain", b"/Filter /Crypt "),
        35: _stream(b"706c61696e>", b"/Filter [/Crypt /AHx] /DecodeParms [<< /Name /Identity >> null] "),
        36: _stream(secret, named % b"Other"),
        37: b"(text)",
        38: _stream(secret, b"/Type /EmbeddedFile "),
        40: b"<< %s %s >>" % (handler[0], filters),
    }
    pdf = PdfWriter(extra=extra)
    pdf.update({}, trailer=b" /Encrypt 40 0 R /ID [<00> <00>]")
    return pdf


def _decoded(document: Document, number: int) -> bytes:
    found = document.last.get(Ref(number, 0))
    assert isinstance(found, Stream)
    return found.decode()


def test_crypt_filters_by_name(handler: tuple[bytes, bytes]) -> None:
    filters = b"/CF << /AES << /CFM /AESV3 >> >> /StmF /Identity /StrF /Identity /EFF /AES"
    pdf = _filtered(handler, filters)
    # the first revision names no encryption: only what stands in it is asked here
    document = Document(pdf.data)
    assert _decoded(document, 30) == b"plain"
    assert [_decoded(document, number) for number in (32, 33, 34, 35, 38)] == [
        b"secret", b"plain", b"plain", b"plain", b"secret",
    ]  # fmt: skip
    assert document.last.get(Ref(37, 0)) == b"text"
    with pytest.raises(PdfError):
        _decoded(document, 36)


def test_streams_without_a_filter_take_the_default(handler: tuple[bytes, bytes]) -> None:
    filters = b"/CF << /AES << /CFM /AESV3 >> >> /StmF /AES /StrF /Identity"
    document = Document(_filtered(handler, filters).data)
    assert _decoded(document, 31) == _decoded(document, 38) == b"secret"
    assert _decoded(document, 33) == b"plain"


def test_another_encryption_later_is_never_silent(handler: tuple[bytes, bytes]) -> None:
    """The same octets under another filter show another document."""
    filters = b"/CF << /AES << /CFM /AESV3 >> >> /StmF /%s /StrF /Identity"
    trailer = b" /Encrypt 40 0 R /ID [<00> <00>]"
    first = {40: b"<< %s %s >>" % (handler[0], filters % b"AES"), 4: _stream(_aes(handler[1], b"BT ET"))}
    for later, expected in (
        ({20: b"7"}, False),
        ({40: first[40]}, False),
        ({40: b"<< %s %s >>" % (handler[0], filters % b"Identity")}, True),
    ):
        pdf = PdfWriter.__new__(PdfWriter)
        pdf.__dict__.update(
            fields=[], annotations=[], catalog_extra=b"", pages=1, data=b"%PDF-2.0\n", prev=None, size=9
        )
        pdf.update(
            {1: pdf.catalog(), 2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", 3: pdf.page(), **first}, trailer=trailer
        )
        assert "document_reencrypted" not in codes(pades.read(pdf.data))
        pdf.update(later, trailer=trailer)
        assert ("document_reencrypted" in codes(pades.read(pdf.data))) == expected
        pdf.update({21: b"7"})  # the newest trailer names no encryption
        assert "document_reencrypted" in codes(pades.read(pdf.data))
