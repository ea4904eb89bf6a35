"""Raise the level of a document that was answered at a lower one because its profile says so.

Item: ``{"signature", "document" (SHA-256), "level", "policy"}``.  Both versions stay in the store; the result names the
newer one.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from typing import TYPE_CHECKING

from signsvc.jobs import spool
from signsvc.jobs.handlers import Done
from signsvc.store import full_disk

if TYPE_CHECKING:
    from signsvc.services import Services
    from signsvc.store import Lease


def handle(services: Services, lease: Lease, now: datetime) -> Done:
    """Extend the document, keep it and its report.  Raises what `SigningService.extend` raises."""
    store = services.store
    found = store.documents.get(lease.data["document"])
    with spool.directory(services.settings.spool_dir) as place:
        # Workers that write see the spool alone, and never the store.
        source, target = place / "signed", place / "raised"
        with full_disk():
            shutil.copyfile(found.path, source)
        result = services.signing.extend(source, target, level=lease.data["level"], policy=lease.data["policy"])
        document = store.documents.add(target, media_type=found.media_type, now=now, owner=lease.owner)
    report = None
    if result.report is not None:
        store.reports.add(result.report, now=now, owner=lease.owner)
        report = {"href": f"/v1/reports/{result.report['id']}", "indication": result.report["indication"]}
    return Done(
        {
            "level": result.level,
            "document": {
                "href": f"/v1/documents/{document.sha256}",
                "sha256": document.sha256,
                "size": document.size,
                "media_type": document.media_type,
            },
            "best_signature_time": result.best_signature_time.isoformat().replace("+00:00", "Z")
            if result.best_signature_time
            else None,
            "tsa": result.tsa,
            "report": report,
        }
    )
