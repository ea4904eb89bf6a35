"""What pdfsig, openssl, qpdf, mutool and pdftoppm say of a file that was signed: nothing, where it is right."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")
_DATA = bytes.fromhex("06092a864886f70d010701")  # id-data: no timestamp has it
# What mutool says of how it was built, and of document timestamps in encrypted files: it tries to decrypt /Contents,
# which are never encrypted (ISO 32000-2 §7.6.2), unless /Type is /Sig.
_OF_ITSELF = re.compile(
    r"warning: (ICC support is not available|aes padding out of range|\.\.\. repeated \d+ times\.\.\.)"
)


def complaints(path: Path, roots: Path, *, whole: bool, before: frozenset[str] = frozenset()) -> Iterator[str]:
    """What is wrong with the file at `path`; `whole` where its newest signature covers all of it, `before` is what
    `drawn` said of the document that was signed."""
    yield from _pdfsig(path, whole=whole)
    yield from _openssl(path, roots)
    unsure = {line.partition(":")[0] for line in before}  # who did not read that document well either
    yield from sorted(line for line in drawn(path) if line.partition(":")[0] not in unsure)


def drawn(path: Path) -> frozenset[str]:
    """What readers grumble about when they check and draw the file at `path`."""
    found = set()
    for command in (
        ["qpdf", "--check", str(path)],
        ["mutool", "draw", "-q", "-r", "20", "-F", "png", "-o", "/dev/null", str(path), "1"],
        ["pdftoppm", "-r", "20", "-l", "1", "-png", str(path)],
    ):
        done = subprocess.run(command, capture_output=True)
        lines = done.stderr.decode(errors="replace").splitlines()
        found |= {f"{command[0]}: {line[:300]}" for line in lines if line and not _OF_ITSELF.fullmatch(line)}
        if done.returncode:
            found.add(f"{command[0]}: {done.returncode}")
    return frozenset(found)


def _pdfsig(path: Path, *, whole: bool) -> Iterator[str]:
    said = subprocess.run(["pdfsig", "-nocert", str(path)], capture_output=True, text=True, errors="replace")
    found = said.stdout.split("Signature #")[1:]
    for number, one in enumerate(found, 1):
        # document timestamps are of no type that it knows
        if "Signature Type: unknown" not in one and "Signature is Valid" not in one:
            yield f"pdfsig: signature {number}: {one}"
    if not found:
        yield f"pdfsig: nothing: {said.stderr[:300]}"
    elif whole and "  - Total document signed" not in found[-1]:
        yield f"pdfsig: not the whole document: {found[-1]}"


def _openssl(path: Path, roots: Path) -> Iterator[str]:
    data = path.read_bytes()
    met = 0
    for place in _RANGE.finditer(data):
        start, length, second, rest = (int(number) for number in place.groups())
        encoded = bytes.fromhex(data[start + length + 1 : second - 1].decode())
        encoded = encoded[: 4 + int.from_bytes(encoded[2:4], "big")]
        if _DATA not in encoded[:150]:
            continue
        met += 1
        content, cms = path.with_suffix(".octets"), path.with_suffix(".cms")
        content.write_bytes(data[start : start + length] + data[second : second + rest])
        cms.write_bytes(encoded)
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(cms), "-content", str(content)]
        command += ["-CAfile", str(roots), "-purpose", "any", "-cades", "-out", "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            yield f"openssl: {done.stderr[:300]}"
        content.unlink()
        cms.unlink()
    if not met:
        yield "openssl: no signature found"


__all__ = ["complaints", "drawn"]
