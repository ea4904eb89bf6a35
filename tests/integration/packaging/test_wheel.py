"""The wheel: what ``pip install .`` puts on another machine, without the source checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]


def _pip(*args: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: setuptools leaves build/ beside the source, and a stale one would hide files that are missing."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(SOURCE / name, copy)
    for name in ("signsvc", "tests", "test_pki"):  # the last two must stay out although they are there
        shutil.copytree(SOURCE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "java"))
    return copy


@pytest.fixture(scope="module")
def files(source: Path) -> set[str]:
    """Every file of the package, as the wheel names it."""
    return {path.relative_to(source).as_posix() for path in (source / "signsvc").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def wheel(source: Path, files: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out, source)
    (found,) = out.glob("signsvc-*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed package; its dependencies are those of the tests."""
    place = tmp_path_factory.mktemp("site")
    _pip("install", "--quiet", "--no-deps", "--no-index", "--target", place, wheel)
    return place


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    def call(*args: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SIGNSVC_")}
        environment |= {"PYTHONPATH": str(site), "SIGNSVC_DATA_DIR": str(tmp_path / "data")}
        return subprocess.run(
            [sys.executable, *args], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    return call


def test_every_file_of_the_package_is_in_the_wheel_and_nothing_else(wheel: Path, files: set[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = archive.read(next(n for n in names if n.endswith("/entry_points.txt"))).decode()
    inside = {name for name in names if ".dist-info/" not in name}
    assert {Path(name).suffix for name in files} >= {".toml", ".html", ".css", ".js", ".ttf", ".pdf", ".typed"}
    assert sorted(files - inside) == []
    assert sorted(inside - files) == []
    assert "signsvc = signsvc.cli:main" in entry_points


def test_the_installed_package_stands_alone(run: Run, site: Path) -> None:
    where = run("-P", "-c", "import signsvc; print(signsvc.__file__)")
    assert where.stdout.strip() == str(site / "signsvc" / "__init__.py"), where.stderr
    for command, word in (
        (("policy", "list"), "hon-hop"),
        (("profile", "list"), "pades-b-lta"),
        (("trust", "list"), "cong-vu"),
    ):
        done = run("-P", "-m", "signsvc", *command)
        assert (done.returncode, word in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_installed_package_verifies_and_reports(run: Run, site: Path) -> None:
    sample = site / "signsvc" / "samples" / "van-ban.pdf"
    done = run("-P", "-m", "signsvc", "verify", "--report", "html", str(sample))
    assert done.returncode == 3, done.stdout + done.stderr


def test_the_installed_pages_have_their_templates_and_styles(run: Run) -> None:
    asks = """
from signsvc.settings import Settings
from signsvc.web.app import create_app
client = create_app(Settings.load()).test_client()
for page in ("/verify", "/docs", "/docs/problems", "/openapi.json", "/static/site.css", "/static/verify.js"):
    print("answer", client.get(page).status_code)
"""
    done = run("-P", "-c", asks)
    assert done.stdout.count("answer 200\n") == 6, done.stdout + done.stderr
