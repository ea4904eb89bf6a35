"""signsvc, stock pyHanko and EU DSS on everything the suite has: what each finds, holds intact, sees covered and changed.

Every difference is explained by a row of `explained`, and every row by a file that needs it.  The table is printed:
``pytest -s tests/interop/test_readers_agree.py``.  One file in five is asked about, all with SIGNSVC_TEST_FULL=1.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import test_pki
from test_pki.pki import now as pki_now
from tests.interop import corpus, explained
from tests.interop.conftest import Question
from tests.interop.opinions import (
    INTERMEDIATES,
    ROOTS,
    Difference,
    Opinion,
    Ours,
    differences,
    named,
    of_dss,
    of_pyhanko,
)

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
PART = 1 if FULL else 5
pytestmark = pytest.mark.timeout(1200)
SECONDS = 6  # of processor time, for one file in each of the others
WITNESSES = {row.shows for row in (*explained.ROWS, *explained.STRICTER)}


@dataclass(frozen=True, slots=True)
class Asked:
    """One file with the opinions of signsvc, pyHanko and DSS."""

    name: str
    ours: Opinion
    pyhanko: Opinion
    dss: Opinion


@pytest.fixture(scope="module")
def asked(dss: Callable[..., list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    directory = tmp_path_factory.mktemp("corpus")
    # a hierarchy of its own: the cases add authorities that nobody else should meet
    pki, now = test_pki.load(directory / "pki"), pki_now()
    names, paths = [], []
    with pytest.MonkeyPatch.context() as patch:
        for number, (name, data) in enumerate(corpus.corpus(pki, now, directory, patch)):
            if number % PART and name not in WITNESSES:
                continue
            names.append(name)
            paths.append(directory / f"{number}.pdf")
            paths[-1].write_bytes(data)
    assert len(set(names)) == len(names)
    known = {label: directory / f"{label}.crt" for label in (*ROOTS, *INTERMEDIATES)}
    for label, path in known.items():
        path.write_bytes(pki.cert(label))
    roots, intermediates = (tuple(known[label] for label in labels) for labels in (ROOTS, INTERMEDIATES))
    with PyHanko(paths, roots, directory) as lines:
        told = dss([Question(path, roots, intermediates, at=now) for path in paths], seconds=SECONDS)
        ours = Ours(pki, now)
        mine = [ours(path.read_bytes()) for path in paths]
        theirs = [json.loads(line) for line in lines()]
    found = []
    for name, one, two, three in zip(names, mine, theirs, told, strict=True):
        others = of_pyhanko(two), of_dss(three)
        found.append(Asked(name, named(one, *others), *others))
    return found


class PyHanko:
    """Its own process, beside the Java one; `lines` waits for it."""

    def __init__(self, paths: Iterable[Path], roots: Iterable[Path], directory: Path) -> None:
        listing, self._out = directory / "pyhanko.list", directory / "pyhanko.jsonl"
        listing.write_text("".join(f"{path}\n" for path in paths))
        program = Path(__file__).with_name("pyhanko_reader.py")
        with listing.open() as source, self._out.open("w") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", program, *roots], stdin=source, stdout=out, stderr=subprocess.DEVNULL
            )

    def __enter__(self) -> Callable[[], list[str]]:
        return self._lines

    def _lines(self) -> list[str]:
        assert self._process.wait(timeout=900) == 0
        return self._out.read_text().splitlines()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def _all_differences(asked: list[Asked]) -> Iterator[Difference]:
    for file in asked:
        yield from differences(file.name, file.ours, file.pyhanko, file.dss)


def _explain(rows: Iterable[explained.Row], said: str, name: str) -> list[explained.Row]:
    return [row for row in rows if re.fullmatch(row.said, said) and re.fullmatch(row.pattern, name)]


def test_every_difference_is_explained(asked: list[Asked]) -> None:
    found: dict[explained.Row, list[tuple[str, str]]] = {row: [] for row in explained.ROWS}
    wrong = []
    for difference in _all_differences(asked):
        said = f"{difference.aspect} {'/'.join(difference.said)}"
        rows = _explain(explained.ROWS, said, difference.name)
        if len(rows) != 1:
            wrong.append((difference.name, difference.field, said, len(rows)))
        for row in rows:
            found[row].append((difference.name, said))
    _print(asked, found)
    assert len(asked) > (800 if FULL else 180)
    assert not wrong, "\n".join(map(str, wrong))
    unneeded = [row for row, cases in found.items() if not cases or row.shows not in ("", *(name for name, _ in cases))]
    assert not unneeded, "\n".join(row.shows for row in unneeded)


def _print(asked: list[Asked], found: dict[explained.Row, list[tuple[str, str]]]) -> None:
    different = {name for cases in found.values() for name, _ in cases}
    print(f"\n{len(asked)} files; all three say the same of {len(asked) - len(different)}.")
    print("Differences are given as signsvc/pyHanko/DSS.\n")
    for row, cases in found.items():
        words = sorted({said for _, said in cases})
        some = words if len(words) < 7 else [*words[:6], f"and {len(words) - 6} more"]
        print(f"{len({name for name, _ in cases}):4} files, as {row.shows or 'any'}: {'; '.join(some)}\n     {row.why}")


def test_what_both_others_accept_as_unchanged_is_not_failed(asked: list[Asked]) -> None:
    unneeded, wrong = {row for row in explained.STRICTER if row.shows}, []
    for file in asked:
        if not (file.pyhanko.unchanged and file.dss.unchanged and file.ours.verdict.startswith("TOTAL-FAILED")):
            continue
        rows = _explain(explained.STRICTER, file.ours.verdict, file.name)
        if len(rows) != 1:
            wrong.append((file.name, file.ours.verdict))
        unneeded.difference_update(row for row in rows if row.shows == file.name)
    assert not wrong
    assert not unneeded


def test_what_another_calls_broken_is_not_intact(asked: list[Asked]) -> None:
    wrong = []
    for file in asked:
        if file.ours.verdict.startswith("TOTAL-PASSED") and (file.pyhanko.broken or file.dss.broken):
            wrong.append((file.name, file.ours.verdict))
        for other in (file.pyhanko, file.dss):
            for name, held in other.fields.items():
                mine = file.ours.fields.get(name)
                if held.integrity == "broken" and mine is not None and mine.integrity == "intact":
                    wrong.append((file.name, name))
    assert not wrong


def test_what_both_others_accept_is_found(asked: list[Asked]) -> None:
    """A file with a signature that both hold intact is no unsigned file, nor one that cannot be read."""
    wrong = []
    for file in asked:
        both = [n for n, h in file.pyhanko.fields.items() if h.integrity == "intact" and n in file.dss.fields]
        intact = [n for n in both if file.dss.fields[n].integrity == "intact"]
        if intact and not file.ours.fields and file.ours.problem != "document_too_complex":
            wrong.append((file.name, file.ours.problem))
    assert not wrong
