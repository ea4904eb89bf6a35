"""``signsvc verify``: verdicts for files, for people and (``--json``) for programs."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli import files
from signsvc.cli.root import (
    EXIT_FAILED,
    EXIT_INDETERMINATE,
    EXIT_NO_SIGNATURE,
    EXIT_PASSED,
    EXIT_PROBLEM,
    show_error,
)
from signsvc.errors import DocumentError, SignsvcError

if TYPE_CHECKING:
    from signsvc.issuing.seal import Sealer
    from signsvc.reports.acceptance import Rule
    from signsvc.trust.fetching import Fetch
    from signsvc.verification import Outcome, Verifier, VerifyRequest
    from signsvc.verification.model import OriginalFile

_CODES = {
    "TOTAL-PASSED": EXIT_PASSED,
    "TOTAL-FAILED": EXIT_FAILED,
    "INDETERMINATE": EXIT_INDETERMINATE,
    "NO-SIGNATURE": EXIT_NO_SIGNATURE,
}
_FORMS = ("json", "html", "xml", "pdf", "jwt")
_SIGNATURE_FILES = (".p7s", ".p7m", ".sig", ".xml", ".xades")
# Several files: 4 over 1 over 2 over 3 over 0.
_WORST = (EXIT_PROBLEM, EXIT_FAILED, EXIT_INDETERMINATE, EXIT_NO_SIGNATURE, EXIT_PASSED)


class _Rfc3339(click.ParamType["datetime"]):
    name = "RFC3339"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail("expected a time such as 2026-11-23T08:00:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail("a time zone is needed, such as Z or +07:00", param, ctx)
        return moment.astimezone(UTC)


_FILE = click.Path(path_type=Path)
_INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=_FILE)
@click.option("--policy", help="Validation policy.  [default: hon-hop]")
@click.option("--at", type=_Rfc3339(), help="Judge as of this time instead of now.")
@click.option("--trust-anchor", "anchors", multiple=True, type=_INPUT, help="Trust this certificate for this call.")
@click.option("--cert", "certificates", multiple=True, type=_INPUT, help="A further intermediate certificate.")
@click.option("--crl", "crls", multiple=True, type=_INPUT, help="A CRL to take into account.")
@click.option(
    "--original",
    "originals",
    multiple=True,
    type=_INPUT,
    help="Signed content of a detached signature; may be given several times.",
)
@click.option(
    "--digest",
    "digests",
    multiple=True,
    metavar="ALG:HEX[:NAME]",
    help="Digest of signed content in place of the content, such as sha256:…; may be given several times.",
)
@click.option(
    "--must-cover",
    multiple=True,
    metavar="PATH",
    help="An element of XML files that every signature has to cover, such as /HDon/DLHDon.",
)
@click.option("--offline", is_flag=True, help="Use embedded, supplied and cached evidence only.")
@click.option("--accept", "accept_rule", metavar="RULE", help="Also say accept, reject or review by this rule.")
@click.option("--issuer", metavar="ID", help="Identifier of the agency that issued the documents, for such rules.")
@click.option(
    "--report",
    type=click.Choice(["json", "xml", "pdf", "html", "jwt"]),
    help="Write a report of this form per file.",
)
@click.option("--report-dir", type=click.Path(file_okay=False, path_type=Path), help="Where reports go.  [default: .]")
@click.option("--jobs", type=click.IntRange(1, 64), default=None, help="Files at a time.  [default: processors]")
@click.option("--json", "as_json", is_flag=True, help="One JSON report a line on standard output.")
@click.option("--lang", type=click.Choice(["vi", "en"]), default="vi", show_default=True, help="Language of the text.")
def verify(
    paths: tuple[Path, ...],
    policy: str | None,
    at: datetime | None,
    anchors: tuple[Path, ...],
    certificates: tuple[Path, ...],
    crls: tuple[Path, ...],
    originals: tuple[Path, ...],
    digests: tuple[str, ...],
    must_cover: tuple[str, ...],
    offline: bool,
    accept_rule: str | None,
    issuer: str | None,
    report: str | None,
    report_dir: Path | None,
    jobs: int | None,
    as_json: bool,
    lang: str,
) -> int:
    """Verify the signatures of files.  A directory means all files in it.

    A detached signature named after its content and beside it, such as a.docx.p7s, is verified over that file unless
    --original or --digest says otherwise.

    Exit codes: 0 all passed, 1 any TOTAL-FAILED, 2 any INDETERMINATE, 3 no signature, 4 could not process, 64 usage.
    """
    import gc

    # What is imported from here on lives as long as the process: looking through it for garbage costs a tenth of it.
    gc.set_threshold(100_000)
    from signsvc.paths import basics
    from signsvc.verification import TrustSource, Verifier, VerifyRequest
    from signsvc.verification.model import OriginalFile

    settings = basics()
    rule = _rule(accept_rule)
    todo = files.expand(paths)
    request = VerifyRequest(
        policy=policy or settings.policy,
        at=at,
        trust_anchors=files.read_ders(anchors, "CERTIFICATE"),
        certificates=files.read_ders(certificates, "CERTIFICATE"),
        crls=files.read_ders(crls, "X509 CRL"),
        offline=offline,
        originals=(*(OriginalFile(p.name, p.absolute()) for p in originals), *map(_digest, digests)),
        must_cover=must_cover,
        record=report in ("xml", "pdf"),
    )
    workers = min(jobs or os.cpu_count() or 1, max(len(todo), 1))
    codes: set[int] = set()
    sealer: Sealer | None = None
    trust = TrustSource(
        settings.trust_dir, settings.trust_profiles, (settings.policy_dir,), indexes=(settings.index_dir,)
    )
    with Verifier(trust, fetch=_fetch(), cached=_fetch(cached=True), workers=workers, fork=True) as verifier:

        def work(path: Path) -> Outcome | SignsvcError:
            return _one(verifier, path, request)

        with files.progress(len(todo), "Đang kiểm tra" if lang == "vi" else "Verifying") as step:
            for path, result in files.ordered(work, todo, workers):
                codes.add(_emit(path, result, rule, issuer, as_json=as_json, lang=lang))
                if report and not isinstance(result, SignsvcError):
                    sealer = sealer or _sealer(report)
                    _write(path, result, report, report_dir or Path(), lang, sealer)
                step()
    return next((code for code in _WORST if code in codes), EXIT_PASSED)


def _digest(text: str) -> OriginalFile:
    """``sha256:HEX`` with an optional name behind another colon."""
    from signsvc.algorithms import digest_by_name
    from signsvc.verification.model import OriginalFile

    name, _, rest = text.partition(":")
    value, _, called = rest.partition(":")
    found = digest_by_name(name.lower().replace("-", ""))
    try:
        octets = bytes.fromhex(value)
    except ValueError:
        octets = b""
    if found is None or len(octets) != found.size:
        raise click.UsageError("--digest: an algorithm, a colon, and the digest in hex, such as sha256:12ab…")
    return OriginalFile(called or text[:40], None, ((found.oid, octets),))


def _one(verifier: Verifier, path: Path, request: VerifyRequest) -> Outcome | SignsvcError:
    from dataclasses import replace

    if not path.is_file():
        return DocumentError("not_found")
    asked = replace(request, name=path.name)
    try:
        outcome = verifier.verify(path.absolute(), asked)
        if not asked.originals and _lacks_content(outcome.report) and (beside := _beside(path)) is not None:
            outcome = verifier.verify(path.absolute(), replace(asked, originals=(beside,)))
    except SignsvcError as error:
        if error.code in ("policy_not_found", "trust_profile_not_found"):
            raise  # the call is wrong, not the file
        return error
    except OSError:
        return DocumentError("document_unreadable")
    return outcome


def _lacks_content(report: dict[str, Any]) -> bool:
    return any(m["code"] == "signed_data_missing" for s in report["signatures"] for m in s["messages"])


def _beside(path: Path) -> OriginalFile | None:
    """The file that a signature file beside it is named after: ``a.docx`` of ``a.docx.p7s``."""
    from signsvc.verification.model import OriginalFile

    found = path.with_suffix("")
    ours = path.suffix.lower() in _SIGNATURE_FILES and found != path
    return OriginalFile(found.name, found.absolute()) if ours and found.is_file() else None


def _emit(
    path: Path, outcome: Outcome | SignsvcError, rule: Rule | None, issuer: str | None, *, as_json: bool, lang: str
) -> int:
    if isinstance(outcome, SignsvcError):
        if as_json:
            problem = {"code": outcome.code, "detail": outcome.text("en"), "detail_vi": outcome.text("vi")}
            click.echo(json.dumps({"document": {"name": path.name}, "problem": problem}, ensure_ascii=False))
        else:
            show_error(outcome, str(path))
        return EXIT_PROBLEM
    result = outcome.report
    if rule is not None:
        from signsvc.reports.acceptance import accept

        result["acceptance"] = accept(result, rule, issuer=issuer)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        from signsvc.cli.text import render

        click.echo(render(result, str(path), lang))
    return _CODES[result["indication"]]


def _rule(rule_id: str | None) -> Rule | None:
    if rule_id is None:
        return None
    from signsvc.paths import basics
    from signsvc.reports import acceptance

    return acceptance.rule(rule_id, (basics().policy_dir.parent / "acceptance",))


def _write(path: Path, outcome: Outcome, form: str, directory: Path, lang: str, sealer: Sealer) -> None:
    from signsvc.issuing.render import render
    from signsvc.verification import snapshot

    kept = outcome.snapshot
    directory.mkdir(parents=True, exist_ok=True)
    made = render(
        outcome.report,
        form,
        sealer=sealer,
        lang=lang,
        objects=lambda: None if kept is None else snapshot.objects(kept),
    )
    (directory / f"{path.name}.{form}").write_bytes(made.octets)


def _sealer(form: str) -> Sealer:
    """The configured seal where the form bears one."""
    from signsvc.issuing.seal import Sealer

    if form in ("json", "html"):
        return Sealer()
    from signsvc.services import Services

    services = Services.load()
    click.get_current_context().call_on_close(services.close)
    return services.sealer


def _fetch(*, cached: bool = False) -> Fetch:
    """Network values for the workers; the client and the settings are made at the first wish only."""
    client: Any = None

    def fetch(request: Any) -> Any:
        nonlocal client
        if client is None:
            from signsvc.services import Services

            services = Services.load()
            client = services.cached_evidence if cached else services.evidence
        return client.fetched(request)

    return fetch
