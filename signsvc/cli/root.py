"""The root command: lazy loading of verbs, exit codes, errors in words.

Exit codes: 0 all passed, 1 any TOTAL-FAILED, 2 any INDETERMINATE, 3 no signature, 4 could not process, aborted or
internal error, 64 usage.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from signsvc.errors import InternalError, SignsvcError

EXIT_PASSED, EXIT_FAILED, EXIT_INDETERMINATE, EXIT_NO_SIGNATURE, EXIT_PROBLEM, EXIT_USAGE = 0, 1, 2, 3, 4, 64

# Verb -> (module, attribute, one line of help).  The help stands here so that `signsvc --help` imports nothing.
VERBS: dict[str, tuple[str, str, str]] = {
    "acceptance": ("signsvc.cli.acceptance", "acceptance", "List, show and check acceptance rules."),
    "webhook": ("signsvc.cli.webhook", "webhook", "Have addresses told of finished verifications."),
    "apikey": ("signsvc.cli.apikey", "apikey", "Create, list and revoke API keys."),
    "config": ("signsvc.cli.config", "config", "Check and show the configuration."),
    "demo": ("signsvc.cli.demo", "demo", "Run the whole service on a test PKI and a SoftHSM2 token."),
    "doctor": ("signsvc.cli.doctor", "doctor", "Say what works on this machine and what is missing."),
    "edxml": ("signsvc.cli.edxml", "edxml", "Verify, unpack, answer, make and sign edXML packets."),
    "extend": ("signsvc.cli.extend", "extend", "Raise signed files to B-T, B-LT or B-LTA."),
    "fields": ("signsvc.cli.fields", "fields", "List form fields, or add some before the first signature."),
    "jobs": ("signsvc.cli.jobs", "jobs", "List, show and retry jobs."),
    "policy": ("signsvc.cli.policy", "policy", "List, show, compare and check validation policies."),
    "profile": ("signsvc.cli.profile", "profile", "List and show signing profiles."),
    "report": ("signsvc.cli.report", "report", "Show stored reports; judge them again from stored evidence."),
    "revision": ("signsvc.cli.revision", "revision", "Write the document as it was signed."),
    "serve": ("signsvc.cli.serve", "serve", "Run the HTTP service."),
    "session": ("signsvc.cli.session", "session", "Sign with a key of this machine through a service."),
    "sign": ("signsvc.cli.sign", "sign", "Sign files."),
    "timestamp": ("signsvc.cli.timestamp", "timestamp", "Timestamp files: in a PDF, or beside any file."),
    "token": ("signsvc.cli.token", "token", "Show PKCS#11 modules, tokens and certificates; test keys."),
    "trust": ("signsvc.cli.trust", "trust", "Install, list and remove trusted certificates."),
    "verify": ("signsvc.cli.verify", "verify", "Verify files."),
    "worker": ("signsvc.cli.worker", "worker", "Do what was put off: raise levels, work through batches."),
}


class _ReaderGone(Exception):  # noqa: N818 - no error of ours
    """The reader of our output went away: click would end with 1 for it, which says TOTAL-FAILED here."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderGone from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        found = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in sorted(VERBS.items())])


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from signsvc import __version__

        click.echo(f"signsvc {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Sign and verify documents of state agencies (PAdES, XAdES, CAdES, ASiC), on PKCS#11 tokens and HSMs."""


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with one of the documented codes."""
    try:
        status = cli.main(args=args, prog_name="signsvc", standalone_mode=False)
    except click.UsageError as error:
        error.show(sys.stderr)
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        error.show(sys.stderr)
        sys.exit(EXIT_PROBLEM)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Đã dừng. / Aborted.", err=True)
        sys.exit(EXIT_PROBLEM)
    except SignsvcError as error:
        show_error(error)
        sys.exit(EXIT_PROBLEM)
    except (_ReaderGone, BrokenPipeError):
        # The reader of our output is gone; keep the interpreter's own flush at exit from failing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_PROBLEM)
    except OSError as error:
        click.echo(f"{error.filename or ''}: {error.strerror or type(error).__name__}".removeprefix(": "), err=True)
        sys.exit(EXIT_PROBLEM)
    except Exception as error:  # noqa: BLE001 - Python's own exit code 1 would say TOTAL-FAILED
        show_error(InternalError())
        if os.environ.get("SIGNSVC_DEBUG"):
            import traceback

            traceback.print_exc()
        else:
            click.echo(f"{type(error).__name__}; SIGNSVC_DEBUG=1 shows where", err=True)
        sys.exit(EXIT_PROBLEM)
    sys.exit(status if isinstance(status, int) else 0)


def show_error(error: SignsvcError, name: str | None = None) -> None:
    """One line for people on standard error, Vietnamese first."""
    lead = f"{name}: " if name else ""
    click.echo(f"{lead}{error.text('vi')} / {error.text('en')} [{error.code}]", err=True)
