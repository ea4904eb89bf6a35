"""python -m test_pki build | keys"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import test_pki
from test_pki import export, hierarchy, keys


def _epoch(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m test_pki", description="The test PKI of signsvc.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="write certificates, CRLs and PKCS#12 files")
    build.add_argument("--epoch", type=_epoch, help="RFC 3339; default midnight UTC 30 days ago")
    build.add_argument("--out", type=Path, help="directory, default var/test_pki")
    build.add_argument("--check", action="store_true", help="write nothing; fail if what is there differs")
    generate = commands.add_parser("keys", help="generate missing keys (the repository carries them)")
    generate.add_argument("--all", action="store_true", help="replace every key")
    return parser


def _build(arguments: argparse.Namespace) -> int:
    pki = test_pki.load(arguments.out, arguments.epoch)
    if arguments.check:
        wrong = export.check(pki)
        for name in wrong:
            print(f"differs: {name}")
        print(f"{pki.out_dir}: {'up to date' if not wrong else f'{len(wrong)} files differ'}, epoch {pki.epoch:%F}")
        return 1 if wrong else 0
    print(f"{export.build(pki)} files in {pki.out_dir}, epoch {pki.epoch:%F}")
    return 0


def _keys(arguments: argparse.Namespace) -> int:
    for label, kind in hierarchy.key_kinds().items():
        if arguments.all or not (keys.DIRECTORY / f"{label}.pem").exists():
            keys.generate(label, kind)
            print(f"{kind} {label}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; the process exit code."""
    arguments = _parser().parse_args(argv)
    return {"build": _build, "keys": _keys}[arguments.command](arguments)


if __name__ == "__main__":
    sys.exit(main())
