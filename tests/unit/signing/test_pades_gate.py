"""What forbids a signature is found before the key is used; what does not, is signed."""

from __future__ import annotations

import io
import random
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from signsvc.errors import DocumentError
from signsvc.formats.pades.selfcheck import check_written
from signsvc.formats.pades.write import SignatureSpec, sign_revision
from signsvc.formats.pades.write_seed import check_seed

WHEN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class KeyUsedError(AssertionError):
    """The key was asked although the document forbids it."""


def untouched(digest: bytes) -> bytes:
    raise KeyUsedError


@pytest.fixture
def refused(plan_for: Callable[..., Any]) -> Callable[..., DocumentError]:
    """The error that signing this document ends with, without the key being used."""

    def attempt(data: bytes, **spec: Any) -> DocumentError:
        plan, _ = plan_for()
        with pytest.raises(DocumentError) as caught:
            sign_revision(io.BytesIO(data), plan, SignatureSpec(WHEN, **spec), untouched)
        return caught.value

    return attempt


@pytest.fixture
def sign(plan_for: Callable[..., Any]) -> Callable[..., bytes]:
    def run(data: bytes, label: str = "person", **spec: Any) -> bytes:
        plan, key = plan_for(label)
        stream = io.BytesIO(data)
        written = sign_revision(stream, plan, SignatureSpec(WHEN, **spec), key)
        assert check_written(stream, plan, written, before=len(data)) is None
        return stream.getvalue()

    return run


def signed_with_pyhanko(
    data: bytes,
    plan_for: Callable[..., Any],
    *,
    certify: int | None = None,
    lock: Any = None,
    lock_level: int | None = None,
) -> bytes:
    """A document signed by stock pyHanko with a lock or certification."""
    from asn1crypto import keys, x509
    from cryptography.hazmat.primitives import serialization as ser
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import MDPPerm, SigFieldSpec
    from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner

    import test_pki

    pki = test_pki.load()
    der = pki.key("person2").private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    signer = SimpleSigner(
        signing_cert=x509.Certificate.load(pki.cert("person2")),
        signing_key=keys.PrivateKeyInfo.load(der),
        cert_registry=None,
    )
    meta = PdfSignatureMetadata(
        field_name="First", certify=certify is not None, docmdp_permissions=MDPPerm(certify or 2)
    )
    spec = SigFieldSpec("First", field_mdp_spec=lock, doc_mdp_update_value=MDPPerm(lock_level) if lock_level else None)
    out = PdfSigner(meta, signer, new_field_spec=spec).sign_pdf(IncrementalPdfFileWriter(io.BytesIO(data)))
    return bytes(out.getvalue())


def test_a_certification_that_forbids_changes(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], refused: Callable[..., DocumentError]
) -> None:
    error = refused(signed_with_pyhanko(make_pdf(), plan_for, certify=1))
    assert (error.code, error.data["reason"]) == ("signing_not_permitted", "certified-no-changes")


@pytest.mark.parametrize("level", [2, 3])
def test_a_certification_that_permits_signatures(
    level: int, make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], sign: Callable[..., bytes]
) -> None:
    assert sign(signed_with_pyhanko(make_pdf(), plan_for, certify=level)).count(b"/ByteRange") == 2


def test_locks_of_earlier_signatures(
    make_pdf: Callable[..., bytes],
    plan_for: Callable[..., Any],
    refused: Callable[..., DocumentError],
    sign: Callable[..., bytes],
) -> None:
    from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec

    everything = signed_with_pyhanko(make_pdf(), plan_for, lock=FieldMDPSpec(FieldMDPAction.ALL))
    assert refused(everything).data["reason"] == "field-locked"
    some = signed_with_pyhanko(make_pdf(), plan_for, lock=FieldMDPSpec(FieldMDPAction.INCLUDE, ["So", "Ngay"]))
    assert refused(some, field="So").data["reason"] == "field-locked"
    assert refused(some, field="Ngay").data["reason"] == "field-locked"
    assert sign(some, field="GiamDoc")
    others = signed_with_pyhanko(make_pdf(), plan_for, lock=FieldMDPSpec(FieldMDPAction.EXCLUDE, ["VanThu"]))
    assert refused(others).data["reason"] == "field-locked"
    assert sign(others, field="VanThu")


@pytest.mark.parametrize(
    ("action", "fields", "level", "target", "reason"),
    [
        ("ALL", None, None, None, "field-locked"),
        ("ALL", None, 2, "Next", "field-locked"),
        ("INCLUDE", ["Other"], 1, None, "certified-no-changes"),
        ("EXCLUDE", ["Next"], 1, "Next", "certified-no-changes"),
        ("INCLUDE", ["Other"], 2, None, None),
        ("INCLUDE", ["Next"], 2, "Next", "field-locked"),
        ("INCLUDE", ["Nex"], 2, "Next", None),
        ("EXCLUDE", ["Next"], 2, "Next", None),
        ("EXCLUDE", ["Next"], 3, None, "field-locked"),
    ],
)
def test_locks_of_approval_signatures(
    action: str,
    fields: list[str] | None,
    level: int | None,
    target: str | None,
    reason: str | None,
    make_pdf: Callable[..., bytes],
    plan_for: Callable[..., Any],
    refused: Callable[..., DocumentError],
    sign: Callable[..., bytes],
) -> None:
    """An approval signature locks fields, and with /P the whole document (ISO 32000-2 §12.7.5.5, table 233)."""
    from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec

    lock = FieldMDPSpec(FieldMDPAction[action], fields)
    data = signed_with_pyhanko(make_pdf(), plan_for, lock=lock, lock_level=level)
    if reason is None:
        assert sign(data, field=target).count(b"/ByteRange") == 2
    else:
        assert refused(data, field=target).data["reason"] == reason


def test_a_certification_is_the_first_signature(
    make_pdf: Callable[..., bytes], sign: Callable[..., bytes], refused: Callable[..., DocumentError]
) -> None:
    assert refused(sign(make_pdf()), certify=2).data["reason"] == "already-signed"


def test_a_signed_field_is_not_signed_again(
    make_pdf: Callable[..., bytes], sign: Callable[..., bytes], refused: Callable[..., DocumentError]
) -> None:
    assert refused(sign(make_pdf(), field="A"), field="A").data["reason"] == "already-signed"


def _with_form(data: bytes, change: Callable[[Any, Any], None]) -> bytes:
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

    stream = io.BytesIO(data)
    writer = IncrementalPdfFileWriter(stream)
    form = generic.DictionaryObject({generic.NameObject("/Fields"): generic.ArrayObject()})
    writer.root["/AcroForm"] = writer.add_object(form)
    change(writer, form)
    writer.update_root()
    writer.write_in_place()
    return stream.getvalue()


def test_dynamic_xfa_forms(make_pdf: Callable[..., bytes], refused: Callable[..., DocumentError]) -> None:
    from pyhanko.pdf_utils import generic

    def change(writer: Any, form: Any) -> None:
        form["/XFA"] = writer.add_object(generic.StreamObject(stream_data=b"<xdp/>"))

    error = refused(_with_form(make_pdf(), change))
    assert error.data["reason"] == "xfa"
    assert error.text("vi") == "Tài liệu không cho phép ký thêm (biểu mẫu XFA động)."


def test_a_field_of_another_kind_is_no_signature_field(
    make_pdf: Callable[..., bytes], refused: Callable[..., DocumentError]
) -> None:
    from pyhanko.pdf_utils import generic

    def change(writer: Any, form: Any) -> None:
        name = generic.NameObject
        text = generic.DictionaryObject(
            {
                name("/FT"): name("/Tx"),
                name("/T"): generic.TextStringObject("So"),
                name("/V"): generic.TextStringObject("1"),
            }
        )
        form["/Fields"].append(writer.add_object(text))

    assert refused(_with_form(make_pdf(), change), field="So").data["reason"] == "no-such-field"


def test_field_trees_with_shared_nodes_end(
    make_pdf: Callable[..., bytes], refused: Callable[..., DocumentError]
) -> None:
    """Forty levels of two references to the same kid are 2^40 paths."""
    from pyhanko.pdf_utils import generic

    def change(writer: Any, form: Any) -> None:
        name = generic.NameObject
        below = writer.add_object(
            generic.DictionaryObject({name("/T"): generic.TextStringObject("x"), name("/FT"): name("/Sig")})
        )
        for _ in range(40):
            node = {name("/T"): generic.TextStringObject("n"), name("/Kids"): generic.ArrayObject([below, below])}
            below = writer.add_object(generic.DictionaryObject(node))
        form["/Fields"].append(below)

    assert refused(_with_form(make_pdf(), change)).code == "document_too_complex"


def _qpdf(data: bytes, tmp_path: Path, *options: str) -> bytes:
    (tmp_path / "in.pdf").write_bytes(data)
    subprocess.run(["qpdf", *options, "in.pdf", "out.pdf"], cwd=tmp_path, check=True, timeout=60)
    return (tmp_path / "out.pdf").read_bytes()


@pytest.mark.parametrize("bits", ["40", "128", "256"])
def test_encrypted_documents_that_open_without_password(
    bits: str,
    make_pdf: Callable[..., bytes],
    sign: Callable[..., bytes],
    pdfsig: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    weak = ["--allow-weak-crypto"] if bits == "40" else []
    extra = ["--use-aes=y"] if bits == "128" else []
    data = _qpdf(
        make_pdf(),
        tmp_path,
        *weak,
        *(["--allow-weak-crypto"] if extra else []),
        "--encrypt",
        "",
        "owner",
        bits,
        *extra,
        "--",
    )
    (tmp_path / "signed.pdf").write_bytes(sign(sign(data, reason="Phê duyệt"), "agency"))
    said = pdfsig(tmp_path / "signed.pdf")
    assert said.count("Signature is Valid") == 2
    assert "Total document signed" in said


def test_an_unknown_password(
    make_pdf: Callable[..., bytes], refused: Callable[..., DocumentError], tmp_path: Path
) -> None:
    assert refused(_qpdf(make_pdf(), tmp_path, "--encrypt", "user", "owner", "256", "--")).code == "encrypted_document"


def test_permission_bits(make_pdf: Callable[..., bytes], refused: Callable[..., DocumentError], tmp_path: Path) -> None:
    data = _qpdf(
        make_pdf(), tmp_path, "--encrypt", "", "owner", "256", "--modify=none", "--annotate=n", "--form=n", "--"
    )
    assert refused(data).data["reason"] == "permissions"


def test_permission_to_fill_forms_is_for_fields_that_stand_there(
    make_pdf: Callable[..., bytes],
    refused: Callable[..., DocumentError],
    sign: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    """Bit 9 permits a signature in an existing field, and no new field (ISO 32000-2 table 22)."""
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import SigFieldSpec, append_signature_field

    stream = io.BytesIO(make_pdf())
    writer = IncrementalPdfFileWriter(stream)
    append_signature_field(writer, SigFieldSpec("GiamDoc"))
    writer.write_in_place()
    limits = ["--modify=none", "--annotate=n", "--form=y"]
    data = _qpdf(stream.getvalue(), tmp_path, "--encrypt", "", "owner", "256", *limits, "--")
    assert refused(data).data["reason"] == "permissions"
    assert sign(data, field="GiamDoc")
    forbidden = _qpdf(stream.getvalue(), tmp_path, "--encrypt", "", "owner", "256", *limits[:2], "--form=n", "--")
    assert refused(forbidden, field="GiamDoc").data["reason"] == "permissions"


def test_an_owner_without_password_is_not_bound_by_permissions(
    make_pdf: Callable[..., bytes], sign: Callable[..., bytes], tmp_path: Path
) -> None:
    insecure = ["--allow-insecure"]
    data = _qpdf(make_pdf(), tmp_path, "--encrypt", "", "", "256", *insecure, "--modify=none", "--")
    assert sign(data)


@pytest.mark.parametrize("data", [b"%PDF-1.7\nnothing", b"%PDF-1.4\n%%EOF", b"%PDF-1.7\nstartxref\n9\n%%EOF"])
def test_what_is_no_pdf_after_all(data: bytes, refused: Callable[..., DocumentError]) -> None:
    assert refused(data).code == "document_unreadable"


def test_hybrid_cross_references(sign: Callable[..., bytes], pdfsig: Callable[[Path], str], tmp_path: Path) -> None:
    (tmp_path / "signed.pdf").write_bytes(sign(sign(_hybrid()), "agency"))
    assert pdfsig(tmp_path / "signed.pdf").count("Signature is Valid") == 2
    checked = subprocess.run(
        ["qpdf", "--check", "signed.pdf"], cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout


def _hybrid() -> bytes:
    """A table, and beside it a stream that places object 5 in an object stream (ISO 32000-2 §7.5.8.4)."""
    out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    offsets: dict[int, int] = {}

    def add(number: int, body: bytes) -> None:
        offsets[number] = len(out)
        out.extend(b"%d 0 obj\n%s\nendobj\n" % (number, body))

    add(1, b"<</Type/Catalog/Pages 2 0 R>>")
    add(2, b"<</Type/Pages/Kids[3 0 R]/Count 1>>")
    add(3, b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources 5 0 R>>")
    held = b"5 0 <</ProcSet[/PDF]>>"
    add(4, b"<</Type/ObjStm/N 1/First 4/Length %d>>\nstream\n%s\nendstream" % (len(held), held))
    rows = b"\x00\x00\x00\xff" * 5 + b"\x02\x00\x04\x00"
    stream_at = len(out)
    rows += b"\x01" + stream_at.to_bytes(2, "big") + b"\x00"
    add(6, b"<</Type/XRef/Size 7/W[1 2 1]/Index[5 2]/Length %d>>\nstream\n%s\nendstream" % (8, rows[-8:]))
    table_at = len(out)
    out.extend(b"xref\n0 7\n0000000000 65535 f \n")
    for number in range(1, 7):
        out.extend(b"0000000000 00000 f \n" if number in (5, 6) else b"%010d 00000 n \n" % offsets[number])
    out.extend(b"trailer\n<</Size 7/Root 1 0 R/XRefStm %d>>\nstartxref\n%d\n%%%%EOF\n" % (stream_at, table_at))
    return bytes(out)


def test_damaged_documents_end_in_our_words(make_pdf: Callable[..., bytes], plan_for: Callable[..., Any]) -> None:
    """Tokens of a document overwritten with others: refused, or signed so that the check of the result passes."""
    base = make_pdf(pages=2)
    places = [found.start() for found in re.finditer(rb"[/<\[(0-9]", base)]
    tokens = (b"/Kids", b"/Parent", b"1 0 R", b"<<", b">>", b"[", b"]", b"-1", b"99999999999", b"(", b"null", b"endobj")
    chance = random.Random(1)
    plan, sign = plan_for()
    ends = {"signed": 0, "document_unreadable": 0, "document_too_complex": 0, "signing_not_permitted": 0}
    for _ in range(150):
        data = bytearray(base)
        for _ in range(chance.choice((1, 3))):
            at, token = chance.choice(places), chance.choice(tokens)
            data[at : at + len(token)] = token
        stream = io.BytesIO(bytes(data))
        try:
            written = sign_revision(stream, plan, SignatureSpec(WHEN), sign)
        except DocumentError as error:
            ends[error.code] += 1
        else:
            assert check_written(stream, plan, written, before=len(data)) is None
            ends["signed"] += 1
    assert ends["signed"] > 10
    assert ends["document_unreadable"] > 10


@pytest.mark.parametrize(
    ("entries", "spec", "reason"),
    [
        ({"Ff": 1, "Filter": "/Other.Handler"}, {}, "seed-filter"),
        ({"Ff": 1, "Filter": "/Adobe.PPKLite"}, {}, None),
        ({"Ff": 2, "SubFilter": ["/adbe.pkcs7.detached"]}, {}, "seed-format"),
        ({"Ff": 2, "SubFilter": ["/adbe.pkcs7.detached", "/ETSI.CAdES.detached"]}, {}, None),
        ({"Ff": 0, "SubFilter": ["/adbe.pkcs7.detached"]}, {}, "a wish"),
        ({"Ff": 64, "DigestMethod": ["SHA512"]}, {}, "seed-digest"),
        ({"Ff": 64, "DigestMethod": ["SHA256"]}, {}, None),
        ({"Ff": 8, "Reasons": ["Phê duyệt"]}, {}, "seed-reason"),
        ({"Ff": 8, "Reasons": ["Phê duyệt"]}, {"reason": "Phê duyệt"}, None),
        ({"Ff": 8, "Reasons": ["."]}, {"reason": "Phê duyệt"}, "seed-reason"),
        ({"Ff": 0, "MDP": 2}, {}, "seed-certification"),
        ({"Ff": 128, "LockDocument": "/true"}, {}, "seed-certification"),
        ({"Ff": 32, "AddRevInfo": True}, {}, "seed-revocation"),
    ],
)
def test_what_a_seed_value_requires(
    entries: dict[str, Any], spec: dict[str, Any], reason: str | None, plan_for: Callable[..., Any]
) -> None:
    from pyhanko.pdf_utils import generic

    def made(value: Any) -> Any:
        if isinstance(value, bool):
            return generic.BooleanObject(value)
        if isinstance(value, int):
            return generic.NumberObject(value)
        if isinstance(value, list):
            return generic.ArrayObject(map(made, value))
        return generic.NameObject(value) if value.startswith("/") else generic.TextStringObject(value)

    seed = generic.DictionaryObject({generic.NameObject(f"/{key}"): made(value) for key, value in entries.items()})
    if "MDP" in entries:
        level = {generic.NameObject("/P"): generic.NumberObject(entries["MDP"])}
        seed[generic.NameObject("/MDP")] = generic.DictionaryObject(level)
    field = generic.DictionaryObject({generic.NameObject("/SV"): seed})
    plan, _ = plan_for()
    if reason is None or reason == "a wish":
        check_seed(field, plan, SignatureSpec(WHEN, **spec))
        return
    with pytest.raises(DocumentError) as caught:
        check_seed(field, plan, SignatureSpec(WHEN, **spec))
    assert caught.value.data["reason"] == reason
    assert "seed" not in caught.value.text("vi")


def test_a_seed_value_is_judged_before_the_key(
    make_pdf: Callable[..., bytes], refused: Callable[..., DocumentError], sign: Callable[..., bytes]
) -> None:
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import SigFieldSpec, SigSeedValFlags, SigSeedValueSpec, append_signature_field

    seed = SigSeedValueSpec(flags=SigSeedValFlags.REASONS, reasons=["Phê duyệt"])
    stream = io.BytesIO(make_pdf())
    writer = IncrementalPdfFileWriter(stream)
    append_signature_field(writer, SigFieldSpec("GiamDoc", seed_value_dict=seed))
    writer.write_in_place()
    assert refused(stream.getvalue(), field="GiamDoc").data["reason"] == "seed-reason"
    assert sign(stream.getvalue(), field="GiamDoc", reason="Phê duyệt")
