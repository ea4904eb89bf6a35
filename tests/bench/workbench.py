"""What the benchmarks share: the documents they measure on, medians, tables, and peers run beside us.

Every figure is printed beside a baseline measured in the same run; nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import test_pki  # noqa: E402
from test_pki import softhsm  # noqa: E402
from test_pki.responders import Responders  # noqa: E402
from tests.pdf_writer import PdfWriter  # noqa: E402
from tests.support.installation import Installation, install  # noqa: E402

KEPT = ROOT / "var" / "bench"
# RSA-2048 keys of the hierarchy; signers share them, their certificates are their own.
_KEYS = ("person", "person2", "party", "no-urls", "pss", "expired")
LEVELS = ("B-B", "B-LT", "B-LTA")
# Of a picture in the documents of the corpus.  A signature reserves 32 kB and evidence takes 13 to 20 kB more: with
# so much, a B-LT file is of 48 to 55 kB in all.
_PICTURE = 1_000


def arguments(description: str) -> argparse.Namespace:
    """The common command line: ``--full`` for the counts that are quoted."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--full", action="store_true", help="more documents and more repetitions")
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Corpus:
    """Signed documents on disk and the installation that trusts their signers."""

    directory: Path
    count: int

    def files(self, level: str) -> list[Path]:
        return [self.directory / level / f"{index:03}.pdf" for index in range(self.count)]

    @property
    def installation(self) -> Installation:
        return Installation(
            self.directory, self.directory / "signsvc.toml", {"SIGNSVC_CONFIG": str(self.directory / "signsvc.toml")}
        )

    @property
    def pki(self) -> test_pki.Pki:
        return test_pki.load(self.directory / "pki")

    @property
    def anchor(self) -> bytes:
        return self.pki.cert("root-g2")

    def der_files(self) -> tuple[Path, list[Path], list[Path]]:
        """The root, the intermediates and the CRLs as files, for foreign verifiers."""
        labels = ("root-g2", "sub-g2-state", "sub-g2-tsa")
        for label in labels:
            (self.directory / f"{label}.crt").write_bytes(self.pki.cert(label))
            (self.directory / f"{label}.crl").write_bytes(self.pki.crl(label))
        certificates = [self.directory / f"{label}.crt" for label in labels]
        return certificates[0], certificates[1:], [self.directory / f"{label}.crl" for label in labels]


def corpus(count: int = 300, signers: int = 30, levels: Sequence[str] = LEVELS) -> Corpus:
    """`count` distinct documents per level by `signers` signers, those of B-LT about 50 kB in all; kept for a day."""
    directory = KEPT / "corpus"
    marker = directory / "made.json"
    now = {"day": time.strftime("%Y-%m-%d", time.gmtime()), "count": count, "signers": signers, "picture": _PICTURE}
    try:
        kept = json.loads(marker.read_text())
    except (OSError, ValueError):
        kept = {}
    if kept == now:
        return Corpus(directory, count)
    import shutil

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    began = time.perf_counter()
    _sign_all(directory, count, signers, levels)
    marker.write_text(json.dumps(now))
    print(f"made {count} documents of {signers} signers at {', '.join(levels)} in {time.perf_counter() - began:.0f} s")
    return Corpus(directory, count)


def document(number: int, octets: int = 48_000) -> bytes:
    """A document like no other: four pages, text and a picture of `octets` that does not compress."""
    import random

    noise = random.Random(number).randbytes(octets)
    picture = (
        b"<< /Type /XObject /Subtype /Image /Width %d /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8" % octets
    )
    return PdfWriter(
        pages=4,
        extra={60: picture + b" /Length %d >>\nstream\n%s\nendstream" % (octets, noise)},
        catalog=b" /Lang (vi)",
    ).data


def add_signers(pki: test_pki.Pki, count: int = 30) -> list[str]:
    """Labels of the corpus' signers, who are made known to `pki`."""
    labels = [f"bench-{index}" for index in range(count)]
    subject = pki.spec("person").subject
    for index, label in enumerate(labels):
        name = (*subject[:-1], (subject[-1][0], f"signer{index}@example.test"))
        pki.add(label, "person", key=_KEYS[index % len(_KEYS)], subject=name)
    return labels


def _sign_all(directory: Path, count: int, signers: int, levels: Sequence[str]) -> None:
    from signsvc.keys import SoftwareSigner
    from signsvc.services import Services
    from signsvc.signing import profiles
    from signsvc.types import Certificate

    pki = test_pki.load(directory / "pki")
    makers = []
    for label in add_signers(pki, signers):
        chain = tuple(Certificate.from_der(der) for der in pki.chain(label)[:-1])
        makers.append(SoftwareSigner(pki.key(label), chain))
    source = directory / "source.pdf"
    with Responders(pki) as responders:
        installation = install(directory, pki, responders)
        with Services(installation.settings, workers=1) as services:
            for level in levels:
                (directory / level).mkdir()
                profile = profiles.load(f"pades-{level.lower()}")
                for index in range(count):
                    source.write_bytes(document(index, _PICTURE))
                    target = directory / level / f"{index:03}.pdf"
                    services.signing.sign(source, target, profile=profile, signer=makers[index % signers])
    source.unlink()


def several(counts: Sequence[int]) -> dict[int, Path]:
    """Documents with so many B-LTA signatures each: signature, data and archive timestamp, one after the other."""
    directory = KEPT / "several"
    day = time.strftime("%Y-%m-%d", time.gmtime())
    found = {count: directory / f"{day}-{count}.pdf" for count in sorted(counts)}
    if not all(path.is_file() for path in found.values()):
        from signsvc.services import Services
        from signsvc.signing import profiles

        directory.mkdir(parents=True, exist_ok=True)
        pki = test_pki.load(directory / "pki")
        work = directory / "work.pdf"
        work.write_bytes(document(0))
        with Responders(pki) as responders:
            settings = install(directory, pki, responders).settings
            with Services(settings, workers=1) as services:
                signer = services.keyring.get("p12-person")
                for count in range(1, max(counts) + 1):
                    services.signing.sign(work, work, profile=profiles.load("pades-b-lta"), signer=signer)
                    if count in found:
                        found[count].write_bytes(work.read_bytes())
        work.unlink()
    return found


@dataclass(frozen=True, slots=True)
class Made:
    """An installation with a token and running responders, and a document to sign."""

    directory: Path
    pki: test_pki.Pki
    responders: Responders
    token: softhsm.Token
    installation: Installation
    content: bytes


@contextmanager
def token() -> Iterator[Made]:
    """Everything that signing needs, in a directory of its own for as long as the bench runs."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="signsvc-bench-") as name:
        directory = Path(name)
        pki = test_pki.load(directory / "pki")
        made = softhsm.create(pki, directory / "softhsm")
        os.environ.update(made.environment)
        with Responders(pki) as responders:
            yield Made(directory, pki, responders, made, install(directory, pki, responders, made), document(0))


def measured(
    work: Callable[[], object], rounds: int, clock: Callable[[], float] = time.perf_counter, *, in_a_row: bool = False
) -> list[float]:
    """Seconds of each of `rounds` calls, after one that is not counted; garbage is collected before each, or with
    `in_a_row` as Python does by itself (looking through all objects empties the processor's caches, which triples
    what takes a millisecond).

    `clock` is the wall's, or `time.process_time` for what only computes.
    """
    work()
    found = []
    gc.collect()
    for _ in range(rounds):
        if not in_a_row:
            gc.collect()
        began = clock()
        work()
        found.append(clock() - began)
    return found


def cpu_of(work: Callable[[], object]) -> float:
    """Seconds of CPU of one call in this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of whole processes: by the clock, and of CPU with all their children."""

    wall: list[float]
    cpu: list[float]


def processes(commands: dict[str, Sequence[str]], rounds: int, environment: dict[str, str]) -> dict[str, Taken]:
    """Whole processes one after the other in turn, so that load on the machine hits all alike."""
    found = {name: Taken([], []) for name in commands}
    full = {**os.environ, **environment}
    for number in range(rounds + 1):
        for name, command in commands.items():
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, env=full, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if number:  # the first fills the page cache
                found[name].wall.append(time.perf_counter() - began)
                used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                found[name].cpu.append(used)
    return found


def ms(seconds: Sequence[float] | float) -> str:
    """The median in milliseconds."""
    value = seconds if isinstance(seconds, float) else statistics.median(seconds)
    return f"{value * 1000:.1f}" if value < 1 else f"{value * 1000:.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns, the first to the left and the others to the right."""
    texts = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    for row in texts:
        cells = [cell.ljust(w) if not i else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())


@contextmanager
def quiet() -> Iterator[None]:
    """Without the peers' log lines and warnings."""
    import logging
    import warnings

    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def ask_dss(lines: Sequence[str], *options: str) -> list[dict[str, Any]]:
    """Answers of the foreign verifier's harness (tests/interop), one JVM for all lines."""
    from tests.interop.conftest import JAVA, _build

    _build()
    listing = KEPT / "dss.tsv"
    listing.write_text("".join(line + "\n" for line in lines), "utf-8")
    command = ["java", "-cp", f"{JAVA / 'lib'}/*:{JAVA / 'classes'}", *options, "DssHarness", str(listing)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=900)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]
