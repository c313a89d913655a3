# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import http.server
import itertools
import re
import threading
import time
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import grpc
import numpy as np
import pytest

from pytriton.bench import levels, payload
from pytriton.bench.arrivals import due_times
from pytriton.bench.early import AllFailedError, EarlyLook, check, early_s
from pytriton.bench.fleet import run_load, split
from pytriton.bench.outcome import outcome_of
from pytriton.bench.picture import save_png
from pytriton.bench.plan import METHOD, NS_PER_S, Plan, Seen
from pytriton.bench.report import html_report
from pytriton.bench.run import Benchmark, Level, Step
from pytriton.cli import bench as bench_command
from pytriton.client._core.operations import Infer
from pytriton.client._grpc.wire import method_of
from pytriton.client.exceptions import (
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientValueError,
)
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig
from pytriton.monitor.statistics import Totals
from tests.helpers.server import free_ports

MODEL = TritonModelConfig(
    "Model",
    inputs=[
        TensorSpec("image", (-1, -1, 3), np.float32),
        TensorSpec("text", (1,), np.bytes_),
        TensorSpec("more", (2,), np.int8, optional=True),
    ],
    outputs=[],
)


def plan(target: str, **options: Any) -> Plan:
    message = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    given: dict[str, Any] = {
        **{"protocol": "http", "target": target, "encrypted": False, "message": message, "metadata": ()},
        **{"concurrency": 2, "rate": 0.0, "poisson": False, "warmup_s": 0.1, "duration_s": 0.5},
        "timeout_s": 5.0,
    }
    return Plan(**{**given, **options})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    pause_s: ClassVar[float] = 0.0
    status: ClassVar[int] = 200
    closes: ClassVar[bool] = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.pause_s)  # what takes time in a model
        body = b'{"error": "on purpose"}'
        head = f"HTTP/1.1 {self.status} Whatever\r\nContent-Length: {len(body)}\r\n"
        self.wfile.write(head.encode() + b"Connection: close\r\n" * self.closes + b"\r\n" + body)
        self.close_connection = self.closes


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers as the parameters say."""
    handler = type("Peer", (Handler,), getattr(request, "param", {}))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("peer", [{"pause_s": 0.02}], indirect=True)
def test_a_closed_loop_sends_when_it_has_got_an_answer(peer: str) -> None:
    seen = run_load(split(plan(peer, concurrency=4), 2))
    outcome = outcome_of(seen, concurrency=4, offered=0, batch_size=3)
    assert len(seen) == 2
    assert outcome.failures == 0
    # Four at a time, 20 ms each: 200 a second and never more.
    assert 40 < outcome.rate <= 200
    assert outcome.rows == pytest.approx(3 * outcome.rate)
    assert outcome.least_ms is not None
    assert outcome.least_ms >= 20


@pytest.mark.parametrize("poisson", [False, True])
@pytest.mark.parametrize("peer", [{"pause_s": 0.02}], indirect=True)
def test_an_open_loop_sends_when_it_is_time(peer: str, poisson: bool) -> None:
    seen = run_load([plan(peer, concurrency=64, rate=100.0, poisson=poisson, duration_s=1.0)])
    outcome = outcome_of(seen, concurrency=64, offered=100, batch_size=1)
    assert outcome.failures == 0
    assert outcome.rate == pytest.approx(100, rel=0.5 if poisson else 0.2)


@pytest.mark.parametrize("peer", [{"pause_s": 0.1}], indirect=True)
def test_the_latency_of_an_open_loop_counts_from_when_a_request_was_due(peer: str) -> None:
    seen = run_load([plan(peer, concurrency=1, rate=40.0, warmup_s=0.0, duration_s=1.0)])
    outcome = outcome_of(seen, concurrency=1, offered=40, batch_size=1)
    assert outcome.rate <= 10
    # The last ones answered have waited for all before them.
    assert outcome.most_ms is not None
    assert outcome.most_ms > 500
    assert seen[0].unsent > 15
    assert "The server did not keep up" in " ".join(outcome.notes)


@pytest.mark.parametrize("peer", [{"status": 503}], indirect=True)
def test_failures_are_counted_with_what_was_said(peer: str) -> None:
    (seen,) = run_load([plan(peer, warmup_s=0.0)])
    assert not seen.ends
    assert seen.failures > 0
    assert list(seen.errors) == ["HTTP status 503: on purpose"]


@pytest.mark.parametrize("rate", [0.0, 100.0])
@pytest.mark.parametrize("peer", [{"status": 400}], indirect=True)
def test_a_load_of_which_every_request_fails_is_stopped(peer: str, rate: float) -> None:
    passed: list[float] = []
    plans = split(plan(peer, concurrency=2, rate=rate, warmup_s=0.5, duration_s=600.0), 2)
    with pytest.raises(AllFailedError) as caught:
        run_load(plans, passed.append)
    assert max(passed) == 0.5
    assert re.fullmatch(
        r"all [\d,]+ requests of the first 0.5 s failed, so that nothing was measured: "
        r"HTTP status 400: on purpose",
        str(caught.value),
    )


def test_levels_before_one_that_fails_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = Seen(array("q", [NS_PER_S // 2]), array("q", [1000]), starts_at=0, ends_at=NS_PER_S)
    answers = iter([[seen]])

    def run_load(*_: Any) -> list[Seen]:
        if found := next(answers, None):
            return found
        raise AllFailedError("all 3 requests failed")

    class Unable:
        def statistics(self, _: str) -> Any:
            raise PyTritonClientError("it does not tell")

    monkeypatch.setattr("pytriton.bench.run.run_load", run_load)
    server: Any = Unable()
    benchmark = Benchmark(plan("x:1"), [Level(1), Level(2), Level(4)], lambda _: 1, 1, server, "m")
    steps, stopped = bench_command._run(benchmark)
    assert [step.level for step in steps] == [Level(1)]
    assert isinstance(stopped, AllFailedError)
    assert str(stopped) == "2 in flight: all 3 requests failed"
    assert capsys.readouterr() == ("", "")  # progress is for terminals


def test_what_is_told_of_loads_that_fail() -> None:
    trace = 'gRPC status 13: Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no luck'
    with pytest.raises(AllFailedError) as caught:
        check([EarlyLook(0, 2, {trace: 2}), EarlyLook(0, 1, {"other": 1})], 1.0)
    assert str(caught.value) == (
        "all 3 requests of the first 1 s failed, so that nothing was measured: gRPC status 13: "
        "ValueError: no luck (and 1 other error)"
    )
    check([EarlyLook(0, 2, {"x": 2}), EarlyLook(1, 0, {})], 1.0)  # one process has got an answer
    check([EarlyLook(0, 0, {})], 1.0)  # a slow model


def test_when_a_load_is_looked_at() -> None:
    assert early_s(plan("x:1", warmup_s=0.1, duration_s=0.5)) == 0.1
    assert early_s(plan("x:1", warmup_s=0.0, duration_s=5.0)) == 1.0
    assert early_s(plan("x:1", warmup_s=0.0, duration_s=0.5)) is None


@pytest.mark.parametrize("peer", [{"closes": True}], indirect=True)
def test_a_server_that_closes_connections_is_asked_on_new_ones(peer: str) -> None:
    (seen,) = run_load([plan(peer)])
    assert len(seen.ends) > 2
    assert seen.failures == 0


@pytest.mark.parametrize("peer", [{"pause_s": 1.0}], indirect=True)
def test_a_request_may_take_so_long_and_no_longer(peer: str) -> None:
    (seen,) = run_load([plan(peer, timeout_s=0.2)])
    assert list(seen.errors) == ["no answer within 0.2 s"]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_no_server(protocol: str) -> None:
    (port,) = free_ports(1)
    with pytest.raises(PyTritonClientConnectionError, match=f"No connection to 127.0.0.1:{port}"):
        run_load([plan(f"127.0.0.1:{port}", protocol=protocol, timeout_s=1.0)])


def test_levels() -> None:
    assert levels.counts("8", "-c") == [8]
    assert levels.counts("1,2,5", "-c") == [1, 2, 5]
    assert levels.counts("1-64", "-c") == [1, 2, 4, 8, 16, 32, 64]
    assert levels.counts("3-10,20", "-c") == [3, 6, 10, 20]
    assert levels.rates("0.5-4", "-r") == [0.5, 1, 2, 4]
    for text in ("", "0", "a", "1,", "-1", "1.5", "1-", "nan"):
        with pytest.raises(PyTritonClientValueError, match="-c: expected whole numbers"):
            levels.counts(text, "-c")
    with pytest.raises(PyTritonClientValueError, match="goes down; write 1-8"):
        levels.counts("8-1", "-c")


def test_arrivals() -> None:
    even = list(itertools.islice(due_times(100.0, False, 5 * NS_PER_S), 1000))
    assert 5 * NS_PER_S <= even[0] < 5.01 * NS_PER_S
    assert {round((b - a) / 1e4) for a, b in itertools.pairwise(even)} == {1000}
    random = list(itertools.islice(due_times(100.0, True, 0), 20_000))
    gaps = np.diff(random) / NS_PER_S
    assert gaps.mean() == pytest.approx(0.01, rel=0.05)
    assert gaps.std() == pytest.approx(0.01, rel=0.1)


def test_a_load_is_split_evenly() -> None:
    parts = split(plan("x", concurrency=7, rate=70.0), 3)
    assert [part.concurrency for part in parts] == [3, 2, 2]
    assert [part.rate for part in parts] == pytest.approx([30, 20, 20])
    assert len(split(plan("x", concurrency=2), 8)) == 2


def test_outcome_counts_what_came_in_time() -> None:
    ms = NS_PER_S // 1000
    seen = Seen(
        ends=array("q", [500 * ms, 1000 * ms, 1500 * ms, 2999 * ms, 3000 * ms]),
        latencies=array("q", [9 * ms, 1 * ms, 2 * ms, 3 * ms, 9 * ms]),
        failures=2,
        errors={"a": 2},
        busy=0.95,
        starts_at=1000 * ms,
        ends_at=3000 * ms,
    )
    outcome = outcome_of([seen, seen], concurrency=4, offered=0, batch_size=2)
    assert (outcome.requests, outcome.rate, outcome.rows) == (6, 3.0, 6.0)
    assert (outcome.mean_ms, outcome.least_ms, outcome.most_ms) == (2.0, 1.0, 3.0)
    assert outcome.percentiles_ms["p50"] == 2.0
    assert outcome.failures == 4
    assert outcome.errors == {"a": 4}
    assert outcome.slices[0] == 20.0
    assert "busy for 95% of the time" in outcome.notes[0]


def test_nothing_answered_is_an_outcome_too(tmp_path: Path) -> None:
    seen = Seen(failures=1, errors={"<b>no</b>": 1}, starts_at=0, ends_at=NS_PER_S)
    outcome = outcome_of([seen], concurrency=1, offered=0, batch_size=1)
    assert (outcome.rate, outcome.mean_ms, outcome.percentiles_ms) == (0.0, None, {})
    pytest.importorskip("matplotlib")
    page = html_report("t", {}, [Step(Level(1), outcome, None)], [])
    assert "1 in flight: 1 times: &lt;b&gt;no&lt;/b&gt;" in page


def test_picture_and_report(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    steps = []
    for count in (1, 8):
        ends = array("q", range(0, NS_PER_S, NS_PER_S // (100 * count)))
        latencies = array("q", [NS_PER_S // 100] * len(ends))
        seen = Seen(ends, latencies, starts_at=0, ends_at=NS_PER_S)
        outcome = outcome_of([seen], concurrency=count, offered=0, batch_size=1)
        steps.append(Step(Level(count), outcome, Totals(rows=8, batches=2, timed=4, queue_ns=4_000_000)))
    save_png("title", steps, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    page = html_report("<title>", {"model": "a & b"}, steps, ["a note"])
    for text in ("&lt;title&gt;", "a &amp; b", "<td>8 in flight</td>", "<td>4.000</td>", "a note", "</svg>"):
        assert text in page
    assert "src=" not in page
    assert "@import" not in page


def test_made_up_inputs() -> None:
    shapes = payload.shapes_of(["image:4,5,3"], MODEL)
    inputs = payload.made_up(MODEL, shapes, 2, zeros=False)
    assert {name: value.shape for name, value in inputs.items()} == {"image": (2, 4, 5, 3), "text": (2, 1)}
    assert payload.made_up(MODEL, {}, 1, zeros=True)["image"].shape == (1, 1, 1, 3)
    for text, message in (
        ("nothing:1", "expected input:size,size"),
        ("image:a", "'a' are no sizes"),
        ("image:1,2,4", r"\[1, 2, 4\] does not fit input 'image'"),
    ):
        with pytest.raises(PyTritonClientValueError, match=message):
            payload.shapes_of([text], MODEL)


@pytest.fixture
def grpc_peer() -> Iterator[tuple[str, list[Any]]]:
    """A server of the gRPC library: it echoes messages, and refuses those that begin with "no"."""
    heard: list[Any] = []

    def answer(message: bytes, context: Any) -> bytes:
        heard.append((len(message), dict(context.invocation_metadata())))
        if message.startswith(b"no"):
            context.abort(grpc.StatusCode.UNAVAILABLE, "not today: ż")
        return message

    def find(call: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(answer) if call.method == METHOD else None

    class Every(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, handler_call_details: Any) -> Any:
            return find(handler_call_details)

    sizes = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(4), options=sizes)
    server.add_generic_rpc_handlers((Every(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", heard
    server.stop(None).wait()


@pytest.mark.parametrize("size", [0, 10, 16_379, 16_380, 100_000, 5_000_000])
def test_grpc_messages_of_any_size(grpc_peer: tuple[str, list[Any]], size: int) -> None:
    target, heard = grpc_peer
    options: dict[str, Any] = {"message": b"x" * size, "metadata": (("a-header", "value"),)}
    (seen,) = run_load([plan(target, protocol="grpc", **options)])
    assert len(seen.ends) > 1
    assert (seen.failures, seen.errors) == (0, {})
    assert {length for length, _ in heard} == {size}
    assert all(metadata["a-header"] == "value" for _, metadata in heard)


def test_grpc_failures_are_counted_with_what_was_said(grpc_peer: tuple[str, list[Any]]) -> None:
    (seen,) = run_load([plan(grpc_peer[0], protocol="grpc", message=b"no", warmup_s=0.0)])
    assert not seen.ends
    assert seen.failures > 1
    assert list(seen.errors) == ["gRPC status 14: not today: ż"]


def test_the_http_port_is_no_grpc_port(peer: str) -> None:
    with pytest.raises(PyTritonClientConnectionError, match=r"this looks like the HTTP port|closed the conn"):
        run_load([plan(peer, protocol="grpc", timeout_s=2.0)])


def test_the_method_is_that_of_the_clients() -> None:
    assert method_of(Infer("", "", "", (), ())) == METHOD
