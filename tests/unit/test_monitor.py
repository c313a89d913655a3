# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

import pytest
from rich.console import Console

from pytriton.client.exceptions import PyTritonClientConnectionError, PyTritonClientProtocolError
from pytriton.monitor.models import list_models
from pytriton.monitor.number import number
from pytriton.monitor.prometheus import fetch, parse
from pytriton.monitor.sample import Sample, changes
from pytriton.monitor.server import Server
from pytriton.monitor.statistics import Totals
from pytriton.monitor.view import view
from tests.helpers.http_peer import CONFIG, answer, http_peer
from tests.helpers.server import LOCAL, free_ports

TEXT = r"""
# HELP nv_inference_count Number of inferences
# TYPE nv_inference_count counter
nv_inference_count{model="a",version="1"} 12
nv_inference_count{model="a \"b\" \\ c",version="2"} 3 1700000000
pytriton_workers{model="a",version="1"} 2
pytriton_workers_busy{model="a",version="1"} 1
pytriton_shared_memory_bytes{model="a",version="1"} 2.5e+06
nv_inference_pending_request_count{model="a",version="1"} 4
nv_cpu_memory_used_bytes 4e9
nv_cpu_memory_total_bytes 2.5e10
nv_gpu_utilization{gpu_uuid="GPU-1"} 0.5
nv_gpu_memory_used_bytes{gpu_uuid="GPU-1"} 1e9
nv_gpu_memory_total_bytes{gpu_uuid="GPU-1"} 8e10
not a metric
bad_value{model="a"} x
"""
ENTRY = {
    "name": "a",
    "version": "1",
    "inference_count": 80,
    "execution_count": 20,
    "inference_stats": {
        "success": {"count": 40, "ns": 80_000_000},
        "fail": {"count": 2, "ns": 5},
        "queue": {"count": 40, "ns": 40_000_000},
        "compute_input": {"count": 40, "ns": 4_000_000},
        "compute_infer": {"count": 40, "ns": 20_000_000},
        "compute_output": {"count": 40, "ns": 4_000_000},
    },
}


def shown(width: int, *totals: Totals) -> str:
    before = Sample(0.0, {("a", "1"): Totals()}, None)
    after = Sample(2.0, {("a", "1"): totals[0]}, parse(TEXT), ("a note",))
    console = Console(file=io.StringIO(), width=width)
    console.print(view("the server", after, changes(before, after), 2.0, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_metrics_are_read() -> None:
    metrics = parse(TEXT)
    assert metrics.total("nv_inference_count") == 15
    assert metrics.total("nv_inference_count", model='a "b" \\ c') == 3
    assert metrics.total("nothing") is None
    assert metrics.total("bad_value") is None
    assert metrics.values("nv_gpu_utilization", "gpu_uuid") == {"GPU-1": 0.5}
    assert metrics.models() == [("a", "1"), ('a "b" \\ c', "2")]


def test_totals() -> None:
    totals = Totals.of(ENTRY)
    assert (totals.requests, totals.failures, totals.mean_batch) == (40, 2, 4.0)
    assert (totals.queue_ms, totals.compute_ms, totals.copy_ms, totals.request_ms) == (1.0, 0.5, 0.2, 2.0)
    assert Totals().queue_ms is None
    assert Totals().mean_batch is None
    assert Totals.of({}) == Totals()
    more = Totals(requests=50, rows=90, batches=30)
    assert more.since(Totals(requests=40, rows=80, batches=20)).requests == 10
    # Loaded anew, it counts from nothing.
    assert Totals(requests=3).since(totals).requests == 3


def test_what_the_view_says_of_itself() -> None:
    console = Console(file=io.StringIO(), width=60)
    title = "a server with a long name at http://localhost:8000"
    for lasting in (True, False):
        console.print(view(title, Sample(2.0, {}, None), [], 2.0, 60, lasting=lasting))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0].endswith("  every 2 s, Ctrl-C ends it")
    assert lines[4].endswith("  of 2 s")


def test_view() -> None:
    text = shown(140, Totals.of(ENTRY))
    row = next(line for line in text.splitlines() if line.startswith(" a "))
    assert row.split() == ["a", "20.0", "1.00", "4.00", "1.00", "0.500", "0.200", "4", "1/2", "2.50", "40"]
    assert "requests/s 20.0   errors/s 1.00   memory 4.0 of 25.0 GB   GPU 0 50% 1.0 of 80.0 GB" in text
    assert "a note" in text
    narrow = shown(80, Totals.of(ENTRY))
    assert max(map(len, narrow.splitlines())) <= 80
    row = next(line for line in narrow.splitlines() if line.startswith(" a "))
    assert row.split() == ["a", "20.0", "1.00", "4.00", "1.00", "0.500", "4", "1/2", "2.50"]
    name = "a_model_with_a_long_name"
    console = Console(file=io.StringIO(), width=80)
    found = changes(Sample(0.0, {}, None), Sample(2.0, {(name, "1"): Totals.of(ENTRY)}, parse(TEXT)))
    console.print(view("t", Sample(2.0, {}, None), found, 2.0, 80))
    assert isinstance(console.file, io.StringIO)
    long = console.file.getvalue()
    assert name in long
    assert "…" not in long
    assert "compute ms" in long
    console = Console(file=io.StringIO(), width=1000)
    console.print(view("t", Sample(2.0, {}, None), found, 2.0, None))
    assert isinstance(console.file, io.StringIO)
    assert "in+out ms" in console.file.getvalue()
    assert max(map(len, console.file.getvalue().splitlines())) < 200


def test_a_server_without_workers_has_no_such_columns() -> None:
    sample = Sample(1.0, {("a", "1"): Totals()}, None)
    console = Console(file=io.StringIO(), width=120)
    console.print(view("t", sample, changes(Sample(0.0, {}, None), sample), 1.0))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "req/s" in text
    for title in ("busy", "shm MB", "waiting"):
        assert title not in text


def test_numbers() -> None:
    values = (None, 0, 0.0123, 1.234, 12.34, 1234.5)
    assert [number(value) for value in values] == ["", "0", "0.012", "1.23", "12.3", "1,234"]


def test_says_why_there_are_no_metrics() -> None:
    (port,) = free_ports(1)
    with pytest.raises(PyTritonClientConnectionError, match=f"http://{LOCAL}:{port} gives no metrics: Conn"):
        fetch(f"http://{LOCAL}:{port}", 1.0)
    with pytest.raises(PyTritonClientProtocolError, match="expected http:// or https://"):
        fetch("file:///etc/passwd", 1.0)
    with (
        http_peer(lambda *_: answer({}, "404 Not Found", headers="Connection: close\r\n")) as peer,
        pytest.raises(PyTritonClientProtocolError, match="gives no metrics: HTTP status 404"),
    ):
        fetch(peer.url, 1.0)


def test_models_that_are_in_no_repository_are_known_by_their_statistics() -> None:
    replies = {
        "/v2": {"name": "s", "extensions": ["model_repository", "statistics", "model_configuration"]},
        "/v2/repository/index": [],
        "/v2/models/stats": {"model_stats": [ENTRY]},
        "/v2/models/a/config": CONFIG,
    }
    with http_peer(lambda heard, _: answer(replies[heard.path])) as peer, Server(peer.url) as server:
        (model,), notes = list_models(server)
    assert (model.name, model.version, model.state, model.max_batch_size) == ("a", "1", "READY", 4)
    assert model.totals is not None
    assert model.totals.requests == 40
    assert str(model.inputs[0]) == "x: FP32[*]"
    assert notes == []
