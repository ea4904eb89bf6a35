"""README says what is so: its commands, flags, exit codes, configuration, and the output that it shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

import test_pki
from signsvc.cli import root, verify
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.settings import Settings
from signsvc.store import Scope
from signsvc.web import create_app
from tests.support.installation import Installation

README = (Path(__file__).resolve().parents[3] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE)


def command(words: list[str]) -> click.Command | None:
    """The command that `words` name, as deep as they do."""
    context = click.Context(root.cli)
    found: click.Command | None = root.cli
    for word in words:
        found = found.get_command(context, word) if isinstance(found, click.Group) else None
    return found


def flags(wanted: click.Command) -> dict[str, click.Parameter]:
    return {option: p for p in wanted.params for option in (*p.opts, *p.secondary_opts)}


def rows() -> Iterator[tuple[str, str]]:
    for line in README.splitlines():
        if line.startswith("| `signsvc "):
            first, second = line.strip("| ").replace(r"\|", "¦").split(" | ")
            yield first, second


def commands(cell: str) -> Iterator[click.Command]:
    """`signsvc trust list¦show` and the like: every command named."""
    for span in re.findall(r"`([^`]+)`", cell):
        words = [w for w in span.removeprefix("signsvc ").split() if re.fullmatch(r"[a-z][a-z¦-]*", w)][:2]
        for last in words[-1].split("¦"):
            found = command([*words[:-1], last])
            assert found is not None, span
            yield found


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row[0])
def test_the_commands_and_flags_of_the_table_exist(row: tuple[str, str]) -> None:
    known: dict[str, click.Parameter] = {}
    for found in commands(row[0]):
        known |= flags(found)
    for flag, value in re.findall(r"(--[a-z0-9-]+)(?: ([^`\s]+))?", " ".join(row)):
        assert flag in known, flag
        kind = known[flag].type
        if isinstance(kind, click.Choice) and value:
            assert list(kind.choices) == value.split("¦"), flag


def test_every_verb_has_a_row() -> None:
    named = {found.name for row in rows() for found in commands(row[0])}
    groups = {command([verb]) for verb in root.VERBS}
    missing = [g.name for g in groups if g and g.name not in named and not isinstance(g, click.Group)]
    assert not missing
    for group in groups:
        if isinstance(group, click.Group):
            assert {c for c in group.commands if c in named}, group.name


def test_command_lines_elsewhere_name_known_verbs_and_flags() -> None:
    prose = re.findall(r"signsvc ((?:trust|config|apikey|token|policy|profile) [a-z]+[^`\n]*)", README)
    prose += re.findall(r"signsvc ((?:sign|verify|extend|serve|doctor|demo)\b[^`\n|]*)", README)
    assert len(prose) > 10
    for text in prose:
        words = text.replace(r"\|", " ").split()
        group = command(words[:1])
        found = command(words[:2]) if isinstance(group, click.Group) else group
        if found is None:
            assert "|" in text or "¦" in text, text  # a row of the table, read by another test
            continue
        for flag in re.findall(r"--[a-z0-9-]+", text):
            assert flag in flags(found), text


def test_exit_codes() -> None:
    said = re.search(r"Exit codes: (.*?)\.", README, re.DOTALL)
    assert said is not None
    codes = dict(re.findall(r"(\d+) ((?:all|any|no|could|usage)[^,;]*)", said[1].replace("\n", " ")))
    assert codes == {
        str(root.EXIT_PASSED): "all passed",
        str(root.EXIT_FAILED): "any TOTAL-FAILED",
        str(root.EXIT_INDETERMINATE): "any INDETERMINATE",
        str(root.EXIT_NO_SIGNATURE): "no signature",
        str(root.EXIT_PROBLEM): "could not be processed",
        str(root.EXIT_USAGE): "usage",
    }
    order = re.search(r"(\d) counts over (\d) over (\d) over (\d) over (\d)", README)
    assert order is not None
    assert tuple(map(int, order.groups())) == verify._WORST


def _configured(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "signsvc.toml").write_text(re.sub("^   ", "", text, flags=re.MULTILINE), "utf-8")
    monkeypatch.setenv("SIGNSVC_CONFIG", str(tmp_path / "signsvc.toml"))
    monkeypatch.delenv("SIGNSVC_DATA_DIR", raising=False)
    return Settings.load()


def test_the_configuration_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = (body for kind, body in BLOCKS if kind == "toml" and "mode = " in body)
    settings = _configured(text, tmp_path, monkeypatch)
    assert (settings.mode, settings.credentials[0].id, settings.tsa[0].name) == ("production", "office-seal", "vgca")


def test_parts_of_a_configuration_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [body for kind, body in BLOCKS if kind == "toml" and "[[credentials]]" in body and "mode = " not in body]
    found = [_configured(text, tmp_path, monkeypatch).credentials[0] for text in parts]
    assert {item.id for item in found} >= {"ky-tu-xa", "office-seal"}
    assert any(item.csc is not None and item.csc.credential == "abc-123" for item in found)


@pytest.fixture(scope="module")
def signed(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The office document with a person's signature and the agency's seal, as the demonstration makes it."""
    place = tmp_path_factory.mktemp("readme")
    source = sample("van-ban.pdf")
    for number, credential in enumerate(("person", "agency")):
        target = place / f"{number}.pdf"
        arguments = ["--credential", credential, "--profile", "pades-b-lta", "--out", str(target)]
        arguments += ["--visible", f"-1,330,{120 - 80 * number},540,{190 - 80 * number}"]
        done = run(installation, "sign", str(source), *arguments)
        assert done.returncode == 0, done.stderr
        source = target
    return source


def run(installation: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **installation.environment}
    done = [sys.executable, "-m", "signsvc", *arguments]
    return subprocess.run(done, env=environment, capture_output=True, text=True, timeout=120, check=False)


def block(start: str) -> list[str]:
    """The lines of the block whose command has `start`, without the command."""
    (body,) = (body for _, body in BLOCKS if body.startswith("$ ") and start in body.splitlines()[0])
    lines = body.splitlines()
    while lines[0].endswith("\\"):
        del lines[0]
    return lines[1:]


def test_the_output_of_verify(installation: Installation, signed: Path, pki: test_pki.Pki, tmp_path: Path) -> None:
    anchor = tmp_path / "root-g2.crt"
    anchor.write_bytes(pki.cert("root-g2"))
    done = run(installation, "verify", str(signed), "--trust-anchor", str(anchor), "--offline")
    assert done.returncode == 0

    def plain(line: str) -> str:
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", line.replace(str(signed), "FILE"))

    shown = [line.replace("var/demo/van-ban-signed.pdf", str(signed)) for line in block("signsvc verify var/demo")]
    real = done.stdout.splitlines()
    assert len(shown) == len(real)
    for one, other in zip(shown, real, strict=True):
        head, ellipsis, _ = plain(one).partition("…")
        assert plain(other).startswith(head) if ellipsis else plain(other) == plain(one)


def members(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(members, value.values()))
    return set().union(*map(members, value)) if isinstance(value, list) else set()


def test_the_answers_over_http(installation: Installation, services: Services, signed: Path) -> None:
    client = create_app(installation.settings, services).test_client()
    secret = services.store.api_keys.create("readme", [Scope.SIGN, Scope.VERIFY], now=datetime.now(UTC)).secret
    headers = {"Authorization": f"Bearer {secret}"}
    with signed.open("rb") as file:
        report = client.post("/v1/verify", data={"document": (file, "van-ban-signed.pdf")}, headers=headers).get_json()
    shown = "\n".join(block("-F document=@var/demo"))
    said = set(re.findall(r'"([a-z0-9_]+)":', shown))
    assert len(said) > 30
    assert said <= members(report)
    for name in ("indication", "signatures_count", "valid_signatures_count", "conclusion"):
        assert json.dumps(report[name], ensure_ascii=False, separators=(",", ":")) in shown
    shown_policy = f'"policy":{{"id":"{report["policy"]["id"]}","version":"{report["policy"]["version"]}"'
    assert shown_policy in shown
    with sample("van-ban.pdf").open("rb") as file:
        fields = {"profile": "pades-b-lt", "credential": "agency", "reason": "Ban hành", "document": (file, "a.pdf")}
        idempotency = {"Idempotency-Key": '"12-QD-UBND"'}
        answer = client.post("/v1/sign", data=fields, headers={**headers, **idempotency}, buffered=True)
    assert answer.status_code == 200, answer.data[:300]
    for line in block("curl -D - -o signed.pdf"):
        name, colon, value = line.partition(": ")
        if colon:
            assert name in answer.headers
            if name in ("Content-Type", "Signsvc-Level"):
                assert answer.headers[name] == value


def test_it_is_short_and_names_no_placeholder() -> None:
    assert len(README.splitlines()) < 520
    assert README.index("make demo") < 2000
    assert not re.search(r"@[A-Z]+@|TODO|FIXME", README)
    assert "Dịch vụ ký số" in README[:400]
