"""pdfsig (poppler) beside signsvc: which fields are signed, whether it calls them valid, what covers the whole file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import test_pki
from test_pki.pki import now as pki_now
from tests.interop import corpus
from tests.interop.opinions import Opinion, Ours

FAMILIES = ("good", "foreign", "shape", "later", "octets", "hidden")
# Difference, as OURS/PDFSIG, and file names -> why; both are regular expressions that match wholly.
EXPLAINED = {
    (
        "found/missing",
        r"good/.* hybrid",
    ): "It does not find the field of a hybrid file, which only the stream of cross-references lists.",
    ("found/missing", r"hidden/.*"): "A signature taken out of its field is found in the revision that it signed.",
    (
        "(found/missing|missing/found)",
        r"octets/(swa|junk|cut)-.*",
    ): "In a file that needs repair signatures are found by their dictionaries, without the name of a field.",
    ("missing/found", r"shape/03 .*"): "It lists the empty field too.",
    (
        r"broken/Signature is Valid\.",
        r"shape/(17|21|22) .*",
    ): "Two signers, a repeated signing time and attributes out of order are against RFC 5652 and EN 319 142-1.",
    (
        r"broken/Signature is Valid\.",
        r"octets/contents-.*|hidden/copied-.*",
    ): "The gap must be one hexadecimal string, that of this signature, and nothing else.",
    (r"intact/Digest Mismatch\.", r"shape/15 .*"): "It does not judge adbe.pkcs7.sha1, whose content is the digest.",
    (
        r"intact/Signature has not yet been verified\.",
        r"hidden/rewritten-as-timestamp",
    ): "The dictionary is judged as it stood in its own revision.",
    ("file/not total", r"later/white space .*"): "White space behind the end is told as a warning here.",
}


def _pdfsig(path: Path) -> dict[str, tuple[str, bool]]:
    """Field -> what it says of the value, and whether the whole document is signed."""
    done = subprocess.run(["pdfsig", "-nocert", path], capture_output=True, timeout=60)
    found = {}
    for part in done.stdout.decode(errors="replace").split("Signature #")[1:]:
        name = re.search(r"Signature Field Name: (.*)", part)
        verdict = re.search(r"Signature Validation: (.*)", part)
        found[name[1] if name else ""] = (verdict[1] if verdict else "", "- Total document signed" in part)
    return found


def _differences(ours: Opinion, theirs: dict[str, tuple[str, bool]]) -> list[str]:
    found = []
    for name in ours.fields.keys() | theirs.keys():
        held, other = ours.fields.get(name), theirs.get(name)
        if held is None or other is None:
            found.append(f"{'found' if held else 'missing'}/{'found' if other else 'missing'}")
            continue
        if not held.timestamp and (held.integrity == "intact") is not (other[0] == "Signature is Valid."):
            found.append(f"{held.integrity}/{other[0]}")
        if held.integrity == "intact" and (held.coverage == "file") is not other[1]:
            found.append(f"{held.coverage}/{'total' if other[1] else 'not total'}")
    return found


def test_pdfsig_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pki, now = test_pki.load(tmp_path / "pki"), pki_now()
    ours, path = Ours(pki, now), tmp_path / "one.pdf"
    wrong, used, count = [], set(), 0
    for name, data in corpus.corpus(pki, now, tmp_path, monkeypatch, mutated=0):
        if not name.startswith(FAMILIES):
            continue
        count += 1
        path.write_bytes(data)
        for difference in _differences(ours(data), _pdfsig(path)):
            rows = [row for row in EXPLAINED if re.fullmatch(row[0], difference) and re.fullmatch(row[1], name)]
            used.update(rows)
            if len(rows) != 1:
                wrong.append((name, difference))
    assert count > 100
    assert not wrong, "\n".join(map(str, wrong))
    assert used == EXPLAINED.keys()
