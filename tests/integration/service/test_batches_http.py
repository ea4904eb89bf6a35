"""Batches over HTTP with keys on a token: results per document, keys, kill -9, PINs, a token that goes and comes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from signsvc.samples import path as sample
from signsvc.store import Scope, Store
from tests.support.installation import install
from tests.support.service import Answer, Service, running

if TYPE_CHECKING:
    import test_pki
    from test_pki import softhsm as softhsm_tokens
    from test_pki.responders import Responders

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
DOCUMENTS = 100 if FULL else 10
PDF = sample("van-ban.pdf").read_bytes()
WHAT = {"profile": "pades-b-b", "credential": "person"}


@pytest.fixture(scope="module")
def token(softhsm: softhsm_tokens.Token, tmp_path_factory: pytest.TempPathFactory) -> softhsm_tokens.Token:
    """A copy of the tokens that may be taken away."""
    directory = tmp_path_factory.mktemp("removable")
    shutil.copytree(softhsm.conf.parent / "tokens", directory / "tokens")
    text = softhsm.conf.read_text().replace(str(softhsm.conf.parent), str(directory))
    (directory / "softhsm2.conf").write_text(text)
    return replace(softhsm, conf=directory / "softhsm2.conf")


@pytest.fixture(scope="module")
def service(
    pki: test_pki.Pki,
    responders: Responders,
    token: softhsm_tokens.Token,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    made = install(tmp_path_factory.mktemp("batches"), pki, responders, token)
    with made.config.open("a", encoding="utf-8") as config:
        config.write("[jobs]\npoll_seconds = 0.2\nlease_seconds = 2\nretry_seconds = 0.5\nretry_max_seconds = 1\n")
    with running(made, worker=True, workers=1) as found:
        yield found


def documents(name: str, count: int = DOCUMENTS) -> list[bytes]:
    return [PDF + f"%% {name} {number}\n".encode() for number in range(count)]


def batch(
    service: Service,
    files: Sequence[bytes],
    params: dict[str, Any],
    headers: dict[str, str] | None = None,
    key: str | None = None,
) -> Answer:
    """One form: the parameters, then the files."""
    mark = "----batch"
    parts = [b'Content-Disposition: form-data; name="params"\r\n\r\n' + json.dumps(params).encode()]
    for number, content in enumerate(files):
        head = f'Content-Disposition: form-data; name="document"; filename="{number}.pdf"\r\n'
        parts.append(head.encode() + b"Content-Type: application/pdf\r\n\r\n" + content)
    body = b"".join(b"--" + mark.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    sent = {"Content-Type": f"multipart/form-data; boundary={mark}", **(headers or {})}
    return service.call("POST", "/v1/batches", body + f"--{mark}--\r\n".encode(), sent, key)


def wait(service: Service, job: str, *states: str, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (found := service.call("GET", f"/v1/jobs/{job}").json)["state"] not in (states or ("succeeded",)):
        assert time.monotonic() < deadline, [(i["state"], i["last_error"]) for i in items(service, job)]
        time.sleep(0.1)
    return dict(found)


def items(service: Service, job: str, query: str = "") -> list[dict[str, Any]]:
    return list(service.call("GET", f"/v1/jobs/{job}/items?limit=1000{query}").json["items"])


def fetched(service: Service, item: dict[str, Any]) -> bytes:
    """The signed document of an item, which is what it says."""
    content = service.call("GET", item["result"]["document"]["href"]).body
    assert hashlib.sha256(content).hexdigest() == item["result"]["document"]["sha256"]
    return content


def values(content: bytes) -> list[bytes]:
    return re.findall(rb"/Contents\s*<([0-9A-Fa-f]{200,})>", content)


def test_each_document_has_its_result_and_its_key(service: Service) -> None:
    contents = documents("each")
    contents[3] = b"no document at all"
    entries: list[dict[str, Any]] = [{"params": {"reason": f"Lý do {n}"}} for n in range(len(contents))]
    entries[1]["idempotency_key"] = "second"
    params = {**WHAT, "params": {"location": "Hà Nội"}, "documents": entries}
    answer = batch(service, contents, params, {"Idempotency-Key": "batch-1"})
    assert answer.status == 202, answer.body
    job = answer.json["id"]
    assert answer.headers["location"] == f"/v1/jobs/{job}"
    again = batch(service, contents, params, {"Idempotency-Key": "batch-1"})
    assert (again.status, again.json["id"], again.headers["idempotency-replayed"]) == (202, job, "true")
    other = batch(service, contents[:5], {**params, "documents": entries[:5]}, {"Idempotency-Key": "batch-1"})
    assert (other.status, other.code) == (422, "idempotency_key_reused")

    found = wait(service, job, "failed")
    assert (found["counts"]["succeeded"], found["counts"]["failed"]) == (len(contents) - 1, 1)
    listed = items(service, job)
    assert [item["document"] for item in listed] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert listed[3]["name"] == "3.pdf"
    assert listed[3]["last_error"]["code"] == "unsupported_format"
    assert listed[3]["last_error"]["text_vi"]
    assert [item["position"] for item in items(service, job, "&state=failed")] == [3]
    signed = {item["position"]: fetched(service, item) for item in listed if item["result"]}
    assert all(content.startswith(contents[n]) and len(values(content)) == 1 for n, content in signed.items())
    assert len({values(content)[0] for content in signed.values()}) == len(contents) - 1
    report = service.verify(signed[5]).json
    assert report["indication"] == "TOTAL-PASSED"
    assert report["signatures"][0]["reason"] == "Lý do 5"
    kept = service.call("GET", listed[5]["result"]["href"]).json
    assert kept["document"]["sha256"] == listed[5]["result"]["document"]["sha256"]

    # Under the same key the same request for one document gives what the batch made.
    one = service.call(
        "POST",
        "/v1/sign",
        json.dumps(
            {
                **WHAT,
                "reason": "Lý do 1",
                "location": "Hà Nội",
                "document": {"content": base64.b64encode(contents[1]).decode()},
            }
        ),
        {"Content-Type": "application/json", "Accept": "application/pdf", "Idempotency-Key": "second"},
    )
    assert (one.status, one.headers.get("idempotency-replayed")) == (200, "true"), one.body[:300]
    assert one.body == signed[1]


def test_stored_documents_and_wrong_requests(service: Service) -> None:
    first = batch(service, documents("stored", 1), WHAT)
    wait(service, first.json["id"])
    stored = items(service, first.json["id"])[0]["result"]["document"]["sha256"]
    body = {**WHAT, "documents": [{"sha256": stored}, {"content": base64.b64encode(PDF).decode()}]}
    store = Store(service.installation.settings.database_url, service.installation.settings.blob_dir)
    with closing(store):
        stranger = store.api_keys.create("stranger", [Scope.SIGN], now=datetime.now(UTC)).secret

    def post(content: dict[str, Any], key: str | None = None) -> Answer:
        return service.call("POST", "/v1/batches", json.dumps(content), {"Content-Type": "application/json"}, key)

    second = post(body)
    wait(service, second.json["id"])
    twice, once = items(service, second.json["id"])
    assert [len(values(fetched(service, item))) for item in (twice, once)] == [2, 1]
    assert post(body, stranger).status == 404
    assert service.call("GET", second.headers["location"], key=stranger).status == 404
    assert service.call("POST", f"{second.headers['location']}/retry", key=stranger).status == 404
    entry = {"sha256": stored}
    for wrong, code in (
        ({**WHAT, "documents": []}, "invalid_request"),
        ({**WHAT, "documents": [{}]}, "invalid_request"),
        ({**WHAT, "documents": [{**entry, "params": {"colour": "red"}}]}, "invalid_request"),
        ({**WHAT, "documents": [{**entry, "params": {"profile": "pades-b-t"}}]}, "invalid_request"),
        ({**WHAT, "documents": [{**entry, "idempotency_key": "k"}] * 2}, "invalid_request"),
        ({**WHAT, "credential": "nobody", "documents": [entry]}, "credential_not_found"),
        ({**WHAT, "profile": "none", "documents": [entry]}, "profile_not_found"),
        ({**WHAT, "params": {"visible": {"template": "dong-dau"}}, "documents": [entry]}, "image_missing"),
    ):
        assert post(wrong).code == code, wrong


def test_a_killed_worker_signs_nothing_twice(service: Service) -> None:
    contents = documents("killed", max(DOCUMENTS, 20))
    job = batch(service, contents, {**WHAT, "documents": [{"idempotency_key": f"k{n}"} for n in range(len(contents))]})
    identifier = job.json["id"]
    killed: set[int] = set()
    deadline = time.monotonic() + 60
    while (found := service.call("GET", f"/v1/jobs/{identifier}").json)["state"] != "succeeded":
        assert time.monotonic() < deadline, found
        victims = [p for p, command in service.children().items() if command.rstrip().endswith("worker --tied")]
        enough = found["counts"]["succeeded"] > 2 * len(killed)
        if victims and len(killed) < 3 and enough and not killed & set(victims):
            os.kill(victims[0], signal.SIGKILL)
            killed.add(victims[0])
        time.sleep(0.05)
    assert len(killed) >= 2
    listed = items(service, identifier)
    signed = [fetched(service, item) for item in listed]
    assert all(s.startswith(c) and len(values(s)) == 1 for s, c in zip(signed, contents, strict=True))
    data = service.installation.data_dir
    with closing(sqlite3.connect(f"file:{data / 'signsvc.db'}?mode=ro", uri=True)) as raw:
        ids = {json.loads(body)["id"] for (body,) in raw.execute("SELECT body FROM signatures")}
        results = [
            json.loads(r)["signature"] for (r,) in raw.execute("SELECT result FROM job_items WHERE result <> ''")
        ]
        shas = [json.loads(body)["document"]["sha256"] for (body,) in raw.execute("SELECT body FROM signatures")]
    # What is on record is what was handed out: no signature beside those of items, no file signed but by one.
    assert ids == set(results)
    assert len(shas) == len(set(shas)) == len(results)


def test_a_token_that_goes_holds_the_batch_until_it_is_back(service: Service, token: softhsm_tokens.Token) -> None:
    contents = documents("away", 8)
    tokens = token.conf.parent / "tokens"
    away = tokens.with_name("away")
    tokens.rename(away)
    tokens.mkdir()
    try:
        marker = str(service.installation.data_dir).encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"signsvc.keys.token_process" in command and marker in command:
                os.kill(int(entry.name), signal.SIGKILL)
        job = batch(service, contents, WHAT).json["id"]
        deadline = time.monotonic() + 30
        while not any(item["last_error"] for item in items(service, job)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1.2)
        listed = items(service, job)
        assert {item["state"] for item in listed} <= {"waiting", "running"}
        assert {item["last_error"]["code"] for item in listed if item["last_error"]} <= {
            "token_not_present",
            "token_removed",
        }
        # It is asked for by a few of them, again and again, not by all.
        assert sum(1 for item in listed if item["attempts"]) <= 4
    finally:
        tokens.rmdir()
        away.rename(tokens)
    wait(service, job)
    assert all(len(values(fetched(service, item))) == 1 for item in items(service, job))


def test_a_cancelled_batch_begins_nothing_more(service: Service) -> None:
    job = batch(service, documents("cancelled", 30), WHAT).json["id"]
    assert service.call("DELETE", f"/v1/jobs/{job}").status == 200
    found = wait(service, job, "canceled")
    assert found["counts"]["canceled"] >= 20
    assert found["counts"]["succeeded"] + found["counts"]["canceled"] == 30
    answer = service.call("POST", f"/v1/jobs/{job}/retry")
    assert answer.status == 200, answer.body
    wait(service, job)
    assert len({values(fetched(service, item))[0] for item in items(service, job)}) == 30


def test_a_wrong_pin_stops_the_batch_at_once(
    pki: test_pki.Pki, responders: Responders, token: softhsm_tokens.Token, tmp_path: Path
) -> None:
    made = install(tmp_path, pki, responders, replace(token, pin="0000"))
    with made.config.open("a", encoding="utf-8") as config:
        config.write("[jobs]\npoll_seconds = 0.2\nthreads = 1\nretry_seconds = 0.5\n")
    with running(made, worker=True, workers=1) as service:
        job = batch(service, documents("pin", 6), WHAT).json["id"]
        found = wait(service, job, "failed")
        assert (found["counts"]["failed"], found["counts"]["stopped"]) == (1, 5)
        listed = items(service, job)
        assert {item["last_error"]["code"] for item in listed} == {"pin_incorrect"}
        assert [item["attempts"] for item in listed] == [1, 0, 0, 0, 0, 0]
        assert not listed[0]["last_error"]["retryable"]
        assert service.call("POST", f"/v1/jobs/{job}/retry").status == 200
        assert wait(service, job, "failed")["counts"]["failed"] == 1  # a wrong PIN is not offered a second time
        (tmp_path / "pin").write_text(token.pin)
        assert service.call("POST", f"/v1/jobs/{job}/retry").status == 200
        wait(service, job)


@pytest.mark.parametrize(
    ("profile", "media_type"),
    [("xades-b-b", "application/xml"), ("asic-e-xades-b-b", "application/vnd.etsi.asic-e+zip")],
)
def test_other_formats_are_signed_and_raised_later(profile: str, media_type: str, service: Service) -> None:
    files = [f"<a><b>{profile} {number}</b></a>".encode() for number in range(3)] + [b"<a>"]
    asked = {"profile": profile, "credential": "person", "params": {"raise_to": "B-LTA"}}
    job = batch(service, files, asked).json["id"]
    ended = wait(service, job, "succeeded", "partially_failed", "failed")
    found = items(service, job)
    broken = 0 if profile.startswith("asic") else 1
    assert [i["state"] for i in found] == ["succeeded"] * (4 - broken) + ["failed"] * broken, (ended, found[-1])
    for item in found[: 4 - broken]:
        assert item["result"]["document"]["media_type"] == media_type
        deadline = time.monotonic() + 60
        while (signature := service.call("GET", item["result"]["href"]).json)["state"] == "raising":
            assert time.monotonic() < deadline, signature
            time.sleep(0.2)
        assert signature["signature"]["level"] == "XAdES-B-LTA"
        content = service.call("GET", signature["document"]["href"]).body
        report = service.verify(content).json
        assert (report["indication"], report["signatures"][0]["level"]) == ("TOTAL-PASSED", "B-LTA")
