"""Steering the module with faults (`p11fault.c`)."""

from __future__ import annotations

from pathlib import Path


class Fault:
    """The shim: `control` says what goes wrong, `calls` what was called."""

    def __init__(self, module: Path, directory: Path) -> None:
        self.module = str(module)
        self._control = directory / "control"
        self._log = directory / "log"

    def control(self, *lines: str) -> None:
        draft = self._control.with_suffix(".new")
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.replace(self._control)

    def count(self, name: str) -> int:
        return self._log.read_text().split().count(name) if self._log.exists() else 0

    def forget(self) -> None:
        self._log.unlink(missing_ok=True)
