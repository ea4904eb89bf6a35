"""Checking a signature just written, from the octets of the file alone (no reader, no pyHanko).

Proves for one signature: the gap is exactly ``<`` hex ``>``, the ByteRange in the file says so, the digest over it is
the one that was signed, and the value verifies against the certificate.
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO, Protocol

from signsvc.algorithms import SignatureCheck, verify_value
from signsvc.asn1 import encode
from signsvc.formats.cms.write import CmsPlan, signature_identifier, signed_attributes

_BYTE_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")
_GAP = re.compile(rb"<[0-9A-Fa-f]*>")
_CHUNK = 1 << 20


class Placed(Protocol):
    """Where a signature stands in the file, and its CMS and value."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def contents(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...


def check_written(stream: BinaryIO, plan: CmsPlan, written: Placed, *, before: int) -> str | None:
    """Why the signature `written` would not verify, in a short word, or None.

    `before` is the size of the file without the new revision.
    """
    start, end, size = written.start, written.end, written.size
    stream.seek(before)
    revision = stream.read(size - before)
    if len(revision) != size - before or stream.read(1):
        return "file-size"
    ranges = [tuple(map(int, found)) for found in _BYTE_RANGE.findall(revision)]
    if ranges != [(0, start, end, size - end)]:
        return "byte-range"
    gap = revision[start - before : end - before]
    if not _GAP.fullmatch(gap) or len(gap) % 2:
        return "gap"
    held = bytes.fromhex(gap[1:-1].decode("ascii"))
    contents = written.contents
    if not held.startswith(contents) or held[len(contents) :].strip(b"\0"):
        return "gap"
    attributes = signed_attributes(plan, _digest(stream, plan.digest_name, start, end, size))
    signer = b"".join((b"\xa0", attributes[1:], signature_identifier(plan.algorithm), encode(0x04, written.value)))
    if signer not in contents:
        return "digest"
    if verify_value(plan.certificate, plan.algorithm, written.value, message=attributes) is not SignatureCheck.VALID:
        return "value"
    return None


def _digest(stream: BinaryIO, name: str, start: int, end: int, size: int) -> bytes:
    state = hashlib.new(name)
    for low, high in ((0, start), (end, size)):
        stream.seek(low)
        left = high - low
        while left:
            chunk = stream.read(min(_CHUNK, left))
            if not chunk:
                break
            state.update(chunk)
            left -= len(chunk)
    return state.digest()
