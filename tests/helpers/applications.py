# SPDX-License-Identifier: Apache-2.0
"""An application with a model of every kind."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import numpy as np

from pytriton import App, Router
from pytriton.arrays import F32, I64, Strings
from pytriton.decorators import batch
from pytriton.exceptions import ErrorCode, PyTritonInferenceError
from pytriton.model_config import Tensor
from pytriton.request import Array

__all__ = ["app"]

app, router = App(), Router(prefix="r.")

Rows = Annotated[F32, "batch", "n"]


@app.model
def add(x: Rows, y: Rows) -> Rows:
    return x + y


@app.model
def shift(x: Rows, by: Rows | None = None) -> Rows:
    return x if by is None else x + by


@app.model
async def shift_async(x: Rows, by: float = 1.0) -> Rows:
    return (x + by).astype(np.float32)


@app.model
def shout(text: str, times: int = 1, end: Literal["", "!"] = "") -> str:
    return text.upper() * times + end


@app.model
async def shout_async(text: str, times: int = 1) -> str:
    return text.upper() * times


class Summary(NamedTuple):
    mean: Annotated[F32, "batch"]
    label: list[str]


@app.model
def summary(x: Annotated[F32, "batch", -1], scale: float = 1.0) -> Summary:
    return Summary((x.mean(1) * scale).astype(np.float32), [f"{row[0]:g}" for row in x])


@dataclasses.dataclass
class Words:
    words: Annotated[Strings, "words"]
    lengths: Annotated[I64, "words"]
    text: bytes


@app.model
def split(text: bytes) -> Words:
    words = text.split()
    return Words(
        np.array([*words, b""], object)[:-1], np.array([len(word) for word in words], np.int64), text
    )


class Wrong(TypedDict):
    x: Annotated[F32, "batch", "n"]
    y: Annotated[I64, "batch", 2]


@app.model
def wrong(x: Annotated[F32, "batch", "n"], how: str = "") -> Wrong:
    good: Any = {"x": x, "y": np.ones((len(x), 2), np.int64)}
    bad: dict[str, Any] = {
        "shape": {**good, "x": x[:, 1:]},
        "rank": {**good, "x": x[:, 0]},
        "fixed": {**good, "y": good["y"][:, :1]},
        "rows": {**good, "x": x[1:]},
        "dtype": {**good, "y": good["y"] * 0.5},
        "type": {**good, "x": "text"},
        "missing": {"x": x},
        "container": [x, x],
    }
    if how == "refused":
        raise PyTritonInferenceError("not today", ErrorCode.UNAVAILABLE)
    if how == "raised":
        raise ZeroDivisionError("by nothing")
    return bad.get(how, good)  # type: ignore[no-any-return]


@app.model
def tokens(prompt: str, count: int = 3) -> Iterator[str]:
    for index in range(count):
        yield f"{prompt}{index}"
    if count < 0:
        raise ValueError("less than nothing")


@app.model
def count_down(
    start: Annotated[I64, "batch"], step: int = 1, factor: float = 1.0
) -> Iterator[Annotated[I64, "batch"]]:
    for value in range(3):
        yield start - int(value * step * factor)


@router.model(name="tokens")
async def tokens_async(prompt: str, count: int = 3) -> AsyncIterator[str]:
    for index in range(count):
        yield f"{prompt}{index}"


@app.model(devices=["cpu"])
class Embedder:
    def __init__(self, device: str) -> None:
        self._device = device

    def __call__(self, text: list[str]) -> Annotated[F32, "batch", 2]:
        return np.array([[len(each), len(self._device)] for each in text], np.float32)


@batch
def _double(x: Array) -> Any:
    return [2 * x]


app.include(router)
app.bind("double", _double, [Tensor((-1,), np.float32, name="x")], [Tensor((-1,), np.float32, name="y")])
