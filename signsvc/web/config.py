"""What the web room needs to know, taken from the settings once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from signsvc.web.body import BodyLimits

if TYPE_CHECKING:
    from signsvc.settings import Settings


@dataclass(frozen=True, slots=True)
class WebConfig:
    body: BodyLimits
    slots: int  # documents in work per process
    waiting: int = 1  # requests that wait for a slot, per process
    mode: str = "production"
    policy: str = "hon-hop"
    public_url: str = ""
    key_required: bool = True
    open_verify: bool = True
    open_metrics: bool = False
    keep_documents: bool = True
    keep_evidence: bool = True
    webhook_key: Path = Path("webhook.key")
    webhook_http: bool = False
    keep_days: int | None = None  # for reports
    acceptance: tuple[Path, ...] = ()  # where a site has rules of its own
    raising_time: timedelta = timedelta(days=7)  # in which a level has to be raised

    @property
    def max_body_bytes(self) -> int:
        return self.body.max_bytes

    @classmethod
    def of(cls, settings: Settings) -> Self:
        server = settings.server
        trial = settings.mode == "trial"
        return cls(
            body=BodyLimits(
                max_bytes=server.max_body_bytes,
                max_json_bytes=min(server.max_json_bytes, server.max_body_bytes),
                seconds=server.body_timeout_seconds,
                spool=settings.spool_dir,
            ),
            slots=server.slots,
            waiting=server.waiting,
            mode=settings.mode,
            policy=settings.policy,
            public_url=(server.public_url or "").rstrip("/"),
            key_required=settings.auth.required,
            open_verify=trial if settings.auth.open_verify is None else settings.auth.open_verify,
            open_metrics=trial if settings.auth.open_metrics is None else settings.auth.open_metrics,
            keep_documents=settings.store.keep_documents,
            keep_evidence=settings.reports.keep_evidence,
            webhook_key=settings.webhook_key_file,
            webhook_http=settings.webhooks.allow_http,
            keep_days=settings.reports.keep_days,
            acceptance=(settings.data_dir / "acceptance",),
            raising_time=timedelta(days=settings.jobs.give_up_days),
        )
