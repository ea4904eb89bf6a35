"""Prometheus metrics.  With several worker processes the client library's multiprocess mode joins them; the
directory is named by ``PROMETHEUS_MULTIPROC_DIR`` before the first import.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from signsvc.web.ports import AppServices

_registry = CollectorRegistry()

REQUESTS = Counter("signsvc_http_requests", "Requests answered", ("method", "route", "status"), registry=_registry)
SECONDS = Histogram(
    "signsvc_http_request_seconds",
    "Time to answer",
    ("method", "route"),
    registry=_registry,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
PROBLEMS = Counter("signsvc_problems", "Problems answered", ("code",), registry=_registry)
VERDICTS = Counter("signsvc_verdicts", "Documents verified", ("indication",), registry=_registry)
SIGNATURES = Counter("signsvc_signatures", "Documents signed or extended", ("operation", "level"), registry=_registry)
IN_FLIGHT = Gauge("signsvc_in_flight", "Documents in work", registry=_registry, multiprocess_mode="livesum")


def standing(services: AppServices) -> bytes:
    """What is so now, whichever process is asked: timestamp authorities and jobs, in Prometheus text form."""
    failures = GaugeMetricFamily("signsvc_tsa_failures", "Failures in a row", labels=("tsa",))
    resting = GaugeMetricFamily("signsvc_tsa_resting", "1: asked last for a while", labels=("tsa",))
    items = GaugeMetricFamily("signsvc_job_items", "Items not done", labels=("kind", "state"))
    client = getattr(services, "tsa", None)
    if client is not None:
        for config in client.configs:
            health = client.health.of(config.name)
            failures.add_metric((config.name,), health.failures)
            resting.add_metric((config.name,), health.rests_until > time.time())
    for (kind, state), count in services.store.jobs.unfinished().items():
        items.add_metric((kind, state.value), count)
    registry = CollectorRegistry()
    registry.register(_Told((failures, resting, items)))
    return generate_latest(registry)


class _Told(Collector):
    """Values of this moment, which no file of a process keeps."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = tuple(found)

    def collect(self) -> Iterable[Metric]:
        return self._found


def exposition() -> tuple[bytes, str]:
    """The metrics of all workers in Prometheus text form, and its media type."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(_registry), CONTENT_TYPE_LATEST
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
