# SPDX-License-Identifier: Apache-2.0
"""How often large arrays are copied on their way, apart from what sockets do themselves."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import AsyncioModelClient, ModelClient
from pytriton.client._core.recycled import _MOST_IDLE, _SMALLEST, _idle, recycled
from pytriton.client._http import body, connection, transport_aio
from tests.helpers.http_peer import config_or, http_peer, tensor_answer

LARGE: Final = np.arange(1 << 20, dtype=np.float32)


def ask_blocking(url: str, array: Any) -> Any:
    with ModelClient(url, "m") as client:
        return client.infer_sample(array)["y"]


def ask_asyncio(url: str, array: Any) -> Any:
    async def main() -> Any:
        async with AsyncioModelClient(url, "m") as client:
            return (await client.infer_sample(array))["y"]

    return asyncio.run(main())


@pytest.mark.parametrize(("ask", "module"), [(ask_blocking, connection), (ask_asyncio, transport_aio)])
def test_arrays_go_out_and_come_in_without_a_copy(
    ask: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    bodies: list[Any] = []

    def message_of(*arguments: Any) -> Any:
        pieces = body.message_of(*arguments)
        sent.extend(pieces)
        return pieces

    def memory(size: int) -> Any:
        bodies.append(recycled(size))
        return bodies[-1]

    monkeypatch.setattr(module, "message_of", message_of)
    monkeypatch.setattr(body, "recycled", memory)
    with http_peer(config_or(lambda *_: tensor_answer(LARGE.tobytes()))) as peer:
        result = ask(peer.url, LARGE)
    assert np.array_equal(result, LARGE)
    # What goes to the socket is the array's own memory, and the result is where the socket was read into.
    assert any(np.shares_memory(np.frombuffer(piece, np.uint8), LARGE) for piece in sent)
    assert np.shares_memory(result, bodies[-1])
    assert result.flags.writeable
    assert result.flags.aligned


def test_memory_is_used_again_only_when_nobody_refers_to_it() -> None:
    size = _SMALLEST
    first = recycled(size)
    first[:] = 1
    place = first.ctypes.data
    view = first[10:20].view(np.uint16)
    del first
    second = recycled(size)
    assert second.ctypes.data != place
    second[:] = 2
    assert (view == 257).all()
    del view
    assert recycled(size).ctypes.data == place
    del second


def test_only_so_much_memory_is_kept() -> None:
    kept = [recycled(_MOST_IDLE // 4) for _ in range(8)]
    del kept
    assert sum(map(len, _idle)) <= _MOST_IDLE
