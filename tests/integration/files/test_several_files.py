"""Several files in one container under one signature, through the command line and HTTP; where CAdES says the place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.formats import cades
from signsvc.types import Original
from test_pki.responders import Responders
from tests.support.installation import Installation, install
from tests.support.service import Answer, Service, running

FILES = {"a.pdf": b"%PDF-1.4 any", "tệp.xml": b"<a/>", "c.txt": b"c"}


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("several"), pki, responders)


def run(house: Installation, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "signsvc", *map(str, words)],
        env={**os.environ, **house.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def written(directory: Path) -> list[Path]:
    paths = [directory / name for name in FILES]
    for path in paths:
        path.write_bytes(FILES[path.name])
    return paths


def key(house: Installation, profile: str) -> list[object]:
    return ["--credential", "p12-person", "--profile", profile]


def report_of(house: Installation, path: Path) -> Any:
    report = json.loads(run(house, "verify", path, "--json").stdout)
    assert report["indication"] == "TOTAL-PASSED", report["signatures"]
    return report["signatures"]


def test_one_container_one_signature(house: Installation, tmp_path: Path) -> None:
    paths, target = written(tmp_path), tmp_path / "ho-so.asice"
    done = run(house, "sign", *paths, *key(house, "asic-e-xades-b-t"), "--container", target, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (signature,) = report_of(house, target)
    assert signature["level"] == "B-T"
    assert [(one["name"], one["matches"]) for one in signature["covered"]] == [(name, True) for name in FILES]
    with zipfile.ZipFile(target) as container:
        assert {name: container.read(name) for name in FILES} == FILES


def test_changed_file_of_several_fails(house: Installation, tmp_path: Path) -> None:
    paths, target = written(tmp_path), tmp_path / "ho-so.asice"
    run(house, "sign", *paths, *key(house, "asic-e-xades-b-b"), "--container", target)
    changed = tmp_path / "changed.asice"
    with zipfile.ZipFile(target) as before, zipfile.ZipFile(changed, "w") as after:
        for info in before.infolist():
            after.writestr(info, b"d" if info.filename == "c.txt" else before.read(info))
    report = json.loads(run(house, "verify", changed, "--json").stdout)
    assert (report["indication"], report["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")


def test_container_refused(house: Installation, tmp_path: Path) -> None:
    paths, target = written(tmp_path), tmp_path / "ho-so.asice"
    done = run(house, "sign", *paths, *key(house, "cades-b-b"), "--container", target)
    assert done.returncode == 64
    assert "asic-e" in done.stderr
    other = tmp_path / "x"
    other.mkdir()
    (other / "c.txt").write_bytes(b"the same name")
    done = run(house, "sign", *paths, other / "c.txt", *key(house, "asic-e-xades-b-b"), "--container", target)
    assert done.returncode == 4
    assert not target.exists()


@pytest.fixture(scope="module")
def service(house: Installation) -> Iterator[Service]:
    with running(house) as found:
        yield found


def sent(service: Service, profile: str, names: Sequence[str] = tuple(FILES), **headers: str) -> Answer:
    fields = {"credential": "p12-person", "profile": profile}
    body = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()
    )
    for name in names:
        head = f'--x\r\nContent-Disposition: form-data; name="document"; filename="{name}"\r\n\r\n'
        body += head.encode() + FILES[name] + b"\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x", **headers}
    return service.call("POST", "/v1/sign", body + b"--x--\r\n", headers)


def test_several_parts_over_http(house: Installation, service: Service, tmp_path: Path) -> None:
    answer = sent(service, "asic-e-xades-b-b")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/vnd.etsi.asic-e+zip"
    target = tmp_path / "answer.asice"
    target.write_bytes(answer.body)
    (signature,) = report_of(house, target)
    assert [one["name"] for one in signature["covered"]] == list(FILES)
    for profile in ("asic-s-xades-b-b", "cades-b-b", "pades-b-b"):
        refused = sent(service, profile)
        assert (refused.status, refused.code) == (422, "invalid_request"), profile
        assert "several documents" in refused.json["detail"]


def test_same_key_other_files_is_another_request(service: Service) -> None:
    key = {"Idempotency-Key": "several"}
    assert sent(service, "asic-e-xades-b-b", **key).status == 200
    assert sent(service, "asic-e-xades-b-b", **key).headers["idempotency-replayed"] == "true"
    fewer = sent(service, "asic-e-xades-b-b", tuple(FILES)[:2], **key)
    assert fewer.code == "idempotency_key_reused"


def test_signed_by_id_over_http(house: Installation, service: Service, tmp_path: Path) -> None:
    where = "/v1/sign?credential=p12-agency&profile=hoc-ba-so"
    sent_as = {"Content-Type": "application/xml"}
    answer = service.call("POST", where, b'<HOC_BA><DU_LIEU_HOC_BA Id="data"/></HOC_BA>', sent_as)
    assert (answer.status, answer.headers["signsvc-level"]) == (200, "XML-NOT-ETSI"), answer.body
    target = tmp_path / "answer.xml"
    target.write_bytes(answer.body)
    (signature,) = report_of(house, target)
    assert (signature["format"], signature["covered"][0]["matches"]) == ("XMLDSig", True)
    refused = service.call("POST", where, b"<HOC_BA><DU_LIEU_HOC_BA/></HOC_BA>", sent_as)
    assert (refused.status, refused.code) == (422, "xml_element_not_found")


def test_cades_says_the_place(house: Installation, tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(b"c")
    done = run(house, "sign", path, *key(house, "cades-b-b"), "--location", "Hà Nội", "--json")
    assert done.returncode == 0, done.stdout
    target = Path(json.loads(done.stdout)["output"]["path"])
    report_of(house, target)
    (signature,) = cades.read(target.read_bytes(), originals=(Original("c.txt", b"c"),)).signatures
    assert signature.signer is not None
    assert signature.signer.claimed_place == ("Hà Nội",)
