"""Snapshots: all that a verdict rests on, kept so that it can be reached again without document, network or clock.

A snapshot holds the view of the document (what was read, its digests already compared), the evidence, the trust and
the policy as they were, and the times.  It is JSON, compressed; its octets are DER values by their SHA-256, so that a
list that many verdicts rest on can be kept once (`split`, `join`).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from signsvc.reports.objects import Objects
from signsvc.types import (
    Certificate,
    DocumentView,
    EvidenceItem,
    EvidenceKind,
    SignatureView,
    SignerView,
    TimestampView,
)
from signsvc.verification import plain
from signsvc.verification.plain import PlainError

if TYPE_CHECKING:
    from signsvc.trust import TrustMaterial
    from signsvc.validation import Policy

VERSION = 1
# A snapshot that grows past this when it is unpacked was not written by us.
MOST_UNPACKED = 512 * 1024 * 1024
# Octets that are kept apart from the snapshot they belong to.
APART_FROM = 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one verdict rests on; `supplied_anchors` are trust anchors of that call alone (part of `material`)."""

    view: DocumentView
    evidence: tuple[EvidenceItem, ...]
    material: TrustMaterial
    policy: Policy
    now: datetime
    at: datetime | None
    report_id: str
    name: str | None
    offline: bool
    supplied_anchors: tuple[Certificate, ...] = ()
    data_digests: Mapping[str, str] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """The report that these give (EN 319 102-1 §5).  Pure."""
        from signsvc import reports, validation

        verdict = validation.validate(
            self.view, material=self.material, evidence=self.evidence, policy=self.policy, now=self.now, at=self.at
        )
        return reports.build(
            verdict,
            self.view,
            report_id=self.report_id,
            name=self.name,
            supplied_anchors=self.supplied_anchors,
            offline=self.offline,
            material=self.material,
            data_digests=self.data_digests,
        )


_FIELDS = tuple(Snapshot.__slots__)


def write(found: Snapshot) -> bytes:
    """The snapshot's octets; the same snapshot gives the same ones."""
    writer = plain.Writer()
    values = {name: writer.write(getattr(found, name)) for name in _FIELDS if name not in ("material", "policy")}
    policy, material = found.policy, found.material
    trusted = (
        material.profiles,
        material.anchors,
        material.intermediates,
        material.hosts,
        tuple(material.host_map.items()),
        tuple(material.keeps_expired_since.items()),
    )
    values["policy"] = writer.apart(_part(("policy", policy.id, policy.version, policy.sha256), policy))
    values["material"] = writer.apart(_part(trusted, material))
    return _packed({"version": VERSION, "values": values}, writer.objects)


# What many snapshots share, as it was written for the first of them.
_parts: dict[Hashable, plain.Part] = {}
_MOST_PARTS = 16


def _part(key: Hashable, value: object) -> plain.Part:
    found = _parts.get(key)
    if found is None:
        if len(_parts) >= _MOST_PARTS:
            _parts.clear()
        found = _parts[key] = plain.Part.of(value)
    return found


def read(data: bytes) -> Snapshot:
    """The snapshot that was written.  Raises `PlainError` where it was changed or is of a version not known here."""
    head, objects = _unpacked(data)
    values = head.get("values")
    if head.get("version") != VERSION or not isinstance(values, dict) or set(values) != set(_FIELDS):
        raise PlainError("not a snapshot of this version")
    return Snapshot(**{name: plain.read(value, objects) for name, value in values.items()})


def judge(data: bytes) -> dict[str, Any]:
    """The report that a snapshot gives today: that of its day, as long as the rules are the same.  Raises
    `PlainError`."""
    return read(data).report()


def objects(data: bytes) -> Objects:
    """The certificates, revocation values and tokens of a snapshot.  Raises `PlainError`."""
    found = read(data)
    certificates: dict[str, bytes] = {}
    values: dict[EvidenceKind, dict[str, bytes]] = {EvidenceKind.CRL: {}, EvidenceKind.OCSP: {}}
    known = [*found.material.intermediates, *(anchor.certificate for anchor in found.material.anchors)]
    tokens: dict[str, bytes] = {}
    items = [*found.evidence, *found.view.evidence]
    for signature in found.view.signatures:
        items += signature.evidence
        if signature.signer is not None:
            _gather(signature.signer, known, items, tokens)
    for token in found.view.timestamps:
        _take(token, known, items, tokens)
    for one in known:
        certificates[one.sha256.hex()] = one.der
    for item in items:
        key = item.id.rpartition(":")[2]
        (certificates if item.kind is EvidenceKind.CERTIFICATE else values[item.kind])[key] = item.der
    return Objects(certificates, values[EvidenceKind.CRL], values[EvidenceKind.OCSP], tokens)


def _gather(
    signer: SignerView, certificates: list[Certificate], items: list[EvidenceItem], tokens: dict[str, bytes]
) -> None:
    certificates += signer.certificates
    items += signer.evidence
    for token in signer.timestamps:
        _take(token, certificates, items, tokens)
    for one in signer.counter_signatures:
        _gather(one, certificates, items, tokens)


def _take(
    token: TimestampView, certificates: list[Certificate], items: list[EvidenceItem], tokens: dict[str, bytes]
) -> None:
    tokens[token.id] = token.token
    items += token.evidence
    if token.signer is not None:
        _gather(token.signer, certificates, items, tokens)


def split(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """A snapshot without its large octets, and those by the hex of their SHA-256; see `join`."""
    head, held = _unpacked(data)
    apart = {key: octets for key, octets in held.items() if len(octets) >= APART_FROM}
    near = {key: octets for key, octets in held.items() if key not in apart}
    return _packed({**head, "apart": sorted(apart)}, near), apart


def join(data: bytes, get: Callable[[str], bytes]) -> bytes:
    """The snapshot that `split` took apart; `get` gives octets by their name.  Raises `PlainError` and what `get`
    raises."""
    head, held = _unpacked(data)
    for key in head.pop("apart", ()):
        held[key] = get(key)
    return _packed(head, held)


def data_digests(data: Any, signatures: Sequence[SignatureView]) -> Iterator[tuple[str, str]]:
    """SHA-256 (hex) of what signatures of a PDF cover, by id, where their own digest is another one."""
    import hashlib

    from signsvc.algorithms import digest_name

    for view in signatures:
        if view.signer is None or not view.scope.byte_ranges or digest_name(view.signer.digest_oid) == "sha256":
            continue
        hashed = hashlib.sha256()
        with memoryview(data) as octets:
            for start, length in view.scope.byte_ranges:
                with octets[start : start + length] as part:
                    hashed.update(part)
        yield view.id, hashed.hexdigest()


def _packed(head: Mapping[str, Any], held: Mapping[str, bytes]) -> bytes:
    kept = plain.objects_to_json(dict(sorted(held.items())))
    return zlib.compress(json.dumps({**head, "objects": kept}, separators=(",", ":"), sort_keys=True).encode(), 1)


def _unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(data, MOST_UNPACKED)
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise PlainError("too large or cut off")
        head = json.loads(text)
        held = plain.objects_from_json(head.pop("objects").items())
    except (zlib.error, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise error if isinstance(error, PlainError) else PlainError("not a snapshot") from None
    return head, held
