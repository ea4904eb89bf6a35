"""A PKCS#11 module with faults, in front of SoftHSM2."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signsvc.keys import Keyring, ModuleConfig
from test_pki.softhsm import Token
from tests.integration.keys.faults import Fault


@pytest.fixture(scope="session")
def p11fault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("p11fault") / "p11fault.so"
    source = Path(__file__).with_name("p11fault.c")
    subprocess.run(
        [
            "gcc",
            "-shared",
            "-fPIC",
            "-O2",
            "-Wall",
            "-Werror",
            "-I/usr/include/p11-kit-1",
            "-o",
            target,
            source,
            "-ldl",
        ],
        check=True,
    )
    return target


@pytest.fixture
def fault(p11fault: Path, softhsm: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fault:
    monkeypatch.setenv("P11_REAL", str(softhsm.module))
    monkeypatch.setenv("P11_CTL", str(tmp_path / "control"))
    monkeypatch.setenv("P11_LOG", str(tmp_path / "log"))
    return Fault(p11fault, tmp_path)


@pytest.fixture
def pin_file(softhsm: Token, tmp_path: Path) -> str:
    path = tmp_path / "pin"
    path.write_text(softhsm.pin + "\n")
    path.chmod(0o600)
    return f"file:{path}"


@pytest.fixture
def open_keyring(pin_file: str) -> Iterator[Callable[..., Keyring]]:
    """Make keyrings of one module; they are closed at the end."""
    made: list[Keyring] = []

    def make(module: object, *, pin: str | None = pin_file, timeout: float = 30.0, **more: object) -> Keyring:
        config = ModuleConfig(str(module), pin_source=pin, timeout=timeout)
        made.append(Keyring([config], **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for keyring in made:
        keyring.close()
