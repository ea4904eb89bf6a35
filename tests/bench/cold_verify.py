"""``signsvc verify`` of one B-LTA file, whole process from cold, beside stock pyHanko and pdfsig on the same file.

pyHanko's command checks paths and changes but no revocation (it takes that from the network alone); pdfsig (poppler)
checks integrity only.  Each process is started anew, in turn.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

import workbench as bench

STOCK = ("sign", "validate", "--no-revocation-check", "--executive-summary", "--trust-replace")


def main() -> None:
    options = bench.arguments("Whole process of one verification, cold")
    made = bench.corpus()
    path = made.files("B-LTA")[0]
    root, intermediates, _ = made.der_files()
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(bench.ROOT / "signsvc")], check=True)
    ours = _beside("signsvc")
    others = [text for one in intermediates for text in ("--other-certs", str(one))]
    commands = {
        "signsvc verify": [ours, "verify", "--offline", str(path)],
        "signsvc verify --json": [ours, "verify", "--offline", "--json", str(path)],
        "pyhanko sign validate": [_beside("pyhanko"), *STOCK, "--trust", str(root), *others, str(path)],
        "pdfsig": ["pdfsig", "-nocert", str(path)],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    for name in ("signsvc verify", "pyhanko sign validate"):
        done = subprocess.run(
            commands[name], env={**bench.os.environ, **made.installation.environment}, capture_output=True, text=True
        )
        assert done.returncode == 0, (name, done.stdout, done.stderr)
    taken = bench.processes(commands, 30 if options.full else 10, made.installation.environment)
    base = statistics.median(taken["signsvc verify"].wall)
    rows = [
        (name, bench.ms(found.wall), bench.ms(min(found.wall)), bench.ms(found.cpu), _ratio(found.wall, base))
        for name, found in taken.items()
    ]
    bench.table(("whole process, one B-LTA file", "median ms", "best ms", "CPU ms", "ratio"), rows)


def _beside(name: str) -> str:
    """The command of that name in the environment that runs this."""
    return str(bench.Path(sys.executable).parent / name)


def _ratio(found: list[float], base: float) -> str:
    return f"{statistics.median(found) / base:.2f}"


if __name__ == "__main__":
    main()
