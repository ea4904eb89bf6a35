"""Ordinary files that stock readers die on: whole road, signed here and verified with the worker's limits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pyhanko.pdf_utils import generic, writer
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader

from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing import profiles

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"


def bookmarks(count: int) -> bytes:
    """The office document with a chain of `count` outline entries."""
    stream = BytesIO(sample("van-ban.pdf").read_bytes())
    out = IncrementalPdfFileWriter(stream)
    page = out.root["/Pages"]["/Kids"].raw_get(0)
    outline = out.add_object(generic.DictionaryObject())
    entries = [out.add_object(generic.DictionaryObject()) for _ in range(count)]
    for index, entry in enumerate(entries):
        node = entry.get_object()
        node[pdf_name("/Title")] = generic.TextStringObject(f"Mục {index}")
        node[pdf_name("/Parent")] = outline
        node[pdf_name("/Dest")] = generic.ArrayObject([page, pdf_name("/Fit")])
        if index:
            node[pdf_name("/Prev")] = entries[index - 1]
        if index + 1 < count:
            node[pdf_name("/Next")] = entries[index + 1]
    top = outline.get_object()
    top[pdf_name("/First")], top[pdf_name("/Last")] = entries[0], entries[-1]
    top[pdf_name("/Count")] = generic.NumberObject(count)
    out.root[pdf_name("/Outlines")] = outline
    out.update_root()
    out.write_in_place()
    return stream.getvalue()


def pages(count: int, size: int = 0) -> bytes:
    """A file of `count` pages; `size` octets of incompressible content are spread over them."""
    out = writer.PdfFileWriter()
    for _ in range(count):
        content = b"BT ET\n" + (b"%" + os.urandom(size // count).hex().encode()[: size // count] if size else b"")
        contents = out.add_object(generic.StreamObject(stream_data=content))
        page = writer.PageObject(
            contents=contents, media_box=generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842)))
        )
        out.insert_page(page)
    stream = BytesIO()
    out.write(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("400 bookmarks", lambda: bookmarks(400)),
        ("5,000 bookmarks", lambda: bookmarks(5000)),
        ("2,500 pages", lambda: pages(2500)),
        ("100 MB", lambda: pages(100, 100_000_000)),
    ],
)
def test_signed_verified_and_found_unchanged(
    name: str, make: Callable[[], bytes], services: Services, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.pdf", tmp_path / "out.pdf"
    source.write_bytes(make())
    services.signing.sign(source, target, profile=profiles.load("pades-b-lta"), signer=services.keyring.get("person"))
    outcome = services.verifier.verify(target)
    (signature,) = outcome.signatures
    assert outcome.indication == "TOTAL-PASSED", (name, outcome.report["messages"], signature["messages"])
    assert signature["level"] == "B-LTA"
    assert {c["grade"] for c in signature["scope"]["changes_after"]} == {"extension"}


def test_bookmarks_added_after_signing_are_seen(services: Services, tmp_path: Path) -> None:
    signed = tmp_path / "signed.pdf"
    services.signing.sign(
        sample("van-ban.pdf"), signed, profile=profiles.load("pades-b-t"), signer=services.keyring.get("person")
    )
    stream = BytesIO(signed.read_bytes())
    out = IncrementalPdfFileWriter(stream)
    content = out.add_object(generic.StreamObject(stream_data=b"BT /F1 12 Tf 100 100 Td (them) Tj ET"))
    page = out.root["/Pages"]["/Kids"][0]
    page[pdf_name("/Contents")] = generic.ArrayObject([page.raw_get("/Contents"), content])
    out.update_container(page)
    out.write_in_place()
    changed = tmp_path / "changed.pdf"
    changed.write_bytes(stream.getvalue())
    outcome = services.verifier.verify(changed)
    (signature,) = outcome.signatures
    assert (outcome.indication, outcome.sub_indication) == ("TOTAL-FAILED", "FORMAT_FAILURE")
    assert signature["as_signed"]["indication"] == "TOTAL-PASSED"
    assert signature["scope"]["changes_after"][-1]["grade"] == "undefined"


@pytest.mark.parametrize("method", ["aes128", "aes256", "rc4"])
def test_encrypted_files_that_open_without_a_password(method: str, services: Services, tmp_path: Path) -> None:
    source, target = tmp_path / "in.pdf", tmp_path / "out.pdf"
    bits = {"aes128": ("128", "--use-aes=y"), "aes256": ("256",), "rc4": ("128", "--use-aes=n")}[method]
    command = [
        "qpdf",
        "--allow-weak-crypto",
        "--encrypt",
        "",
        "owner",
        *bits,
        "--",
        str(sample("van-ban.pdf")),
        str(source),
    ]
    subprocess.run(command, check=True)
    services.signing.sign(source, target, profile=profiles.load("pades-b-lta"), signer=services.keyring.get("person"))
    outcome = services.verifier.verify(target)
    assert outcome.indication == "TOTAL-PASSED", outcome.report
    assert PdfFileReader(BytesIO(target.read_bytes())).encrypted


def test_an_unknown_password_is_refused_both_ways(services: Services, tmp_path: Path) -> None:
    from signsvc.errors import DocumentError

    source = tmp_path / "in.pdf"
    command = ["qpdf", "--encrypt", "secret", "owner", "256", "--", str(sample("van-ban.pdf")), str(source)]
    subprocess.run(command, check=True)
    with pytest.raises(DocumentError) as caught:
        services.verifier.verify(source)
    assert caught.value.code == "encrypted_document"
    with pytest.raises(DocumentError) as caught:
        services.signing.sign(
            source, tmp_path / "out.pdf", profile=profiles.load("pades-b-b"), signer=services.keyring.get("person")
        )
    assert caught.value.code == "encrypted_document"
    assert [p.name for p in tmp_path.iterdir()] == ["in.pdf"]


def test_a_cold_verify_imports_nothing_heavy(services: Services, tmp_path: Path) -> None:
    """What keeps `signsvc verify` quick: none of these on the way of a file that carries its evidence."""
    target = tmp_path / "a.pdf"
    services.signing.sign(
        sample("van-ban.pdf"), target, profile=profiles.load("pades-b-lta"), signer=services.keyring.get("person")
    )
    code = (
        "import sys; from signsvc.cli import main\n"
        f"sys.argv = ['signsvc', 'verify', '--offline', {str(target)!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'pyhanko', 'pydantic', 'asn1crypto', 'requests', 'sqlalchemy', 'flask', 'rich', 'fontTools', 'lxml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "SIGNSVC_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
