"""What the verify page does with the files of its form: pairs, verdicts, pictures, downloads, commands."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from signsvc.errors import RequestError, SignsvcError
from signsvc.issuing import registry
from signsvc.messages import text
from signsvc.reports import acceptance
from signsvc.verification import VerifyRequest
from signsvc.web import body as bodies
from signsvc.web.api.verify import kept
from signsvc.web.app import now, state
from signsvc.web.context import current
from signsvc.web.models import VerifyParams
from signsvc.web.problems import checked

if TYPE_CHECKING:
    from signsvc.verification.pictures import Box, Pictures

MOST_FILES = 20
MOST_DRAWN = 5  # files whose pages are shown
_PAIRED = (".p7s", ".p7m", ".sig", ".xml", ".tsr")
FORMS = ("pdf", "json", "xml", "jwt", "html")
# How long downloads of a page work where reports are not open to everyone.
_DOWNLOADS = timedelta(days=1)
_NOTHING = Markup("")
_WISHES = ("policy", "at", "accept", "issuer")


@dataclass(frozen=True, slots=True)
class Mark:
    """A box on a page in thousandths, for SVG."""

    x: float
    y: float
    width: float
    height: float
    label: str = ""

    @classmethod
    def of(cls, box: Box, label: str = "") -> Mark:
        x, y, width, height = (round(value * 1000, 1) for value in (box.x, box.y, box.width, box.height))
        return cls(x, y, width, height, label)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page with its marks; pictures as data URIs."""

    page: int
    now: str | None
    signed: str | None
    changed: tuple[Mark, ...]
    fields: tuple[Mark, ...]
    seals: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What the page shows of one file: a report, or why there is none."""

    name: str
    report: Mapping[str, Any] | None = None
    problem: str | None = None
    fragment: Markup = _NOTHING
    sheets: tuple[Sheet, ...] = ()
    changed: bool = False
    more_pages: int = 0
    place: str | None = None
    shared: bool = False  # `place` ends after a day
    curl: str = ""
    command: str = ""
    prefix: str = field(default="")
    known: tuple[str, ...] = ()  # codes of what is known of exactly this file
    packet: Mapping[str, Any] | None = None
    parts: tuple[tuple[Mapping[str, Any], Markup], ...] = ()  # of a packet: attachments with their reports

    @property
    def seal(self) -> bool:
        """Whether a picture of a seal is shown, and nothing signed the document."""
        unsigned = self.report is not None and self.report["indication"] == "NO-SIGNATURE"
        return unsigned and any(sheet.seals for sheet in self.sheets)


def results(body: bodies.Body, params: Mapping[str, Any]) -> list[Result]:
    """Verify each file of the form.  One that cannot be processed among several spoils no other; alone, it raises."""
    wishes = dict(params)
    wishes.pop("api_key", None)
    wishes = {name: value for name, value in wishes.items() if value != ""}
    if "at" in wishes:
        wishes["at"] = _moment(str(wishes["at"]))
    uploads = [body.document, *body.more]
    if len(uploads) > MOST_FILES:
        raise RequestError("invalid_request", reason="too many documents")
    pairs = list(_pairs(uploads, body.originals))
    found = []
    for number, (upload, originals) in enumerate(pairs):
        one = bodies.Body(upload, wishes, body.supplied, originals)
        prefix = f"f{number + 1}-" if len(pairs) > 1 else ""
        try:
            report = kept(one, state().config.policy)
            if any(message["code"] == "edxml_is_a_packet" for message in report["messages"]):
                found.append(_packet(upload, report, wishes, prefix))
                continue
        except SignsvcError as error:
            if len(pairs) == 1:
                raise
            found.append(Result(upload.name or "?", problem=error.text(current().lang), prefix=prefix))
            continue
        drawn = (
            _sheets(upload) if number < MOST_DRAWN and report["document"]["media_type"] == "application/pdf" else None
        )
        found.append(_result(upload, report, wishes, originals, drawn, prefix))
    return found


def of_report(report: Mapping[str, Any], place: str | None) -> Result:
    """A stored report, whose file is gone."""
    from signsvc.reports.html import render_fragment

    if "packet" in report:
        return _of_packet(report["document"].get("name") or "edXML", report, "")
    fragment = Markup(render_fragment(report, current().lang))  # noqa: S704 - escaped by its own template
    return Result(report["document"]["name"] or "?", report, fragment=fragment, place=place)


def _result(
    upload: bodies.Upload,
    report: Mapping[str, Any],
    wishes: Mapping[str, Any],
    originals: Sequence[bodies.Upload],
    drawn: Pictures | None,
    prefix: str,
) -> Result:
    from signsvc.reports.html import render_fragment

    fragment = render_fragment(report, current().lang, prefix=prefix)
    made = Result(
        upload.name or "?",
        report,
        fragment=Markup(fragment),  # noqa: S704 - escaped by its own template
        place=f"/verify/{report['id']}",
        known=_known(upload.sha256),
        curl=_curl(upload, wishes, originals),
        command=_command(upload, wishes, originals),
        prefix=prefix,
    )
    if not state().config.open_verify:
        moment = now()
        caller = current().caller
        link = state().services.store.reports.share(
            report["id"], now=moment, until=moment + _DOWNLOADS, owner=caller.id if caller else None
        )
        made = replace(made, place=f"/r/{link.secret}", shared=True)
    if drawn is None:
        return made
    sheets = tuple(
        Sheet(
            one.page,
            _uri(one.now),
            _uri(one.signed),
            tuple(map(Mark.of, one.changed)),
            tuple(Mark.of(field.box, field.name) for field in one.fields),
            tuple(map(Mark.of, one.seals)),
        )
        for one in drawn.shown
    )
    changed = any(sheet.changed for sheet in sheets)
    return replace(made, sheets=sheets, changed=changed, more_pages=max(drawn.pages - len(sheets), 0))


def _known(sha256: str) -> tuple[str, ...]:
    """Whether exactly this file was signed here, or is a report that was given out here."""
    store = state().services.store
    found = []
    if (copy := store.reports.copy(sha256)) is not None:
        found.append("report_no_longer" if store.reports.deletion(copy.report_id) else "report_unchanged")
    if store.reports.signed(sha256, limit=1):
        found.append("page_signed_here")
    return tuple(found)


def _packet(upload: bodies.Upload, report: Mapping[str, Any], wishes: Mapping[str, Any], prefix: str) -> Result:
    """An edXML packet: what counts are its attachments."""
    params = checked(VerifyParams, wishes)
    config = state().config
    asked = VerifyRequest(policy=params.policy or config.policy, at=params.at, name=upload.name)
    found = state().services.verifier.verify_edxml(upload.path, asked)
    if params.accept:
        found["acceptance"] = acceptance.accept_packet(found, acceptance.rule(params.accept, config.acceptance))
    caller = current().caller
    registry.keep(state().services.store, found, None, now=now(), owner=caller.id if caller else None)
    made = _of_packet(upload.name or "?", {**found, "document": report["document"]}, prefix)
    return replace(
        made,
        curl=_curl(upload, wishes, ()).replace("/v1/verify", "/v1/edxml/verify"),
        command=_command(upload, {n: wishes[n] for n in ("policy", "accept") if n in wishes}, ()).replace(
            "signsvc verify", "signsvc edxml verify"
        ),
    )


def _of_packet(name: str, found: Mapping[str, Any], prefix: str) -> Result:
    from signsvc.reports.html import render_fragment

    parts = []
    for number, one in enumerate(found["attachments"], 1):
        held = one["report"]
        inner = render_fragment(held, current().lang, prefix=f"{prefix}a{number}-") if held else ""
        parts.append((one, Markup(inner)))  # noqa: S704 - escaped by its own template
    return Result(name, {**found, "signatures": ()}, prefix=prefix, packet=found, parts=tuple(parts))


def _sheets(upload: bodies.Upload) -> Pictures | None:
    """Pages to look at; None where they cannot be drawn, which says nothing of the verdict."""
    try:
        return state().services.verifier.pictures(upload.path)
    except SignsvcError:
        return None


def _uri(picture: bytes | None) -> str | None:
    return None if picture is None else "data:image/jpeg;base64," + base64.b64encode(picture).decode("ascii")


def _pairs(
    uploads: Sequence[bodies.Upload], originals: tuple[bodies.Upload, ...]
) -> Iterator[tuple[bodies.Upload, tuple[bodies.Upload, ...]]]:
    """Files to verify, each with what it is over: ``a.pdf.p7s`` or ``a.p7s`` is over ``a.pdf`` of the same form."""
    taken: set[int] = set()
    pairs: list[tuple[int, tuple[bodies.Upload, ...]]] = []
    for number, one in enumerate(uploads):
        name = (one.name or "").lower()
        suffix = next((s for s in _PAIRED if name.endswith(s)), None)
        over: list[int] = []
        if suffix is not None:
            stem = name[: -len(suffix)]
            names = [(other, (uploads[other].name or "").lower()) for other in range(len(uploads)) if other != number]
            over = [other for other, called in names if called == stem]
            if not over and suffix != ".xml":
                over = [other for other, called in names if called.rpartition(".")[0] == stem]
        taken.update(over)
        pairs.append((number, tuple(uploads[other] for other in over)))
    for number, over_files in pairs:
        if number not in taken:
            yield uploads[number], over_files or originals


def _moment(value: str) -> str:
    """The time of the form, which browsers send without an offset: Vietnam's."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise RequestError("invalid_request", reason="at: a date and time") from None
    if found.tzinfo is not None:
        return value
    return (found - timedelta(hours=7)).replace(tzinfo=UTC).isoformat()


def _curl(upload: bodies.Upload, wishes: Mapping[str, Any], originals: Sequence[bodies.Upload]) -> str:
    parts = ["curl", "-H", "Authorization: Bearer $SIGNSVC_KEY"]
    for name in _WISHES:
        if name in wishes:
            parts += ["-F", f"{name}={wishes[name]}"]
    parts += ["-F", f"document=@{upload.name or 'document'}"]
    parts += [part for one in originals for part in ("-F", f"original=@{one.name or 'original'}")]
    quoted = " ".join(map(shlex.quote, [*parts, f"{state().config.public_url or 'https://…'}/v1/verify"]))
    # The shell puts the key in its place.
    return quoted.replace("'Authorization: Bearer $SIGNSVC_KEY'", '"Authorization: Bearer $SIGNSVC_KEY"')


def _command(upload: bodies.Upload, wishes: Mapping[str, Any], originals: Sequence[bodies.Upload]) -> str:
    parts = ["signsvc", "verify", upload.name or "document"]
    for name in _WISHES:
        if name in wishes:
            parts += [f"--{name}", str(wishes[name])]
    parts += [part for one in originals for part in ("--original", one.name or "original")]
    return " ".join(map(shlex.quote, parts))


def summary(result: Result) -> tuple[str, str, str]:
    """Class, mark and words of the verdict of one file among several."""
    if result.report is None:
        return "open", "?", result.problem or ""
    from signsvc.reports.html import helpers

    lang = current().lang
    tools = helpers(lang)
    return tools["look"](result.report), tools["mark"](result.report), tools["verdict"](result.report)


def decision(report: Mapping[str, Any]) -> str | None:
    """The acceptance decision in words."""
    made = report.get("acceptance")
    return None if made is None else text(f"decision_{made['decision']}", current().lang)


__all__ = ["FORMS", "MOST_FILES", "Result", "decision", "of_report", "results", "summary"]
