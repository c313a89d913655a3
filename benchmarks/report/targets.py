# SPDX-License-Identifier: Apache-2.0
"""What the engine must reach, each line evaluated from the raw data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.medians import Spread, difference_per_round, ratio_per_round, spread
from benchmarks.results import Results, Soak

__all__ = ["Target", "evaluate"]

_OURS = "pytriton"
_LIMIT = "noop"
_SOAK_TOLERANCE = 0.05
_SOAK_SIZES = {"small": 10_000_000, "large": 100_000}
_PEERS = {"noop": "the no-op", "pytriton_0_7": "PyTriton 0.7.0", "python_backend": "Triton's Python backend"}

# load, peer, least ratio of the rates within a round
_RATIOS = (
    ("http-4-c32", "noop", 0.9),
    ("http-4-c128", "noop", 0.9),
    ("http-4-c32", "pytriton_0_7", 8.0),
    ("http-4-c128", "pytriton_0_7", 8.0),
    ("http-4-c32", "python_backend", 1.6),
    ("http-4-c128", "python_backend", 1.6),
    ("grpc-4-c32", "noop", 0.85),
    ("grpc-600kB-c1", "noop", 0.85),
    ("grpc-600kB-c8", "noop", 0.85),
    ("grpc-600kB-c1", "pytriton_0_7", 2.5),
    ("grpc-600kB-c8", "pytriton_0_7", 2.5),
    ("shm-600kB-c16", "pytriton_0_7", 5.0),
)


@dataclass(frozen=True)
class Target:
    """One line of the verdict; `met` is None where the run did not measure it."""

    what: str
    required: str
    measured: str
    met: bool | None


def evaluate(results: Results) -> list[Target]:
    """Return all targets."""
    return [
        *_ratios(results),
        _latency(results),
        *_full_batches(results),
        *_seconds(results),
        _idle_memory(results),
        *_soaks(results),
    ]


def _ratios(results: Results) -> Iterator[Target]:
    for load, peer, least in _RATIOS:
        ours, theirs, limit = (results.per_round(load, name, "rate") for name in (_OURS, peer, _LIMIT))
        target = _compare(
            f"{load}: requests/s against {_PEERS[peer]}",
            ratio_per_round(ours, theirs),
            "least",
            least,
            "{:.2f}",
            " x",
        )
        reached = None if peer == _LIMIT else ratio_per_round(limit, theirs)
        if reached is not None:
            target = replace(target, measured=f"{target.measured}; the no-op: {reached.median:.2f} x")
        yield target


def _latency(results: Results) -> Target:
    ours, theirs = (results.per_round("http-4-c1", name, "p50_us") for name in (_OURS, "noop"))
    what = "http-4-c1: median latency above the no-op's"
    return _compare(what, difference_per_round(ours, theirs), "most", 60.0, "{:.0f}", " µs")


def _full_batches(results: Results) -> Iterator[Target]:
    for copied, most in (("in", 1.0), ("out", 2.0)):
        counted = spread(getattr(batch, f"copies_{copied}") for batch in results.full_batches)
        what = f"@batch on a full dynamic batch: copies {copied}, the most of any size"
        if counted is not None:
            counted = Spread(counted.high, counted.low, counted.high, counted.count)
        yield _compare(what, counted, "most", most, "{:.2f}", "")


def _seconds(results: Results) -> Iterator[Target]:
    lives = [life for life in results.startups if life.subject == _OURS]
    first = spread(life.construct_to_answer_s for life in lives if life.construct_to_answer_s is not None)
    stop = spread(life.stop_call_s for life in lives if life.stop_call_s is not None)
    imports = spread(results.imports.get(_OURS, []))
    yield _compare("Triton() to first answered request", first, "most", 0.5, "{:.2f}", " s")
    yield _compare("stop()", stop, "most", 1.5, "{:.2f}", " s")
    yield _compare("import pytriton.triton", imports, "most", 0.3, "{:.2f}", " s")


def _idle_memory(results: Results) -> Target:
    idle = {item.subject: item for item in results.idle}
    what = "idle memory: server and channel against 0.7.0's server, stub and stores"
    if not {_OURS, "pytriton_0_7"} <= idle.keys():
        return Target(what, "less", "not measured", None)
    ours = idle[_OURS].others_pss_bytes + idle[_OURS].channel_pss_bytes
    theirs = idle["pytriton_0_7"].others_pss_bytes
    return Target(what, f"< {theirs / 1e6:.1f} MB", f"{ours / 1e6:.1f} MB", ours < theirs)


def _soaks(results: Results) -> Iterator[Target]:
    soaks = {soak.kind: soak for soak in results.soaks if soak.subject == _OURS}
    for kind, wanted in _SOAK_SIZES.items():
        size = "1 MB" if kind == "large" else "small"
        what = f"resident memory after {wanted:,} {size} requests against the first thousand"
        required = f"<= {1 + _SOAK_TOLERANCE:.2f} x"
        if kind not in soaks:
            yield Target(what, required, "not measured", None)
            continue
        yield _soak(soaks[kind], what, required, wanted)


def _soak(soak: Soak, what: str, required: str, wanted: int) -> Target:
    first, last = soak.points[0], soak.points[-1]
    growth = last.rss_bytes / first.rss_bytes
    sizes = f"{first.rss_bytes / 1e6:.1f} -> {last.rss_bytes / 1e6:.1f} MB"
    measured = f"{growth:.3f} x ({sizes}, {last.requests:,} requests)"
    held = growth <= 1 + _SOAK_TOLERANCE
    # A shorter soak can show a leak, but not that there is none.
    return Target(what, required, measured, held if last.requests >= wanted or not held else None)


def _compare(
    what: str, found: Spread | None, side: Literal["least", "most"], limit: float, form: str, unit: str
) -> Target:
    sign = ">=" if side == "least" else "<="
    required = f"{sign} {limit:g}{unit}"
    if found is None:
        return Target(what, required, "not measured", None)
    measured = form.format(found.median) + unit
    if found.count > 1:
        measured += f" ({form.format(found.low)} … {form.format(found.high)})"
    # Strict limits ("under 0.5 s") and inclusive ones differ by nothing that could be measured.
    return Target(
        what, required, measured, found.median >= limit if side == "least" else found.median <= limit
    )
