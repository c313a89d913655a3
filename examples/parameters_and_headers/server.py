# SPDX-License-Identifier: Apache-2.0
"""Serve a model whose requests bring a factor as parameter, and a unit as HTTP header."""

from __future__ import annotations

import numpy as np

from pytriton.model_config import ModelConfig, Tensor
from pytriton.proxy.types import Request
from pytriton.triton import Triton, TritonConfig


def scale(requests: list[Request]) -> list[dict[str, np.ndarray]]:
    responses = []
    for request in requests:
        parameters = request.parameters or {}
        # Forwarded headers are among the parameters; gRPC spells their names in lower case.
        header = {name.lower(): value for name, value in parameters.items()}.get("x-unit", "none")
        unit = np.full((len(request["values"]), 1), str(header).encode(), dtype=object)
        responses.append({"scaled": request["values"] * float(parameters["factor"]), "unit": unit})
    return responses


config = TritonConfig(http_header_forward_pattern="x-unit", grpc_header_forward_pattern="x-unit")

with Triton(config=config) as triton:
    triton.bind(
        model_name="Scale",
        infer_func=scale,
        inputs=[Tensor(name="values", dtype=np.float32, shape=(-1,))],
        outputs=[
            Tensor(name="scaled", dtype=np.float32, shape=(-1,)),
            Tensor(name="unit", dtype=bytes, shape=(1,)),
        ],
        config=ModelConfig(max_batch_size=16),
    )
    triton.serve()
