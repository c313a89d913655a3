# SPDX-License-Identifier: Apache-2.0
"""What programs declare and count, before any server hears of it."""

from __future__ import annotations

import itertools
import math
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pytriton.exceptions import PyTritonValidationError
from pytriton.metrics import Counter, Gauge, Histogram, wire
from pytriton.metrics.series import HistogramSeries

_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    """One that no other test declares."""
    return f"of_a_test_{next(_numbers)}"


def test_counting(name: str) -> None:
    counter = Counter(name, "what", ["language", "size"])
    counter.labels("de", 1).inc()
    counter.labels(size=1, language="de").inc(2.5)
    assert counter.labels("de", "1").value == 3.5
    assert counter.labels("en", 1).value == 0
    for wrong in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="only grows"):
            counter.labels("de", 1).inc(wrong)


def test_gauges_and_histograms(name: str) -> None:
    gauge = Gauge(name, "what")
    gauge.set(5)
    gauge.dec(2)
    with gauge.track_inprogress():
        assert gauge.value == 4
    assert gauge.value == 3
    histogram = Histogram(name + "_seconds", "what", buckets=[1, 2, math.inf])
    histogram.observe(1)
    with histogram.time():
        pass
    assert histogram.labels().count == 2
    assert histogram.labels().sum >= 1
    with pytest.raises(ValueError, match="finite"):
        histogram.observe(math.nan)


def test_threads_lose_nothing(name: str) -> None:
    counter = Counter(name, "what")
    begin = threading.Barrier(4)

    def count() -> None:
        begin.wait()
        for _ in range(5000):
            counter.inc()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == 20_000


def test_declaring_again_gives_the_same(name: str) -> None:
    Counter(name, "what", ["a"]).labels("x").inc()
    assert Counter(name, "other words", ["a"]).labels("x").value == 1
    again = pickle.loads(pickle.dumps(Counter(name, "what", ["a"])))
    assert again.labels("x").value == 1
    gauge = pickle.loads(pickle.dumps(Gauge(name + "g", "what", across="max")))
    histogram = pickle.loads(pickle.dumps(Histogram(name + "h", "what", ["b"], [1, 2])))
    assert Gauge(name + "g", "what", across="max").labels() is gauge.labels()
    assert histogram.labels("y") is Histogram(name + "h", "what", ["b"], [1, 2]).labels("y")


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda name: Gauge(name, "what"), "a counter with the labels.*now it would be a gauge"),
        (lambda name: Counter(name, "what", ["b"]), "in another way"),
        (lambda _: Counter("9", "what"), "got '9'"),
        (lambda _: Counter("a b", "what"), "got 'a b'"),
        (lambda _: Counter("ü", "what"), "got 'ü'"),
        (lambda _: Counter("x" * 201, "what"), "at most 200"),
        (lambda _: Counter("nv_gpu", "what"), "are the server's"),
        (lambda _: Counter("pytriton_workers", "what"), "are the server's"),
        (lambda _: Counter("c", "x" * 1001), "more than 1000 bytes"),
        (lambda _: Counter("c", "what", ["__a"]), "at most 16 different labels"),
        (lambda _: Counter("c", "what", ["le"]), "le"),
        (lambda _: Counter("c", "what", ["a", "a"]), "different"),
        (lambda _: Gauge("c", "what", across="median"), "across is one of sum, max, min, mean, got 'median'"),
        (lambda _: Histogram("c", "what", buckets=[]), "1 to 100 ascending"),
        (lambda _: Histogram("c", "what", buckets=[2, 1]), "ascending"),
        (lambda _: Histogram("c", "what", buckets=[math.nan]), "ascending"),
    ],
)
def test_what_cannot_be_declared(name: str, declare: Callable[[str], Any], text: str) -> None:
    Counter(name, "what", ["a"])
    with pytest.raises(PyTritonValidationError, match=text):
        declare(name)


def test_what_cannot_be_a_label(name: str) -> None:
    counter = Counter(name, "what", ["a"])
    for values, named in (((), {}), (("x", "y"), {}), ((), {"b": 1}), (("x",), {"a": 1})):
        with pytest.raises(PyTritonValidationError, match=r"expected a value for each"):
            counter.labels(*values, **named)
    with pytest.raises(PyTritonValidationError, match=r"say which values, with labels\(\)"):
        counter.inc()
    for text in ("x" * 1001, "a\0b", "\ud800"):
        with pytest.raises(PyTritonValidationError, match="cannot be shown"):
            counter.labels(text)


def test_labels_without_end_cost_no_memory_and_no_inference(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    counter = Counter(name, "what", ["id"])
    for number in range(10_002):
        counter.labels(number).inc()
    assert [record.message for record in caplog.records] == [
        f"metric {name}: its labels have 10000 different values, new ones are not shown: a label is for what "
        "has few of them."
    ]
    assert counter.labels(9_999).value == 1
    assert counter.labels(10_001).value == 0


def test_histograms_tell_what_has_changed_bucket_by_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, int]] = []

    def observe(_: int, value: float, times: int) -> bytes:
        told.append((value, times))
        return b""

    monkeypatch.setattr(wire, "observe", observe)
    series = HistogramSeries(lambda: None, (1.0, 2.0))
    for value in (0.25, 0.75, 1.0, 5.0):
        series.observe(value)
    first = series.snapshot()
    assert [times for _, times in series.records(0, None, first)] == [3, 1]
    assert told == [(2 / 3, 3), (5.0, 1)]
    told.clear()
    series.observe(1.5)
    assert list(series.records(0, first, series.snapshot())) == [(b"", 1)]
    assert told == [(1.5, 1)]


def test_means_stay_in_their_bucket() -> None:
    bounds = (0.1, 0.3)
    series = HistogramSeries(lambda: None, bounds)
    for _ in range(1000):
        series.observe(0.3)
        series.observe(math.nextafter(0.1, 1))
    ((_, times),) = series.records(0, None, series.snapshot())
    assert times == 2000
    for _ in range(3):
        series.observe(0.1)
    ((low, _), _) = series.records(0, None, series.snapshot())
    assert wire.observe(0, 0.1, 3) == low
