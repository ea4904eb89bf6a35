"""``signsvc verify`` and ``POST /v1/verify`` say the same of the same file under the same parameters."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import test_pki
from signsvc.services import Services
from signsvc.settings import Settings
from signsvc.store import Scope
from signsvc.types import Certificate
from signsvc.web import create_app
from test_pki.responders import Responders
from tests.support.installation import Installation, install
from tests.support.signed_pdf import signed, token

SITE = 'id = "noi-bo"\nversion = "5"\nextends = "hon-hop"\n[levels]\ntimestamp_absent = "fail"\n'


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    found = install(tmp_path_factory.mktemp("parity"), pki, responders)
    policies = found.data_dir / "policies"
    policies.mkdir()
    (policies / "noi-bo.toml").write_text(SITE)
    return found


@pytest.fixture(scope="module")
def client(house: Installation) -> Iterator[FlaskClient]:
    settings: Settings = house.settings
    with Services(settings, workers=1) as services:
        secret = services.store.api_keys.create("tests", [Scope.VERIFY], now=datetime.now(UTC)).secret
        found = create_app(settings, services).test_client()
        found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
        yield found


@pytest.fixture(scope="module")
def files(house: Installation, pki: test_pki.Pki) -> dict[str, Path]:
    """What both doors are given."""
    now = datetime.now(UTC)
    serial = Certificate.from_der(pki.cert("no-urls")).serial_number
    made = {
        "b.pdf": signed(pki, claimed=now).data,
        "t.pdf": signed(pki, claimed=now, tokens=(token(pki, now),)).data,
        "unknown.pdf": signed(pki, "unknown", claimed=now).data,
        "no-urls.pdf": signed(pki, "no-urls", claimed=now).data,
        "leaf.pdf": signed(pki, claimed=now, include=("person",)).data,
        "root.crt": pki.cert("root-unknown"),
        "sub.crt": pki.cert("ca-unknown"),
        "state.crl": pki.crl("sub-g2-state", entries=[(serial, now - timedelta(days=2), "keyCompromise")]),
        "original.txt": b"content",
    }
    broken = bytearray(made["t.pdf"])
    broken[300] ^= 1
    made["broken.pdf"] = bytes(broken)
    for name, data in made.items():
        (house.directory / name).write_bytes(data)
    return {name: house.directory / name for name in made}


def by_command(house: Installation, path: Path, options: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "signsvc", "verify", "--json", *options, str(path)],
        env={**os.environ, **house.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 1, 2, 3), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def by_http(client: FlaskClient, path: Path, form: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/verify", data={"document": (io.BytesIO(path.read_bytes()), path.name), **form})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def plain(report: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between any two calls: the report's own id, the instants of judging and of
    fetching, and that the second call finds kept what the first one fetched."""
    kept = {k: v for k, v in report.items() if k != "id"}
    if "at" not in kept:
        kept["validation_time"] = None
    return _without_fetch(kept)


def _without_fetch(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_fetch(v) for k, v in value.items() if k not in ("produced_at", "next_update", "origin")}
    return [_without_fetch(v) for v in value] if isinstance(value, list) else value


LATER = (datetime.now(UTC) + timedelta(days=3)).isoformat(timespec="seconds")

CASES: dict[str, tuple[str, list[str], dict[str, str], tuple[str, str | None]]] = {
    "plain": ("t.pdf", [], {}, ("TOTAL-PASSED", None)),
    "offline": ("t.pdf", ["--offline"], {"offline": "true"}, ("TOTAL-PASSED", None)),
    "leaf alone": ("leaf.pdf", [], {}, ("TOTAL-PASSED", None)),
    "broken": ("broken.pdf", [], {}, ("TOTAL-FAILED", "HASH_FAILURE")),
    "unknown": ("unknown.pdf", [], {}, ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")),
    "policy": ("t.pdf", ["--policy", "luu-tru"], {"policy": "luu-tru"}, ("TOTAL-PASSED", None)),
    "policy without time": (
        "b.pdf", ["--policy", "luu-tru"], {"policy": "luu-tru"}, ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE"),
    ),
    "site policy": (
        "b.pdf", ["--policy", "noi-bo"], {"policy": "noi-bo"}, ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE"),
    ),
    "at": ("t.pdf", ["--at", LATER], {"at": LATER}, ("TOTAL-PASSED", None)),
    "accept": ("b.pdf", ["--accept", "van-ban-ban-hanh"], {"accept": "van-ban-ban-hanh"}, ("TOTAL-PASSED", None)),
    "anchor and certificate": (
        "unknown.pdf",
        ["--trust-anchor", "root.crt", "--cert", "sub.crt"],
        {"trust_anchor": "root.crt", "cert": "sub.crt"},
        ("TOTAL-PASSED", None),
    ),
    "crl": ("no-urls.pdf", ["--crl", "state.crl"], {"crl": "state.crl"}, ("INDETERMINATE", "REVOKED_NO_POE")),
    "original": ("t.pdf", ["--original", "original.txt"], {"original": "original.txt"}, ("TOTAL-PASSED", None)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_both_doors_say_the_same(name: str, house: Installation, client: FlaskClient, files: dict[str, Path]) -> None:
    document, options, form, expected = CASES[name]
    arguments = [str(files[o]) if o in files else o for o in options]
    one = by_command(house, files[document], arguments)
    values = {k: (io.BytesIO(files[v].read_bytes()), v) if v in files else v for k, v in form.items()}
    other = by_http(client, files[document], values)
    assert (one["indication"], one["sub_indication"]) == expected, json.dumps(one["signatures"], ensure_ascii=False)
    assert plain(one) == plain(other)
    if name == "at":
        assert one["validation_time"] == other["validation_time"]
    assert ("acceptance" in one) is (name == "accept")
    assert ("originals_unused" in {m["code"] for m in one["messages"]}) is (name == "original")


def test_unknown_rules_are_refused_at_both_doors(
    house: Installation, client: FlaskClient, files: dict[str, Path]
) -> None:
    answer = client.post("/v1/verify?accept=nothing", data=files["b.pdf"].read_bytes(), content_type="application/pdf")
    assert answer.status_code == 422
    assert "hop-le" in answer.get_json(force=True)["detail"]


def test_a_site_policy_is_seen_by_a_running_service_and_told_whole(
    client: FlaskClient, house: Installation, files: dict[str, Path]
) -> None:
    """It may come, change and go while the service runs."""
    path = house.data_dir / "policies" / "moi.toml"
    assert client.get("/v1/policies/moi").status_code == 404
    path.write_text('id = "moi"\nversion = "1"\nextends = "noi-bo"\nclock_tolerance = 5\n')
    found = client.get("/v1/policies/moi").get_json()
    assert (found["clock_tolerance"], [e["id"] for e in found["extends"]]) == (5, ["noi-bo", "hon-hop"])
    assert {"freshness", "algorithms", "key_usage", "sunsets", "keeps_expired_since"} <= set(found)
    body = files["t.pdf"].read_bytes()
    report = client.post("/v1/verify?policy=moi", data=body, content_type="application/pdf").get_json()
    assert report["policy"] | {"href": ""} == {"id": "moi", "version": "1", "sha256": found["sha256"], "href": ""}
    path.write_text('id = "moi"\nversion = "2"\nextends = "noi-bo"\nwrong = 5\n')
    answer = client.post("/v1/verify?policy=moi", data=body, content_type="application/pdf")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (500, "configuration_invalid")
    path.unlink()
    listed = client.get("/v1/policies").get_json()
    assert [p["id"] for p in listed["policies"]] == ["cong-cong", "cong-vu", "hon-hop", "luu-tru", "noi-bo"]
