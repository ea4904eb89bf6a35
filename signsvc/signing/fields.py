"""Fields laid out before the first signature: what a caller asks for, and a document with it (ISO 32000-2 §12.7)."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.errors import DocumentError, InternalError, RequestError
from signsvc.signing.workfile import WorkFile, work_file

if TYPE_CHECKING:
    from signsvc.formats.pades.prepare_fields import FieldLock, NewField, Seed
    from signsvc.signing.appearance.layout import Fonts

MAX_FIELDS = 50  # laid out at once
MAX_NAME = 127
_MOST_VALUES = 50  # of one constraint, and names of one lock
_MOST_DER = 16 << 10  # octets of one certificate
_MEMBERS = frozenset(("name", "kind", "page", "rect", "lock", "seed"))
_KINDS = ("signature", "text")
_ACTIONS = ("All", "Include", "Exclude")
_FORMATS = ("ETSI.CAdES.detached", "adbe.pkcs7.detached")
_DIGESTS = ("SHA256", "SHA384", "SHA512")
_SEED = frozenset(("formats", "digests", "reasons", "subjects", "issuers", "timestamp_url", "certification"))


@dataclass(frozen=True, slots=True)
class FieldsResult:
    """A document with the fields `added`; `fields` are all that it has now, as `described`."""

    added: tuple[str, ...]
    fields: tuple[dict[str, Any], ...]
    sha256: str
    size: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FieldsResult:
        """Raises `KeyError`, `TypeError`, `ValueError` where it is none."""
        fields = tuple(dict(field) for field in data["fields"])
        return cls(tuple(map(str, data["added"])), fields, str(data["sha256"]), int(data["size"]))


def prepare(source: Path, target: Path, fields: Sequence[NewField], *, fonts: Fonts) -> FieldsResult:
    """Write the PDF at `source` with `fields` in one further revision to `target` (which may be the same path); with
    no fields, as it is.

    Raises what `formats.pades.prepare_fields.add_fields` raises, `DocumentError` (``unsupported_format``,
    ``empty_document``), `StorageError`, and `InternalError` (``self_check_failed``).
    """
    from signsvc.formats.pades.fonts import Font
    from signsvc.formats.pades.prepare_fields import add_fields

    with work_file(source, target) as work:
        before = _listed(work)
        added = add_fields(work.stream, fields, lambda: Font.load(fonts.regular).for_forms()) if fields else ()
        work.stream.flush()
        found = _listed(work) if fields else before
        for field, entry in zip(fields, found[len(before) :], strict=False):
            if (field.name, field.kind, entry["filled"]) != (entry["name"], entry["kind"], False):
                raise InternalError("self_check_failed", reason="fields")
        if len(found) != len(before) + len(fields):
            raise InternalError("self_check_failed", reason="fields")
        sha256, size = work.commit()
    return FieldsResult(added, tuple(found), sha256, size)


def _listed(work: WorkFile) -> list[dict[str, Any]]:
    from signsvc.formats.pades.prepare_fields import fields_of
    from signsvc.verification import sniff
    from signsvc.verification.files import opened

    with opened(work.path) as data:
        head = bytes(data[:1024])
        if sniff.media_type(head, len(data)) != sniff.PDF:
            raise DocumentError("unsupported_format")
        found = fields_of(data)
    return [
        {
            "name": field.name,
            "kind": field.kind,
            "filled": field.filled,
            "value": field.value,
            "page": field.page,
            "rect": [round(side, 3) for side in field.rect] if field.rect else None,
            "lock": lock_json(field.lock) if field.lock else None,
            "seeded": field.seeded,
        }
        for field in found
    ]


def lock_json(lock: FieldLock) -> dict[str, Any]:
    return {"action": lock.action, "fields": list(lock.fields), "permissions": lock.permissions}


def parse(values: Any) -> tuple[NewField, ...]:
    """Fields from the members of a request, unknown ones refused.  Raises `RequestError` (``invalid_request``)."""
    if not isinstance(values, list | tuple) or len(values) > MAX_FIELDS:
        raise _wrong(f"fields: a list of at most {MAX_FIELDS}")
    found = tuple(_field(value, f"fields[{number}]") for number, value in enumerate(values))
    if len({field.name for field in found}) != len(found):
        raise _wrong("fields: two of one name")
    return found


def to_json(fields: Iterable[NewField]) -> list[dict[str, Any]]:
    """What `parse` makes the same fields of."""
    found = []
    for field in fields:
        entry: dict[str, Any] = {"name": field.name, "kind": field.kind, "page": field.page}
        if field.rect is not None:
            entry["rect"] = list(field.rect)
        if field.lock is not None:
            entry["lock"] = {key: value for key, value in lock_json(field.lock).items() if value not in (None, [])}
        if field.seed is not None:
            seed = {key: value for key, value in asdict(field.seed).items() if value not in (None, ())}
            for key in ("subjects", "issuers"):
                if key in seed:
                    seed[key] = [base64.b64encode(der).decode("ascii") for der in seed[key]]
            entry["seed"] = seed
        found.append(entry)
    return found


def _field(value: Any, where: str) -> NewField:
    from signsvc.formats.pades.prepare_fields import NewField

    if not isinstance(value, Mapping) or set(value) - _MEMBERS:
        raise _wrong(f"{where}: an object with {', '.join(sorted(_MEMBERS))}")
    name = _text(value.get("name"), f"{where}.name", MAX_NAME)
    if "." in name or name != name.strip():
        raise _wrong(f"{where}.name: a name without dots")
    kind, page = value.get("kind", "signature"), value.get("page", 1)
    if kind not in _KINDS:
        raise _wrong(f"{where}.kind: signature or text")
    if type(page) is not int or page < -1 or page == 0:
        raise _wrong(f"{where}.page: from 1, or -1 for the last")
    rect = _rect(value.get("rect"), f"{where}.rect")
    if kind == "text" and rect is None:
        raise _wrong(f"{where}.rect: a text field is seen")
    if kind == "text" and (value.get("lock") is not None or value.get("seed") is not None):
        raise _wrong(f"{where}: signature fields have a lock or a seed")
    return NewField(
        name, kind, page, rect, _lock(value.get("lock"), f"{where}.lock"), _seed(value.get("seed"), f"{where}.seed")
    )


def _rect(value: Any, where: str) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 4 or not all(type(side) in (int, float) for side in value):
        raise _wrong(f"{where}: [left, bottom, right, top] in points")
    left, bottom, right, top = map(float, value)
    if not all(map(math.isfinite, (left, bottom, right, top))) or right - left < 1 or top - bottom < 1:
        raise _wrong(f"{where}: [left, bottom, right, top] in points")
    return left, bottom, right, top


def _lock(value: Any, where: str) -> FieldLock | None:
    from signsvc.formats.pades.prepare_fields import FieldLock

    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) - {"action", "fields", "permissions"}:
        raise _wrong(f"{where}: an object with action, fields, permissions")
    action, permissions = value.get("action"), value.get("permissions")
    if action not in _ACTIONS:
        raise _wrong(f"{where}.action: one of {', '.join(_ACTIONS)}")
    names = _texts(value.get("fields"), f"{where}.fields")
    if (action == "All") == bool(names):
        raise _wrong(f"{where}.fields: names with Include or Exclude, none with All")
    # level 1 would forbid the agency's signature that has to follow
    if permissions is not None and (type(permissions) is not int or permissions not in (2, 3)):
        raise _wrong(f"{where}.permissions: 2 or 3")
    return FieldLock(action, names, permissions)


def _seed(value: Any, where: str) -> Seed | None:
    from signsvc.formats.pades.prepare_fields import Seed

    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) - _SEED or not value:
        raise _wrong(f"{where}: an object with some of {', '.join(sorted(_SEED))}")
    formats, digests = _texts(value.get("formats"), f"{where}.formats"), _texts(value.get("digests"), where)
    if set(formats) - set(_FORMATS):
        raise _wrong(f"{where}.formats: some of {', '.join(_FORMATS)}")
    if set(digests) - set(_DIGESTS):
        raise _wrong(f"{where}.digests: some of {', '.join(_DIGESTS)}")
    level, url = value.get("certification"), value.get("timestamp_url")
    if level is not None and (type(level) is not int or level not in (0, 2, 3)):
        raise _wrong(f"{where}.certification: 0, 2 or 3")
    if url is not None and not (
        _text(url, f"{where}.timestamp_url", 300).isascii() and url.startswith(("http://", "https://"))
    ):
        raise _wrong(f"{where}.timestamp_url: an address")
    return Seed(
        formats=formats,
        digests=digests,
        reasons=_texts(value.get("reasons"), f"{where}.reasons"),
        subjects=_certificates(value.get("subjects"), f"{where}.subjects"),
        issuers=_certificates(value.get("issuers"), f"{where}.issuers"),
        timestamp_url=url,
        certification=level,
    )


def _text(value: Any, where: str, most: int) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > most or not value.isprintable():
        raise _wrong(f"{where}: a text of at most {most} characters")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > _MOST_VALUES:
        raise _wrong(f"{where}: a list of at most {_MOST_VALUES} texts")
    return tuple(_text(one, where, MAX_NAME) for one in value)


def _certificates(value: Any, where: str) -> tuple[bytes, ...]:
    from signsvc.asn1 import DerError
    from signsvc.types import Certificate

    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > _MOST_VALUES:
        raise _wrong(f"{where}: a list of certificates")
    found = []
    for one in value:
        try:
            if not isinstance(one, str) or len(one) > 2 * _MOST_DER:
                raise ValueError
            found.append(Certificate.from_der(base64.b64decode(one, validate=True)).der)
        except (ValueError, binascii.Error, DerError):
            raise _wrong(f"{where}: certificates (DER) in base64") from None
    return tuple(found)


def _wrong(reason: str) -> RequestError:
    return RequestError("invalid_request", reason=reason)


__all__ = ["MAX_FIELDS", "FieldsResult", "parse", "prepare", "to_json"]
