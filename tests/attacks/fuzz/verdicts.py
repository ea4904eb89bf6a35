"""Whole verdicts over damaged documents: ``python tests/attacks/fuzz/verdicts.py [--count N] [--seed S]``.

Says how many there were of each answer and how long the slowest took; what goes wrong is written to ``var/fuzz``.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

import test_pki  # noqa: E402
from tests.attacks.mutations import PDF_CHANGES, mutate  # noqa: E402
from tests.attacks.verdicts import AUTHORITIES, Judge  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the first number, to go on where a run was left")
    options = parser.parse_args()
    kept = ROOT / "var" / "fuzz" / "verdicts"
    kept.mkdir(parents=True, exist_ok=True)
    answers: Counter[str] = Counter()
    slowest, began_all = 0.0, time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        pki = test_pki.load(Path(directory) / "pki")
        judge = Judge(pki, Path(directory), supplied=AUTHORITIES)
        documents = judge.documents(pki)
        saved = [document.data for document in documents]
        for number in range(options.start, options.start + options.count):
            rng = random.Random(f"{options.seed}/{number}")
            document = rng.choice(documents)
            data = mutate(rng, document.data, saved, PDF_CHANGES)
            began = time.process_time()
            try:
                wrong = judge.wrong(document, data)
                answers[judge.last] += 1
            except Exception as error:  # noqa: BLE001 - what is looked for
                wrong = f"{type(error).__name__}: {error}"
            taken = time.process_time() - began
            slowest = max(slowest, taken)
            if wrong or taken > 2:
                answers["WRONG"] += 1
                (kept / f"{options.seed}-{number}.pdf").write_bytes(data)
                print(f"{number} ({document.name}): {wrong or f'{taken:.1f} s'}", flush=True)
            if number % 10_000 == 9_999:
                print(
                    f"{number + 1} in {time.monotonic() - began_all:.0f} s: {dict(answers.most_common())}", flush=True
                )
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{options.count} damaged documents: {dict(answers.most_common())}; slowest {slowest:.2f} s; {resident} MB")
    return int(answers["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
