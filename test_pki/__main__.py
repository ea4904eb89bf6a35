"""python -m test_pki build | keys | serve | softhsm"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import test_pki
from test_pki import export, hierarchy, keys, softhsm
from test_pki.responders import Responders


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
    serve = commands.add_parser("serve", help="OCSP, CRL, AIA and TSA on loopback until interrupted")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8899)
    serve.add_argument("--out", type=Path, help="directory, default var/test_pki")
    token = commands.add_parser("softhsm", help="a SoftHSM2 token directory with the keys loaded")
    token.add_argument("--dir", type=Path, required=True)
    token.add_argument("--module", type=Path, help="libsofthsm2.so, found by itself in the usual places")
    token.add_argument("--out", type=Path, help="directory of the hierarchy, default var/test_pki")
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


def _serve(arguments: argparse.Namespace) -> int:
    pki = test_pki.load(arguments.out)
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    with Responders(pki, arguments.host, arguments.port) as responders:
        print(f"epoch {pki.epoch:%F}; host map:")
        for name, address in responders.host_map.items():
            print(f"  {name} = {address}")
        print("time stamps: " + "  ".join(map(responders.url, ("/tsa/1", "/tsa/2"))))
        print(
            "faults:      " + responders.url("/control?path=/tsa/1&kind=slow&delay=5") + "  (clear: ?clear=)",
            flush=True,
        )
        stop.wait()
    return 0


def _softhsm(arguments: argparse.Namespace) -> int:
    token = softhsm.create(test_pki.load(arguments.out), arguments.dir, arguments.module)
    print(f"export SOFTHSM2_CONF={token.conf}")
    print(f"module {token.module}")
    for label in (token.label, token.label2):
        print(f"token  {label}, user PIN {token.pin}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; the process exit code."""
    arguments = _parser().parse_args(argv)
    return {"build": _build, "keys": _keys, "serve": _serve, "softhsm": _softhsm}[arguments.command](arguments)


if __name__ == "__main__":
    sys.exit(main())
