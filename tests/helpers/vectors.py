# SPDX-License-Identifier: Apache-2.0
"""The plainest models there are, a vector of floats in and one out, and requests for them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.gate import Gate
from tests.helpers.server import Address, Model, Reply

__all__ = [
    "FLOATS",
    "TIMEOUT_S",
    "Pending",
    "answer",
    "document",
    "echo",
    "gated",
    "outputs",
    "times",
    "vector_model",
]

FLOATS: Final = Tensor(dtype=np.float32, shape=(-1,))
TIMEOUT_S: Final = 20.0


def vector_model(
    name: str, function: Any, *, batching: bool = True, max_batch_size: int = 16, **options: Any
) -> Model:
    """A model with dynamic batches; options are of ModelConfig or of Model."""
    of_config = {field.name for field in dataclasses.fields(ModelConfig)} & options.keys()
    given = {name: options.pop(name) for name in of_config}
    config = ModelConfig(batching=batching, max_batch_size=max_batch_size, **given)
    return Model(name, function, [FLOATS], [FLOATS], config, **options)


@batch
def echo(**inputs: Any) -> list[Any]:
    """Gives back what it is given."""
    return list(inputs.values())


def times(factor: float) -> Callable[..., Any]:
    """A function that multiplies."""

    @batch
    def multiply(**inputs: Any) -> list[Any]:
        return [array * np.float32(factor) for array in inputs.values()]

    return multiply


def gated(gate: Gate) -> Callable[..., Any]:
    """A function that passes through a gate."""

    def wait(requests: list[Any]) -> list[Any]:
        gate.pass_through()
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    return wait


def document(*values: float, batching: bool = True) -> dict[str, Any]:
    """A request for one row."""
    shape = [1, len(values)] if batching else [len(values)]
    return {"inputs": [{"name": "INPUT_1", "datatype": "FP32", "shape": shape, "data": list(values)}]}


def outputs(reply: Reply) -> list[Any]:
    """Data of the first output of an answer that is no error."""
    assert reply.status == 200, reply.body
    data: list[Any] = reply.json["outputs"][0]["data"]
    return data


def answer(address: Address, name: str, *values: float) -> list[Any]:
    """What a model makes of one row."""
    return outputs(address.infer(name, document(*values)))


class Pending:
    """A request on its way, in a thread of its own."""

    def __init__(self, address: Address, model: str, *values: float) -> None:
        self._address = address
        self._request = model, document(*values)
        self._reply: Reply | None = None
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether its answer, or an end without one, has come."""
        return not self._thread.is_alive()

    def reply(self) -> Reply:
        """Its answer; raises what the connection ended with if it ended without one."""
        self._thread.join(TIMEOUT_S)
        if self._error is not None:
            raise self._error
        assert self._reply is not None, "the request was not answered"
        return self._reply

    def _run(self) -> None:
        try:
            self._reply = self._address.infer(*self._request)
        except OSError as error:
            self._error = error
