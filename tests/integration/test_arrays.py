# SPDX-License-Identifier: Apache-2.0
"""Arrays that functions keep, change and give back: nobody else ever notices."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch
from tests.helpers.clients import ask, ask_later, pick
from tests.helpers.gate import Gate, plugged, wait_for_queue, wait_until
from tests.helpers.server import Server, running
from tests.helpers.vectors import TIMEOUT_S, answer, echo, vector_model

Array = npt.NDArray[Any]
MEGABYTE = 1 << 20


def row(value: float, size: int = 4) -> dict[str, Array]:
    return {"INPUT_1": np.full((1, size), value, np.float32)}


def big_row(value: float) -> dict[str, Array]:
    return row(value, MEGABYTE // 4)


# --- kept -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True], ids=["requests", "batch"])
def test_kept_inputs_keep_their_values(whole: bool, serve: Callable[..., Server]) -> None:
    kept: list[Array] = []

    def keep(requests: list[Any]) -> list[Any]:
        kept.extend(request["INPUT_1"] for request in requests)
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    @batch
    def keep_batch(**inputs: Any) -> list[Any]:
        kept.extend(inputs.values())
        return list(inputs.values())

    server = serve(vector_model("m", keep_batch if whole else keep))
    for value in range(50):
        assert ask(server, "m", row(value)).outputs["OUTPUT_1"][0, 0] == value
    big = [ask_later(server, "m", big_row(value)) for value in range(50, 60)]
    pick(big, "OUTPUT_1")
    assert sorted(value for array in kept for value in array[:, 0]) == list(range(60))
    assert all((array == array[:, :1]).all() for array in kept)
    server.triton.stop()
    # Even when there is no server any more.
    assert sorted(value for array in kept for value in array[:, 0]) == list(range(60))
    kept.clear()


def in_exception(array: Array) -> Exception:
    try:
        raise ValueError(array)
    except ValueError as error:
        return error


def in_cycle(array: Array) -> list[Any]:
    cycle: list[Any] = [array]
    cycle.append(cycle)
    return cycle


HOLDERS: dict[str, tuple[Callable[[Array], Any], Callable[[Any], Array]]] = {
    "view": (lambda array: array[:, ::2], lambda held: held),
    "row": (lambda array: array[0], lambda held: held),
    "other dtype": (lambda array: array.view(np.uint8), lambda held: held.view(np.float32)),
    "memoryview": (lambda array: array.data, np.asarray),
    "buffer": (lambda array: np.frombuffer(array, np.float32), lambda held: held),
    "ctypes": (np.ctypeslib.as_ctypes, np.ctypeslib.as_array),
    "dlpack": (np.from_dlpack, lambda held: held),
    "iterator": (lambda array: array.flat, lambda held: held.base),
    "closure": (lambda array: lambda: array, lambda held: held()),
    "exception": (in_exception, lambda held: held.args[0]),
    "cycle": (in_cycle, lambda held: held[0]),
    "strided": (lambda array: np.lib.stride_tricks.as_strided(array, (4,), (4,)), lambda held: held),
}


@pytest.mark.parametrize("how", HOLDERS)
@pytest.mark.parametrize("batched", [False, True], ids=["requests", "batch"])
def test_kept_in_other_forms(how: str, batched: bool, holders: Server) -> None:
    _, look = HOLDERS[how]
    name = f"{how}.{batched}".replace(" ", "_")
    KEPT[name] = []
    for value in range(20):
        assert ask(holders, name, row(value)).outputs["OUTPUT_1"][0, 0] == value
    held = KEPT.pop(name)
    assert [np.unique(look(each)).tolist() for each in held] == [[value] for value in range(20)]


KEPT: dict[str, list[Any]] = {}


def keeper(name: str, hold: Callable[[Array], Any], *, batched: bool) -> Callable[..., Any]:
    def keep(requests: list[Any]) -> list[Any]:
        KEPT[name] += [hold(request["INPUT_1"]) for request in requests]
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    @batch
    def keep_batch(INPUT_1: Array) -> list[Array]:
        KEPT[name].append(hold(INPUT_1))
        return [INPUT_1]

    return keep_batch if batched else keep


@pytest.fixture(scope="module")
def holders(module_leaves_nothing: None) -> Iterator[Server]:
    models = []
    for how, (hold, _) in HOLDERS.items():
        for batched in (False, True):
            name = f"{how}.{batched}".replace(" ", "_")
            models.append(vector_model(name, keeper(name, hold, batched=batched)))
    with running(*models) as server:
        yield server


def test_kept_by_a_task(serve: Callable[..., Server]) -> None:
    seen: list[float] = []
    done = threading.Event()

    async def look_later(array: Array) -> None:
        while len(seen) < 10:
            await asyncio.sleep(0)
            if array[0, 0] not in seen:
                seen.append(array[0, 0])
                break
        if len(seen) == 10:
            done.set()

    @batch
    async def start_task(INPUT_1: Array) -> list[Array]:
        task = asyncio.create_task(look_later(INPUT_1))
        tasks.append(task)
        return [INPUT_1]

    tasks: list[Any] = []
    server = serve(vector_model("m", start_task))
    for value in range(12):
        ask(server, "m", row(value))
    assert done.wait(TIMEOUT_S)
    assert sorted(seen) == list(range(10))


def test_kept_results_may_be_changed(serve: Callable[..., Server]) -> None:
    result = np.zeros((1, MEGABYTE // 4), np.float32)

    @batch
    def reuse(INPUT_1: Array) -> list[Array]:
        result[:] = INPUT_1
        return [result]

    server = serve(vector_model("m", reuse))
    for value in range(20):
        output = ask(server, "m", big_row(value)).outputs["OUTPUT_1"]
        assert (output == value).all()


def test_memory_limit(serve: Callable[..., Server]) -> None:
    kept: list[Array] = []

    @batch
    def keep(INPUT_1: Array) -> list[Array]:
        if INPUT_1[0, 0] > 0:
            kept.append(INPUT_1)
        return [INPUT_1[:, :1]]

    server = serve(
        vector_model("m", keep, max_batch_size=1, worker_shared_memory_bytes=16 * MEGABYTE),
        vector_model("other", echo),
    )
    values = list(range(1, 33))
    futures = [ask_later(server, "m", big_row(value)) for value in values]
    errors = [error for future in futures if (error := future.exception(TIMEOUT_S)) is not None]
    assert 10 <= len(kept) <= 16
    assert len(errors) == len(values) - len(kept)
    for error in errors:
        assert "[StatusCode.UNAVAILABLE] no shared memory left for a batch" in str(error)
        assert "whose arrays the function still keeps" in str(error)
    assert all((array == array[0, 0]).all() for array in kept)
    assert answer(server, "other", 1) == [1]
    kept.clear()
    wait_until(lambda: ask_later(server, "m", big_row(-1)).exception(TIMEOUT_S) is None, "free memory")
    for _ in range(32):
        assert ask(server, "m", big_row(-1)).outputs["OUTPUT_1"].tolist() == [[-1]]


def test_batch_beyond_the_memory_limit(serve: Callable[..., Server]) -> None:
    @batch
    def swell(INPUT_1: Array) -> list[Array]:
        return [np.repeat(INPUT_1, int(INPUT_1[0, 0]), axis=1)]

    server = serve(vector_model("m", swell, worker_shared_memory_bytes=MEGABYTE))
    with pytest.raises(InferenceServerException) as caught:
        ask(server, "m", big_row(1))
    assert caught.value.status() == "StatusCode.INTERNAL"
    assert re.search(r"the request needs 1\d+ bytes of shared memory, and the limit is", str(caught.value))
    with pytest.raises(InferenceServerException) as caught:
        ask(server, "m", row(1 << 16))
    assert caught.value.status() == "StatusCode.INTERNAL"
    assert re.search(r"the results need 1\d+ bytes of shared memory, 1\d+ bytes with", str(caught.value))
    assert ask(server, "m", row(3)).outputs["OUTPUT_1"].shape == (1, 12)
    assert server.triton.is_alive()


# --- changed ----------------------------------------------------------------------------------------------


def test_inputs_changed_in_place(serve: Callable[..., Server]) -> None:
    def negate(requests: list[Any]) -> list[Any]:
        for request in requests:
            request["INPUT_1"] *= -1
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    @batch
    def negate_batch(INPUT_1: Array) -> list[Array]:
        return [np.negative(INPUT_1, out=INPUT_1)]

    server = serve(vector_model("m", negate), vector_model("batched", negate_batch))
    for make in (row, big_row):
        for name in ("m", "batched"):
            for value in range(5):
                assert (ask(server, name, make(value)).outputs["OUTPUT_1"] == -value).all()


VIEWS: dict[str, Callable[[Array], Array]] = {
    "itself": lambda array: array,
    "reversed": lambda array: array[:, ::-1],
    "tail": lambda array: array[:, 1:],
    "strided": lambda array: array[:, ::2],
    "transposed": lambda array: array.T.copy().T,
    "fortran": lambda array: np.asfortranarray(array),
    "broadcast": lambda array: np.broadcast_to(array[:, :1], array.shape),
    "big-endian": lambda array: array.astype(">f4"),
    "masked": lambda array: np.ma.masked_array(array),
    "read-only": lambda array: np.broadcast_to(array, array.shape),
}
GATES = {name: Gate() for name in VIEWS}


def giver(name: str) -> Callable[..., Any]:
    @batch
    def give_back(INPUT_1: Array) -> list[Array]:
        GATES[name].pass_through()
        return [VIEWS[name](INPUT_1)]

    return give_back


@pytest.fixture(scope="module")
def views(module_leaves_nothing: None) -> Iterator[Server]:
    with running(*(vector_model(name, giver(name)) for name in VIEWS)) as server:
        yield server


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_inputs(name: str, views: Server) -> None:
    array = np.arange(MEGABYTE // 4, dtype=np.float32)
    for size in (4, MEGABYTE // 4):
        inputs = [array[None, :size] + value for value in range(4)]
        with plugged(views, name, GATES[name], row(0)):
            futures = [ask_later(views, name, {"INPUT_1": given}) for given in inputs]
            wait_for_queue(views, name, 4)
        for given, output in zip(inputs, pick(futures, "OUTPUT_1"), strict=True):
            np.testing.assert_array_equal(output, np.asarray(VIEWS[name](given)))


def test_swapped_outputs_of_one_batch(serve: Callable[..., Server]) -> None:
    gate = Gate()

    def swap(requests: list[Any]) -> list[Any]:
        gate.pass_through()
        arrays = [request["INPUT_1"] for request in requests]
        return [{"OUTPUT_1": array} for array in reversed(arrays)]

    server = serve(vector_model("m", swap))
    with plugged(server, "m", gate, row(0)):
        futures = [ask_later(server, "m", big_row(value)) for value in range(4)]
        wait_for_queue(server, "m", 4)
    outputs = pick(futures, "OUTPUT_1")
    assert sorted(output[0, 0] for output in outputs) == [0, 1, 2, 3]
    assert all((output == output[0, 0]).all() for output in outputs)


# --- let go of ----------------------------------------------------------------------------------------------


def test_arrays_that_go_in_another_thread(serve: Callable[..., Server]) -> None:
    threads: list[threading.Thread] = []

    def keep_for_a_while(requests: list[Any]) -> list[Any]:
        released = threading.Event()
        arrays = [request["INPUT_1"] for request in requests]
        thread = threading.Thread(target=lambda held: released.wait(5) and held.clear(), args=(arrays,))
        thread.start()
        threads.append(thread)
        released.set()
        return [{"OUTPUT_1": array + 1} for array in list(arrays)]

    server = serve(vector_model("m", keep_for_a_while))
    for value in range(200):
        assert answer(server, "m", value) == [value + 1]
    for thread in threads:
        thread.join()
    gc.collect()
