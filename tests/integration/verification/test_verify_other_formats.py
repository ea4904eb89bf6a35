"""The verify doors take XML, CMS and containers: detached content as files or digests, and hostile files."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import test_pki
from signsvc.reports.model import Report
from signsvc.services import Services
from signsvc.store import Scope
from signsvc.validation import policies
from signsvc.web import create_app
from test_pki.responders import Responders
from tests.support import signed_cms
from tests.support.installation import Installation, install
from tests.support.signed_pdf import signed
from tests.unit.formats.asic.asic_bench import AsicBench
from tests.unit.formats.xades.xades_bench import Packaging, XadesBench, original

CONTENT = signed_cms.CONTENT
FIRST, SECOND = ("hợp đồng.docx", b"PK first"), ("phụ lục.txt", b"second file")
PASSED = ("TOTAL-PASSED", None)
MISSING = ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
ALTERED = ("TOTAL-FAILED", "HASH_FAILURE")
Files = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("formats"), pki, responders)


@pytest.fixture(scope="module")
def client(house: Installation) -> Iterator[FlaskClient]:
    settings = house.settings
    with Services(settings, workers=1) as services:
        secret = services.store.api_keys.create("tests", [Scope.VERIFY], now=datetime.now(UTC)).secret
        found = create_app(settings, services).test_client()
        found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
        yield found


@pytest.fixture(scope="module")
def made(pki: test_pki.Pki) -> dict[str, bytes]:
    """One signed file of each kind."""
    bench = XadesBench(pki, policies.load("hon-hop"), pki.epoch, ())
    files = (original(*FIRST), original(*SECOND))
    detached = bench.sign(None, files=files, packaging=Packaging.DETACHED)
    cms = signed_cms.sign(pki)
    return {
        "enveloped": bench.sign(),
        "part": bench.sign(references=("data",)),
        "detached": detached,
        "archived": bench.raised(detached, "B-LTA", originals=files),
        "p7s": cms,
        "pem": b"-----BEGIN PKCS7-----\n" + base64.encodebytes(cms) + b"-----END PKCS7-----\n",
        "base64": base64.b64encode(cms),
        "p7m": signed_cms.sign(pki, detached=False),
        "asice": AsicBench(bench).sign(files),
    }


def post(
    client: FlaskClient, data: bytes, originals: Files | None = None, path: str = "/v1/verify", **fields: str
) -> Any:
    parts: dict[str, Any] = {**fields, "document": (io.BytesIO(data), "ky.bin")}
    parts["original"] = [(io.BytesIO(octets), name) for name, octets in originals or []]
    return client.post(path, data=parts, buffered=True)


def report_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.data[:400]
    found: dict[str, Any] = answer.get_json()
    Report.model_validate(found)
    return found


def verdict(report: dict[str, Any]) -> tuple[str, str | None]:
    return report["indication"], report["sub_indication"]


def codes(report: dict[str, Any]) -> set[str]:
    every = [*report["messages"], *(m for s in report["signatures"] for m in s["messages"])]
    return {message["code"] for message in every}


@pytest.mark.parametrize(
    ("kind", "media_type", "covered", "scope"),
    [
        ("enveloped", "application/xml", ("document", "/HDon"), "FULL"),
        ("part", "application/xml", ("element", "/HDon/DLHDon"), "PARTIAL"),
        ("p7m", "application/cms", ("object", "ky.bin"), "FULL"),
    ],
)
def test_content_inside(
    kind: str, media_type: str, covered: tuple[str, str], scope: str, client: FlaskClient, made: dict[str, bytes]
) -> None:
    report = report_of(post(client, made[kind]))
    assert verdict(report) == PASSED, codes(report)
    assert report["document"]["media_type"] == media_type
    (signature,) = report["signatures"]
    (one,) = signature["covered"]
    assert ((one["kind"], one["name"]), one["matches"], signature["scope"]["type"]) == (covered, True, scope)
    unused = report_of(post(client, made["enveloped"], [FIRST, SECOND]))
    assert verdict(unused) == PASSED
    assert "originals_unused" in codes(unused)


@pytest.mark.parametrize(
    ("originals", "wanted", "matches"),
    [
        ([FIRST, SECOND], PASSED, [True, True]),
        ([SECOND, FIRST, ("other.txt", b"?")], PASSED, [True, True]),
        ([FIRST], MISSING, [True, None]),
        ([], MISSING, [None, None]),
        ([FIRST, (SECOND[0], b"changed")], ALTERED, [True, False]),
    ],
)
def test_detached_xml(
    originals: Files,
    wanted: tuple[str, str | None],
    matches: list[bool | None],
    client: FlaskClient,
    made: dict[str, bytes],
) -> None:
    report = report_of(post(client, made["detached"], originals))
    assert verdict(report) == wanted, codes(report)
    covered = report["signatures"][0]["covered"]
    assert [(one["name"], one["matches"]) for one in covered] == list(zip((FIRST[0], SECOND[0]), matches, strict=True))
    assert [c["result"] for c in report["signatures"][0]["checks"] if c["id"] == "changes"] == ["not_applicable"]
    assert ("originals_unused" in codes(report)) == (len(originals) == 3)


def zipped(files: Files, **options: Any) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", **options) as archive:
        for name, octets in files:
            archive.writestr(name, octets)
    return target.getvalue()


def test_containers(client: FlaskClient, made: dict[str, bytes]) -> None:
    report = report_of(post(client, made["asice"]))
    assert verdict(report) == PASSED, codes(report)
    assert report["document"]["media_type"] == "application/vnd.etsi.asic-e+zip"
    (signature,) = report["signatures"]
    assert [(one["kind"], one["name"], one["matches"]) for one in signature["covered"]] == [
        ("file", FIRST[0], True),
        ("file", SECOND[0], True),
    ]
    assert signature["scope"]["type"] == "FULL"
    with zipfile.ZipFile(io.BytesIO(made["asice"])) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    changed = [(name, b"changed" if name == SECOND[0] else octets) for name, octets in entries]
    assert verdict(report_of(post(client, zipped(changed)))) == ALTERED
    lacking = report_of(post(client, zipped([one for one in entries if one[0] != SECOND[0]])))
    assert verdict(lacking) == MISSING
    assert "originals_unused" in codes(report_of(post(client, made["asice"], [FIRST])))


@pytest.mark.parametrize("form", ["p7s", "pem", "base64"])
def test_detached_cms(form: str, client: FlaskClient, made: dict[str, bytes]) -> None:
    report = report_of(post(client, made[form], [("khac.txt", b"other"), ("van-ban.docx", CONTENT)]))
    assert verdict(report) == PASSED, codes(report)
    assert report["signatures"][0]["covered"][0]["name"] == "van-ban.docx"
    assert "originals_unused" in codes(report)
    assert verdict(report_of(post(client, made[form]))) == MISSING
    assert verdict(report_of(post(client, made[form], [("van-ban.docx", CONTENT[:-1])]))) == ALTERED


def hashed(octets: bytes, name: str | None = None, algorithm: str = "sha-256") -> dict[str, str]:
    digest = hashlib.new(algorithm.replace("-", ""), octets).digest()
    said = {"algorithm": algorithm, "digest": base64.b64encode(digest).decode()}
    return {**said, "name": name} if name else said


def hashes(client: FlaskClient, data: bytes, digests: list[dict[str, str]], **members: Any) -> Any:
    body = {"document": {"content": base64.b64encode(data).decode()}, "digests": digests, **members}
    return client.post("/v1/verify-hashes", json=body, buffered=True)


def test_originals_in_json(client: FlaskClient, made: dict[str, bytes]) -> None:
    def content(octets: bytes) -> str:
        return base64.b64encode(octets).decode()

    for second, wanted in ((SECOND[1], PASSED), (b"?", ALTERED)):
        files = [{"name": n, "content": content(o)} for n, o in (FIRST, (SECOND[0], second))]
        body = {"document": {"content": content(made["detached"])}, "originals": files}
        assert verdict(report_of(client.post("/v1/verify", json=body, buffered=True))) == wanted
    body = {"document": {"content": content(made["p7s"])}, "originals": [{"name": "../a", "content": content(CONTENT)}]}
    assert verdict(report_of(client.post("/v1/verify", json=body, buffered=True))) == PASSED


def test_digests_in_place_of_content(client: FlaskClient, made: dict[str, bytes]) -> None:
    both = [hashed(octets, name) for name, octets in (FIRST, SECOND)]
    report = report_of(hashes(client, made["detached"], both))
    assert verdict(report) == PASSED, codes(report)
    nameless = [hashed(FIRST[1]), hashed(SECOND[1])]
    assert verdict(report_of(hashes(client, made["detached"], nameless))) == PASSED
    assert verdict(report_of(hashes(client, made["detached"], both[:1]))) == MISSING
    assert verdict(report_of(hashes(client, made["detached"], [both[0], hashed(b"?", SECOND[0])]))) == ALTERED
    assert verdict(report_of(hashes(client, made["detached"], [both[0], hashed(SECOND[1], SECOND[0], "sha-512")]))) == (
        MISSING
    )
    assert verdict(report_of(hashes(client, made["p7s"], [hashed(CONTENT)]))) == PASSED
    assert verdict(report_of(hashes(client, made["p7s"], [hashed(b"?")]))) == ALTERED


def test_archive_timestamps_need_the_content(client: FlaskClient, made: dict[str, bytes]) -> None:
    files = [FIRST, SECOND]
    whole = report_of(post(client, made["archived"], files))
    assert verdict(whole) == PASSED, codes(whole)
    assert "archive_timestamp_needs_content" not in codes(whole)
    report = report_of(hashes(client, made["archived"], [hashed(octets, name) for name, octets in files]))
    assert report["indication"] == "TOTAL-PASSED"
    assert "archive_timestamp_needs_content" in codes(report)


def test_the_signature_of_a_pdf_by_digest(client: FlaskClient, pki: test_pki.Pki) -> None:
    data = signed(pki, claimed=datetime.now(UTC)).data
    ranges = re.search(rb"/ByteRange ?\[(\d+) (\d+) (\d+)", data)
    assert ranges is not None
    start, end = int(ranges[2]), int(ranges[3])
    cms = bytes.fromhex(data[start + 1 : end - 1].decode())
    report = report_of(hashes(client, cms, [hashed(data[:start] + data[end:], "van-ban.pdf")]))
    assert verdict(report) == PASSED, codes(report)


@pytest.mark.parametrize(
    "digests",
    [
        [],
        [{"algorithm": "sha-256", "digest": "AAAA"}],
        [{"algorithm": "sha-9", "digest": "A" * 44}],
        [{"algorithm": "sha-256"}],
        [{"algorithm": "sha-256", "digest": "?"}],
    ],
)
def test_unusable_digests(digests: list[dict[str, str]], client: FlaskClient, made: dict[str, bytes]) -> None:
    answer = hashes(client, made["p7s"], digests)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_document"),
        (b"garbage " * 50, "unsupported_format"),
        (b'<!DOCTYPE a [<!ENTITY a "xx"><!ENTITY b "&a;&a;&a;">]><a>&b;</a>', "xml_doctype"),
        (b"<a><b></a>", "xml_malformed"),
        (bytes.fromhex("308206092a864886f70d010702") + b"\xff" * 90, "document_unreadable"),
        (b"-----BEGIN CMS-----\n!!!\n-----END CMS-----\n", "document_unreadable"),
    ],
)
def test_hostile_files(data: bytes, code: str, client: FlaskClient) -> None:
    answer = post(client, data)
    assert answer.get_json(force=True)["code"] == code
    assert answer.status_code in (413, 415, 422)


def test_the_page_takes_originals(client: FlaskClient, made: dict[str, bytes]) -> None:
    form = client.get("/verify?lang=en").get_data(as_text=True)
    assert 'name="original"' in form
    secret = client.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    shown = post(client, made["detached"], [FIRST, SECOND], "/verify?lang=en", api_key=secret).get_data(as_text=True)
    assert FIRST[0] in shown
    assert SECOND[0] in shown
    # A form whose field for originals was left empty sends a part without a name or octets.
    empty = post(client, made["part"], [("", b"")], "/verify?lang=en", api_key=secret).get_data(as_text=True)
    assert "The signature covers only" in empty
    assert "/HDon/DLHDon" in empty
    assert "originals" not in empty


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (zipped([("a.txt", b"no signatures")]), "container_not_asic"),
        (b"PK\x03\x04" + b"\xff" * 90, "container_malformed"),
        (zipped([("META-INF/signatures.xml", b"<a/>"), ("../a", b"x")]), "container_name_unsafe"),
        (
            zipped(
                [("META-INF/signatures.xml", b"<a/>"), *((f"{n}", bytes(8 << 20)) for n in range(1))],
                compression=zipfile.ZIP_DEFLATED,
            ),
            "document_too_complex",
        ),
    ],
    ids=["plain", "garbage", "upwards", "bomb"],
)
def test_hostile_containers(data: bytes, code: str, client: FlaskClient) -> None:
    assert post(client, data).get_json(force=True)["code"] == code


def run(house: Installation, *arguments: object, lang: str = "vi") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "signsvc", "verify", "--lang", lang, *map(str, arguments)],
        env={**os.environ, **house.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command(house: Installation, made: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in (*made.items(), FIRST, SECOND, ("van-ban.docx", CONTENT)):
        (tmp_path / name).write_bytes(data)
    given = [part for name in (FIRST[0], SECOND[0]) for part in ("--original", tmp_path / name)]
    code, shown = run(house, tmp_path / "part", tmp_path / "enveloped", tmp_path / "p7m", "--json")
    reports = [json.loads(line) for line in shown.splitlines()]
    assert (code, [verdict(report) for report in reports]) == (0, [PASSED] * 3)
    code, shown = run(house, tmp_path / "part", tmp_path / "detached", *given)
    assert code == 0, shown
    assert "Chữ ký chỉ bao phủ: /HDon/DLHDon" in shown
    assert f"{FIRST[0]}; {SECOND[0]}" in shown
    assert run(house, tmp_path / "p7s")[0] == 2
    (tmp_path / "van-ban.docx.p7s").write_bytes(made["p7s"])
    code, shown = run(house, tmp_path / "van-ban.docx.p7s", lang="en")
    assert (code, "What is covered: all content: van-ban.docx" in shown) == (0, True), shown
    assert run(house, tmp_path / "p7s", "--digest", f"SHA-256:{hashlib.sha256(CONTENT).hexdigest()}:a.docx")[0] == 0
    assert run(house, tmp_path / "p7s", "--original", tmp_path / FIRST[0])[0] == 1
    assert run(house, tmp_path / "p7s", "--digest", "sha256:12")[0] == 64
