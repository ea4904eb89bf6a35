"""The message files are read by a reader of their own, which must agree with TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from signsvc import messages

FILES = sorted(Path(messages.__file__).parent.glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_reads_what_toml_says(path: Path) -> None:
    assert messages.tables(path) == tomllib.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "wrong",
    [
        '[a]\nvi = "a\\tb"',
        '[a]\nvi = "a"b"',
        "[a]\nvi = 'a'",
        "[a]\nvi = 1",
        '[a]\nvi = "a" # why',
        '[a]\nvi = "a"\nvi = "b"',
        "[a]\n[a]",
        'vi = "a"',
        '[a]\nvi = """\na"""',
        "[a]\n[b",
    ],
)
def test_refuses_what_it_does_not_read(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(wrong, "utf-8")
    with pytest.raises(ValueError, match=r"x\.toml, line \d: not a new"):
        messages.tables(path)
