"""Signatures, document timestamps and validation data as updates of our own (ISO 32000-2 §12.7.5.5, §12.8; EN 319
142-1 §5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from signsvc.formats.pades.append_update import NotCoveredError, Placeholder, Update
from signsvc.formats.pades.drawing import Appearance
from signsvc.formats.pades.fields import Visits, rectangle, walk
from signsvc.formats.pades.fill import FieldText
from signsvc.formats.pades.form_fields import listed
from signsvc.formats.pades.level import CADES
from signsvc.formats.pades.pages import Geometry, Rect, geometry_of, index_of, placed
from signsvc.formats.pdf import Document, LimitError, Name, PdfDict, PdfError, PdfObject, PdfString, Ref, Stream
from signsvc.formats.pdf.emit import NewObject, NewStream
from signsvc.types import EvidenceItem, EvidenceKind

_LISTS = {EvidenceKind.CERTIFICATE: "Certs", EvidenceKind.OCSP: "OCSPs", EvidenceKind.CRL: "CRLs"}
_MOST_VALUE = 32 << 20
_PRINT_LOCKED = 4 | 128  # of /F
_SIGNATURES_APPEND_ONLY = 3  # of /SigFlags


class Spec(Protocol):
    """`write.SignatureSpec`, as far as it is written here."""

    @property
    def time(self) -> datetime: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def location(self) -> str | None: ...
    @property
    def name(self) -> str | None: ...
    @property
    def contact(self) -> str | None: ...
    @property
    def certify(self) -> int | None: ...
    @property
    def subfilter(self) -> str: ...
    @property
    def page(self) -> int: ...
    @property
    def rect(self) -> tuple[float, float, float, float] | None: ...
    @property
    def appearance(self) -> Appearance | None: ...
    @property
    def texts(self) -> tuple[FieldText, ...]: ...


class Form:
    """Changes of one document; errors as those of `Update`."""

    def __init__(self, document: Document) -> None:
        self.update = Update(document)
        revision = self.update.revision
        root = revision.root
        if root is None:
            raise NotCoveredError
        self._document = document
        self._root = root
        self._catalog = self.update.dictionary(root)
        self._before = dict(self._catalog)

    def sign(self, spec: Spec, name: str, signer: str, room: int, *, existing: bool) -> None:
        """A signature in field `name`, an empty one of the document where `existing` is true."""
        entries: dict[str, NewObject] = {
            "Type": Name("Sig"),
            "Filter": Name("Adobe.PPKLite"),
            "SubFilter": Name(spec.subfilter),
            "M": PdfString(_date(spec.time)),
            "Name": text(spec.name or signer),
        }
        for key, value in (("Location", spec.location), ("Reason", spec.reason), ("ContactInfo", spec.contact)):
            if value:
                entries[key] = text(value)
        references: list[NewObject] = []
        if spec.certify is not None:
            references.append(_reference("DocMDP", {"P": spec.certify}))
        for one in spec.texts:
            self._fill(one)
        field = self._existing(name, spec) if existing else self._new(name, spec)
        if "Lock" in field[1]:
            references.append({**_reference("FieldMDP", self._locked(field[1])), "Data": self._root})
        if references:
            entries["Reference"] = references
        held = self.update.add(Placeholder(entries, room))
        self._hold(field, held)
        if spec.certify is not None:
            self._nested(self._catalog, "Perms", {"DocMDP": held})
        if spec.subfilter == CADES:
            self._declare()

    def stamp(self, name: str, room: int) -> None:
        """A document timestamp in a new field `name`."""
        entries: dict[str, NewObject] = {
            "Type": Name("DocTimeStamp"), "Filter": Name("Adobe.PPKLite"), "SubFilter": Name("ETSI.RFC3161"),
        }  # fmt: skip
        field = self._invisible(name)
        self._hold(field, self.update.add(Placeholder(entries, room)))
        self._declare()

    def supply(self, evidence: Iterable[EvidenceItem], *, again: bool = False) -> bool:
        """Validation data that the document security store lacks; whether there was any.  `again` writes the store even
        so: some verifiers count for a signature only what is written after it."""
        items = [item for item in dict.fromkeys(evidence) if item.kind in _LISTS]
        revision = self.update.revision
        written = self._catalog.get("DSS")
        store = (
            self.update.dictionary(written) if isinstance(written, Ref) else dict(revision.dictionary(written) or {})
        )
        changed = False
        for kind, key in _LISTS.items():
            listed = list(revision.array(store.get(key)))
            held = {octets for value in listed if (octets := self._octets(value)) is not None}
            for item in items:
                if item.kind is kind and item.der not in held:
                    held.add(item.der)
                    listed.append(self.update.add(NewStream({}, item.der)))
                    changed = True
            if listed:
                store[key] = listed
        if not changed and not (again and store):
            return False
        if isinstance(written, Ref):
            self.update.replace(written, store)
        else:
            self._catalog["DSS"] = self.update.add(store)
        self._declare()
        return True

    def finish(self) -> None:
        """Write the catalog anew where it changed."""
        if self._catalog != self._before:
            self.update.replace(self._root, self._catalog)

    def _octets(self, value: PdfObject) -> bytes | None:
        try:
            found = self.update.revision.resolve(value)
            return found.decode(_MOST_VALUE) if isinstance(found, Stream) else None
        except LimitError:
            raise
        except PdfError:
            return None

    # fields ----------------------------------------------------------------------------------------------------
    def _hold(self, field: tuple[Ref, dict[str, NewObject]], value: Ref) -> None:
        ref, entries = field
        entries["V"] = value
        self.update.replace(ref, entries)

    def _existing(self, name: str, spec: Spec) -> tuple[Ref, dict[str, NewObject]]:
        revision = self.update.revision
        tree = walk(revision, Visits(self._document.limits.fields))
        found = [field for field in tree.fields if field.name == name]
        if len(found) != 1 or found[0].ref is None or found[0].widget is not found[0].dictionary:
            raise NotCoveredError
        # what /SV asks of the signer has been judged (`write_seed`)
        if any(key in found[0].dictionary for key in ("Kids", "AA")):
            raise NotCoveredError
        entries: dict[str, NewObject] = dict(self.update.dictionary(found[0].ref))
        box = rectangle(revision, found[0].widget)
        if box is not None and spec.appearance is not None and box[0] != box[2] and box[1] != box[3]:
            entries["AP"] = self._drawn(spec.appearance, box, self._geometry(found[0].widget))
        elif "AP" not in entries and (box is None or box[0] == box[2] or box[1] == box[3]):
            entries["AP"] = self._nothing()
        self._flags(None)
        return found[0].ref, entries

    def _locked(self, entries: Mapping[str, Any]) -> dict[str, NewObject]:
        """What a signature in a field with /Lock says of it (§12.8.2.4)."""
        revision = self.update.revision
        lock = revision.dictionary(entries["Lock"]) or {}
        action = revision.value(lock, "Action")
        if action not in ("All", "Include", "Exclude"):
            raise NotCoveredError
        found: dict[str, NewObject] = {"Action": action}
        if action != "All":
            names = [revision.resolve(item) for item in revision.array(lock.get("Fields"))]
            if not all(isinstance(name, PdfString) for name in names):
                raise NotCoveredError
            found["Fields"] = names
        level = revision.value(lock, "P")
        if type(level) is int:
            found["P"] = level  # as Acrobat writes it, whose readers look for it here
        return found

    def _fill(self, wanted: FieldText) -> None:
        """Value and appearance of a text field."""
        revision = self.update.revision
        found = [field for field in listed(revision) if field.name == wanted.name]
        if len(found) != 1 or found[0].ref is None or "Kids" in found[0].widget or "AA" in found[0].widget:
            raise NotCoveredError
        entries: dict[str, NewObject] = dict(self.update.dictionary(found[0].ref))
        box = rectangle(revision, found[0].widget)
        if box is None or box[0] == box[2] or box[1] == box[3]:
            raise NotCoveredError
        entries["V"] = text(wanted.text)
        shown = wanted.shown(revision.value(found[0].widget, "Q"))
        entries["AP"] = self._drawn(shown, box, self._geometry(found[0].widget))
        self.update.replace(found[0].ref, entries)

    def _geometry(self, widget: PdfDict) -> Geometry:
        page = widget.get("P")
        shown = self.update.revision.dictionary(page) if isinstance(page, Ref) else None
        if shown is None:
            raise NotCoveredError
        return geometry_of(self.update.revision, shown)

    def _new(self, name: str, spec: Spec) -> tuple[Ref, dict[str, NewObject]]:
        if spec.rect is None:
            return self._invisible(name)
        pages = self.update.revision.pages()
        index = index_of(spec.page, len(pages))
        ref, page = pages[index]
        place = placed(geometry_of(self.update.revision, page), index, spec.rect)
        return self._widget(name, ref, place.rect, spec.appearance, place.rotate)

    def _invisible(self, name: str) -> tuple[Ref, dict[str, NewObject]]:
        pages = self.update.revision.pages()
        if not pages:
            raise NotCoveredError
        return self._widget(name, pages[0][0], (0, 0, 0, 0), None, 0)

    def _widget(
        self,
        name: str,
        page: Ref | None,
        rect: tuple[float, float, float, float],
        appearance: Appearance | None,
        rotate: int,
    ) -> tuple[Ref, dict[str, NewObject]]:
        if page is None:
            raise NotCoveredError
        entries: dict[str, NewObject] = {
            "FT": Name("Sig"), "T": text(name), "Type": Name("Annot"), "Subtype": Name("Widget"),
            "F": _PRINT_LOCKED, "Rect": list(rect), "P": page,
        }  # fmt: skip
        if appearance is not None and rect[0] != rect[2] and rect[1] != rect[3]:
            entries["AP"] = self._drawn(appearance, rect, Geometry(rect, rotate))
        else:
            entries["AP"] = self._nothing()
        ref = self.update.add(None)
        holder = self.update.dictionary(page)
        if self._append(holder, "Annots", ref):
            self.update.replace(page, holder)
        self._flags(ref)
        return ref, entries

    def _drawn(self, appearance: Appearance, box: Rect, geometry: Geometry) -> NewObject:
        """Drawn in points: a viewer fits the form into its field, whatever unit the page has (§12.5.5)."""
        width, height = (box[2] - box[0]) * geometry.unit, (box[3] - box[1]) * geometry.unit
        if geometry.rotate in (90, 270):
            width, height = height, width
        return {"N": self.update.add(appearance.draw(width, height, geometry.rotate).form)}

    def _nothing(self) -> NewObject:
        """What an invisible field shows: PDF/A-1 wants an appearance for every field (ISO 19005-1 §6.9)."""
        form: dict[str, NewObject] = {
            "Type": Name("XObject"), "Subtype": Name("Form"), "BBox": [0, 0, 0, 0], "Resources": {},
        }  # fmt: skip
        return {"N": self.update.add(NewStream(form, b""))}

    def _append(self, holder: PdfDict, key: str, ref: Ref) -> bool:
        """Append `ref` to the array at `key`, which may be an object of its own; whether `holder` itself changed."""
        written = holder.get(key)
        if isinstance(written, Ref):
            listed = self.update.read(written)
            if not isinstance(listed, list):
                raise NotCoveredError
            self.update.replace(written, [*listed, ref])
            return False
        if written is not None and not isinstance(written, list):
            raise NotCoveredError
        holder[key] = [*(written or []), ref]
        return True

    def _flags(self, field: Ref | None) -> None:
        """The form with `field` among its fields, and flags that say that there are signatures."""
        written = self._catalog.get("AcroForm")
        if written is None:
            form: PdfDict = {"Fields": [field] if field else [], "SigFlags": _SIGNATURES_APPEND_ONLY}
            self._catalog["AcroForm"] = self.update.add(form)
            return
        if isinstance(written, Ref):
            form = self.update.dictionary(written)
        elif isinstance(written, dict):
            form = dict(written)
        else:
            raise NotCoveredError
        changed = field is not None and self._append(form, "Fields", field)
        flags = self.update.revision.resolve(form.get("SigFlags"))
        flags = flags if type(flags) is int else 0
        if flags & _SIGNATURES_APPEND_ONLY != _SIGNATURES_APPEND_ONLY:
            form["SigFlags"] = flags | _SIGNATURES_APPEND_ONLY
            changed = True
        if not changed:
            return
        if isinstance(written, Ref):
            self.update.replace(written, form)
        else:
            self._catalog["AcroForm"] = form

    # catalog ---------------------------------------------------------------------------------------------------
    def _declare(self) -> None:
        """PDF 1.7 with the ESIC extension, or 2.0 (EN 319 142-1 §5.4.2); a higher version stays."""
        stated = self.update.revision.resolve(self._catalog.get("Version"))
        versions = [_version(self._document.header_version), _version(stated) if isinstance(stated, Name) else (0, 0)]
        if max(versions) < (1, 7):
            self._catalog["Version"] = Name("1.7")
        if max(versions) < (2, 0):
            entry: PdfDict = {"Type": Name("DeveloperExtensions"), "BaseVersion": Name("1.7"), "ExtensionLevel": 1}
            self._nested(self._catalog, "Extensions", {"ESIC": entry}, keep=True)

    def _nested(self, holder: PdfDict, key: str, entries: PdfDict, *, keep: bool = False) -> None:
        """Set `entries` of the dictionary at `key`, an object of its own or not; `keep` leaves those there are."""
        written = holder.get(key)
        if written is not None and not isinstance(written, Ref | dict):
            raise NotCoveredError
        old = self.update.dictionary(written) if isinstance(written, Ref) else dict(written or {})
        new = {**old, **{name: value for name, value in entries.items() if not keep or name not in old}}
        if new == old:
            return
        if isinstance(written, Ref):
            self.update.replace(written, new)
        else:
            holder[key] = new


def _reference(method: str, params: dict[str, NewObject]) -> dict[str, NewObject]:
    """A signature reference dictionary (§12.8.1, table 256)."""
    made: dict[str, NewObject] = {"Type": Name("TransformParams"), "V": Name("1.2"), **params}
    return {"Type": Name("SigRef"), "TransformMethod": Name(method), "TransformParams": made}


def text(value: str) -> PdfString:
    """A text string (ISO 32000-2 §7.9.2.2)."""
    return PdfString(value.encode("ascii") if value.isascii() else b"\xfe\xff" + value.encode("utf-16-be"))


def _date(moment: datetime) -> bytes:
    zone = moment.strftime("%z") or "+0000"
    ending = "Z" if zone == "+0000" else f"{zone[:3]}'{zone[3:5]}'"
    return f"D:{moment:%Y%m%d%H%M%S}{ending}".encode("ascii")


def _version(value: str) -> tuple[int, int]:
    major, _, minor = value.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)


__all__ = ["Form", "text"]
