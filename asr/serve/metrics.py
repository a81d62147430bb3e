"""What the server counts, for Prometheus. No text and no sound is in it."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


class Metrics:
    """The counters of a server, each registered here and nowhere else."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory, files and CPU of the server
        self.requests = Counter(
            "asr_requests",
            "Requests by route and status",
            ["route", "status"],
            registry=self._registry,
        )
        self.rejections = Counter(
            "asr_rejections",
            "Requests that were refused, by code",
            ["code"],
            registry=self._registry,
        )
        self.audio = Counter(
            "asr_audio_seconds",
            "Seconds of sound that were recognised",
            ["kind"],
            registry=self._registry,
        )
        self.latency = Histogram(
            "asr_request_seconds",
            "From a request to the end of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.real_time_factor = Histogram(
            "asr_real_time_factor",
            "Seconds of work for a second of a recording",
            buckets=_FACTORS,
            registry=self._registry,
        )

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is asked for when somebody looks."""
        Gauge(f"asr_{name}", description, registry=self._registry).set_function(value)

    def page(self) -> bytes:
        """Return all in the text format of Prometheus."""
        return generate_latest(self._registry)
