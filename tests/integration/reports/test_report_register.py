"""The register: every forged, edited, re-bound or truncated report is refused in every form; links, deletion, files."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from signsvc.issuing import registry
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.settings import ReportSettings
from signsvc.store import Scope
from signsvc.web import create_app
from tests.support.installation import Installation

FORMS = ("json", "html", "xml", "pdf", "jwt")
SEAL = "p12-person"
ONE, OTHER = (sample(name).read_bytes() for name in ("van-ban.pdf", "ban-quet.pdf"))


class Door:
    """A caller of the service with a key."""

    def __init__(self, services: Services, settings: Any, *scopes: Scope) -> None:
        self.services = services
        self.client = create_app(settings, services).test_client()
        self.secret = services.store.api_keys.create("register", scopes, now=datetime.now(UTC)).secret

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.secret}", **more.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, buffered=True, **more)

    def verify(self, document: bytes) -> str:
        return str(self("POST", "/v1/verify", data=document, content_type="application/pdf").get_json()["id"])

    def copy(self, identifier: str, form: str) -> bytes:
        answer = self("GET", f"/v1/reports/{identifier}.{form}")
        assert answer.status_code == 200
        return bytes(answer.data)

    def check(self, report: bytes, document: bytes | None = None, **fields: str) -> dict[str, Any]:
        files = {"report": report} | ({} if document is None else {"document": document})
        # Written here: the client's own forms leave temporary files open.
        parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
        parts += [f'name="{name}"; filename="{name}"\r\n\r\n'.encode() + data for name, data in files.items()]
        body = b"".join(b"--x7x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
        answer = self(
            "POST", "/v1/reports/check", data=body + b"--x7x--\r\n", content_type="multipart/form-data; boundary=x7x"
        )
        assert answer.status_code == 200, answer.data
        return dict(answer.get_json())


@pytest.fixture(scope="module", params=[None, SEAL], ids=["unsealed", "sealed"])
def door(request: pytest.FixtureRequest, installation: Installation) -> Any:
    settings = installation.settings.model_copy(update={"reports": ReportSettings(seal_credential=request.param)})
    with Services(settings, workers=1) as services:
        made = Door(services, settings, Scope.VERIFY)
        made.sealed = request.param is not None  # type: ignore[attr-defined]
        yield made


def codes(answer: dict[str, Any]) -> list[str]:
    assert all(reason["text"] and reason["text_vi"] for reason in answer["reasons"])
    return [reason["code"] for reason in answer["reasons"]]


@pytest.mark.parametrize("form", FORMS)
def test_what_left_is_known_again(door: Any, form: str) -> None:
    identifier = door.verify(ONE)
    made = door.copy(identifier, form)
    found = door.check(made, ONE)
    if form == "jwt" and not door.sealed:
        assert (found["accepted"], found["state"], codes(found)) == (False, "unsealed", ["report_token_unsealed"])
        return
    assert (found["accepted"], found["state"], found["form"]) == (True, "unchanged", form), found
    assert found["report"]["id"] == identifier
    assert found["sealed"] is (door.sealed and form in ("xml", "pdf", "jwt"))
    other = door.check(made, OTHER)
    assert (other["accepted"], other["document"]["matches"]) == (False, False)
    assert "report_about_another_file" in codes(other)


def _edited(made: bytes, form: str) -> bytes:
    if form == "pdf":
        return made.replace(b"%%EOF", b"%%EOG", 1)
    if form == "jwt":
        head, body, value = made.decode().split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        claims["iss"] = "urn:other"
        return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{value}".encode()
    for old, new in ((b"NO-SIGNATURE", b"TOTAL-PASSED"), (b"no-signature", b"total-passed"), (b"<body", b"<body x=''")):
        if old in made:
            return made.replace(old, new, 1)
    raise AssertionError(form)


def _cut(made: bytes, form: str) -> bytes:
    return made[: len(made) * 3 // 4] if form != "json" else made[: made.rindex(b",")] + b"}"


def _grown(made: bytes, form: str) -> bytes:
    if form == "xml":
        return made.replace(b"</ValidationReport>", b"<x/></ValidationReport>")
    return made + {"json": b"{}", "html": b"<p>", "pdf": b"% more\n", "jwt": b"AAAA"}[form]


def _bound_anew(made: bytes, form: str) -> bytes:
    """The report about one file made to speak of the other."""
    import hashlib

    one, other = (hashlib.sha256(data) for data in (ONE, OTHER))
    if form == "jwt":
        head, body, value = made.decode().split(".")
        text = base64.urlsafe_b64decode(body + "==").decode().replace(one.hexdigest(), other.hexdigest())
        return f"{head}.{base64.urlsafe_b64encode(text.encode()).rstrip(b'=').decode()}.{value}".encode()
    changed = made.replace(one.hexdigest().encode(), other.hexdigest().encode()).replace(
        base64.b64encode(one.digest()), base64.b64encode(other.digest())
    )
    return changed if changed != made else made.replace(b"/Title", b"/Titel", 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("attack", [_edited, _cut, _grown, _bound_anew], ids=lambda one: one.__name__[1:])
def test_attacks(door: Any, form: str, attack: Callable[[bytes, str], bytes]) -> None:
    made = door.copy(door.verify(ONE), form)
    wrong = attack(made, form)
    assert wrong != made
    for document in (None, ONE, OTHER):
        found = door.check(wrong, document)
        assert found["accepted"] is False, (attack, form, found)
        assert codes(found)


@pytest.mark.parametrize("form", FORMS)
def test_two_reports_are_not_one(door: Any, form: str) -> None:
    one, other = door.verify(ONE), door.verify(OTHER)
    made = door.copy(one, form)
    assert door.check(made, report_id=other)["accepted"] is False
    assert door.check(made, report_id=one)["accepted"] is (form != "jwt" or door.sealed)


def test_forged_json(door: Any) -> None:
    """Members named twice, another's id, numbers for truth values."""
    identifier = door.verify(ONE)
    report = json.loads(door.copy(identifier, "json"))
    loose = json.dumps(report, indent=7, sort_keys=True).encode()
    assert door.check(loose)["state"] == "unchanged"  # the same report, however written
    twice = loose[:-1] + b', "indication": "NO-SIGNATURE"}'
    assert door.check(twice)["state"] == "unknown"
    assert door.check(json.dumps({**report, "signatures_count": False}).encode())["state"] == "altered"
    assert door.check(json.dumps({**report, "id": "rep_" + "0" * 32}).encode())["state"] == "unknown"
    assert door.check(b"[" * 100_000)["state"] == "unknown"
    assert door.check(b'{"id":' * 100_000)["state"] == "unknown"
    assert door.check(b"{" + b'"a":1,' * 10 + b'"id":' + b"9" * 10_000 + b"}")["state"] == "unknown"


def test_forged_tokens(door: Any) -> None:
    """A key of the forger's, no algorithm, our certificate with another's value."""
    made = door.copy(door.verify(ONE), "jwt").decode()
    head, body, value = made.split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))

    def part(value: Any) -> str:
        octets = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    key = ec.generate_private_key(ec.SECP256R1())
    forged = []
    for claimed in ({"alg": "none"}, {"alg": "HS256", "kid": "seal"}, {**header, "alg": "ES256", "kid": "seal"}):
        signed = f"{part(claimed)}.{body}"
        r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        forged += [f"{signed}.", f"{signed}.{part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"]
    forged += [f"{head}.{body}.", f"{head}.{body}.{value}=", f"{head}.{body}.{value[:-4]}", f"{head}.{body}", "a.b.c"]
    for token in forged:
        assert door.check(token.encode())["accepted"] is False, token[:80]


def test_sealed_elsewhere(door: Any, installation: Installation) -> None:
    """A register that was lost: the seal still speaks, and says nothing more than it knows."""
    if not door.sealed:
        assert door.check(ONE)["state"] == "unknown"
        return
    identifier = door.verify(ONE)
    made = {form: door.copy(identifier, form) for form in ("xml", "pdf", "jwt")}
    store = door.services.store
    from sqlalchemy import delete

    from signsvc.store.register_schema import copies
    from signsvc.store.schema import reports

    with store.database.write() as connection:
        connection.execute(delete(copies))
        connection.execute(delete(reports).where(reports.c.id == identifier))
    for form, octets in made.items():
        found = door.check(octets)
        # Only a token: documents can be signed with the same key.
        assert (found["accepted"], found["state"], found["sealed"]) == (form == "jwt", "sealed", True), (form, found)
        about = door.check(octets, ONE)
        assert about["accepted"] is (form == "jwt"), about  # the others are not searched for what they speak of
        wrong = _edited(octets, form)
        assert (door.check(wrong)["accepted"], door.check(wrong)["state"]) == (False, "unknown")
    other = made["xml"].replace(b"<ds:Signature", b"<x/><ds:Signature", 1)
    assert door.check(other)["state"] == "unknown"
    wrapped = b"<r>" + made["xml"][made["xml"].index(b"?>") + 2 :] + b"</r>"
    assert door.check(wrapped)["state"] == "unknown"
    # Somebody else's seal, as good as it may be.
    settings = installation.settings.model_copy(update={"reports": ReportSettings(seal_credential="p12-agency")})
    with Services(settings, workers=1) as services:
        stranger = Door(services, settings, Scope.VERIFY)
        theirs = stranger.verify(ONE)
        for form in ("xml", "pdf", "jwt"):
            octets = stranger.copy(theirs, form)
            with store.database.write() as connection:
                connection.execute(delete(copies))
            assert door.check(octets)["state"] == "unknown", form


def test_by_id(door: Any) -> None:
    import hashlib

    identifier = door.verify(ONE)

    def ask(**more: Any) -> Any:
        return door("POST", "/v1/reports/check", json=more).get_json()

    digests = [hashlib.sha256(data).hexdigest() for data in (ONE, OTHER)]
    assert ask(report_id=identifier)["accepted"]
    assert ask(report_id=identifier, sha256=digests[0].upper())["accepted"]
    assert not ask(report_id=identifier, sha256=digests[1])["accepted"]
    assert ask(report_id="rep_unknown")["state"] == "unknown"
    assert door("POST", "/v1/reports/check", json={"report_id": identifier, "sha256": "00"}).status_code == 422


def test_deletion(door: Any) -> None:
    identifier = door.verify(ONE)
    kept = {form: door.copy(identifier, form) for form in FORMS}
    link = door("POST", f"/v1/reports/{identifier}/shares", json={}).get_json()["url"]
    stranger = Door(door.services, door.services.settings, Scope.READ)
    assert stranger("DELETE", f"/v1/reports/{identifier}").status_code == 404
    assert door("DELETE", f"/v1/reports/{identifier}").status_code == 204
    for path in (f"/v1/reports/{identifier}", f"/v1/reports/{identifier}.pdf"):
        gone = door("GET", path)
        assert (gone.status_code, gone.get_json()["code"]) == (410, "report_deleted")
    assert door("DELETE", f"/v1/reports/{identifier}").status_code == 410
    assert door("GET", link.removeprefix(door.services.settings.server.public_url or "")).status_code == 404
    for form, octets in kept.items():
        found = door.check(octets, ONE)
        expected = "unsealed" if form == "jwt" and not door.sealed else "deleted"
        assert (found["accepted"], found["state"]) == (False, expected)
    with pytest.raises(Exception, match="not_found"):
        registry.basis(door.services.store, identifier)


def test_links(door: Any) -> None:
    identifier = door.verify(ONE)
    place = f"/v1/reports/{identifier}/shares"
    made = door("POST", place, json={"days": 2}).get_json()
    path = "/r/" + made["url"].rpartition("/r/")[2]
    assert len(path) >= 3 + 43
    page = door.client.get(path)
    assert page.status_code == 200
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in page.headers["X-Robots-Tag"]
    for form in FORMS:
        assert door.client.get(f"{path}.{form}").status_code == 200
    assert door.client.get(path[:-1]).status_code == 404
    listed = door("GET", place).get_json()["shares"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert made["url"].rpartition("/")[2] not in json.dumps(listed)
    store = door.services.store
    late = datetime.now(UTC) + timedelta(days=3)
    with pytest.raises(Exception, match="not_found"):
        store.reports.shared(path.removeprefix("/r/"), now=late)
    assert door("DELETE", f"{place}/{made['id']}").status_code == 204
    assert door.client.get(path).status_code == 404
    assert door("DELETE", f"{place}/{made['id']}").status_code == 404
    assert door("POST", place, json={"days": 366}).status_code == 422
    assert door("POST", place.replace(identifier, "rep_none"), json={}).status_code == 404


def test_files(door: Any) -> None:
    import hashlib

    identifier = door.verify(ONE)
    path = f"/v1/files/{hashlib.sha256(ONE).hexdigest()}"
    known = door("GET", path).get_json()
    assert (known["signed"], known["verified"]) == (False, True)
    assert identifier in {one["id"] for one in known["reports"]}
    stranger = Door(door.services, door.services.settings, Scope.VERIFY)
    assert stranger("GET", path).get_json()["reports"] == []
    unknown = door("GET", "/v1/files/" + "0" * 64).get_json()
    assert (unknown["signed"], unknown["verified"]) == (False, False)
    assert door("GET", "/v1/files/xyz").status_code == 422
    signer = Door(door.services, door.services.settings, Scope.SIGN)
    form = {"document": (io.BytesIO(ONE), "a.pdf"), "profile": "pades-b-b", "credential": "p12-person"}
    headers = {"Idempotency-Key": f"register-{identifier}"}
    answer = signer("POST", "/v1/sign", data=form, headers={**headers, "Accept": "application/json"})
    made = answer.get_json()
    assert answer.status_code == 200, made
    found = signer("GET", f"/v1/files/{made['document']['sha256']}").get_json()
    assert (found["signed"], found["signatures"][0]["id"]) == (True, made["id"])


def test_retention(door: Any) -> None:
    identifier = door.verify(ONE)
    store, now = door.services.store, datetime.now(UTC)
    assert registry.purge(store, now=now + timedelta(days=400), days=None) == 0
    assert registry.purge(store, now=now, days=30) == 0
    assert registry.purge(store, now=now + timedelta(days=31), days=30) > 0
    assert store.reports.deletion(identifier).reason == "retention"


def test_at_the_command_line(installation: Installation, tmp_path: Path) -> None:
    settings = installation.settings
    with Services(settings, workers=1) as services:
        made = Door(services, settings, Scope.VERIFY)
        identifier = made.verify(ONE)
        (tmp_path / "report.json").write_bytes(made.copy(identifier, "json"))
    environment = {**os.environ, **installation.environment}

    def run(*words: str) -> Any:
        command = [sys.executable, "-m", "signsvc", "report", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    pdf = tmp_path / "report.pdf"
    assert run("show", identifier, "--form", "pdf", "--out", str(pdf)).returncode == 0
    document = ["--document", str(sample("van-ban.pdf"))]
    for path in (pdf, tmp_path / "report.json"):
        done = run("check", str(path), *document)
        assert (done.returncode, "ĐƯỢC" in done.stdout) == (0, True), done
    assert run("check", str(pdf), "--document", str(sample("ban-quet.pdf"))).returncode == 1
    assert run("check", str(sample("van-ban.pdf"))).returncode == 1
    assert identifier in run("find", str(sample("van-ban.pdf"))).stdout
    shared = json.loads(run("share", identifier, "--json").stdout)
    assert "/r/" in shared["url"]
    assert run("delete", identifier, "--yes").returncode == 0
    gone = run("check", str(pdf), "--json")
    assert (gone.returncode, json.loads(gone.stdout)["state"]) == (1, "deleted")
    assert run("delete", identifier, "--json").returncode == 4


def test_a_stored_packet(door: Any) -> None:
    """A packet's report is JSON and a page; other forms are said not to be there."""
    from tests.support.packets import packet

    answer = door("POST", "/v1/edxml/verify", data=packet(("a.pdf", ONE)), content_type="application/xml")
    identifier = answer.get_json()["id"]
    assert door("GET", f"/v1/reports/{identifier}").get_json()["packet"]["number"] == "12"
    assert door("GET", f"/v1/reports/{identifier}.pdf").status_code == 406
    page = door.client.get(f"/verify/{identifier}")
    assert page.status_code == 200
    assert "12/QĐ-UBND" in page.get_data(as_text=True)
    assert door.check(door.copy(identifier, "json"))["state"] == "unchanged"
