# SPDX-License-Identifier: Apache-2.0
"""Programs of users, each in a process of its own: python -m tests.helpers.programs NAME.

They say on standard output how far they have come, and go on when a line comes on standard input.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from pytriton.decorators import batch
from pytriton.exceptions import PyTritonError, PyTritonUnrecoverableError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import RemoteTriton, RestartPolicy, Triton
from tests.helpers.server import local_config

__all__ = ["PROGRAMS"]

_FLOATS: Final = Tensor(dtype=np.float32, shape=(-1,))
PROGRAMS: Final[dict[str, Callable[[], None]]] = {}


def program(function: Callable[[], None]) -> Callable[[], None]:
    PROGRAMS[function.__name__] = function
    return function


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)).replace("\n", " ") + "\n").encode())


def wait_for_a_line() -> None:
    os.read(0, 1)  # of several threads that wait, each gets a line of its own


class Log(logging.Handler):
    """Says what the package logs of its own; the first mention of a model means that it is served."""

    def emit(self, record: logging.LogRecord) -> None:
        say("log", record.getMessage())


@batch
def double(**inputs: Any) -> list[Any]:
    return [array * 2 for array in inputs.values()]


@batch
def gated(**inputs: Any) -> list[Any]:
    say("working")
    wait_for_a_line()
    return list(inputs.values())


@batch
def unrecoverable(**inputs: Any) -> list[Any]:
    raise PyTritonUnrecoverableError("no more of this")


def make_triton(**functions: Callable[..., Any]) -> Triton:
    config, address = local_config()
    say("ports", address.http_port, address.grpc_port, address.metrics_port)
    triton = Triton(config=config, restart_policy=RestartPolicy(max_restarts=0))
    for name, function in (functions or {"double": double, "gated": gated}).items():
        triton.bind(name, function, [_FLOATS], [_FLOATS], config=ModelConfig(max_batch_size=16))
    return triton


@program
def serves() -> None:
    triton = make_triton()
    triton.serve()
    say("served", triton.stop())


@program
def has_few_addresses() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (5 << 30, 5 << 30))
    triton = make_triton()
    triton.run()
    try:
        large = ModelConfig(worker_shared_memory_bytes=4 << 30)
        triton.bind("large", double, [_FLOATS], [_FLOATS], config=large)
    except PyTritonError as error:
        say("refused", error)
    triton.serve()


@program
def serves_and_fails() -> None:
    triton = make_triton(double=double, gated=gated, unrecoverable=unrecoverable)
    try:
        triton.serve()
    except PyTritonError as error:
        say("raised", type(error).__name__, error)
    say("alive", triton.is_alive())
    wait_for_a_line()


@program
def serves_in_another_server() -> None:
    remote = RemoteTriton(os.environ["REMOTE_URL"], access_token=os.environ["REMOTE_TOKEN"])
    for name, function in {"double": double, "gated": gated}.items():
        remote.bind(name, function, [_FLOATS], [_FLOATS], config=ModelConfig(max_batch_size=16))
    remote.serve(monitoring_period_s=0.1)
    say("served")


@batch
def failing(**inputs: Any) -> list[Any]:
    kept = [array * 2 for array in inputs.values()]
    raise ValueError(f"of {len(kept)} inputs")


@program
def fails() -> None:
    make_triton(failing=failing).serve()


@program
def serves_in_a_thread() -> None:
    triton = make_triton()
    thread = threading.Thread(target=triton.serve, daemon=True)
    thread.start()
    wait_for_a_line()
    say("stopped", triton.stop())
    thread.join()
    say("joined")


@program
def ends_without_stop() -> None:
    triton = make_triton()
    triton.run()
    wait_for_a_line()


@program
def ends_with_an_exception() -> None:
    triton = make_triton()
    triton.run()
    wait_for_a_line()
    raise ValueError("the program's own")


@program
def ends_at_once() -> None:
    triton = make_triton()
    triton.run()
    wait_for_a_line()
    os._exit(3)


@program
def forgets() -> None:
    triton = make_triton()
    triton.run()
    del triton
    gc.collect()
    say("forgotten")
    wait_for_a_line()


@program
def has_children() -> None:
    triton = make_triton()
    triton.run()
    libc = ctypes.PyDLL(None)
    # One fork that Python knows of, and one that runs none of its hooks: this child keeps every descriptor.
    for fork in (os.fork, libc.fork):
        child = fork()
        if child == 0:
            while True:
                libc.pause()
        say("child", child)
    wait_for_a_line()


@program
def child_ends_normally() -> None:
    triton = make_triton()
    triton.run()
    child = os.fork()
    if child == 0:
        triton.stop()
        sys.exit(5)  # by way of the exit handlers
    say("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), triton.is_alive())
    wait_for_a_line()


def main() -> None:
    handler = Log()
    logger = logging.getLogger("pytriton.triton")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    PROGRAMS[sys.argv[1]]()


if __name__ == "__main__":
    main()
