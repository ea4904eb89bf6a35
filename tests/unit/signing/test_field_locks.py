"""Signatures in fields with locks and seed values: what is written, and what counts against it later."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.formats import pades
from signsvc.formats.pades.write import SignatureSpec, sign_revision
from signsvc.signing import fields
from signsvc.signing.appearance.layout import Fonts

WHEN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TEXTS = [
    {"name": "so", "kind": "text", "rect": [80, 740, 200, 758]},
    {"name": "ngay", "kind": "text", "rect": [330, 740, 530, 758]},
]


@pytest.fixture
def signed(make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], tmp_path: Path) -> Callable[..., bytes]:
    """A document whose field NguoiKy, with this lock and seed, was signed."""

    def make(lock: Any = None, seed: Any = None, label: str = "person", **spec: Any) -> bytes:
        source, target = tmp_path / "in.pdf", tmp_path / "out.pdf"
        source.write_bytes(make_pdf())
        wanted = fields.parse([{"name": "NguoiKy", "lock": lock, "seed": seed}, *TEXTS])
        fields.prepare(source, target, wanted, fonts=Fonts())
        stream = io.BytesIO(target.read_bytes())
        plan, key = plan_for(label)
        sign_revision(stream, plan, SignatureSpec(WHEN, field="NguoiKy", **spec), key)
        return stream.getvalue()

    return make


def filled(data: bytes, name: str) -> bytes:
    """The document after somebody wrote in a text field."""
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    listed = writer.root["/AcroForm"]["/Fields"]
    reference = next(listed.raw_get(n) for n in range(len(listed)) if listed[n]["/T"] == name)
    reference.get_object()["/V"] = generic.TextStringObject("12")
    writer.mark_update(reference)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("lock", "open_ones"),
    [
        ({"action": "Include", "fields": ["so"]}, {"ngay"}),
        ({"action": "Exclude", "fields": ["so"]}, {"so"}),
        ({"action": "All"}, set()),
        ({"action": "Include", "fields": ["so"], "permissions": 2}, {"ngay"}),
    ],
)
def test_what_is_locked_stays(lock: dict[str, Any], open_ones: set[str], signed: Callable[..., bytes]) -> None:
    from pyhanko.pdf_utils.reader import PdfFileReader

    data = signed(lock)
    embedded = PdfFileReader(io.BytesIO(data)).embedded_signatures[0]
    assert embedded.fieldmdp is not None
    assert embedded.fieldmdp.action.value == f"/{lock['action']}"
    assert embedded.fieldmdp.fields == lock.get("fields")
    (reference,) = embedded.sig_object["/Reference"]
    assert reference.raw_get("/Data").reference.idnum == embedded.reader.trailer.raw_get("/Root").reference.idnum
    assert reference["/TransformParams"].get("/P") == lock.get("permissions")
    (whole,) = pades.read(data).signatures
    assert (whole.scope.changes_after, whole.lock is not None) == ((), True)
    for name in ("so", "ngay"):
        (after,) = pades.read(filled(data, name)).signatures
        (change,) = after.scope.changes_after
        assert change.permitted == (name in open_ones), name


def test_a_field_asks_for_a_certificate(signed: Callable[..., bytes], pki: test_pki.Pki) -> None:
    own, other = (base64.b64encode(pki.cert(label)).decode() for label in ("person", "agency"))
    issuer = base64.b64encode(pki.chain("person")[1]).decode()
    for seed in ({"subjects": [own]}, {"subjects": [other, own]}, {"issuers": [issuer]}):
        (found,) = pades.read(signed(seed=seed)).signatures
        assert "signature_seed_value_violated" not in [finding.code for finding in found.findings]
    for seed in ({"subjects": [other]}, {"issuers": [other]}):
        with pytest.raises(DocumentError) as caught:
            signed(seed=seed)
        assert caught.value.data["reason"] == "seed-certificate"
        assert "seed" not in caught.value.text("vi")


def test_a_field_asks_for_a_timestamp(signed: Callable[..., bytes]) -> None:
    seed = {"timestamp_url": "http://tsa.example/"}
    with pytest.raises(DocumentError) as caught:
        signed(seed=seed, stamped=False)
    assert caught.value.data["reason"] == "seed-timestamp"
    assert signed(seed=seed, stamped=True)


def test_a_field_asks_for_another_format(signed: Callable[..., bytes]) -> None:
    seed = {"formats": ["adbe.pkcs7.detached"]}
    with pytest.raises(DocumentError) as caught:
        signed(seed=seed)
    assert caught.value.data["reason"] == "seed-format"
    (found,) = pades.read(signed(seed=seed, subfilter="adbe.pkcs7.detached")).signatures
    assert found.format == "PKCS7"


@pytest.mark.parametrize(
    ("entries", "fits"),
    [
        ({"Ff": 4, "OID": ["1.2.3"]}, False),
        ({"Ff": 0, "OID": ["1.2.3"]}, True),
        ({"Ff": 8, "SubjectDN": [{"CN": "Somebody else"}]}, False),
        ({"Ff": 8, "SubjectDN": [{"CN": "Somebody else"}, {"C": "VN"}]}, True),
        ({"Ff": 32, "KeyUsage": ["XXXXX1XXX"]}, False),
        ({"Ff": 32, "KeyUsage": ["XXXXX1XXX", "1XXXX0XXX"]}, True),
    ],
)
def test_what_else_is_asked_of_a_certificate(entries: dict[str, Any], fits: bool, plan_for: Callable[..., Any]) -> None:
    from pyhanko.pdf_utils import generic

    from signsvc.formats.pades.write_seed import check_seed

    def made(value: Any) -> Any:
        if isinstance(value, int):
            return generic.NumberObject(value)
        if isinstance(value, list):
            return generic.ArrayObject(map(made, value))
        if isinstance(value, dict):
            return generic.DictionaryObject({generic.NameObject(f"/{k}"): made(v) for k, v in value.items()})
        return generic.TextStringObject(value)

    plan, _ = plan_for()
    spec = SignatureSpec(WHEN)
    if fits:
        check_seed(made({"SV": {"Cert": entries}}), plan, replace(spec, stamped=True))
        return
    with pytest.raises(DocumentError) as caught:
        check_seed(made({"SV": {"Cert": entries}}), plan, spec)
    assert caught.value.data["reason"] == "seed-certificate"
