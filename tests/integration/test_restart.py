# SPDX-License-Identifier: Apache-2.0
"""A server that dies is started again: the same ports, models and tokens, and nothing made anew."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.client import ModelClient
from pytriton.exceptions import PyTritonError, PyTritonServerError
from pytriton.triton import RestartPolicy, TritonLifecyclePolicy, TritonSecurityConfig
from tests.helpers.gate import Gate, wait_until
from tests.helpers.processes import server_of, servers_of, watching
from tests.helpers.program import started
from tests.helpers.server import LOCAL, Address, Server
from tests.helpers.vectors import TIMEOUT_S, Pending, answer, document, echo, gated, outputs, times
from tests.helpers.vectors import vector_model as model


def kill_server(number: signal.Signals = signal.SIGKILL) -> None:
    """End the server of this process; returns when another one is there."""
    pid = server_of(os.getpid())
    with watching(pid) as process:
        process.kill(number)
        assert process.gone(TIMEOUT_S)
    wait_until(lambda: servers_of(os.getpid()) not in ([], [pid]), "another server")


def answers_again(address: Address, name: str, *values: float) -> list[Any]:
    """What a model answers as soon as somebody listens again."""
    replies = []

    def ask() -> bool:
        try:
            reply = address.infer(name, document(*values))
        except OSError:
            return False
        replies.append(reply)
        return True

    wait_until(ask, "a server that listens")
    # Ports are opened when the models are there, so that nobody is told that one is unknown.
    return outputs(replies[0])


class Made:
    """A function that takes notice of how often it was made."""

    count = 0

    def __init__(self) -> None:
        type(self).count += 1

    def __call__(self, requests: list[Any]) -> list[Any]:
        return [{"OUTPUT_1": request["INPUT_1"] + 1} for request in requests]


# Of the server's own handler for SIGSEGV and SIGABRT: it writes where it was, and dies of the signal.
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_models_are_served_again(
    serve: Callable[..., Server], number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    made = Made.count
    server = serve(model("m", Made()), model("m", times(3), version=2), model("other", [echo, echo]))
    before = server_of(os.getpid())
    kill_server(number)
    assert answers_again(server, "m", 1, 2) == [3, 6]
    assert outputs(server.post("/v2/models/m/versions/1/infer", document(1))) == [2]
    assert answer(server, "other", 7) == [7]
    assert Made.count == made + 1
    assert server_of(os.getpid()) != before
    wait_until(lambda: "takes requests again" in caplog.text, "the end of the restart")
    assert server.triton.is_alive()
    how = "ended with exit code" if number == signal.SIGTERM else f"was killed by {number.name}"
    assert f"The Triton server {how}" in caplog.text
    # What is bound afterwards is loaded as ever, and what is there can change.
    model("new", times(5)).bind_to(server.triton)
    model("other", times(7)).bind_to(server.triton, replace=True)
    server.triton.unbind("m", 2)
    assert [answer(server, name, 1) for name in ("new", "other", "m")] == [[5], [7], [2]]
    kill_server()
    assert [answers_again(server, name, 1) for name in ("new", "other", "m")] == [[5], [7], [2]]


def test_clients_go_on(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)))
    urls = [f"http://{LOCAL}:{server.http_port}", f"grpc://{LOCAL}:{server.grpc_port}"]
    one = np.ones((1, 1), np.float32)
    with ModelClient(urls[0], "m") as over_http, ModelClient(urls[1], "m") as over_grpc:
        for client in (over_http, over_grpc):
            assert client.infer_batch(one)["OUTPUT_1"].tolist() == [[2]]
        kill_server()
        assert answers_again(server, "m", 1) == [2]
        for client in (over_http, over_grpc):
            assert client.infer_batch(one)["OUTPUT_1"].tolist() == [[2]]


def test_token_stays(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)), security_config=TritonSecurityConfig())
    token = {"triton-access-token": server.triton.get_access_token() or ""}
    kill_server()
    assert answers_again(server, "m", 1) == [2]
    assert server.post("/v2/repository/index", {}).status == 403
    assert server.post("/v2/repository/index", {}, token).status == 200
    assert (
        token["triton-access-token"].encode()
        not in Path(f"/proc/{server_of(os.getpid())}/cmdline").read_bytes()
    )


def test_models_on_disk(serve: Callable[..., Server]) -> None:
    policy = TritonLifecyclePolicy(launch_triton_on_startup=False, local_model_store=True)
    server = serve(model("m", times(2)), triton_lifecycle_policy=policy)
    kill_server()
    assert answers_again(server, "m", 1) == [2]


def test_function_in_the_middle_of_a_call(serve: Callable[..., Server]) -> None:
    gate = Gate()
    gate.shut()
    server = serve(model("gated", gated(gate)), model("m", times(2)))
    lost = Pending(server, "gated", 1)
    gate.wait_for_arrival()
    kill_server()
    with pytest.raises(OSError):  # noqa: PT011 (reset or refused)
        lost.reply()
    # The others do not wait for a function that does not return.
    assert answers_again(server, "m", 1) == [2]
    waits = Pending(server, "gated", 2)
    gate.open()
    assert outputs(waits.reply()) == [2]


def test_everything_of_ours_on_disk_is_gone(serve: Callable[..., Server], home: Path) -> None:
    server = serve(model("m", times(2)))
    for workspace in home.iterdir():
        shutil.rmtree(workspace)
    assert answer(server, "m", 1) == [2]
    kill_server()
    assert answers_again(server, "m", 1) == [2]
    model("other", times(3)).bind_to(server.triton)
    assert answer(server, "other", 1) == [3]


def test_under_load(serve: Callable[..., Server]) -> None:
    """No answer is wrong, none is of the wrong model, and answers come within a second."""
    server = serve(model("two", times(2)), model("three", [times(3), times(3)]))
    factors = {"two": 2, "three": 3}
    done = threading.Event()
    answered: queue.SimpleQueue[float] = queue.SimpleQueue()
    wrong: list[str] = []

    def ask(number: int) -> None:
        name = ("two", "three")[number % 2]
        while not done.is_set():
            try:
                reply = server.infer(name, document(number))
            except OSError:
                continue
            if reply.status == 200 and outputs(reply) == [factors[name] * number]:
                answered.put(time.monotonic())
            elif reply.status != 503:
                wrong.append(f"{name} {number}: {reply.status} {reply.body!r}")

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(1, 33)]
    for client in clients:
        client.start()
    try:
        for _ in range(3):
            for _ in range(64):
                answered.get(timeout=TIMEOUT_S)
            kill_server()
            restarted = time.monotonic()
            while answered.get(timeout=TIMEOUT_S) < restarted:
                pass
    finally:
        done.set()
        for client in clients:
            client.join()
    assert wrong == []


def test_crash_loop_ends(serve: Callable[..., Server], caplog: pytest.LogCaptureFixture) -> None:
    server = serve(model("m", echo), restart_policy=RestartPolicy(max_restarts=2, delay_s=0.01))
    errors: queue.SimpleQueue[PyTritonError | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            server.triton.serve()
        except PyTritonError as error:
            errors.put(error)
        else:
            errors.put(None)

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(2):
        kill_server()
        answers_again(server, "m", 1)
        assert server.triton.is_alive()
    with watching(server_of(os.getpid())) as process:
        process.kill()
    error = errors.get(timeout=TIMEOUT_S)
    assert isinstance(error, PyTritonServerError)
    assert "was killed by SIGKILL. It has been started again 2 times within 60 s" in str(error)
    assert not server.triton.is_alive()
    assert str(error) in caplog.text
    thread.join()


def test_port_that_was_taken_meanwhile(serve: Callable[..., Server]) -> None:
    """The policy's patience is for what goes away, such as a port that somebody holds for a moment."""
    server = serve(model("m", times(2)), restart_policy=RestartPolicy(delay_s=0.05))
    pid = server_of(os.getpid())
    with watching(pid) as process:
        process.kill(signal.SIGSTOP)
        process.kill()
        assert process.gone(TIMEOUT_S)
    assert answers_again(server, "m", 1) == [2]


@pytest.mark.parametrize("allow_http", [True, False])
def test_server_that_does_not_answer(
    serve: Callable[..., Server], allow_http: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(
        model("m", times(2)),
        config={"allow_http": allow_http},
        restart_policy=RestartPolicy(hang_timeout_s=0.5),
    )
    pid = server_of(os.getpid())
    with watching(pid) as process:
        process.kill(signal.SIGSTOP)
        assert process.gone(TIMEOUT_S)
    with ModelClient(f"grpc://{LOCAL}:{server.grpc_port}", "m") as client:
        assert client.infer_batch(np.ones((1, 1), np.float32))["OUTPUT_1"].tolist() == [[2]]
    assert "did not answer for 0.5 s and was killed" in caplog.text


def test_bind_and_stop_while_it_is_started_again(serve: Callable[..., Server]) -> None:
    server = serve(model("m", times(2)))
    for factor in (3, 4):
        kill_server()  # while the next one starts
        model(f"m{factor}", times(factor)).bind_to(server.triton)
        assert answers_again(server, f"m{factor}", 1) == [factor]
    with watching(server_of(os.getpid())) as process:
        process.kill()
        assert process.gone(TIMEOUT_S)
    assert server.triton.stop()
    assert servers_of(os.getpid()) == []
    assert not server.triton.is_alive()


def test_stop_during_load_of_the_restarted_server(serve: Callable[..., Server]) -> None:
    gate = Gate()
    gate.shut()
    server = serve(model("gated", gated(gate)))
    pending = Pending(server, "gated", 1)
    gate.wait_for_arrival()
    kill_server()  # waits for the worker, which is busy
    start = time.monotonic()
    gate.open()
    assert server.triton.stop()
    assert time.monotonic() - start < TIMEOUT_S
    with pytest.raises(OSError):  # noqa: PT011
        pending.reply()


def test_program_ends_with_an_error_after_a_crash_loop(tmp_path: Path) -> None:
    with started("serves", tmp_path) as program:
        assert program.server is not None
        program.server.kill()
        assert program.expect("log The Triton server was killed by SIGKILL.") is not None
        assert program.wait() == 1
        assert list(tmp_path.iterdir()) == []
