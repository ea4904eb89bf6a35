"""Where results go, and that nothing of a user's is removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click import UsageError

from signsvc.cli import signing
from signsvc.cli.root import VERBS, main
from signsvc.cli.text import render


def ended(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    return end.value.code


def test_results_stand_beside_their_sources_or_where_told(tmp_path: Path) -> None:
    source = tmp_path / "a.b.pdf"
    source.touch()
    assert signing.targets([source], None, None, "-signed") == {source: tmp_path / "a.b-signed.pdf"}
    assert signing.targets([source], tmp_path / "x.pdf", None, "-signed") == {source: tmp_path / "x.pdf"}
    new = tmp_path / "new" / "deep"
    assert signing.targets([source], None, new, "-signed") == {source: new / "a.b.pdf"}
    assert new.is_dir()


def test_places_that_take_no_results_are_named_before_a_key_is_touched(tmp_path: Path) -> None:
    source = tmp_path / "a.pdf"
    source.touch()
    with pytest.raises(UsageError, match="there is no directory"):
        signing.targets([source], tmp_path / "absent" / "x.pdf", None, "-signed")
    with pytest.raises(UsageError, match="--out-dir"):
        signing.targets([source], None, source / "x", "-signed")
    with pytest.raises(UsageError, match="one file"):
        signing.targets([source, source], tmp_path / "x.pdf", None, "-signed")
    with pytest.raises(UsageError, match="same name"):
        signing.targets([source, source], None, tmp_path, "-signed")


def test_the_demonstration_removes_only_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.pdf").touch()
    assert ended("demo", "--once", "--dir", tmp_path) == 64
    assert "holds other files" in capsys.readouterr().err
    assert (tmp_path / "thesis.pdf").exists()


def test_the_demonstration_leaves_a_running_one_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    mark = tmp_path / ".signsvc-demo"
    mark.touch()
    with mark.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ended("demo", "--once", "--dir", tmp_path) == 64
    assert "a demonstration runs in" in capsys.readouterr().err
    assert mark.exists()


def test_an_unreadable_place_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "file"
    place.touch()
    target = tmp_path / "a.pdf"
    target.write_bytes(b"%PDF-1.7\n")
    assert ended("verify", tmp_path / "none", "--report", "json", "--report-dir", place / "x") == 4
    assert "[not_found]" in capsys.readouterr().err


def test_every_verb_has_help_and_every_leaf_json(capsys: pytest.CaptureFixture[str]) -> None:
    import click

    from signsvc.cli.root import cli

    context = click.Context(cli)
    for verb in VERBS:
        assert ended(verb, "--help") == 0
        assert "Usage:" in capsys.readouterr().out
        command = cli.get_command(context, verb)
        leaves = list(command.commands.values()) if isinstance(command, click.Group) else [command]
        for leaf in leaves:
            assert leaf is not None
            assert "--json" in {o for p in leaf.params for o in p.opts}, f"{verb} {leaf.name}"


def test_decisions_are_in_words() -> None:
    report = {
        "indication": "NO-SIGNATURE", "sub_indication": None, "signatures": [], "timestamps": [], "messages": [],
        "policy": {"id": "hon-hop", "version": "1.0"},
        "acceptance": {"rule": "hop-le", "decision": "review", "reasons": [{"text": "why", "text_vi": "vì sao"}]},
    }  # fmt: skip
    assert "Quyết định: cần cán bộ xem xét [review]: vì sao" in render(report, "a.pdf")
    assert "Acceptance: for a person to review [review]: why" in render(report, "a.pdf", "en")


def test_an_address_in_use_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setenv("SIGNSVC_DATA_DIR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        assert ended("serve", "--bind", bind) == 4
    shown = capsys.readouterr()
    assert f"không mở được {bind}" in shown.err
    assert shown.out == ""
