# SPDX-License-Identifier: Apache-2.0
"""Decorators between a real server and functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch, fill_optionals, first_value, group_by_keys, group_by_values, pad_batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from tests.helpers.clients import TRANSPORTS, ask
from tests.helpers.server import TIMEOUT_S, Model, Server
from tests.helpers.streams import grpc_stream
from tests.helpers.wrapt_decorators import by_position, double_inputs

Serve = Callable[..., Server]

COUNT = Tensor((1,), np.int32, name="count")
RESULT = Tensor((1,), np.int32, name="result")
LATER = DynamicBatcher(max_queue_delay_microseconds=60_000_000, preferred_batch_size=[3])


class Countdowns:
    """Functions that count down, and go on only once the client knows of all ends that are two steps past."""

    def __init__(self) -> None:
        self._ends = {count: threading.Event() for count in (1, 3, 5)}

    def ended(self, count: int) -> None:
        """The client has seen the end of the stream that began at this number."""
        self._ends[count].set()

    def wait(self, step: int) -> None:
        """Wait until nobody is told late that a stream has ended."""
        for count, end in self._ends.items():
            if count < step and not end.wait(TIMEOUT_S):
                raise TimeoutError(f"the end of the stream of {count} was not told by step {step}")

    def generator(self, count: Any) -> Iterator[Any]:
        for step in range(int(count[0, 0])):
            self.wait(step)
            yield {"result": count - step}

    async def async_generator(self, count: Any) -> AsyncIterator[Any]:
        for step in range(int(count[0, 0])):
            await asyncio.to_thread(self.wait, step)
            yield {"result": count - step}

    def returned_generator(self, count: Any) -> Any:
        return self.generator(count)


@pytest.mark.parametrize("kind", ["generator", "async_generator", "returned_generator"])
@pytest.mark.parametrize("decorate", [lambda function: function, pad_batch])
def test_grouped_streams_of_one_batch_end_each_for_itself(serve: Serve, kind: str, decorate: Any) -> None:
    countdowns = Countdowns()
    batches = []

    def note(requests: Any) -> Any:
        batches.append(len(requests))
        return decorated(requests)

    decorated = batch(decorate(group_by_values("count")(getattr(countdowns, kind))))
    config = ModelConfig(decoupled=True, batcher=LATER)
    server = serve(Model("m", note, [COUNT], [RESULT], config))
    seen: dict[str, list[int]] = {}
    ended: list[str] = []
    with grpc_stream(server) as opened:
        for count in (5, 1, 3):
            opened.send("m", {"count": np.array([[count]], np.int32)}, str(count))
        while len(ended) < 3:
            event = opened.receive()
            if event.final:
                ended.append(event.request_id)
                countdowns.ended(int(event.request_id))
            else:
                seen.setdefault(event.request_id, []).append(event.outputs["result"].item())
    assert batches == [3]
    assert seen == {"1": [1], "3": [3, 2, 1], "5": [5, 4, 3, 2, 1]}
    assert ended == ["1", "3", "5"]


class Service:
    """A method under decorators of its user's."""

    @batch
    @double_inputs
    @by_position
    def infer(self, **inputs: Any) -> Any:
        assert isinstance(self, Service)
        return list(inputs.values())


def test_custom_decorators_know_which_model_is_served(serve: Serve) -> None:
    service = Service()
    other = Tensor((1,), np.int32, name="other")
    server = serve(
        Model("one", service.infer, [COUNT], [RESULT]), Model("two", service.infer, [COUNT], [other])
    )
    inputs = {"count": np.array([[4]], np.int32)}
    for transport in TRANSPORTS:
        assert ask(server, "one", inputs, transport, outputs=["result"]).outputs["result"].item() == 8
        assert ask(server, "two", inputs, transport, outputs=["other"]).outputs["other"].item() == 8


@fill_optionals(style=np.array([b"plain"]))
@group_by_keys
@batch
@group_by_values("style")
@first_value("style")
def write(text: Any, style: bytes) -> Any:
    return {"written": np.array([[style + b":" + row[0]] for row in text], dtype=object)}


@pytest.mark.parametrize("style", [b"plain", b"bold\0", b"a longer one \xff"])
def test_strings_have_defaults_and_are_not_cut(serve: Serve, style: bytes) -> None:
    strings = [Tensor((1,), bytes, name="text"), Tensor((1,), bytes, name="style", optional=True)]
    server = serve(Model("m", write, strings, [Tensor((1,), bytes, name="written")]))
    text = np.array([[b"one"], [b"two"]], dtype=object)
    given = {"text": text, "style": np.array([[style], [style]], dtype=object)}
    if style == b"plain":
        del given["style"]
    written = ask(server, "m", given).outputs["written"]
    assert written.tolist() == [[style + b":one"], [style + b":two"]]
