"""Fuzz one parser by hand: ``python tests/attacks/fuzz/fuzz.py PARSER [--count N] [--seed S]``.

The parsers are those of ``parsers.PARSERS``.  The mutations are our own; with ``--atheris`` (``pip install atheris``) they
are guided by coverage, and options of libFuzzer follow ``--``.  What goes wrong is written to ``var/fuzz``; keep it in
``corpus`` with the mend.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import random
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT))
OBSERVED = ("formats.pades", "formats.pdf.changes", "formats.cms", "asn1.ber", "trust", "trust.crl", "trust.ocsp",
            "trust.bundle", "trust.tsa_token", "web.multipart", "web.jsonbody")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parser", choices=sorted(entry.name for entry in (HERE / "corpus").iterdir()))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true")
    options, rest = parser.parse_known_args()
    if options.atheris:
        return guided(options.parser, [argument for argument in rest if argument != "--"])
    return mutated(options.parser, options.count, options.seed)


def mutated(name: str, count: int, seed: int) -> int:
    from tests.attacks.mutations import CHANGES, PDF_CHANGES, mutate
    from tests.attacks.parsers import PARSERS, TEXT, seeds

    saved = seeds(name)
    wrong, slowest = 0, 0.0
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        data = mutate(rng, rng.choice(saved), saved, PDF_CHANGES if name in TEXT else CHANGES)
        began = time.process_time()
        try:
            PARSERS[name](data)
        except Exception as error:  # noqa: BLE001 - what is looked for
            wrong += 1
            print(f"{number}: {type(error).__name__}: {error} -> {keep(name, data)}")
        slowest = max(slowest, time.process_time() - began)
        if time.process_time() - began > 2:
            print(f"{number}: {time.process_time() - began:.1f} s -> {keep(name, data)}")
    print(f"{name}: {count} inputs, {wrong} wrong, slowest {slowest * 1000:.0f} ms")
    return int(wrong > 0)


def keep(name: str, data: bytes) -> Path:
    directory = ROOT / "var" / "fuzz" / name
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def guided(name: str, rest: list[str]) -> int:
    import atheris  # type: ignore[import-not-found, unused-ignore]

    with atheris.instrument_imports(include=["signsvc"]):  # what is imported later would go unobserved
        for module in OBSERVED:
            importlib.import_module(f"signsvc.{module}")
        from tests.attacks.parsers import CORPUS, PARSERS
    grown = ROOT / "var" / "fuzz" / f"{name}-grown"
    grown.mkdir(parents=True, exist_ok=True)
    artifacts = f"-artifact_prefix={grown.parent}/{name}-"
    atheris.Setup([sys.argv[0], artifacts, *rest, str(grown), str(CORPUS / name)], PARSERS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
