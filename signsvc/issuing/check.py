"""Is a report that somebody hands in ours, unchanged, and about this file?

What left this service is known by its digest, so that nothing in an upload has to be believed: no id, no claim, no
name.  Only where a digest is unknown is the upload looked into, for a seal of ours.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.errors import DocumentError, RequestError
from signsvc.issuing.seal import UNSEALED, Sealer
from signsvc.messages import text
from signsvc.reports import svt

if TYPE_CHECKING:
    from signsvc.store import Store, StoredReport

# Octets of a report that is looked into in memory; larger ones are known by their digest or not at all.
MAX_REPORT = 8 << 20
_TOKEN = re.compile(rb"\s*([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)\s*\Z")

# What our seal on an XML report covers.
_XML_ROOT = "/ValidationReport"

# The verification report of a file, certificates (DER) given as trusted: a PDF or XML under our seal.
Judge = Callable[[Path, tuple[bytes, ...]], Mapping[str, Any]]


class State(StrEnum):
    UNCHANGED = "unchanged"  # given out here, to the octet
    SEALED = "sealed"  # under our seal, not in this register; accepted where it is a token
    KNOWN = "known"  # no upload: the id is of a report kept here
    ALTERED = "altered"
    UNSEALED = "unsealed"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer.  `accepted`: a report of ours, unchanged, and about the file where one was asked about."""

    state: State
    accepted: bool
    reasons: tuple[str, ...]
    form: str | None = None
    sealed: bool = False
    report_id: str | None = None
    report: Mapping[str, Any] | None = None
    sha256: str | None = None
    about: bool | None = None

    def json(self) -> dict[str, Any]:
        """The answer as it leaves the house; reasons with their codes and texts."""
        body = self.report
        return {
            "accepted": self.accepted,
            "state": self.state.value,
            "form": self.form,
            "sealed": self.sealed,
            "report": None
            if self.report_id is None
            else {
                "id": self.report_id,
                "href": f"/v1/reports/{self.report_id}",
                "indication": body.get("indication") if body else None,
                "validation_time": body.get("validation_time") if body else None,
                "document_sha256": (body.get("document") or {}).get("sha256") if body else None,
            },
            "document": None if self.sha256 is None else {"sha256": self.sha256, "matches": self.about},
            "reasons": [{"code": code, "text": text(code, "en"), "text_vi": text(code, "vi")} for code in self.reasons],
        }


def check(
    store: Store,
    upload: Path | None,
    *,
    sealer: Sealer,
    judge: Judge,
    report_id: str | None = None,
    sha256: str | None = None,
) -> Checked:
    """Judge a report: the file `upload`, or by `report_id` alone one that is kept here; with `sha256` (hex) whether it
    is about that file.  With both, the upload must be a copy of that very report.

    Raises `RequestError` (invalid_request) where neither is given, and what `judge` raises for files that cannot be
    processed never: those are unknown.
    """
    if upload is None and report_id is None:
        raise RequestError("invalid_request", reason="a report or report_id is needed")
    found = _by_id(store, str(report_id)) if upload is None else _by_octets(store, upload, sealer, judge)
    if upload is not None and report_id is not None and found.accepted and found.report_id != report_id:
        found = Checked(State.ALTERED, False, ("report_altered",), found.form, found.sealed, report_id)
    return found if sha256 is None else _about(found, sha256.lower())


def _about(found: Checked, sha256: str) -> Checked:
    named = ((found.report or {}).get("document") or {}).get("sha256")
    about = None if not named else named == sha256
    code = {True: "report_about_file", False: "report_about_another_file", None: "report_file_untold"}[about]
    reasons = (*found.reasons, code) if found.accepted or about is False else found.reasons
    return Checked(
        found.state,
        found.accepted and about is True,
        reasons,
        found.form,
        found.sealed,
        found.report_id,
        found.report,
        sha256,
        about,
    )


def _by_id(store: Store, report_id: str) -> Checked:
    stored, deleted = _stored(store, report_id)
    if stored is None:
        return _deleted(report_id) if deleted else Checked(State.UNKNOWN, False, ("report_unknown",))
    return Checked(State.KNOWN, True, ("report_known",), report_id=report_id, report=stored.body)


def _by_octets(store: Store, path: Path, sealer: Sealer, judge: Judge) -> Checked:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        data = file.read(MAX_REPORT + 1)
    form = _form(data)
    if form == "jwt":
        # Before the register: a token without our seal is nobody's word, wherever it was made.
        token = _TOKEN.match(data)
        return _token(store, token[1].decode("ascii") if token else "", sealer)
    copy = store.reports.copy(digest)
    if copy is not None:
        stored, _ = _stored(store, copy.report_id)
        if stored is None:
            return _deleted(copy.report_id, copy.form, sealed=copy.sealed)
        return Checked(
            State.UNCHANGED, True, ("report_unchanged",), copy.form, copy.sealed, copy.report_id, stored.body
        )
    if len(data) > MAX_REPORT:
        return Checked(State.UNKNOWN, False, ("report_unknown",), form)
    if form == "json":
        return _json(store, data)
    if form in ("pdf", "xml") and sealer.certificate is not None and _under_seal(path, sealer, judge):
        # Whoever may sign documents with that key could have made it: the seal alone does not make a report of it.
        return Checked(State.SEALED, False, ("report_seal_intact",), form, True)
    return Checked(State.UNKNOWN, False, ("report_unknown",), form)


def _form(data: bytes) -> str | None:
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"%PDF-"):
        return "pdf"
    if start.startswith(b"{"):
        return "json"
    if start.startswith(b"<"):
        return "html" if start[:9].lower() == b"<!doctype" or start[:5].lower() == b"<html" else "xml"
    return "jwt" if len(data) <= MAX_REPORT and _TOKEN.match(data) else None


def _json(store: Store, data: bytes) -> Checked:
    """JSON is the same whatever its spaces and the order of its members are."""
    try:
        value = _loads(data)
    except (ValueError, RecursionError):
        return Checked(State.UNKNOWN, False, ("report_unknown",), "json")
    identifier = value.get("id") if isinstance(value, dict) else None
    if not isinstance(identifier, str):
        return Checked(State.UNKNOWN, False, ("report_unknown",), "json")
    stored, deleted = _stored(store, identifier)
    if stored is None:
        # What a deleted report said is not kept: nothing can be said of this copy of it.
        return _deleted(identifier, "json") if deleted else Checked(State.UNKNOWN, False, ("report_unknown",), "json")
    if _canonical(value) != _canonical(stored.body):
        return Checked(State.ALTERED, False, ("report_altered",), "json", report_id=identifier)
    return Checked(State.UNCHANGED, True, ("report_unchanged",), "json", False, identifier, stored.body)


def _loads(data: bytes) -> Any:
    def refuse(_: str) -> Any:
        raise ValueError

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) != len(pairs):
            raise ValueError  # two readers would see two reports
        return found

    return json.loads(data.decode("utf-8-sig"), parse_constant=refuse, object_pairs_hook=unique)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _token(store: Store, token: str, sealer: Sealer) -> Checked:
    if svt.header(token).get("kid") == UNSEALED or not sealer.sealed:
        return Checked(State.UNSEALED, False, ("report_token_unsealed",), "jwt")
    claimed = sealer.opened(token)
    if claimed is None:
        return Checked(State.UNKNOWN, False, ("report_token_invalid",), "jwt")
    said = svt.about(claimed)
    identifier = said.get("id") or None
    stored, deleted = _stored(store, identifier) if identifier else (None, False)
    if deleted and identifier:
        return _deleted(identifier, "jwt", sealed=True)
    if stored is not None:
        return Checked(State.UNCHANGED, True, ("report_unchanged",), "jwt", True, identifier, stored.body)
    # Document signatures are over structures that are no token, so that this key signed it as one.
    body = {
        "indication": said.get("indication"),
        "validation_time": said.get("validation_time"),
        "document": {"sha256": said.get("sha256")},
    }
    return Checked(State.SEALED, True, ("report_token_intact",), "jwt", True, identifier, body)


def _under_seal(path: Path, sealer: Sealer, judge: Judge) -> bool:
    """Whether our seal stands on all of the file, and nothing but later proofs was added."""
    own = sealer.certificate
    if own is None:
        return False
    try:
        report = judge(path, (own.der,))
    except DocumentError:
        return False
    for one in report.get("signatures", ()):
        if (one.get("certificate") or {}).get("sha256") != own.sha256.hex() or one["indication"] != "TOTAL-PASSED":
            continue
        if any(change["grade"] != "extension" for change in one["scope"]["changes_after"]):
            continue
        if report["document"]["media_type"] == "application/pdf" or any(
            bound["ref"] == _XML_ROOT for bound in one["binding"]["data"]
        ):
            return True
    return False


def _stored(store: Store, identifier: str) -> tuple[StoredReport | None, bool]:
    """The stored report, or whether it was deleted."""
    try:
        return store.reports.get(identifier), False
    except RequestError as error:
        return None, error.code == "report_deleted"


def _deleted(report_id: str, form: str | None = None, *, sealed: bool = False) -> Checked:
    return Checked(State.DELETED, False, ("report_no_longer",), form, sealed, report_id)


__all__ = ["MAX_REPORT", "Checked", "Judge", "State", "check"]
