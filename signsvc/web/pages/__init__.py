"""Pages for people: verify a document, read the documentation.  Everything works without scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from markupsafe import Markup

from signsvc.errors import PROBLEMS, RequestError
from signsvc.messages import problems as problem_texts
from signsvc.messages import text
from signsvc.reports import acceptance
from signsvc.store import Scope
from signsvc.web import auth
from signsvc.web import body as bodies
from signsvc.web.api.verify import rendered
from signsvc.web.app import CONTENT_POLICY, now, state
from signsvc.web.context import current
from signsvc.web.contract import openapi
from signsvc.web.pages import checking

blueprint = Blueprint("pages", __name__)


@blueprint.app_context_processor
def _words() -> dict[str, Any]:
    lang = current().lang

    def label(code: str, **data: object) -> str:
        return text(code, lang, data)

    return {"t": label, "lang": lang, "nonce": current().nonce, "other": "en" if lang == "vi" else "vi"}


@blueprint.get("/")
def home() -> Any:
    return redirect(url_for("pages.form", lang=request.args.get("lang")), 303)


@blueprint.get("/verify")
def form() -> str:
    found = state().policies().values()
    return render_template(
        "verify.html",
        policies=found,
        default=state().config.policy,
        key_needed=not state().config.open_verify,
        rules=acceptance.rules(state().config.acceptance).values(),
    )


@blueprint.post("/verify")
def check() -> Response:
    """Verify the files of the form and show the verdicts."""
    _same_origin()
    config = state().config
    with state().slots.taken(), bodies.spooled(config.body) as directory:
        body = bodies.read(request, directory, config.body, None if config.open_verify else _admit, several=True)
        found = checking.results(body, body.params)
    response = Response(_page(found))
    # Pictures of pages stand in the answer itself: nothing of the file is kept to be fetched.
    response.headers["Content-Security-Policy"] = CONTENT_POLICY.replace("img-src", "img-src data:").format(
        nonce=current().nonce
    )
    return response


def _admit(fields: Mapping[str, str]) -> None:
    """Whoever has no key sends no document: the form gives the key first."""
    auth.accept(auth.check(state().services.store, fields.get("api_key", ""), (Scope.VERIFY,)))


@blueprint.get("/verify/<identifier>")
def stored(identifier: str) -> str:
    """A stored report, for those who know its unguessable name, where the verify page is open."""
    if not state().config.open_verify:
        raise RequestError("not_found")
    return _report(dict(state().services.store.reports.get(identifier).body))


@blueprint.get("/verify/<identifier>.<any(json, html, xml, pdf, jwt):form>")
def stored_as(identifier: str, form: str) -> Response:
    """The same in another form."""
    if not state().config.open_verify:
        raise RequestError("not_found")
    return rendered(dict(state().services.store.reports.get(identifier).body), form)


@blueprint.get("/r/<secret>")
@blueprint.get("/r/<secret>.<any(json, html, xml, pdf, jwt):form>")
def shared(secret: str, form: str | None = None) -> Any:
    """A report for whoever was given the link, until that expires; its name is never told to other sites."""
    report = dict(state().services.store.reports.shared(secret, now=now()).body)
    answer = rendered(report, form) if form else Response(_report(report, f"/r/{secret}"))
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Robots-Tag"] = "noindex"
    answer.headers["Cache-Control"] = "no-store"
    if form:
        answer.headers.pop("Content-Location", None)
    return answer


@blueprint.get("/docs")
def docs() -> str:
    return render_template("docs.html", document=openapi(current_app, state().config.public_url))


@blueprint.get("/docs/problems")
def problems() -> str:
    lang = current().lang
    texts = problem_texts()
    rows = [
        (code, spec, re.sub(r"{\w+}", "…", texts[code][lang]))
        for code, spec in sorted(PROBLEMS.items(), key=lambda e: (e[1].status, e[0]))
    ]
    return render_template("problems.html", rows=rows)


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    return current_app.send_static_file("mark.svg")


def _report(report: dict[str, Any], place: str | None = None) -> str:
    if place is None and state().config.open_verify:
        place = url_for("pages.stored", identifier=report["id"])
    return _page([checking.of_report(report, place)])


def _page(results: list[checking.Result]) -> str:
    from signsvc.reports.html import style

    one = results[0] if len(results) == 1 else None
    title = text("page_results", current().lang, {"count": len(results)})
    if one is not None and one.report is not None:
        title = text("conclusion_" + one.report["indication"].lower().replace("-", "_"), current().lang)
    return render_template(
        "result.html",
        title=title,
        results=results,
        style=Markup(style()),  # noqa: S704 - ours
        link=one.place if one is not None and not one.shared else None,
        forms=checking.FORMS,
        summary=checking.summary,
        decision=checking.decision,
    )


def _same_origin() -> None:
    """Refuse a form sent from another site: the page has no cookies to steal, but its work is not for others."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        raise RequestError("forbidden")
    own = {request.host, urlsplit(state().config.public_url).netloc}
    if origin is not None and urlsplit(origin).netloc not in own - {""}:
        raise RequestError("forbidden")
