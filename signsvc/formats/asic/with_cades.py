"""CAdES signatures and timestamp tokens in a container, over a file or over a manifest (EN 319 162-1 §4.3.3.2, §4.4.4,
annex A.5 to A.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from signsvc.algorithms import digest_by_oid
from signsvc.errors import DocumentError
from signsvc.formats import cms
from signsvc.formats.asic import manifest
from signsvc.formats.asic.files import entry_of
from signsvc.formats.asic.layout import Kind, Layout
from signsvc.formats.asic.manifest import Manifest
from signsvc.formats.asic.with_xades import with_coverage
from signsvc.formats.cades import level
from signsvc.formats.zip import Container, Entry
from signsvc.types import Covered, Finding, Scope, SignatureView, SignerView, TimestampView

MAX_OCTETS = 32 << 20
MAX_LISTED = 20_000  # files in all manifests


@dataclass(slots=True)
class Bound:
    """What a signature or token is over: one entry, and what follows from that."""

    content: Entry | None
    covered: list[Covered] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    sound: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Reader:
    """Reads the CMS structures of one container; `inside` collects the ids of what stands in each entry."""

    container: Container
    layout: Layout
    manifests: dict[str, Manifest] = field(default_factory=dict)  # by the name of the entry over them
    inside: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        listed = 0
        for entry in self.layout.manifests:
            try:
                found = manifest.read(self.container, entry)
            except DocumentError as error:
                if error.code == "document_too_complex":
                    raise
                found = None
            listed += len(found.listed) if found is not None else 0
            if listed > MAX_LISTED:
                raise DocumentError("document_too_complex", limit="references")
            over = entry_of(self.container, found.signature) if found is not None else None
            if found is None or over is None or over.name in self.manifests:
                self.findings.append(Finding.of("asic_manifest_unusable", name=entry.name[:200]))
            else:
                self.manifests[over.name] = found

    def bound(self, over: Entry, subject: str) -> Bound:
        """What the signature or token in the entry `over` is over."""
        found = self.manifests.get(over.name)
        if found is not None:
            covered, findings, sound = manifest.check(self.container, found, subject)
            return Bound(found.entry, covered, findings, sound)
        files = self.layout.root_files if self.layout.kind is Kind.S else []
        if len(files) != 1:
            return Bound(None, findings=[Finding.of("asic_manifest_missing", subject=subject)])
        return Bound(files[0], sound={files[0].name})

    def signatures(self, entry: Entry, prefix: str) -> list[SignatureView]:
        """A view for each SignerInfo of a `.p7s` entry."""

        def named(number: int) -> str:
            return f"{prefix}-{number}"

        bound = self.bound(entry, named(1))
        read = cms.read(
            self.container.read(entry, MAX_OCTETS),
            subject=named(1),
            digest=self._digest(bound.content) if bound.content is not None else None,
            subjects=named,
        )
        if not read.signers:
            empty = SignatureView(named(1), "CMS", level.NOT_ETSI, None, Scope("PARTIAL", None, None))
            return [with_coverage(empty, (), set(), (), [*read.findings, *bound.findings])]
        made = []
        for number, signer in enumerate(read.signers, 1):
            name = named(number)
            findings = [f if f.subject != named(1) else _about(f, name) for f in (*read.findings, *bound.findings)]
            kind, reached = "CMS", level.NOT_ETSI
            if signer.references:
                reasons = level.departures(signer)
                findings += [Finding.of("cades_not_baseline", subject=name, reason=reason) for reason in reasons]
                kind, reached = "CAdES", level.name(signer, baseline=not reasons)
            covered = bound.covered
            if bound.content is not None and bound.content.name not in self._manifest_names():
                covered = [self._one(bound.content, signer)]
            view = SignatureView(
                id=name,
                format=kind,
                level=reached,
                signer=signer,
                scope=Scope("PARTIAL", None, None),
                claimed_time=signer.claimed_time,
            )
            sound = bound.sound if signer.digest_matches else set()
            made.append(with_coverage(view, covered, sound, self.layout.data, findings))
        self.holds(entry, made)
        return made

    def holds(self, entry: Entry, views: Iterable[SignatureView]) -> None:
        """Keep what stands in a signature file, for the tokens over it."""
        held = self.inside.setdefault(entry.name, [])
        for view in views:
            held.append(f"signature:{view.id}")
            if view.signer is None:
                continue
            held += _of_signer(view.signer)
            for place, counter in enumerate(view.signer.counter_signatures, 1):
                held += [f"signature:{view.id}-counter{place}", *_of_signer(counter)]

    def tokens(self) -> list[TimestampView]:
        """A view for each `.tst` entry.  Tokens prove what the files listed in their manifests hold."""
        bounds = {}
        views: dict[str, TimestampView] = {}
        for number, entry in enumerate(self.layout.tokens, 1):
            name = f"timestamp-{number}"
            bounds[entry.name] = bound = self.bound(entry, name)
            view = self._token(entry, name, bound, ())
            views[entry.name] = view
            self.inside[entry.name] = [f"timestamp:{name}", *_of_token(view)]
        made = []
        for number, entry in enumerate(self.layout.tokens, 1):
            bound = bounds[entry.name]
            proves = [name for held in sorted(bound.sound) for name in self.inside.get(held, ())]
            made.append(self._token(entry, f"timestamp-{number}", bound, proves))
        return made

    def archived(self, view: SignatureView, tokens: Sequence[TimestampView]) -> SignatureView:
        """The view at the level that tokens over its file give: with all validation data inside, that of archives."""
        over = any(token.imprint_matches and f"signature:{view.id}" in token.proves for token in tokens)
        return replace(view, level=f"{view.level}A") if over and view.level in ("B-LT", "LT") else view

    def _token(self, entry: Entry, name: str, bound: Bound, proves: Sequence[str]) -> TimestampView:
        view = cms.read_timestamp(
            self.container.read(entry, MAX_OCTETS),
            id=name,
            kind="document",
            digest=self._digest(bound.content) if bound.content is not None else None,
            proves=tuple(dict.fromkeys(proves)),
            field=entry.name,
        )
        whole = bool(self.layout.data) and all(one.name in bound.sound for one in self.layout.data)
        scope = Scope("FULL" if whole and view.imprint_matches else "PARTIAL", None, None)
        return replace(view, scope=scope, findings=(*view.findings, *bound.findings))

    def _digest(self, entry: Entry) -> cms.Digest:
        return lambda oid: self.container.digest(entry, oid)

    def _manifest_names(self) -> set[str]:
        return {one.entry.name for one in self.manifests.values()}

    def _one(self, entry: Entry, signer: SignerView) -> Covered:
        known = digest_by_oid(signer.digest_oid)
        return Covered("file", entry.name[:200], signer.digest_matches, known.oid if known else None, entry.size)


def _about(finding: Finding, subject: str) -> Finding:
    return replace(finding, subject=subject)


def _of_signer(signer: SignerView) -> Iterable[str]:
    yield from (f"certificate:{certificate.sha256.hex()}" for certificate in signer.certificates)
    yield from (item.id for item in signer.evidence)
    for token in signer.timestamps:
        yield f"timestamp:{token.id}"
        yield from _of_token(token)


def _of_token(view: TimestampView) -> Iterable[str]:
    yield from (item.id for item in view.evidence)
    if view.signer is not None:
        yield from _of_signer(view.signer)


__all__ = ["Reader"]
