# SPDX-License-Identifier: Apache-2.0
"""Models that are asked wrongly, and tensors for that."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import Array, ask
from tests.helpers.gate import Gate
from tests.helpers.server import Model, Server

__all__ = ["HUGE", "STRING_LIES", "Absent", "batches", "check_serves", "gate", "models", "tensor_of"]

HUGE: Final = 2**62

gate = Gate()
batches: list[int] = []


@batch
def echo(**inputs: Array) -> list[Array]:
    batches.append(len(next(iter(inputs.values()))))
    gate.pass_through()
    return list(inputs.values())


def picky(requests: list[Request]) -> list[dict[str, Array]]:
    """Answer numbers; for a negative one give something that is no answer."""
    gate.pass_through()
    return [{"y": request["x"].astype("M8[s]" if request["x"][0, 0] < 0 else "f4")} for request in requests]


def models() -> Iterator[Model]:
    def floats(name: str, *shape: int) -> Tensor:
        return Tensor(shape, np.float32, name)

    config = ModelConfig(max_batch_size=4)
    yield Model("vector", echo, [floats("x", -1)], [floats("y", -1)], config)
    yield Model("fixed", echo, [floats("x", 2, 3)], [floats("y", 2, 3)], config)
    yield Model("matrix", echo, [floats("x", -1, -1)], [floats("y", -1, -1)], config)
    yield Model("two", echo, [floats("x", -1), floats("z", -1)], [floats("y", -1), floats("w", -1)], config)
    yield Model("strings", echo, [Tensor((-1,), bytes, "x")], [Tensor((-1,), bytes, "y")], config)
    yield Model("picky", picky, [floats("x", -1)], [floats("y", -1)], ModelConfig(max_batch_size=16))


def check_serves(server: Server) -> None:
    """Every model answers."""
    row = np.array([[1, 2]], np.float32)
    assert ask(server, "vector", {"x": row}, "binary").outputs["y"].tolist() == [[1, 2]]
    assert ask(server, "matrix", {"x": row[:, None]}).outputs["y"].tolist() == [[[1, 2]]]
    assert ask(server, "two", {"x": row, "z": row}).outputs["w"].tolist() == [[1, 2]]
    strings = np.array([[b"a", b""]], object)
    assert ask(server, "strings", {"x": strings}).outputs["y"].tolist() == [[b"a", b""]]


class Absent:
    """In place of a field: leave it out."""


def tensor_of(**fields: Any) -> dict[str, Any]:
    """An input that is right, but for what the test says."""
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2], **fields}
    return {name: value for name, value in tensor.items() if value is not Absent}


def _strings(*strings: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<I", length) + string for length, string in strings)


STRING_LIES: Final = {
    "a length that is too long": _strings((1, b"a"), (200, b"bc")),
    "a length that is far too long": _strings((0, b""), (2**32 - 1, b"")),
    "a first length that is too long": _strings((7, b"a"), (2, b"bc")),
    "a length that is too short": _strings((1, b"a"), (1, b"bc")),
    "bytes at the end": _strings((1, b"a"), (2, b"bc")) + b"x",
    "a string too many": _strings((1, b"a"), (2, b"bc"), (0, b"")),
    "a string missing": _strings((1, b"a")),
    "half a length": _strings((1, b"a")) + b"\1\0",
    "nothing at all": b"",
}
