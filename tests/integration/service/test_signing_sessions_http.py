"""Signing sessions over HTTP: the key on a token here, everything else in the service."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signsvc.keys.signer import Signer, default_algorithm
from signsvc.samples import path as sample
from signsvc.services import Services
from tests.support.installation import Installation
from tests.support.service import Answer, Service, running

SAMPLE = sample("van-ban.pdf").read_bytes()
PATH = "/v1/signing-sessions"
FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
MANY = 100 if FULL else 10


def another(number: int = 0) -> bytes:
    """A file that no other test signs."""
    another.count += 1  # type: ignore[attr-defined]
    return SAMPLE + b"%% %d %d\n" % (another.count, number)  # type: ignore[attr-defined]


another.count = 0  # type: ignore[attr-defined]


def form(documents: list[bytes], params: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    parts = []
    for number, data in enumerate(documents):
        head = f'Content-Disposition: form-data; name="document"; filename="van-ban-{number}.pdf"\r\n\r\n'
        parts.append(b"--cut\r\n" + head.encode() + data + b"\r\n")
    parts.append(
        b'--cut\r\nContent-Disposition: form-data; name="params"\r\n\r\n' + json.dumps(params).encode() + b"\r\n"
    )
    return b"".join(parts) + b"--cut--\r\n", {"Content-Type": "multipart/form-data; boundary=cut"}


def create(service: Service, files: list[bytes], **params: Any) -> Answer:
    body, headers = form(files, {"profile": "pades-b-b", **params})
    return service.call("POST", PATH, body, headers)


def put(service: Service, session: dict[str, Any], what: str, body: Any) -> Answer:
    content = json.dumps(body).encode()
    return service.call("PUT", f"{PATH}/{session['id']}/{what}", content, {"Content-Type": "application/json"})


def certificate(service: Service, session: dict[str, Any], signer: Signer) -> Answer:
    chain = [base64.b64encode(c.der).decode() for c in signer.certificate_chain]
    return put(service, session, "certificate", {"certificates": chain})


def values(session: dict[str, Any], signer: Signer) -> list[dict[str, Any]]:
    """What the holder of the key answers."""
    found = []
    for document in session["documents"]:
        if document["to_be_signed"]:
            asked = document["to_be_signed"]
            attributes = base64.b64decode(asked["attributes"])
            digest = hashlib.sha256(attributes).digest()
            assert digest == base64.b64decode(asked["digest"])
            value = signer.sign(digest, default_algorithm(signer.certificate))
            found.append({"id": document["id"], "value": base64.b64encode(value).decode()})
    return found


def verified(service: Service, session: dict[str, Any], number: int = 1) -> str:
    href = session["documents"][number - 1]["document"]["href"]
    return str(service.verify(service.call("GET", href).body).json["indication"])


@pytest.fixture(scope="module")
def signer(services: Services) -> Signer:
    return services.keyring.get("person")


def test_a_whole_session(service: Service, signer: Signer, tmp_path: Path) -> None:
    documents = [another(), another()]
    answer = create(
        service,
        documents,
        profile="pades-b-t",
        params={"reason": "Ban hành"},
        documents=[{}, {"params": {"reason": "Sao y"}, "file_name": "hai.pdf"}],
    )
    assert answer.status == 201, answer.body
    session = answer.json
    assert answer.headers["location"] == f"{PATH}/{session['id']}"
    assert [d["name"] for d in session["documents"]] == ["van-ban-0.pdf", "hai.pdf"]
    session = certificate(service, session, signer).json
    assert session["state"] == "prepared"
    assert session["algorithm"]["scheme"] == "rsa-pkcs1v15"
    assert service.call("GET", answer.headers["location"]).json == session
    # What is signed is the document that was sent, and what was added to it.
    first = session["documents"][0]
    added = service.call("GET", first["revision"]["href"]).body
    whole = documents[0] + added
    gap = first["revision"]["gap"]
    assert whole[gap["start"] : gap["end"]].strip(b"<0>") == b""
    digest = hashlib.sha256(whole[: gap["start"]] + whole[gap["end"] :]).digest()
    assert digest in base64.b64decode(first["to_be_signed"]["attributes"])
    done = put(service, session, "signatures", {"signatures": values(session, signer)})
    assert done.status == 200, done.body
    assert done.json["state"] == "completed"
    assert done.json["counts"] == {"completed": 2}
    for document in done.json["documents"]:
        assert document["signature"]["level"] == "PAdES-B-T"
        content = service.call("GET", document["document"]["href"]).body
        report = service.verify(content).json
        assert report["indication"] == "TOTAL-PASSED"
        assert service.call("GET", document["report"]["href"]).status == 200
        (tmp_path / "signed.pdf").write_bytes(content)
        said = subprocess.run(
            ["pdfsig", "-nocert", str(tmp_path / "signed.pdf")], capture_output=True, text=True
        ).stdout
        assert "Signature is Valid" in said
        assert "Total document signed" in said
    assert content.startswith(documents[1])
    again = put(service, session, "signatures", {"signatures": values(session, signer)})
    assert again.json == done.json


def test_stored_documents_and_json(service: Service, signer: Signer) -> None:
    data = another()
    body = {"profile": "pades-b-b", "documents": [{"content": base64.b64encode(data).decode(), "file_name": "a.pdf"}]}
    content = json.dumps(body).encode()
    made = service.call("POST", PATH, content, {"Content-Type": "application/json"})
    assert made.status == 201, made.body
    session = certificate(service, made.json, signer).json
    done = put(service, session, "signatures", {"signatures": values(session, signer)}).json
    # The signed file is signed once more, from the store.
    stored = done["documents"][0]["document"]["sha256"]
    body = {"profile": "pades-b-b", "documents": [{"sha256": stored}]}
    made = service.call("POST", PATH, json.dumps(body).encode(), {"Content-Type": "application/json"})
    session = certificate(service, made.json, signer).json
    done = put(service, session, "signatures", {"signatures": values(session, signer)}).json
    href = done["documents"][0]["document"]["href"]
    report = service.verify(service.call("GET", href).body).json
    assert [s["indication"] for s in report["signatures"]] == ["TOTAL-PASSED"] * 2
    body["documents"] = [{"sha256": "00" * 32}]
    assert (
        service.call("POST", PATH, json.dumps(body).encode(), {"Content-Type": "application/json"}).code == "not_found"
    )


def test_many_documents_in_one_session_with_events(service: Service, signer: Signer) -> None:
    session = create(service, [another(n) for n in range(MANY)]).json
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(service.call("GET", f"{PATH}/{session['id']}/events").body))
    reader.start()
    session = certificate(service, session, signer).json
    answers = values(session, signer)
    part = put(service, session, "signatures", {"signatures": answers[: MANY // 2]}).json
    assert part["state"] == "completing"
    assert part["counts"] == {"completed": MANY // 2, "prepared": MANY - MANY // 2}
    done = put(service, session, "signatures", {"signatures": answers}).json
    assert done["counts"] == {"completed": MANY}
    reader.join(20)
    (text,) = seen
    blocks = [b for b in text.decode().split("\n\n") if b.startswith("id: ")]
    numbers = [int(b.splitlines()[0].removeprefix("id: ")) for b in blocks]
    assert numbers == list(range(1, len(numbers) + 1))
    assert text.decode().count('"state": "completed"') == MANY + 1
    rest = service.call("GET", f"{PATH}/{session['id']}/events", headers={"Last-Event-ID": str(numbers[-2])}).body
    assert rest.decode().count("id: ") == 1
    assert f'"done": {MANY}' in rest.decode()
    assert verified(service, done, MANY) == "TOTAL-PASSED"


def test_streams_leave_room_for_work(service: Service, signer: Signer) -> None:
    """More watchers than places: the rest is told to come again, and everybody else is served."""
    session = create(service, [another()]).json
    ended: list[float] = []

    def watch() -> None:
        service.call("GET", f"{PATH}/{session['id']}/events")
        ended.append(time.monotonic())

    watchers = [threading.Thread(target=watch) for _ in range(24)]
    begun = time.monotonic()
    for watcher in watchers:
        watcher.start()
    time.sleep(1.0)
    assert len(ended) >= 24 - 2 * 8  # two processes
    assert service.call("GET", "/healthz").status == 200
    assert service.sign(another(), "pades-b-b", "person").status == 200
    assert service.call("DELETE", f"{PATH}/{session['id']}").json["state"] == "canceled"
    for watcher in watchers:
        watcher.join(10)
    assert time.monotonic() - begun < 10


def test_refusals(service: Service, services: Services, signer: Signer) -> None:
    data = another()
    session = create(service, [data]).json
    assert create(service, [data]).code == "base_in_signing"
    expired = certificate(service, session, services.keyring.get("p12-expired"))
    assert (expired.status, expired.code) == (409, "certificate_expired")
    early = put(service, session, "signatures", {"signatures": [{"id": 1, "value": "AAAA"}]})
    assert (early.status, early.code) == (409, "session_conflict")
    session = certificate(service, session, signer).json
    good = values(session, signer)
    wrong = put(service, session, "signatures", {"signatures": [{**good[0], "value": "AAAA"}]})
    assert (wrong.status, wrong.code) == (422, "signature_mismatch")
    assert wrong.json["data"] == {"documents": "1"}
    assert service.sign(data, "pades-b-b", "agency").status == 200  # somebody else was faster
    lost = put(service, session, "signatures", {"signatures": good}).json
    assert lost["state"] == "failed"
    assert lost["documents"][0]["problem"]["code"] == "base_changed"
    assert "đã được ký" in lost["documents"][0]["problem"]["detail_vi"]
    session = create(service, [data]).json  # a new session may begin
    gone = service.call("DELETE", f"{PATH}/{session['id']}")
    assert (gone.status, gone.json["state"]) == (200, "canceled")
    assert service.call("DELETE", f"{PATH}/{session['id']}").json == gone.json
    assert certificate(service, session, signer).code == "session_canceled"
    assert service.call("GET", f"{PATH}/{session['id']}/documents/1/revision").code == "not_found"
    assert service.call("GET", f"{PATH}/ses_unknown").code == "not_found"
    for body in ({}, {"certificates": ["%"]}, {"certificates": []}):
        assert put(service, session, "certificate", body).code == "invalid_request"
    for params in ({"profile": "nothing"}, {"color": "red"}, {"params": {"color": "red"}}, {"documents": [{}, {}]}):
        answer = create(service, [another()], **params)
        assert answer.code in ("profile_not_found", "invalid_request"), answer.body


def test_restart_between_the_steps_and_another_callers_session(installation: Installation, signer: Signer) -> None:
    with running(installation, workers=1, threads=4) as service:
        key = service.key
        session = create(service, [another(), another()], profile="pades-b-lta").json
    with running(installation, workers=1, threads=4) as service:
        assert (
            service.call(
                "PUT", f"{PATH}/{session['id']}/signatures", b'{"signatures": []}', {"Content-Type": "application/json"}
            ).code
            == "not_found"
        )
        service = replace(service, key=key)
        session = certificate(service, session, signer).json
    with running(installation, workers=1, threads=4) as service:
        service = replace(service, key=key)
        done = put(service, session, "signatures", {"signatures": values(session, signer)}).json
        assert done["state"] == "completed"
        assert [d["signature"]["level"] for d in done["documents"]] == ["PAdES-B-LTA"] * 2
        assert verified(service, done) == "TOTAL-PASSED"
