# SPDX-License-Identifier: Apache-2.0
"""Models that come, change and go while others serve; no request of anybody is lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.exceptions import PyTritonInvalidOperationError, PyTritonModelLoadError
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.gate import Gate, wait_for_queue, wait_until
from tests.helpers.server import Address, Model, Server
from tests.helpers.vectors import FLOATS, Pending, answer, document, gated, outputs, times
from tests.helpers.vectors import vector_model as model


def ask(server: Address, name: str, version: int | None, value: float) -> list[Any]:
    """What a version makes of a value; the latest, if none is named."""
    path = "" if version is None else f"/versions/{version}"
    return outputs(server.post(f"/v2/models/{name}{path}/infer", document(value)))


def is_ready(server: Address) -> bool:
    """Whether the server comes to be ready; it is not for as long as a model is being unloaded."""
    wait_until(lambda: server.get("/v2/health/ready").status == 200, "a server that is ready")
    return True


def states(server: Address, name: str) -> dict[str, str]:
    """State of each version."""
    index = server.post("/v2/repository/index", {}).json
    return {entry["version"]: entry["state"] for entry in index if entry["name"] == name}


@contextlib.contextmanager
def asked_all_along(server: Address, name: str, allowed: set[float]) -> Iterator[list[float]]:
    """Two clients that ask a model for as long as the block runs; every answer must be an allowed one."""
    end = threading.Event()
    answers: list[float] = []
    problems: list[str] = []

    def run() -> None:
        while not end.is_set():
            reply = server.infer(name, document(1))
            if reply.status != 200 or outputs(reply)[0] not in allowed:
                problems.append(f"{reply.status} {reply.body!r}")
            else:
                answers.append(outputs(reply)[0])

    clients = [threading.Thread(target=run, name="client", daemon=True) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        yield answers
    finally:
        end.set()
        for client in clients:
            client.join()
    assert not problems
    assert answers


def wait_for_more(answers: list[float], count: int = 5) -> None:
    target = len(answers) + count
    while len(answers) < target:
        pass


# --- versions -----------------------------------------------------------------------------------------------


def test_version_is_added_and_removed_while_another_serves(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)), model("other", times(7)))
    with asked_all_along(server, "m", {2, 3}) as answers, asked_all_along(server, "other", {7}):
        wait_for_more(answers)
        model("m", times(3), version=2).bind_to(server.triton)
        assert [ask(server, "m", version, 1) for version in (1, 2, None)] == [[2], [3], [3]]
        wait_for_more(answers)
        server.triton.unbind("m", 2)
        assert ask(server, "m", None, 1) == [2]
        wait_for_more(answers)
    assert {2, 3} <= set(answers)
    assert server.post("/v2/models/m/versions/2/infer", document(1)).status == 503
    assert is_ready(server)


def test_older_version_is_removed(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)), model("m", times(3), version=2))
    with asked_all_along(server, "m", {3}):
        server.triton.unbind("m")
        assert states(server, "m") == {"1": "UNAVAILABLE", "2": "READY"}
    model("m", times(5)).bind_to(server.triton)
    assert [ask(server, "m", version, 1) for version in (1, 2)] == [[5], [3]]


def test_adding_a_version_does_not_load_the_other_anew(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)))
    assert ask(server, "m", 1, 1) == [2]
    before = server.triton._bindings["m", 1]._workers
    model("m", times(3), version=2).bind_to(server.triton)
    assert server.triton._bindings["m", 1]._workers is before
    (statistics,) = server.get("/v2/models/m/versions/1/stats").json["model_stats"]
    assert statistics["inference_count"] == 1  # it would have begun to count again


def test_versions_with_different_numbers_of_workers(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)))
    model("m", [times(3)] * 3, version=2).bind_to(server.triton)
    groups = server.get("/v2/models/m/config").json["instance_group"]
    assert sum(group["count"] for group in groups) == 3
    pending = [Pending(server, "m", value) for value in range(12)]
    assert [outputs(request.reply()) for request in pending] == [[3 * value] for value in range(12)]
    assert ask(server, "m", 1, 1) == [2]
    server.triton.unbind("m", 2)
    assert ask(server, "m", 1, 1) == [2]


def test_version_of_another_configuration(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)))
    with pytest.raises(
        PyTritonInvalidOperationError, match=r'model "m" version 2: all versions .* max_batch_size'
    ):
        model("m", times(3), max_batch_size=8, version=2).bind_to(server.triton)
    other = Tensor(name="other", dtype=np.float32, shape=(-1,))
    with pytest.raises(PyTritonInvalidOperationError, match=r"differs from version 1 in input\."):
        Model("m", times(3), [other], [FLOATS], ModelConfig(max_batch_size=16), version=2).bind_to(
            server.triton
        )
    assert answer(server, "m", 1) == [2]


@contextlib.contextmanager
def broken_workers() -> Iterator[None]:
    """Workers that begin in the block do not get far, and their models are not loaded."""

    def fail(self: Any) -> Any:
        raise RuntimeError("the worker cannot begin")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytriton.worker.connector.Connector.open", fail)
        with pytest.raises(PyTritonModelLoadError, match="cannot begin"):
            yield


def test_version_that_cannot_be_added(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)))
    with asked_all_along(server, "m", {2}) as answers:
        wait_for_more(answers)
        for _ in range(2):
            with broken_workers():
                model("m", times(3), version=2).bind_to(server.triton)
            # The server says so before it has done with the version.
            wait_until(lambda: states(server, "m")["2"] != "UNLOADING", "the end of the version")
            assert states(server, "m") == {"1": "READY", "2": "UNAVAILABLE"}
            assert is_ready(server)
            assert server.triton.is_alive()
        wait_for_more(answers)
    with asked_all_along(server, "m", {2, 3}):
        model("m", times(3), version=2).bind_to(server.triton)
        assert [ask(server, "m", version, 1) for version in (1, 2)] == [[2], [3]]


# --- replacing ----------------------------------------------------------------------------------------------


def test_model_is_replaced_while_it_serves(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(0)), model("other", times(7)))
    with asked_all_along(server, "m", set(range(6))) as answers, asked_all_along(server, "other", {7}):
        for factor in range(1, 6):
            wait_for_more(answers)
            model("m", times(factor)).bind_to(server.triton, replace=True)
            assert answer(server, "m", 1) == [factor]
        wait_for_more(answers)
    assert set(answers) == set(range(6))


def test_replaced_model_answers_what_it_has(serve: Callable[..., Server]) -> None:
    gate = Gate()
    gate.shut()
    server = serve(model("m", gated(gate), max_batch_size=1))
    pending = [Pending(server, "m", 0)]
    gate.wait_for_arrival()
    pending += [Pending(server, "m", value) for value in (1, 2)]
    wait_for_queue(server, "m", 2)
    replacing = threading.Thread(
        target=model("m", times(5)).bind_to, args=(server.triton,), kwargs={"replace": True}
    )
    replacing.start()
    while answer_of_the_new_one(server) is None:
        pass
    assert replacing.is_alive()
    gate.open()
    assert [outputs(request.reply()) for request in pending] == [[0], [1], [2]]
    replacing.join()
    assert answer(server, "m", 1) == [5]


def answer_of_the_new_one(server: Server) -> list[Any] | None:
    """An answer, if the function behind the gate does not get the request."""
    request = server.get("/v2/models/m/config").json
    return answer(server, "m", 1) if request["max_batch_size"] == 16 else None


def test_replacement_of_another_configuration(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)))
    named = Tensor(name="x", dtype=np.int64, shape=(2,))
    Model("m", times(3), [named], [named], ModelConfig(batching=False)).bind_to(server.triton, replace=True)
    given = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [2], "data": [1, 2]}]}
    assert outputs(server.infer("m", given)) == [3, 6]


def test_replacement_that_fails(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)), model("m", times(3), version=2))
    with asked_all_along(server, "m", {3}):
        for _ in range(2):
            with broken_workers():
                model("m", times(5), version=2).bind_to(server.triton, replace=True)
            assert is_ready(server)
            assert states(server, "m") == {"1": "READY", "2": "READY"}
            assert server.triton.is_alive()
    with asked_all_along(server, "m", {3, 6}):
        model("m", times(6), version=2).bind_to(server.triton, replace=True)
    assert [ask(server, "m", version, 1) for version in (1, 2)] == [[2], [6]]


def test_replacement_takes_too_long(serve: Callable[..., Server], caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    gate.shut()
    server = serve(model("m", gated(gate)), config={"exit_timeout_secs": 0})
    pending = Pending(server, "m", 1)
    gate.wait_for_arrival()
    model("m", times(5)).bind_to(server.triton, replace=True)
    assert '1 request of model "m" version 1 had no answer within the limit of 0 s and failed' in caplog.text
    assert pending.reply().status == 503
    gate.open()
    assert answer(server, "m", 1) == [5]


def test_replacement_of_what_is_not_bound(serve: Callable[..., Server]) -> None:
    server = serve()
    model("m", times(2)).bind_to(server.triton, replace=True)
    assert answer(server, "m", 1) == [2]
    with pytest.raises(PyTritonInvalidOperationError, match=r'Model "M" version 1 is bound already'):
        model("M", times(2)).bind_to(server.triton, replace=True)


# --- unbinding ----------------------------------------------------------------------------------------------


def test_unbound_model_answers_what_it_has_and_can_be_bound_again(serve: Callable[..., Server]) -> None:
    gate = Gate()
    gate.shut()
    server = serve(model("m", gated(gate), max_batch_size=1), model("other", times(7)))
    pending = [Pending(server, "m", 0)]
    gate.wait_for_arrival()
    pending += [Pending(server, "m", value) for value in (1, 2)]
    wait_for_queue(server, "m", 2)
    with asked_all_along(server, "other", {7}):
        unbinding = threading.Thread(target=server.triton.unbind, args=("m",))
        unbinding.start()
        while server.get("/v2/models/m/ready").status == 200:
            pass
        assert server.infer("m", document(9)).status in {400, 404, 503}
        gate.open()
        assert [outputs(request.reply()) for request in pending] == [[0], [1], [2]]
        unbinding.join()
        assert is_ready(server)
        assert server.triton.is_alive()
        model("m", times(5)).bind_to(server.triton)
        assert answer(server, "m", 1) == [5]


def test_unbinding_takes_too_long(serve: Callable[..., Server], caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    gate.shut()
    server = serve(model("m", gated(gate)), config={"exit_timeout_secs": 0})
    pending = Pending(server, "m", 1)
    gate.wait_for_arrival()
    server.triton.unbind("m")
    assert '1 request of model "m" version 1 had no answer within the limit of 0 s and failed' in caplog.text
    assert pending.reply().status == 503
    gate.open()


def test_unbinding_what_is_not_bound(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)))
    for name, version in (("m", 2), ("M", 1), ("n", 1)):
        with pytest.raises(PyTritonInvalidOperationError, match=r"is not bound. Bound are: m version 1\."):
            server.triton.unbind(name, version)
    server.triton.unbind("m")
    with pytest.raises(PyTritonInvalidOperationError, match=r"Bound are: none\."):
        server.triton.unbind("m")


def test_run_again_serves_what_is_bound_then(serve: Callable[..., Server]) -> None:
    server = serve(model("a", times(2)), model("b", times(3)), model("b", times(4), version=2))
    server.triton.unbind("a")
    model("b", times(5), version=2).bind_to(server.triton, replace=True)
    server.triton.stop()
    server.triton.unbind("b", 1)
    model("c", times(6)).bind_to(server.triton)
    model("c", times(7)).bind_to(server.triton, replace=True)
    server.triton.run()
    assert states(server, "b") == {"2": "READY"}
    assert [answer(server, name, 1) for name in ("b", "c")] == [[5], [7]]
    assert server.get("/v2/models/a/ready").status != 200


def test_function_is_served_under_two_names_and_swapped_under_one(serve: Callable[..., Server]) -> None:
    function = times(2)
    server = serve(model("a", function), model("b", function), model("b", function, version=2))
    assert [ask(server, name, version, 1) for name, version in (("a", 1), ("b", 1), ("b", 2))] == [[2]] * 3
    model("a", function).bind_to(server.triton, replace=True)
    server.triton.unbind("b", 2)
    assert [answer(server, name, 1) for name in ("a", "b")] == [[2], [2]]
