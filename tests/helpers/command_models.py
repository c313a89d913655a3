# SPDX-License-Identifier: Apache-2.0
"""Models that commands are tried with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.server import LOCAL, Model, Server

__all__ = ["MODELS", "urls"]

FLOATS = Tensor(name="x", dtype=np.float32, shape=(-1,))
TEXT = Tensor(name="text", dtype=np.bytes_, shape=(1,))


@batch
def double(x: Any) -> list[Any]:
    return [x * 2]


@batch
def fail(x: Any) -> list[Any]:
    raise ValueError("on purpose")


@batch
def spell(text: Any) -> Iterator[list[Any]]:
    for letter in text[0, 0].decode():
        yield [np.array([[letter.encode()]], object)]


MODELS = (
    Model("double", double, [FLOATS], [Tensor(name="y", dtype=np.float32, shape=(-1,))]),
    Model("fail", fail, [FLOATS], [Tensor(name="y", dtype=np.float32, shape=(-1,))]),
    Model(
        "spell",
        spell,
        [TEXT],
        [Tensor(name="letter", dtype=np.bytes_, shape=(1,))],
        ModelConfig(decoupled=True),
    ),
)


def urls(server: Server) -> tuple[str, str]:
    return server.url, f"grpc://{LOCAL}:{server.grpc_port}"
