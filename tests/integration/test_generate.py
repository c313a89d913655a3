# SPDX-License-Identifier: Apache-2.0
"""The generate extension: documents without shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.server import Model, Server, running
from tests.helpers.wire_models import HEADERS, wire_models


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = {"http_header_forward_pattern": HEADERS, "grpc_header_forward_pattern": HEADERS}
    with running(*wire_models(), config=config) as server:
        yield server


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"prompt": "ab"}, {"text": "ab", "sizes": 0}),
        ({"prompt": "ab", "count": 3}, {"text": "ababab", "sizes": [0, 1, 2]}),
        ({"prompt": ["ab"], "count": [2], "id": "the id"}, {"text": "abab", "sizes": [0, 1], "id": "the id"}),
    ],
)
def test_generate(server: Server, given: dict[str, Any], expected: dict[str, Any], stream: bool) -> None:
    path = "/v2/models/generate/generate" + ("_stream" if stream else "")
    reply = server.post(path, given)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    text = reply.body.decode().removeprefix("data: ").rstrip()
    assert json.loads(text) == {"model_name": "generate", "model_version": "1", **expected}


@pytest.mark.parametrize("model", ["scalar", "double"])
def test_generate_adds_the_batch_dimension(server: Server, model: str) -> None:
    assert server.post(f"/v2/models/{model}/generate", {"x": 3}).json["y"] == 6.0


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((-1,), ["1,1", "1,2", "1,6"]),
        ((1,), ["1,1", "2,1", "6,1"]),
        ((), ["1", "2", "6"]),
        ((2,), [400, "1,2", "3,2"]),
        ((-1, 3), [400, 400, "1,2,3"]),
        ((-1, -1), ["1,1,1", "1,1,2", "1,1,6"]),
    ],
)
def test_generate_makes_shapes_of_the_number_of_values(
    serve: Callable[..., Server], shape: tuple[int, ...], expected: list[str | int]
) -> None:
    @batch
    def shape_of(x: Any) -> list[Any]:
        return [np.array([[",".join(map(str, x.shape)).encode()]] * len(x), object)]

    inputs, outputs = (
        [Tensor(dtype=np.float32, shape=shape, name="x")],
        [Tensor(dtype=bytes, shape=(1,), name="y")],
    )
    model_server = serve(Model("shapes", shape_of, inputs, outputs, ModelConfig(max_batch_size=8)))
    found = []
    for value in (1, [1, 2], [1, 2, 3, 4, 5, 6]):
        reply = model_server.post("/v2/models/shapes/generate", {"x": value})
        said = reply.json["y"] if reply.status == 200 else reply.status
        found.append(said[0] if isinstance(said, list) else said)
    assert found == expected
    for nested in ([[1, 2]], [[1, 2, 3], [4, 5, 6]]):
        assert model_server.post("/v2/models/shapes/generate", {"x": nested}).status in {400, 500}


def test_generate_with_an_error(server: Server) -> None:
    reply = server.post("/v2/models/fail/generate", {"x": 3})
    assert reply.status == 400  # the server's choice, where infer has 500
    assert "no luck" in reply.error
    reply = server.post("/v2/models/fail/generate_stream", {"x": 3})
    assert "no luck" in reply.body.decode()
