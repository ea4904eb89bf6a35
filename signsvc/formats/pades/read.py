"""A PDF as a `DocumentView`: every signature, every document timestamp, what each covers and what came after."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from signsvc.errors import DocumentError
from signsvc.formats import cms
from signsvc.formats.pades import byterange, details, dss, level, mac, seed
from signsvc.formats.pades.byterange import SHA1, SHA256, ByteRange, RangeDigests
from signsvc.formats.pades.dictionaries import SignatureDictionary
from signsvc.formats.pades.fields import page_number, rectangle
from signsvc.formats.pades.inventory import Inventory
from signsvc.formats.pades.later import changes_after, displaced
from signsvc.formats.pades.raw import raw_signer
from signsvc.formats.pades.shown import Pages
from signsvc.formats.pdf import (
    Buffer,
    Document,
    EncryptedError,
    LimitError,
    PdfDict,
    PdfError,
    PdfLimits,
    Revision,
)
from signsvc.types import (
    EvidenceItem,
    Finding,
    Scope,
    SignatureView,
    SignerView,
    TimestampView,
)
from signsvc.types.views import DocumentView

_MEDIA_TYPE = "application/pdf"
_TIMESTAMP = "ETSI.RFC3161"
_RAW = "adbe.x509.rsa_sha1"
_KNOWN = frozenset((level.CADES, *level.PKCS7, _TIMESTAMP, _RAW))


def read(data: Buffer, *, limits: PdfLimits | None = None, password: bytes = b"") -> DocumentView:
    """Everything the file says about its signatures (ISO 32000-2 §12.8, ETSI EN 319 142-1).

    Never judges and never needs the network.  What is wrong with one signature is a finding of that signature.
    Raises DocumentError only: ``empty_document``, ``document_unreadable``, ``encrypted_document``,
    ``encryption_unsupported``, ``document_too_complex``.
    """
    view, document = inspected(data, limits=limits, password=password)
    document.release()
    return view


def inspected(
    data: Buffer, *, limits: PdfLimits | None = None, password: bytes = b"", sha256: bytes | None = None
) -> tuple[DocumentView, Document]:
    """As `read`, with the document, for whoever adds to it and then releases it; `sha256` is that of `data` where it
    is known."""
    if not len(data):
        raise DocumentError("empty_document")
    try:
        document = Document(data, limits, password)
        reading = _Reading(document, sha256)
        done = False
        try:
            view = reading.view()
            done = True
            return view, document
        finally:
            reading.digests.release()
            if not done:
                document.release()
    except EncryptedError as error:
        raise DocumentError("encrypted_document" if error.password else "encryption_unsupported") from None
    except LimitError as error:
        raise DocumentError("document_too_complex", limit=error.limit) from None
    except PdfError:
        raise DocumentError("document_unreadable") from None


@dataclass(slots=True)
class _Item:
    """One signature dictionary with what is found out about it before its CMS is read."""

    source: SignatureDictionary
    id: str
    sub_filter: str | None
    covered: ByteRange | None = None
    contents: bytes = b""
    revision: Revision | None = None
    scope: Scope = field(default_factory=lambda: Scope("PARTIAL", None, None))
    findings: list[Finding] = field(default_factory=list)

    def note(self, code: str, **data: object) -> None:
        self.findings.append(Finding.of(code, subject=self.id, level=None, **data))

    @property
    def is_timestamp(self) -> bool:
        return self.sub_filter == _TIMESTAMP


class _Reading:
    """One pass over one document."""

    def __init__(self, document: Document, sha256: bytes | None = None) -> None:
        self.document = document
        self.sha256 = sha256
        self.digests = RangeDigests(document.buffer, document.limits.hashed + 4 * document.size)
        self.pages = Pages(document)
        self.findings: list[Finding] = []
        self.store: tuple[EvidenceItem, ...] = ()

    def view(self) -> DocumentView:
        document = self.document
        inventory = Inventory(document)
        self.findings += inventory.findings
        items = [self._item(source, index) for index, source in enumerate(inventory.dictionaries, 1)]
        for item in items:
            self._cover(item)
            if item.covered is not None:
                self.digests.add(item.covered)
        if document.repair is None:
            self.store, broken = dss.read(document)
            if broken:
                self.findings.append(Finding.of("dss_unreadable"))
            if document.reencrypted:
                self.findings.append(Finding.of("document_reencrypted"))
            if (integrity := mac.check(document)) is not None:
                self.findings.append(integrity)
        elif all(item.is_timestamp for item in items):
            raise PdfError("nothing readable")  # a torn file is no file without signatures
        else:
            self.findings.append(Finding.of("document_needs_repair", reason=document.repair))
        if document.repair is None and not self.pages.stand(document.last):
            self.findings.append(Finding.of("document_pages_not_found"))
        if document.header_offset:
            self.findings.append(Finding.of("document_octets_before_header", count=document.header_offset))
        if document.trailing is not None:
            self.findings.append(Finding.of("document_octets_after_end", count=document.size - document.trailing))
        signatures = [self._signature(item) for item in items if not item.is_timestamp]
        timestamps = self._timestamps([item for item in items if item.is_timestamp], signatures, items)
        store = level.Store(self.store)
        dictionaries = {item.id: item.source.dictionary for item in items}
        # Data that were there before a signature, and were not written again, were not put there for it.
        since = dss.written(document) if self.store else None
        older = level.Store(())
        signatures = [
            _leveled(
                view,
                dictionaries[view.id],
                timestamps,
                older if since is not None and (view.scope.revision or 0) > since else store,
            )
            for view in signatures
        ]
        return DocumentView(
            media_type=_MEDIA_TYPE,
            size=document.size,
            sha256=self.sha256 or self.digests.whole(SHA256),
            signatures=tuple(signatures),
            timestamps=tuple(timestamps),
            evidence=self.store,
            findings=tuple(self.findings),
            revisions=len(document.revisions) or None,
            pages=details.page_count(document) if document.revisions else None,
            pdf_version=details.version(document),
            pdfa=details.pdfa(document),
            empty_fields=inventory.empty,
        )

    def _item(self, source: SignatureDictionary, index: int) -> _Item:
        named = source.dictionary.get("SubFilter")
        sub_filter = str(named) if isinstance(named, str) else None
        prefix = "timestamp" if sub_filter == _TIMESTAMP else "signature"
        item = _Item(source, f"{prefix}-{index}", sub_filter)
        if not source.readable:
            item.note("signature_torn" if source.torn else "signature_dictionary_unreadable")
            return item
        kind = source.dictionary.get("Type")
        if kind not in (None, "Sig", "DocTimeStamp") or (kind == "DocTimeStamp" and not item.is_timestamp):
            item.note("signature_type_wrong")
        elif kind == "Sig" and item.is_timestamp:
            item.note("timestamp_type_sig")
        if "Subtype" in source.dictionary or "Rect" in source.dictionary:
            # as a comment it would show its /Contents, which no signature covers
            item.note("signature_is_annotation")
        if sub_filter is None:
            item.note("signature_sub_filter_missing")
        elif sub_filter not in _KNOWN:
            item.note("signature_sub_filter_unknown")
        if source.duplicates:
            item.note("signature_dictionary_duplicate_key")
        if source.removed:
            item.note("signature_removed")
        elif source.orphan and self.document.repair is None:
            item.note("signature_in_no_field")
        return item

    def _cover(self, item: _Item) -> None:
        """Find out what octets are covered: the exact gap, the revision, the file."""
        document, source = self.document, item.source
        item.contents = source.contents or b""
        if document.repair is None and document.revisions:
            item.revision = document.revisions[source.defined[0]] if source.defined else document.last
        if not source.readable:
            return
        if source.contents is None:
            item.note("signature_contents_missing")
        elif not any(item.contents):
            item.note("signature_contents_empty")
        written = source.dictionary.get("ByteRange")
        covered = byterange.parse(written, document.size)
        if covered is None and byterange.folds(written):
            item.note("byte_range_overlaps")
            return
        if covered is None:
            item.note("byte_range_malformed" if "ByteRange" in source.dictionary else "byte_range_missing")
            return
        octets = byterange.gap_octets(document.buffer, covered)
        if octets is None or source.span != (covered.before, covered.after):
            item.note("byte_range_gap")
            item.scope = Scope("PARTIAL", None, len(document.revisions) or None, covered.pairs)
            return
        item.covered, item.contents = covered, octets
        self._place(item, covered)

    def _place(self, item: _Item, covered: ByteRange) -> None:
        document, source = self.document, item.source
        count = len(document.revisions)
        if document.repair is not None:
            item.note("document_coverage_unknown")
            item.scope = Scope("PARTIAL", None, None, covered.pairs)
            return
        revision = document.revision_ending(covered.end)
        if revision is None:
            item.note("byte_range_not_at_revision_end")
            item.scope = Scope("PARTIAL", None, count, covered.pairs)
            return
        if not self.pages.stand(revision):
            item.note("signature_pages_not_found")
        elif document.header_offset and not self.pages.alike():
            item.note("signature_read_differently")
        if not self._in_force(source, revision):
            item.note("signature_not_in_its_revision")
        item.revision = revision
        whole = revision is document.last and document.trailing is None and not displaced(document, covered.end)
        if whole and covered.end < document.size:
            item.note("document_white_space_after_end", count=document.size - covered.end)
        if source.replaced:
            item.note("signature_dictionary_replaced")
        changes = () if whole else changes_after(document, revision, covered.end, removed=source.removed)
        item.scope = Scope("FULL" if whole else "REVISION", revision.number, count, covered.pairs, changes)

    @staticmethod
    def _in_force(source: SignatureDictionary, revision: Revision) -> bool:
        """Whether the file as it stood in `revision` has exactly this object under its number."""
        if source.num is None:
            return True
        current = -1
        for index, _ in revision.document.history(source.num):
            if index <= revision.index:
                current = index
        return current in source.defined

    def _digest(self, item: _Item) -> cms.Digest | None:
        covered = item.covered
        return (lambda oid: self.digests.digest(covered, oid)) if covered is not None else None

    def _signature(self, item: _Item) -> SignatureView:
        source, revision = item.source, item.revision
        signer = self._signer(item)
        methods = details.transforms(revision, source.dictionary)
        certification = details.certification(methods)
        names = [shown.name for shown in source.fields]
        locked, page, rect = None, None, None
        if revision is not None:
            try:
                if certification is not None and not details.is_docmdp_of_catalog(revision, source.num):
                    item.note("certification_not_in_catalog")
                if source.fields:
                    shown = source.fields[0]
                    if "SV" in shown.dictionary:
                        item.note("signature_seed_value")
                        wanted = shown.dictionary["SV"]
                        broken = seed.violated(revision, wanted, source.dictionary, certification, signer)
                        if broken:
                            item.note("signature_seed_value_violated", names=", ".join(broken))
                    written = methods.get("FieldMDP") or revision.dictionary(shown.dictionary.get("Lock"))
                    locked = details.lock(revision, written)
                    rect = rectangle(revision, shown.widget)
                    page = page_number(revision, shown.widget)
            except LimitError:
                raise
            except PdfError:
                item.note("signature_field_unreadable")
        dictionary = source.dictionary
        return SignatureView(
            id=item.id,
            format="PAdES" if item.sub_filter == level.CADES else "PKCS7" if item.sub_filter in level.PKCS7 else "PDF",
            level="PDF-NOT-ETSI",
            signer=signer,
            scope=item.scope,
            field=names[0] if names else None,
            other_fields=tuple(names[1:]),
            claimed_time=details.date(dictionary.get("M")) or (signer.claimed_time if signer else None),
            name=details.text(revision, dictionary, "Name"),
            reason=details.text(revision, dictionary, "Reason"),
            location=details.text(revision, dictionary, "Location"),
            contact=details.text(revision, dictionary, "ContactInfo"),
            sub_filter=item.sub_filter,
            certification=certification,
            lock=locked,
            page=page,
            rect=rect,
            evidence=self.store,
            findings=tuple(item.findings),
        )

    def _signer(self, item: _Item) -> SignerView | None:
        """The one signer of the CMS; what speaks against the structure goes to the item's findings."""
        if not item.contents or not any(item.contents):
            return None
        if item.sub_filter not in _KNOWN:
            # how such a signature is made is not known: its CMS, if it is one, tells who signed and nothing else
            shown = cms.read(item.contents, subject=item.id, digest=None)
            return shown.signers[0] if shown.signers else None
        digest = self._digest(item)
        if item.sub_filter == _RAW:
            sha1 = digest(SHA1) if digest is not None else None
            signer = raw_signer(item.source.dictionary, item.revision, item.contents, sha1)
            if signer is None:
                item.note("signature_value_unreadable")
            return signer
        found = cms.read(item.contents, subject=item.id, digest=digest)
        item.findings += found.findings
        if len(found.signers) > 1:
            item.note("signature_several_signers", count=len(found.signers))
        return found.signers[0] if found.signers else None

    def _timestamps(
        self, items: list[_Item], signatures: list[SignatureView], every: list[_Item]
    ) -> list[TimestampView]:
        views: list[TimestampView] = []
        for item in sorted(items, key=_end):
            revision = item.revision if item.covered is not None and item.scope.revision else None
            usable = revision is not None and item.source.dictionary.get("Type") != "Sig"
            proves = self._proven(revision, item, signatures, views, every) if revision is not None and usable else ()
            names = [shown.name for shown in item.source.fields]
            view = cms.read_timestamp(
                item.contents,
                id=item.id,
                kind="document",
                digest=self._digest(item),
                proves=proves,
                field=names[0] if names else None,
                scope=item.scope,
            )
            views.append(replace(view, findings=(*item.findings, *view.findings)))
        return views

    def _proven(
        self,
        revision: Revision,
        item: _Item,
        signatures: list[SignatureView],
        earlier: list[TimestampView],
        every: list[_Item],
    ) -> tuple[str, ...]:
        """Ids of all that stands in the octets the timestamp covers."""
        number = revision.number
        ids = dict.fromkeys((f"revision:{number}",))
        ids.update(dict.fromkeys(found.id for found in self.store if (found.revision or 0) <= number))
        before = {other.id for other in every if other is not item and _end(other) < _end(item) and other.covered}
        for signature in signatures:
            if signature.id in before:
                ids[f"signature:{signature.id}"] = None
                if signature.signer is not None:
                    ids.update(dict.fromkeys(_inside(signature.signer)))
        for stamp in earlier:
            if stamp.id in before:
                ids.update(dict.fromkeys(_token(stamp)))
        return tuple(ids)


def _leveled(
    view: SignatureView, dictionary: PdfDict, timestamps: list[TimestampView], store: level.Store
) -> SignatureView:
    missing: tuple[Finding, ...] = ()
    sound = False
    if view.signer is not None and view.sub_filter == level.CADES:
        missing = level.baseline(dictionary, view.signer, view.id)
        # ETSI EN 319 142-1 §5.3: one signer, and DER
        sound = not missing and not {found.code for found in view.findings} & {"signature_several_signers", "cms_ber"}
    covering = [stamp for stamp in timestamps if f"signature:{view.id}" in stamp.proves]
    named = level.name(view.sub_filter, view.signer, sound, covering, store)
    return replace(view, level=named, findings=(*view.findings, *missing))


def _end(item: _Item) -> int:
    return item.covered.end if item.covered is not None else item.source.offset


def _inside(signer: SignerView) -> list[str]:
    """Ids of the values inside a CMS."""
    ids = [f"certificate:{certificate.sha256.hex()}" for certificate in signer.certificates]
    ids += [found.id for found in signer.evidence]
    for stamp in signer.timestamps:
        ids += _token(stamp)
    return ids


def _token(stamp: TimestampView) -> list[str]:
    ids = [f"timestamp:{stamp.id}", *(found.id for found in stamp.evidence)]
    return ids + (_inside(stamp.signer) if stamp.signer is not None else [])


__all__ = ["read"]
