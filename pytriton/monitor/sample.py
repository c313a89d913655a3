# SPDX-License-Identifier: Apache-2.0
"""A look at what runs: statistics of the models and metrics of the server, of whichever it has."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from pytriton.client.exceptions import PyTritonClientError
from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.monitor.prometheus import Metrics, fetch
from pytriton.monitor.server import LackingError, RestrictedError, Server
from pytriton.monitor.statistics import Totals

__all__ = ["Change", "Gauges", "Sample", "Sampler", "changes"]

Key = tuple[str, str]
_US: Final = 1000
_MB: Final = 1e6


@dataclass(frozen=True)
class Sample:
    """One look."""

    at: float
    """Of time.monotonic()."""
    totals: dict[Key, Totals]
    """By name and version of the model."""
    metrics: Metrics | None
    notes: tuple[str, ...] = ()
    """A sentence for each thing that the server does not tell."""


@dataclass(frozen=True)
class Gauges:
    """What a model has just now; None is what the server does not tell."""

    pending: float | None = None
    workers: float | None = None
    busy: float | None = None
    restarts: float | None = None
    memory_mb: float | None = None
    memory_limit_mb: float | None = None
    cancellations: float | None = None


@dataclass(frozen=True)
class Change:
    """What has happened to one version of a model between two looks."""

    name: str
    version: str
    seconds: float
    totals: Totals
    """Of the time between."""
    whole: Totals
    """Since it was loaded."""
    gauges: Gauges = field(default_factory=Gauges)

    @property
    def requests_per_s(self) -> float:
        """Answers a second."""
        return self.totals.requests / self.seconds

    @property
    def failures_per_s(self) -> float:
        """Failed requests a second."""
        return self.totals.failures / self.seconds

    @property
    def rows_per_s(self) -> float:
        """Rows a second."""
        return self.totals.rows / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        totals = self.totals
        return {
            "model": self.name,
            "version": self.version,
            "requests_per_s": self.requests_per_s,
            "failures_per_s": self.failures_per_s,
            "rows_per_s": self.rows_per_s,
            "mean_batch": totals.mean_batch,
            "queue_ms": totals.queue_ms,
            "compute_ms": totals.compute_ms,
            "copy_ms": totals.copy_ms,
            "request_ms": totals.request_ms,
            "requests": self.whole.requests,
            "failures": self.whole.failures,
            **vars(self.gauges),
        }


class Sampler:
    """Looks at one server."""

    def __init__(self, server: Server, metrics_url: str, timeout_s: float) -> None:
        self._server = server
        self._metrics_url = metrics_url
        self._timeout_s = timeout_s

    def take(self) -> Sample:
        """Look; LackingError if the server tells neither statistics nor metrics."""
        notes: list[str] = []
        trouble: PyTritonClientError | None = None
        metrics: Metrics | None = None
        entries: list[dict[str, Any]] = []
        try:
            entries = self._server.statistics()
        except (LackingError, RestrictedError) as error:
            trouble = error
        try:
            metrics = fetch(self._metrics_url, self._timeout_s)
        except PyTritonClientError as error:
            if trouble is not None:
                raise type(trouble)(f"{trouble} Nor are there metrics: {error}") from None
            notes.append(f"No memory, workers and queue lengths: {error}")
        at = time.monotonic()
        if trouble is None:
            totals = {(entry["name"], str(entry.get("version", ""))): Totals.of(entry) for entry in entries}
        else:
            assert metrics is not None
            totals = _of_metrics(metrics)
            if not totals:
                raise type(trouble)(f"{trouble} Its metrics tell of no model either.")
            notes.append(f"From the metrics alone: {trouble}")
        return Sample(at, totals, metrics, tuple(notes))


def changes(before: Sample, after: Sample) -> list[Change]:
    """What has happened between two looks, of the models that are there now."""
    seconds = max(after.at - before.at, 1e-9)
    return [
        Change(
            *key, seconds, totals.since(before.totals.get(key, Totals())), totals, _gauges(after.metrics, key)
        )
        for key, totals in sorted(after.totals.items())
    ]


def _of_metrics(metrics: Metrics) -> dict[Key, Totals]:
    """The same out of Triton's metrics, where its statistics are not to be had."""
    found = {}
    for name, version in metrics.models():
        if name == BOOTSTRAP_MODEL_NAME:
            continue

        def of(metric: str, name: str = name, version: str = version) -> int:
            return int(metrics.total(f"nv_inference_{metric}", model=name, version=version) or 0)

        requests = of("request_success")
        found[name, version] = Totals(
            requests=requests,
            failures=of("request_failure"),
            rows=of("count"),
            batches=of("exec_count"),
            request_ns=of("request_duration_us") * _US,
            queue_ns=of("queue_duration_us") * _US,
            input_ns=of("compute_input_duration_us") * _US,
            compute_ns=of("compute_infer_duration_us") * _US,
            output_ns=of("compute_output_duration_us") * _US,
            timed=requests,
        )
    return found


def _gauges(metrics: Metrics | None, key: Key) -> Gauges:
    if metrics is None:
        return Gauges()
    name, version = key

    def of(metric: str) -> float | None:
        return metrics.total(metric, model=name, version=version)

    def megabytes(metric: str) -> float | None:
        value = of(metric)
        return None if value is None else value / _MB

    return Gauges(
        pending=metrics.total("nv_inference_pending_request_count", model=name, version=version),
        workers=of("pytriton_workers"),
        busy=of("pytriton_workers_busy"),
        restarts=of("pytriton_worker_restarts_total"),
        memory_mb=megabytes("pytriton_shared_memory_bytes"),
        memory_limit_mb=megabytes("pytriton_shared_memory_limit_bytes"),
        cancellations=of("pytriton_cancellations_total"),
    )
