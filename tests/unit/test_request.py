# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pytriton.proxy import types
from pytriton.request import ParameterValue, Request, RequestBatch, Response


class Records:
    """Requests of 1, 2 and 0 rows; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __len__(self) -> int:
        return 3

    def rows(self) -> list[int]:
        return [1, 2, 0]

    def parameters(self, index: int) -> dict[str, ParameterValue]:
        self.asked += 1
        return {"index": index}

    def requested_output_names(self, index: int) -> list[str]:
        return ["a", "b"][:index]

    def trace_context(self, index: int) -> str:
        return ""

    def id(self, index: int) -> str:
        return f"id-{index}"

    def timeout_us(self, index: int) -> int:
        return index * 1_000_000

    def received_ns(self) -> int:
        return 0

    def is_cancelled(self, index: int) -> bool:
        return False


def make_batch() -> tuple[RequestBatch, Records]:
    records = Records()
    inputs = {"x": np.arange(6).reshape(3, 2), "y": np.arange(3)}
    return RequestBatch(inputs, records, total_rows=3, batching=True), records


def test_request_behaves_like_a_mapping() -> None:
    x = np.zeros(2)
    request = Request({"x": x})
    assert (request.parameters, request.span, request.requested_output_names) == (None, None, None)
    assert request["x"] is x
    request["y"] = x
    assert list(request) == list(request.keys()) == ["x", "y"]
    assert len(request) == 2
    assert "y" in request
    del request["y"]
    assert "y" not in request
    assert [name for name, _ in request.items()] == ["x"]
    assert next(iter(request.values())) is x
    assert dict(request) == {"x": x}
    assert dict(**request)["x"] is x
    assert not hasattr(request, "get")
    with request.traced_span("work"):
        pass


def test_request_takes_its_fields_by_position() -> None:
    request = Request({}, {"a": 1}, None, ["y"])
    assert request == Request(data={}, parameters={"a": 1}, requested_output_names=["y"])
    assert request != Request({})
    assert Response({}) == Response(data={})


def test_old_import_path() -> None:
    assert types.Request is Request
    assert types.Response is Response
    assert types.Requests == list[Request]
    assert types.Responses == list[Response]


def test_batch_is_whole_until_somebody_looks() -> None:
    batch, records = make_batch()
    assert len(batch) == 3
    assert batch.rows == [1, 2, 0]
    assert batch.inputs["x"].shape == (3, 2)
    assert batch.untouched
    assert records.asked == 0


def test_batch_splits_into_views() -> None:
    batch, records = make_batch()
    assert [request["x"].shape for request in batch] == [(1, 2), (2, 2), (0, 2)]
    assert not batch.untouched
    assert batch[1].parameters == {"index": 1}
    assert batch[-1].requested_output_names == ["a", "b"]
    assert [request.parameters for request in batch[1:]] == [{"index": 1}, {"index": 2}]
    assert np.shares_memory(batch[1]["y"], batch.inputs["y"])
    assert batch[1] is batch[1]
    assert records.asked == 3


@pytest.mark.parametrize(
    ("output", "index", "expected"),
    [("a", 0, False), ("a", 1, True), ("b", 1, False), ("b", None, True), ("c", None, False)],
)
def test_requested_outputs(output: str, index: int | None, expected: bool) -> None:
    assert make_batch()[0].is_requested(output, index) is expected
