"""The lies and delays that the responders can be told to produce."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

# kind -> its options and their defaults. "times" is understood by all: only so many requests are affected.
TRANSPORT: dict[str, dict[str, Any]] = {
    "slow": {"delay": 1.0},  # the right answer, late
    "drip": {"interval": 0.5, "size": 1},  # the right answer, *size* bytes at a time
    "down": {"status": 503},
    "refuse": {},  # the connection is reset before any answer
    "cut": {"keep": 0.5},  # Content-Length promises more than is sent
    "html": {},
    "junk": {},  # a SEQUENCE that means nothing
    "empty": {},
    "huge": {"size": 64 << 20},  # Content-Length and as many bytes
    "endless": {},  # chunks for as long as the client reads
    "bomb": {"size": 256 << 20},  # gzip of *size* zeros
    "redirect_private": {"location": "http://169.254.169.254/latest/meta-data/"},
    "redirect_loop": {},
}
CONTENT: dict[str, dict[str, Any]] = {
    "stale": {"days": 30.0},  # OCSP, CRL: right when it was issued, long over
    "future_time": {"days": 1.0},  # thisUpdate or genTime ahead
    "past_time": {"days": 1.0},  # genTime, or thisUpdate without nextUpdate, behind
    "wrong_signer": {},  # a certificate of an unknown CA, or on lists another CA's key
    "bad_signature": {},
    "wrong_nonce": {},
    "no_nonce": {},
    # Of the certificate *label* or *serial*; without either, whatever is asked about.
    "revoked": {"label": "", "serial": None, "hours": 1.0, "reason": "keyCompromise"},
    "replay": {},  # OCSP, TSA: the last answer given at this path, whatever is asked now
    "good": {},  # OCSP: everything is good
    "unknown": {},  # OCSP: nothing is known
    "try_later": {},  # OCSP: an error without an answer
    "wrong_serial": {},  # OCSP: a true answer about another certificate
    "wrong_imprint": {},
    "sha1_imprint": {},
    "no_eku": {},
    "wrong_eku": {},
    "no_certs": {},  # the token carries no certificate
    "reject": {},
    "granted_no_token": {},
    "granted_with_mods": {},
}
KINDS = {**TRANSPORT, **CONTENT}


@dataclass(slots=True)
class _Set:
    options: dict[str, Any]
    left: int | None


class Faults:
    """Which faults are on, by path prefix. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: dict[str, dict[str, _Set]] = {}

    def set(self, prefix: str, kind: str, times: int | None = None, **options: Any) -> None:
        """Turn *kind* on for paths that start with *prefix*; ValueError for an unknown kind or option."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind}; known: {', '.join(sorted(KINDS))}")
        if unknown := options.keys() - KINDS[kind].keys():
            raise ValueError(f"{kind} takes {sorted(KINDS[kind])}, not {sorted(unknown)}")
        with self._lock:
            self._on.setdefault(prefix, {})[kind] = _Set({**KINDS[kind], **options}, times)

    def clear(self, prefix: str = "") -> None:
        """Turn off what was set for *prefix* and longer ones."""
        with self._lock:
            self._on = {key: value for key, value in self._on.items() if not key.startswith(prefix)}

    def active(self, path: str) -> dict[str, dict[str, Any]]:
        """Faults that hold for one request to *path*, kind -> options; counts it against "times"."""
        found: dict[str, dict[str, Any]] = {}
        with self._lock:
            for prefix in sorted(self._on, key=len):
                if not path.startswith(prefix):
                    continue
                for kind, one in self._on[prefix].items():
                    if one.left is None or one.left > 0:
                        one.left = None if one.left is None else one.left - 1
                        found[kind] = one.options
        return found

    def listed(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Everything that is on, for display."""
        with self._lock:
            return {
                prefix: {kind: one.options for kind, one in kinds.items() if one.left != 0}
                for prefix, kinds in self._on.items()
            }
