"""Raise the level of a document that was answered at a lower one because its profile says so.

Item: ``{"signature", "document" (SHA-256), "level", "policy"}``.  Both versions stay in the store; the result names the
newer one.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from signsvc.jobs import spool
from signsvc.jobs.handlers import Done
from signsvc.signing import answers
from signsvc.store import LostClaimError, full_disk

if TYPE_CHECKING:
    from signsvc.services import Services
    from signsvc.signing import SignResult
    from signsvc.store import Lease
    from signsvc.store.blobs import Staged


def handle(services: Services, lease: Lease, _: datetime) -> Done:
    """Extend the document, keep it and its report.  Raises what `SigningService.extend` raises."""
    store = services.store
    found = store.documents.get(lease.data["document"])
    with spool.directory(services.settings.spool_dir) as place:
        # Workers that write see the spool alone, and never the store.
        source, target = place / "signed", place / "raised"
        with full_disk():
            shutil.copyfile(found.path, source)
        result = services.signing.extend(source, target, level=lease.data["level"], policy=lease.data["policy"])
        with suppress(LostClaimError), store.documents.staged(target) as staged:
            _keep(services, lease, result, staged, found.media_type)
    return Done(said=True)


def _keep(services: Services, lease: Lease, result: SignResult, staged: Staged, media_type: str) -> None:
    """Keep the newer version, its report and the ledger's word, all or nothing; `LostClaimError`: nothing."""
    store, moment, report = services.store, datetime.now(UTC), None
    if result.report is not None:
        report = {"href": f"/v1/reports/{result.report['id']}", "indication": result.report["indication"]}
    done = {
        "level": result.level,
        "document": {
            "href": f"/v1/documents/{staged.sha256}",
            "sha256": staged.sha256,
            "size": staged.size,
            "media_type": media_type,
        },
        "best_signature_time": answers.time(result.best_signature_time),
        "tsa": result.tsa,
        "report": report,
    }
    with store.database.write(durable=True) as connection:
        if not store.jobs.settle(connection, lease, done, now=moment):
            raise LostClaimError
        if signature := lease.data.get("signature"):
            store.signatures.left(connection, signature, staged.sha256, result.level, now=moment, owner=lease.owner)
        if result.report is not None:
            store.reports.insert(connection, result.report, now=moment, owner=lease.owner)
        store.documents.register(connection, staged, media_type=media_type, now=moment, owner=lease.owner)
