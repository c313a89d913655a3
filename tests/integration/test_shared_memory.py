# SPDX-License-Identifier: Apache-2.0
"""Tensors in the server's system shared memory, which clients register."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException, serialize_byte_tensor, shared_memory

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.clients import Array
from tests.helpers.server import TIMEOUT_S, Model, Server, running

_PROTOCOLS: Final = ("http", "grpc")
_MODULES: Final = {"http": tritonclient.http, "grpc": tritonclient.grpc}


@batch
def swap(first: Array, second: Array) -> list[Array]:
    return [second, first]


@batch
def echo(values: Array) -> list[Array]:
    return [values]


def _models() -> Iterator[Model]:
    def floats(name: str) -> Tensor:
        return Tensor((-1,), np.float32, name)

    config = ModelConfig(max_batch_size=8)
    yield Model(
        "swap", swap, [floats("first"), floats("second")], [floats("second"), floats("first")], config
    )
    yield Model("strings", echo, [Tensor((-1,), bytes, "values")], [Tensor((-1,), bytes, "same")], config)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


class Region:
    """Registered shared memory."""

    def __init__(self, client: Any, name: str, size: int) -> None:
        key = f"/pytriton-test-{os.getpid()}-{name}"
        self.name = name
        self.size = size
        self.handle = shared_memory.create_shared_memory_region(name, key, size)
        self._client = client
        client.register_system_shared_memory(name, key, size)

    def write(self, array: Array, offset: int = 0) -> None:
        content = serialize_byte_tensor(array) if array.dtype == object else array
        shared_memory.set_shared_memory_region(self.handle, [content], offset=offset)

    def read(self, dtype: Any, shape: tuple[int, ...], offset: int = 0) -> Array:
        array: Array = shared_memory.get_contents_as_numpy(self.handle, dtype, shape, offset=offset)
        return array.copy()

    def close(self) -> None:
        self._client.unregister_system_shared_memory(self.name)
        shared_memory.destroy_shared_memory_region(self.handle)


@pytest.fixture(params=_PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def client(server: Server, protocol: str) -> Any:
    return server.http_client if protocol == "http" else server.grpc_client


@pytest.fixture
def make_region(client: Any) -> Iterator[Callable[[str, int], Region]]:
    regions: list[Region] = []

    def make(name: str, size: int) -> Region:
        regions.append(Region(client, name, size))
        return regions[-1]

    yield make
    for region in regions:
        region.close()


def _input(
    protocol: str, name: str, datatype: str, shape: tuple[int, ...], region: str, size: int, offset: int = 0
) -> Any:
    tensor = _MODULES[protocol].InferInput(name, list(shape), datatype)
    tensor.set_shared_memory(region, size, offset)
    return tensor


def _output(protocol: str, name: str, region: str, size: int, offset: int = 0) -> Any:
    output = _MODULES[protocol].InferRequestedOutput(name)
    output.set_shared_memory(region, size, offset)
    return output


@pytest.mark.parametrize("columns", [3, 150_000])
def test_tensors_in_and_out(
    client: Any, protocol: str, make_region: Callable[[str, int], Region], columns: int
) -> None:
    arrays = np.arange(4 * columns, dtype=np.float32).reshape(2, 2, columns)
    size = arrays[0].nbytes
    given, answered = make_region("given", 2 * size), make_region("answered", 2 * size + 100)
    given.write(arrays)
    inputs = [
        _input(protocol, name, "FP32", (2, columns), "given", size, offset)
        for name, offset in (("first", 0), ("second", size))
    ]
    outputs = [
        _output(protocol, name, "answered", size, offset)
        for name, offset in (("first", 100), ("second", 100 + size))
    ]
    result = client.infer("swap", inputs, outputs=outputs)
    assert result.get_output("first") is not None
    np.testing.assert_array_equal(answered.read(np.float32, arrays.shape, 100), arrays)


def test_one_output_in_shared_memory_and_one_in_the_response(
    client: Any, protocol: str, make_region: Callable[[str, int], Region]
) -> None:
    arrays = np.arange(8, dtype=np.float32).reshape(2, 1, 4)
    region = make_region("both", 64)
    region.write(arrays[0])
    second = _MODULES[protocol].InferInput("second", [1, 4], "FP32")
    second.set_data_from_numpy(arrays[1])
    outputs = [_output(protocol, "second", "both", 16, 32), _MODULES[protocol].InferRequestedOutput("first")]
    result = client.infer(
        "swap", [_input(protocol, "first", "FP32", (1, 4), "both", 16), second], outputs=outputs
    )
    np.testing.assert_array_equal(result.as_numpy("first"), arrays[0])
    np.testing.assert_array_equal(region.read(np.float32, (1, 4), 32), arrays[1])


def test_strings(client: Any, protocol: str, make_region: Callable[[str, int], Region]) -> None:
    values = np.array([[b"", b"nul\0"], ["Zażółć".encode(), b"x" * 1000]], object)
    size = sum(4 + len(value) for value in values.ravel())
    given, answered = make_region("given", size), make_region("answered", 2 * size)
    given.write(values)
    inputs = [_input(protocol, "values", "BYTES", (2, 2), "given", size)]
    client.infer("strings", inputs, outputs=[_output(protocol, "same", "answered", 2 * size)])
    assert answered.read(np.object_, (2, 2)).tolist() == values.tolist()


def test_many_requests_out_of_one_region(
    server: Server, client: Any, make_region: Callable[[str, int], Region]
) -> None:
    arrays = np.arange(400, dtype=np.float32).reshape(100, 1, 4)
    given, answered = make_region("given", arrays.nbytes), make_region("answered", 2 * arrays.nbytes)
    given.write(arrays)
    names = ("first", "second")
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def note(result: Any, error: Any) -> None:
        answers.put(error)

    for begin in range(0, arrays.nbytes, 16):
        inputs = [_input("grpc", name, "FP32", (1, 4), "given", 16, begin) for name in names]
        outputs = [
            _output("grpc", name, "answered", 16, begin + half)
            for name, half in zip(names, (0, arrays.nbytes), strict=True)
        ]
        server.grpc_client.async_infer("swap", inputs, note, outputs=outputs, client_timeout=TIMEOUT_S)
    assert [answers.get(timeout=TIMEOUT_S) for _ in arrays] == [None] * len(arrays)
    np.testing.assert_array_equal(answered.read(np.float32, (2, 100, 1, 4)), np.stack([arrays, arrays]))


def test_outputs_need_their_room(
    client: Any, protocol: str, make_region: Callable[[str, int], Region]
) -> None:
    array = np.ones((1, 4), np.float32)
    region = make_region("small", 32)
    region.write(array)
    inputs = [_input(protocol, name, "FP32", (1, 4), "small", 16) for name in ("first", "second")]
    with pytest.raises(InferenceServerException, match="shared memory"):
        client.infer("swap", inputs, outputs=[_output(protocol, "first", "small", 8, 16)])
    client.infer("swap", inputs, outputs=[_output(protocol, "first", "small", 16, 16)])
    np.testing.assert_array_equal(region.read(np.float32, (1, 4), 16), array)


def test_inputs_of_another_size_than_their_shape(
    client: Any, protocol: str, make_region: Callable[[str, int], Region]
) -> None:
    make_region("region", 64)
    inputs = [_input(protocol, name, "FP32", (1, 4), "region", 12) for name in ("first", "second")]
    with pytest.raises(InferenceServerException, match="Expected 16, got 12"):
        client.infer("swap", inputs)
    inputs = [_input(protocol, name, "FP32", (1, 4), "region", 16, 60) for name in ("first", "second")]
    with pytest.raises(InferenceServerException, match="Invalid offset"):
        client.infer("swap", inputs)


def test_regions_that_nobody_registered(client: Any, protocol: str) -> None:
    inputs = [_input(protocol, name, "FP32", (1, 4), "nowhere", 16) for name in ("first", "second")]
    with pytest.raises(InferenceServerException, match="nowhere"):
        client.infer("swap", inputs)
