"""What ``sign`` and ``extend`` share: options, where results go, one line per file."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from signsvc.cli import files
from signsvc.cli.root import EXIT_PASSED, EXIT_PROBLEM, show_error
from signsvc.errors import DocumentError, SignsvcError, UpstreamError

if TYPE_CHECKING:
    from signsvc.signing import SignResult, TrustInput

F = TypeVar("F", bound=Callable[..., Any])
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
_INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)


def common(command: F) -> F:
    """The options that both verbs take."""
    for option in reversed(
        (
            click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The signed file."),
            click.option("--out-dir", type=click.Path(file_okay=False, path_type=Path), help="Where signed files go."),
            click.option("--trust-anchor", "anchors", multiple=True, type=_INPUT, help="Trust this certificate too."),
            click.option("--cert", "certificates", multiple=True, type=_INPUT, help="A further intermediate."),
            click.option("--crl", "crls", multiple=True, type=_INPUT, help="A CRL to take into account."),
            click.option("--tsa", metavar="URL", help="Timestamp authority instead of the configured ones."),
            click.option("--offline", is_flag=True, help="Obtain no revocation values from the network."),
            click.option("--json", "as_json", is_flag=True, help="One JSON result a line on standard output."),
        )
    ):
        command = option(command)
    return command


base = click.option("--base-sha256", metavar="HEX", help="The SHA-256 that the one FILE has to have.")


def check_base(paths: Sequence[Path], sha256: str | None) -> None:
    """Raises `UsageError` where the value of --base-sha256 is none, or is not for one file."""
    if sha256 is not None and (len(paths) != 1 or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256)):
        raise click.UsageError("--base-sha256 takes 64 hexadecimal digits and goes with one file")


def trust_input(
    anchors: Sequence[Path], certificates: Sequence[Path], crls: Sequence[Path], *, offline: bool
) -> TrustInput:
    """The caller's trust and evidence.  Raises `RequestError` for files that hold none."""
    from signsvc.signing import TrustInput

    return TrustInput(
        trust_anchors=files.read_ders(anchors, "CERTIFICATE"),
        certificates=files.read_ders(certificates, "CERTIFICATE"),
        crls=files.read_ders(crls, "X509 CRL"),
        offline=offline,
    )


def targets(
    paths: Sequence[Path], out: Path | None, out_dir: Path | None, suffix: str, ending: str | None = None
) -> dict[Path, Path]:
    """Source to target.  Without options the target stands beside its source with `suffix` before the extension; files
    of another kind than their source get its whole name and `ending`."""
    todo = files.expand(paths)
    if out is not None and (out_dir is not None or len(todo) != 1):
        raise click.UsageError("--out takes one file and goes without --out-dir")
    if out is not None:
        _writable(out.absolute().parent, "--out")
        return {todo[0]: out}
    if out_dir is not None:
        try:
            out_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"--out-dir: {out_dir}: {error.strerror}") from None
        _writable(out_dir, "--out-dir")
        found = {path: out_dir / (path.name + (ending or "")) for path in todo}
        if len(set(found.values())) != len(todo):
            raise click.UsageError("two files have the same name; use two runs")
        return found
    if ending is not None:
        return {path: path.with_name(path.name + ending) for path in todo}
    return {path: path.with_name(f"{path.stem}{suffix}{path.suffix}") for path in todo}


def _writable(directory: Path, option: str) -> None:
    if not directory.is_dir():
        raise click.UsageError(f"{option}: there is no directory {directory}")
    if not os.access(directory, os.W_OK):
        raise click.UsageError(f"{option}: {directory} is not writable")


wait = click.option(
    "--wait",
    "wait_seconds",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=0.0,
    help="Ask again for so long where no timestamp authority has a usable answer.",
)


def asking_again(work: Callable[[Path, Path], SignResult], seconds: float) -> Callable[[Path, Path], SignResult]:
    """`work`, tried again for `seconds` over all files while authorities are away; pauses grow to a minute."""
    deadline = time.monotonic() + seconds

    def step(path: Path, target: Path) -> SignResult:
        pause = FIRST_PAUSE
        while True:
            try:
                return work(path, target)
            except UpstreamError as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise
                show_error(error, str(path))
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)

    return step


def run(
    todo: dict[Path, Path], work: Callable[[Path, Path], SignResult | None], *, jobs: int, label: str, as_json: bool
) -> int:
    """Do `work` for every file (None: it was done before); a file that fails does not stop the others, unless `work`
    says so (`batch.NotTriedError`).

    Exit code 0 or 4."""

    from signsvc.cli.batch import NotTriedError

    def one(path: Path) -> SignResult | SignsvcError | NotTriedError | None:
        if not path.is_file():
            return DocumentError("not_found")
        try:
            return work(path, todo[path])
        except (SignsvcError, NotTriedError) as error:
            return error
        except OSError:
            return DocumentError("document_unreadable")

    status = EXIT_PASSED
    with files.progress(len(todo), label) as step:
        for path, result in files.ordered(one, list(todo), jobs):
            if isinstance(result, SignsvcError):
                status = EXIT_PROBLEM
                _failed(path, result, as_json=as_json)
            elif isinstance(result, NotTriedError):
                status = EXIT_PROBLEM
                if as_json:
                    _failed(path, result.error, as_json=True, tried=False)
                else:
                    click.echo(f"{path}: chưa thử / not tried [{result.error.code}]", err=True)
            elif result is not None:
                _done(path, todo[path], result, as_json=as_json)
            elif not as_json:
                click.echo(f"{todo[path]}: đã ký từ trước / signed before")
            step()
    return status


def _failed(path: Path, error: SignsvcError, *, as_json: bool, tried: bool = True) -> None:
    if not as_json:
        show_error(error, str(path))
        return
    problem = {
        **({} if tried else {"tried": False}),
        "code": error.code,
        "retryable": error.retryable,
        "detail": error.text("en"),
        "detail_vi": error.text("vi"),
    }
    click.echo(json.dumps({"document": {"name": path.name}, "problem": problem}, ensure_ascii=False))


def _done(path: Path, target: Path, result: SignResult, *, as_json: bool) -> None:
    from signsvc.messages import text

    notes = [
        {"code": f.code, "text": text(f.code, "en", f.data), "text_vi": text(f.code, "vi", f.data)}
        for f in result.warnings
    ]
    if not as_json:
        who = f"  {result.certificate.common_name}" if result.certificate else ""
        stamp = f"  TSA: {result.tsa}" if result.tsa else ""
        click.echo(f"{target}: {result.level}{who}{stamp}")
        for note in notes:
            click.echo(f"{path}: ! {note['text_vi']} [{note['code']}]", err=True)
        return
    certificate = None
    if result.certificate is not None:
        from signsvc.reports.build import certificate_summary

        certificate = certificate_summary(result.certificate)
    answer = {
        "document": {"name": path.name},
        "output": {"path": str(target), "sha256": result.sha256, "size": result.size},
        "signature": {
            "field": result.field,
            "level": result.level,
            "signed_at": _time(result.signed_at),
            "best_signature_time": _time(result.best_signature_time),
            "certificate": certificate,
            "tsa": result.tsa,
        },
        "warnings": notes,
    }
    click.echo(json.dumps(answer, ensure_ascii=False))


def _time(moment: Any) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
