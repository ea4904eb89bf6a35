"""XAdES and plain XML signatures of one document, as views."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from signsvc.algorithms import SignatureCheck, digest_by_oid, resolve, verify_value
from signsvc.asn1 import DerError
from signsvc.formats import xmlsig
from signsvc.formats.cms.ess import matches as certificate_matches
from signsvc.formats.xades import imprint, level, nodes, properties, values
from signsvc.formats.xades.names import C14NS, SIGNED_PROPERTIES_TYPES
from signsvc.formats.xades.stamps import UNUSED, Tokens
from signsvc.types import (
    Certificate,
    Covered,
    DocumentView,
    EvidenceItem,
    EvidenceKind,
    Finding,
    Level,
    Original,
    Scope,
    SignatureView,
    SignerView,
    TimestampView,
)

MEDIA_TYPE = "application/xml"
MAX_SIGNATURES = 500
MAX_COUNTERS = 20  # of one signature, those inside counter-signatures included
MAX_DEPTH = 3
_PROPERTIES = "#SignedProperties"
_MAX_NAMES = 500  # of unsigned properties that are listed
_SIGNED_ONLY = frozenset(
    ("SigningTime", "SigningCertificate", "SigningCertificateV2", "SignaturePolicyIdentifier", "SignerRole",
     "SignerRoleV2", "CommitmentTypeIndication", "DataObjectFormat")
)  # fmt: skip
_REFERENCES = frozenset(
    ("CompleteCertificateRefs", "CompleteCertificateRefsV2", "CompleteRevocationRefs", "AttributeCertificateRefs",
     "AttributeCertificateRefsV2", "AttributeRevocationRefs")
)  # fmt: skip


def read(data: bytes, *, originals: Sequence[Original] = ()) -> DocumentView:
    """Every signature of an XML document, in document order.

    `originals` are the files that detached signatures speak of.  What is wrong with a signature is a finding about it.
    Raises `DocumentError` where the octets are no XML that is read here.
    """
    document = xmlsig.parse(data)
    return DocumentView(
        media_type=MEDIA_TYPE,
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
        signatures=tuple(views(document, originals=originals)),
    )


def views(
    document: xmlsig.Document,
    *,
    originals: Sequence[Original] = (),
    resolver: xmlsig.Resolver | None = None,
    prefix: str = "sig",
) -> list[SignatureView]:
    """The signatures of a parsed document, named ``<prefix>-1``, ``<prefix>-2``, … in document order."""
    found = []
    budget = imprint.Budget.of(document)
    for number, element in enumerate(document.signatures[:MAX_SIGNATURES], 1):
        name = f"{prefix}-{number}"
        one = _Signature.of(document, element, name, originals, resolver, budget)
        found.append(one.view())
    return found


@dataclass(slots=True)
class _Signature:
    """One ds:Signature being read; `above` is the signature that it counter-signs."""

    document: xmlsig.Document
    read: xmlsig.XmlSignature
    name: str
    above: Any
    depth: int
    counters_left: list[int]  # shared with the counter-signatures inside
    budget: imprint.Budget  # shared by all signatures of the document
    findings: list[Finding]
    said: properties.Properties
    holder: Any = None  # QualifyingProperties
    signed: xmlsig.Reference | None = None  # the reference to SignedProperties
    level: str = level.NOT_ETSI

    @classmethod
    def of(
        cls,
        document: xmlsig.Document,
        element: Any,
        name: str,
        originals: Sequence[Original],
        resolver: xmlsig.Resolver | None,
        budget: imprint.Budget,
        *,
        above: Any = None,
        depth: int = 0,
        counters_left: list[int] | None = None,
    ) -> _Signature:
        inside = [
            item
            for holder in properties.qualifying(element)
            for prop in properties.unsigned_properties(holder)
            if nodes.local(prop) == "CertificateValues"
            for item in values.read(prop)[0]
        ]
        read = xmlsig.read_signature(
            document,
            element,
            originals=originals,
            subject=name,
            resolver=resolver,
            certificates=_certificates(inside),
        )
        left = [MAX_COUNTERS] if counters_left is None else counters_left
        made = cls(document, read, name, above, depth, left, budget, _noted(read, above), properties.Properties())
        made._qualify()
        return made

    def note(self, code: str, **data: object) -> None:
        made = Finding.of(code, subject=self.name, level=None, **data)
        if made not in self.findings:
            self.findings.append(made)

    def _qualify(self) -> None:
        """Find the properties that this signature signs; what only looks like them counts for nothing."""
        found = properties.qualifying(self.read.element)
        claimed = [r for r in self.read.references if r.type in SIGNED_PROPERTIES_TYPES]
        if len(found) != 1:
            if found:
                self.note("xades_qualifying_properties_repeated", count=len(found))
            elif claimed:
                self.note("xades_signed_properties_misplaced")
            return
        self.holder = found[0]
        element = properties.signed_properties(self.holder)
        own = [r for r in self.read.references if element is not None and self._names(r, element)]
        if any(r not in own for r in claimed) or len(own) > 1:
            self.note("xades_signed_properties_misplaced")
            return
        if not own or not _whole(own[0]):
            # Transforms that take something away may leave nothing of the properties under the signature.
            self.note("xades_properties_unsigned")
            return
        self.signed = own[0]
        self.said = properties.read(element)
        for code, about in self.said.problems:
            self.note(code, name=about)
        target = str(self.holder.get("Target", ""))
        if not self.read.id or target != f"#{self.read.id}":
            self.note("xades_target_differs")

    def _names(self, reference: xmlsig.Reference, element: Any) -> bool:
        """Whether a reference is to `element`; by its Id where nothing was followed because the value is of no key."""
        if any(r.node is not None or r.original is not None or r.findings for r in self.read.references):
            return reference.node is element
        return reference.type in SIGNED_PROPERTIES_TYPES and reference.uri == f"#{element.get('Id', '')}"

    def view(self) -> SignatureView:
        """The signature with everything around it."""
        signer = self.signer()
        return SignatureView(
            id=self.name,
            format="XMLDSig" if self.holder is None else "XAdES",
            level=self.level,
            signer=signer,
            scope=Scope("FULL" if self.read.full else "PARTIAL", None, None),
            field=self.read.id or None,
            claimed_time=self.said.claimed_time,
            covered=self._covered(),
            findings=() if signer is not None else tuple(self.findings),
        )

    def signer(self) -> SignerView | None:
        """Who signed and what stands beside it; None where the signature has no value that could be checked."""
        read = self.read
        if read.value is None:
            if not any(f.level is Level.FAIL for f in self.findings):
                self.note("signature_unreadable")
            return None
        unsigned = properties.unsigned_properties(self.holder) if self.holder is not None else []
        tokens = Tokens(self.document, read, self.name, self.budget)
        stamps = [view for prop in self.said.stamps for view in tokens.content(prop, self.signed)]
        evidence: dict[str, EvidenceItem] = {}
        counters: list[SignerView] = []
        known = [f"certificate:{c.sha256.hex()}" for c in read.certificates]
        for place, prop in enumerate(unsigned):
            kind = nodes.local(prop)
            if kind == "SignatureTimeStamp":
                stamps += tokens.signature(prop)
            elif kind == "ArchiveTimeStamp":
                if tokens.archives > 0:
                    ids = (*known, *evidence, *_inside(stamps), *self._inside_counters(counters))
                    stamps += tokens.archive(prop, unsigned[:place], ids)
                else:
                    stamps += tokens.archive(prop, (), ())
            elif kind in values.KINDS:
                items, whole = values.read(prop)
                if not whole or len(evidence) + len(items) > values.MAX_VALUES:
                    self.note("xades_values_unreadable", name=kind)
                evidence.update((item.id, item) for item in items[: values.MAX_VALUES - len(evidence)])
            elif kind == "CounterSignature":
                self._counter(prop, counters)
            else:
                self._other(kind)
        candidates = (*read.certificates, *_certificates(evidence.values()))
        certificate = self._certificate(candidates)
        self._related()
        if self.signed is not None:
            reasons = level.departures(
                self.holder,
                self.said,
                unsigned,
                read.references,
                self.signed,
                certificate_in_key_info=certificate in read.certificates,
                counter=self.above is not None,
            )
            for reason in reasons:
                self.note("xades_not_baseline", reason=reason)
            self.level = level.name(
                self.said, baseline=not reasons, stamps=stamps, evidence=evidence.values(), certificate=certificate
            )
        named = self.said.references[0] if self.said.references else None
        return SignerView(
            value=read.value,
            digest_oid=_weakest(read.references) or read.value.digest_oid,
            digest_matches=read.digest_matches,
            issuer_der=certificate.issuer_der if certificate else named.issuer_der if named else None,
            serial_number=certificate.serial_number if certificate else named.serial_number if named else None,
            references=self.said.references,
            certificates=read.certificates,
            evidence=tuple(evidence.values()),
            claimed_time=self.said.claimed_time,
            policy_oid=self.said.policy_oid,
            policy_digest=self.said.policy_digest,
            commitment_oids=self.said.commitment_oids,
            claimed_roles=self.said.roles,
            claimed_place=self.said.place,
            signed_attributes=self.said.names,
            unsigned_attributes=tuple(nodes.local(prop) or "?" for prop in unsigned[:_MAX_NAMES]),
            timestamps=tuple(stamps),
            counter_signatures=tuple(counters),
            findings=(*self.findings, *tokens.findings),
        )

    def _certificate(self, candidates: Sequence[Certificate]) -> Certificate | None:
        """The signer's certificate among those inside: the referenced one, without references that whose key signed."""
        if self.said.references:
            wanted = self.said.references
            return next((c for c in candidates if all(certificate_matches(ref, c) for ref in wanted)), None)
        value = self.read.value
        if value is None:
            return None
        try:
            algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
        except (DerError, IndexError):
            return None
        if algorithm is None:
            return candidates[0] if candidates else None
        for certificate in dict.fromkeys(candidates):
            check = verify_value(certificate, algorithm, value.value, message=value.message, digest=value.digest)
            if check is SignatureCheck.VALID:
                return certificate
        return candidates[0] if candidates else None

    def _related(self) -> None:
        """A counter-signature must reference the value of the signature above it (§5.2.7)."""
        if self.above is None:
            return
        value = nodes.first(self.above, "SignatureValue")
        related = [r for r in self.read.references if r.node is not None and r.node is value]
        if not any(_whole(r) for r in related):
            self.note("xades_counter_signature_unrelated")

    def _counter(self, prop: Any, counters: list[SignerView]) -> None:
        for element in nodes.named(prop, "Signature"):
            if self.depth >= MAX_DEPTH or self.counters_left[0] <= 0:
                self.note("xades_too_many", what="counter-signatures", limit=MAX_COUNTERS)
                return
            self.counters_left[0] -= 1
            name = f"{self.name}-counter{len(counters) + 1}"
            inner = _Signature.of(
                self.document, element, name, (), None, self.budget,
                above=self.read.element, depth=self.depth + 1, counters_left=self.counters_left,
            )  # fmt: skip
            signer = inner.signer()
            if signer is None:
                self.note("xades_counter_signature_malformed")
            else:
                counters.append(signer)

    def _inside_counters(self, counters: Iterable[SignerView]) -> Iterable[str]:
        for number, signer in enumerate(counters, 1):
            yield f"signature:{self.name}-counter{number}"
            yield from _of_signer(signer)

    def _other(self, kind: str) -> None:
        if kind in _REFERENCES:
            self.note("xades_references_not_used", name=kind)
        elif kind in UNUSED:
            self.note("xades_timestamp_not_used", name=kind)
        elif kind in _SIGNED_ONLY:
            self.note("xades_unsigned_property_ignored", name=kind)

    def _covered(self) -> tuple[Covered, ...]:
        """What the references cover, the signature's own properties left out, with the types that are signed of it."""
        listed = [r for r in (*self.read.references, *self.read.manifest) if not (r.type or "").endswith(_PROPERTIES)]
        found = []
        for reference, one in zip(listed, self.read.covered, strict=True):
            if reference is not self.signed:
                media_type = self.said.media_types.get(reference.id or "")
                found.append(replace(one, media_type=media_type) if media_type else one)
        return tuple(found)


def _noted(read: xmlsig.XmlSignature, above: Any) -> list[Finding]:
    """Findings of the signature; that it covers a part alone is how a counter-signature is."""
    return [f for f in read.findings if above is None or f.code != "xml_signature_covers_part"]


def _whole(reference: xmlsig.Reference) -> bool:
    """Whether no transform of the reference takes anything away."""
    return all(transform.uri in C14NS for transform in reference.transforms)


def _weakest(references: Iterable[xmlsig.Reference]) -> str | None:
    """The digest of the shortest output among those of the references: it is what binds the content."""
    sizes = [(found.size, r.digest_oid) for r in references if r.digest_oid and (found := digest_by_oid(r.digest_oid))]
    return min(sizes)[1] if sizes else None


def _certificates(items: Iterable[EvidenceItem]) -> list[Certificate]:
    found = []
    for item in items:
        if item.kind is EvidenceKind.CERTIFICATE:
            try:
                found.append(Certificate.from_der(item.der))
            except DerError:
                continue
    return found


def _inside(stamps: Iterable[TimestampView]) -> Iterable[str]:
    """Ids of tokens and of what is in them."""
    for stamp in stamps:
        yield f"timestamp:{stamp.id}"
        yield from (item.id for item in stamp.evidence)
        if stamp.signer is not None:
            yield from _of_signer(stamp.signer)


def _of_signer(signer: SignerView) -> Iterable[str]:
    yield from (f"certificate:{certificate.sha256.hex()}" for certificate in signer.certificates)
    yield from (item.id for item in signer.evidence)
    yield from _inside(signer.timestamps)


__all__ = ["MEDIA_TYPE", "read", "views"]
