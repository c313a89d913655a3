# SPDX-License-Identifier: Apache-2.0
"""Requests over gRPC that are wrong, and others in one batch with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.helpers.clients import ask_later
from tests.helpers.gate import plugged, wait_for_queue
from tests.helpers.server import LOCAL, TIMEOUT_S, Server, running
from tests.helpers.strict_models import HUGE, STRING_LIES, batches, check_serves, gate, models


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*models()) as server:
        yield server


@pytest.fixture(autouse=True)
def serves_the_next_request(server: Server) -> Iterator[None]:
    """Whatever a test did, every model answers afterwards."""
    yield
    check_serves(server)


def _infer(
    server: Server,
    model: str,
    tensors: Sequence[tuple[str, list[int], str]],
    raw: Sequence[bytes],
    outputs: Sequence[str] = (),
    version: str = "",
) -> Any:
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for name, shape, datatype in tensors:
        request.inputs.add(name=name, shape=shape, datatype=datatype)
    for name in outputs:
        request.outputs.add(name=name)
    request.raw_input_contents.extend(raw)
    with grpc.insecure_channel(f"{LOCAL}:{server.grpc_port}") as channel:
        return service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=TIMEOUT_S)


def _refusal(*arguments: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        _infer(*arguments, **options)
    call: Any = caught.value
    return call.code().name, call.details()


@pytest.mark.parametrize(
    ("model", "tensors", "sizes", "words"),
    [
        ("vector", [("x", [1, 2], "INT32")], [8], "data-type is 'INT32'"),
        ("vector", [("x", [1, 2], "FP31")], [8], "data-type is '<invalid>'"),
        ("vector", [("x", [1, 2], "")], [8], "data-type is '<invalid>'"),
        ("vector", [("x", [2], "FP32")], [8], "Expected [-1,-1], got [2]"),
        ("vector", [("x", [], "FP32")], [8], "has no shape"),
        ("fixed", [("x", [1, 2, 2], "FP32")], [16], "Expected [-1,2,3], got [1,2,2]"),
        ("vector", [("other", [1, 2], "FP32")], [8], "unexpected inference input 'other'"),
        ("two", [("x", [1, 2], "FP32")], [8], "missing required input(s) ['z']"),
        ("vector", [], [], "expected 1 inputs but got 0"),
        ("vector", [("x", [1, 2], "FP32"), ("z", [1, 2], "FP32")], [8, 8], "expected 1 inputs but got 2"),
        ("vector", [("x", [1, 2], "FP32")] * 2, [8, 8], "'x' already exists"),
        ("vector", [("x", [5, 1], "FP32")], [20], "batch-size must be <= 4"),
        ("two", [("x", [1, 2], "FP32"), ("z", [2, 1], "FP32")], [8, 8], "does not match other inputs"),
        ("vector", [("x", [1, 2], "FP32")], [4], "Expected 8, got 4"),
        ("vector", [("x", [1, 2], "FP32")], [12], "Expected 8, got 12"),
        ("vector", [("x", [1, 2], "FP32")], [], "unable to find data for input tensor 'x'"),
        ("vector", [("x", [1, -2], "FP32")], [8], "input 'x'"),
        ("vector", [("x", [1, -1], "FP32")], [8], "input 'x'"),
        ("vector", [("x", [-1, 2], "FP32")], [8], "input 'x'"),
        ("vector", [("x", [1, HUGE], "FP32")], [8], "Expected 0, got 8"),
        # The server's checks let these through: sizes overflow, or one row too many is counted.
        ("vector", [("x", [1, HUGE], "FP32")], [0], "no tensor can have"),
        ("vector", [("x", [4, HUGE], "FP32")], [0], "no tensor can have"),
        ("vector", [("x", [4, 2**60], "FP32")], [0], "no tensor can have"),
        ("matrix", [("x", [1, 0, HUGE], "FP32")], [0], "no tensor can have"),
        ("strings", [("x", [4, HUGE], "BYTES")], [0], "no tensor can have"),
        ("vector", [("x", [0, 2], "FP32")], [8], "has 8 bytes where its shape needs 0"),
    ],
)
def test_grpc(
    server: Server, model: str, tensors: list[tuple[str, list[int], str]], sizes: list[int], words: str
) -> None:
    code, details = _refusal(server, model, tensors, [bytes(size) for size in sizes])
    assert code == "INVALID_ARGUMENT"
    assert words in details


def test_grpc_with_unknown_names(server: Server) -> None:
    tensors, raw = [("x", [1, 2], "FP32")], [bytes(8)]
    assert _refusal(server, "unknown", tensors, raw)[0] == "NOT_FOUND"
    assert _refusal(server, "vector", tensors, raw, version="9")[0] == "NOT_FOUND"
    assert _refusal(server, "vector", tensors, raw, version="x")[0] == "INVALID_ARGUMENT"
    code, details = _refusal(server, "vector", tensors, raw, outputs=["other"])
    assert (code, details) == ("INVALID_ARGUMENT", "unexpected inference output 'other' for model 'vector'")


@pytest.mark.parametrize("lie", STRING_LIES)
def test_strings_that_lie_over_grpc(server: Server, lie: str) -> None:
    code, details = _refusal(server, "strings", [("x", [1, 2], "BYTES")], [STRING_LIES[lie]])
    assert code == "INVALID_ARGUMENT"
    assert "x" in details


def test_strings_that_lie_do_not_harm_their_batch(server: Server) -> None:
    # The server only notices that strings are missing, so this one is merged with the others.
    lie = STRING_LIES["a length that is too long"]
    batches.clear()
    sent = [np.array([[f"{number}".encode(), b"nul\0"]], object) for number in range(3)]
    with plugged(server, "strings", gate, {"x": sent[0]}):
        futures = [ask_later(server, "strings", {"x": values}) for values in sent]
        wait_for_queue(server, "strings", 3)
        request = service_pb2.ModelInferRequest(model_name="strings", raw_input_contents=[lie])
        request.inputs.add(name="x", shape=[1, 2], datatype="BYTES")
        channel = grpc.insecure_channel(f"{LOCAL}:{server.grpc_port}")
        bad = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer.future(request, timeout=TIMEOUT_S)
        wait_for_queue(server, "strings", 4)
    for values, future in zip(sent, futures, strict=True):
        assert future.result(TIMEOUT_S)["y"].tolist() == values.tolist()
    assert bad.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "end within element 1 of 2" in bad.details()
    channel.close()
    assert batches == [1, 3]


def test_a_wrong_response_does_not_harm_its_batch(server: Server) -> None:
    numbers = [1, -2, 3, -4, 5]
    with plugged(server, "picky", gate, {"x": np.zeros((1, 1), np.float32)}):
        futures = [ask_later(server, "picky", {"x": np.full((1, 1), n, np.float32)}) for n in numbers]
        wait_for_queue(server, "picky", len(numbers))
    for number, future in zip(numbers, futures, strict=True):
        if number > 0:
            assert future.result(TIMEOUT_S)["y"].item() == number
        else:
            assert 'model "picky", output "y": got dtype datetime64' in str(future.exception(TIMEOUT_S))
