"""Files made to cost: read in a process of their own, each within two seconds of CPU, all within 256 MB of memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.xml.crafted import PART, Crafted, reference
from tests.support.xmlsec import C14N, ENVELOPED, EXCLUSIVE
from tests.unit.formats.xades.xades_bench import XadesBench

ROOT = f"<root>{PART}{{}}</root>"
GOOD = PART.encode()
_SECONDS, _KILOBYTES = 2.0, 256 * 1024
_BIG = f'<big Id="b">{"<x>1</x>" * 500}</big>'

# Reads every file it is given as the program would; prints the time, the codes and the memory.
_READER = """
import json, sys, time
from pathlib import Path
from signsvc.errors import DocumentError
from signsvc.formats import xades, xmlforms, xmlsig
from signsvc.verification.views import view_of
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
view_of(b"<a/>", (), name=None, must_cover=())
found = {}
before = peak()
for name in sys.argv[1:]:
    began = time.process_time()
    try:
        view = view_of(Path(name).read_bytes(), (), name=None, must_cover=())
        codes = sorted({f.code for s in view.signatures for f in (*s.findings, *(s.signer.findings if s.signer else ()))})
        codes += ["unreadable" for s in view.signatures if s.signer is None][:1]
        codes += ["matches" for s in view.signatures if s.signer and s.signer.digest_matches][:1]
    except DocumentError as error:
        codes = [error.code]
    found[Path(name).stem] = [time.process_time() - began, codes]
used = peak() - before
print(json.dumps([used, found]))
"""


def _signed_many(crafted: Crafted, count: int, uri: str, octets: bytes, *transforms: str, around: str) -> str:
    return crafted.signature(*[reference(uri, octets, *transforms)] * count, around=around, c14n=C14N)


def _attributes(count: int) -> str:
    """An element whose attributes hold what ends a tag."""
    return "<a " + " ".join(f'a{n}=">"' for n in range(count)) + "/>"


# Name: how it is made, and a code that is found (or "matches": it is read to the end).
_FILES: dict[str, tuple[Callable[[Crafted], str], str]] = {
    "references": (lambda c: _signed_many(c, 10_000, "#p", GOOD, EXCLUSIVE, around=ROOT), "xml_too_many_references"),
    "references-allowed": (lambda c: _signed_many(c, 5_000, "#p", GOOD, EXCLUSIVE, around=ROOT), "matches"),
    "references-to-all": (
        lambda c: _signed_many(c, 2_000, "", b"<root></root>", ENVELOPED, EXCLUSIVE, around="<root>{}</root>"),
        "document_too_complex",
    ),
    "references-cut-out": (
        lambda c: _signed_many(c, 2_000, "#b", _BIG.encode(), C14N, around=f"<root>{_BIG}{{}}</root>"),
        "document_too_complex",
    ),
    "transforms": (
        lambda c: _signed_many(c, 1, "#p", GOOD, *[EXCLUSIVE] * 10_000, around=ROOT),
        "xml_too_many_transforms",
    ),
    "signatures": (lambda c: "<a>" + c.signature(reference("#p", GOOD, EXCLUSIVE)) * 600 + "</a>", "document_too_complex"),
    "signatures-allowed": (
        lambda c: "<a>" + c.signature(reference("#none", GOOD, EXCLUSIVE)) * 400 + "</a>",
        "xml_id_not_found",
    ),
    "depth": (lambda c: "<a>" * 100_000 + "</a>" * 100_000, "xml_malformed"),
    "depth-allowed": (
        lambda c: "<d>" * 1_900 + c.signature(reference("#p", GOOD, C14N), around=ROOT) + "</d>" * 1_900,
        "matches",
    ),
    "attributes": (lambda c: _attributes(60_000), "document_too_complex"),
    "attributes-inside": (lambda c: f"<r>{_attributes(200_000)}</r>", "document_too_complex"),
    "attributes-first": (lambda c: _attributes(200_000), "xml_malformed"),
    "namespaces": (lambda c: "<a " + " ".join(f'xmlns:a{n}="u"' for n in range(40_000)) + "/>", "document_too_complex"),
    "namespaces-apart": (
        lambda c: "<a>" + "".join(f'<b xmlns:a{n}="u"/>' for n in range(40_000)) + "</a>",
        "document_too_complex",
    ),
    "namesakes": (
        lambda c: _signed_many(c, 1, "#p", GOOD, EXCLUSIVE, around=ROOT).replace("<root>", "<root>" + "<w><part/></w>" * 50_000),
        "xml_covered_namesake",
    ),
    "ids": (
        lambda c: c.signature(
            *[reference(f"#i{n}", f'<i Id="i{n}"></i>'.encode(), EXCLUSIVE) for n in range(1_000)],
            around="<r>" + "".join(f'<i Id="i{n}"/>' for n in range(20_000)) + "{}</r>",
        ),
        "matches",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def read(
    xades_bench: XadesBench, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, dict[str, tuple[float, list[str]]]]:
    """Kilobytes beyond those at rest, and of each file the seconds and codes."""
    crafted, directory = Crafted.of(xades_bench), tmp_path_factory.mktemp("costs")
    paths = []
    for name, (make, _) in _FILES.items():
        paths.append(directory / f"{name}.xml")
        paths[-1].write_text(make(crafted))
    done = subprocess.run(
        [sys.executable, "-c", _READER, *map(str, paths)], capture_output=True, check=True, timeout=120,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    used, found = json.loads(done.stdout)
    return used, found


@pytest.mark.parametrize("name", _FILES)
def test_what_is_made_to_cost_is_bounded(read: tuple[int, dict[str, tuple[float, list[str]]]], name: str) -> None:
    used, found = read
    seconds, codes = found[name]
    assert _FILES[name][1] in codes
    assert seconds < _SECONDS
    assert 0 < used < _KILOBYTES
