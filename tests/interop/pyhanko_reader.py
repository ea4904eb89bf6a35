"""What stock pyHanko says of each file named on standard input: one JSON line a file.  Run as a program.

The arguments are DER files of roots.  Each file has five seconds of processor time and two gigabytes, since many were
made to exhaust such readers: one that takes longer is answered with ``late``.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

SECONDS, OCTETS = 5, 2 << 30


class _Late(BaseException):
    pass


def _late(*_: object) -> None:
    raise _Late


def signatures(data: bytes, roots: list[Any]) -> list[dict[str, Any]]:
    """Field, coverage and changes of each signature by its reader; then intact and valid by its validator."""
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation.pdf_embedded import async_validate_pdf_signature, async_validate_pdf_timestamp
    from pyhanko_certvalidator import ValidationContext

    reader = PdfFileReader(BytesIO(data), strict=False)
    if reader.encrypted:
        reader.decrypt(b"")
    found = []
    for embedded in reader.embedded_signatures:
        entry: dict[str, Any] = {"field": embedded.field_name, "timestamp": embedded.sig_object_type != "/Sig"}
        try:
            entry["range"] = [int(number) for number in embedded.byte_range]
            embedded.compute_integrity_info()
            status = embedded.summarise_integrity_info()
            entry["coverage"] = status["coverage"].name
            changed = embedded.diff_result
            level = getattr(changed, "modification_level", None)
            # what its policy finds suspicious is an exception object and no level
            entry["changes"] = level.name if level is not None else ("NONE" if changed is None else "OTHER")
        except Exception as error:  # noqa: BLE001 - any type escapes from it
            entry["error"] = type(error).__name__
        try:
            judge = async_validate_pdf_timestamp if entry["timestamp"] else async_validate_pdf_signature
            judged = asyncio.run(judge(embedded, ValidationContext(trust_roots=roots), skip_diff=True))
            entry |= {"intact": judged.intact, "valid": judged.valid}
        except Exception as error:  # noqa: BLE001
            entry["refused"] = type(error).__name__
        found.append(entry)
    return found


def main() -> None:
    from asn1crypto import x509

    roots = [x509.Certificate.load(Path(name).read_bytes()) for name in sys.argv[1:]]
    resource.setrlimit(resource.RLIMIT_AS, (OCTETS, OCTETS))
    signal.signal(signal.SIGPROF, _late)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            answer: dict[str, Any] = {"signatures": signatures(Path(line.strip()).read_bytes(), roots)}
        except _Late:
            answer = {"error": "late"}
        except Exception as error:  # noqa: BLE001
            answer = {"error": type(error).__name__}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
