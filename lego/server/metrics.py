"""What a server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from lego.core.trace import Event, StepDone, StepFailed

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)  # borders of the histograms
TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """Counters of one server; nothing is shared with others in the process.

    Args:
        waiting, running: say how many jobs wait, and how many run, when asked.
    """

    def __init__(self, waiting: Callable[[], float], running: Callable[[], float]) -> None:
        self.registry = all_ = CollectorRegistry()
        self.jobs = Counter("lego_jobs_total", "Jobs that ended.", ("kind", "state"), registry=all_)
        self.seconds = Histogram(
            "lego_job_seconds", "From taking a job to its end.", ("kind",), buckets=SECONDS, registry=all_
        )
        self.steps = Histogram("lego_step_seconds", "Of one step.", ("tool", "engine"), buckets=SECONDS, registry=all_)
        self.cached = Counter("lego_steps_cached_total", "Steps that the cache answered.", ("tool",), registry=all_)
        self.failed = Counter("lego_steps_failed_total", "Steps that failed.", ("tool", "code"), registry=all_)
        Gauge("lego_jobs_waiting", "Jobs that wait.", registry=all_).set_function(waiting)
        Gauge("lego_jobs_running", "Jobs that run here.", registry=all_).set_function(running)

    def job(self, kind: str, state: str, seconds: float) -> None:
        """Count a job that ended."""
        self.jobs.labels(kind, state).inc()
        self.seconds.labels(kind).observe(seconds)

    def event(self, event: Event) -> None:
        """Count what happened in one."""
        if isinstance(event, StepDone) and event.cached:
            self.cached.labels(event.tool).inc()
        elif isinstance(event, StepDone):
            self.steps.labels(event.tool, event.engine).observe(event.seconds)
        elif isinstance(event, StepFailed):
            self.failed.labels(event.tool, event.code).inc()

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
