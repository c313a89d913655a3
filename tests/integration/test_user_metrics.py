# SPDX-License-Identifier: Apache-2.0
"""Metrics that functions declare, on a real server's metrics page."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.metrics import Counter, Gauge, Histogram
from pytriton.metrics.reporter import reporter
from pytriton.model_config import Tensor
from pytriton.request import Array
from pytriton.triton import RemoteTriton, Triton
from pytriton.workers import WorkerProcesses
from tests.helpers.gate import wait_until
from tests.helpers.observed_models import count_and_say
from tests.helpers.processes import server_of, servers_of, watching
from tests.helpers.prometheus import Page, scrape
from tests.helpers.server import Model, Server, local_config

Serve = Callable[..., Server]

FLOAT = Tensor((1,), np.float32)
_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    """One that no other test declares, since declarations stay."""
    return f"of_a_real_test_{next(_numbers)}"


def document(*values: float) -> dict[str, Any]:
    return {
        "inputs": [{"name": "INPUT_1", "shape": [len(values), 1], "datatype": "FP32", "data": list(values)}]
    }


def wait_for(server: Server, condition: Callable[[Page], bool]) -> Page:
    """The first page that is as it should be."""
    pages: list[Page] = []

    def look() -> bool:
        try:
            pages.append(scrape(server))
        except OSError:  # the port of a server that is started anew
            return False
        return condition(pages[-1])

    wait_until(look, "what was counted")
    return pages[-1]


def has(name: str, value: float, **labels: str) -> Callable[[Page], bool]:
    def look(page: Page) -> bool:
        return any(labels == found for found in page.labels(name)) and page.value(name, **labels) == value

    return look


def test_functions_count_on_the_page_of_their_server(serve: Serve, name: str) -> None:
    rows = Counter(f"{name}_rows_total", 'Rows, of a "kind" \\', ["kind"])
    last = Gauge(f"{name}_last", "The last value")
    values = Histogram(f"{name}_values", "The values", buckets=[1, 10])
    both = threading.Barrier(2, timeout=20)

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        both.wait()
        rows.labels('a "b"\n').inc(len(INPUT_1))
        for value in INPUT_1[:, 0]:
            values.observe(value)
        last.set(7)
        return [INPUT_1]

    server = serve(Model("m", [count, count], [FLOAT], [FLOAT]))
    page = wait_for(server, lambda page: f"{name}_last" in page.kinds)
    assert page.value(f"{name}_last") == 0
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda _: server.infer("m", document(0.5, 3, 100)), range(2)))
    assert [reply.status for reply in replies] == [200, 200]
    page = wait_for(server, has(f"{name}_rows_total", 6, kind='a \\"b\\"\\n'))
    page = wait_for(server, has(f"{name}_values_count", 6))
    assert page.kinds[f"{name}_values"] == "histogram"
    assert page.value(f"{name}_values_sum") == 207
    assert [page.value(f"{name}_values_bucket", le=bound) for bound in ("1", "10", "+Inf")] == [2, 4, 6]
    assert page.value(f"{name}_last") == 7


def test_a_metric_that_is_declared_while_the_server_runs(serve: Serve, name: str) -> None:
    @batch
    def late(INPUT_1: Array) -> list[Array]:
        Counter(f"{name}_total", "Declared late").inc()
        return [INPUT_1]

    server = serve(Model("m", late, [FLOAT], [FLOAT]))
    server.infer("m", document(1))
    server.infer("m", document(1))
    wait_for(server, has(f"{name}_total", 2))


def test_models_come_and_go_and_numbers_stay(serve: Serve, name: str) -> None:
    counter = Counter(f"{name}_total", "Counted")

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        counter.inc()
        return [INPUT_1]

    first, second = Model("m", count, [FLOAT], [FLOAT]), Model("n", count, [FLOAT], [FLOAT])
    server = serve(first, second)
    server.infer("m", document(1))
    wait_for(server, has(f"{name}_total", 1))
    server.triton.unbind("m")
    server.triton.unbind("n")
    wait_until(lambda: not _reporting(), "the end of the thread that reports")
    counter.inc()
    second.bind_to(server.triton)
    server.infer("n", document(1))
    wait_for(server, has(f"{name}_total", 3))


def test_a_server_that_is_started_anew_hears_what_is_new_and_all_gauges(serve: Serve, name: str) -> None:
    counter = Counter(f"{name}_total", "Counted")
    gauge = Gauge(f"{name}_level", "The level")
    gauge.set(3)

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        counter.inc()
        return [INPUT_1]

    model = Model("m", count, [FLOAT], [FLOAT])
    for _ in range(2):
        server = serve(model)
        server.infer("m", document(1))
        wait_for(server, has(f"{name}_total", counter.value))
        wait_for(server, has(f"{name}_level", 3))
        server.close()


def test_a_server_that_dies_is_told_again_once_it_is_back(serve: Serve, name: str) -> None:
    counter = Counter(f"{name}_total", "Counted")
    gauge = Gauge(f"{name}_level", "The level")
    sizes = Histogram(f"{name}_sizes", "Sizes")
    gauge.set(3)

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        counter.inc()
        sizes.observe(1)
        return [INPUT_1]

    server = serve(Model("m", count, [FLOAT], [FLOAT]))
    server.infer("m", document(1))
    wait_for(server, has(f"{name}_total", 1))
    pid = server_of(os.getpid())
    with watching(pid) as process:
        process.kill(signal.SIGKILL)
        assert process.gone(20)
    wait_until(lambda: servers_of(os.getpid()) not in ([], [pid]), "another server")
    wait_until(lambda: _answers(server), "an answer")
    wait_for(server, has(f"{name}_total", 1))
    wait_for(server, has(f"{name}_sizes_count", 1))
    wait_for(server, has(f"{name}_level", 3))


def _answers(server: Server) -> bool:
    try:
        return server.infer("m", document(1)).status == 200
    except OSError:
        return False


def test_worker_processes_are_counted_together_and_what_they_counted_stays(serve: Serve) -> None:
    x, pid = Tensor(name="x", dtype=np.float32, shape=(1,)), Tensor(name="pid", dtype=np.int64, shape=(1,))
    server = serve(Model("m", count_and_say, [x], [pid], workers=WorkerProcesses(2)))
    wait_for(server, has("pytriton_workers", 2, model="m", version="1"))
    calls: dict[int, int] = {}
    with ModelClient(server.url, "m") as client:
        while len(calls) < 2:
            with ThreadPoolExecutor(4) as pool:
                for number in pool.map(
                    lambda _: client.infer_sample(x=np.full(1, 3, np.float32))["pid"][0], range(4)
                ):
                    calls[number] = calls.get(number, 0) + 1
        page = scrape(server)
        total = page.value("pytriton_batch_size_count", model="m")
        wait_for(server, has("of_worker_processes_calls_total", total, whose="all"))
        page = wait_for(server, has("of_worker_processes_rows_count", total))
        assert page.value("of_worker_processes_level") == 3
        with watching(next(iter(calls))) as process:
            process.kill(signal.SIGKILL)
            assert process.gone(20)
        wait_for(server, has("pytriton_worker_restarts_total", 1, model="m", version="1"))
        client.infer_sample(x=np.ones(1, np.float32))
    wait_for(server, lambda page: page.value("of_worker_processes_calls_total", whose="all") > total)


def test_two_servers_of_a_process_both_hear_everything(serve: Serve, name: str) -> None:
    counter = Counter(f"{name}_total", "Counted")
    gauge = Gauge(f"{name}_level", "The level")

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        counter.inc()
        gauge.inc()
        return [INPUT_1]

    servers = [serve(Model("m", count, [FLOAT], [FLOAT])) for _ in range(2)]
    for server in servers:
        server.infer("m", document(1))
    for server in servers:
        wait_for(server, has(f"{name}_total", 2))
        wait_for(server, has(f"{name}_level", 2))


def test_two_remote_programs_at_one_server_are_counted_once(serve: Serve, name: str) -> None:
    counter = Counter(f"{name}_total", "Counted")

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        counter.inc()
        return [INPUT_1]

    server = serve(Model("own", count, [FLOAT], [FLOAT]))
    with RemoteTriton(url=server.url) as one:
        Model("one", count, [FLOAT], [FLOAT]).bind_to(one)
        one.connect()
        for model in ("own", "one"):
            assert server.infer(model, document(1)).status == 200
        wait_for(server, has(f"{name}_total", 2))
        server.triton.unbind("own")
        assert server.infer("one", document(1)).status == 200
        wait_for(server, has(f"{name}_total", 3))


def test_a_name_that_another_process_uses_otherwise_is_complained_about(
    serve: Serve, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    # A histogram has three more names, which only the server compares.
    Histogram(name, "A histogram")
    counter = Counter(f"{name}_sum", "A counter")

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        counter.inc()
        return [INPUT_1]

    with caplog.at_level(logging.WARNING, "pytriton.metrics"):
        server = serve(Model("m", count, [FLOAT], [FLOAT]))
        assert server.infer("m", document(1)).status == 200
        wait_until(lambda: any(f'"{name}_sum" is taken' in line for line in caplog.messages), "the complaint")
        caplog.clear()
        assert server.infer("m", document(1)).status == 200


def test_a_fork_of_the_function_reports_nothing(serve: Serve, name: str) -> None:
    counter = Counter(f"{name}_total", "Counted")

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        counter.inc()
        child = os.fork()
        if child == 0:
            counter.inc(100)
            os._exit(0)
        os.waitpid(child, 0)
        return [INPUT_1]

    server = serve(Model("m", count, [FLOAT], [FLOAT]))
    for expected in (1, 2):
        assert server.infer("m", document(1)).status == 200
        wait_for(server, has(f"{name}_total", expected))


def test_counting_without_the_endpoint(name: str) -> None:
    counter = Counter(f"{name}_total", "Counted")

    @batch
    def count(INPUT_1: Array) -> list[Array]:
        counter.inc()
        return [INPUT_1]

    config, address = local_config(allow_metrics=False)
    with Triton(config=config) as triton:
        Model("m", count, [FLOAT], [FLOAT]).bind_to(triton)
        triton.run()
        assert address.infer("m", document(1)).status == 200
    address.close()
    assert counter.value == 1


def _reporting() -> bool:
    return reporter._thread is not None
