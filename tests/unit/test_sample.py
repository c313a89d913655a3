# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.batching.context import current_model
from pytriton.batching.whole import takes_whole_batch
from pytriton.decorators import sample
from pytriton.exceptions import PyTritonValidationError
from pytriton.request import Array, Request
from tests.helpers.serving import describe_model

REQUESTS = [Request({"x": np.arange(3)})]


class Model:
    @sample
    def infer(self, x: Array) -> dict[str, Array]:
        return {"y": x + 1}


def test_function_gets_the_arrays_of_the_request() -> None:
    (response,) = sample(lambda x: {"y": x})(REQUESTS)
    assert response["y"] is REQUESTS[0]["x"]
    (response,) = Model().infer(REQUESTS)
    assert response["y"].tolist() == [1, 2, 3]
    assert not takes_whole_batch(Model().infer)


def test_outputs_by_position() -> None:
    token = current_model.set(describe_model(batching=False))
    try:
        assert sample(lambda x: [x])(REQUESTS)[0].keys() == {"OUTPUT_1"}
    finally:
        current_model.reset(token)
    with pytest.raises(PyTritonValidationError, match="Unsupported output type ndarray"):
        sample(lambda x: x)(REQUESTS)


def test_kinds_stay() -> None:
    async def later(x: Array) -> dict[str, Array]:
        return {"y": x}

    def steps(x: Array) -> Iterator[Any]:
        yield {"y": x}

    assert inspect.iscoroutinefunction(sample(later))
    assert len(asyncio.run(sample(later)(REQUESTS))) == 1
    assert inspect.isgeneratorfunction(sample(steps))
    assert len(list(sample(steps)(REQUESTS))) == 1
