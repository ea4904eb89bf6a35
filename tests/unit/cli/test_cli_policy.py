"""``signsvc policy``: list, show, diff, check."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from signsvc.cli.root import main


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNSVC_DATA_DIR", str(tmp_path / "data"))


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["policy", *args])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert "* hon-hop" in out
    code, out, _ = run(capsys, "list", "--json")
    items = json.loads(out)["policies"]
    assert [item["id"] for item in items] == ["cong-cong", "cong-vu", "hon-hop", "luu-tru"]
    assert [item["id"] for item in items if item["default"]] == ["hon-hop"]


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "cong-vu")
    assert code == 0
    assert "sha1: → 2021-01-01" in out
    _, out, _ = run(capsys, "show", "cong-vu", "--json")
    assert json.loads(out)["trust_profiles"] == ["cong-vu"]


def test_unknown_is_exit_4(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "show", "nothing")
    assert (code, out) == (4, "")
    assert "policy_not_found" in err


def test_diff(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "diff", "cong-vu", "luu-tru", "--json")
    assert code == 0
    found = {d["key"]: (d["left"], d["right"]) for d in json.loads(out)["differences"]}
    assert found.pop("trust_profiles") == ("cong-vu", "cong-vu, cong-cong")
    assert found.pop("timestamp") == ("recommended", "required")
    assert all(key.startswith("levels.") for key in found)
    code, out, _ = run(capsys, "diff", "hon-hop", "hon-hop")
    assert "No difference" in out


def test_check_and_site_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = (resources.files("signsvc.validation.policies") / "hon-hop.toml").read_text("utf-8")
    good, bad = tmp_path / "rieng.toml", tmp_path / "sai.toml"
    good.write_text(text.replace('id = "hon-hop"', 'id = "rieng"'))
    bad.write_text(text.replace("[freshness]", '[levels]\ndigest_mismatch = "ignore"\n[freshness]'))
    assert run(capsys, "check", str(good))[0] == 0
    code, out, _ = run(capsys, "check", str(good), str(bad), "--json")
    assert code == 4
    assert [item["ok"] for item in json.loads(out)["files"]] == [True, False]
    site = tmp_path / "data" / "policies"
    site.mkdir(parents=True)
    good.rename(site / "rieng.toml")
    assert "rieng" in run(capsys, "list")[1]
    assert run(capsys, "show", "rieng")[0] == 0


def test_a_policy_of_the_site_builds_on_another(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    site = tmp_path / "data" / "policies"
    site.mkdir(parents=True)
    own = site / "so.toml"
    own.write_text('id = "so"\nversion = "2"\nextends = "cong-vu"\ntimestamp = "required"\n')
    _, out, _ = run(capsys, "list")
    assert "so           2      Chữ ký số chuyên dùng công vụ" in out
    assert out.count("của đơn vị") == 1
    _, out, _ = run(capsys, "list", "--json")
    items = {item["id"]: item for item in json.loads(out)["policies"]}
    assert (items["so"]["extends"], items["so"]["built_in"], items["cong-vu"]["built_in"]) == (["cong-vu"], False, True)
    _, out, _ = run(capsys, "show", "so")
    assert f"extends: cong-vu {items['cong-vu']['version']} {items['cong-vu']['sha256']}" in out
    _, out, _ = run(capsys, "diff", "cong-vu", "so")
    assert out == "timestamp: recommended | required\n"
    away = tmp_path / "elsewhere"
    away.mkdir()
    draft = away / "phong.toml"
    draft.write_text('id = "phong"\nversion = "1"\nextends = "so"\nrequired_level = "B-LT"\n')
    assert run(capsys, "check", str(draft))[0] == 0
    assert "required_level: – | B-LT" in run(capsys, "diff", "so", str(draft))[1]


def test_mistakes_are_told_with_file_and_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    draft = tmp_path / "sai.toml"
    draft.write_text('id = "sai"\nversion = "1"\nextends = "hon-hop"\n\n[levels]\nno_such_code = "warn"\n')
    code, out, _ = run(capsys, "check", str(draft))
    assert code == 4
    assert "sai.toml, dòng 6: levels.no_such_code: không có mã phát hiện này" in out
    code, _, err = run(capsys, "show", str(draft))
    assert code == 4
    assert "line 6" in err
    draft.write_text('id = "sai"\nversion = "1"\nextends = "hon-hop"\ntrust_profiles = ["chua-co"]\n')
    code, out, _ = run(capsys, "check", str(draft), "--json")
    assert (code, json.loads(out)["files"][0]["ok"]) == (4, False)
