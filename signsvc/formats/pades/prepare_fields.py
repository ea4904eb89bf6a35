"""Fields laid out before the first signature: empty signature fields with locks and seed values, and text fields that
the last signer fills (ISO 32000-2 §12.7.4.3, §12.7.5.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NoReturn, TypeVar

from signsvc.errors import DocumentError, RequestError
from signsvc.formats.pades.append_form import Form, text
from signsvc.formats.pades.append_update import NotCoveredError
from signsvc.formats.pades.append_view import OwnWriter
from signsvc.formats.pades.form_fields import FieldLock, FormField, listed
from signsvc.formats.pades.inventory import Inventory
from signsvc.formats.pades.pages import Rect, geometry_of
from signsvc.formats.pades.write_open import open_writer
from signsvc.formats.pdf import Buffer, Document, LimitError, Name, PdfDict, PdfError, PdfString, Ref
from signsvc.formats.pdf.emit import Indirect, NewObject, NewStream

T = TypeVar("T")

_PRINT = 4  # of /F
_THERE_ARE_FIELDS = 1  # of /SigFlags
_SIZE = 13  # points: the number and the date of a document (Decree 30/2020 App. I)
_TIGHT = 0.75  # of a low field's height
_FILTER, _SUB_FILTER, _REASONS, _DIGEST = 1, 2, 8, 64  # of a seed value's /Ff
_SUBJECT, _ISSUER = 1, 2  # of that of its /Cert


@dataclass(frozen=True, slots=True)
class Seed:
    """What a field asks of its signer, all of it required: one of `formats` (/SubFilter), of `digests`, of `reasons`,
    of the certificates `subjects` and of those that issued them (DER); a timestamp, from `timestamp_url`; a
    certification of that level (0: none)."""

    formats: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    subjects: tuple[bytes, ...] = ()
    issuers: tuple[bytes, ...] = ()
    timestamp_url: str | None = None
    certification: int | None = None


@dataclass(frozen=True, slots=True)
class NewField:
    """A field to be laid out: `kind` is signature or text; `rect` (left, bottom, right, top) in points on `page` (from
    1; -1 is the last) as it is shown, None for a signature that nobody sees."""

    name: str
    kind: str = "signature"
    page: int = 1
    rect: Rect | None = None
    lock: FieldLock | None = None
    seed: Seed | None = None


def fields_of(data: Buffer) -> tuple[FormField, ...]:
    """The fields of the PDF in `data`.  Raises `DocumentError` (``document_unreadable``, ``document_too_complex``)."""

    def read() -> tuple[FormField, ...]:
        document = Document(data)
        if not document.revisions:
            raise PdfError("needs repair")
        return listed(document.last)

    return _read(read)


def add_fields(stream: BinaryIO, fields: Sequence[NewField], font: Callable[[], Indirect]) -> tuple[str, ...]:
    """Append one update with `fields` to the PDF in `stream`, in place; the names of those that are new.

    `font` gives the one that text fields are written in (`Font.for_forms`).  /NeedAppearances is never set: each field
    has an appearance.

    Raises `DocumentError`: what `open_writer` raises, ``fields_not_permitted`` (signed or
    timestamped, a form in XFA, encrypted or of another shape that cannot be appended to); `RequestError`
    (``invalid_request``) for a name that is taken and a place that is none.
    """
    opened = open_writer(stream)
    if not isinstance(opened.writer, OwnWriter):
        _refuse("structure")
    document = opened.writer.document

    def add() -> bytes:
        _check(document, fields)
        form = _Prepared(document)
        form.lay_out(fields, font)
        form.finish()
        return form.update.render().data

    try:
        octets = _read(add)
    except NotCoveredError:
        _refuse("structure")
    stream.seek(0, 2)
    stream.write(octets)
    return tuple(field.name for field in fields)


class _Prepared(Form):
    """The form of a document, with fields to be filled later."""

    def lay_out(self, fields: Sequence[NewField], font: Callable[[], Indirect]) -> None:
        written = self._catalog.get("AcroForm")
        if isinstance(written, Ref):
            form = self.update.dictionary(written)
        elif written is None or isinstance(written, dict):
            form = dict(written or {})
        else:
            raise NotCoveredError
        written_in = self._resource(form, font) if any(field.kind == "text" for field in fields) else ""
        for number, field in enumerate(fields):
            self._append(form, "Fields", self._laid(number, field, written_in))
        if any(field.kind == "signature" for field in fields):
            flags = self.update.revision.resolve(form.get("SigFlags"))
            form["SigFlags"] = (flags if type(flags) is int else 0) | _THERE_ARE_FIELDS
        if isinstance(written, Ref):
            self.update.replace(written, form)
        else:
            self._catalog["AcroForm"] = self.update.add(form)

    def _laid(self, number: int, field: NewField, written_in: str) -> Ref:
        pages = self.update.revision.pages()
        index = field.page - 1 if field.page > 0 else len(pages) + field.page
        if not 0 <= index < len(pages):
            raise _wrong(number, f"page: the document has {len(pages)} pages")
        page, entry = pages[index]
        if page is None:
            raise NotCoveredError
        geometry = geometry_of(self.update.revision, entry)
        box: tuple[int, int, int, int] = (0, 0, 0, 0)
        if field.rect is not None:
            width, height = geometry.size
            left, bottom, right, top = field.rect
            if left < 0 or bottom < 0 or right > width or top > height:
                raise _wrong(number, f"rect: the page shows {width:.0f} by {height:.0f} points")
            left, bottom, right, top = geometry.in_file(field.rect)
            box = (round(left), round(bottom), round(right), round(top))
        made: dict[str, NewObject] = {
            "Type": Name("Annot"), "Subtype": Name("Widget"), "FT": Name("Sig"), "T": text(field.name), "F": _PRINT,
            "Rect": list(box), "P": page, "MK": {"R": geometry.rotate} if geometry.rotate else {},
        }  # fmt: skip
        shape: dict[str, NewObject] = {
            "Type": Name("XObject"), "Subtype": Name("Form"),
            "BBox": [0, 0, box[2] - box[0], box[3] - box[1]], "Resources": {},
        }  # fmt: skip
        content = b""
        if field.kind == "text":
            low = field.rect[3] - field.rect[1] if field.rect else _SIZE
            size = min(_SIZE, max(1, round(low * _TIGHT)))
            made |= {"FT": Name("Tx"), "DA": PdfString(b"/%s %d Tf 0 g" % (written_in.encode("latin-1"), size))}
            content = b"/Tx BMC\nEMC"
        made["AP"] = {"N": self.update.add(NewStream(shape, content))}
        if field.lock is not None:
            made["Lock"] = self.update.add(_lock(field.lock))
        if field.seed is not None:
            made["SV"] = self.update.add(_seed(field.seed))
        ref = self.update.add(made)
        holder = self.update.dictionary(page)
        if self._append(holder, "Annots", ref):
            self.update.replace(page, holder)
        return ref

    def _resource(self, form: PdfDict, font: Callable[[], Indirect]) -> str:
        """The name of the font of text fields in the form's resources, where it is put."""
        held = form.get("DR")
        resources = self._copied(held)
        fonts_held = resources.get("Font")
        fonts = self._copied(fonts_held)
        name = next(name for number in range(len(fonts) + 1) if (name := f"SvText{number or ''}") not in fonts)
        fonts[name] = self.update.number(font())
        if isinstance(fonts_held, Ref):
            self.update.replace(fonts_held, fonts)
        else:
            resources["Font"] = fonts
        if isinstance(held, Ref):
            self.update.replace(held, resources)
        else:
            form["DR"] = resources
        form.setdefault("DA", PdfString(b"/%s %d Tf 0 g" % (name.encode("ascii"), _SIZE)))
        return name

    def _copied(self, held: object) -> PdfDict:
        if isinstance(held, Ref):
            return self.update.dictionary(held)
        if held is not None and not isinstance(held, dict):
            raise NotCoveredError
        return dict(held or {})


def _lock(lock: FieldLock) -> dict[str, NewObject]:
    made: dict[str, NewObject] = {"Type": Name("SigFieldLock"), "Action": Name(lock.action)}
    if lock.action != "All":
        made["Fields"] = [text(name) for name in lock.fields]
    if lock.permissions is not None:
        made["P"] = lock.permissions
    return made


def _seed(seed: Seed) -> dict[str, NewObject]:
    flags = 0
    made: dict[str, NewObject] = {"Type": Name("SV"), "Filter": Name("Adobe.PPKLite")}
    flags |= _FILTER
    if seed.formats:
        made["SubFilter"], flags = [Name(one) for one in seed.formats], flags | _SUB_FILTER
    if seed.digests:
        made["DigestMethod"], flags = [text(one) for one in seed.digests], flags | _DIGEST
    if seed.reasons:
        made["Reasons"], flags = [text(one) for one in seed.reasons], flags | _REASONS
    if seed.subjects or seed.issuers:
        wanted: dict[str, NewObject] = {"Type": Name("SVCert")}
        if seed.subjects:
            wanted["Subject"] = [PdfString(one) for one in seed.subjects]
        if seed.issuers:
            wanted["Issuer"] = [PdfString(one) for one in seed.issuers]
        made["Cert"] = {**wanted, "Ff": (_SUBJECT if seed.subjects else 0) | (_ISSUER if seed.issuers else 0)}
    if seed.timestamp_url is not None:
        made["TimeStamp"] = {"URL": PdfString(seed.timestamp_url.encode("ascii")), "Ff": 1}
    if seed.certification is not None:
        made["MDP"] = {"P": seed.certification}
    return {**made, "Ff": flags}


def _check(document: Document, fields: Sequence[NewField]) -> None:
    """Whether fields may be added, and whether their names are free."""
    inventory = Inventory(document)
    if inventory.dictionaries:
        _refuse("signed")
    revision = document.last
    form = revision.dictionary(revision.catalog.get("AcroForm"))
    if form is not None and "XFA" in form:
        _refuse("xfa")
    taken = {field.name for field in listed(revision)}
    for number, field in enumerate(fields):
        above = any(name.startswith(f"{field.name}.") for name in taken)
        if field.name in taken or above:
            raise _wrong(number, "name: there is a field of this name")
        taken.add(field.name)


def _read(work: Callable[[], T]) -> T:
    try:
        return work()
    except LimitError as error:
        raise DocumentError("document_too_complex", limit=error.limit) from None
    except (PdfError, RecursionError):
        raise DocumentError("document_unreadable") from None


def _wrong(number: int, reason: str) -> RequestError:
    return RequestError("invalid_request", reason=f"fields[{number}].{reason}")


def _refuse(reason: str) -> NoReturn:
    raise DocumentError("fields_not_permitted", reason=reason)


__all__ = ["FieldLock", "NewField", "Seed", "add_fields", "fields_of"]
