# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytriton.exceptions import PyTritonBadParameterError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.common import ModelWarmup, WarmupInput
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.model_config.triton_model_config import TritonModelConfig

INPUTS = [Tensor((-1, 3), np.float32, name="x"), Tensor((), bytes, name="text", optional=True)]
ITEM = WarmupInput(np.float32, (7, 3), zero_data=True)


def create(warmups: Any, *, batching: bool = True) -> TritonModelConfig:
    inputs = INPUTS if batching else INPUTS[:1]
    return TritonModelConfig.create("m", inputs, [], ModelConfig(batching=batching, model_warmup=warmups))


def warmup(batch_size: Any = 1, count: Any = 1, **inputs: Any) -> ModelWarmup:
    return ModelWarmup("w", batch_size, inputs or {"x": ITEM}, count)


def warmup_of(inputs: Any) -> ModelWarmup:
    return ModelWarmup("w", 1, inputs, 1)


@pytest.mark.parametrize(
    "given",
    [
        warmup(),
        warmup(np.int64(4), 0),
        warmup(x=WarmupInput("float32", [0, 3], random_data=True)),
        warmup(x=ITEM, text=WarmupInput(object, (), input_data_file="file")),
    ],
)
def test_what_clients_could_send(given: ModelWarmup) -> None:
    model = create([given])
    assert "model_warmup" not in ModelConfigGenerator(model).get_config()


def test_without_batching_the_batch_size_means_nothing() -> None:
    create([warmup(0), warmup(5)], batching=False)
    create(None)
    create([])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": ITEM}, "`model_warmup` must be a list of ModelWarmup, got {"),
        ([ITEM], "`model_warmup` must be a list of ModelWarmup, got WarmupInput"),
        ([warmup(0)], 'warm-up "w": `batch_size` must be an integer of 1 or more, got 0'),
        ([warmup(1.5)], "`batch_size` must be an integer of 1 or more, got 1.5"),
        ([warmup(True)], "`batch_size` must be"),
        ([warmup(1, -1)], "`count` must be an integer of 0 or more, got -1"),
        ([warmup_of([ITEM])], r"`inputs` must be a dict of WarmupInput"),
        ([warmup(x=ITEM, z=ITEM)], 'warm-up "w" has an input "z"; declared inputs are "x", "text"'),
        ([warmup(x={"shape": (7, 3)})], 'warm-up "w", input "x": expected a WarmupInput, got {'),
        (
            [warmup(x=WarmupInput(np.float32, (7, 3)))],
            "`zero_data`, `random_data` or `input_data_file` must be",
        ),
        ([warmup(x=WarmupInput(np.float64, (7, 3), True))], "`dtype` is .*float64.*, declared is FP32"),
        ([warmup(x=WarmupInput(complex, (7, 3), True))], "`dtype` is .*complex.*, declared is FP32"),
        ([warmup(x=WarmupInput(np.float32, (7, 4), True))], r"`shape` is \(7, 4\), declared is \(-1, 3\)"),
        ([warmup(x=WarmupInput(np.float32, (-1, 3), True))], r"`shape` is \(-1, 3\).* needs a size"),
        ([warmup(x=WarmupInput(np.float32, (1, 7, 3), True))], r"batch dimension is left out"),
        ([warmup(x=WarmupInput(np.float32, 3, True))], r"`shape` is 3, declared"),  # type: ignore[arg-type]
    ],
)
def test_what_clients_could_not_send(given: Any, message: str) -> None:
    with pytest.raises(PyTritonBadParameterError, match=message) as caught:
        create(given)
    assert caught.value.message.startswith('model "m": ')


def test_inputs_may_be_left_out(caplog: pytest.LogCaptureFixture) -> None:
    create([warmup(text=WarmupInput(bytes, (), zero_data=True))])
    assert 'model "m": warm-up "w" leaves out input "x", which no client can' in caplog.text
