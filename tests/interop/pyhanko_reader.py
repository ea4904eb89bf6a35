"""What stock pyHanko says of each file named on standard input: one JSON line a file.  Run as a program.

Each file has five seconds of processor time and two gigabytes, since many of them were made to exhaust such readers.
"""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

SECONDS, OCTETS = 5, 2 << 30


class _LateError(Exception):
    pass


def _late(*_: object) -> None:
    raise _LateError


def signatures(data: bytes) -> list[dict[str, Any]]:
    from pyhanko.pdf_utils.reader import PdfFileReader

    reader = PdfFileReader(BytesIO(data), strict=False)
    if reader.encrypted:
        reader.decrypt(b"")
    found = []
    for embedded in reader.embedded_signatures:
        entry: dict[str, Any] = {"field": embedded.field_name}
        try:
            embedded.compute_integrity_info()
            status = embedded.summarise_integrity_info()
            entry["coverage"] = status["coverage"].name
            changed = embedded.diff_result
            level = getattr(changed, "modification_level", None)
            # what its policy finds suspicious is an exception object and no level
            entry["changes"] = level.name if level is not None else ("NONE" if changed is None else "OTHER")
            entry["digest"] = _digest(embedded, data)
        except _LateError:
            raise
        except Exception as error:  # noqa: BLE001 - any type escapes from it
            entry["error"] = type(error).__name__
        found.append(entry)
    return found


def _digest(embedded: Any, data: bytes) -> bool:
    """Whether the message digest in the signed attributes, or a token's imprint, is that of the covered octets."""
    if embedded.sig_object.get("/SubFilter") == "/ETSI.RFC3161":
        imprint = embedded.signed_data["encap_content_info"]["content"].parsed["message_imprint"]
        made = hashlib.new(imprint["hash_algorithm"]["algorithm"].native)
        ranges = [int(number) for number in embedded.byte_range]
        for start, length in zip(ranges[::2], ranges[1::2], strict=True):
            made.update(data[start : start + length])
        return bool(made.digest() == imprint["hashed_message"].native)
    wanted = embedded.compute_digest()
    for attribute in embedded.signer_info["signed_attrs"]:
        if attribute["type"].native == "message_digest":
            return bool(attribute["values"][0].native == wanted)
    return False


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (OCTETS, OCTETS))
    signal.signal(signal.SIGPROF, _late)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            answer: dict[str, Any] = {"signatures": signatures(Path(line.strip()).read_bytes())}
        except _LateError:
            answer = {"error": "late"}
        except Exception as error:  # noqa: BLE001
            answer = {"error": type(error).__name__}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
