"""``signsvc profile``: list, show, check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signsvc.cli.root import main


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNSVC_DATA_DIR", str(tmp_path / "data"))


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["profile", *args])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


def test_list_and_show(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    directory = tmp_path / "data" / "profiles"
    directory.mkdir(parents=True)
    text = 'extends = "cong-vu-b-lt"\nid = "rieng"\nversion = "1"\n[metadata]\nreason = "Ban hành"\n'
    (directory / "rieng.toml").write_text(text)
    code, out, _ = run(capsys, "list", "--json")
    assert code == 0
    found = {p["id"]: p for p in json.loads(out)["profiles"]}
    assert found["rieng"]["level"] == "B-LT"
    assert found["rieng"]["metadata"]["reason"]["value"] == "Ban hành"
    code, out, _ = run(capsys, "list")
    assert [line.endswith("(của đơn vị / of this site)") for line in out.splitlines()].count(True) == 1
    code, out, _ = run(capsys, "show", "rieng")
    assert "metadata.reason: value = Ban hành" in out
    assert json.loads(run(capsys, "show", "rieng", "--json")[1])["extends"][0]["id"] == "cong-vu-b-lt"


def test_unknown_is_exit_4_and_usage_64(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "show", "nothing")
    assert (code, out) == (4, "")
    assert "profile_not_found" in err
    assert run(capsys, "check")[0] == 64


def test_check_names_line_and_cause(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good, bad, lost = tmp_path / "a.toml", tmp_path / "b.toml", tmp_path / "c.toml"
    start = 'extends = "pades-b-b"\nid = "a"\nversion = "1"\n'
    good.write_text(start)
    bad.write_text(start + 'level = "B-Z"\n')
    lost.write_text(start + 'policy = "no-such"\n')
    assert run(capsys, "check", str(good))[0] == 0
    code, out, _ = run(capsys, "check", str(good), str(bad), str(lost), "--json")
    assert code == 4
    files = json.loads(out)["files"]
    assert [file["ok"] for file in files] == [True, False, False]
    assert "b.toml, line 4: level" in files[1]["problem"]
