# SPDX-License-Identifier: Apache-2.0
"""Priorities, sequences and times in the queue, from a client to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import FuturesModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientInferenceServerError, PyTritonClientValueError
from pytriton.client.options import InferOptions
from pytriton.decorators import batch
from pytriton.exceptions import ErrorCode
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor
from tests.helpers.clients import Array
from tests.helpers.gate import Gate, wait_for_queue
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, running

_POLICY: Final = QueuePolicy(default_timeout_microseconds=10**9, allow_timeout_override=True)
gate = Gate()
order: list[float] = []


@batch
def note(x: Array) -> dict[str, Array]:
    order.extend(x.ravel().tolist())
    gate.pass_through()
    return {"y": x}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    x, y = [Tensor((1,), np.float32, "x")], [Tensor((1,), np.float32, "y")]
    batcher = DynamicBatcher(priority_levels=3, default_priority_level=3, default_queue_policy=_POLICY)
    with running(Model("note", note, x, y, ModelConfig(max_batch_size=1, batcher=batcher))) as running_server:
        yield running_server


@pytest.fixture(params=["http", "grpc"])
def url(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    order.clear()
    gate.shut()
    yield f"{request.param}://{LOCAL}:{server.http_port if request.param == 'http' else server.grpc_port}"
    gate.open()


def _plugged(server: Server, client: FuturesModelClient) -> Any:
    plug = client.infer_sample([0])
    gate.wait_for_arrival()
    return plug


def test_numbers_that_the_protocols_do_not_have(url: str) -> None:
    gate.open()
    with pytest.raises(PyTritonClientValueError, match="sequence_id must be"):
        InferOptions(sequence_id=2**63)
    with ModelClient(url, "note") as client, pytest.raises(PyTritonClientValueError, match="64 bits"):
        client.infer_sample([1], parameters={"a": 2**63})


def test_priorities(server: Server, url: str) -> None:
    with FuturesModelClient(url, "note") as client:
        sent = [_plugged(server, client)]
        for number, priority in enumerate((0, 3, 2, 1), 1):
            sent.append(
                client.infer_sample([priority * 10 + number], options=InferOptions(priority=priority))
            )
            wait_for_queue(server, "note", number)
        gate.open()
        assert [future.result(TIMEOUT_S)["y"].item() for future in sent] == [0, 1, 32, 23, 14]
        assert order == [0, 14, 23, 1, 32]


def test_times_in_the_queue(server: Server, url: str) -> None:
    with FuturesModelClient(url, "note") as client:
        plug = _plugged(server, client)
        late = client.infer_sample([1], options=InferOptions(queue_timeout_us=1))
        patient = client.infer_sample([2], options=InferOptions(queue_timeout_us=9 * 10**8))
        wait_for_queue(server, "note", 2)
        gate.open()
        error = late.exception(TIMEOUT_S)
        assert isinstance(error, PyTritonClientInferenceServerError)
        assert "timeout" in str(error).lower()
        assert error.code is ErrorCode.UNAVAILABLE
        assert patient.result(TIMEOUT_S)["y"] == 2
        assert plug.result(TIMEOUT_S)["y"] == 0
        assert 1 not in order


@pytest.mark.parametrize("sequence", [7, 2**63 - 1, "a name"])
def test_sequences(url: str, sequence: int | str) -> None:
    gate.open()
    with ModelClient(url, "note") as client:
        for number in range(3):
            options = InferOptions(sequence_id=sequence, sequence_start=number == 0, sequence_end=number == 2)
            assert client.infer_sample([number], options=options)["y"] == number
