"""``signsvc jobs`` over a ledger, and profiles that have their signatures raised later."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from signsvc.cli.root import cli
from signsvc.errors import ConfigError
from signsvc.settings import Settings
from signsvc.signing import profiles
from signsvc.store import Failure, ItemState, Store


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.output


def test_list_show_and_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNSVC_DATA_DIR", str(tmp_path))
    settings = Settings.load()
    store = Store(settings.database_url, settings.blob_dir)
    now = datetime.now(UTC)
    job = store.jobs.add("raise", [{}, {}], now=now)
    (lease,) = store.jobs.lease(now=now, seconds=30)
    store.jobs.fail(lease, Failure("tsa_unavailable", {"reason": "tsa1: timeout"}), now=now)
    (lease,) = store.jobs.lease(now=now, seconds=30)
    store.jobs.put_off(lease, Failure("busy"), now=now, due_at=now + timedelta(hours=1))
    (line,) = run("jobs", "list", "--json").splitlines()
    assert json.loads(line)["counts"] == {"failed": 1, "waiting": 1}
    assert run("jobs", "list", "--kind", "batch") == ""
    _, *items = map(json.loads, run("jobs", "show", job, "--json").splitlines())
    assert [i["state"] for i in items] == ["failed", "waiting"]
    assert items[0]["last_error"]["code"] == "tsa_unavailable"
    assert items[1]["next_try"]
    assert "quá thời hạn chờ" in run("jobs", "show", job, "--state", "failed")
    assert json.loads(run("jobs", "retry", job, "--json")) == {"id": job, "retried": 2}
    assert store.jobs.get(job).counts[ItemState.WAITING] == 2
    assert store.jobs.due(now=datetime.now(UTC), limit=9) == 2
    store.close()


def test_a_profile_says_what_is_raised_later() -> None:
    text = 'id = "a"\nversion = "1"\ntitle_vi = "a"\ntitle_en = "a"\nlevel = "B-B"\n[timestamp]\nraise_to = "B-LTA"\n'
    profile = profiles.parse(text.encode(), "a.toml")
    assert profile.raise_to == "B-LTA"
    assert profile.to_json()["timestamp"] == {"raise_to": "B-LTA"}
    assert profiles.load("pades-b-b").raise_to is None
    with pytest.raises(ConfigError, match="raise_to"):
        profiles.parse(text.replace("B-LTA", "B-B2").encode(), "a.toml")
