"""A test public key infrastructure shaped like the Vietnamese government's. See README.md for the labels.

pki = test_pki.load()
pki.chain("person"), pki.key("person"), pki.timestamp(digest, at=...), pki.ocsp("revoked"), pki.crl("sub-g2-state")
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from test_pki.pki import PASSWORD, Pki
from test_pki.spec import HOSTS, TSA_URLS, Revocation, Spec, aia_url, crl_url, ocsp_url

__all__ = [
    "DEFAULT_DIR",
    "HOSTS",
    "PASSWORD",
    "TSA_URLS",
    "Pki",
    "Revocation",
    "Spec",
    "aia_url",
    "crl_url",
    "default_epoch",
    "load",
    "ocsp_url",
]

DEFAULT_DIR = Path(__file__).resolve().parent.parent / "var" / "test_pki"

_loaded: dict[tuple[Path, datetime | None], Pki] = {}
_lock = threading.Lock()


def default_epoch() -> datetime:
    """Midnight UTC 30 days ago: the hierarchy's "now" is then epoch + 30 days."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=30)


def load(out_dir: Path | None = None, epoch: datetime | None = None) -> Pki:
    """The hierarchy for *epoch*, one object per process, directory and epoch.

    Without *epoch*, the one that *out_dir* was built for is kept while everything in it still has its meaning
    (25 to 35 days old); otherwise default_epoch(). Certificates are computed on demand, so a missing or stale
    directory costs nothing; p12() writes there.
    """
    where = (out_dir or DEFAULT_DIR).resolve()
    with _lock:
        if (where, epoch) not in _loaded:
            _loaded[where, epoch] = Pki(where, epoch or _kept_epoch(where) or default_epoch())
        return _loaded[where, epoch]


def _kept_epoch(where: Path) -> datetime | None:
    try:
        kept = datetime.fromisoformat(json.loads((where / "manifest.json").read_text())["epoch"])
    except (OSError, ValueError, KeyError):
        return None
    age = datetime.now(UTC) - kept
    return kept if timedelta(days=25) <= age <= timedelta(days=35) else None
