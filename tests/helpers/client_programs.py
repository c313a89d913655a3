# SPDX-License-Identifier: Apache-2.0
"""Programs that use a client as no program should: `python -m tests.helpers.client_programs NAME URL`.

Each asks the model "double", which returns twice its input, and says "done" when all was as it should be.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from pytriton.client import AsyncioModelClient, FuturesModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientConnectionError

__all__: list[str] = []


def _vector(value: float) -> Any:
    return np.array([value], np.float32)


def _check(client: Any, value: float) -> None:
    assert client.infer_sample(_vector(value))["x_out"].tolist() == [2 * value]


def _wait_for(child: int) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def forked_while_idle(url: str) -> None:
    """A client that has been used is used on both sides of a fork, at the same time, again and again."""
    with ModelClient(url, "double") as client:
        _check(client, 1)
        children = []
        for number in range(4):
            child = os.fork()
            if child == 0:
                for value in range(20):
                    _check(client, 100 * number + value)
                client.close()
                os._exit(0)
            children.append(child)
            _check(client, number)
        for child in children:
            _wait_for(child)
        _check(client, 3)


def forked_while_busy(url: str) -> None:
    """Threads of the parent hold the client's locks and connections when it forks."""
    ended = threading.Event()
    with ModelClient(url, "double") as client:

        def ask() -> None:
            while not ended.is_set():
                _check(client, 5)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(10):
            child = os.fork()
            if child == 0:
                _check(client, number)
                os._exit(0)
            _wait_for(child)
        ended.set()
        for thread in threads:
            thread.join()
        _check(client, 1)


def forked_with_futures(url: str) -> None:
    """The futures' threads stay with the parent; the child gets its own."""
    with FuturesModelClient(url, "double", max_workers=2, max_queue_size=64) as client:
        mine = [client.infer_sample(_vector(value)) for value in range(20)]
        child = os.fork()
        if child == 0:
            assert client.infer_sample(_vector(7)).result(20)["x_out"].tolist() == [14]
            client.close()
            os._exit(0)
        _wait_for(child)
        assert [future.result(20)["x_out"].tolist() for future in mine] == [[2.0 * v] for v in range(20)]


def forked_by_multiprocessing(url: str) -> None:
    """A child that ends as programs do, with its handlers at exit."""
    with ModelClient(url, "double") as client:
        _check(client, 1)
        process = multiprocessing.get_context("fork").Process(target=_check, args=(client, 2))
        process.start()
        process.join(20)
        assert process.exitcode == 0
        _check(client, 3)


def unclosed(url: str) -> None:
    """Nobody closes anything, and a reference from a module keeps all of it alive to the end."""
    client = ModelClient(url, "double")
    _check(client, 1)
    futures = FuturesModelClient(url, "double")
    assert futures.infer_sample(_vector(1)).result(20)["x_out"].tolist() == [2]
    globals().update(kept=(client, futures))


def outstanding(url: str) -> None:
    """The program ends while futures are under way and more of them wait."""
    client = FuturesModelClient(url, "slow", max_workers=4, max_queue_size=100)
    futures = [client.infer_sample(_vector(1)) for _ in range(50)]
    globals().update(kept=(client, futures))


def outstanding_in_threads(url: str) -> None:
    """Threads that are daemons are in the middle of requests when the program ends."""
    client = ModelClient(url, "slow")
    client.model_config  # noqa: B018
    begun = threading.Barrier(9)

    def ask() -> None:
        begun.wait()
        client.infer_sample(_vector(1))

    for _ in range(8):
        threading.Thread(target=ask, daemon=True).start()
    begun.wait()
    globals().update(kept=client)


def killed_loop(url: str) -> None:
    """A loop ends under tasks that wait for answers; the next loop goes on with the same client."""
    client = AsyncioModelClient(url, "slow")

    async def begin() -> None:
        asyncio.create_task(client.infer_sample(_vector(1)))  # noqa: RUF006
        await asyncio.sleep(0)

    async def go_on() -> None:
        async with AsyncioModelClient(url, "double") as fast:
            assert (await fast.infer_sample(_vector(2)))["x_out"].tolist() == [4]
        await client.close()

    asyncio.run(begin())
    asyncio.run(go_on())


def callbacks_at_exit(url: str) -> None:
    """Callbacks of futures ask for more while the interpreter goes down."""
    client = FuturesModelClient(url, "slow", max_workers=2)

    def again(_: Future[Any]) -> None:
        try:
            client.infer_sample(_vector(1))
        except Exception:
            return

    for _ in range(4):
        client.infer_sample(_vector(1)).add_done_callback(again)
    globals().update(kept=client)


LARGE = np.arange(100_000, dtype=np.float32)


def _check_large(client: Any, factor: int = 1) -> None:
    assert np.array_equal(client.infer_sample(factor * LARGE)["x_out"], 2 * factor * LARGE)


def memory_unclosed(url: str) -> None:
    """Nobody closes a client with regions of shared memory, and one is dropped."""
    client = ModelClient(url, "double", shared_memory="always")
    _check_large(client)
    dropped = ModelClient(url, "double", shared_memory="always")
    _check_large(dropped)
    del dropped
    globals().update(kept=client)


def memory_forked(url: str) -> None:
    """Parent and child use shared memory at the same time, and the results of each stay its own."""
    with ModelClient(url, "double", shared_memory="always") as client:
        before = client.infer_sample(LARGE)["x_out"]
        child = os.fork()
        for factor in range(20):
            _check_large(client, factor + (100 if child == 0 else 0))
        before[0] = 7 if child else 8
        assert np.array_equal(before[1:], 2 * LARGE[1:])
        if child == 0:
            client.close()
            os._exit(0)
        _wait_for(child)
        assert before[0] == 7
        _check_large(client)


def memory_in_futures(url: str) -> None:
    """The program ends while requests in shared memory are under way."""
    client = FuturesModelClient(url, "slow", max_workers=2, shared_memory="always")
    futures = [client.infer_sample(LARGE) for _ in range(6)]
    globals().update(kept=(client, futures))


def memory_killed(url: str) -> None:
    """The process is killed in the middle of it all."""
    client = ModelClient(url, "double", shared_memory="always")
    _check_large(client)
    print("done", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def nobody_there(url: str) -> None:
    """The program ends while a client waits for a server that never comes."""
    client = FuturesModelClient("http://127.0.0.1:1", "double", init_timeout_s=60)
    client.infer_sample(_vector(1))
    time.sleep(0)
    globals().update(kept=client)
    assert issubclass(PyTritonClientConnectionError, Exception)


PROGRAMS: dict[str, Callable[[str], None]] = {
    program.__name__: program
    for program in (
        forked_while_idle,
        forked_while_busy,
        forked_with_futures,
        forked_by_multiprocessing,
        unclosed,
        outstanding,
        outstanding_in_threads,
        killed_loop,
        callbacks_at_exit,
        nobody_there,
        memory_unclosed,
        memory_forked,
        memory_in_futures,
        memory_killed,
    )
}


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2])
    print("done", flush=True)
