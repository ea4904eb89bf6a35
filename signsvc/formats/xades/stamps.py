"""Timestamp properties (XAdESTimeStampType): their tokens, and whether each is over what it must be over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from signsvc.formats import cms, xmlsig
from signsvc.formats.xades import imprint, nodes
from signsvc.formats.xades.imprint import NotComputed
from signsvc.formats.xades.names import XADES, XADES141
from signsvc.types import Finding, TimestampView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from signsvc.formats.cms import Digest

MAX_TOKENS = 50
MAX_ARCHIVES = 10  # computed ones: each digests everything again
# Over references to validation data, or over several signatures at once: nothing that baseline levels use.
UNUSED = frozenset(("SigAndRefsTimeStamp", "SigAndRefsTimeStampV2", "RefsOnlyTimeStamp", "RefsOnlyTimeStampV2"))


@dataclass(slots=True)
class Tokens:
    """Reads the tokens of one signature; `left` bounds them, `archives` those that digest everything."""

    document: xmlsig.Document
    read: xmlsig.XmlSignature
    subject: str
    budget: imprint.Budget
    left: int = MAX_TOKENS
    archives: int = MAX_ARCHIVES
    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    def content(self, prop: Any, signed: xmlsig.Reference | None) -> list[TimestampView]:
        """AllDataObjectsTimeStamp or IndividualDataObjectsTimeStamp; `signed` is the reference to SignedProperties."""
        references: Sequence[xmlsig.Reference] = [r for r in self.read.references if r is not signed]
        if nodes.local(prop) == "IndividualDataObjectsTimeStamp":
            by_id = {reference.id: reference for reference in references if reference.id}
            names = [str(include.get("URI", ""))[1:] for include in nodes.named(prop, "Include")]
            if not names or any(name not in by_id for name in names):
                return self._views(prop, "content", None)
            references = [by_id[name] for name in names]
        return self._views(
            prop, "content", lambda c14n: imprint.data_objects(self.document, self.read, c14n, references, self.budget)
        )

    def signature(self, prop: Any) -> list[TimestampView]:
        """SignatureTimeStamp."""
        return self._views(
            prop,
            "signature",
            lambda c14n: (imprint.signature_value(self.document, self.read.element, c14n),),
            (f"signature:{self.subject}",),
        )

    def archive(self, prop: Any, before: Sequence[Any], proves: Sequence[str]) -> list[TimestampView]:
        """ArchiveTimeStamp with the properties before it, and the ids of what stands there."""
        self.archives -= 1
        spread = any(True for _ in nodes.named(prop, "Include"))
        if spread or self.archives < 0 or nodes.namespace(prop) not in (XADES, XADES141):
            return self._views(prop, "archive", None)
        every = imprint.is_141(prop)
        return self._views(
            prop,
            "archive",
            lambda c14n: imprint.archive(
                self.document, self.read, c14n, before, every_object=every, budget=self.budget
            ),
            (f"signature:{self.subject}", *proves),
        )

    def _views(
        self,
        prop: Any,
        kind: str,
        pieces: Callable[[str], Iterable[bytes]] | None,
        proves: tuple[str, ...] = (),
    ) -> list[TimestampView]:
        found: list[TimestampView] = []
        digest: Digest | None = None
        if pieces is not None:
            over = pieces
            try:
                c14n = imprint.method_of(prop)
                digest = imprint.digest_of(lambda: over(c14n))
            except NotComputed:
                digest = None
        for holder in nodes.named(prop, "EncapsulatedTimeStamp"):
            if self.left <= 0:
                self.note("xades_too_many", what="timestamps", limit=MAX_TOKENS)
                break
            self.left -= 1
            self.count += 1
            name = f"{self.subject}.t{self.count}"
            token = nodes.octets(holder)
            if token is None:
                self.note("xades_property_malformed", name=nodes.local(prop))
                continue
            found.append(self._one(token, name, kind, digest, proves))
        if any(True for _ in nodes.named(prop, "XMLTimeStamp")):
            self.note("xades_timestamp_not_used", name="XMLTimeStamp")
        return found

    def _one(self, token: bytes, name: str, kind: str, digest: Digest | None, proves: tuple[str, ...]) -> TimestampView:
        if digest is not None:
            try:
                return cms.read_timestamp(token, id=name, kind=kind, digest=digest, proves=proves, inside=True)
            except NotComputed:
                pass
        view = cms.read_timestamp(token, id=name, kind=kind, digest=None, inside=True)
        noted = Finding.of("xades_timestamp_not_computed", subject=name)
        return replace(view, findings=(*view.findings, noted))

    def note(self, code: str, **data: object) -> None:
        """Keep a finding about this signature, once for each code and property."""
        made = Finding.of(code, subject=self.subject, level=None, **data)
        if made not in self.findings:
            self.findings.append(made)


__all__ = ["MAX_ARCHIVES", "MAX_TOKENS", "UNUSED", "Tokens"]
