# SPDX-License-Identifier: Apache-2.0
"""Functions that make processes: those hold nothing of ours, and do not get in between us and the server."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers.clients import ask
from tests.helpers.server import Server
from tests.helpers.vectors import answer, vector_model

Array = npt.NDArray[Any]


def test_function_that_forks(serve: Callable[..., Server]) -> None:
    def fork(requests: list[Any]) -> list[Any]:
        child = os.fork()
        if child == 0:
            os._exit(int(requests[0]["INPUT_1"][0, 0]))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return [{"OUTPUT_1": request["INPUT_1"] + status} for request in requests]

    server = serve(vector_model("m", fork))
    for value in range(5):
        assert answer(server, "m", value) == [2 * value]


@pytest.mark.parametrize("size", [1, 1 << 19])
@pytest.mark.parametrize("child_fails", [False, True])
def test_child_that_comes_out_of_the_function(
    size: int, child_fails: bool, serve: Callable[..., Server]
) -> None:
    statuses: list[int] = []

    def fork(requests: list[Any]) -> list[Any]:
        outputs = [np.repeat(request["INPUT_1"], size, axis=1) for request in requests]
        child = os.fork()
        if child:
            # The child writes nothing into memory that the server reads.
            responses = [{"OUTPUT_1": output * 2} for output in outputs]
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            return responses
        if child_fails:
            raise ValueError("the child's own")
        return [{"OUTPUT_1": output * 3} for output in outputs]

    server = serve(vector_model("m", fork))
    for value in range(3):
        output = ask(server, "m", {"INPUT_1": np.full((1, 4), value, np.float32)}).outputs["OUTPUT_1"]
        assert output.shape == (1, 4 * size)
        assert (output == 2 * value).all()
    assert statuses == [1, 1, 1]
    assert server.triton.is_alive()


def test_child_that_changes_the_inputs(serve: Callable[..., Server]) -> None:
    def double(array: Array) -> None:
        array *= 2

    def run(requests: list[Any]) -> list[Any]:
        for request in requests:
            process = multiprocessing.get_context("fork").Process(target=double, args=(request["INPUT_1"],))
            process.start()
            process.join()
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    server = serve(vector_model("m", run))
    for value in range(3):
        assert answer(server, "m", value) == [2 * value]  # shared memory is shared


def test_function_that_runs_a_program(serve: Callable[..., Server]) -> None:
    def run(requests: list[Any]) -> list[Any]:
        program = "import os, sys; sys.stdout.write(' '.join(os.listdir('/proc/self/fd')))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        assert len(done.stdout.split()) <= 4  # none of ours
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    server = serve(vector_model("m", run))
    assert answer(server, "m", 1) == [1]
