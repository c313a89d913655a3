# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch, pad_batch, triton_context
from pytriton.exceptions import PyTritonRuntimeError, PyTritonValidationError
from pytriton.model_config import DynamicBatcher, ModelConfig
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Request
from tests.helpers.kinds import KINDS, outcomes
from tests.helpers.serving import FLOAT, running_for


def model_of(*preferred: int, batcher: bool = True, **options: Any) -> TritonModelConfig:
    config = ModelConfig(
        max_batch_size=8,
        batcher=DynamicBatcher(preferred_batch_size=list(preferred) or None) if batcher else None,
        **options,
    )
    return TritonModelConfig.create("m", [FLOAT], [FLOAT], config)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_under_batch(kind: str) -> None:
    seen = []

    def double(x: Any) -> dict[str, Any]:
        seen.append(x.ravel().tolist())
        return {"y": 2 * x}

    requests = [Request({"x": np.array([[1], [2]])}), Request({"x": np.array([[3]])})]
    with running_for(model_of(4, 6)):
        for responses in outcomes(batch(pad_batch(KINDS[kind](double)))(requests)):
            assert [response["y"].ravel().tolist() for response in responses] == [[2, 4], [6]]
    assert seen[0] == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("model", "rows", "padded"),
    [
        (model_of(6, 2, 4), 1, 2),
        (model_of(2, 4, 6), 2, 2),
        (model_of(2, 4, 6), 5, 6),
        (model_of(2, 4, 6), 7, 8),
        (model_of(), 3, 8),
        (model_of(batcher=False), 3, 8),
        (model_of(2), 8, 8),
        (model_of(2), 9, 9),
    ],
)
def test_sizes(model: TritonModelConfig, rows: int, padded: int) -> None:
    sizes = []
    given = {"x": np.arange(rows), "s": np.array([b"text"] * rows, object)}

    @pad_batch
    def function(x: Any, s: Any) -> Any:
        sizes.append((len(x), len(s)))
        return [x, s]

    with running_for(model):
        x, s = function(**given)
    assert sizes == [(padded, padded)]
    assert x.tolist() == list(range(rows))
    assert s.tolist() == [b"text"] * rows


def test_functions_that_trim_for_themselves() -> None:
    with running_for(model_of()):
        outputs = pad_batch(lambda x: {"y": x[:3], "z": x[:1], "n": 5})(x=np.arange(3))
    assert outputs["y"].tolist() == [0, 1, 2]
    assert outputs["z"].tolist() == [0]
    assert outputs["n"] == 5


def test_outputs_by_position() -> None:
    with running_for(model_of()):
        assert batch(pad_batch(lambda x: (x,)))([Request({"x": np.ones((3, 1))})])[0]["OUTPUT_1"].shape == (
            3,
            1,
        )


def test_arguments_that_are_no_inputs() -> None:
    @triton_context
    @pad_batch
    def function(x: Any, triton_context: Any) -> Any:
        return {"y": x, "name": triton_context.model_config.model_name}

    with running_for(model_of()):
        assert function(x=np.arange(3))["name"] == "m"


def test_only_where_there_is_a_batch() -> None:
    with (
        running_for(model_of(batching=False)),
        pytest.raises(PyTritonRuntimeError, match=r'only be used with models that support batching.*"m"'),
    ):
        pad_batch(lambda x: x)(x=np.arange(3))
    with pytest.raises(PyTritonValidationError, match="not bound to a model"):
        pad_batch(lambda x: x)(x=np.arange(3))
