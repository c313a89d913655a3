# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytriton import dtypes
from pytriton.decorators import batch, sample
from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config import Tensor
from pytriton.request import Request, RequestBatch
from pytriton.worker.views import element_dtype
from tests.helpers.fake_backend import FakeRequest
from tests.helpers.serving import FLOAT, requests_of, serving

STRINGS = Tensor((-1,), bytes)


@pytest.fixture
def seen() -> list[Any]:
    return []


def test_list_of_requests(seen: list[Any]) -> None:
    def function(requests: Any) -> Any:
        seen.append(requests)
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    arrays = [np.full((rows, 2), rows, np.float32) for rows in (1, 3, 0)]
    with serving(function) as served:
        answer = served.infer(
            FakeRequest({"INPUT_1": arrays[0]}, {"text": "żółw", "int": -5, "bool": True, "double": 0.5}),
            FakeRequest({"INPUT_1": arrays[1]}, id="an id", outputs=[]),
            FakeRequest({"INPUT_1": arrays[2]}, {"": ""}, id="x"),
        )
        for index, array in enumerate(arrays):
            np.testing.assert_array_equal(answer.output(0, index), array)
    (requests,) = seen
    assert type(requests) is list
    assert all(type(request) is Request for request in requests)
    assert requests[0].parameters == {"text": "żółw", "int": -5, "bool": True, "double": 0.5}
    assert [type(value) for value in requests[0].parameters.values()] == [str, int, bool, float]
    assert requests[1].parameters == {}
    assert requests[2].parameters == {"": ""}
    assert [request.requested_output_names for request in requests] == [["OUTPUT_1"], [], ["OUTPUT_1"]]


def test_batch_gets_whole_arrays(seen: list[Any]) -> None:
    @batch
    def function(**inputs: Any) -> Any:
        seen.append(inputs)
        return [inputs["INPUT_1"]]

    with serving(function) as served:
        served.echo(np.zeros((2, 3), np.float32), np.ones((1, 3), np.float32)).output()
    (inputs,) = seen
    assert inputs["INPUT_1"].tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]
    assert inputs["INPUT_1"].flags.writeable
    assert inputs["INPUT_1"].flags.aligned
    assert inputs["INPUT_1"].flags.c_contiguous


def test_what_a_decorated_function_is_handed(seen: list[Any]) -> None:
    inner = batch(lambda INPUT_1: [INPUT_1])

    def outer(requests: Any) -> Any:
        seen.append(type(requests))
        return inner(requests)

    with serving(outer) as served:
        served.echo(np.zeros((2, 3), np.float32)).output(request=0)
    assert seen == [list]


def test_records_live_as_long_as_the_batch(seen: list[Any]) -> None:
    @batch
    def function(**inputs: Any) -> Any:
        return [inputs["INPUT_1"]]

    class Keeper:
        """Looks like the wrapper of @batch, and keeps what only that gets."""

        def __call__(self, requests: Any) -> Any:
            seen.append(requests)
            return function(requests)

    mark = type(function.__pytriton_batch__)  # type: ignore[attr-defined]
    Keeper.__call__.__pytriton_batch__ = mark(Keeper.__call__, Keeper)  # type: ignore[attr-defined]
    with serving(Keeper()) as served:
        answer = served.infer(
            *requests_of(np.zeros((2, 3), np.float32)),
            FakeRequest({"INPUT_1": np.ones((1, 3), np.float32)}, {"a": 1}),
        )
        assert not answer.released
        (kept,) = seen
        assert isinstance(kept, RequestBatch)
        assert kept.rows == [2, 1]
        assert kept[1].parameters == {"a": 1}
        seen.clear()
        del kept
        assert served.link.wait_for_release() == 0


@pytest.mark.parametrize("name", [row.name for row in dtypes.DATATYPES if row.name != "BYTES"])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 7), (2, 3, 4)])
def test_every_datatype_both_ways(name: str, shape: tuple[int, ...], seen: list[Any]) -> None:
    dtype = dtypes.from_name(name).numpy_dtype
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)

    def function(requests: Any) -> Any:
        seen.extend(request["INPUT_1"] for request in requests)
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    tensor = Tensor((-1,) * (len(shape) - 1), dtype)
    for each in (function, batch(lambda INPUT_1: [INPUT_1])):
        with serving(each, [tensor], [tensor], strict=True) as served:
            answer = served.echo(array)
            (back,) = answer.tensors.values()
            assert answer.errors == {}
            assert back.dtype == dtype
            np.testing.assert_array_equal(back.view(np.uint8), array.view(np.uint8))
    assert [(each.dtype, each.shape) for each in seen] == [(dtype, shape)]


def test_strings_both_ways(seen: list[Any]) -> None:
    @batch
    def function(INPUT_1: Any) -> Any:
        seen.append(INPUT_1)
        return [INPUT_1]

    strings = np.array([[b"a\0", b""], ["ż".encode(), b"x" * 10_000_000]], object)
    with serving(function, [STRINGS], [STRINGS], strict=True) as served:
        answer = served.echo(strings[:1], strings[1:])
        assert answer.output().tolist() == strings.tolist()
        # Strings are copied out of the slot, so keeping them does not keep it.
        assert answer.released
        assert served.workers.bytes_copied > 20_000_000
    assert seen[0].dtype == object
    assert {type(string) for string in seen[0].ravel()} == {bytes}


def test_scalars_without_batching(seen: list[Any]) -> None:
    @sample
    def function(INPUT_1: Any) -> Any:
        seen.append(INPUT_1)
        return [INPUT_1 + np.ones(())]

    with serving(function, batching=False) as served:
        assert served.echo(np.array(4.0, np.float32)).output(request=0) == 5
    assert seen[0].shape == ()


def test_optional_inputs_are_absent(seen: list[Any]) -> None:
    @batch
    def function(**inputs: Any) -> Any:
        seen.append(sorted(inputs))
        return [inputs["INPUT_2"]]

    inputs = [Tensor((-1,), np.float32, optional=True), FLOAT]
    with serving(function, inputs) as served:
        served.infer(FakeRequest({"INPUT_2": np.zeros((1, 1), np.float32)})).output()
    assert seen == [["INPUT_2"]]


def test_unknown_datatype() -> None:
    with pytest.raises(PyTritonValidationError):
        element_dtype(99)
