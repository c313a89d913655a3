# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.streams [--rounds 7]`."""

from __future__ import annotations

import argparse
import queue
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import numpy as np
from tritonclient.grpc import InferInput, service_pb2
from tritonclient.utils import np_to_triton_dtype

from benchmarks.child_server import child_server
from benchmarks.streams.bare import BareStream
from pytriton.client import DecoupledModelClient

__all__: list[str] = []

_STREAM: Final = "/inference.GRPCInferenceService/ModelStreamInfer"
_LONG: Final = 10_000
_STREAMS: Final = 64
_EACH: Final = 500
_SHORT: Final = 200
_LEAST_RATE: Final = 20_000
_MOST_DELAY_S: Final = 0.001


@dataclass
class _Found:
    """What the rounds have measured."""

    counted: list[float] = field(default_factory=list)
    """Responses a second of one stream, to a client that only counts them."""
    passed: list[float] = field(default_factory=list)
    """The same through grpcio, which hands each to Python."""
    read: list[float] = field(default_factory=list)
    """The same to DecoupledModelClient, which makes arrays of them."""
    together: list[float] = field(default_factory=list)
    """Responses a second of many streams at once, in all."""
    last_first_s: list[float] = field(default_factory=list)
    """When the last of many streams had its first response."""
    spread: list[float] = field(default_factory=list)
    """The time of the slowest of many streams over that of the fastest."""
    delay_s: list[float] = field(default_factory=list)
    """Time to the first response of a stream less that of a unary call, medians of each."""


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    found = _Found()
    with child_server("benchmarks.streams.server") as (_, port, _metrics):
        for number in range(-1, options.rounds):
            _round(port, found if number >= 0 else _Found())  # the first round is not counted
    met = [
        _say("one stream, counted: responses/s", found.counted, least=_LEAST_RATE),
        _say("one stream, grpcio: responses/s", found.passed),
        _say("one stream, DecoupledModelClient: responses/s", found.read),
        _say(f"{_STREAMS} streams at once: responses/s in all", found.together),
        _say(f"{_STREAMS} streams at once: first response of the last, ms", found.last_first_s, 1e3),
        _say(f"{_STREAMS} streams at once: slowest over fastest", found.spread),
        _say("first response of a stream less a unary call, us", found.delay_s, 1e6, most=_MOST_DELAY_S),
    ]
    return 0 if all(met) else 1


def _round(port: int, found: _Found) -> None:
    address = f"127.0.0.1:{port}"
    with grpc.insecure_channel(address) as channel:
        with BareStream(port, _STREAM) as bare:
            found.counted.append(_LONG / bare.count(_request("count", _LONG, batch=False), _LONG))
        ended, _ = _count(channel, _LONG, _LONG)
        found.passed.append(_LONG / ended)
        found.read.append(_read(address))
        _together(channel, found)
        streams = [_count(channel, 1, 1)[1] for _ in range(_SHORT)]
        found.delay_s.append(statistics.median(streams) - _unary_s(channel))


def _count(channel: grpc.Channel, steps: int, expected: int) -> tuple[float, float]:
    """Seconds until a stream ended, and until its first response; nothing is decoded."""
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    call = channel.stream_stream(_STREAM)
    responses: Iterator[bytes] = call(iter(requests.get, None))
    begin = time.perf_counter()
    requests.put(_request("count", steps, batch=False))
    first = next(responses)
    first_s = time.perf_counter() - begin
    assert not service_pb2.ModelStreamInferResponse.FromString(first).error_message
    number = 1
    while number < expected:
        next(responses)
        number += 1
    ended_s = time.perf_counter() - begin
    requests.put(None)
    assert sum(1 for _ in responses) == 0
    return ended_s, first_s


def _read(address: str) -> float:
    with DecoupledModelClient(f"grpc://{address}", "count") as client:
        begin = time.perf_counter()
        numbers = sum(1 for _ in client.infer_sample(np.array([_LONG], np.float32)))
        assert numbers == _LONG
        return _LONG / (time.perf_counter() - begin)


def _together(channel: grpc.Channel, found: _Found) -> None:
    times: list[tuple[float, float]] = []
    gate = threading.Barrier(_STREAMS + 1)

    def stream() -> None:
        gate.wait()
        times.append(_count(channel, _EACH, _EACH))

    threads = [threading.Thread(target=stream) for _ in range(_STREAMS)]
    for thread in threads:
        thread.start()
    begin = time.perf_counter()
    gate.wait()
    for thread in threads:
        thread.join()
    assert len(times) == _STREAMS
    found.together.append(_STREAMS * _EACH / (time.perf_counter() - begin))
    ended = [each for each, _ in times]
    found.spread.append(max(ended) / min(ended))
    found.last_first_s.append(max(first for _, first in times))


def _unary_s(channel: grpc.Channel) -> float:
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    request = _request("echo", 1, batch=True)
    times = []
    for _ in range(_SHORT):
        begin = time.perf_counter()
        call(request)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _request(model: str, value: float, *, batch: bool) -> bytes:
    array = np.full((1, 1) if batch else (1,), value, np.float32)
    tensor = InferInput("x", array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    message = service_pb2.ModelInferRequest(model_name=model)
    message.inputs.append(tensor._get_tensor())
    message.raw_input_contents.append(tensor._get_content())
    serialized: bytes = message.SerializeToString()
    return serialized


def _say(
    name: str, values: list[float], scale: float = 1.0, *, least: float = 0.0, most: float = np.inf
) -> bool:
    middle = statistics.median(values)
    wanted = f"  >= {least * scale:g}" if least else f"  <= {most * scale:g}" if most < np.inf else ""
    met = least <= middle <= most
    low, high = min(values) * scale, max(values) * scale
    print(f"{name:55} {middle * scale:10.1f} [{low:.1f}, {high:.1f}]{wanted}{'' if met else '  MISSED'}")
    return met


if __name__ == "__main__":
    sys.exit(_main())
