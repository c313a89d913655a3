# SPDX-License-Identifier: Apache-2.0
"""What a real server's metrics page says of our models."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Array
from tests.helpers.gate import Gate, wait_until
from tests.helpers.prometheus import scrape
from tests.helpers.server import TIMEOUT_S, Model, Server
from tests.helpers.streams import grpc_stream, rows

Serve = Callable[..., Server]

FLOAT = Tensor((1,), np.float32)
KINDS = {
    "pytriton_batch_size": "histogram",
    "pytriton_batches_in_flight": "gauge",
    "pytriton_batches_in_flight_limit": "gauge",
    "pytriton_cancellations_total": "counter",
    "pytriton_dispatch_seconds": "histogram",
    "pytriton_function_seconds": "histogram",
    "pytriton_shared_memory_bytes": "gauge",
    "pytriton_shared_memory_limit_bytes": "gauge",
    "pytriton_shared_memory_refusals_total": "counter",
    "pytriton_stream_memory_bytes": "gauge",
    "pytriton_worker_restarts_total": "counter",
    "pytriton_workers": "gauge",
    "pytriton_workers_busy": "gauge",
}


@batch
def echo(INPUT_1: Array) -> list[Array]:
    return [INPUT_1]


def document(count: int = 1) -> dict[str, Any]:
    return {"inputs": [{"name": "INPUT_1", "shape": [count, 1], "datatype": "FP32", "data": [1] * count}]}


def test_a_model_is_on_the_page_with_all_that_is_counted(serve: Serve) -> None:
    server = serve(Model("m", [echo, echo], [FLOAT], [FLOAT], version=3))
    page = scrape(server)
    assert {name: kind for name, kind in page.kinds.items() if name.startswith("pytriton_")} == KINDS
    here = {"model": "m", "version": "3"}
    assert page.value("pytriton_workers", **here) == 2
    assert page.value("pytriton_batches_in_flight_limit", **here) == 2
    assert page.value("pytriton_shared_memory_limit_bytes", **here) > 0
    assert page.value("pytriton_batch_size_count", **here) == 0
    assert server.infer("m", document(3)).status == 200
    page = scrape(server)
    assert page.value("pytriton_batch_size_count", **here) == 1
    assert page.value("pytriton_batch_size_sum", **here) == 3
    assert page.value("pytriton_batch_size_bucket", le="2", **here) == 0
    assert page.value("pytriton_batch_size_bucket", le="4", **here) == 1
    assert page.value("pytriton_dispatch_seconds_sum", **here) < 1
    wait_until(lambda: scrape(server).value("pytriton_batches_in_flight", **here) == 0, "an idle model")
    wait_until(lambda: scrape(server).value("pytriton_shared_memory_bytes", **here) == 0, "free memory")


def test_workers_together_may_use_what_their_model_may(serve: Serve) -> None:
    config = ModelConfig(shared_memory_bytes=16 << 20)
    server = serve(Model("m", [echo, echo], [FLOAT], [FLOAT], config))
    here = {"model": "m", "version": "1"}
    assert scrape(server).value("pytriton_shared_memory_limit_bytes", **here) == 16 << 20
    server.triton.unbind("m")


def test_what_a_function_has_is_busy_and_timed(serve: Serve) -> None:
    gate = Gate()
    gate.shut()

    @batch
    def held(INPUT_1: Array) -> list[Array]:
        gate.pass_through()
        return [INPUT_1]

    server = serve(Model("m", [held, held], [FLOAT], [FLOAT]))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.infer, "m", document())
        gate.wait_for_arrival()
        page = scrape(server)
        assert page.value("pytriton_workers_busy") == 1
        assert page.value("pytriton_batches_in_flight") == 1
        assert page.value("pytriton_shared_memory_bytes") > 0
        gate.open()
        assert answer.result(TIMEOUT_S).status == 200
    assert scrape(server).value("pytriton_function_seconds_sum") > 0
    wait_until(lambda: scrape(server).value("pytriton_workers_busy") == 0, "an idle worker")


def test_streams_that_nobody_reads_any_more_are_counted(serve: Serve) -> None:
    @batch
    def numbers(INPUT_1: Array) -> Any:
        while True:
            yield [INPUT_1]

    server = serve(Model("m", numbers, [FLOAT], [FLOAT], ModelConfig(decoupled=True)))
    with grpc_stream(server, drop=True) as stream:
        stream.send("m", {"INPUT_1": rows(1)})
        stream.receive()
    wait_until(lambda: scrape(server).value("pytriton_cancellations_total") == 1, "the cancellation")
    wait_until(lambda: scrape(server).value("pytriton_batches_in_flight") == 0, "the end of the stream")
    assert scrape(server).value("pytriton_batch_size_count") == 1
    assert scrape(server).value("pytriton_stream_memory_bytes") == 0


def test_memory_of_kept_arrays_is_in_use(serve: Serve) -> None:
    kept: list[Array] = []

    @batch
    def keep(INPUT_1: Array) -> list[Array]:
        kept.append(INPUT_1)
        return [INPUT_1]

    server = serve(Model("m", keep, [FLOAT], [FLOAT]))
    assert server.infer("m", document()).status == 200
    wait_until(lambda: scrape(server).value("pytriton_batches_in_flight") == 0, "an idle model")
    assert scrape(server).value("pytriton_shared_memory_bytes") >= 4096
    kept.clear()
    wait_until(lambda: scrape(server).value("pytriton_shared_memory_bytes") == 0, "free memory")


def test_models_that_are_gone_are_not_on_the_page_and_swapped_ones_go_on(serve: Serve) -> None:
    first, second = Model("m", echo, [FLOAT], [FLOAT]), Model("n", echo, [FLOAT], [FLOAT])
    server = serve(first, second)
    assert server.infer("m", document()).status == 200
    first.bind_to(server.triton, replace=True)
    assert server.infer("m", document()).status == 200
    page = scrape(server)
    assert page.value("pytriton_workers", model="m") == 1
    assert page.value("pytriton_batch_size_count", model="m") == 2
    assert page.value("pytriton_worker_restarts_total", model="m") == 0
    server.triton.unbind("m")
    assert scrape(server).labels("pytriton_workers") == [{"model": "n", "version": "1"}]


def test_a_server_that_shows_no_metrics_serves(serve: Serve) -> None:
    server = serve(Model("m", echo, [FLOAT], [FLOAT]), config={"allow_metrics": False})
    assert server.infer("m", document()).status == 200
