"""How much room a signature gets in the file, and which version of PDF the file claims afterwards."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from signsvc.formats.cms.write import room_for
from signsvc.formats.pades.write import RoomTooSmallError, SignatureSpec, prepare_revision, sign_revision
from signsvc.formats.pdf import Document

WHEN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_room_is_counted_once(make_pdf: Callable[..., bytes], plan_for: Callable[..., Any]) -> None:
    plan, _ = plan_for()
    stream = io.BytesIO(make_pdf())
    made = prepare_revision(stream, plan, SignatureSpec(WHEN), room=7000)
    assert made.end - made.start == 2 * 7000 + 2
    assert stream.getvalue()[made.start : made.end] == b"<" + b"0" * 14000 + b">"
    plan, key = plan_for()
    stream = io.BytesIO(make_pdf())
    written = sign_revision(stream, plan, SignatureSpec(WHEN), key)
    assert written.end - written.start == 2 * room_for(plan) + 2
    assert 0 <= room_for(plan) - len(written.contents) < 32


def test_too_large_a_timestamp_is_told_with_its_size(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any]
) -> None:
    plan, key = plan_for()
    token = b"\x30\x82\x1f\x40" + bytes(8000)

    def sign(kept: int) -> None:
        sign_revision(
            io.BytesIO(make_pdf()), plan, SignatureSpec(WHEN), key, timestamp=lambda _, __: token, timestamp_room=kept
        )

    with pytest.raises(RoomTooSmallError) as caught:
        sign(6000)
    assert caught.value.needed == len(token)
    sign(len(token) + 100)


@pytest.mark.parametrize(
    ("header", "version", "after", "extension"),
    [
        (b"1.4", None, "1.7", True),
        (b"1.7", None, None, True),
        (b"1.4", "1.7", "1.7", True),
        (b"1.4", "2.0", "2.0", False),
        (b"2.0", None, None, False),
        (b"2.0", "1.7", "1.7", False),
    ],
)
@pytest.mark.parametrize("subfilter", ["ETSI.CAdES.detached", "adbe.pkcs7.detached"])
def test_the_version_is_never_lowered(
    header: bytes,
    version: str | None,
    after: str | None,
    extension: bool,
    subfilter: str,
    make_pdf: Callable[..., bytes],
    plan_for: Callable[..., Any],
) -> None:
    data = re.sub(rb"%PDF-\d\.\d", b"%PDF-" + header, make_pdf(), count=1)
    if version is not None:
        from pyhanko.pdf_utils import generic
        from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

        writer = IncrementalPdfFileWriter(io.BytesIO(data))
        writer.root["/Version"] = generic.NameObject(f"/{version}")
        writer.update_root()
        out = io.BytesIO()
        writer.write(out)
        data = out.getvalue()
    before = Document(data).last.catalog.get("Version")
    plan, key = plan_for()
    stream = io.BytesIO(data)
    sign_revision(stream, plan, SignatureSpec(WHEN, subfilter=subfilter), key)
    catalog = Document(stream.getvalue()).last.catalog
    if subfilter == "adbe.pkcs7.detached":
        assert (catalog.get("Version"), "Extensions" in catalog) == (before, False)
        return
    assert catalog.get("Version") == (after or before)
    assert ("ESIC" in (catalog.get("Extensions") or {})) is extension
