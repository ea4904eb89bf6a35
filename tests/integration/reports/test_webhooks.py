"""Messages about finished verifications on a real receiver: signed, tried again, none lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from signsvc.issuing import webhooks
from signsvc.net import HttpClient, NetRules
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.settings import NetSettings, WebhookSettings
from signsvc.store import Scope
from signsvc.web import create_app
from tests.support.installation import Installation
from tests.support.service import running


@dataclass
class Receiver:
    """Keeps what it is told; `answers` are its next ones, 204 after that."""

    url: str = ""
    told: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status, headers, content = found.answers.pop(0) if found.answers else (204, {}, b"")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/told"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


class House:
    def __init__(self, installation: Installation, tmp: Any, place: str) -> None:
        net = NetSettings(allow=(place,))
        hooks = WebhookSettings(allow_http=True, key_file=tmp / "webhook.key")
        settings = installation.settings.model_copy(update={"net": net, "webhooks": hooks})
        self.services = Services(settings, workers=1)
        self.store = self.services.store
        self.client = create_app(settings, self.services).test_client()
        self.keys: dict[str, str] = {}
        self.now = datetime.now(UTC)

    def __call__(self, method: str, path: str, *scopes: Scope, **more: Any) -> Any:
        scopes = scopes or (Scope.VERIFY,)
        name = " ".join(scopes)
        if name not in self.keys:
            self.keys[name] = self.store.api_keys.create(name, scopes, now=self.now).secret
        headers = {"Authorization": f"Bearer {self.keys[name]}"}
        return self.client.open(path, method=method, headers=headers, buffered=True, **more)

    def verify(self, *scopes: Scope) -> str:
        data = sample("van-ban.pdf").read_bytes()
        return str(self("POST", "/v1/verify", *scopes, data=data, content_type="application/pdf").get_json()["id"])

    def deliver(self, *, after: float = 0) -> int:
        moment = self.now + timedelta(seconds=after)
        return webhooks.deliver(self.store, self.services.http, self.services.webhook_key, now=moment)


@pytest.fixture
def house(installation: Installation, receiver: Receiver, tmp_path: Any) -> Iterator[House]:
    found = House(installation, tmp_path, receiver.url.split("/")[2])
    yield found
    for one in found.store.webhooks.list(everyone=True):
        found.store.webhooks.delete(one.id)
    found.services.close()


def test_signed_thin_and_once(house: House, receiver: Receiver) -> None:
    made = house("POST", "/v1/webhooks", json={"url": receiver.url}).get_json()
    report = house.verify()
    house.verify(Scope.VERIFY, Scope.READ)  # another's
    house.now = datetime.now(UTC)
    assert house.deliver() == 1
    assert house.deliver() == 0
    ((headers, body),) = receiver.told
    told = Webhook(made["secret"]).verify(body, headers)
    assert told["type"] == "verification.finished"
    assert told["data"]["report"] == {"id": report, "href": f"/v1/reports/{report}"}
    assert set(told["data"]) == {"report", "document", "indication", "sub_indication", "acceptance"}
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(body + b" ", headers)
    listed = house("GET", f"/v1/webhooks/{made['id']}/deliveries").get_json()["deliveries"]
    assert [(one["state"], one["status"]) for one in listed] == [("done", 204)]
    assert "secret" not in house("GET", f"/v1/webhooks/{made['id']}").get_json()
    with house.store.database.read() as connection:
        from sqlalchemy import select

        from signsvc.store.webhook_schema import webhooks as table

        assert made["secret"] not in str(connection.execute(select(table)).all())


def test_everyones_work_is_for_administrators(house: House, receiver: Receiver) -> None:
    assert house("POST", "/v1/webhooks", json={"url": receiver.url, "all": True}).status_code == 403
    made = house("POST", "/v1/webhooks", Scope.ADMIN, json={"url": receiver.url, "all": True}).get_json()
    house.verify()
    house.now = datetime.now(UTC)
    assert house.deliver() == 1
    assert house("GET", f"/v1/webhooks/{made['id']}").status_code == 404  # nor are other people's addresses
    assert house("DELETE", f"/v1/webhooks/{made['id']}").status_code == 404
    assert house("DELETE", f"/v1/webhooks/{made['id']}", Scope.ADMIN).status_code == 204


def test_tried_again_with_the_same_id(house: House, receiver: Receiver) -> None:
    made = house("POST", "/v1/webhooks", json={"url": receiver.url}).get_json()
    receiver.answers += [(500, {}, b""), (503, {}, b"x" * 5_000_000), (302, {"Location": "http://127.0.0.1:1/"}, b"")]
    house.verify()
    house.now = datetime.now(UTC)
    after = 0.0
    assert house.deliver() == 1
    for delay in webhooks.DELAYS[:3]:
        assert house.deliver(after=after + delay * 0.85) == 0
        after += delay * 1.2
        assert house.deliver(after=after) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == 1
    assert len({headers["webhook-signature"] for headers, _ in receiver.told}) == 4
    assert len(receiver.told) == 4
    (one,) = house.store.webhooks.deliveries(made["id"])
    assert (one.state, one.attempts, one.status) == ("done", 4, 204)


def test_the_last_try(house: House, receiver: Receiver) -> None:
    made = house("POST", "/v1/webhooks", json={"url": receiver.url}).get_json()
    receiver.answers += [(500, {}, b"")] * 10
    house.verify()
    house.now = datetime.now(UTC)
    after = 0.0
    for delay in (0, *webhooks.DELAYS):
        after += delay * 1.2
        assert house.deliver(after=after) == 1
    assert house.deliver(after=after + 1e6) == 0
    shown = house("GET", f"/v1/webhooks/{made['id']}").get_json()
    assert shown["failing_since"]
    (one,) = house("GET", f"/v1/webhooks/{made['id']}/deliveries").get_json()["deliveries"]
    assert (one["state"], one["attempts"], one["error"]) == ("failed", 10, "status")
    again = house("POST", f"/v1/webhooks/{made['id']}/deliveries/{one['id']}/resend")
    assert again.status_code == 202
    house.now = datetime.now(UTC)
    assert house.deliver() == 1
    assert house("GET", f"/v1/webhooks/{made['id']}").get_json()["failing_since"] is None


def test_gone(house: House, receiver: Receiver) -> None:
    made = house("POST", "/v1/webhooks", json={"url": receiver.url}).get_json()
    receiver.answers.append((410, {}, b""))
    house.verify()
    house.now = datetime.now(UTC)
    assert house.deliver() == 1
    house.verify()
    house.now = datetime.now(UTC)
    assert house.deliver(after=10) == 0
    assert house("GET", f"/v1/webhooks/{made['id']}").get_json()["disabled_at"]
    assert house("POST", f"/v1/webhooks/{made['id']}/enable").get_json()["disabled_at"] is None


def test_two_secrets_for_a_day(house: House, receiver: Receiver) -> None:
    made = house("POST", "/v1/webhooks", json={"url": receiver.url}).get_json()
    newer = house("POST", f"/v1/webhooks/{made['id']}/rotate").get_json()
    assert newer["secret"] != made["secret"]
    assert house("POST", f"/v1/webhooks/{made['id']}/test").status_code == 202
    house.now = datetime.now(UTC)
    house.deliver()
    headers, body = receiver.told[-1]
    for secret in (made["secret"], newer["secret"]):
        assert Webhook(secret).verify(body, headers)["type"] == "ping"
    webhook = house.store.webhooks.get(made["id"])
    late = datetime.now(UTC) + timedelta(days=2)
    assert len(webhooks.signatures(house.services.webhook_key(), webhook, "msg", late, "{}").split()) == 1


def test_a_process_that_dies_leaves_it_to_the_next(house: House, receiver: Receiver) -> None:
    house("POST", "/v1/webhooks", json={"url": receiver.url})
    house.verify()
    house.now = datetime.now(UTC)
    (taken,) = house.store.webhooks.take(now=house.now, limit=10)  # and nothing more is heard of it
    assert house.deliver(after=60) == 0
    assert house.deliver(after=121) == 1
    assert [headers["webhook-id"] for headers, _ in receiver.told] == [taken.id]


def test_where_it_may_not_go(house: House, receiver: Receiver) -> None:
    for url in ("ftp://x.vn/", "https://", "https://u:p@x.vn/", "https://x.vn/#a", "file:///etc/passwd", "x" * 3000):
        assert house("POST", "/v1/webhooks", json={"url": url}).status_code == 422, url
    with pytest.raises(Exception, match="invalid_request"):
        webhooks.acceptable("http://x.vn/", http=False)
    house("POST", "/v1/webhooks", json={"url": receiver.url})
    house.verify()
    house.now = datetime.now(UTC)
    guarded = HttpClient(NetRules())
    assert webhooks.deliver(house.store, guarded, house.services.webhook_key, now=house.now) == 1
    assert receiver.told == []
    (webhook,) = house.store.webhooks.list(everyone=True)
    (one,) = house.store.webhooks.deliveries(webhook.id)
    assert (one.state, one.status) == ("waiting", None)
    assert one.error


def test_at_the_command_line(installation: Installation) -> None:
    environment = {**os.environ, **installation.environment}

    def run(*words: str) -> Any:
        command = [sys.executable, "-m", "signsvc", "webhook", *words, "--json"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    made = json.loads(run("add", "https://van-thu.test/told").stdout)
    assert made["secret"].startswith("whsec_")
    assert json.loads(run("rotate", made["id"]).stdout)["secret"] != made["secret"]
    assert made["id"] in run("list").stdout
    assert run("add", "http://van-thu.test/told").returncode == 4
    sent = run("test", made["id"])
    assert (sent.returncode, json.loads(sent.stdout)["state"]) == (4, "waiting")
    assert json.loads(run("show", made["id"]).stdout)["deliveries"][0]["type"] == "ping"
    message = json.loads(sent.stdout)["id"]
    assert json.loads(run("resend", made["id"], message).stdout)["state"] == "waiting"
    assert json.loads(run("enable", made["id"]).stdout)["disabled_at"] is None
    assert run("delete", made["id"]).returncode == 0
    assert run("show", made["id"]).returncode == 4


def test_a_running_service_tells(installation: Installation, receiver: Receiver) -> None:
    """The worker beside the service delivers what its verifications left."""
    from dataclasses import replace

    place = receiver.url.split("/")[2]
    environment = {
        **installation.environment,
        "SIGNSVC_NET__ALLOW": json.dumps([place]),
        "SIGNSVC_WEBHOOKS__ALLOW_HTTP": "true",
    }
    with running(replace(installation, environment=environment), worker=True, workers=1) as service:
        body = json.dumps({"url": receiver.url})
        made = service.call("POST", "/v1/webhooks", body, {"Content-Type": "application/json"})
        assert made.status == 201, made.body
        report = service.verify(sample("van-ban.pdf").read_bytes()).json["id"]
        deadline = time.monotonic() + 30
        while not receiver.told and time.monotonic() < deadline:
            time.sleep(0.1)
        assert service.call("DELETE", f"/v1/webhooks/{made.json['id']}").status == 204
    ((headers, told),) = receiver.told
    assert Webhook(made.json["secret"]).verify(told, headers)["data"]["report"]["id"] == report
