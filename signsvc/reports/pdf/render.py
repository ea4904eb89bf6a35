"""Setting the pages of a report (typst) as PDF/A-3b (ISO 19005-3), without files, fonts of the system or a network."""

from __future__ import annotations

import functools
import io
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

from signsvc.reports.pdf.content import content

if TYPE_CHECKING:
    import typst

MEDIA_TYPES = {"json": "application/json", "xml": "application/xml"}


def render_pdf(
    report: Mapping[str, Any],
    *,
    lang: str = "vi",
    attachments: Mapping[str, bytes] | None = None,
    check_url: str | None = None,
    sealed: bool = False,
) -> bytes:
    """The pages of `report` (the JSON of `signsvc.reports.build`) in `lang` (``vi`` or ``en``).

    `attachments` (UTF-8, by file name) go with the file as its source; `check_url` is where a reader can ask whether
    the report is genuine, shown as a code too.  Without `sealed` the first page says that nothing protects the report.
    The same arguments give the same octets.
    """
    held = {name: data.decode("utf-8") for name, data in (attachments or {}).items()}
    values = content(report, lang, sealed=sealed, check_url=check_url, attached=held)
    values["files"] = [[name, MEDIA_TYPES.get(name.rpartition(".")[2], "text/plain")] for name in held]
    values["code"] = _code(check_url) if check_url else None
    inputs = {"data": json.dumps(values, ensure_ascii=False)}
    inputs |= {f"file{number}": data for number, data in enumerate(held.values())}
    moment = datetime.fromisoformat(report["validation_time"]).astimezone(UTC).replace(microsecond=0)
    with _lock:
        made = _compiler().compile(
            _template(), format="pdf", sys_inputs=inputs, pdf_standards=["a-3a"], timestamp=moment
        )
    return bytes(made)  # type: ignore[arg-type]


# The compiler keeps what the pages have in common, and is not for several threads.
_lock = threading.Lock()


@functools.cache
def _compiler() -> typst.Compiler:
    import typst

    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True)
    return typst.Compiler(font_paths=fonts, ignore_system_fonts=True)


@functools.cache
def _template() -> bytes:
    return (resources.files("signsvc.reports") / "templates" / "report.typ").read_bytes()


def _code(url: str) -> str:
    import segno

    out = io.BytesIO()
    segno.make(url, error="m", micro=False).save(out, kind="svg", border=2, xmldecl=False, svgns=True)
    return out.getvalue().decode("utf-8")
