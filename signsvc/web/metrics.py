"""Prometheus metrics.  With several worker processes the client library's multiprocess mode joins them; the
directory is named by ``PROMETHEUS_MULTIPROC_DIR`` before the first import.
"""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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


def exposition() -> tuple[bytes, str]:
    """The metrics of all workers in Prometheus text form, and its media type."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(_registry), CONTENT_TYPE_LATEST
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
